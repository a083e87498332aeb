"""A process that stops at any save leaves a login another process can finish, or end, legally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.errors import AuthFailed, StayfastError, TokenRefreshFailed
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.engine.table import TABLE, State
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import EMAIL


class Stopped(BaseException):
    """The process is gone."""


class StoppingStorage:
    """A storage whose process is gone just before, or just after, its nth commit."""

    def __init__(self, behind: MemoryStorage, nth: int, *, after: bool) -> None:
        self._behind = behind
        self._left = nth
        self._after = after
        self.stopped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def commit(self, changes: Sequence[Change]) -> Any:
        self._left -= 1
        if self._left:
            return self._behind.commit(changes)
        self.stopped = True
        if self._after:
            self._behind.commit(changes)
        raise Stopped


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(dpop="offered")) as running:
        yield running


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


def the_login(storage: MemoryStorage) -> Login | None:
    logins = list(storage.summaries())
    return storage.read(logins[0].id) if logins else None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("wanted", ["off", "required"])
def test_a_login_stopped_at_any_save_can_be_resumed(
    server: AuthorizationServer, nth: int, after: bool, wanted: str
) -> None:
    """Whatever save a process stopped at, the next one ends authenticated or says why not."""
    storage = MemoryStorage()
    stopping = StoppingStorage(storage, nth, after=after)
    with suppress(Stopped):
        conductor_over(stopping).sign_in(
            server.config(par=wanted, dpop=wanted), InstantTransport(approve)
        )
    assert stopping.stopped

    login = the_login(storage)
    if login is None:  # stopped before anything was saved: nothing was shown to anybody either
        assert (nth, after) == (1, False)
        return
    try:
        login = conductor_over(storage).resume(login.id, [InstantTransport(approve)])
    except AuthFailed:
        # only a code that had been sent, and whose tokens were lost on the way, may end so
        login = the_login(storage)
        assert login is not None
        assert (nth, after) == (4, False)
        assert (login.state, login.reason) == (State.IDLE, "code_spent")
    else:
        assert login.state is State.AUTHENTICATED
    assert_story(storage, login.id)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_refresh_stopped_at_any_save_ends_legally(
    server: AuthorizationServer, nth: int, after: bool
) -> None:
    """A refresh that was cut off is tried once more; if a strict provider refuses, the outcome is unknown."""
    storage = MemoryStorage()
    signed_in = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    stopping = StoppingStorage(storage, nth, after=after)
    with suppress(Stopped):
        conductor_over(stopping).refresh.valid(signed_in.provider, signed_in.account, force=True)
    assert stopping.stopped

    refresh = conductor_over(storage).refresh
    try:
        login = refresh.valid(signed_in.provider, signed_in.account)
    except TokenRefreshFailed:
        login = the_login(storage)
        assert login is not None
        assert (nth, after) == (2, False)
        assert (login.state, login.reason) == (State.REFRESH_FAILED, "outcome_unknown")
    else:
        assert login.state in {State.AUTHENTICATED, State.EXCHANGING}
        assert login.tokens is not None
    assert_story(storage, login.id)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_login_stopped_while_its_user_is_named_is_finished(
    server: AuthorizationServer, after: bool
) -> None:
    """Its tokens serve at once, and the name comes with the next question, once."""
    storage = MemoryStorage()
    named = 5  # its save comes after those of the four steps of a login
    stopping = StoppingStorage(storage, named, after=after)
    server.misbehave("token", Fault(kind=FaultKind.ID_TOKEN, members={"email": None}))
    with suppress(Stopped):
        conductor_over(stopping).sign_in(server.config(), InstantTransport(approve))
    assert stopping.stopped
    login = the_login(storage)
    assert login is not None
    assert login.identity is not None
    assert (login.state, login.identity.name) == (State.AUTHENTICATED, EMAIL if after else None)
    assert_story(storage, login.id)

    conductor = conductor_over(storage)
    sent = server.counts["token:authorization_code"]
    same = conductor.refresh.valid(login.provider, login.account)
    assert same.tokens == login.tokens
    kept = conductor.identify.keep(same, conductor.identify.ask(same))
    assert kept.identity is not None
    assert (kept.state, kept.identity.name) == (State.AUTHENTICATED, EMAIL)
    assert server.counts["token:authorization_code"] == sent
    triggers = [one.members.get("trigger") for one in storage.events()]
    assert triggers.count("identify") == 1
    assert_story(storage, login.id)


def assert_story(storage: MemoryStorage, login_id: str) -> None:
    """The audit log has one legal walk through the table, with an event for every version."""
    rows = {(row.trigger, row.source, row.dest) for row in TABLE}
    at, versions = State.IDLE.value, []
    for recorded in storage.events():
        event = recorded.members
        if event.get("login") != login_id or event["event"] != "login.transition":
            continue
        assert (event["trigger"], event["from"], event["to"]) in rows
        assert event["from"] == at
        at = event["to"]
        versions.append(event["version"])
    current = storage.read(login_id)
    assert current is not None
    assert (at, versions) == (current.state.value, list(range(1, current.version + 1)))


def test_errors_of_a_resume_are_typed(server: AuthorizationServer) -> None:
    """Resuming what does not exist is a typed error, not a crash."""
    with pytest.raises(StayfastError) as caught:
        conductor_over(MemoryStorage()).resume("0" * 26, [InstantTransport(approve)])

    assert caught.value.code == "NOT_FOUND"
    assert server.issuer


def test_a_provider_may_rotate_its_keys(server: AuthorizationServer) -> None:
    """A key that was published after the last one was fetched is fetched when it is met."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    first = conductor.sign_in(server.config(), InstantTransport(approve))
    server.rotate_key()
    second = conductor.sign_in(server.config(), InstantTransport(approve))
    assert first.identity == second.identity
    assert second.identity is not None


def test_an_id_token_of_another_login_is_not_believed(server: AuthorizationServer) -> None:
    """Tokens that come with somebody else's ID token are not accepted."""
    storage = MemoryStorage()
    other = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    assert other.tokens is not None
    swapped = Fault(kind=FaultKind.MEMBERS, members={"id_token": other.tokens.id_token})
    server.misbehave("token", swapped)
    with pytest.raises(AuthFailed):
        conductor_over(storage).sign_in(
            server.config(), InstantTransport(approve), account="another"
        )
    ended = [one for one in storage.summaries() if one.account == "another"]
    assert [(one.state, one.reason) for one in ended] == [(State.IDLE, "id_token_nonce")]
