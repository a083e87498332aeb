"""The SQL that the vault speaks, said to PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..database import Rows
    from .connections import Connection

_WORDS: Final = {
    "BEGIN": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",  # one moment, as in SQLite
}


class Executor:
    """A connection as a :class:`stayfast.storage.database.Database`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        """Speak over ``connection``."""
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        return self._connection.execute(_said(sql), parameters or None, binary=True)


@cache
def _said(sql: str) -> bytes:
    """``sql`` with psycopg's marks; as octets, since it is not a literal of this module."""
    return _WORDS.get(sql, sql).replace("?", "%s").replace(" AS BLOB", " AS BYTEA").encode()
