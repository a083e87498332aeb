"""The connections of one process: few, bounded in time, made when needed, kept for the next use.

:class:`Connections` is a pool without threads of its own: a process that has such threads cannot
send a courier, because a courier is forked. A connection goes back to the pool after each piece of
work; none is kept open while an HTTP request runs.

:class:`Executor` lets the code of the vault, which is written for SQLite, run over one of these
connections: it rewrites the few words in which the two databases differ.
"""

from __future__ import annotations

import os
import random
import select
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakSet

import psycopg
from psycopg.pq import TransactionStatus

from ...engine.errors import StorageError
from ..host import SystemClock
from .address import STATEMENT_TIMEOUT, Address
from .pg_errors import CannotConnect, is_away, translate

if TYPE_CHECKING:
    from ..vault.database import Rows


T = TypeVar("T")
Connection = psycopg.Connection[Any]

MOST: Final = 8
"""Connections of one process at once; further threads wait for one."""
PATIENCE: Final = 10.0
"""Seconds for which a server that went away is waited for: a restart takes about one."""
_FROZEN: Final = (
    STATEMENT_TIMEOUT + 5.0
)  # seconds after which a server is dead that still answers TCP
_BEGUN: Final = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_IN_POSTGRESQL: Final = {
    "BEGIN": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",  # one snapshot, as in SQLite
}
_clock: Final = SystemClock()


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which no wait is without end, whatever the server does."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Drive ``gen`` as psycopg does, up to the bound; a connection that met it is closed."""
        try:
            return super().wait(gen, interval, timeout or _FROZEN)
        except psycopg.OperationalError as error:
            if (
                error.sqlstate is None
                and self.pgconn.transaction_status == TransactionStatus.ACTIVE
            ):
                self.pgconn.finish()
            raise


class Connections:
    """The connections of one process to one database.

    Attributes:
        patience: Seconds for which a server that went away is waited for.
        opening: Held by the thread that opens what is behind them, once for all.
    """

    def __init__(self, address: Address, *, most: int = MOST, patience: float = PATIENCE) -> None:
        """At most ``most`` at once; none is made before it is needed.

        Args:
            address: Where the database is.
            most: How many at once.
            patience: Seconds for which a server that went away is waited for.
        """
        self._address = address
        self.patience = patience
        self._most = most
        self._known = False
        self._start()
        _pools.add(self)

    def _start(self) -> None:
        self.opening = threading.Lock()
        self._guard = threading.Lock()
        self._permits = threading.BoundedSemaphore(self._most)
        self._idle: list[Connection] = []

    def __del__(self) -> None:
        """Close what is open, as psycopg wants it."""
        self.close()

    def close(self) -> None:
        """Close the connections nobody uses; new ones are made when they are needed."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def run(self, work: Callable[[Connection], T], *, patience: float | None = None) -> T:
        """What ``work`` gives; it is done anew where the server goes away, so it must bear that.

        Raises:
            StorageError: The server did not come back in time, or says no.
        """
        deadline = _clock.monotonic() + (self.patience if patience is None else patience)
        pause = _FIRST_PAUSE
        while True:
            try:
                with self.one() as connection:
                    return work(connection)
            except psycopg.Error as error:
                if not is_away(error) or _clock.monotonic() + pause > deadline:
                    raise self.explain(error) from error
            _clock.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def explain(self, error: psycopg.Error) -> StorageError:
        """``error`` in our words."""
        return translate(error, self._address)

    @contextmanager
    def one(self) -> Generator[Connection]:
        """A connection for the calling thread alone, outside of any transaction.

        Raises:
            psycopg.Error: None can be had, or it broke.
            StorageError: All are in use.
        """
        if not self._permits.acquire(timeout=_FROZEN):
            raise StorageError(
                f"all {self._most} connections to {self._address.place} are in use",
                hint="try again in a while",
            )
        permits = self._permits
        try:
            connection = self._take() or self._connect()
            try:
                yield connection
            except BaseException:
                self._undo(connection)
                raise
            self._put_back(connection)
        finally:
            if permits is self._permits:  # not in a child that was forked meanwhile
                permits.release()

    def _take(self) -> Connection | None:
        """An idle connection that the server has not closed."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not connection.closed and not _has_news(connection):
                return connection
            connection.close()

    def _connect(self) -> Connection:
        try:
            connection = BoundedConnection.connect(autocommit=True, **self._address.settings())
        except psycopg.Error as error:
            raise CannotConnect(error, known=self._known) from None
        self._known = True
        try:
            # whatever the server's default: what is acknowledged here is durable there
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _put_back(self, connection: Connection) -> None:
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return
        with self._guard:
            self._idle.append(connection)

    def _undo(self, connection: Connection) -> None:
        """After an error: whatever was begun is taken back."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status in _BEGUN:
                connection.rollback()
            self._put_back(connection)
            return
        connection.close()

    def leave_to_parent(self) -> None:
        """In a forked child: the connections are the parent's, and to close them would end them."""
        _parents.extend(self._idle)
        self._start()


def _has_news(connection: Connection) -> bool:
    """Whether an idle connection has something to read: that the server has closed it, mostly."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([connection.fileno()], [], [], 0)[0])
        poll = select.poll()  # select() itself knows no descriptor above 1023
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError, psycopg.Error):
        return True


class Executor:
    """A connection as a :class:`stayfast.storage.vault.database.Database`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        """Run statements over ``connection``, which stays its owner's."""
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        return self._connection.execute(_translated(sql), parameters or None, binary=True)


@cache
def _translated(sql: str) -> bytes:
    """``sql`` in PostgreSQL's words; as octets, because psycopg's types take only literal text."""
    return _IN_POSTGRESQL.get(sql, sql).replace("?", "%s").replace(" AS BLOB", " AS BYTEA").encode()


_pools: WeakSet[Connections] = WeakSet()
_parents: list[Connection] = []


def _after_fork() -> None:
    for pool in list(_pools):
        pool.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
