"""A vault as one process has it open: its connection and its keys, and which thread may use them when.

The threads of a process take turns at one connection. A writer first waits for our own lock between
processes, and only then takes its turn, so that a thread that only reads does not wait with it.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import Damaged, LoginBusy, NewerFormat, StorageError
from ...engine.hints import Hint
from ..forks import whole_at_fork
from ..locks import locked
from ..private_file import ensure_directory
from .file import DATABASE, gone, open_database, read_second_header
from .header import FORMAT
from .schema import set_pragmas, write_copy
from .sqlite_errors import translated

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from .header import Header
    from .set_aside import Unlock

_LOCKS: Final = ("create.lock", "vault.lock")
WRITE_WAIT: Final = 30.0
"""Seconds a writer waits for the lock. Each writer before it takes about a millisecond, so only a
stopped or hanging process makes it wait that long."""


class VaultConnection:
    """One vault, which is opened at its first use.

    Attributes:
        directory: Where the vault is.
        header: What it says about itself; ``None`` until it has been opened.
        guard: Held by the thread whose turn it is.
        created: The first record of the log, if the vault was made here and no observer has it yet.
    """

    def __init__(
        self,
        directory: str,
        unlock: Unlock,
        create: Callable[[], Recorded],
    ) -> None:
        """Open nothing yet: ``unlock`` finds the keys, ``create`` makes the vault."""
        self.directory = directory
        self.header: Header | None = None
        self.created: list[Recorded] = []
        self._keys: Keys | None = None
        self._unlock = unlock
        self._create = create
        self._held: list[sqlite3.Connection] = []
        # newer Pythons warn of a connection that is merely forgotten. Not __del__: in a circle, the
        # collector may end the connection first.
        weakref.finalize(self, _close, self._held).atexit = False
        self._openings = 0  # how many connections there were
        self._opened: tuple[int, int] | None = None  # the file that the connection is to
        self._seal: bytes | None = None  # of the header, as it was when the keys were found
        self._copied = 0  # the generation of the header whose copy was seen to be in order
        # reentrant: a writer that must find the keys anew calls the reading half under its own guard
        self.guard = threading.RLock()
        # SQLite keeps a record of the locks of its process. A child inherits it: with the lock of a thread that
        # reads, and that the child does not have, nobody in the child could ever write.
        whole_at_fork(self)

    @property
    def _connection(self) -> sqlite3.Connection | None:
        return self._held[0] if self._held else None

    @_connection.setter
    def _connection(self, connection: sqlite3.Connection | None) -> None:
        self._held[:] = [] if connection is None else [connection]

    @property
    def keys(self) -> Keys | None:
        """The keys, if they were found once; also where the file cannot be opened any more."""
        return self._keys

    @contextmanager
    def reading(self) -> Generator[tuple[sqlite3.Connection, Keys] | None]:
        """The connection and the keys, for the calling thread alone; ``None`` without a vault."""
        with self.guard, translated():
            opened = self._open()
            if opened is None and (problem := gone(self.directory)) is not None:
                raise problem
            yield opened

    @contextmanager
    def replacing(self) -> Generator[None]:
        """Keep every other process from making or writing the vault inside the block.

        Raises:
            StorageError: Another process held a lock for too long.
        """
        ensure_directory(self.directory)
        making, line = (os.path.join(self.directory, name) for name in _LOCKS)
        try:
            with (  # in the order that every writer uses, or two would wait for each other
                locked(making, wait=WRITE_WAIT, what="the making of the vault"),
                locked(line, wait=WRITE_WAIT, what="the vault"),
                self.guard,
            ):
                yield
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error

    @contextmanager
    def writing(self) -> Generator[tuple[sqlite3.Connection, Keys]]:
        """A transaction: committed at the end of the block, rolled back if it fails.

        Raises:
            NewerFormat: Only a newer version may write it.
            StorageError: The vault cannot be written.
        """
        self._make_sure()
        _, line = (os.path.join(self.directory, name) for name in _LOCKS)
        try:
            with locked(line, wait=WRITE_WAIT, what="the vault"), self.guard, translated():
                connection, keys = self._begin()
                try:
                    self._allowed_to_write()
                    yield connection, keys
                    seal = _seal_of(connection)
                    if connection.in_transaction:
                        with translated(committing=True):
                            connection.execute("COMMIT")
                    self._seal = seal
                except BaseException:
                    self._undo(connection)
                    raise
                self._second_header(keys)
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error

    @contextmanager
    def mending(self) -> Generator[None]:
        """Keep every other process from taking logins along from vaults that were set aside.

        Leases and the other locks are taken inside the block, never around it.

        Raises:
            StorageError: Another process held the lock for too long.
        """
        path = os.path.join(self.directory, "mend.lock")
        try:
            with locked(path, wait=WRITE_WAIT, what="the mending of the vault"):
                yield
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error

    def make_anew(self) -> None:
        """Make a new vault inside the block of :meth:`replacing`, if there is none.

        Raises:
            StorageError: It could not be made.
        """
        self.forget_keys()
        if not os.path.lexists(os.path.join(self.directory, DATABASE)):
            self.created.append(self._create())

    def changes(self) -> object:
        """A value that stays equal as long as no process saves anything.

        It costs a fraction of reading a login. A process that waits for a change polls it.
        """
        with self.guard:
            own = self._connection.total_changes if self._connection is not None else 0
            return self.changes_of_others(), own

    def changes_of_others(self) -> object:
        """As :meth:`changes`, where what is saved through this connection does not count."""
        try:
            with self.guard:
                if self._connection is None:
                    return object()
                (others,) = self._connection.execute("PRAGMA data_version").fetchone()
                return self._openings, others  # SQLite counts for each connection anew
        except sqlite3.Error:
            return (
                object()
            )  # equal to nothing: the caller reads the vault, and gets the error there

    def moved(self) -> bool:
        """Whether the vault got another key since it was opened here."""
        with self.guard:
            return self._connection is not None and self._header_has_changed(self._connection)

    def forget_keys(self) -> None:
        """Find the keys anew when the vault is used next."""
        with self.guard:
            self.close()
            self._keys = self.header = self._seal = None

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        with self.guard:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _begin(self) -> tuple[sqlite3.Connection, Keys]:
        """Begin a transaction under the keys that hold in it.

        The check that they still hold is made inside: outside, SQLite would take a lock for it.
        """
        opened = self._kept() or self._open()
        while opened is not None:
            connection, keys = opened
            # IMMEDIATE: a transaction that begins by reading could fail when it starts to write
            connection.execute("BEGIN IMMEDIATE")
            if not self._header_has_changed(connection):
                return connection, keys
            connection.execute("ROLLBACK")  # at most once: a new key needs the lock that we hold
            opened = self._open()
        raise StorageError("the vault has gone", hint=Hint("status"))

    def _second_header(self, keys: Keys) -> None:
        """Bring the copy of the header up to date, if this or a process that died changed it."""
        header = self.header
        if header is None or self._copied == header.generation:
            return
        with suppress(StorageError):  # the database has it; the next writer tries again
            try:
                copy = read_second_header(self.directory)
            except (Damaged, NewerFormat):
                copy = None
            right = header.body, keys.header_mac(header.body)
            if copy is None or (copy[0].body, copy[1]) != right:
                write_copy(self.directory, header.body, keys)
            self._copied = header.generation

    def _allowed_to_write(self) -> None:
        if self.header is not None and self.header.min_writer > FORMAT:
            raise NewerFormat(
                "this vault may be read, but only a newer version of Stayfast may write to it",
                hint="in a newer clone of Stayfast: pip install .",
            )

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Take the transaction back, also after a commit that was refused."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:  # a failing disk: what this connection remembers is not to be trusted
            connection.close()
            self._connection = None

    def _make_sure(self) -> None:
        """Make the vault if there is none yet."""
        with self.guard, translated():
            if (self._kept() or self._open()) is not None:
                return
        if (problem := gone(self.directory)) is not None:
            raise problem
        ensure_directory(self.directory)
        making, _ = (os.path.join(self.directory, name) for name in _LOCKS)
        try:
            with (
                locked(making, wait=WRITE_WAIT, what="the making of the vault"),
                self.guard,
                translated(),
            ):
                if self._open() is None:
                    self.created.append(self._create())
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error

    def _open(self) -> tuple[sqlite3.Connection, Keys] | None:
        if self._connection is not None and (
            self._moved() or self._header_has_changed(self._connection)
        ):
            self._keys = None  # another process has given the vault another key, or replaced it
            self._connection.close()
            self._connection = None
        if self._connection is None:
            file = self._file()  # looked at first: one that takes its place meanwhile is noticed
            connection = open_database(self.directory)
            if connection is None:
                return None
            try:
                seal = _seal_of(
                    connection
                )  # before the keys, so that a change in between is noticed
                if seal not in {self._seal, None}:
                    self._keys = None
                if self._keys is None:
                    self.header, self._keys = self._unlock(connection)
                set_pragmas(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._opened = connection, file
            self._openings += 1
            self._seal = seal
        return None if self._keys is None else (self._connection, self._keys)

    def _kept(self) -> tuple[sqlite3.Connection, Keys] | None:
        """The connection and keys as they are, without a check that the keys still hold."""
        if self._connection is None or self._keys is None or self._moved():
            return None
        return self._connection, self._keys

    def _moved(self) -> bool:
        """Whether the connection is to a file that was set aside, replaced or removed meanwhile.

        SQLite would go on reading it, and refuse to write it.
        """
        return self._file() != self._opened

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(os.path.join(self.directory, DATABASE))
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _header_has_changed(self, connection: sqlite3.Connection) -> bool:
        return self._seal is not None and _seal_of(connection) not in {self._seal, None}

    def leave_to_parent(self) -> None:
        """In a forked child: the lock may be a dead thread's, and the connection is the parent's."""
        self.guard = threading.RLock()
        if self._connection is not None:
            _parents.append(self._connection)  # to close it would be to act in the parent's name
            self._connection = None


def _close(held: list[sqlite3.Connection]) -> None:
    for connection in held:
        connection.close()


def _seal_of(connection: sqlite3.Connection) -> bytes | None:
    try:
        found = connection.execute("SELECT mac FROM header").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):  # the table is gone or torn: the copy served
        return None
    return found[0] if found is not None and isinstance(found[0], bytes) else None


_parents: list[sqlite3.Connection] = []
