"""Tokens that have arrived and cannot be saved now, kept sealed until they can be.

A disk is full or failing, a file system is read-only, another program holds the vault, a server is
away, no descriptor is left: whatever the reason, tokens that were received cannot be had again. They
are sealed with a key that the storage keeps, together with the events that belong to them, and put into
the first of these places that takes them. A change of the storage's root key does not cost them: the
storage keeps the former key of what was kept aside, which opens nothing else.

1. the runtime directory of the session (``XDG_RUNTIME_DIR``, or ``/run/user/UID``). It is in memory,
   and lasts until the machine restarts;
2. the state directory, beside the vault;
3. the directory for temporary files.

They are brought in, which means committed, by the next process that takes the lease of the login or
opens the storage, and by the courier, which tries once a second. Until then a reader of the storage
gets the login as it will be, and nobody can send the refresh token that these tokens have replaced:
the lease is not given before they are brought in.

Whoever could not save tokens tries again for minutes, and may do so when the login has long gone on and its next
tokens wait here, too: the files of a login in one place have one name. So newer tokens are never replaced by older
ones, nor removed for them, and those who look and then write take turns (:func:`_turn`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ..engine import cbor
from ..engine.errors import Damaged, Fenced, LoginBusy, StorageConflict, StorageError
from ..engine.hints import Hint
from ..engine.table import Trigger
from .arrival_places import arrival_name, arrival_places, logins_waiting
from .host import CLOCK, origin
from .locks import try_lock, unlock
from .private_file import ensure_directory, read_private, write_private

if TYPE_CHECKING:
    from ..engine.audit.events import Recorded
    from ..engine.ports import Change, Lease
    from ..engine.record import Login
    from .keys.sealing import Keys

_LIMIT: Final = 1024 * 1024
_SPARE: Final = 16  # descriptors allowed on top of the limit while tokens are kept
_NOTHING: Final = (0, 0)
_TORN: Final = (-1, 0)
_UNREAD: Final = (-2, 0)
_NO_ARRIVAL: Final = (Damaged, cbor.CborError, KeyError, TypeError, IndexError)
_STEP: Final = 0.01  # seconds
_TURN: Final = 1.0
"""Seconds after which who waits for a turn goes without: a process may have been stopped in its own."""
Kept = tuple["Login", int, bytes]
"""A record, its fence, and the text of its event."""


class Arrivals:
    """The kept tokens of one user, for one storage.

    Attributes:
        looked: Whether this process has looked for what others kept.
    """

    def __init__(self, environ: Mapping[str, str], state_dir: str) -> None:
        """Use the places that ``environ`` and ``state_dir`` name; nothing is made yet."""
        self._places = arrival_places(environ, state_dir)
        self.looked = False

    def committed(
        self,
        keys: Callable[[], Keys | None],
        changes: Sequence[Change],
        commit: Callable[[], list[Recorded]],
        bring_in: Callable[[str, int], None],
    ) -> list[Recorded]:
        """Commit ``changes``. Tokens that arrived and cannot be saved are kept, whatever the reason.

        Args:
            keys: The keys as they are at hand, be the storage as it may.
            changes: What is committed.
            commit: Commits it.
            bring_in: Brings in what is kept of a login, under the lease with that fence.

        Raises:
            StorageConflict: The login has gone on.
            StorageError: It could not be done; ``kept`` names the place that has the tokens.
        """
        if not arrived(changes):
            self._bring_in_before(keys(), changes, bring_in)
            return commit()
        try:
            self._bring_in_before(keys(), changes, bring_in)
            recorded = commit()
        except StorageConflict:
            raise
        except (StorageError, OSError) as error:
            failed = error if isinstance(error, StorageError) else _unforeseen(error)
            at_hand = keys()
            failed.kept = None if at_hand is None else self.keep(at_hand, changes)
            raise failed from error
        at_hand = keys()
        if at_hand is not None:
            self.forget(at_hand, changes[-1].login)
        return recorded

    def _bring_in_before(
        self,
        keys: Keys | None,
        changes: Sequence[Change],
        bring_in: Callable[[str, int], None],
    ) -> None:
        """Who changes a login without its lease has read it as it will be, so it must become so."""
        if keys is None:
            return
        for change in changes:
            kept = self.kept(keys, change.login.id)
            if kept and kept[-1][0].version < change.login.version:
                bring_in(change.login.id, change.fence)

    def keep(self, keys: Keys, changes: Sequence[Change]) -> str | None:
        """Keep ``changes`` and their events, unless newer ones are kept; gives the place, if one takes them."""
        from ..engine.codec import encode_login  # noqa: PLC0415  where the storage failed

        last = changes[-1].login
        told: list[cbor.Plain] = [
            {"login": encode_login(login)[1], "fence": fence, "event": text}
            for login, fence, text in _kept(keys, changes)
        ]
        plain = cbor.encode({"changes": told})
        sealed = keys.seal_arrival(last.id, plain)
        ours = last.version, changes[-1].fence
        # what cannot be read may be newer, of a newer version of ours, or under a newer key: it is replaced last
        for readable in (True, False):
            for place in self._places:
                with suppress(StorageError, OSError), _spare_descriptors():
                    ensure_directory(place)
                    with _turn(place):
                        there = _kept_in(keys, place, last.id)
                        if there < _NOTHING and readable:
                            continue
                        if there <= ours:
                            path = os.path.join(place, arrival_name(keys.name, last.id))
                            write_private(path, sealed)
                    return place
        return None

    def waiting(self, keys: Keys) -> list[str]:
        """The ids of the logins of which something is kept."""
        return logins_waiting(self._places, keys.name)

    def kept(self, keys: Keys, login_id: str) -> list[Kept]:
        """What is kept of a login, in order; the newest, if several places have something."""
        found = [kept for place in self._places if (kept := _read(keys, place, login_id))]
        return max(found, key=lambda kept: kept[-1][0].version) if found else []

    def login(self, keys: Keys, login_id: str, row: Login | None) -> Login | None:
        """The login as it will be when what is kept is brought in; ``row`` is what is saved."""
        kept = self.kept(keys, login_id)
        if not kept or (row is not None and kept[-1][0].version <= row.version):
            return row
        return kept[-1][0]

    def filed(self, keys: Keys, alias: str, row: Login | None) -> Login | None:
        """As :meth:`login`, by its alias."""
        for login_id in self.waiting(keys):
            login = self.login(keys, login_id, row if row and row.id == login_id else None)
            if login is not None and login.alias == alias:
                return login
        return row

    def bring_in(
        self,
        keys: Keys,
        login_id: str,
        put: Callable[[Sequence[Kept]], None],
        filed: Callable[[str], Login | None],
        saved: Callable[[str], Login | None],
    ) -> None:
        """Save what could not be saved when it arrived, unless something newer is there.

        Args:
            keys: The keys of the storage.
            login_id: The login, whose lease the caller holds.
            put: Commits records and events as one.
            filed: The saved login of an alias.
            saved: The saved login of an id.

        Raises:
            Fenced: Another process has the lease by now.
            StorageError: It still cannot be saved.
        """
        kept = self.kept(keys, login_id)
        if not kept:
            return
        try:
            put(kept)
        except Fenced:  # whoever has the lease now brings them in
            raise
        except StorageConflict:
            # the login that was to make room may have changed; or this one has gone on
            try:
                put([*_ending(keys, kept[-1][0], filed), kept[-1]])
            except StorageConflict:
                row = saved(login_id)
                if row is not None and row.version == kept[-1][0].version - 1:
                    raise  # it has not gone on: the next holder of the lease tries again
        self.forget(keys, kept[-1][0])

    def bring_all_in(
        self,
        keys: Keys | None,
        lease: Callable[[str], AbstractContextManager[Lease]],
    ) -> None:
        """Bring in what other processes could not save: once a process, when it first reads.

        Args:
            keys: The keys, if there is a storage.
            lease: Lends a login, and brings in what is kept of it.
        """
        if self.looked or keys is None:
            return
        self.looked = True
        for login_id in self.waiting(keys):
            with suppress(StorageError, LoginBusy), lease(login_id):
                pass

    def forget(self, keys: Keys, login: Login) -> None:
        """Remove what is kept: the storage has ``login``, or something newer. Tokens newer than it stay."""
        for place in self._places:
            path = os.path.join(place, arrival_name(keys.name, login.id))
            if os.path.lexists(path):
                with suppress(OSError), _turn(place):
                    there = _kept_in(keys, place, login.id)
                    if there == _TORN or _NOTHING < there < (login.version + 1, 0):
                        os.unlink(path)


def arrived(changes: Sequence[Change]) -> bool:
    """Whether ``changes`` hold tokens that cannot be had again.

    An import is committed together with the beginning of its login; its source still has the tokens.
    """
    begun = {change.login.id for change in changes if change.login.version == 1}
    return any(
        change.event.trigger == Trigger.ACCEPT_TOKENS and change.login.id not in begun
        for change in changes
    )


def _unforeseen(error: OSError) -> StorageError:
    why = (error.strerror or type(error).__name__).lower()
    return StorageError(f"the logins cannot be written: {why}", hint=Hint("help storage"))


def _kept(keys: Keys, changes: Sequence[Change]) -> list[Kept]:
    from ..engine.audit.events import text_of  # noqa: PLC0415  where the storage failed
    from .audit.rows import members_of  # noqa: PLC0415  as above

    return [
        (change.login, change.fence, text_of(members_of(change.event, keys.fingerprint)))
        for change in changes
    ]


def _ending(keys: Keys, login: Login, filed: Callable[[str], Login | None]) -> list[Kept]:
    """What ends the saved login in whose place ``login`` comes."""
    older = filed(login.alias) if login.alias is not None else None
    if older is None or older.id == login.id:
        return []
    from ..engine.flows.ledger import Ledger  # noqa: PLC0415  where the storage failed
    from ..engine.reasons import Reason  # noqa: PLC0415  as above
    from .memory import MemoryStorage  # noqa: PLC0415  as above

    ledger = Ledger(MemoryStorage(), CLOCK, origin())
    return _kept(keys, ledger.ending(older, Trigger.SUPERSEDE, Reason.NEWER_LOGIN))


def _kept_in(keys: Keys, place: str, login_id: str) -> tuple[int, int]:
    """Version and fence of what ``place`` has of a login; less than :data:`_NOTHING` if it cannot be read."""
    path = os.path.join(place, arrival_name(keys.name, login_id))
    try:
        login, fence, _ = _opened(keys, path, login_id)[-1]
    except FileNotFoundError:
        return _NOTHING
    except _NO_ARRIVAL:
        return _TORN
    except (StorageError, OSError):  # of a newer version of ours, or not to be read just now
        return _UNREAD if os.path.lexists(path) else _NOTHING
    return login.version, fence


@contextmanager
def _turn(place: str) -> Generator[None]:
    """One process or thread at a time in the block, of all that use the directory ``place``.

    The lock is on the directory itself: where the disk is full, no file for it could be made.
    """
    if os.name != "posix":  # a directory has no lock elsewhere, and a window of microseconds stays
        yield
        return
    process = os.getpid()
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        _another_descriptor(descriptor)
    except OSError:  # the tokens matter more than the turn
        yield
        return
    try:
        end = CLOCK.monotonic() + _TURN
        with suppress(StorageError):  # a file system without locks
            while not try_lock(descriptor) and CLOCK.monotonic() < end:
                CLOCK.sleep(_STEP)
        yield
    finally:
        if os.getpid() == process:  # a child that was forked meanwhile shares the lock
            with suppress(OSError):
                unlock(descriptor)
        os.close(descriptor)


def _another_descriptor(held: int) -> None:
    """Make sure that a file can be opened while ``held`` is open; it is closed otherwise.

    Raises:
        OSError: None can.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        os.close(held)
        raise


def _read(keys: Keys, place: str, login_id: str) -> list[Kept]:
    path = os.path.join(place, arrival_name(keys.name, login_id))
    if not os.path.lexists(path):
        return []
    try:
        return _opened(keys, path, login_id)
    except (StorageError, OSError, *_NO_ARRIVAL):
        return []


def _opened(keys: Keys, path: str, login_id: str) -> list[Kept]:
    """What is kept in the file ``path``.

    Raises:
        StorageError, OSError: It cannot be read.
        Damaged, CborError, KeyError, TypeError, IndexError: It is none of ours.
    """
    from ..engine.codec import decode_login  # noqa: PLC0415  where the storage failed

    plain = keys.open_arrival(login_id, read_private(path, _LIMIT))
    members: dict[str, Any] = dict(cbor.decode_map(plain))
    found = [(decode_login(one["login"]), one["fence"], one["event"]) for one in members["changes"]]
    if not found:
        raise KeyError("changes")
    return found


@contextmanager
def _spare_descriptors() -> Generator[None]:
    """Allow some more open files in the block, where the limit is reached and may be raised."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno != errno.EMFILE:
            yield
            return
        import resource  # noqa: PLC0415  Unix only, as this error is

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        more = soft + _SPARE if hard == resource.RLIM_INFINITY else min(soft + _SPARE, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    else:
        yield
