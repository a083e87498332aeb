"""The few methods of a database that sealed rows need. SQLite has them; for PostgreSQL we write them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
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


@contextmanager
def one_moment(database: Database) -> Generator[None]:
    """All that the block reads is of one moment.

    An error of the block goes up as it is. After some errors, such as that of a failing disk, SQLite has ended the
    transaction by itself; a COMMIT would then fail in a way that looks like damage to the file.
    """
    database.execute("BEGIN")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(Exception):  # of whichever database; there is nothing to take back
            database.execute("ROLLBACK")
        raise
