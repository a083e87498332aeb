"""Commits in PostgreSQL: rows, events and integrity record in one transaction.

There is one audit chain, and each event is linked to the one before. So all writers of all hosts take
the row of the integrity record first, and wait for each other there.

The outcome of a commit is never guessed. If the answer to a COMMIT is lost, the log is read: the
links of its events can only be ours, so if they are there, the transaction was committed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import psycopg

from ...engine.errors import Damaged, OutcomeUnknown, StorageConflict
from ...engine.hints import Hint
from ..audit.pruning import prune
from ..audit.rows import append_event, append_text
from ..audit.segments import set_aside
from ..host import CLOCK
from ..vault.ended import remove_ended
from ..vault.entries import write_entry
from ..vault.integrity import keep_head, read_head, rows_of
from ..vault.login_rows import put_logins, put_record
from ..vault.rekey import renewed
from ..vault.repair import mend, record_rollback, rollback_recorded
from .connections import Executor
from .leases import fenced
from .pg_errors import in_doubt, is_away
from .resealing import Batch, Digests, begin, check_that_all_open, end

if TYPE_CHECKING:
    from ...engine.audit.events import Event, Recorded
    from ...engine.ports import Change, Lease
    from ..arrivals import Kept
    from ..audit.pruning import Pruned
    from ..keys.sealing import Keys
    from ..vault.header import Header
    from ..vault.integrity import Head
    from ..vault.rekey import Move
    from ..vault.repair import Mended
    from ..vault.rollback import RollbackMarker
    from .connections import Connection, Connections

_PAUSE: Final = 0.2
_Written = tuple["Head", list["Recorded"]]


class _Doubt(Exception):
    """The answer to a COMMIT was lost. ``head`` is the head of the log if it was done."""

    def __init__(self, error: psycopg.Error, head: Head, recorded: list[Recorded]) -> None:
        super().__init__()
        self.error = error
        self.head = head
        self.recorded = recorded


class Commits:
    """Writes into one database."""

    def __init__(self, connections: Connections, marker: RollbackMarker) -> None:
        """Write over ``connections``, and save the latest generation of the database in ``marker``."""
        self._connections = connections
        self._marker = marker

    def changes(self, keys: Keys, changes: Sequence[Change]) -> list[Recorded]:
        """Commit ``changes`` and their events; see :meth:`stayfast.engine.ports.Storage.commit`."""

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            recorded: list[Recorded] = []
            for change in changes:
                _check_fence(connection, change.login.id, change.fence)
            head = put_logins(database, keys, head, changes)
            for change in changes:
                head, event = append_event(database, keys, head, change.event)
                recorded.append(event)
            return head, recorded

        return self._written(keys, write)

    def put(self, keys: Keys, kept: Sequence[Kept], lease: Lease) -> None:
        """Commit records that were kept when they could not be saved, under the present ``lease``.

        Raises:
            StorageConflict: Something newer is there.
        """

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            _check_fence(connection, lease.login_id, lease.fence)
            recorded: list[Recorded] = []
            for login, _former_fence, text in kept:
                head = put_record(database, keys, head, login, lease.fence)
                head, event = append_text(database, keys, head, text)
                recorded.append(event)
            return head, recorded

        self._written(keys, write)

    def note(self, keys: Keys, event: Event) -> Recorded:
        """Log ``event`` alone."""

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            del connection
            head, recorded = append_event(database, keys, head, event)
            return head, [recorded]

        return self._written(keys, write)[-1]

    def put_entry(self, keys: Keys, name: str, value: bytes | None, event: Event | None) -> None:
        """Save an entry; see :meth:`stayfast.storage.capabilities.SealedEntries.put_entry`."""

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            del connection
            write_entry(database, keys, name, value)
            head, recorded = append_event(database, keys, head, event) if event else (head, None)
            return head, [recorded] if recorded else []

        def put(connection: Connection) -> None:
            with connection.transaction():
                database = Executor(connection)
                # a change of the root key waits for this, or this for it; then the keys are found
                # out that are no longer those of the database
                database.execute("LOCK TABLE entry IN ROW EXCLUSIVE MODE")
                read_head(database, keys)
                write_entry(database, keys, name, value)

        if event is None:  # it takes no turn among the writers of all hosts
            self._connections.run(put)
        else:
            self._written(keys, write)

    def set_aside(self, keys: Keys) -> Recorded:
        """Set a damaged log aside, begin a new segment, and give the record of that."""

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            del connection
            head, recorded = set_aside(database, keys, head)
            return head, [recorded]

        return self._written(keys, write)[-1]

    def prune(self, keys: Keys, before: float) -> Pruned | None:
        """Remove the records before ``before``. ``None`` if there are no such records.

        Raises:
            Damaged: The records to remove are not as they were written.
        """
        removed: list[Pruned] = []

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            del connection
            removed.clear()  # the transaction may be done anew
            done = prune(database, keys, head, before)
            if done is None:
                return head, []
            head, pruned, recorded = done
            removed.append(pruned)
            return head, [recorded]

        self._written(keys, write)
        return removed[0] if removed else None

    def purge(self, keys: Keys, before: float) -> int:
        """Remove a batch of logins that ended before ``before``; gives how many."""
        removed = [0]

        def write(connection: Connection, database: Executor, head: Head) -> _Written:
            del connection
            done = remove_ended(database, keys, head, before)
            removed[0] = done[1] if done else 0  # the transaction may be done anew
            return (done[0], [done[2]]) if done else (head, [])

        self._written(keys, write)
        return removed[0]

    def mend(self, keys: Keys) -> list[Mended]:
        """Set aside what does not open; see :func:`stayfast.storage.vault.repair.mend`.

        Raises:
            Damaged: The keys are no longer those of the database: nothing would open under them, and
                all would be set aside.
        """

        def work(connection: Connection) -> list[Mended]:
            with connection.transaction():
                # the lock: no other process changes the key until the end
                connection.execute("SELECT one FROM head FOR UPDATE")
                found = connection.execute("SELECT body, mac FROM header").fetchone()
                if found is None or keys.header_mac(bytes(found[0])) != bytes(found[1]):
                    raise Damaged("the header of the database was changed", hint=Hint("store mend"))
                return mend(Executor(connection), keys)

        return self._connections.run(work)

    def record_rollback(self, keys: Keys) -> list[Mended]:
        """Commit, if an older copy was put back: the log then says so."""
        if not self._marker.problems:
            return []
        self._written(keys, lambda _connection, _database, head: (head, []))
        return [rollback_recorded()]

    def begin_rekey(self, header: Header, keys: Keys, move: Move) -> bool:
        """Begin to seal everything under a new root key (:mod:`.resealing`), or change nothing.

        Gives ``False`` if another process has changed the header meanwhile.

        Raises:
            Damaged: Something does not open. :meth:`mend` sets it aside.
            OutcomeUnknown: The server went away before it said whether it is done.
        """

        def look(connection: Connection) -> list[Any]:
            database = Executor(connection)
            read_head(database, keys)
            check_that_all_open(database, keys)
            return rows_of(database)

        rows = self._connections.run(look)
        after, fresh = renewed(header, keys, move, in_steps=True)
        digests = Digests(keys, fresh)
        digests.add(rows)
        body = after.encode()
        try:
            with self._connections.one() as connection, connection.pipeline():
                connection.execute("BEGIN")
                database = Executor(connection)
                # the lock: all writers of all hosts wait, and go on with the new key
                read_head(database, keys, for_update=True)
                if self._stored_header(connection) != header.body:
                    connection.execute("ROLLBACK")
                    return False
                head = begin(database, keys, fresh, after, digests)
                self._put_header(connection, fresh, body)
                connection.execute("COMMIT")
        except psycopg.Error as error:
            if not in_doubt(error):
                raise self._connections.explain(error) from error
            if self._header() != body:
                raise OutcomeUnknown(
                    "the PostgreSQL server went away while the key was changed; nothing is lost",
                    hint=Hint("store info"),
                ) from error
        else:
            self._marker.note(fresh, head.generation)
        return True

    def reseal(self, keys: Keys, after: str) -> Batch:
        """Seal some rows after the id ``after`` under the new root key."""

        def work(connection: Connection) -> Batch:
            database = Executor(connection)
            batch = Batch(database, keys, after)
            with connection.pipeline():
                connection.execute("BEGIN")
                batch.write(database)
                connection.execute("COMMIT")
            return batch

        # if the answer to the COMMIT is lost, it is done again
        return self._connections.run(work)

    def end_rekey(self, header: Header, keys: Keys) -> bool:
        """Forget the former root key. Gives ``False`` if there are rows under it."""

        def work(connection: Connection) -> bool:
            with connection.transaction():
                connection.execute("SELECT one FROM head FOR UPDATE")
                if self._stored_header(connection) != header.body:
                    return True  # another process has done it
                if end(Executor(connection), keys) is None:
                    return False
                self._put_header(connection, keys, header.amended().encode())
            return True

        return self._connections.run(work)

    def _stored_header(self, connection: Connection) -> bytes:
        found = connection.execute("SELECT body FROM header").fetchone()
        return bytes(found[0]) if found else b""

    def _put_header(self, connection: Connection, keys: Keys, body: bytes) -> None:
        connection.execute("UPDATE header SET body = %s, mac = %s", (body, keys.header_mac(body)))

    def _header(self) -> bytes:
        def look(connection: Connection) -> bytes:
            found = connection.execute("SELECT body FROM header FOR UPDATE").fetchone()
            return bytes(found[0]) if found else b""

        return self._connections.run(look)

    def probe(self, keys: Keys) -> None:
        """Write the integrity record unchanged, and roll back."""

        def work(connection: Connection) -> None:
            with connection.transaction(force_rollback=True):
                database = Executor(connection)
                keep_head(database, keys, read_head(database, keys, for_update=True))

        self._connections.run(work)

    def _written(
        self, keys: Keys, write: Callable[[Connection, Executor, Head], _Written]
    ) -> list[Recorded]:
        deadline = CLOCK.monotonic() + self._connections.patience
        while True:
            try:
                with self._connections.one() as connection:
                    return self._transaction(connection, keys, write)
            except _Doubt as doubt:
                if self._was_committed(doubt, deadline):
                    self._marker.note(keys, doubt.head.generation)
                    return doubt.recorded
                if CLOCK.monotonic() > deadline:  # every COMMIT may meet the same
                    raise self._connections.explain(doubt.error) from doubt.error
            except psycopg.Error as error:
                if not is_away(error) or CLOCK.monotonic() > deadline:
                    raise self._connections.explain(error) from error
            CLOCK.sleep(_PAUSE * random.uniform(0.1, 1.0))  # noqa: S311  no secret

    def _transaction(
        self,
        connection: Connection,
        keys: Keys,
        write: Callable[[Connection, Executor, Head], _Written],
    ) -> list[Recorded]:
        database = Executor(connection)
        written: _Written | None = None
        try:
            # In a pipeline all statements go out together with the COMMIT. So the row that all other
            # writers wait for is held for two round trips, however many statements there are.
            with connection.pipeline():
                connection.execute("BEGIN")
                # the lock: one writer at a time, of all hosts
                before = read_head(database, keys, for_update=True)
                first: list[Recorded] = []
                if self._marker.behind(keys, before.generation):
                    before, event = record_rollback(database, keys, before)
                    first.append(event)
                head, recorded = write(connection, database, before)
                head, recorded = keep_head(database, keys, head), [*first, *recorded]
                written = head, recorded
                connection.execute("COMMIT")
        except psycopg.errors.UniqueViolation as error:
            if error.diag.table_name == "audit":
                raise Damaged(
                    "the audit log goes on where it should end", hint=Hint("audit set-aside")
                ) from error
            raise StorageConflict(
                "another login of the same account was finished at the same time",
                hint=Hint("status"),
            ) from error
        except psycopg.Error as error:
            if written is not None and in_doubt(error):
                raise _Doubt(error, *written) from error
            raise
        self._marker.note(keys, head.generation)
        return recorded

    def _was_committed(self, doubt: _Doubt, deadline: float) -> bool:
        """Whether the events of ``doubt`` are in the log. It waits for writers to finish first.

        Raises:
            OutcomeUnknown: The server did not come back in time.
        """

        def look(connection: Connection) -> bool:
            with connection.transaction():
                # our own lost transaction may still be running: it holds this row until its end
                connection.execute("SELECT one FROM head FOR UPDATE")
                found = connection.execute(
                    "SELECT mac FROM audit WHERE seq = %s", (doubt.head.seq,)
                ).fetchone()
                return found is not None and bytes(found[0]) == doubt.head.mac

        try:
            left = max(0.5, deadline - CLOCK.monotonic())
            return self._connections.run(look, patience=left)
        except Exception as error:
            raise OutcomeUnknown(
                "the PostgreSQL server went away while it was written to; "
                "what is durable is unknown",
                hint=Hint("status"),
            ) from error


def _check_fence(connection: Connection, login_id: str, fence: int) -> None:
    """Make sure that the lease is ours. ``FOR SHARE`` keeps it so until the commit."""
    if not fence:
        return
    held = connection.execute(
        "SELECT fence FROM lease WHERE login = %s FOR SHARE", (login_id,)
    ).fetchone()
    if held is None or held[0] != fence:
        raise fenced(login_id)
