"""Signing out while other processes change the same login."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from conductors import conductor_over
from logins import CONFIG, REFRESH_EXCHANGE, TOKENS, login_in
from recorded import answer
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import ConfigInvalid, StorageConflict
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.ports import Change, HttpRequest, HttpResponse
from stayfast.engine.reasons import Reason
from stayfast.engine.record import Login
from stayfast.engine.table import State, Trigger
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock, origin

REVOKES = replace(CONFIG, revocation_url="https://login.acme.example/revoke")


def held(number: int = 0, state: State = State.AUTHENTICATED, **fields: Any) -> Login:
    """A login with tokens of its own, not saved yet."""
    tokens = replace(TOKENS, access_token=f"access-{number}", refresh_token=f"refresh-{number}")
    login = login_in(state, version=1, tokens=tokens, **fields)
    return replace(login, id=f"01J9ZK4Q0V7F3KTWX2A8B{number:05d}", config=REVOKES)


def saved(storage: MemoryStorage, login: Login) -> Login:
    event = Event(time=login.changed_at, event=EventKind.TRANSITION, origin=origin())
    storage.commit([Change(login=login, event=event)])
    return login


def superseded(storage: MemoryStorage, older: Login, newer: Login) -> None:
    """Another process signs in anew: ``newer`` takes the account of ``older``."""
    ended = Ledger(storage, SystemClock(), origin()).ending(
        older, Trigger.SUPERSEDE, Reason.NEWER_LOGIN
    )
    event = Event(time=newer.changed_at, event=EventKind.TRANSITION, origin=origin())
    storage.commit([*ended, Change(login=newer, event=event)])


class Provider:
    """Revokes what it is asked to; while the first request is with it, ``meanwhile`` happens."""

    def __init__(self, meanwhile: Sequence[Callable[[], None]] = ()) -> None:
        self._meanwhile = list(meanwhile)
        self.revoked: list[str] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        if self._meanwhile:
            self._meanwhile.pop(0)()
        self.revoked.append(request.body.decode())
        return answer(b"", 200)


def test_a_login_that_another_process_has_signed_out_is_signed_out() -> None:
    """The second of two has what it wants: nothing is revoked again, and nothing is an error."""
    storage, provider = MemoryStorage(), Provider()
    login = saved(storage, held())
    logout = conductor_over(storage, http=provider).logout
    assert logout.sign_out(login).revoked is True
    asked = len(provider.revoked)
    second = logout.sign_out(login)
    assert (second.login.state, second.revoked, second.problem) == (State.IDLE, None, None)
    assert (second.refresh_token_valid, second.access_token_valid) == (False, False)
    assert len(provider.revoked) == asked


def test_a_login_that_has_left_the_storage_is_signed_out() -> None:
    """Where no record of it is left, no tokens are left either."""
    login = held()
    ended = conductor_over(MemoryStorage(), http=Provider()).logout.sign_out(login)
    assert (ended.login, ended.revoked) == (login, None)


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_newer_login_of_the_account_is_signed_out_too(when: str) -> None:
    """Whoever signs out of an account is signed out of it afterwards, also of a login just made."""
    storage = MemoryStorage()
    older, newer = saved(storage, held(0)), held(1)

    def sign_in_anew() -> None:
        superseded(storage, older, newer)

    if when == "before":
        sign_in_anew()
    provider = Provider([sign_in_anew] if when == "during" else [])
    ended = conductor_over(storage, http=provider).logout.sign_out(older)
    assert (ended.login.id, ended.login.state, ended.revoked) == (newer.id, State.IDLE, True)
    assert [one.holds_tokens for one in storage.summaries()] == [False, False]
    assert sum("refresh-1" in one for one in provider.revoked) == 1


def test_a_login_that_never_stops_changing_is_a_conflict() -> None:
    """After some rounds it is an error that differs from success, and the newest is kept."""
    storage = MemoryStorage()
    logins = [held(number) for number in range(9)]
    saved(storage, logins[0])

    class Busy(Provider):
        def send(self, request: HttpRequest) -> HttpResponse:
            if b"refresh-" in request.body:
                older, newer = logins.pop(0), logins[0]
                superseded(storage, older, newer)
            return answer(b"", 200)

    with pytest.raises(StorageConflict):
        conductor_over(storage, http=Busy()).logout.sign_out(logins[0])
    assert [one.id for one in storage.summaries() if one.holds_tokens] == [logins[0].id]


def test_a_refresh_whose_process_stopped_is_given_up_first() -> None:
    """The log says that its outcome is unknown, and then that the login was signed out."""
    storage = MemoryStorage()
    login = saved(storage, held(0, State.EXCHANGING, exchange=REFRESH_EXCHANGE))
    ended = conductor_over(storage, http=Provider()).logout.sign_out(login)
    assert ended.login.state is State.IDLE
    recorded = [
        (one.members["trigger"], one.members["reason"], one.members["to"])
        for one in storage.events()
        if "trigger" in one.members
    ]
    assert recorded == [
        ("postpone_refresh", "outcome_unknown", "expired"), ("logout", "signed_out", "idle"),
    ]  # fmt: skip


def test_a_login_without_a_refresh_token_has_only_one_to_revoke() -> None:
    """Nothing is sent for a token that is not there, and the result says that there was none."""
    storage, provider = MemoryStorage(), Provider()
    login = held()
    login = saved(storage, replace(login, tokens=replace(TOKENS, refresh_token=None)))
    ended = conductor_over(storage, http=provider).logout.sign_out(login)
    assert (ended.revoked, ended.refresh_token, ended.access_token_valid) == (True, False, False)
    assert len(provider.revoked) == 1


def test_a_setting_that_keeps_tokens_from_the_provider_keeps_nobody_signed_in() -> None:
    """Where the request cannot be made, the tokens are erased and may still be good there."""

    class Refusing(Provider):
        def send(self, request: HttpRequest) -> HttpResponse:
            raise ConfigInvalid("a token must not be sent to that address")

    storage = MemoryStorage()
    ended = conductor_over(storage, http=Refusing()).logout.sign_out(saved(storage, held()))
    assert (ended.login.state, ended.revoked) == (State.IDLE, False)
    assert isinstance(ended.problem, ConfigInvalid)
    assert (ended.refresh_token_valid, ended.access_token_valid) == (True, True)
