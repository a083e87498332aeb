"""Leases as rows: the right to change a login, lent to one process on one host at a time.

The database's clock alone says when a lease ends; a lease's number, its fence, grows with each
that is given, so that whoever lost one is told apart from whoever has it now. Nothing is held open
meanwhile: neither a transaction nor a connection.

The processes of one host first stand in line at a file's lock, as in the vault. So one of them at
most asks the database; and what a process of this host held that was killed is free at once, since
whoever has the lock knows that nobody else here is alive under that lease.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ...engine.errors import Fenced, LoginBusy, StorageError
from ...engine.ports import LEASE_OUTLASTS, Lease
from ..host import SystemClock
from .connections import Connection, Connections

TTL: Final = LEASE_OUTLASTS + 10.0
"""Seconds a lease is lent for; one that its holder keeps is lent anew well before."""
_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.03  # one process of a host asks; where no lock says so, fewer times
_LONGEST_PAUSE_OF_MANY: Final = 0.1
_clock: Final = SystemClock()

_TAKE: Final = """
INSERT INTO lease AS held (login, fence, until, since, pid, host, host_lock)
VALUES (%(login)s, nextval('fence'), clock_timestamp() + %(ttl)s * interval '1 second',
        clock_timestamp(), %(pid)s, %(host)s, %(host_lock)s)
ON CONFLICT (login) DO UPDATE SET fence = excluded.fence, since = excluded.since,
  until = clock_timestamp() + %(ttl)s * interval '1 second',
  pid = excluded.pid, host = excluded.host, host_lock = excluded.host_lock
WHERE held.until IS NULL OR held.until <= clock_timestamp() OR held.host_lock = excluded.host_lock
RETURNING fence
"""
_LOOK: Final = """
SELECT until IS NULL OR until <= clock_timestamp() OR coalesce(host_lock = %(host_lock)s, false),
       pid, host, extract(epoch FROM clock_timestamp() - since)::float8
FROM lease WHERE login = %(login)s
"""
_KEEP: Final = """
UPDATE lease SET until = clock_timestamp() + %(ttl)s * interval '1 second'
WHERE login = %(login)s AND fence = %(fence)s RETURNING fence
"""
_RELEASE: Final = "UPDATE lease SET until = NULL WHERE login = %(login)s AND fence = %(fence)s"


def now_awake_or_not() -> float:
    """Seconds that also pass while the machine sleeps: the server's clock goes on."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return _clock.monotonic() if boot is None else time.clock_gettime(boot)


@dataclass(slots=True)
class _Term:
    """When a lease ends at the earliest, by :func:`now_awake_or_not`."""

    until: float


@dataclass(frozen=True, slots=True)
class LentLease(Lease):
    """A lease that ends by itself unless it is kept."""

    rows: LeaseRows = field(kw_only=True, repr=False)
    term: _Term = field(kw_only=True, repr=False)

    def keep(self) -> None:
        """See :meth:`stayfast.engine.ports.Lease.keep`; asks the database only when it must."""
        self.rows.keep(self)

    def release(self) -> None:
        """See :meth:`stayfast.engine.ports.Lease.release`; where it fails, it ends by itself."""
        with suppress(StorageError):
            self.rows.release(self)


class LeaseRows:
    """The table ``lease``."""

    def __init__(self, connections: Connections, *, ttl: float = TTL) -> None:
        """Leases are lent for ``ttl`` seconds, by way of ``connections``."""
        self._connections = connections
        self._ttl = ttl

    def acquire(
        self,
        login_id: str,
        *,
        wait: float,
        host_lock: str | None,
        until: Callable[[], bool] | None = None,
    ) -> LentLease:
        """A lease of ``login_id``.

        Args:
            login_id: Whose.
            wait: Seconds to wait for another holder.
            host_lock: The name of the host's lock that we hold; nobody else who gives that name has it.
            until: Asked while waiting; when true, waiting has no more point.

        Raises:
            LoginBusy: Another process has it; the message names it.
            StorageError: The server does not answer.
        """
        asked: dict[str, Any] = {
            "login": login_id,
            "ttl": self._ttl,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "host_lock": host_lock,
        }
        deadline = _clock.monotonic() + wait
        pause, longest = _FIRST_PAUSE, _LONGEST_PAUSE if host_lock else _LONGEST_PAUSE_OF_MANY
        free = True
        while True:
            if free:
                began = now_awake_or_not()
                taken = self._run(_TAKE, asked)
                if taken is not None:
                    term = _Term(began + self._ttl)
                    return LentLease(login_id, int(taken[0]), rows=self, term=term)
            holder = self._run(_LOOK, asked)
            free = holder is None or bool(holder[0])
            left = deadline - _clock.monotonic()
            if left <= 0 or (not free and until is not None and until()):
                raise LoginBusy(f"login {login_id[:4]} {_handled(holder)}", hint="stayfast status")
            if not free:  # jittered, so that hosts do not knock in step
                _clock.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311  no secret
                pause = min(pause * 2, longest)

    def keep(self, lease: LentLease) -> None:
        """See :meth:`LentLease.keep`."""
        if lease.term.until - now_awake_or_not() >= LEASE_OUTLASTS:
            return
        began = now_awake_or_not()
        kept = self._run(_KEEP, {"login": lease.login_id, "fence": lease.fence, "ttl": self._ttl})
        if kept is None:
            raise fenced(lease.login_id)
        lease.term.until = began + self._ttl

    def release(self, lease: LentLease) -> None:
        """Give ``lease`` back; one that somebody else has by now stays theirs.

        Raises:
            StorageError: The server does not answer; the lease ends by itself.
        """
        asked = {"login": lease.login_id, "fence": lease.fence}

        def work(connection: Connection) -> None:
            connection.execute(_RELEASE, asked)

        self._connections.run(work, patience=0.0)

    def _run(self, sql: str, asked: dict[str, Any]) -> Any:
        def work(connection: Connection) -> Any:
            return connection.execute(sql.encode(), asked).fetchone()

        return self._connections.run(work)


def fenced(login_id: str) -> Fenced:
    """That the lease of ``login_id`` is another process's by now."""
    return Fenced(
        f"login {login_id[:4]} has been taken over by another process meanwhile",
        hint="stayfast status",
    )


def _handled(holder: Any) -> str:
    if holder is None:
        return "was being handled by another process"
    _, pid, host, seconds = holder
    minutes = max(0, int(seconds)) // 60
    ago = f", for {minutes} min" if minutes else ""
    where = "this machine" if host == socket.gethostname() else host
    return f"is being handled by process {pid} on {where}{ago}"
