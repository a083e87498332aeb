"""The tables of the vault, and how SQLite is asked to keep them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.audit.events import Event, EventKind, Outcome
from ...engine.errors import StorageError
from ..audit.keys import new_audit_keys, write_audit_keys
from ..audit.rows import append_event
from ..host import origin
from ..keys.sealing import Keys
from ..private_file import open_private, sync_directory, write_private
from .file import APPLICATION_ID, BUSY_MS, DATABASE, SECOND_HEADER
from .header import FORMAT, Header, encode_copy
from .integrity import Head

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from .database import Database

_WAL_SAFE: Final = (3, 51, 3)
"""Before this SQLite, two processes could corrupt a WAL database while resetting its log."""

TABLES: Final = """
CREATE TABLE header (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL, mac BLOB NOT NULL);
CREATE TABLE login (
  id TEXT PRIMARY KEY, version INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL, epoch INTEGER NOT NULL, idx BLOB UNIQUE,
  meta BLOB NOT NULL, secret BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, mac BLOB NOT NULL);
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL, mac BLOB NOT NULL);
CREATE TABLE tree (place INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE audit_key (first_seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE quarantine (
  number INTEGER PRIMARY KEY, since REAL NOT NULL, why TEXT NOT NULL,
  id, version, state, epoch, idx, meta, secret
);
"""
"""Vaults are compared with these statements (:mod:`.definitions`): a change of one is a new format.
The table of :mod:`.entries` is made with the first entry. The columns of ``quarantine`` have no types: a row that does not open is kept as it was found."""


def set_pragmas(connection: sqlite3.Connection) -> None:
    """How this connection writes: durable on commit, nothing left of what was deleted."""
    wal = sqlite3.sqlite_version_info >= _WAL_SAFE
    for pragma in (
        f"busy_timeout = {BUSY_MS}",
        f"journal_mode = {'WAL' if wal else 'TRUNCATE'}",
        f"synchronous = {'FULL' if wal else 'EXTRA'}",
        "secure_delete = ON",
        "trusted_schema = OFF",
        "mmap_size = 0",
    ):
        connection.execute(f"PRAGMA {pragma}")


def create_database(directory: str, header: Header, keys: Keys) -> Recorded:
    """Make the vault, and give the first record of its log.

    It is made in a file of its own first, so that nobody meets half a vault.

    Raises:
        StorageError: It could not be made; nothing is left of it.
    """
    body = header.encode()
    aside = os.path.join(directory, f"{DATABASE}.new")
    _remove(aside)  # its making is ours alone: what is there was left by a process that died
    try:
        os.close(open_private(aside, create=True))
        connection = sqlite3.connect(aside, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = DELETE")  # leaves no file behind
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.executescript(f"BEGIN; {TABLES}")
            write_audit_keys(connection, keys, new_audit_keys())
            connection.execute("INSERT INTO header VALUES (1, ?, ?)", (body, keys.header_mac(body)))
            created = begin_log(connection, keys, header)
            connection.execute("COMMIT")
        finally:
            connection.close()
        os.replace(aside, os.path.join(directory, DATABASE))
        sync_directory(directory)
        with suppress(StorageError):  # the vault is there, and the next writer tries again
            write_copy(directory, body, keys)
    except StorageError:
        _remove(aside)
        raise
    except (sqlite3.Error, OSError) as error:
        _remove(aside)
        why = error.strerror if isinstance(error, OSError) else None
        raise StorageError(
            f"cannot make the vault: {(why or 'its file cannot be written').lower()}", hint="df -h"
        ) from error
    return created


def begin_log(connection: Database, keys: Keys, header: Header) -> Recorded:
    """Write the integrity record of a new storage, and the first record of its log.

    That record says that the storage was created, and with which kind of key. It says neither where
    the storage is nor where its key is.
    """
    event = Event(
        time=header.created_at,
        event=EventKind.STORAGE_CREATED,
        origin=origin(),
        outcome=Outcome.SUCCESS,
        detail=f"key={header.slots[0].kind}",
    )
    head, created = append_event(connection, keys, Head(), event)
    connection.execute("INSERT INTO head VALUES (1, ?, ?)", head.encode(keys))
    return created


def write_copy(directory: str, body: bytes, keys: Keys) -> None:
    """Write the header ``body`` beside the database as well.

    Raises:
        StorageError: It cannot be written.
    """
    copy = encode_copy(body, keys.header_mac(body))
    write_private(os.path.join(directory, SECOND_HEADER), copy)


def put_header(connection: sqlite3.Connection, header: Header, keys: Keys) -> None:
    """Make ``header`` the vault's, in the transaction that is open.

    The copy beside the database follows once this is durable: the writer of this commit writes it,
    or the next one that finds it older.
    """
    body = header.encode()
    connection.execute("UPDATE header SET body = ?, mac = ?", (body, keys.header_mac(body)))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def _remove(aside: str) -> None:
    for leftover in (aside, f"{aside}-journal"):
        if os.path.lexists(leftover):
            os.unlink(leftover)
