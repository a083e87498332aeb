"""The vault: every login sealed in one SQLite file, with its audit log and its integrity record.

How a commit works
------------------

Locks are always taken in this order, and given back in the reverse order::

    locks/ID.lock     the lease of one login; the caller holds it while it decides and commits
      vault.lock      one writer at a time, of all processes; waits up to 30 s
        the guard     one thread of this process at a time, for the one connection
          SQLite      BEGIN IMMEDIATE

Both files are locked with ``flock``, which ends with its holder. Writers wait at ``vault.lock``
and not at SQLite, whose own waiting is not fair and may last for seconds. Readers take the guard
alone, so a reader does not wait for a writer of another process.

Within the transaction, these steps follow each other::

    header      its seal is compared: has the vault another root key? then begin again with it
    head        read, and its seal checked; the last record of the log must be the one it names,
                else the damaged part of the log is set aside, and a record says so
    marker      compared once a process: was the vault further once? then a record says so
    login       for each change: the row must have the version before; it is replaced
    audit       for each change: the next number, linked to the record before
    head        the new sum of all rows, the end of the log, one generation more
    COMMIT      durable here: row, record and head together, or none of them
    -------------------------------------------------------------------------------------
    copy        ``vault.header``, only if the header was changed
    marker      ``vault-XXXXXXXX.generation``, at most once a minute, without waiting for the disk

What is durable when
--------------------

When :meth:`Vault.commit` returns, SQLite has synchronized the file: with a write-ahead log under
``synchronous = FULL``, with a rollback journal under ``EXTRA``. If the process dies before COMMIT,
nothing has changed. If it dies after COMMIT, the commit stands; the copy is repaired by the next
writer, and an older marker only notices less.

Tokens that arrive when the disk is full are tried twice: the second time after the reserve file
was emptied. If that fails as well they are sealed into the runtime directory, which is memory. The
commit then raises ``StorageFull``, and whoever next takes the lease of the login commits them.

What a reader may trust
-----------------------

A sealed part of a row opens only in its own vault, under its own login, version, state and root key.
That does not show that the row is the latest. The sum in the head does: it is compared whenever
the vault was written, up to 512 rows. If it differs, a login is given out only if the audit log
shows that its row is the last that was saved. A whole older copy of the vault passes both checks;
the rollback marker, which is kept beside the key, tells it from the present one, at the next write.
The index is not sealed with the row, so the alias of a login that was found is compared.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ...engine.audit.events import text_of
from ...engine.errors import Damaged, StorageConflict, StorageError, StorageFull
from ...engine.ports import Lease
from ...engine.table import Trigger
from ..audit.rows import append_event, append_text, members_of
from ..audit.segments import Pruned, go_forward_secure, prune, ready, set_aside
from ..locks import ChangePolling, held, locked
from ..private_file import ensure_directory
from .connection import VaultConnection
from .disk_full import Reserve, Spill
from .handover import Handover, lock_path
from .integrity import Head, keep_head, read_head
from .login_rows import put_login, put_record
from .reading import VaultReader
from .rekey import rekey
from .repair import ROLLED_BACK, Mended, mend, tell_of_rollback
from .rollback import RollbackMarker

if TYPE_CHECKING:
    from ...engine.audit.events import Event, Recorded
    from ...engine.ports import Change
    from ..keys.sealing import Keys
    from ..keys.sources import KeySources
    from .header import Header


class Vault(VaultReader):
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
        key_sources: KeySources,
        announce: Callable[[str], None],
        environ: Mapping[str, str],
    ) -> None:
        """A vault in ``directory``; it is opened, and made, only when it is needed.

        Args:
            directory: The state directory.
            unlock: Reads the header and finds the keys.
            create: Makes the vault; called under the lock of its making.
            describe: Kind and place in a few words.
            key_sources: Where its key may be.
            announce: Told in one line what happened to it.
            environ: Names the runtime directory.
        """
        self._key_sources = key_sources
        self._announce = announce
        self._rollback_marker = RollbackMarker(key_sources.config_dir)
        self._reserve = Reserve(directory)
        self._spill = Spill(environ)
        super().__init__(VaultConnection(directory, unlock, create), describe)

    # --- writing ---------------------------------------------------------------------------------

    def probe(self) -> None:
        """See :meth:`stayfast.engine.ports.Storage.probe`: a write, taken back.

        Room is set aside for what will come; and what does not open is, so that it stops nobody.
        """
        try:
            with self._reading() as opened:
                damaged = opened is not None and self._tamper_check.suspicion is not None
        except Damaged:  # the integrity record itself, which can be made again
            damaged = True
        for mended in self.mend() if damaged else ():
            self._announce(f"{mended.message}; it was set aside or put right")
        with self._vault_connection.writing() as (connection, keys):
            head = read_head(connection, keys)
            body, mac = replace(head, generation=head.generation + 1).encode(keys)
            connection.execute("UPDATE head SET body = ?, mac = ?", (body, mac))
            connection.execute("ROLLBACK")
        self._reserve.ensure()

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.commit`."""
        precious = any(change.event.trigger == Trigger.ACCEPT_TOKENS for change in changes)
        try:
            return self._commit(changes)
        except StorageFull:
            if not precious:
                raise
        self._reserve.release()
        try:
            return self._commit(changes)
        except StorageFull as full:
            full.kept = self._spilled(changes)
            raise

    def _commit(self, changes: Sequence[Change]) -> list[Recorded]:
        with self._changing() as (connection, keys, head, recorded):
            after = head
            for change in changes:
                after = put_login(connection, keys, after, change)
                after, event = append_event(connection, keys, after, change.event)
                recorded.append(event)
            keep_head(connection, keys, after)
        return recorded

    def note(self, event: Event) -> Recorded:
        """See :meth:`stayfast.engine.ports.Storage.note`."""
        with self._changing() as (connection, keys, head, _):
            after, recorded = append_event(connection, keys, head, event)
            keep_head(connection, keys, after)
        return recorded

    @contextmanager
    def _changing(self) -> Generator[tuple[sqlite3.Connection, Keys, Head, list[Recorded]]]:
        """A transaction that leads to the next generation, and what had to be recorded first.

        A damaged end of the log stops nobody: it is set aside, and the log tells of that.
        """
        with self._vault_connection.writing() as (connection, keys):
            head, recorded = ready(connection, keys)
            if self._rollback_marker.behind(keys, head.generation):
                self._announce(ROLLED_BACK)
                head, told = tell_of_rollback(connection, keys, head)
                recorded.append(told)
            yield connection, keys, head, recorded
        self._rollback_marker.note(keys, head.generation)

    # --- upkeep ----------------------------------------------------------------------------------

    def mend(self) -> list[Mended]:
        """Set aside what does not open, and put right what can be; gives what was done.

        Raises:
            StorageError: The vault cannot be written.
            Damaged: The database itself cannot be read.
        """
        with self._vault_connection.writing() as (connection, keys):
            return mend(connection, keys)

    def rekey(self, kind: str, passphrase: str | None = None) -> None:
        """Seal everything under a new root key, whose own key is kept in another place.

        Args:
            kind: One of :data:`stayfast.storage.keys.sources.KINDS`.
            passphrase: The new one, for ``passphrase``.

        Raises:
            Damaged: Something does not open: :meth:`mend` sets it aside.
            StorageError: The new key cannot be kept there, or the vault not be written.
            ConfigInvalid: There is no such kind.
        """
        with self._vault_connection.writing() as (connection, keys):
            before = self._vault_connection.header
            if before is None:
                raise StorageError("there is no vault yet", hint="stayfast login")
            rekey(connection, before, keys, self._key_sources.moving_to(kind, passphrase))
        self._vault_connection.forget_keys()
        self.probe()  # opened by its new key; the copy of the header follows
        with (
            self._vault_connection.writing()
        ):  # or the key another is about to seal with would go as well
            if self._vault_connection.header is not None:
                self._key_sources.tidy(before, self._vault_connection.header)

    def set_aside(self, beyond: int | None = None) -> Recorded | None:
        """Leave a damaged log behind and begin a new segment; gives the record of that.

        Args:
            beyond: Do so only if the present segment has a record up to this number: for who finds
                damage behind it, and may not be the first to.
        """
        if not self.exists():
            return None
        with self._vault_connection.writing() as (connection, keys):
            head = read_head(connection, keys)
            if beyond is not None and head.first > beyond + 1:
                connection.execute("ROLLBACK")
                return None
            head, recorded = set_aside(connection, keys, head)
            keep_head(connection, keys, head)
        return recorded

    def go_forward_secure(self) -> str:
        """Erase the key of every record from now on; gives the verification key, kept nowhere.

        Raises:
            ConfigInvalid: That is so already.
        """
        with self._vault_connection.writing() as (connection, keys):
            head, _ = ready(connection, keys)
            head, shown = go_forward_secure(connection, keys, head)
            keep_head(connection, keys, head)
        return shown

    def prune(self, before: float) -> Pruned | None:
        """Remove what was recorded before ``before``, POSIX seconds; ``None`` if there is nothing.

        Raises:
            Damaged: The records that would go are not as they were written.
        """
        if not self.exists():
            return None
        with self._vault_connection.writing() as (connection, keys):
            done = prune(connection, keys, read_head(connection, keys), before)
            if done is None:
                connection.execute("ROLLBACK")
                return None
            head, pruned, _ = done
            keep_head(connection, keys, head)
        return pruned

    # --- leases ----------------------------------------------------------------------------------

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`stayfast.engine.ports.Storage.lease`: an ``flock`` that ends with us."""
        return self._lease(login_id, wait, until)

    @contextmanager
    def _lease(
        self, login_id: str, wait: float, until: Callable[[], bool] | None
    ) -> Generator[Lease]:
        path = lock_path(self.directory, login_id)
        ensure_directory(self.directory)
        ensure_directory(os.path.dirname(path))
        sooner = None if until is None else ChangePolling(self._vault_connection.changes, until)
        with locked(path, wait=wait, what=f"login {login_id[:4]}", until=sooner):
            self._absorb(login_id)
            yield Lease(login_id)

    def held(self, lease: Lease) -> int | None:
        """The descriptor that holds ``lease``: a process that gets it holds the lease as well."""
        return held(lock_path(self.directory, lease.login_id))

    def handover(self) -> Handover | None:
        """What another process needs to work on this vault; ``None`` if there is none yet.

        Raises:
            StorageError: The vault cannot be opened.
        """
        with self._reading(check=False) as opened:
            if opened is None:
                return None
            return Handover.from_keys(self.directory, self._key_sources.config_dir, opened[1])

    def _spilled(self, changes: Sequence[Change]) -> str | None:
        with self._reading(check=False) as opened:
            if opened is None:
                return None
            keys = opened[1]
            texts = [text_of(members_of(change.event, keys.fingerprint)) for change in changes]
            return self._spill.keep(keys, changes, texts)

    def _absorb(self, login_id: str) -> None:
        """Commit what found no room before, unless something newer is there."""
        with self._reading(check=False) as opened:
            keys = opened[1] if opened else None
        spilled = self._spill.kept(keys, login_id) if keys else []
        if keys is None or not spilled:
            return
        try:
            with self._changing() as (connection, _keys, head, _):
                after = head
                for login, fence, text in spilled:
                    after = put_record(connection, keys, after, login, fence)
                    after, _ = append_text(connection, keys, after, text)
                keep_head(connection, keys, after)
        except StorageConflict:
            pass  # it has gone on without them
        except StorageError:
            return  # still no room
        self._spill.forget(keys, login_id)

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        self._vault_connection.close()
