"""Two vaults on one directory, against a model that is a few dictionaries."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from holdfast.engine.errors import StorageConflict
from holdfast.engine.record import Login, account_alias, state_alias
from holdfast.engine.secret import Secret
from holdfast.engine.table import State
from holdfast.storage import EncryptedFileStorage
from holdfast.testing.storage_contract import finished, further, pending, saved
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
        self.events = 0
        self.begun = 0

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

    @invariant()
    def both_see_the_same(self) -> None:
        """Each of them reads what the model holds, and the log has one event a version."""
        for vault in self.vaults:
            for login in self.logins.values():
                assert vault.read(login.id) == login
                if login.alias is not None:
                    assert vault.find(login.alias) == login
            assert {one.id for one in vault.summaries()} == set(self.logins)
            assert [event.seq for event in vault.events()] == list(range(1, self.events + 1))
            assert vault.find(state_alias(Secret("never"))) is None
        assert self.vaults[0].problems() == []


TestVaults = Vaults.TestCase
TestVaults.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
