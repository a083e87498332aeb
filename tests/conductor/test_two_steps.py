"""A login that one process begins and another finishes: by an address, by parameters, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from stayfast.engine.errors import AuthFailed, CallbackRefused, LoginTimedOut, NotFound
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


def begun(server: AuthorizationServer, storage: MemoryStorage) -> tuple[str, str]:
    """The id of a login that was begun, and the callback that the browser ends on."""
    started = conductor_over(storage).start(server.config(), InstantTransport(lambda _url: []))
    address = conductor_over(storage).address(started.login)
    return started.login.id, user_agent.fetch_only(address)


@pytest.mark.parametrize("named", [True, False])
def test_an_address_finds_its_login_and_finishes_it(
    server: AuthorizationServer, storage: MemoryStorage, named: bool
) -> None:
    """With the id or without: the login of an answer is known by its `state`."""
    login_id, callback = begun(server, storage)
    done = conductor_over(storage).answer(callback, login_id=login_id if named else None)
    assert (done.id, done.state) == (login_id, State.AUTHENTICATED)


def test_a_wrong_answer_is_refused_and_the_right_one_still_serves(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """A refused answer changes nothing, whether it names the login or not."""
    login_id, callback = begun(server, storage)
    right = parse_qsl(urlsplit(callback).query)
    wrong = [(name, "another" if name == "state" else value) for name, value in right]
    for conductor, named in [(conductor_over(storage), one) for one in (login_id, None)]:
        with pytest.raises(CallbackRefused):
            conductor.complete(wrong, login_id=named)
        with pytest.raises(CallbackRefused):
            conductor.answer("nonsense", login_id=named)
    done = conductor_over(storage).complete(right, login_id=login_id)
    assert done.state is State.AUTHENTICATED


def test_a_cancelled_login_takes_no_answer(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """It is over: there is nothing to cancel, to answer, to open or to resume."""
    login_id, callback = begun(server, storage)
    conductor = conductor_over(storage)
    cancelled = conductor.cancel(login_id)
    assert cancelled.state is State.IDLE
    with pytest.raises(NotFound):
        conductor.cancel(login_id)
    with pytest.raises(NotFound):
        conductor.address(cancelled)
    with pytest.raises((CallbackRefused, AuthFailed)):
        conductor.answer(callback, login_id=login_id)
    with pytest.raises(AuthFailed):
        conductor.resume(login_id, [InstantTransport(lambda _url: [])])


def test_after_its_deadline_a_login_is_over(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """The first process that reads it ends it; later ones get the same reason."""
    clock = ManualClock(1_800_000_000.0)
    conductor = conductor_over(storage, clock=clock)
    started = conductor.start(server.config(), InstantTransport(lambda _url: []), timeout=60)
    clock.time += 61
    for _ in range(2):
        with pytest.raises(LoginTimedOut):
            conductor.resume(started.login.id, [InstantTransport(lambda _url: [])])
