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
    marker      compared, if no read of this process did: was the vault further once? then a record says so
    login       for each login: the row must have the version before its first change; it is replaced
    audit       for each change: the next number, linked to the record before
    tree        the branches of these rows, up to the root
    head        the root, the end of the log, one generation more
    COMMIT      durable here: row, record, tree and head together, or none of them
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
was emptied. If they cannot be saved, for whatever reason, they are sealed into the runtime directory
or, where there is none, another place (:mod:`stayfast.storage.arrivals`). The commit then raises the
error, which names that place. Readers get the login as it will be. The next process that reads the
login or takes its lease commits the tokens first; while that fails, no process gets the lease, so the refresh token that they replaced is not sent again.

What a reader may trust
-----------------------

A sealed part of a row opens only in its own vault, under its own login, version, state and root key.
That does not show that the row is the latest. The tree does, whose root is in the head (:mod:`.tree`):
a login is looked up together with its branch, also by ``stayfast token``, and a list compares all
rows, or in a large vault those that have changed since the last list (:mod:`.kept_list`). If something differs, a login is given out only if the audit log shows that its row is the last
that was saved. A whole older copy of the vault passes both checks; the rollback marker, which is
kept beside the key, shows that it is old. Each process compares it at its first read, whatever it
reads: it is announced, a check of the log has a finding, and the next commit records it. The index is not sealed with the row, so the alias of a login that was found is compared.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar

from ...engine.errors import (
    Damaged,
    NewerFormat,
    StorageError,
    StorageFull,
)
from ...engine.hints import Hint
from ...engine.summary_codec import decode_summary
from ..arrivals import Arrivals, arrived
from ..capabilities import Capabilities, rebuilt_elsewhere
from ..host import CLOCK
from ..locks import ChangePolling, held, locked, login_lock, sweep
from ..private_file import ensure_directory
from .connection import VaultConnection
from .entries import TABLE as ENTRY_TABLE
from .entries import every_entry, has_entries, read_entry, write_entry
from .file import row_by_alias, row_by_id, scan_for_alias
from .glance import VaultGlance
from .integrity import Head, keep_head, read_head, released
from .login_rows import BY_AGE, login_in, opened_summaries, put_logins, put_record, summaries_in
from .pages import FEW, MANY, page_of, page_of_all
from .reserve import Reserve, remove_list
from .rollback import RollbackMarker
from .schema import put_header
from .sqlite_errors import translated
from .tamper_check import TamperCheck
from .tree import read_by_alias, read_by_id

if TYPE_CHECKING:
    from ...engine.audit.events import Event, Recorded
    from ...engine.audit.verifier import Verification
    from ...engine.changes import Lease
    from ...engine.ports import Change
    from ...engine.record import Login
    from ...engine.summary import Summary
    from ..arrivals import Kept
    from ..audit.pruning import Pruned
    from ..audit.signing import Signer
    from ..keys.sealing import Keys
    from ..keys.sources import KeySources
    from .handover import Handover
    from .header import Header
    from .info import VaultInfo
    from .kept_list import KeptList, Listing
    from .mending import Mending
    from .repair import Mended
    from .set_aside import Unlock

T = TypeVar("T")
_HELP: Final = Hint("store mend")
_PROBED_ANEW: Final = 1.0  # seconds
_CHECKED_AT_ONCE: Final = 512  # rows up to which a new login waits for all of them to be compared


class _NothingToDo(Exception):
    """A transaction is rolled back, for there is nothing to change."""


_WRITING: Final = (
    *("...engine.changes", "...engine.codec", "...engine.flows.ledger"),
    *("..memory", "..audit.rows", "..audit.segments", ".repair"),
    "hmac",  # a comparison of secrets
)
"""What is loaded before a lease is taken."""
_COMPARING: Final = (".definitions",)
"""What is loaded before a login is begun."""


@cache
def _load(modules: tuple[str, ...]) -> None:
    """Load what is not needed for a look at the logins, at the latest when a lease is taken.

    Later, when tokens have come, the process may have no open file left to read a module from.

    Raises:
        StorageError: It has none left now.
    """
    try:
        for module in modules:
            import_module(module, __package__)
    except (OSError, ImportError) as error:  # which of the two depends on where the search ended
        why = (
            error.strerror if isinstance(error, OSError) and error.strerror else "a module is gone"
        )
        message = f"what writes the vault cannot be loaded: {why.lower()}"
        raise StorageError(message, hint="ulimit -n") from error


class Vault:
    """A sealed storage in one directory; shared by any number of threads and processes."""

    def __init__(
        self,
        directory: str,
        *,
        unlock: Unlock,
        create: Callable[[], Recorded],
        describe: Callable[[Header | None], str],
        key_sources: KeySources,
        announce: Callable[[str], None],
        environ: Mapping[str, str],
    ) -> None:
        """A vault in ``directory``; it is opened, and made, only when it is needed.

        Args:
            directory: The state directory.
            unlock: Reads the header and finds the keys.
            create: Makes the vault and gives the first record of its log; called under the lock of
                its making.
            describe: Kind and place in a few words.
            key_sources: Where its key may be.
            announce: Told in one line what happened to it.
            environ: Names the runtime directory.
        """
        self._key_sources = key_sources
        self._announce = announce
        self._rollback_marker = RollbackMarker(key_sources.config_dir, announce)
        self._reserve = Reserve(directory)
        self._arrivals = Arrivals(environ, directory)
        self._describe = describe
        self._tamper_check = TamperCheck()
        self._probed: tuple[object, float] = (None, 0.0)  # for whose changes, and when
        self._unlock = unlock
        self._vault_connection = VaultConnection(directory, unlock, create)

    @property
    def capabilities(self) -> Capabilities:
        """Everything: see :class:`stayfast.storage.capabilities.Capabilities`."""
        sharing = self if rebuilt_elsewhere(self) else None
        return Capabilities(
            upkeep=self,
            log=self,
            vault=self,
            close=self.close,
            sharing=sharing,
            entries=self,
            # elsewhere the time of a file that is open may be noted late
            glance=VaultGlance(self.directory) if os.name == "posix" else None,
        )

    # --- reading -----------------------------------------------------------------------------------

    @property
    def description(self) -> str:
        """Kind and place of its key, such as ``keyring:SecretService``."""
        return self._describe(self._vault_connection.header)

    @property
    def directory(self) -> str:
        """The state directory."""
        return self._vault_connection.directory

    def read(self, login_id: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.read`."""
        return self._settled(lambda: self._read(login_id))

    def _read(self, login_id: str) -> Login | None:
        with self._reading() as opened:
            if opened is None:
                return None
            row = self._tamper_check.checked(
                *opened,
                lambda: read_by_id(*opened, login_id),
                lambda: row_by_id(opened[0], login_id),
            )
            login = None if row is None else login_in(opened[1], row)
            return self._arrivals.login(opened[1], login_id, login)

    def find(self, alias: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.find`."""
        return self._settled(lambda: self._find(alias))

    def _find(self, alias: str) -> Login | None:
        with self._reading() as opened:
            if opened is None:
                return None
            row = self._tamper_check.checked(
                *opened,
                lambda: read_by_alias(*opened, alias),
                lambda: scan_for_alias(*opened, alias),
            )
            login = None if row is None else login_in(opened[1], row)
            # the index is not sealed with the row: it may have been moved
            if login is not None and login.alias != alias:
                raise Damaged("a login in the vault is filed under another's name", hint=_HELP)
            return self._arrivals.filed(opened[1], alias, login)

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.ports.Storage.summaries`; rows that do not open are left out.

        What is left out is not silent: :attr:`damage` says so, and :meth:`problems` names it.
        """
        found, keep = self._settled(self._summaries)
        if keep is not None:
            keep()  # with no lock held: it takes a while
        return found

    def _summaries(self) -> tuple[list[Summary], Callable[[], None] | None]:
        with self._reading() as opened:
            if opened is None:
                return [], None
            if read_head(*opened).rows > MANY and self._tamper_check.suspicion is None:
                from .kept_list import KeptList  # noqa: PLC0415  few vaults are so large

                kept_list, listing = KeptList(self.directory), None
                # a torn page that is read here alone costs no list; the integrity record is read below, too
                with suppress(Damaged), translated():
                    listing = kept_list.look(*opened)
                if listing is not None:
                    found = list(self._as_they_will_be(opened[1], listing.logins))
                    return found, partial(self._keep_list, kept_list, opened[1], listing)
            return sorted(self._compared_summaries(*opened), key=BY_AGE), None

    def _keep_list(self, kept_list: KeptList, keys: Keys, listing: Listing) -> None:
        """Keep ``listing``. Whoever removes logins or changes the key removes it afterwards, or else we do."""
        if not kept_list.keep(keys, listing):
            return
        outdated = True
        with suppress(StorageError), self._reading() as opened:
            outdated = opened is None or read_head(*opened).rows < len(listing.logins)
        if outdated or self._vault_connection.moved():
            remove_list(self.directory)

    def _compared_summaries(self, connection: sqlite3.Connection, keys: Keys) -> Iterator[Summary]:
        rows = self._tamper_check.listed(connection, keys)
        believable = self._tamper_check.believable(connection, keys)
        waiting = self._arrivals.waiting(keys)
        for login, version, state, meta in released(rows):
            if not believable(login, version):
                continue
            kept = self._arrivals.login(keys, login, None) if login in waiting else None
            if kept is not None and kept.version > version:
                yield kept.summary()
                continue
            try:
                yield decode_summary(keys.open_row("meta", login, version, state, meta))
            except (Damaged, NewerFormat):
                continue

    def page(self, offset: int, limit: int | None) -> Sequence[Summary] | None:
        """See :meth:`stayfast.engine.storage_ports.PagedStorage.page`; where a list is short, there is no page."""
        return None if limit is None else self._settled(lambda: self._page(offset, limit))

    def _page(self, offset: int, limit: int) -> list[Summary] | None:
        with self._reading() as opened:
            if opened is None or read_head(*opened).rows <= FEW:
                return None
            rows = page_of(*opened, offset, limit)
            if rows is None:
                every = self._tamper_check.listed(*opened)
                believable = self._tamper_check.believable(*opened)
                every = [row for row in every if believable(row[0], row[1])]
                rows = page_of_all(every, offset, limit)
            return list(self._as_they_will_be(opened[1], opened_summaries(opened[1], rows)))

    def beginning(self, prefix: str) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.storage_ports.SearchableStorage.beginning`."""
        return self._settled(lambda: list(self._beginning(prefix)))

    def _beginning(self, prefix: str) -> Iterator[Summary]:
        with self._reading() as opened:
            if opened is None:
                return
            yield from self._as_they_will_be(opened[1], summaries_in(*opened, prefix))

    def _as_they_will_be(self, keys: Keys, saved: Iterable[Summary]) -> Iterator[Summary]:
        waiting = self._arrivals.waiting(keys)
        if not waiting:
            yield from saved
            return
        for one in saved:
            kept = self._arrivals.login(keys, one.id, None) if one.id in waiting else None
            yield kept.summary() if kept is not None and kept.version > one.version else one

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.events`."""
        with self._reading() as opened:
            if opened is None:
                return []
            from ..audit.rows import read_events  # noqa: PLC0415  for who reads the log

            return read_events(*opened, after=after, limit=limit)

    def entry(self, name: str) -> bytes | None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entry`."""

        def look() -> bytes | None:
            with self._reading() as opened:
                found = opened is not None and has_entries(opened[0])
                return read_entry(*opened, name) if opened and found else None

        return self._settled(look)

    def entries(self) -> list[tuple[str, bytes]]:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entries`."""
        with self._reading() as opened:
            found = opened is not None and has_entries(opened[0])
            return list(every_entry(*opened)) if opened and found else []

    @property
    def damage(self) -> Damaged | None:
        """What was seen to be wrong when the vault was last looked at; :meth:`mend` mends it."""
        return self._tamper_check.suspicion or self._rollback_marker.damage

    def problems(self) -> list[str]:
        """What in the vault is not as it was saved, one sentence each; empty if all is well."""
        with self._reading() as opened:
            found = [] if opened is None else self._problems(*opened)
            found += self._rollback_marker.problems
        # sealed anew under its eyes: then what it found is of no worth
        return self.problems() if self._vault_connection.moved() else found

    @staticmethod
    def _problems(connection: sqlite3.Connection, keys: Keys) -> list[str]:
        from .definitions import differences  # noqa: PLC0415  for who asks
        from .page_check import torn_pages  # noqa: PLC0415  as above
        from .problems import problems_of  # noqa: PLC0415  as above

        found = torn_pages(connection)
        with translated():
            found += differences(connection).problems()
        return [*found, *problems_of(connection, keys)]

    def verify(
        self, marks: Collection[int] = (), forward: tuple[int, bytes] | None = None
    ) -> Verification:
        """Check the audit log, and the logins against it; everything found is in the answer.

        Args:
            marks: The records whose links are to be kept in the answer.
            forward: The first record whose key was erased, and that key.
        """
        from ..audit.check import check_log, nothing_to_verify  # noqa: PLC0415  for who checks the log

        with self._reading() as opened:
            found = nothing_to_verify() if opened is None else check_log(*opened, marks, forward)
        # sealed anew under its eyes: then what it found is of no worth
        if self._vault_connection.moved():
            return self.verify(marks, forward)
        return self._rollback_marker.judged(found)

    def verify_lines(
        self,
        lines: Iterable[bytes],
        marks: Collection[int] = (),
        forward: tuple[int, bytes] | None = None,
    ) -> Verification:
        """Check an exported log with the key of this vault; without it, if there is no vault."""
        from ...engine.audit.verifier import check_lines  # noqa: PLC0415  as above
        from ..audit.check import file_keys  # noqa: PLC0415  as above

        with self._reading() as opened:
            link = file_keys(*opened, forward).link if opened else None
            store = opened[1].name if opened else None
        return check_lines(lines, link, marks, store)

    def signer(self) -> Signer | None:
        """What signs checkpoints of the log; ``None`` without a vault."""
        from ..audit.signing import Signer  # noqa: PLC0415  as above

        with self._reading() as opened:
            return Signer(opened[1]) if opened else None

    def checkpoint(self) -> str | None:
        """A signed note of how the log stands; ``None`` of an empty one."""
        from ..audit.signing import signed_head  # noqa: PLC0415  as above

        with self._reading() as opened:
            return signed_head(*opened) if opened else None

    def about(self) -> VaultInfo:
        """What there is to say of the vault as a whole."""
        from .info import vault_info_of  # noqa: PLC0415  for who asks

        with self._reading() as opened:
            return vault_info_of(
                self._vault_connection.header, self._vault_connection.directory, opened
            )

    def exists(self) -> bool:
        """Whether there is a vault already."""
        with self._reading() as opened:
            return opened is not None

    def _settled(self, look: Callable[[], T]) -> T:
        """What ``look`` gives; it looks again if the vault got another key under its eyes."""
        self._bring_all_in()
        try:
            found = look()
        except Damaged:
            if not self._vault_connection.moved():
                raise
            return look()
        return look() if self._vault_connection.moved() else found

    @contextmanager
    def _reading(self) -> Generator[tuple[sqlite3.Connection, Keys] | None]:
        """The connection and the keys. Every reader comes here, so the marker is compared here."""
        with self._vault_connection.reading() as opened:
            if opened is not None:
                connection, keys = opened

                def generation() -> int:
                    with translated():
                        return read_head(connection, keys).generation

                self._rollback_marker.compare(keys, generation)
            yield opened

    # --- writing ---------------------------------------------------------------------------------

    def probe(self) -> None:
        """See :meth:`stayfast.engine.ports.Storage.probe`: a commit that changes nothing."""
        self._set_damage_aside()
        with self._vault_connection.writing() as (connection, keys):
            # committed, and changes nothing: what only a commit meets, such as a program that reads
            # the file or a file that is immutable, is met before the browser is opened
            keep_head(connection, keys, read_head(connection, keys))
        self._set_room_aside()

    def prepare(self) -> None:
        """See :meth:`stayfast.engine.storage_ports.PreparedStorage.prepare`."""
        self._set_damage_aside()
        if self.exists():
            self._set_room_aside()
        else:  # the place, too, is to be shown to be ours alone
            self.probe()

    def _set_damage_aside(self) -> None:
        """Set aside what does not open, so that it stops nobody."""
        with self._reading() as opened:
            damaged = opened is not None and self._looks_damaged(*opened)
        for mended in self._mending.in_place() if damaged else ():
            self._announce(f"{mended.message}; it was set aside or put right")

    def _set_room_aside(self) -> None:
        """Set room aside for tokens that arrive, and remove locks that nobody needs."""
        self._reserve.ensure()
        sweep(os.path.dirname(login_lock(self.directory, "")))

    def _looks_damaged(self, connection: sqlite3.Connection, keys: Keys) -> bool:
        """Whether :meth:`mend` has something to do, as far as a new login waits for the answer.

        A process that begins many logins compares the rows again only if another one has saved
        something. What did not come through SQLite does not show in that, so a second is the most.
        """
        now, others = CLOCK.monotonic(), self._vault_connection.changes_of_others()
        try:
            if others == self._probed[0] and now - self._probed[1] < _PROBED_ANEW:
                damaged = False
            else:
                _load(_COMPARING)
                from .definitions import differences  # noqa: PLC0415  for who begins a login

                if read_head(connection, keys).rows <= _CHECKED_AT_ONCE:
                    self._tamper_check.look(connection, keys)
                damaged = any(differences(connection))
                self._probed = others, now
            if not damaged and self._tamper_check.suspicion is None:
                return False
        except Damaged:  # the integrity record itself, which can be made again
            pass
        self._probed = (None, 0.0)  # what is mended now is compared again
        return True

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.commit`."""
        return self._arrivals.committed(
            lambda: self._vault_connection.keys,
            changes,
            lambda: self._committed_with_reserve(changes),
            lambda login_id, _fence: self._bring_in(login_id),
        )

    def _committed_with_reserve(self, changes: Sequence[Change]) -> list[Recorded]:
        try:
            return self._commit(changes)
        except StorageFull:
            if not arrived(changes):
                raise
            self._reserve.release()
            return self._commit(changes)

    def _commit(self, changes: Sequence[Change]) -> list[Recorded]:
        with self._changing() as (connection, keys, head, recorded):
            from ..audit.rows import append_event  # noqa: PLC0415  it is loaded

            after = put_logins(connection, keys, head, changes)
            for change in changes:
                after, event = append_event(connection, keys, after, change.event)
                recorded.append(event)
            keep_head(connection, keys, after)
        created, self._vault_connection.created = self._vault_connection.created, []
        return [*created, *recorded]

    def note(self, event: Event) -> Recorded:
        """See :meth:`stayfast.engine.ports.Storage.note`."""
        with self._changing() as (connection, keys, head, _):
            from ..audit.rows import append_event  # noqa: PLC0415  it is loaded

            after, recorded = append_event(connection, keys, head, event)
            keep_head(connection, keys, after)
        return recorded

    def put_entry(self, name: str, value: bytes | None, event: Event | None = None) -> None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.put_entry`."""
        if event is None:
            with self._vault_connection.writing() as (connection, keys):
                self._put_entry(connection, keys, name, value)
            return
        with self._changing() as (connection, keys, head, _):
            from ..audit.rows import append_event  # noqa: PLC0415  it is loaded

            self._put_entry(connection, keys, name, value)
            after, _ = append_event(connection, keys, head, event)
            keep_head(connection, keys, after)

    @staticmethod
    def _put_entry(
        connection: sqlite3.Connection, keys: Keys, name: str, value: bytes | None
    ) -> None:
        connection.execute(ENTRY_TABLE)
        write_entry(connection, keys, name, value)

    @contextmanager
    def _changing(self) -> Generator[tuple[sqlite3.Connection, Keys, Head, list[Recorded]]]:
        """A transaction that leads to the next generation, and what had to be recorded first.

        A damaged end of the log stops no login: it is set aside, and the log records that.
        """
        _load(_WRITING)
        from ..audit.segments import ready  # noqa: PLC0415  it is loaded
        from .repair import record_rollback  # noqa: PLC0415  as above

        with self._vault_connection.writing() as (connection, keys):
            head, recorded = ready(connection, keys)
            if self._rollback_marker.behind(keys, head.generation):
                head, event = record_rollback(connection, keys, head)
                recorded.append(event)
            yield connection, keys, head, recorded
        self._rollback_marker.note(keys, head.generation + 1)  # what is durable now

    # --- upkeep ----------------------------------------------------------------------------------

    def mend(self, *, without_key: bool = False) -> list[Mended]:
        """See :meth:`.mending.Mending.mend`."""
        return self._mending.mend(without_key=without_key)

    @property
    def _mending(self) -> Mending:
        from .mending import Mending  # noqa: PLC0415  few vaults ever need it

        return Mending(self, self._vault_connection, self._rollback_marker, self._unlock)

    def record_rollback(self) -> None:
        """Commit: the log then says that an older copy was put back, and that is no problem any more."""
        with self._changing() as (connection, keys, head, _):
            keep_head(connection, keys, head)

    def rekey(self, kind: str, passphrase: str | None = None) -> None:
        """Seal everything under a new root key, whose own key is kept in another place.

        If the secret that opens it is the one that opened the former key, one line announces it.

        Args:
            kind: One of :data:`stayfast.storage.keys.sources.KINDS`.
            passphrase: The new one, for ``passphrase``.

        Raises:
            Damaged: Something does not open: :meth:`mend` sets it aside.
            StorageError: The new key cannot be kept there, or the vault not be written.
            ConfigInvalid: There is no such kind.
        """
        from .rekey import rekey  # noqa: PLC0415  once in a long while

        self._arrivals.looked = False
        self._bring_all_in()
        with self._vault_connection.writing() as (connection, keys):
            before = self._vault_connection.header
            if before is None:
                raise StorageError("there is no vault yet", hint=Hint("login"))
            move = self._key_sources.moving_to(kind, passphrase)
            connection.execute(ENTRY_TABLE)
            put_header(connection, *rekey(connection, before, keys, move))
            remove_list(self.directory)
        remove_list(self.directory)  # one that was written until the commit
        self._vault_connection.forget_keys()
        self.probe()  # opened by its new key; the copy of the header follows
        with (
            self._vault_connection.writing()
        ):  # or the key another is about to seal with would go as well
            if self._vault_connection.header is not None:
                self._key_sources.tidy(before, self._vault_connection.header)
        if self._key_sources.notice:
            self._announce(self._key_sources.notice)

    def set_aside(self, beyond: int | None = None) -> Recorded | None:
        """Leave a damaged log behind and begin a new segment; gives the record of that.

        Args:
            beyond: Do so only if the present segment has a record up to this number: for who finds
                damage behind it, and may not be the first to.
        """
        from ..audit.segments import set_aside  # noqa: PLC0415  for who mends the log

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
        from ..audit.segments import go_forward_secure, ready  # noqa: PLC0415  for who asks

        with self._vault_connection.writing() as (connection, keys):
            head, _ = ready(connection, keys)
            head, shown = go_forward_secure(connection, keys, head)
            keep_head(connection, keys, head)
        return shown

    def purge(self, before: float) -> int:
        """See :meth:`stayfast.storage.capabilities.Upkeep.purge`."""
        from .ended import remove_ended  # noqa: PLC0415  for who purges

        removed = 0
        with suppress(_NothingToDo):
            while self.exists():
                with self._changing() as (connection, keys, head, _):
                    done = remove_ended(connection, keys, head, before)
                    if done is None:
                        raise _NothingToDo  # rolls back: no generation is counted
                    keep_head(connection, keys, done[0])
                    remove_list(self.directory)
                remove_list(self.directory)  # one that was written until the commit
                removed += done[1]
        return removed

    def prune(self, before: float) -> Pruned | None:
        """Remove what was recorded before ``before``, POSIX seconds; ``None`` if there is nothing.

        Raises:
            Damaged: The records that would go are not as they were written.
        """
        from ..audit.pruning import prune  # noqa: PLC0415  for who cuts the log

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
        _load(_WRITING)
        from ...engine.changes import Lease  # noqa: PLC0415  it is one of those

        path = login_lock(self.directory, login_id)
        ensure_directory(self.directory)
        ensure_directory(os.path.dirname(path))
        sooner = None if until is None else ChangePolling(self._vault_connection.changes, until)
        what = f"login {login_id[:4]}"
        with locked(path, wait=wait, what=what, until=sooner, passing=True):
            self._bring_in(login_id)
            yield Lease(login_id)

    def held(self, lease: Lease) -> list[int] | None:
        """See :meth:`stayfast.storage.capabilities.Sharing.held`."""
        descriptor = held(login_lock(self.directory, lease.login_id))
        return None if descriptor is None else [descriptor]

    def adopted(self, lease: Lease) -> Lease:
        """``lease`` of the process that handed it over: its descriptor is all there is to it."""
        return lease

    def handover(self) -> Handover | None:
        """See :meth:`stayfast.storage.capabilities.Sharing.handover`."""
        with self._reading() as opened:
            if opened is None:
                return None
            from .handover import Handover  # noqa: PLC0415  for other processes

            return Handover.from_keys(self.directory, self._key_sources.config_dir, opened[1])

    def _bring_in(self, login_id: str) -> None:
        keys = self._keys()
        if keys is not None:
            self._arrivals.bring_in(keys, login_id, self._put, self._filed, self._saved)

    def _put(self, kept: Sequence[Kept]) -> None:
        from ..audit.rows import append_text  # noqa: PLC0415  for who writes

        with self._changing() as (connection, keys, head, _):
            after = head
            for login, fence, text in kept:
                after = put_record(connection, keys, after, login, fence)
                after, _ = append_text(connection, keys, after, text)
            keep_head(connection, keys, after)

    def _filed(self, alias: str) -> Login | None:
        with self._reading() as opened:
            row = row_by_alias(*opened, alias) if opened else None
            return login_in(opened[1], row) if opened and row else None

    def _saved(self, login_id: str) -> Login | None:
        with self._reading() as opened:
            row = row_by_id(opened[0], login_id) if opened else None
            return login_in(opened[1], row) if opened and row else None

    def _bring_all_in(self) -> None:
        if not self._arrivals.looked:
            self._arrivals.bring_all_in(self._keys(), lambda one: self.lease(one, wait=0))

    def _keys(self) -> Keys | None:
        with self._reading() as opened:
            return opened[1] if opened else None

    def close(self) -> None:
        """Let go of the file; it is opened again when it is needed."""
        self._vault_connection.close()
