"""The courier that runs jobs in a worker, which lives on for the next ones.

The worker is handed the key of the storage and its place, the login's lock and the job through a private
socket; ``kill -9`` of the sender then loses nothing, as with a child that is forked for one job.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
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
from .wire import pack_job

if TYPE_CHECKING:
    from ...engine.flows.job import Job, JobOutcome
    from ...storage.capabilities import Sharing
    from ..http import RequestsHttp
    from .channel import EventForwarder
    from .worker_process import Begin


class WorkerCourier:
    """Sends jobs to one worker: 2 ms a job, once it has begun.

    May be used from any number of threads.
    """

    def __init__(
        self,
        forwarder: EventForwarder,
        storage: Sharing,
        http: RequestsHttp,
        begin: Begin,
    ) -> None:
        """Start nothing yet.

        Args:
            forwarder: Passes events of the worker to the observers here.
            storage: The storage that a worker opens too.
            http: The HTTP client whose settings a worker gets.
            begin: Begins the process of each worker.
        """
        self._forwarder = forwarder
        self._storage = storage
        self._http = http
        self._pool = WorkerPool(begin)
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
        return heard.outcome()

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
