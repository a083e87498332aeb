"""Sealed entries beside the logins: what belongs to a provider and outlives a login.

An entry is found by its name, which the database does not see. It is no login, moves along no table,
and is in no tree: an entry that was taken away, or put back as it was earlier, costs what can be had
again (a registration, a copy of published metadata). One that does not open is no entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ...engine import cbor
from ...engine.errors import Damaged

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from .database import Database

TABLE = """
CREATE TABLE IF NOT EXISTS entry (
  idx BLOB PRIMARY KEY, epoch INTEGER NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID
"""
"""In SQLite. A vault of an earlier version gets the table with its first entry."""
_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'entry'"


def has_entries(connection: Database) -> bool:
    """Whether a vault in SQLite has the table."""
    return connection.execute(_THERE).fetchone() is not None


def read_entry(connection: Database, keys: Keys, name: str) -> bytes | None:
    """The entry ``name``, or ``None``."""
    found = connection.execute(
        "SELECT sealed FROM entry WHERE idx = ?", (keys.entry_index(name),)
    ).fetchone()
    opened = _opened(keys, keys.entry_index(name), found[0]) if found else None
    return opened[1] if opened and opened[0] == name else None


def write_entry(connection: Database, keys: Keys, name: str, value: bytes | None) -> None:
    """Make ``value`` the entry ``name``; ``None`` removes it."""
    index = keys.entry_index(name)
    if value is None:
        connection.execute("DELETE FROM entry WHERE idx = ?", (index,))
        return
    sealed = keys.seal_entry(index, cbor.encode({"name": name, "value": value}))
    connection.execute(
        "INSERT INTO entry (idx, epoch, sealed) VALUES (?, ?, ?) ON CONFLICT (idx) DO UPDATE SET"
        " epoch = excluded.epoch, sealed = excluded.sealed",
        (index, keys.epoch, sealed),
    )


def every_entry(connection: Database, keys: Keys) -> Iterator[tuple[str, bytes]]:
    """Name and value of every entry that opens."""
    for index, sealed in list(connection.execute("SELECT idx, sealed FROM entry")):
        opened = _opened(keys, index, sealed)
        if opened is not None:
            yield opened


def reseal_entries(connection: Database, old: Keys, new: Keys) -> None:
    """Seal every entry under another root key; one that does not open goes."""
    kept = list(every_entry(connection, old))
    connection.execute("DELETE FROM entry")
    for name, value in kept:
        write_entry(connection, new, name, value)


def _opened(keys: Keys, index: object, sealed: object) -> tuple[str, bytes] | None:
    with suppress(Damaged, cbor.CborError, TypeError, ValueError, KeyError):
        if isinstance(index, bytes) and isinstance(sealed, bytes):  # SQLite keeps any type
            members = cbor.decode_map(keys.open_entry(index, sealed))
            name, value = members["name"], members["value"]
            if isinstance(name, str) and isinstance(value, bytes):
                return name, value
    return None
