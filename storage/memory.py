"""A storage that lasts as long as its process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager

from ..engine.audit.events import Event, Recorded
from ..engine.codec import decode_login, encode_login
from ..engine.errors import LoginBusy, StorageConflict
from ..engine.hints import Hint
from ..engine.ports import Change, Lease
from ..engine.record import Login
from ..engine.summary import Summary
from .audit.rows import members_of
from .capabilities import Capabilities
from .forks import whole_at_fork
from .keys.sealing import Keys


class MemoryStorage:
    """Logins of this process, for tests and for programs that must leave nothing behind.

    Records are kept encoded, as the vault keeps them, so that what works here works there. The log
    begins with the first login: it has no record of its making, because each process begins with
    an empty one, and an empty one proves nothing about an older one.
    """

    description = "memory"

    def __init__(self) -> None:
        """Start empty."""
        self.guard = threading.RLock()
        self._logins: dict[str, tuple[int, str | None, bytes]] = {}
        self._aliases: dict[str, str] = {}
        self._events: list[Recorded] = []
        self._leases: dict[str, threading.Lock] = {}
        self._keys = Keys(os.urandom(32), os.urandom(16), 1)
        self._entries: dict[str, bytes] = {}
        self._saved = 0
        whole_at_fork(self)

    def leave_to_parent(self) -> None:
        """In a forked child: what was saved is there, and no thread of the parent holds a lease."""
        self.guard = threading.RLock()
        self._leases = {}

    @property
    def capabilities(self) -> Capabilities:
        """Entries, for as long as the process lasts; and whether anything was saved."""
        return Capabilities(entries=self, glance=self)

    def look(self) -> object:
        """See :meth:`stayfast.storage.capabilities.Glance.look`."""
        return self._saved

    begin = look

    def probe(self) -> None:
        """Memory is always there."""

    def read(self, login_id: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.read`."""
        with self.guard:
            found = self._logins.get(login_id)
        return decode_login(found[2]) if found else None

    def find(self, alias: str) -> Login | None:
        """See :meth:`stayfast.engine.ports.Storage.find`."""
        with self.guard:  # look-up and read as one: another thread could move the alias in between
            login_id = self._aliases.get(alias)
            return self.read(login_id) if login_id else None

    def summaries(self) -> Iterable[Summary]:
        """See :meth:`stayfast.engine.ports.Storage.summaries`."""
        with self.guard:
            kept = [secret for _, _, secret in self._logins.values()]
        return sorted(
            (decode_login(secret).summary() for secret in kept), key=lambda one: one.created_at
        )

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """See :meth:`stayfast.engine.ports.Storage.lease`."""
        return self._lease(login_id, wait, until)

    @contextmanager
    def _lease(
        self, login_id: str, wait: float, until: Callable[[], bool] | None
    ) -> Generator[Lease]:
        with self.guard:
            lock = self._leases.setdefault(login_id, threading.Lock())
        left = wait
        while not lock.acquire(timeout=min(max(left, 0), 0.01)):
            left -= 0.01
            if left <= 0 or (until is not None and until()):
                raise LoginBusy(
                    f"login {login_id[:4]} is being handled by another thread of this process",
                    hint=Hint("status"),
                )
        try:
            yield Lease(login_id)
        finally:
            lock.release()

    def commit(
        self, changes: Sequence[Change], *, first: Callable[[], None] | None = None
    ) -> list[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.commit`.

        Args:
            changes: See there.
            first: Called once every check of ``changes`` has passed, before any of them is made. If
                it raises, none is made.
        """
        with self.guard:
            logins, aliases = dict(self._logins), dict(self._aliases)
            for change in changes:
                login = change.login
                version, alias, _ = logins.get(login.id, (0, None, b""))
                if version != login.version - 1:
                    raise StorageConflict(f"login {login.short_id} has been changed meanwhile")
                if alias is not None:
                    del aliases[alias]
                if login.alias is not None:
                    if login.alias in aliases:
                        raise StorageConflict(f"another login of {login.provider} was finished")
                    aliases[login.alias] = login.id
                logins[login.id] = (login.version, login.alias, encode_login(login)[1])
            if first is not None:
                first()
            self._logins, self._aliases = logins, aliases
            self._saved += 1
            return [self._record(change.event) for change in changes]

    def note(self, event: Event) -> Recorded:
        """See :meth:`stayfast.engine.ports.Storage.note`."""
        with self.guard:
            return self._record(event)

    def entry(self, name: str) -> bytes | None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entry`."""
        return self._entries.get(name)

    def entries(self) -> list[tuple[str, bytes]]:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.entries`."""
        with self.guard:
            return list(self._entries.items())

    def put_entry(self, name: str, value: bytes | None, event: Event | None = None) -> None:
        """See :meth:`stayfast.storage.capabilities.SealedEntries.put_entry`."""
        with self.guard:
            if value is None:
                self._entries.pop(name, None)
            else:
                self._entries[name] = value
            if event is not None:
                self._record(event)

    def _record(self, event: Event) -> Recorded:
        members = members_of(event, self._keys.fingerprint)
        recorded = Recorded(len(self._events) + 1, members, store=self._keys.name)
        self._events.append(recorded)
        return recorded

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """See :meth:`stayfast.engine.ports.Storage.events`."""
        with self.guard:
            return self._events[after : after + limit]
