"""SQLite's errors as ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ...engine.errors import Damaged, OutcomeUnknown, StorageError, StorageFull

_FULL: Final = 13
_IOERR: Final = 10
_CORRUPT: Final = frozenset({11, 26})  # malformed; not a database
_READONLY: Final = frozenset({8, 14})  # read-only; cannot open
_BUSY: Final = frozenset({5, 6})


@contextmanager
def translated(*, committing: bool = False) -> Generator[None]:
    """Errors of SQLite inside the block come out as storage errors.

    Args:
        committing: Whether a failing disk leaves it open what became durable.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(error, committing=committing) from error
    except UnicodeDecodeError as error:  # a torn schema, which SQLite quotes in its message
        raise Damaged(
            "the vault is not readable as a database", hint="stayfast help storage"
        ) from error


def _translate(error: sqlite3.Error, *, committing: bool) -> StorageError:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == _FULL:
        return StorageFull("there is no space left for the vault", hint="df -h")
    undecodable = isinstance(error, sqlite3.OperationalError) and not code  # text that is not UTF-8
    if code in _CORRUPT or undecodable:
        return Damaged("the vault is not readable as a database", hint="stayfast help storage")
    if code == _IOERR and committing:
        return OutcomeUnknown(
            "the disk failed while the vault was written; what is durable is unknown",
            hint="stayfast status",
        )
    if code in _READONLY:
        return StorageError("the vault cannot be written", hint="export STAYFAST_STATE_DIR=…")
    if code in _BUSY:
        return StorageError("another program holds the vault", hint="try again in a while")
    return StorageError(f"the vault cannot be used: {error}", hint="stayfast help storage")
