"""SQLite's errors as errors of ours, in words for people who do not know SQLite.

What cannot be read as a vault is :class:`Damaged`, whatever the file is: empty, cut off, torn, or of
another program. Our statements are constants, so a statement that SQLite cannot even prepare shows
that a table or column is missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from ...engine.errors import Damaged, OutcomeUnknown, StorageError, StorageFull
from ...engine.hints import Hint

_NO_SUCH_TABLE: Final = 1
_FULL: Final = 13
_IOERR: Final = 10
_CORRUPT: Final = frozenset({11, 26})  # malformed; not a database
_READONLY: Final = frozenset({8, 14})  # read-only; cannot open
_BUSY: Final = frozenset({5, 6})
_OF_TRANSACTIONS: Final = ("cannot commit", "cannot rollback", "cannot start a transaction")
"""What SQLite says with that number of transactions: it says nothing of the file."""
_MEND: Final = Hint("store mend")


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
        raise _unreadable() from error


def _translate(error: sqlite3.Error, *, committing: bool) -> StorageError:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    if code == _FULL:
        return StorageFull("there is no space left for the vault", hint="df -h")
    undecodable = isinstance(error, sqlite3.OperationalError) and not code  # text that is not UTF-8
    unknown = code == _NO_SUCH_TABLE and not str(error).startswith(_OF_TRANSACTIONS)
    if code in _CORRUPT or unknown or undecodable:
        return _unreadable()
    if code == _IOERR:
        return _failing_disk(committing=committing)
    if code in _READONLY:
        return StorageError("the vault cannot be written", hint="export STAYFAST_STATE_DIR=…")
    if code in _BUSY:
        return StorageError("another program holds the vault", hint="try again in a while")
    return StorageError(
        f"the vault cannot be used (SQLite error {code})", hint=Hint("help storage")
    )


def _failing_disk(*, committing: bool) -> StorageError:
    if not committing:
        return StorageError("the disk failed while the vault was used", hint=Hint("status"))
    return OutcomeUnknown(
        "the disk failed while the vault was written; what is durable is unknown",
        hint=Hint("status"),
    )


def _unreadable() -> Damaged:
    return Damaged("the file of the vault holds no vault that can be read", hint=_MEND)
