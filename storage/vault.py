"""The vault: every login sealed in one SQLite file, with its audit log and its manifest.

A transition's row, its audit event and the manifest are one transaction: none exists without the
others. Writers stand in line at our own lock before SQLite's, which lets nobody wait for seconds.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..engine.codec import decode_login, decode_summary
from ..engine.errors import Damaged, LoginBusy, StorageError
from ..engine.ports import Lease
from .audit_rows import append_event, check_chain, read_events
from .header import Header
from .locks import locked
from .manifest import check_rows, read_head
from .private_file import ensure_directory
from .reader import open_database, open_secret, row_by_alias, row_by_id, scan_for_alias
from .rows import put_login
from .schema import set_pragmas
from .sqlite_errors import translated

if TYPE_CHECKING:
    from ..engine.events import Event, Recorded
    from ..engine.ports import Change
    from ..engine.record import Login, Summary
    from .sealing import Keys

WRITE_WAIT: Final = 30.0
"""Seconds a writer stands in line; each one before it takes about a millisecond."""
_HELP: Final = "holdfast help storage"
_CHECKED_AT_ONCE: Final = 512  # rows up to which every look at the vault checks the whole of it


class Vault:
    """A sealed storage in one directory; shared by any number of threads and processes."""

    def __init__(
        self,
        directory: str,
        *,
        unlock: Callable[[sqlite3.Connection], tuple[Header, Keys]],
        create: Callable[[], None],
        describe: Callable[[Header | None], str],
    ) -> None:
        """A vault in ``directory``; it is opened, and made, only when it is needed.

        Args:
            directory: The state directory.
            unlock: Reads the header and finds the keys.
            create: Makes the vault; called under the lock of its making.
            describe: Kind and place in a few words.
        """
        self._directory = directory
        self._unlock = unlock
        self._create = create
        self._describe = describe
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[Header, Keys] | None = None
        self._pid = os.getpid()
        self._checked = -1  # the generation whose rows were last compared with the manifest

    @property
    def description(self) -> str:
        """Kind and place of its key, such as ``keyring:SecretService``."""
        return self._describe(self._opened[0] if self._opened else None)

    @property
    def directory(self) -> str:
        """The state directory."""
        return self._directory

    # --- reading ---------------------------------------------------------------------------------

    def read(self, login_id: str) -> Login | None:
        """See :meth:`holdfast.engine.ports.Storage.read`."""
        with self._reading() as opened:
            if opened is None:
                return None
            connection, keys = opened
            row = row_by_id(connection, login_id)
            if row is None:
                return None
            return decode_login(open_secret(keys, row))

    def find(self, alias: str) -> Login | None:
        """See :meth:`holdfast.engine.ports.Storage.find`."""
        with self._reading() as opened:
            if opened is None:
                return None
            connection, keys = opened
            row = row_by_alias(connection, keys, alias) or scan_for_alias(connection, keys, alias)
            if row is None:
                return None
            login = decode_login(open_secret(keys, row))
        if login.alias != alias:  # the index is not sealed with the row: it may have been moved
            raise Damaged("a login in the vault is filed under another's name", hint=_HELP)
        return login

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`holdfast.engine.ports.Storage.summaries`; rows that do not open are left out.

        What is left out is not silent: :meth:`problems` names it, and reading it says why.
        """
        return sorted(self._summaries(), key=lambda summary: summary.created_at)

    def _summaries(self) -> Iterator[Summary]:
        with self._reading() as opened:
            if opened is None:
                return
            connection, keys = opened
            for login, version, state, meta in connection.execute(
                "SELECT id, version, state, meta FROM login"
            ):
                try:
                    yield decode_summary(keys.open_row("meta", login, version, state, meta))
                except Damaged:
                    continue

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`holdfast.engine.ports.Storage.events`."""
        with self._reading() as opened:
            if opened is None:
                return []
            connection, keys = opened
            connection.execute("BEGIN")  # the manifest and the log of one moment
            try:
                head = read_head(connection, keys)
                return read_events(connection, keys, head, after=after, limit=limit)
            finally:
                connection.execute("COMMIT")

    def problems(self) -> list[str]:
        """What in the vault is not as it was saved, one sentence each; empty if all is well."""
        found: list[str] = []
        with self._reading(check=False) as opened:
            if opened is None:
                return found
            connection, keys = opened
            connection.execute("BEGIN")
            try:
                for check in (check_rows, check_chain):
                    try:
                        check(connection, keys, read_head(connection, keys))
                    except Damaged as error:
                        found.append(error.message)
            finally:
                connection.execute("COMMIT")
            for login, version, state, meta, secret in connection.execute(
                "SELECT id, version, state, meta, secret FROM login"
            ):
                try:
                    keys.open_row("meta", login, version, state, meta)
                    keys.open_row("secret", login, version, state, secret)
                except Damaged:
                    found.append(f"login {str(login)[:4]} does not open")
        return found

    # --- writing ---------------------------------------------------------------------------------

    def probe(self) -> None:
        """See :meth:`holdfast.engine.ports.Storage.probe`: a write, taken back."""
        with self._writing() as (connection, keys):
            head = read_head(connection, keys)
            body, mac = replace(head, generation=head.generation + 1).encode(keys)
            connection.execute("UPDATE head SET body = ?, mac = ?", (body, mac))
            connection.execute("ROLLBACK")

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`holdfast.engine.ports.Storage.commit`."""
        recorded: list[Recorded] = []
        with self._writing() as (connection, keys):
            head = read_head(connection, keys)
            for change in changes:
                head = put_login(connection, keys, head, change)
                head, event = append_event(connection, keys, head, change.event)
                recorded.append(event)
            head = replace(head, generation=head.generation + 1)
            connection.execute("UPDATE head SET body = ?, mac = ?", head.encode(keys))
        return recorded

    def note(self, event: Event) -> Recorded:
        """See :meth:`holdfast.engine.ports.Storage.note`."""
        with self._writing() as (connection, keys):
            head, recorded = append_event(connection, keys, read_head(connection, keys), event)
            head = replace(head, generation=head.generation + 1)
            connection.execute("UPDATE head SET body = ?, mac = ?", head.encode(keys))
        return recorded

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`holdfast.engine.ports.Storage.lease`: an ``flock`` that ends with us."""
        return self._lease(login_id, wait, until)

    @contextmanager
    def _lease(
        self, login_id: str, wait: float, until: Callable[[], bool] | None
    ) -> Generator[Lease]:
        locks = os.path.join(self._directory, "locks")
        ensure_directory(self._directory)
        ensure_directory(locks)
        path = os.path.join(locks, f"{login_id}.lock")
        with locked(path, wait=wait, what=f"login {login_id[:4]}", until=until):
            yield Lease(login_id)

    # --- how -------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self, *, check: bool = True) -> Generator[tuple[sqlite3.Connection, Keys] | None]:
        with self._guard, translated():
            opened = self._open()
            if opened is not None and check:
                self._check(*opened)
            yield opened

    @contextmanager
    def _writing(self) -> Generator[tuple[sqlite3.Connection, Keys]]:
        """A transaction: committed at the end of the block, rolled back if it fails."""
        with self._guard:
            self._make_sure()
            write_lock = os.path.join(self._directory, "vault.lock")
            try:
                with locked(write_lock, wait=WRITE_WAIT, what="the vault"), translated():
                    opened = self._open()
                    if opened is None:
                        raise StorageError("the vault has gone", hint="holdfast status")
                    connection, keys = opened
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        yield connection, keys
                        if connection.in_transaction:
                            with translated(committing=True):
                                connection.execute("COMMIT")
                    except BaseException:
                        if connection.in_transaction:  # also after a commit that was refused
                            connection.execute("ROLLBACK")
                        raise
            except LoginBusy as error:
                raise StorageError(error.message, hint="try again in a while") from error

    def _make_sure(self) -> None:
        """Make the vault if there is none yet."""
        if self._open() is not None:
            return
        ensure_directory(self._directory)
        making = os.path.join(self._directory, "create.lock")
        try:
            with locked(making, wait=WRITE_WAIT, what="the making of the vault"):
                if self._open() is None:
                    self._create()
        except LoginBusy as error:
            raise StorageError(error.message, hint="try again in a while") from error

    def _open(self) -> tuple[sqlite3.Connection, Keys] | None:
        if self._pid != os.getpid():  # a fork: a connection must not be carried across
            self._connection, self._pid = None, os.getpid()
        if self._connection is None:
            connection = open_database(self._directory)
            if connection is None:
                return None
            try:
                with translated():
                    self._opened = self._opened or self._unlock(connection)
                    set_pragmas(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        if self._opened is None:  # unreachable while a connection is kept only with its keys
            return None
        return self._connection, self._opened[1]

    def _check(self, connection: sqlite3.Connection, keys: Keys) -> None:
        """Compare a small vault with its manifest, once for every generation it is seen in."""
        connection.execute("BEGIN")  # the manifest and the rows of one moment
        try:
            head = read_head(connection, keys)
            if head.generation != self._checked and head.count <= _CHECKED_AT_ONCE:
                check_rows(connection, keys, head)
                self._checked = head.generation
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the file."""
        with self._guard:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None
