"""Vaults that were set aside: which of them opens with a key at hand, and what is in it.

A vault lies in a directory ``set-aside-…`` because it was damaged, because its key was missing, or
because a process ended while it was being replaced. As long as its logins were not taken along, it
is looked at again: its key may be at hand by then.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...engine.errors import StorageError
from ..private_file import write_private
from .file import note_taken_along, open_database, set_aside
from .problems import problems_of
from .repair import move_files, salvage
from .sqlite_errors import translated

if TYPE_CHECKING:
    from ...engine.record import Login
    from ..keys.sealing import Keys
    from .header import Header


class Unlock(Protocol):
    """Finds the keys of a vault."""

    def __call__(
        self, connection: sqlite3.Connection, directory: str | None = None, /
    ) -> tuple[Header, Keys]:
        """The header and the keys of the vault in ``directory``, by default the present one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AsideVault:
    """A vault that was set aside and opens.

    Attributes:
        place: The directory it lies in.
        logins: The finished logins that open in it.
        torn: How many rows do not open.
        sound: Whether all of it is as it was saved.
    """

    place: str
    logins: list[Login]
    torn: int
    sound: bool

    def take_back(self, directory: str) -> None:
        """Make it the vault in ``directory``, where no vault is.

        Raises:
            StorageError: Its files cannot be moved.
        """
        move_files(self.place, directory)
        with suppress(OSError):  # something else is in it: it stays
            os.rmdir(self.place)

    def note_taken_along(self) -> None:
        """Note that its logins are in the present vault: it is not looked at again.

        Raises:
            StorageError: The note cannot be written.
        """
        write_private(note_taken_along(self.place), b"")


def vaults_aside(directory: str, unlock: Unlock) -> list[AsideVault]:
    """The vaults that were set aside in ``directory`` and open here, newest first."""
    found = [_opened(place, unlock) for place in set_aside(directory)]
    return [one for one in found if one is not None]


def sound_vault_aside(directory: str, unlock: Unlock) -> AsideVault | None:
    """The newest vault that was set aside, has logins, opens here and is as it was saved."""
    for one in vaults_aside(directory, unlock):
        if one.sound and one.logins:
            return one
    return None


def _opened(place: str, unlock: Unlock) -> AsideVault | None:
    with suppress(StorageError, OSError), translated():
        connection = open_database(place)
        if connection is None:
            return None
        with closing(connection):
            _, keys = unlock(connection, place)
            logins, torn = salvage(connection, keys)
            try:
                with translated():
                    whole = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
                    sound = whole and not problems_of(connection, keys)
            except StorageError:
                sound = False
            return AsideVault(place=place, logins=logins, torn=torn, sound=sound)
    return None
