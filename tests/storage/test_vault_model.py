"""Two vaults on one directory, and processes that come and die, against a few dictionaries."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from instant import ManualClock
from logins import ORIGIN
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import Damaged, IllegalTransition, StorageConflict
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.machine import next_state
from stayfast.engine.record import Login, state_alias
from stayfast.engine.secret import Secret
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State, Trigger
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.vault.integrity import read_head
from stayfast.storage.vault.login_rows import put_logins
from stayfast.testing.storage_contract import NOW, change, finished, further, pending, saved

which = st.integers(0, 1)
number = st.integers(0, 5)


class Vaults(RuleBasedStateMachine):
    """What two processes may do with one vault, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.vaults = [self.open(), self.open()]
        self.logins: dict[str, Login] = {}
        self.old: list[Login] = []  # versions that are no longer the newest
        self.vaults[0].probe()
        self.events = len(self.vaults[1].events())  # what the storage recorded of itself
        self.begun = 0
        self.clock = ManualClock(NOW)

    def open(self) -> EncryptedFileStorage:
        return EncryptedFileStorage(
            str(self.place / "s"), config_dir=str(self.place / "c"), environ={}
        )

    def teardown(self) -> None:
        for vault in self.vaults:
            vault.close()
        shutil.rmtree(self.place)

    def save(self, vault: int, *logins: Login) -> None:
        saved(self.vaults[vault], logins)
        for login in logins:
            if login.id in self.logins:
                self.old.append(self.logins[login.id])
            self.logins[login.id] = login
        self.events += len(logins)

    def holder(self, provider: str) -> Login | None:
        alias = account_alias(provider, "default")
        return next((one for one in self.logins.values() if one.alias == alias), None)

    @rule(vault=which)
    def begin(self, vault: int) -> None:
        """A new login waits."""
        self.begun += 1
        self.save(vault, pending(f"p{self.begun % 3}", state=f"state{self.begun}"))

    @rule(vault=which, of=number)
    @precondition(lambda self: self.logins)
    def finish(self, vault: int, of: int) -> None:
        """A waiting login ends with tokens, and an older one of its account makes room."""
        login = list(self.logins.values())[of % len(self.logins)]
        if login.tokens is not None:
            return
        done = finished(login.provider)
        newer = further(
            login, state=State.AUTHENTICATED, challenge=None, deadline=None, tokens=done.tokens
        )
        older = self.holder(login.provider)
        if older is None:
            self.save(vault, newer)
            return
        with pytest.raises(StorageConflict):
            saved(self.vaults[vault], [newer])
        self.save(vault, further(older, state=State.IDLE, tokens=None), newer)

    @rule(vault=which, of=number, times=st.integers(1, 3))
    @precondition(lambda self: self.logins)
    def go_on(self, vault: int, of: int, times: int) -> None:
        """One login moves on by several versions in one commit."""
        changes = [further(list(self.logins.values())[of % len(self.logins)], reason="moved")]
        while len(changes) < times:
            changes.append(further(changes[-1]))
        self.save(vault, *changes)

    @rule(vault=which, of=number)
    @precondition(lambda self: self.old)
    def too_late(self, vault: int, of: int) -> None:
        """A change decided upon an older version is refused, with whatever else it came with."""
        self.begun += 1
        new = pending(state=f"state{self.begun}")
        with pytest.raises(StorageConflict):
            saved(self.vaults[vault], [new, further(self.old[of % len(self.old)])])
        assert self.vaults[vault].read(new.id) is None

    @rule(vault=which)
    def reopen(self, vault: int) -> None:
        """A process ends; another one opens the vault anew."""
        self.vaults[vault].close()
        self.vaults[vault] = self.open()

    @rule(vault=which)
    def hold(self, vault: int) -> None:
        """A lease of one keeps the other out of nothing but itself."""
        for login in list(self.logins)[:1]:
            with self.vaults[vault].lease(login, wait=0):
                assert self.vaults[1 - vault].read(login) == self.logins[login]

    def login(self, of: int) -> Login:
        return list(self.logins.values())[of % len(self.logins)]

    def elsewhere(self, work: Callable[[EncryptedFileStorage], None]) -> None:
        """Do ``work`` in another process, which ends without tidying up."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(self.open())
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0

    @rule(of=number)
    @precondition(lambda self: self.logins)
    def second_process(self, of: int) -> None:
        """Another process moves a login on, and is gone."""
        newer = further(self.login(of), reason="elsewhere")
        self.elsewhere(lambda vault: saved(vault, [newer]))
        self.old.append(self.logins[newer.id])
        self.logins[newer.id] = newer
        self.events += 1

    @rule(of=number)
    @precondition(lambda self: self.logins)
    def crash(self, of: int) -> None:
        """Another process dies in the middle of a change, with a lease and every lock in hand."""
        newer = further(self.login(of), reason="never")

        def die(vault: EncryptedFileStorage) -> None:
            with (
                vault.lease(newer.id, wait=0),
                vault._vault_connection.writing() as (connection, keys),
            ):
                connection.execute("PRAGMA cache_size = 1")  # so that pages reach the file
                put_logins(connection, keys, read_head(connection, keys), [change(newer)])
                connection.execute("UPDATE audit SET body = zeroblob(length(body))")
                os._exit(0)

        self.elsewhere(die)

    @rule(vault=which, seconds=st.sampled_from([-86_400.0, -1.0, 0.0, 3600.0, 1e9]))
    def jump(self, vault: int, seconds: float) -> None:
        """The clock goes wherever it likes; a login moves along the table all the same."""
        self.clock.time = max(0.0, self.clock.time + seconds)
        ledger = Ledger(self.vaults[vault], self.clock, ORIGIN)
        for login in list(self.logins.values())[:1]:
            for trigger in (Trigger.CANCEL, Trigger.EXPIRE, Trigger.LOGOUT):
                try:
                    next_state(login, trigger)
                except IllegalTransition:
                    continue
                self.old.append(login)
                self.logins[login.id] = ledger.advance(login, trigger)
                self.events += 1
                break

    @rule(vault=which)
    def note(self, vault: int) -> None:
        """Something is noted that changed nothing."""
        event = Event(time=self.clock.now(), event=EventKind.REFUSED, origin=ORIGIN)
        assert self.vaults[vault].note(event).seq == self.events + 1
        self.events += 1

    @rule(vault=which, of=number, column=st.sampled_from(["secret", "version", "idx"]))
    @precondition(lambda self: self.logins)
    def damage(self, vault: int, of: int, column: str) -> None:
        """A row is torn, which costs that login and no other; then it is mended."""
        torn = self.login(of)
        with closing(sqlite3.connect(self.place / "s" / "vault.db", isolation_level=None)) as raw:
            (kept,) = raw.execute(f"SELECT {column} FROM login WHERE id = ?", (torn.id,)).fetchone()
            other = kept + 1 if column == "version" else os.urandom(len(kept or b"x" * 16))
            raw.execute(f"UPDATE login SET {column} = ? WHERE id = ?", (other, torn.id))
            storage = self.vaults[vault]
            assert storage.problems()
            for login in self.logins.values():
                if login.id != torn.id:
                    assert storage.read(login.id) == login
            if column == "idx":
                if torn.alias is not None:
                    with pytest.raises(Damaged):
                        storage.find(torn.alias)
            else:
                with pytest.raises(Damaged):
                    storage.read(torn.id)
            raw.execute(f"UPDATE login SET {column} = ? WHERE id = ?", (kept, torn.id))

    @invariant()
    def both_see_the_same(self) -> None:
        """Each of them reads what the model holds, and the log has one event a version."""
        for vault in self.vaults:
            for login in self.logins.values():
                assert vault.read(login.id) == login
                if login.alias is not None:
                    assert vault.find(login.alias) == login
            assert {one.id for one in vault.summaries()} == set(self.logins)
            seen = [event.seq for event in vault.events(limit=100_000)]
            assert seen == list(range(1, self.events + 1))
            assert vault.find(state_alias(Secret("never"))) is None
        assert self.vaults[0].problems() == []


TestVaults = Vaults.TestCase
TestVaults.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.soak
def test_vaults_for_long() -> None:
    """The same, thousands of times (``STAYFAST_EXAMPLES``) and a hundred steps each."""
    examples = int(os.environ.get("STAYFAST_EXAMPLES", "5000"))
    run_state_machine_as_test(
        Vaults, settings=settings(max_examples=examples, stateful_step_count=100, deadline=None)
    )
    print(f"\n{examples} walks of up to 100 steps, each as the model")
