"""The connections of one process to the database.

:class:`Connections` is a pool without threads of its own: a process with threads cannot fork a
courier. Connections are few, are made when they are needed, and go back to the pool after each piece
of work. No connection is held during an HTTP request: the database has a limit on connections, and a
provider may take half a minute.

:class:`Executor` lets the code of the vault, which is written for SQLite, run over one of these
connections. It rewrites the few words in which the two databases differ.
"""

from __future__ import annotations

import logging
import random
import select
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Literal

from ...engine.errors import StorageError
from ..forks import begins_anew
from ..host import CLOCK
from .address import STATEMENT_TIMEOUT, Address
from .pg_errors import CannotConnect, Overdue, is_away, translate

if TYPE_CHECKING:
    from ..vault.database import Rows


T = TypeVar("T")
Connection = psycopg.Connection[Any]

MOST: Final = 8
"""Connections of one process at the same time. Further threads wait for one."""
PATIENCE: Final = 10.0
"""Seconds to wait for a server that went away. A restart takes about one second."""
# Seconds after which a server counts as dead. One whose machine still answers TCP never trips the
# keepalives, and it should have ended the statement itself by STATEMENT_TIMEOUT.
_FROZEN: Final = STATEMENT_TIMEOUT + 5.0
_BEGUN: Final = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_REFUSED_BY_POOLER: Final = "unsupported startup parameter"
_IN_POSTGRESQL: Final = {
    "BEGIN": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",  # one snapshot, as in SQLite
}


# psycopg warns of what fails while a broken connection is left. Our error says it already; without this,
# a program that has set up no logging would find the warning on its standard error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which every wait has a bound, whatever the server does.

    Attributes:
        until: When the wait for an answer must end, by the monotonic clock; ``None`` if only the usual
            bound holds.
    """

    until: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Run ``gen`` as psycopg does, but for :data:`_FROZEN` at most.

        A connection that met the bound is closed: a late answer would be taken for the answer to
        the next statement. The same holds where the system refuses to wait.
        """
        bound = timeout or _FROZEN
        if self.until is not None:
            bound = max(0.001, min(bound, self.until - CLOCK.monotonic()))
        began = CLOCK.monotonic()
        try:
            return super().wait(gen, interval, bound)
        except psycopg.OperationalError as error:
            if (
                error.sqlstate is None
                and self.pgconn.transaction_status == TransactionStatus.ACTIVE
            ):
                self.pgconn.finish()
                if CLOCK.monotonic() - began >= bound:
                    raise Overdue("the server did not answer in time") from error
            raise
        except OSError as error:
            # the system refused to wait: no more descriptors or memory, a failing device
            self.pgconn.finish()
            raise psycopg.OperationalError("waiting for the server failed") from error

    def __del__(self, _warn: Any = None, /) -> None:
        """End the session of a connection that is dropped while open, and do not warn.

        psycopg warns here, because its user forgot to close. Ours are closed by the pool. Only the
        garbage collector drops one that is open: before its pool, or with the frames of an exception.
        The session ends with the object below.
        """


class PooledConnection(BoundedConnection):
    """A connection to a pooler that gives each transaction any session of the server.

    PgBouncer does so in its transaction mode. What is set for a session is another client's in the next
    moment. So every statement runs in a transaction, and each transaction begins by setting what holds
    for its statements.

    Attributes:
        preamble: The statement that sets it, for one transaction.
    """

    preamble: bytes = b""
    _piped = False  # whether a transaction has begun in the pipeline that is open

    def execute(self, query: Any, params: Any = None, **named: Any) -> Any:
        """Run one statement as psycopg does, in a transaction of its own if none has begun."""
        word = _first_word(query)
        if word == "COMMIT":
            self._piped = False
            return super().execute(query, params, **named)
        if word == "BEGIN":
            begun = super().execute(query, params, **named)
            self._piped = True
            super().execute(self.preamble)
            return begun
        piped = bool(self.pgconn.pipeline_status)
        if self._piped if piped else self.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(query, params, **named)
        with self.pipeline():
            super().execute("BEGIN")
            super().execute(self.preamble)
            found = super().execute(query, params, **named)
            super().execute("COMMIT")
        return found

    @contextmanager
    def transaction(self, *args: Any, **named: Any) -> Generator[Any]:
        """A transaction as psycopg's, with its settings."""
        with super().transaction(*args, **named) as begun:
            super().execute(self.preamble)
            yield begun


def _first_word(query: object) -> str:
    text = query.decode() if isinstance(query, bytes) else query
    return text.partition(" ")[0] if isinstance(text, str) else ""


class Connections:
    """The connections of one process to one database.

    Attributes:
        patience: Seconds to wait for a server that went away.
        opening: The lock of the thread that opens the database for all threads.
    """

    def __init__(self, address: Address, *, most: int = MOST, patience: float = PATIENCE) -> None:
        """Make an empty pool.

        Args:
            address: The address of the database.
            most: How many connections may be open at the same time.
            patience: Seconds to wait for a server that went away.
        """
        self._address = address
        self.patience = patience
        self._most = most
        self._known = False
        self._pooled = False  # behind a pooler, as the first connection shows
        self._start()
        begins_anew(self)

    def _start(self) -> None:
        self.opening = threading.Lock()
        self._guard = threading.Lock()
        self._permits = threading.BoundedSemaphore(self._most)
        self._idle: list[BoundedConnection] = []
        self._hurried = threading.local()

    def __del__(self) -> None:
        """End the sessions now: a connection may be part of a cycle that is collected much later."""
        self.close()

    def close(self) -> None:
        """Close the idle connections. New ones are made when they are needed."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def run(self, work: Callable[[Connection], T], *, patience: float | None = None) -> T:
        """The result of ``work``. If the server goes away, ``work`` is done again: it must be repeatable.

        Raises:
            StorageError: The server did not come back in time, or refused the work.
        """
        deadline = CLOCK.monotonic() + min(
            self.patience if patience is None else patience, self._time_left()
        )
        pause = _FIRST_PAUSE
        while True:
            try:
                with self.one() as connection:
                    return work(connection)
            except psycopg.Error as error:
                if not is_away(error) or CLOCK.monotonic() + pause > deadline:
                    raise self.explain(error) from error
            CLOCK.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    @contextmanager
    def within(self, seconds: float) -> Generator[None]:
        """Let all work of the calling thread in the block end within ``seconds``, done or not."""
        self._hurried.until = CLOCK.monotonic() + seconds
        try:
            yield
        finally:
            self._hurried.until = None

    def _time_left(self) -> float:
        until: float | None = getattr(self._hurried, "until", None)
        return float("inf") if until is None else max(0.0, until - CLOCK.monotonic())

    def explain(self, error: psycopg.Error) -> StorageError:
        """``error`` as one of our own errors."""
        return translate(error, self._address)

    @contextmanager
    def one(self) -> Generator[Connection]:
        """A connection for the calling thread alone, outside of any transaction.

        Raises:
            psycopg.Error: No connection can be made, or it broke.
            StorageError: All connections are in use.
        """
        if not self._permits.acquire(timeout=min(_FROZEN, self._time_left())):
            raise StorageError(
                f"all {self._most} connections to {self._address.place} are in use",
                hint="try again in a while",
            )
        permits = self._permits
        try:
            connection = self._take() or self._connect()
            connection.until = getattr(self._hurried, "until", None)
            try:
                yield connection
            except BaseException:
                self._undo(connection)
                raise
            self._put_back(connection)
        finally:
            # a child that was forked meanwhile has permits of its own, and none of them is taken
            if permits is self._permits:
                permits.release()

    def _take(self) -> BoundedConnection | None:
        """An idle connection that the server has not closed."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not connection.closed and not _has_news(connection):
                return connection
            connection.close()

    def _connect(self) -> BoundedConnection:
        while True:
            connection = self._connected()
            try:
                if isinstance(connection, PooledConnection):
                    return connection
                # A server with this setting off acknowledges a commit before it is durable. Then a
                # power cut could lose tokens whose old refresh token is already spent.
                found = connection.execute(
                    "SELECT current_setting('search_path'), CASE current_setting('synchronous_commit')"
                    " WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END"
                ).fetchone()
            except BaseException:
                connection.close()
                raise
            wanted = self._address.session_settings["search_path"]
            if found is not None and found[0] == wanted:
                return connection
            connection.close()  # a pooler has dropped what a session begins with
            self._pooled = True

    def _connected(self) -> BoundedConnection:
        kind = PooledConnection if self._pooled else BoundedConnection
        try:
            settings = self._address.settings(pooled=self._pooled)
            usual = int(settings["connect_timeout"])
            settings["connect_timeout"] = max(1, round(min(usual, self._time_left())))
            connection = kind.connect(autocommit=True, **settings)
        except psycopg.Error as error:
            if not self._pooled and _REFUSED_BY_POOLER in str(error):
                self._pooled = True
                return self._connected()
            raise CannotConnect(error, known=self._known) from None
        self._known = True
        if isinstance(connection, PooledConnection):
            connection.preamble = self._preamble()
        return connection

    def _preamble(self) -> bytes:
        settings = SQL(", ").join(
            SQL("set_config({}, {}, true)").format(Literal(name), Literal(value))
            for name, value in self._address.session_settings.items()
        )
        durable = SQL(
            "CASE current_setting('synchronous_commit')"
            " WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END"
        )
        return SQL("SELECT {}, {}").format(settings, durable).as_bytes(None)

    def _put_back(self, connection: BoundedConnection) -> None:
        connection.until = None
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return
        with self._guard:
            self._idle.append(connection)

    def _undo(self, connection: BoundedConnection) -> None:
        """Roll back after an error, and keep the connection if it is still sound."""
        with suppress(psycopg.Error):
            if connection.info.transaction_status in _BEGUN:
                connection.rollback()
            self._put_back(connection)
            return
        connection.close()

    def leave_to_parent(self) -> None:
        """Forget all connections, in a forked child.

        They belong to the parent. If the child closed one, it would end the parent's session at the
        server. So they are kept in a list, where the garbage collector does not close them.
        """
        _parents.extend(self._idle)
        self._start()


def _has_news(connection: Connection) -> bool:
    """Whether an idle connection has something to read, which mostly means that the server closed it."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([connection.fileno()], [], [], 0)[0])
        poll = select.poll()  # select() fails for descriptors above 1023
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError, psycopg.Error):
        return True


class Executor:
    """A connection as a :class:`stayfast.storage.vault.database.Database`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        """Run statements over ``connection``, which the caller still owns."""
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Run one statement."""
        return self._connection.execute(_translated(sql), parameters or None, binary=True)


@cache
def _translated(sql: str) -> bytes:
    """``sql`` for PostgreSQL, as octets: psycopg's types allow other text only as a literal."""
    said = _IN_POSTGRESQL.get(sql, sql).replace(" IS ?", " IS NOT DISTINCT FROM ?")
    return said.replace("?", "%s").replace(" AS BLOB", " AS BYTEA").encode()


_parents: list[Connection] = []
