"""PostgreSQL's errors as our own errors. No message quotes libpq, which may quote the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from ...engine.errors import Damaged, StorageError, StorageFull
from ...engine.hints import Hint

if TYPE_CHECKING:
    from .address import Address

_HELP: Final = Hint("help storage")
# SQLSTATE codes or their beginnings (PostgreSQL manual, appendix A)
_AWAY: Final = ("57P01", "57P02", "57P03", "08", "53300")  # shut down, starting, cut off, crowded
_AGAIN: Final = ("40001", "40P01", "25P03")  # rolled back by the server: it may be done again
_SLOW: Final = ("57014", "55P03", "25P03")  # timed out: statement, lock, pause in a transaction
# A failed connection has no SQLSTATE. These words of libpq say that the server will be back.
_COMING_BACK: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting",
    "too many",
    "temporarily unavailable",  # its queue of connections is full
    "timeout expired",
)


class CannotConnect(psycopg.OperationalError):
    """No connection could be made.

    Attributes:
        refused: Whether the server refused the user or the password.
        coming_back: Whether a later try may succeed: the server says so, or has answered before.
    """

    def __init__(self, error: psycopg.Error | OSError, *, known: bool) -> None:
        """Judge ``error`` of libpq or of the system; ``known`` is whether the server has answered us before."""
        super().__init__("no connection")
        text = str(error)
        self.refused = "password" in text or "role" in text or "pg_hba" in text
        self.coming_back = known or any(words in text for words in _COMING_BACK)


def is_away(error: psycopg.Error) -> bool:
    """Whether the server went away or rolled back, so that the work may be tried again."""
    if isinstance(error, CannotConnect):
        return error.coming_back
    return _lost(error) or (error.sqlstate or "").startswith(_AWAY + _AGAIN)


def in_doubt(error: psycopg.Error) -> bool:
    """Whether a COMMIT with this error may still have been done."""
    state = error.sqlstate or ""
    return _lost(error) or state.startswith(_AWAY) or state in _SLOW


def _lost(error: psycopg.Error) -> bool:
    """Whether the connection broke without an answer of the server."""
    return error.sqlstate is None and isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError
    )


def translate(error: psycopg.Error, address: Address) -> StorageError:
    """``error`` as one of our own errors."""
    state = error.sqlstate or ""
    place, later = address.place, "try again in a while"
    if isinstance(error, CannotConnect) and error.refused:
        msg = f"the PostgreSQL server of {place} refused the user or password"
        ours = StorageError(msg, hint="export PGPASSFILE=…")
    elif state == "53100":
        ours = StorageFull("there is no space left at the PostgreSQL server", hint="df -h")
    elif state in {"42501", "25006"}:
        ours = StorageError(f"the database {place} may not be written by this user", hint=_HELP)
    elif state.startswith("XX"):
        ours = Damaged(f"the database {place} cannot be read", hint=_HELP)
    elif state in _SLOW:
        ours = StorageError(f"the database {place} did not answer in time", hint=later)
    elif not state or state.startswith(_AWAY):
        ours = StorageError(f"the PostgreSQL server of {place} cannot be reached", hint=later)
    else:
        msg = f"the database {place} cannot be used (SQLSTATE {state})"
        ours = StorageError(msg, hint=_HELP)
    return ours
