"""Makes a vault, and begins its audit log."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from ...engine.audit.events import Event, EventKind, Outcome
from ...engine.errors import StorageError
from ..audit.keys import new_audit_keys, write_audit_keys
from ..audit.rows import append_event
from ..host import origin
from ..private_file import open_private, sync_directory
from .file import APPLICATION_ID, DATABASE
from .header import FORMAT, Header
from .integrity import Head
from .schema import TABLES, write_copy

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from .database import Database


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


def _remove(aside: str) -> None:
    for leftover in (aside, f"{aside}-journal"):
        if os.path.lexists(leftover):
            os.unlink(leftover)
