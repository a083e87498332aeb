"""Leases as rows: the right to change a login, lent to one process of one host at a time.

The database cannot see that a process died. So a lease ends by itself after a time, and its holder
must extend it. Only the database's clock counts, because the clocks of hosts differ.

A holder may lose its lease without noticing: it was suspended, or cut off. So every lease has a
number, its fence, which grows with each lease. A commit names its fence, and is refused if the login
has a newer one. No transaction and no connection is held open meanwhile.

    host A, process 1 ─┐
    host A, process 2 ─┼─ lock of a file ─── row in the database ─┬── lock of a file ─ host B …
    host A, process 3 ─┘   (one waits here)  (one of all hosts)   └── …

The processes of one host first wait for the lock of a file, as in the vault. So only one of them asks
the database. And a process that holds the file's lock knows that no other process of this host lives
with the lease, so it may take over at once what a killed process of its host has left.
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
from ...engine.hints import Hint
from ...engine.ports import LEASE_OUTLASTS, Lease
from ..host import CLOCK
from .connections import Connection, Connections

TTL: Final = LEASE_OUTLASTS + 10.0
"""Seconds that a lease lasts. Its holder extends it well before the end."""
_FIRST_PAUSE: Final = 0.01
# Seconds between two tries. With the lock of a file, one process of each host tries; without it
# (no home directory) all do, and so each does less often.
_LONGEST_PAUSE: Final = 0.03
_LONGEST_PAUSE_OF_MANY: Final = 0.1

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
    """Seconds that also pass while the machine sleeps, because the server's clock goes on."""
    # CLOCK_MONOTONIC stands still in a suspend: a laptop that wakes up would take a lease for its
    # own that ended an hour ago
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return CLOCK.monotonic() if boot is None else time.clock_gettime(boot)


@dataclass(slots=True)
class _Term:
    """The earliest end of a lease, by :func:`now_awake_or_not`."""

    until: float


@dataclass(frozen=True, slots=True)
class LentLease(Lease):
    """A lease that ends by itself unless it is extended."""

    rows: LeaseRows = field(kw_only=True, repr=False)
    term: _Term = field(kw_only=True, repr=False)

    def keep(self) -> None:
        """See :meth:`stayfast.engine.ports.Lease.keep`. It asks the database only if it must."""
        self.rows.keep(self)

    def lasting(self) -> float:
        """See :meth:`stayfast.engine.ports.Lease.lasting`."""
        return self.term.until

    def release(self) -> None:
        """See :meth:`stayfast.engine.ports.Lease.release`. If that fails, the lease ends by itself."""
        with suppress(StorageError):
            self.rows.release(self)


class LeaseRows:
    """The table ``lease``."""

    def __init__(self, connections: Connections, *, ttl: float = TTL) -> None:
        """Lend leases for ``ttl`` seconds each, over ``connections``."""
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
            login_id: The login.
            wait: Seconds to wait for another holder.
            host_lock: The name of the lock of this host that we hold. No other process can hold a
                lock of that name, so a lease with it was left by a dead process.
            until: Called during the wait. Once it is true, the wait is pointless.

        Raises:
            LoginBusy: Another process has the lease; the message names it.
            StorageError: The server does not answer.
        """
        asked: dict[str, Any] = {
            "login": login_id,
            "ttl": self._ttl,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "host_lock": host_lock,
        }
        deadline = CLOCK.monotonic() + wait
        pause, longest = _FIRST_PAUSE, _LONGEST_PAUSE if host_lock else _LONGEST_PAUSE_OF_MANY
        free = True
        while True:
            if free:
                # measured before the request: the server's clock starts later than this one
                began = now_awake_or_not()
                taken = self._run(_TAKE, asked)
                if taken is not None:
                    term = _Term(began + self._ttl)
                    return LentLease(login_id, int(taken[0]), rows=self, term=term)
            holder = self._run(_LOOK, asked)
            free = holder is None or bool(holder[0])
            left = deadline - CLOCK.monotonic()
            if left <= 0 or (not free and until is not None and until()):
                raise LoginBusy(f"login {login_id[:4]} {_handled(holder)}", hint=Hint("status"))
            if not free:  # a random part, so that hosts that began together do not ask together
                CLOCK.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311  no secret
                pause = min(pause * 2, longest)

    def adopted(self, lease: Lease) -> LentLease:
        """``lease``, which another process of this machine has acquired and still waits for."""
        # both processes read the same clock; a lease that does not say its end is extended at once
        term = _Term(now_awake_or_not() if lease.lent_until is None else lease.lent_until)
        return LentLease(lease.login_id, lease.fence, rows=self, term=term)

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
        """End ``lease``. If another process has the login's lease by now, nothing changes.

        Raises:
            StorageError: The server does not answer. The lease ends by itself.
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
    """The error that another process has the lease of ``login_id`` now."""
    return Fenced(
        f"login {login_id[:4]} has been taken over by another process meanwhile",
        hint=Hint("status"),
    )


def _handled(holder: Any) -> str:
    if holder is None:
        return "was being handled by another process"
    _, pid, host, seconds = holder
    minutes = max(0, int(seconds)) // 60
    ago = f", for {minutes} min" if minutes else ""
    where = "this machine" if host == socket.gethostname() else host
    return f"is being handled by process {pid} on {where}{ago}"
