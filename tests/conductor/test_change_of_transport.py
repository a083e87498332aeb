"""A user who changes their mind while a login waits: another transport, in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.errors import CallbackRefused, TransportUnavailable
from stayfast.engine.ports import Arrival, Asking, Session, TransportWanted
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


class Fickle(InstantTransport):
    """Its user wants ``other`` first; it records what happened then."""

    def __init__(self, other: Any, story: list[str], user: Any = lambda address: []) -> None:
        super().__init__(user)
        self.other = other
        self.story = story
        self.wanted = False

    def prepare(self, asking: Asking) -> Any:
        session: Any = super().prepare(asking)
        receive, close = session.receive, session.close

        def first_a_wish(seconds: float) -> Arrival | None:
            if not self.wanted:
                self.wanted = True
                raise TransportWanted(self.other, lambda error: self.story.append(error.code))
            return receive(seconds)

        def tell_and_close() -> None:
            self.story.append("closed")
            close()

        session.receive, session.close = first_a_wish, tell_and_close
        return session


class Second(InstantTransport):
    """What is wanted instead."""

    name = "second"


class Broken(InstantTransport):
    """What is wanted, and cannot work."""

    def prepare(self, asking: Asking) -> Session:
        raise TransportUnavailable("not here")


def transitions(storage: MemoryStorage) -> list[tuple[Any, ...]]:
    recorded = [one.members for one in storage.events() if "trigger" in one.members]
    return [(one["trigger"], one.get("transport"), one.get("reason")) for one in recorded]


def test_the_old_answer_is_refused_from_then_on(server: AuthorizationServer) -> None:
    """New secrets are saved, the first transport is closed, and only the new answer signs in."""
    storage = MemoryStorage()
    story: list[str] = []

    def answer_both(address: str) -> list[str]:
        story.append("presented")
        old = user_agent.fetch_only(first.addresses[0])
        return [old, user_agent.fetch_only(address)]

    second = Second(answer_both)
    first = Fickle(second, story)
    login = conductor_over(storage).sign_in(server.config(), first)

    assert login.state is State.AUTHENTICATED
    assert story[:2] == ["closed", "presented"]
    assert transitions(storage) == [
        ("begin", None, None),
        ("present", "instant", None),
        ("rechallenge", "instant", "transport_changed"),
        ("present", "second", None),
        ("receive_callback", "second", None),
        ("accept_tokens", "second", None),
    ]
    refused = [one.members for one in storage.events() if "trigger" not in one.members]
    assert [one["reason"] for one in refused] == ["wrong_state"]


def test_a_transport_that_cannot_work_costs_nothing(server: AuthorizationServer) -> None:
    """The user sees the reason, and the first answer, under the first secrets, still signs in."""
    storage = MemoryStorage()
    story: list[str] = []
    first = Fickle(Broken(lambda _: []), story, lambda url: [user_agent.fetch_only(url)])
    login = conductor_over(storage).sign_in(server.config(), first)

    assert login.state is State.AUTHENTICATED
    assert story == ["TRANSPORT_UNAVAILABLE", "closed"]
    assert [trigger for trigger, *_ in transitions(storage)] == [
        "begin", "present", "receive_callback", "accept_tokens",
    ]  # fmt: skip


def test_resuming_by_what_cannot_work_costs_nothing(server: AuthorizationServer) -> None:
    """A resume with a transport that fails leaves the login waiting for its first answer."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    started = conductor.start(server.config(), InstantTransport(lambda _: []))
    with pytest.raises(TransportUnavailable):
        conductor.resume(
            started.login.id, [Broken(lambda _: [], redirect_uri="http://127.0.0.1:1/")]
        )
    assert conductor.answer(user_agent.fetch_only(started.address)).state is State.AUTHENTICATED


def test_another_process_cannot_finish_it_with_the_old_answer(server: AuthorizationServer) -> None:
    """An answer to the old secrets finishes nothing, also from a second browser."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    started = conductor.start(server.config(), InstantTransport(lambda _: []))
    old = user_agent.fetch_only(started.address)
    with pytest.raises(TransportUnavailable):  # asked anew, and nobody answers
        conductor.resume(started.login.id, [Second(lambda _: [], redirect_uri="http://[::1]:9/cb")])
    with pytest.raises(CallbackRefused):
        conductor.answer(old)
