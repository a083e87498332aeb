"""Mending a vault: in place where that is possible, else by another vault in its place.

Nothing is deleted. What does not open is set aside, and looked at again at the next mending.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Protocol

from ...engine.errors import Damaged
from ...engine.ports import Storage
from ...engine.summary import account_alias
from ..keys.slots import KeyMissing
from ..migrating import import_tokens
from .definitions import need_restoring, restore_definitions
from .file import DATABASE
from .file import set_aside as set_aside_places
from .repair import (
    Mended,
    definitions_event,
    mend,
    restore_header,
    rollback_recorded,
    set_files_aside,
    whole_vault_event,
)
from .set_aside import sound_vault_aside, vaults_aside

if TYPE_CHECKING:
    from ...engine.audit.events import Event, Recorded
    from ...engine.record import Login
    from .connection import VaultConnection
    from .rollback import RollbackMarker
    from .set_aside import AsideVault, Unlock


class Mendable(Storage, Protocol):
    """The vault, as far as mending needs it."""

    @property
    def directory(self) -> str:
        """Where it is."""
        ...

    def exists(self) -> bool:
        """Whether there is a vault already."""
        ...

    def note(self, event: Event) -> Recorded:
        """Write ``event`` into the log."""
        ...

    def record_rollback(self) -> None:
        """Commit, so that the log says that an older copy was put back."""
        ...


class Mending:
    """Mends one vault."""

    def __init__(
        self, vault: Mendable, connection: VaultConnection, marker: RollbackMarker, unlock: Unlock
    ) -> None:
        """Mend ``vault``, whose parts the others are."""
        self._vault = vault
        self._connection = connection
        self._marker = marker
        self._unlock = unlock
        self._directory = vault.directory

    def mend(self, *, without_key: bool = False) -> list[Mended]:
        """Set aside what does not open, and put right what can be; gives what was done.

        If the vault does not open at all, and one that was set aside opens and is as it was saved,
        that one is taken back. Otherwise a new vault takes along what opens.

        Args:
            without_key: Also set aside a vault whose key is merely missing.

        Raises:
            KeyMissing: The key is not where it was looked for, and ``without_key`` is not set.
            StorageError: The vault cannot be written, or its key cannot be had today.
        """
        done: list[Mended] = []
        replaced: str | None = None
        present = self._file()
        try:
            done = self.in_place()
        except Damaged as problem:
            aside = sound_vault_aside(self._directory, self._unlock)
            if aside is not None:
                done, replaced = self._take_back(aside, problem, present)
            elif isinstance(problem, KeyMissing) and not without_key:
                raise
            else:
                done = self._replace(problem, present)
        done.extend(self._record_rollback())
        self._marker.forget()
        if set_aside_places(self._directory):
            with self._connection.mending():
                done.extend(self._take_along_from_aside(replaced))
        return done

    def _record_rollback(self) -> list[Mended]:
        """Commit, if an older copy was put back: the log then says so, and it is no problem any more."""
        if not self._marker.problems:
            return []
        self._vault.record_rollback()
        return [rollback_recorded()]

    def in_place(self) -> list[Mended]:
        """Put right what can be without another vault: the definitions of the tables, then the rows."""
        restored: list[str] = []
        if need_restoring(self._directory):
            with self._connection.replacing():
                self._connection.forget_keys()
                restored = restore_definitions(self._directory)
        done = [Mended(login=None, message=message) for message in restored]
        if not self._vault.exists():
            return done
        done += self._mend_rows()
        if restored:  # last: the log can be written once the integrity record is in order
            self._vault.note(definitions_event())
        return done

    def _mend_rows(self) -> list[Mended]:
        with self._connection.writing() as (connection, keys):
            done = mend(connection, keys)
            header = self._connection.header
            return done if header is None else [*done, *restore_header(connection, keys, header)]

    def _file(self) -> tuple[int, int] | None:
        """Which file the database is: a vault in its place is another file."""
        try:
            found = os.lstat(os.path.join(self._directory, DATABASE))
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _replace(self, problem: Damaged, present: tuple[int, int] | None) -> list[Mended]:
        """Set the whole vault aside, and make a new one, if ``present`` is still the database."""
        with self._connection.replacing():
            self._connection.forget_keys()
            if self._file() != present:  # another process has replaced it meanwhile
                return []
            place = set_files_aside(self._directory)
            self._connection.make_anew()
        self._vault.note(whole_vault_event())
        return [Mended(login=None, message=f"{problem.message}: it was set aside in {place}")]

    def _take_back(
        self, aside: AsideVault, problem: Damaged, present: tuple[int, int] | None
    ) -> tuple[list[Mended], str | None]:
        """Set the present vault aside, and make ``aside`` the present one.

        Nothing is done if ``present`` is no longer the database. Gives what was done, and where the vault that was the present one is.
        """
        with self._connection.replacing():
            self._connection.forget_keys()
            if self._file() != present:  # another process has replaced it meanwhile
                return [], None
            place = set_files_aside(self._directory)
            aside.take_back(self._directory)
        self._vault.note(whole_vault_event())
        back = Mended(login=None, message=f"the vault in {aside.place} opens: it was taken back")
        if place == aside.place:  # there was no other
            return [back], place
        gone = Mended(login=None, message=f"{problem.message}: it was set aside in {place}")
        return [gone, back], place

    def _take_along_from_aside(self, replaced: str | None) -> list[Mended]:
        """Keep the logins that open in vaults that were set aside, beside those of the present one.

        A login that the present vault has for the same account is the newer one, and stays.

        Args:
            replaced: The directory of a vault that an older one has just replaced: its logins are
                the newer ones, and get an account name that is free.
        """
        done: list[Mended] = []
        for aside in vaults_aside(self._directory, self._unlock):
            for login in aside.logins:
                account = self._free_account(login, beside=aside.place == replaced)
                if login.tokens is None or account is None:
                    continue
                kept = import_tokens(
                    self._vault, login.config, login.tokens, account, login.identity
                )
                told = "kept" if account == login.account else f"kept as {account}"
                message = f"{login.provider} {login.account}: {told}"
                done.append(Mended(login=kept.id, message=message))
            if aside.torn:
                done.append(Mended(login=None, message=f"{aside.torn} logins do not open"))
            aside.note_taken_along()
        return done

    def _free_account(self, login: Login, *, beside: bool) -> str | None:
        """The account name under which ``login`` is kept; ``None`` if it is not needed.

        Args:
            login: A finished login of another vault.
            beside: Whether it is kept under another name if its own is not free.
        """
        for number in count(1):
            account = login.account if number == 1 else f"{login.account}-{number}"
            here = self._vault.find(account_alias(login.provider, account))
            if here is None:
                return account
            if not beside or here.tokens == login.tokens:
                break
        return None
