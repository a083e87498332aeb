"""The tables of the vault, and how SQLite is asked to keep them."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Final

from ..private_file import write_private
from .file import BUSY_MS, SECOND_HEADER
from .header import FORMAT, encode_copy

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from .header import Header

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
