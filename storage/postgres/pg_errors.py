"""PostgreSQL's errors as our own errors. No message quotes libpq, which may quote the address."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import psycopg

from ...engine.errors import Damaged, StorageError, StorageFull
from ...engine.hints import Hint

if TYPE_CHECKING:
    from .address import Address

_HELP: Final = Hint("help storage")
_FEWER: Final = "STAYFAST_STORE=postgresql://USER@HOST/DATABASE?pool=2"
_PRIMARY: Final = (
    "STAYFAST_STORE=postgresql://USER@HOST,HOST/DATABASE?target_session_attrs=read-write"
)
# SQLSTATE codes or their beginnings (PostgreSQL manual, appendix A)
_AWAY: Final = ("57P01", "57P02", "57P03", "08", "53300")  # shut down, starting, cut off, crowded
_AGAIN: Final = ("40001", "40P01", "25P03")  # rolled back by the server: it may be done again
_SLOW: Final = ("57014", "55P03", "25P03")  # timed out: statement, lock, pause in a transaction
_NO_TABLES: Final = "this user sees no tables of Stayfast in schema {schema} of {place}"
_RIGHTS: Final = {
    "25006": ("the database {place} is read-only: a standby server, or set so", _PRIMARY),
    "42501": ("this user lacks a right in the database {place}", _HELP),
    "42P01": (_NO_TABLES, _HELP),
    "3F000": (_NO_TABLES, _HELP),
}
# A failed connection has no SQLSTATE. These words of libpq say that the server will be back.
_COMING_BACK: Final = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting",
    "too many",
    "connection slots are reserved",
    "temporarily unavailable",  # its queue of connections is full
    "timeout expired",
)

_REFUSED: Final = ("password", "role", "pg_hba")
_MISSING: Final = re.compile('database ".*" does not exist')


class CannotConnect(psycopg.OperationalError):
    """No connection could be made.

    Attributes:
        refused: Whether the server refused the user or the password.
        missing: Whether the server has no such database.
        crowded: Whether it takes no more connections.
        coming_back: Whether a later try may succeed: the server says so, or has answered before.
    """

    def __init__(self, error: psycopg.Error | OSError, *, known: bool) -> None:
        """Judge ``error`` of libpq or of the system; ``known`` is whether the server has answered us before."""
        super().__init__("no connection")
        text = str(error)
        later = any(words in text for words in _COMING_BACK)  # "too many connections for role …"
        self.refused = not later and any(words in text for words in _REFUSED)
        self.missing = not later and not self.refused and _MISSING.search(text) is not None
        self.crowded = "too many" in text or "connection slots are reserved" in text
        self.coming_back = later or (known and not self.missing)


class Overdue(psycopg.OperationalError):
    """The server did not answer in the time that there was."""


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
    if isinstance(error, CannotConnect) and (refusal := _refusal(error, address)) is not None:
        return refusal
    state = error.sqlstate or ""
    place, later = address.place, "try again in a while"
    ours: StorageError
    if state == "53100":
        ours = StorageFull("there is no space left at the PostgreSQL server", hint="df -h")
    elif state in _RIGHTS:
        msg, hint = _RIGHTS[state]
        ours = StorageError(msg.format(place=place, schema=address.schema), hint=hint)
    elif state.startswith("XX"):
        ours = Damaged(f"the database {place} cannot be read", hint=_HELP)
    elif state in _SLOW or isinstance(error, Overdue):
        ours = StorageError(f"the database {place} did not answer in time", hint=later)
    elif not state or state.startswith(_AWAY):
        ours = StorageError(f"the PostgreSQL server of {place} cannot be reached", hint=later)
    else:
        msg = f"the database {place} cannot be used (SQLSTATE {state})"
        ours = StorageError(msg, hint=_HELP)
    return ours


def _refusal(error: CannotConnect, address: Address) -> StorageError | None:
    """Why the server made no connection, if it said so."""
    place = address.place
    if error.refused:
        msg = f"the PostgreSQL server of {place} refused the user or password"
        return StorageError(msg, hint="export PGPASSFILE=…")
    if error.crowded:
        msg = f"the PostgreSQL server of {place} takes no more connections"
        return StorageError(msg, hint=_FEWER)
    if error.missing:
        return StorageError(f"the PostgreSQL server has no database {place}", hint=_HELP)
    return None
