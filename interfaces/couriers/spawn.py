"""The courier that runs jobs in a program of its own, for a process whose threads forbid a fork.

A web server is one. The worker is handed the key of the storage and its place, the login's lock and the
job through a private socket; ``kill -9`` of the sender then loses nothing, as with a forked child.
"""

from __future__ import annotations

import os
import socket
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from ...engine import cbor
from ...storage.host import origin
from ...storage.locks import leave_to_others
from ...storage.version import app_version
from .fork import Heard
from .pool import WorkerPool
from .saving import perform_here
from .signals import deferred_signals
from .wire import pack_job, unpack_outcome

if TYPE_CHECKING:
    from ...engine.flows.job import Job, JobOutcome
    from ...storage.capabilities import Sharing
    from ..http import RequestsHttp
    from .channel import EventForwarder


def can_spawn() -> bool:
    """Whether a worker can be started here: by a Python of its own, with a socket that passes files.

    A program that embeds Python, or was frozen into one file, is started again as itself.
    """
    if os.name != "posix" or not hasattr(socket, "send_fds") or getattr(sys, "frozen", False):
        return False
    return os.path.basename(sys.executable or "").startswith(("python", "pypy"))


class SpawnCourier:
    """Sends jobs to one worker: 0.1 to 0.3 s to start it, 2 ms a job afterwards.

    May be used from any number of threads.
    """

    def __init__(
        self,
        forwarder: EventForwarder,
        storage: Sharing,
        http: RequestsHttp,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            forwarder: Passes events of the worker to the observers here.
            storage: The storage that a worker opens too.
            http: The HTTP client whose settings a worker gets.
            environ: The environment of the program, whose settings a worker gets.
        """
        self._forwarder = forwarder
        self._storage = storage
        self._http = http
        self._pool = WorkerPool(environ)
        weakref.finalize(self, self._pool.dismiss)

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        with deferred_signals():
            return self._carry(job, perform)

    def _carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        locks = self._storage.held(job.lease)
        terms = self._terms()
        lane = None
        if locks is not None and terms is not None:
            lane = self._pool.send(terms, pack_job(job), locks)
        if lane is None:  # no worker has taken it: the log says so
            return perform_here(replace(job, courier=False), perform)
        heard = Heard()
        try:
            heard.listen(lane.line, self._forwarder)
        except BaseException:
            # from an observer; the worker must be done before we give the lock back
            self._pool.discharge(lane)
            raise
        if heard.last is None:  # the worker was killed
            self._pool.discharge(lane)
            return perform_here(heard.without_courier(job), perform)
        if heard.holds_on and locks:
            leave_to_others(locks)
        if heard.goes_on:
            self._pool.leave(lane)
        else:
            self._pool.keep(lane)
        return unpack_outcome(heard.last)

    def _terms(self) -> bytes | None:
        """What a worker gets once, at its start; after a change, such as a rekey, another is started."""
        handover = self._storage.handover()
        if handover is None:
            return None
        return cbor.encode(
            {
                "version": app_version(),
                "storage": handover.members(),
                "http": self._http.settings(),
                "shows": self._http.heard is not None,
                "origin": asdict(origin()),
            }
        )
