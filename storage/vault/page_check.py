"""SQLite's own check of the pages of a vault, made of a copy so that no writer waits for it.

Pages that nobody asks for may be torn unnoticed; ``PRAGMA integrity_check`` reads all of them. That is
one read, which takes seconds in a large vault, and with a rollback journal no process can commit as long
as another one reads. So the pages are copied by many short reads, and the copy is checked. It holds
only what is sealed in the vault as well, and lies in a temporary file of SQLite's that has no name.

If a process commits between two of these reads, SQLite begins the copy again. Where that happens too
often, the rest is copied in one read, which takes about a second for a gigabyte.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from ...engine.errors import StorageError
from .sqlite_errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGES: Final = 500  # of 4 KiB: read in a millisecond or two
_TIMES_ANEW: Final = 5
_CHECK: Final = "PRAGMA integrity_check(1)"


class _BeginsAgain(Exception):
    """The copy was begun again too often."""


def torn_pages(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong with its file; empty if all is well."""
    try:
        with translated():
            found = _checked(connection)
    except StorageError as error:
        return [error.message]
    return [] if found == ("ok",) else ["pages of the vault are torn"]


def copy_pages(
    connection: sqlite3.Connection,
    to: Callable[[], sqlite3.Connection],
    between: Callable[[], object] = bool,
) -> sqlite3.Connection:
    """A copy of all pages, as they are at one moment.

    Args:
        connection: The vault. No transaction is open.
        to: Makes an empty database for the copy.
        between: Called between two reads, when other processes can write.

    Raises:
        sqlite3.Error: The vault cannot be read, or there is no room for a copy.
    """
    copy = to()

    def at_once(status: int, _remaining: int, _total: int) -> None:
        if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:  # else it is tried for ever
            raise sqlite3.OperationalError("the database is locked")

    left: int | None = None
    anew = 0

    def after(status: int, remaining: int, total: int) -> None:
        nonlocal left, anew
        at_once(status, remaining, total)
        anew += left is not None and remaining >= left  # no less is left than before
        left = remaining
        if anew > _TIMES_ANEW:
            raise _BeginsAgain
        between()

    try:
        try:
            connection.backup(copy, pages=_PAGES, progress=after)
        except _BeginsAgain:
            copy.close()
            copy = to()
            connection.backup(copy, progress=at_once)
    except BaseException:
        copy.close()
        raise
    return copy


def _checked(connection: sqlite3.Connection) -> object:
    try:
        copy = copy_pages(connection, lambda: sqlite3.connect(""))
    except sqlite3.Error:  # there is no room for a copy, or the vault is torn: the check says so
        return connection.execute(_CHECK).fetchone()
    with closing(copy):
        return copy.execute(_CHECK).fetchone()
