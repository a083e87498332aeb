"""Logins in PostgreSQL, for many users on many hosts, under the contract of every storage.

:class:`PostgresStorage` is the storage. The vault's own code seals, signs and chains the rows; it
runs here over an :class:`~.connections.Executor`. :mod:`.opener` opens the database once per process:
it makes missing tables, reads the header, and finds a key on this host that opens one of its slots.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from ...engine.audit.verifier import check_lines
from ...engine.codec import decode_login
from ...engine.errors import Damaged, LoginBusy
from ...engine.hints import Hint
from ...engine.ports import Lease
from ..arrivals import Arrivals
from ..audit.check import check_log, file_keys
from ..audit.rows import read_events
from ..audit.signing import Signer, signed_head
from ..capabilities import Capabilities, rebuilt_elsewhere
from ..host import CLOCK
from ..locks import ChangePolling, held, sweep
from ..paths import absolute
from ..paths import config_dir as default_config_dir
from ..paths import state_dir as default_state_dir
from ..private_file import CONFIG_VARIABLE
from ..vault.entries import every_entry, read_entry
from ..vault.file import open_secret, row_by_id
from ..vault.handover import HandedSources, Handover
from ..vault.integrity import read_head, released
from ..vault.login_rows import opened_summaries, summaries_in
from ..vault.problems import problems_of
from ..vault.rollback import RollbackMarker
from ..vault.tamper_check import TamperCheck
from ..vault.tree import read_by_id
from .address import Address
from .commits import Commits
from .connections import MOST, PATIENCE, Connections, Executor
from .host_lock import hold_host_lock
from .info import database_info_of
from .key_change import KeyChange
from .leases import TTL, LeaseRows
from .opener import PostgresOpener
from .resealing import found_by_alias, row_filed

if TYPE_CHECKING:
    from ...engine.audit.events import Event, Recorded
    from ...engine.audit.verifier import Verification
    from ...engine.ports import Change
    from ...engine.record import Login
    from ...engine.summary import Summary
    from ..audit.pruning import Pruned
    from ..keys.sealing import Keys
    from ..vault.file import Row
    from ..vault.info import DatabaseInfo
    from ..vault.repair import Mended
    from ..vault.tree import Found
    from .connections import Connection


T = TypeVar("T")
_NOTICEABLE: Final = 0.005  # seconds of a wait in which another process may have done our work
_HELP: Final = Hint("help storage")
SEEN_WITHIN: Final = 0.5
"""Seconds for which a valid token that was read counts as the stored one, where nobody asks for less."""


class PostgresStorage:
    """Sealed logins in one database, for any number of threads, processes and hosts.

    The database sees no token, and no name of a provider or account. Rows are sealed as in the vault,
    under a root key. On each host a key file, a passphrase (``STAYFAST_PASSPHRASE``) or a keyring
    opens one of the slots that wrap the root key.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        config_dir: str | None = None,
        passphrase: Callable[[], str | None] | None = None,
        state_dir: str | None = None,
        most_connections: int | None = None,
        lease_seconds: float = TTL,
        patience: float | None = None,
        seen_within: float = SEEN_WITHIN,
        interactive: bool = False,
        announce: Callable[[str], None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Use the logins at ``url``. Nothing is opened or made before it is needed.

        Args:
            url: A libpq URI, such as ``postgresql://stayfast@db.example.com/logins``. A password
                should be in ``PGPASSFILE`` instead.
            schema: The schema of the tables; the default is ``?schema=`` in ``url``, or ``stayfast``.
            config_dir: The directory of this host's key file; the default is the user's
                configuration directory.
            passphrase: Gives the passphrase if one is needed; the default is
                ``STAYFAST_PASSPHRASE``.
            state_dir: The directory for the locks of this host's processes; the default is the user's
                state directory. If it cannot be made, only the database keeps processes apart.
            most_connections: How many connections this process may have at the same time; the default
                is ``?pool=`` in ``url``, or 8.
            lease_seconds: How long a login stays with a host that was cut off.
            patience: Seconds to wait for a server that went away; the default is ``?patience=`` in
                ``url``, or 10.
            seen_within: Seconds within which a process that has a valid token in memory sees what
                another one has saved. Until then it does not ask the database; with 0 it always does.
            interactive: Whether a person can answer a keyring's prompt.
            announce: Called with one line when the tables are made (it says how the key is kept), and
                when the database is older than one that this host has seen.
            environ: The environment.

        Raises:
            ConfigInvalid: ``url`` is not the address of a database.
        """
        env = os.environ if environ is None else environ
        self._address = Address(url, schema=schema, environ=env)
        self._connections = Connections(
            self._address,
            most=most_connections or self._address.pool or MOST,
            patience=self._address.patience or PATIENCE if patience is None else patience,
        )
        self._opener = PostgresOpener(
            self._connections,
            self._address.schema,
            config_dir=config_dir,
            passphrase=passphrase,
            interactive=interactive,
            announce=announce,
            environ=env,
        )
        # The marker is on this host: a person who puts an old copy of the database back cannot put the
        # marker back with it.
        place = (
            absolute(config_dir, env, CONFIG_VARIABLE) if config_dir else default_config_dir(env)
        )
        self._announce = announce or _say_nothing
        self._marker = marker = RollbackMarker(place, self._announce)
        self._commits = Commits(self._connections, marker)
        self._leases = LeaseRows(self._connections, ttl=lease_seconds)
        self._place = place
        self._named = {
            "url": url,
            "schema": schema,
            "most_connections": most_connections,
            "lease_seconds": lease_seconds,
            "patience": patience,
        }
        here = absolute(state_dir, env) if state_dir else default_state_dir(env)
        self._here = here
        self._locks = os.path.join(here, "locks")
        self._arrivals = Arrivals(env, here)
        self._key_change = KeyChange(self._opener, self._commits, self._locks, self._announce)
        self._own = _OfThread()
        self._intervals = _Intervals(seen_within) if seen_within > 0 else None

    def __repr__(self) -> str:
        return f"PostgresStorage({self._address.place})"

    @property
    def capabilities(self) -> Capabilities:
        """A linked log; another process can go on with it. The files are the server's."""
        sharing = self if rebuilt_elsewhere(self) else None
        # a forked child leaves the parent's connections alone, so nothing has to be closed before
        return Capabilities(
            upkeep=self,
            log=self,
            close=_nothing,
            sharing=sharing,
            entries=self,
            remote=True,
            probe_within=self.probe_within,
            glance=self._intervals,
        )

    @property
    def description(self) -> str:
        """The host and the database."""
        return f"postgresql:{self._address.place}"

    # --- reading ---------------------------------------------------------------------------------

    def read(self, login_id: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.read`."""
        self._bring_all_in()
        login = self._reading(
            lambda database, keys: self._opened(
                database,
                keys,
                lambda: read_by_id(database, keys, login_id),
                lambda: row_by_id(database, login_id),
            )
        )
        return self._arrivals.login(self._opener.keys(), login_id, login)

    def find(self, alias: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.find`."""
        self._bring_all_in()
        login = self._reading(
            lambda database, keys: self._opened(
                database,
                keys,
                lambda: found_by_alias(database, keys, alias),
                lambda: row_filed(database, keys, alias),
            )
        )
        # the index column is not sealed with the row: somebody could have exchanged two of them
        if login is not None and login.alias != alias:
            raise Damaged("a login in the database is filed under another's name", hint=_HELP)
        return self._arrivals.filed(self._opener.keys(), alias, login)

    def _opened(
        self,
        database: Executor,
        keys: Keys,
        look_up: Callable[[], Found],
        scan: Callable[[], Row | None],
    ) -> Login | None:
        row = self._own.tamper_check.checked(database, keys, look_up, scan)
        return None if row is None else decode_login(open_secret(keys, row))

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.ports.Storage.summaries`.

        A row that cannot be opened is left out. :meth:`problems` names it, and :meth:`read` raises.
        """

        def work(database: Executor, keys: Keys) -> list[Summary]:
            rows = self._own.tamper_check.listed(database, keys)
            self._own.tamper_check.vouch(
                database, keys, None
            )  # a list must not be short in silence
            return list(opened_summaries(keys, released(rows)))

        self._bring_all_in()
        return sorted(self._as_they_will_be(self._reading(work)), key=lambda one: one.created_at)

    def page(self, offset: int, limit: int | None) -> Sequence[Summary]:
        """See :meth:`stayfast.engine.storage_ports.PagedStorage.page`."""

        def work(database: Executor, keys: Keys) -> list[Summary]:
            rows = self._own.tamper_check.page(database, keys, offset, limit)
            self._own.tamper_check.vouch(database, keys, None)
            return list(opened_summaries(keys, rows))

        self._bring_all_in()
        return list(self._as_they_will_be(self._reading(work)))

    def beginning(self, prefix: str) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.storage_ports.SearchableStorage.beginning`."""
        self._bring_all_in()

        def work(database: Executor, keys: Keys) -> list[Summary]:
            return _whole(database, keys, summaries_in(database, keys, prefix))

        found = self._reading(work)
        return list(self._as_they_will_be(found))

    def _as_they_will_be(self, saved: list[Summary]) -> Iterator[Summary]:
        keys = self._opener.keys()
        waiting = self._arrivals.waiting(keys)
        for summary in saved:
            kept = self._arrivals.login(keys, summary.id, None) if summary.id in waiting else None
            newer = kept is not None and kept.version > summary.version
            yield kept.summary() if kept and newer else summary

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.events`."""

        def work(database: Executor, keys: Keys) -> Sequence[Recorded]:
            return read_events(database, keys, after=after, limit=limit)

        return self._reading(work)

    def entry(self, name: str) -> bytes | None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entry`."""

        def work(database: Executor, keys: Keys) -> bytes | None:
            found = read_entry(database, keys, name)
            if found is None:  # none is found under a key that has gone, either
                read_head(database, keys)
            return found

        return self._reading(work)

    def entries(self) -> list[tuple[str, bytes]]:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entries`."""

        def work(database: Executor, keys: Keys) -> list[tuple[str, bytes]]:
            return _whole(database, keys, every_entry(database, keys))

        return self._reading(work)

    @property
    def damage(self) -> Damaged | None:
        """That an older copy of the logins was put back, if this process found it."""
        return self._marker.damage

    def problems(self) -> list[str]:
        """One sentence for each thing that is not as it was saved."""
        return self._reading(problems_of) + self._marker.problems

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the audit log: links, numbers, end and histories, and compare it with the logins.

        Args:
            marks: The numbers of the records whose links the result has as marks.
            forward: The first record whose key was erased, and that key.
        """
        found = self._reading(lambda database, keys: check_log(database, keys, marks, forward))
        return self._marker.judged(found)

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this database."""
        audit = self._reading(lambda database, keys: file_keys(database, keys, forward))
        return check_lines(lines, audit.link, marks, self._opener.keys().name)

    def signer(self) -> Signer:
        """The signer of checkpoints of the log."""
        return Signer(self._opener.keys())

    def checkpoint(self) -> str | None:
        """A signed checkpoint of the log as it is now; ``None`` if it is empty."""
        return self._reading(signed_head)

    def _reading(self, work: Callable[[Executor, Keys], T]) -> T:
        """What ``work`` gives. Every reader comes here, so the marker is compared here."""

        def look(connection: Connection, keys: Keys) -> T:
            database = Executor(connection)
            self._marker.compare(keys, lambda: read_head(database, keys).generation)
            return work(database, keys)

        return self._opener.keyed(lambda keys: self._connections.run(lambda one: look(one, keys)))

    # --- writing ---------------------------------------------------------------------------------

    def probe(self) -> None:
        """See :meth:`stayfast.engine.ports.Storage.probe`: a write that is rolled back."""
        self._opener.keyed(self._commits.probe)
        sweep(self._locks)

    def probe_within(self, seconds: float) -> None:
        """As :meth:`probe`, with an answer within ``seconds``: a pool or a server may be exhausted."""
        with self._connections.within(seconds):
            self.probe()

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.commit`."""
        recorded = self._arrivals.committed(
            lambda: self._opener.opened,
            changes,
            lambda: self._opener.keyed(lambda keys: self._commits.changes(keys, changes)),
            lambda login_id, fence: self._bring_in(Lease(login_id, fence)),
        )
        created, self._opener.created = self._opener.created, []
        return [*created, *recorded]

    def note(self, event: Event) -> Recorded:
        """See :meth:`stayfast.engine.ports.Storage.note`."""
        return self._opener.keyed(lambda keys: self._commits.note(keys, event))

    def put_entry(self, name: str, value: bytes | None, event: Event | None = None) -> None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.put_entry`."""
        self._opener.keyed(lambda keys: self._commits.put_entry(keys, name, value, event))

    def set_aside(self) -> Recorded | None:
        """Set a damaged log aside, begin a new segment, and give the record of that."""
        return self._opener.keyed(self._commits.set_aside)

    def prune(self, before: float) -> Pruned | None:
        """Remove the records before ``before``, POSIX seconds. ``None`` if there are none.

        The user needs a right that others lack: ``DELETE`` on ``audit`` and ``login``.

        Raises:
            Damaged: The records to remove are not as they were written.
        """
        return self._opener.keyed(lambda keys: self._commits.prune(keys, before))

    # --- upkeep ----------------------------------------------------------------------------------

    def about(self) -> DatabaseInfo:
        """The database as a whole: its key, its counts, what waits."""
        header = self._opener.header()
        return self._reading(
            lambda database, keys: database_info_of(database, keys, header, self._address)
        )

    def purge(self, before: float) -> int:
        """See :meth:`stayfast.storage.capabilities.Upkeep.purge`.

        The user needs a right that others lack: ``DELETE`` on ``login``.
        """
        removed = 0
        while batch := self._opener.keyed(lambda keys: self._commits.purge(keys, before)):
            removed += batch
        return removed

    def mend(self, *, without_key: bool = False) -> list[Mended]:
        """Set aside what does not open. Nothing is deleted, and the other logins work again.

        The user needs rights that others lack: those of the owner of the tables.

        Args:
            without_key: Has no meaning here: rows in a database are not set aside as a whole.
        """
        del without_key
        done = self._opener.keyed(self._commits.mend)
        self._key_change.finish()
        done += self._opener.keyed(self._commits.record_rollback)
        self._marker.forget()
        return done

    def rekey(self, kind: str, passphrase: str | None = None) -> None:
        """Seal everything under a new root key. Processes that are at work go on with it.

        Other hosts need what opens it: the key file, the passphrase or the answer of the command. Rows
        are sealed some at a time, so no writer waits for long. A change that was interrupted is
        finished first. If the secret that opens the new key is the one that opened the former key,
        one line announces it.

        Args:
            kind: One of :data:`stayfast.storage.keys.sources.KINDS`.
            passphrase: The new one, for ``passphrase``.

        Raises:
            Damaged: Something does not open: :meth:`mend` sets it aside.
            StorageError: The new key cannot be kept there, or the tables not be written.
            ConfigInvalid: There is no such kind.
        """
        self._arrivals.looked = False
        self._bring_all_in()
        self._key_change.to(kind, passphrase)

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`stayfast.engine.ports.Storage.lease`: a row, and the lock of a file before it."""
        return self._lease(login_id, wait, until)

    @contextmanager
    def _lease(
        self, login_id: str, wait: float, until: Callable[[], bool] | None
    ) -> Generator[Lease]:
        self._opener.keys()  # makes the tables if they are missing
        began = CLOCK.monotonic()
        # each call of ``until`` reads the database, and many processes may wait here
        sooner = None if until is None else ChangePolling(lambda: None, until)
        process = os.getpid()
        what = f"login {login_id[:4]}"
        with hold_host_lock(self._locks, login_id, wait=wait, until=sooner, what=what) as host_lock:
            waited = CLOCK.monotonic() - began
            if waited > _NOTICEABLE and until is not None and until():
                raise LoginBusy(
                    f"login {login_id[:4]} was handled by another process meanwhile",
                    hint=Hint("status"),
                )
            left = max(0.0, wait - waited)
            lease = self._leases.acquire(login_id, wait=left, host_lock=host_lock, until=sooner)
            try:
                self._bring_in(lease)
                yield lease
            finally:
                # a child that was forked meanwhile must not end the parent's lease
                if process == os.getpid():
                    lease.release()

    def _bring_in(self, lease: Lease) -> None:
        keys = self._opener.keys()
        self._arrivals.bring_in(
            keys,
            lease.login_id,
            lambda kept: self._commits.put(keys, kept, lease),
            self._filed,
            self._saved,
        )

    def _filed(self, alias: str) -> Login | None:
        def work(database: Executor, keys: Keys) -> Login | None:
            row = row_filed(database, keys, alias)
            return decode_login(open_secret(keys, row)) if row else None

        return self._reading(work)

    def _saved(self, login_id: str) -> Login | None:
        def work(database: Executor, keys: Keys) -> Login | None:
            row = row_by_id(database, login_id)
            return decode_login(open_secret(keys, row)) if row else None

        return self._reading(work)

    def _bring_all_in(self) -> None:
        self._arrivals.bring_all_in(self._opener.keys(), lambda one: self.lease(one, wait=0))

    # --- couriers --------------------------------------------------------------------------------

    @classmethod
    def handed_over(cls, handover: Handover, environ: Mapping[str, str]) -> PostgresStorage:
        """The storage of ``handover``, in the process that got it; its tables are never made here.

        Args:
            handover: Its address and its root key.
            environ: The environment, with the variables of ``handover``.
        """
        storage = cls(
            **handover.database,
            config_dir=handover.config_dir,
            state_dir=handover.directory,
            passphrase=lambda: None,
            environ=environ,
        )
        storage._opener.use(HandedSources(handover, environ))
        return storage

    def handover(self) -> Handover | None:
        """See :meth:`stayfast.storage.capabilities.Sharing.handover`."""
        opened = Handover.from_keys(self._here, self._place, self._opener.keys())
        libpq = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        return replace(opened, database=self._named, variables=libpq)

    def held(self, lease: Lease) -> list[int] | None:
        """See :meth:`stayfast.storage.capabilities.Sharing.held`.

        The lease is a row, which its fence opens to everybody who knows it. The lock of this host
        comes along where there is one: no process of this host takes the lease over while it is held.
        """
        descriptor = held(os.path.join(self._locks, f"{lease.login_id}.lock"))
        return [] if descriptor is None else [descriptor]

    def adopted(self, lease: Lease) -> Lease:
        """``lease`` of the process that handed it over, which can be extended and ended here."""
        return self._leases.adopted(lease)

    def close(self) -> None:
        """Close the idle connections. New ones are made when they are needed."""
        self._connections.close()


class _OfThread(threading.local):
    """What each thread has of its own: a read of another thread must not take its suspicion back."""

    def __init__(self) -> None:
        self.tamper_check = TamperCheck()


class _Intervals:
    """A look at a clock instead of the database: what was read holds until the present interval ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def look(self) -> object:
        """See :meth:`stayfast.storage.capabilities.Glance.look`."""
        return CLOCK.monotonic() // self._seconds

    begin = look


def _whole(database: Executor, keys: Keys, found: Iterable[T]) -> list[T]:
    """All of ``found``. Under a key that has gone meanwhile, a part of it would be left out.

    Raises:
        Damaged: The keys are no longer those of the database.
    """
    every = list(found)
    read_head(database, keys)
    return every


def _nothing() -> None:
    pass


def _say_nothing(line: str) -> None:
    del line
