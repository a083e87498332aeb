"""The few methods of a database that sealed rows need. SQLite has them; for PostgreSQL we write them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Rows(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:
        """The next row, or ``None``."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The rows that are left."""
        ...


class Database(Protocol):
    """An open database, in the SQL that SQLite and PostgreSQL share.

    Parameters are marked ``?``; ``BEGIN`` starts a look at one moment, ended by ``COMMIT``.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Run one statement."""
        ...
