"""The contract of a storage, as tests that its author runs.

::

    class TestMine(StorageContract):
        @pytest.fixture
        def storage(self):
            return MyStorage(...)

A failing test names the rule that is broken in its first line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ..engine.audit.events import Event, EventKind, Recorded
from ..engine.errors import LoginBusy, StorageConflict
from ..engine.ports import Storage
from ..engine.record import Login, state_alias
from ..engine.secret import Secret
from ..engine.summary import account_alias
from ..engine.table import State
from .sample_logins import NOW, ORIGIN, change, complete, finished, further, pending

__all__ = [
    "NOW",
    "StorageContract",
    "change",
    "complete",
    "finished",
    "further",
    "pending",
    "records_of_logins",
    "saved",
]


def saved(storage: Storage, logins: Sequence[Login]) -> None:
    """Commit ``logins`` as one."""
    storage.commit([change(login) for login in logins])


def records_of_logins(storage: Storage) -> list[Recorded]:
    """The records of logins in the log of ``storage``, in order.

    A storage may also record events of its own: that it was created, that its log was pruned. They
    are left out here.
    """
    return [
        one
        for one in storage.events(limit=1_000_000)
        if one.members["event"] in {EventKind.TRANSITION, EventKind.REFUSED}
    ]


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

    def test_entries_are_kept_beside_the_logins(self, storage: Storage) -> None:
        """Where a storage keeps what belongs to a provider: by name, the last value, with its event."""
        entries = getattr(getattr(storage, "capabilities", None), "entries", None)
        if entries is None:
            pytest.skip("this storage keeps logins alone")
        saved(storage, [pending()])
        before = storage.events(limit=1_000_000)
        assert entries.entry("a") is None
        assert entries.entries() == []
        entries.put_entry("a", b"1")
        entries.put_entry("a", b"\x00" * 4096)
        noted = Event(time=NOW, event=EventKind.CLIENT_REGISTERED, origin=ORIGIN)
        entries.put_entry("b\0ö", b"3", noted)
        assert dict(entries.entries()) == {"a": b"\x00" * 4096, "b\0ö": b"3"}
        entries.put_entry("a", None)
        assert (entries.entry("a"), entries.entry("b\0ö")) == (None, b"3")
        after = storage.events(limit=1_000_000)[len(before) :]
        assert [one.members["event"] for one in after] == [EventKind.CLIENT_REGISTERED]

    def test_nothing_newer_is_written_over(self, storage: Storage) -> None:
        """A change decided upon another version than the saved one is refused, whole."""
        login = pending()
        saved(storage, [login])
        newer = further(login)
        saved(storage, [newer])
        with pytest.raises(StorageConflict):
            saved(storage, [further(login, reason="late")])
        assert storage.read(login.id) == newer
        assert len(records_of_logins(storage)) == 2

    def test_several_changes_are_one(self, storage: Storage) -> None:
        """Of several changes, all are saved or none."""
        first, second = pending(state="one"), pending(state="two")
        saved(storage, [second])
        with pytest.raises(StorageConflict):
            saved(storage, [first, second])
        assert storage.read(first.id) is None
        assert len(records_of_logins(storage)) == 1

    def test_one_commit_may_take_several_steps(self, storage: Storage) -> None:
        """Changes of one login in one commit follow one another, each with its event."""
        first = pending()
        second = further(first, reason="second")
        saved(storage, [first, second])
        assert storage.read(first.id) == second
        assert [event.members["version"] for event in records_of_logins(storage)] == [1, 2]

    @pytest.mark.parametrize("gap", [0, 2])
    def test_a_step_that_does_not_follow_refuses_all_of_them(
        self, storage: Storage, gap: int
    ) -> None:
        """Several steps of one login count up by one, within a commit as from one to the next."""
        login = pending()
        saved(storage, [login])
        before = storage.read(login.id)
        first = further(login)
        second = replace(further(first), version=first.version + gap)
        with pytest.raises(StorageConflict):
            storage.commit([change(first), change(second)])
        assert storage.read(login.id) == before
        assert [one.members["version"] for one in records_of_logins(storage)] == [login.version]

    def test_a_refused_commit_changes_nothing(self, storage: Storage) -> None:
        """Neither records, aliases nor numbers show that a refused commit was tried."""
        login, other = pending(), pending(state="other")
        saved(storage, [login, other])
        unsaved = further(login, challenge=None, reason="not to be seen")
        with pytest.raises(StorageConflict):
            saved(storage, [unsaved, replace(other, reason="late")])
        assert storage.read(login.id) == login
        assert storage.find(state_alias(Secret("state"))) == login
        saved(storage, [further(login)])
        assert len(records_of_logins(storage)) == 3
        assert [event.seq for event in storage.events()] == list(
            range(1, len(storage.events()) + 1)
        )

    def test_a_spent_state_finds_nobody(self, storage: Storage) -> None:
        """Once the ``state`` of a login is erased, no callback finds it; its name is free again."""
        login = pending()
        saved(storage, [login])
        saved(storage, [further(login, challenge=None)])
        assert storage.find(state_alias(Secret("state"))) is None
        saved(storage, [pending()])

    def test_every_field_survives(self, storage: Storage) -> None:
        """A record is read as it was saved, with everything that it can hold."""
        login = complete()
        saved(storage, [login])
        assert storage.read(login.id) == login
        (summary,) = storage.summaries()
        assert summary == login.summary()

    def test_threads_lose_no_update(self, storage: Storage) -> None:
        """Of threads that change one login at once, each change is saved or refused."""
        login = pending()
        saved(storage, [login])

        def count() -> None:
            done = 0
            while done < 10:
                newest = storage.read(login.id)
                assert newest is not None
                try:
                    saved(storage, [further(newest)])
                except StorageConflict:
                    continue
                done += 1

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        counted = storage.read(login.id)
        assert counted is not None
        assert counted.version == 41
        versions = [event.members["version"] for event in records_of_logins(storage)]
        assert versions == list(range(1, 42))

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
        """Every change and every note is one event, with the next number.

        The first number is 1, also if a storage records something of its own before the first login.
        """
        login = pending()
        saved(storage, [login])
        noted = storage.note(
            Event(time=NOW, event=EventKind.REFUSED, origin=ORIGIN, reason="wrong_state")
        )
        last = storage.commit([change(further(login))])[-1]
        numbers = [event.seq for event in storage.events()]
        assert numbers == list(range(1, last.seq + 1))
        events = records_of_logins(storage)
        assert [event.seq for event in events] == [noted.seq - 1, noted.seq, noted.seq + 1]
        after = storage.events(after=noted.seq - 1, limit=1)
        assert [event.seq for event in after] == [noted.seq]
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

    def test_a_lease_ends_with_an_error(self, storage: Storage) -> None:
        """An error while a login is held gives it back."""
        with pytest.raises(ZeroDivisionError), storage.lease("0" * 26, wait=0):
            raise ZeroDivisionError
        with storage.lease("0" * 26, wait=0):
            pass

    def test_a_waiter_gets_the_lease(self, storage: Storage) -> None:
        """Who waits long enough gets the login when its holder has done."""
        got = threading.Event()
        asked = threading.Event()

        def point() -> bool:
            asked.set()
            return False

        def ask() -> None:
            with storage.lease("0" * 26, wait=20, until=point):
                got.set()

        thread = threading.Thread(target=ask)
        with storage.lease("0" * 26, wait=0):
            thread.start()
            assert asked.wait(10)
            assert not got.is_set()
        thread.join()
        assert got.is_set()

    def test_waiting_ends_when_it_has_no_more_point(self, storage: Storage) -> None:
        """A waiter leaves long before its deadline once its condition is true."""
        with storage.lease("0" * 26, wait=0):
            left = threading.Event()

            def ask() -> None:
                with pytest.raises(LoginBusy), storage.lease("0" * 26, wait=60, until=lambda: True):
                    pass
                left.set()

            threading.Thread(target=ask, daemon=True).start()
            assert left.wait(10)

    def test_a_waiter_hears_of_what_is_saved(self, storage: Storage) -> None:
        """A condition is tested again soon, whether it depends on a saved change or on anything else."""
        login = pending()
        saved(storage, [login])
        released = threading.Event()

        def moved_on() -> bool:
            newest = storage.read(login.id)
            return newest is not None and newest.version == 2

        with storage.lease(login.id, wait=0):
            left = [threading.Event(), threading.Event()]

            def ask(question: Callable[[], bool], gone: threading.Event) -> None:
                with pytest.raises(LoginBusy), storage.lease(login.id, wait=60, until=question):
                    pass
                gone.set()

            for question, gone in zip((moved_on, released.is_set), left, strict=True):
                threading.Thread(target=ask, args=(question, gone), daemon=True).start()
            saved(storage, [further(login)])
            assert left[0].wait(10)
            assert not left[1].is_set()
            released.set()
            assert left[1].wait(10)
