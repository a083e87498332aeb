"""What every storage must hold, as tests for its author to run.

::

    class TestMine(StorageContract):
        @pytest.fixture
        def storage(self):
            return MyStorage(...)

A failing test names the rule that is broken in its first line.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ..engine.errors import LoginBusy, StorageConflict
from ..engine.events import Event, EventKind, Origin
from ..engine.login_id import new_login_id
from ..engine.ports import Change, Storage
from ..engine.provider import OAuthConfig
from ..engine.record import Challenge, Login, account_alias, state_alias
from ..engine.secret import Secret
from ..engine.table import State
from ..engine.tokens import OAuthTokens

NOW = 1_800_000_000.0
_ORIGIN = Origin(pid=1, host="host", user="user", app_version="1")


class _SystemRandomness:
    def octets(self, count: int) -> bytes:
        return os.urandom(count)


class _Randomness:
    octets = staticmethod(secrets.token_bytes)


def pending(provider: str = "acme", *, state: str = "state") -> Login:
    """A login that waits for the callback with ``state``."""
    return Login(
        id=new_login_id(_SystemRandomness()),
        version=1,
        state=State.AWAITING_CALLBACK,
        config=OAuthConfig(service_name=provider, client_id="client"),
        account="default",
        created_at=NOW,
        changed_at=NOW,
        deadline=NOW + 600,
        challenge=Challenge(
            verifier=Secret("verifier"), state=Secret(state), nonce=Secret("nonce")
        ),
    )


def finished(provider: str = "acme", *, token: str = "token") -> Login:
    """A login that holds ``token``."""
    return replace(
        pending(provider),
        state=State.AUTHENTICATED,
        challenge=None,
        deadline=None,
        tokens=OAuthTokens(access_token=token, issued_at=NOW, expires_in=3600.0),
    )


def change(login: Login) -> Change:
    """The change that leads to ``login``, and its event."""
    event = Event(
        time=NOW,
        event=EventKind.TRANSITION,
        origin=_ORIGIN,
        login=login.id,
        version=login.version,
        fingerprints={"client": Secret(login.config.client_id)},
    )
    return Change(login=login, event=event)


def further(login: Login, **amended: object) -> Login:
    """``login``, one version on."""
    return replace(login, version=login.version + 1, **amended)  # type: ignore[arg-type]  # by name


def saved(storage: Storage, logins: Sequence[Login]) -> None:
    """Commit ``logins`` as one."""
    storage.commit([change(login) for login in logins])


class StorageContract:
    """The rules; a subclass gives the fixture ``storage``."""

    @pytest.fixture
    def storage(self) -> Storage:
        """The storage under test, empty."""
        raise TypeError("a subclass gives the storage")

    def test_what_is_saved_is_read(self, storage: Storage) -> None:
        """A login is read as it was saved, by its id and by its alias."""
        login = pending()
        saved(storage, [login])
        assert storage.read(login.id) == login
        assert storage.find(state_alias(Secret("state"))) == login
        assert storage.find(state_alias(Secret("another"))) is None
        assert [summary.id for summary in storage.summaries()] == [login.id]

    def test_nothing_newer_is_written_over(self, storage: Storage) -> None:
        """A change decided upon another version than the saved one is refused, whole."""
        login = pending()
        saved(storage, [login])
        newer = further(login)
        saved(storage, [newer])
        with pytest.raises(StorageConflict):
            saved(storage, [further(login, reason="late")])
        assert storage.read(login.id) == newer
        assert len(storage.events()) == 2

    def test_several_changes_are_one(self, storage: Storage) -> None:
        """Of several changes, all are saved or none."""
        first, second = pending(state="one"), pending(state="two")
        saved(storage, [second])
        with pytest.raises(StorageConflict):
            saved(storage, [first, second])
        assert storage.read(first.id) is None
        assert len(storage.events()) == 1

    def test_a_newer_login_takes_the_place_of_an_older(self, storage: Storage) -> None:
        """In one commit the older login gives up its account and the newer one takes it."""
        older = finished(token="old")
        saved(storage, [older])
        gone = further(older, state=State.IDLE, tokens=None)
        newer = finished(token="new")
        saved(storage, [gone, newer])
        assert storage.find(account_alias("acme", "default")) == newer
        with pytest.raises(StorageConflict):
            saved(storage, [finished(token="third")])

    def test_events_are_numbered_without_gaps(self, storage: Storage) -> None:
        """Every change and every note is one event, with the next number."""
        login = pending()
        saved(storage, [login])
        storage.note(Event(time=NOW, event=EventKind.REFUSED, origin=_ORIGIN, reason="wrong_state"))
        saved(storage, [further(login)])
        events = storage.events()
        assert [event.seq for event in events] == [1, 2, 3]
        assert [event.seq for event in storage.events(after=1, limit=1)] == [2]
        assert events[1].members["reason"] == "wrong_state"
        assert events[0].members["client_fp"] == events[2].members["client_fp"]
        assert "client" not in str(events[0].members["client_fp"])

    def test_a_lease_excludes_others(self, storage: Storage) -> None:
        """While one thread holds a login, another is refused; then it is free."""
        refused: list[str] = []

        def ask() -> None:
            try:
                with storage.lease("0" * 26, wait=0.05):
                    pass
            except LoginBusy as error:
                refused.append(error.code)

        with storage.lease("0" * 26, wait=0):
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            with storage.lease("1" * 26, wait=0):  # another login is another matter
                pass
        assert refused == ["LOGIN_BUSY"]
        with storage.lease("0" * 26, wait=0):
            pass

    def test_waiting_ends_when_it_has_no_more_point(self, storage: Storage) -> None:
        """A waiter whose question has been answered leaves long before its deadline."""
        with storage.lease("0" * 26, wait=0):
            left = threading.Event()

            def ask() -> None:
                with pytest.raises(LoginBusy), storage.lease("0" * 26, wait=60, until=lambda: True):
                    pass
                left.set()

            threading.Thread(target=ask, daemon=True).start()
            assert left.wait(10)
