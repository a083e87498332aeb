"""The vault: every login sealed in one SQLite file, with its audit log and its manifest.

A transition's row, its audit event and the manifest are one transaction: none exists without the
others. Writers stand in line at our own lock before SQLite's, which lets nobody wait for seconds.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..engine.codec import decode_login, decode_summary
from ..engine.errors import Damaged, NewerFormat, StorageError
from ..engine.log_lines import check_lines
from ..engine.ports import Lease
from .audit_check import check_log, file_keys, nothing_to_verify
from .audit_rows import append_event, read_events
from .locks import locked
from .manifest import keep_head, read_head
from .news import News
from .private_file import ensure_directory
from .reader import open_secret, row_by_alias, row_by_id, scan_for_alias
from .rows import put_login
from .segments import Pruned, go_forward_secure, prune, ready, set_aside
from .session import Session
from .signing import Signer, signed_head
from .sqlite_errors import translated
from .watch import Watch, problems_of

if TYPE_CHECKING:
    from ..engine.chain import Verification
    from ..engine.events import Event, Recorded
    from ..engine.ports import Change
    from ..engine.record import Login, Summary
    from .header import Header
    from .sealing import Keys

_HELP: Final = "holdfast help storage"


class Vault:
    """A sealed storage in one directory; shared by any number of threads and processes.

    Attributes:
        forkable: A forked child may go on with it, once it was closed here.
    """

    forkable = True

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
        self._session = Session(directory, unlock, create)
        self._describe = describe
        self._watch = Watch()

    @property
    def description(self) -> str:
        """Kind and place of its key, such as ``keyring:SecretService``."""
        return self._describe(self._session.header)

    @property
    def directory(self) -> str:
        """The state directory."""
        return self._session.directory

    # --- reading ---------------------------------------------------------------------------------

    def read(self, login_id: str) -> Login | None:
        """See :meth:`holdfast.engine.ports.Storage.read`."""
        with self._reading() as opened:
            if opened is None:
                return None
            connection, keys = opened
            row = row_by_id(connection, login_id)
            self._watch.vouch(connection, keys, row)
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
            self._watch.vouch(connection, keys, row)
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
            self._watch.vouch(connection, keys, None)  # a list must not be short in silence
            for login, version, state, meta in connection.execute(
                "SELECT id, version, state, meta FROM login"
            ):
                try:
                    yield decode_summary(keys.open_row("meta", login, version, state, meta))
                except (Damaged, NewerFormat):
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
        with self._reading(check=False) as opened:
            return [] if opened is None else [*_torn_pages(opened[0]), *problems_of(*opened)]

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the audit log, and the logins against it; everything found is in the answer.

        Args:
            marks: The records whose links are to be kept in the answer.
            forward: The first record whose key was erased, and that key.
        """
        with self._reading(check=False) as opened:
            return nothing_to_verify() if opened is None else check_log(*opened, marks, forward)

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this vault; without it, if there is no vault."""
        with self._reading(check=False) as opened:
            link = file_keys(*opened, forward).link if opened else None
        return check_lines(lines, link, marks)

    def signer(self) -> Signer | None:
        """What signs checkpoints of the log; ``None`` without a vault."""
        with self._reading(check=False) as opened:
            return Signer(opened[1]) if opened else None

    def checkpoint(self) -> str | None:
        """A signed note of how the log stands; ``None`` of an empty one."""
        with self._reading(check=False) as opened:
            return signed_head(*opened) if opened else None

    # --- writing ---------------------------------------------------------------------------------

    def probe(self) -> None:
        """See :meth:`holdfast.engine.ports.Storage.probe`: a write, taken back."""
        with self._session.writing() as (connection, keys):
            head = read_head(connection, keys)
            body, mac = replace(head, generation=head.generation + 1).encode(keys)
            connection.execute("UPDATE head SET body = ?, mac = ?", (body, mac))
            connection.execute("ROLLBACK")

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`holdfast.engine.ports.Storage.commit`.

        A damaged end of the log stops nobody: it is set aside, and what is recorded of that comes
        first in the answer.
        """
        with self._session.writing() as (connection, keys):
            head, recorded = ready(connection, keys)
            for change in changes:
                head = put_login(connection, keys, head, change)
                head, event = append_event(connection, keys, head, change.event)
                recorded.append(event)
            keep_head(connection, keys, head)
        return recorded

    def note(self, event: Event) -> Recorded:
        """See :meth:`holdfast.engine.ports.Storage.note`."""
        with self._session.writing() as (connection, keys):
            head, _ = ready(connection, keys)
            head, recorded = append_event(connection, keys, head, event)
            keep_head(connection, keys, head)
        return recorded

    def set_aside(self) -> Recorded | None:
        """Leave a damaged log behind and begin a new segment; gives the record of that."""
        if not self._exists():
            return None
        with self._session.writing() as (connection, keys):
            head, recorded = set_aside(connection, keys, read_head(connection, keys))
            keep_head(connection, keys, head)
        return recorded

    def go_forward_secure(self) -> str:
        """Erase the key of every record from now on; gives the verification key, kept nowhere.

        Raises:
            ConfigInvalid: That is so already.
        """
        with self._session.writing() as (connection, keys):
            head, _ = ready(connection, keys)
            head, shown = go_forward_secure(connection, keys, head)
            keep_head(connection, keys, head)
        return shown

    def prune(self, before: float) -> Pruned | None:
        """Remove what was recorded before ``before``, POSIX seconds; ``None`` if there is nothing.

        Raises:
            Damaged: The records that would go are not as they were written.
        """
        if not self._exists():
            return None
        with self._session.writing() as (connection, keys):
            done = prune(connection, keys, read_head(connection, keys), before)
            if done is None:
                connection.execute("ROLLBACK")
                return None
            head, pruned, _ = done
            keep_head(connection, keys, head)
        return pruned

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`holdfast.engine.ports.Storage.lease`: an ``flock`` that ends with us."""
        return self._lease(login_id, wait, until)

    @contextmanager
    def _lease(
        self, login_id: str, wait: float, until: Callable[[], bool] | None
    ) -> Generator[Lease]:
        locks = os.path.join(self.directory, "locks")
        ensure_directory(self.directory)
        ensure_directory(locks)
        path = os.path.join(locks, f"{login_id}.lock")
        sooner = None if until is None else News(self._session.changes, until)
        with locked(path, wait=wait, what=f"login {login_id[:4]}", until=sooner):
            yield Lease(login_id)

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        self._session.close()

    # --- how -------------------------------------------------------------------------------------

    def _exists(self) -> bool:
        with self._reading(check=False) as opened:
            return opened is not None

    @contextmanager
    def _reading(self, *, check: bool = True) -> Generator[tuple[sqlite3.Connection, Keys] | None]:
        with self._session.reading() as opened:
            if opened is not None and check:
                self._watch.look(*opened, self._session.changes())
            yield opened


def _torn_pages(connection: sqlite3.Connection) -> list[str]:
    """What SQLite itself finds wrong with its file: pages nobody asks for may be gone unnoticed."""
    try:
        with translated():
            found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except StorageError as error:
        return [error.message]
    return [] if found == ("ok",) else ["pages of the vault are torn"]
