"""The worker of one spawning courier: it is started once, and any number of threads send it jobs.

Each job has a lane of its own to the worker: a private socket, at whose other end a thread of the
worker waits. Lanes are kept for further jobs. So the worker opens the storage once, and keeps its own
sessions at a database server, as its parent keeps its own.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine import cbor
from ...storage.forks import begins_anew
from .channel import Channel

if TYPE_CHECKING:
    from .worker_process import Begin

_STARTING: Final = 20.0  # seconds a worker may take to be ready
_KEPT_IDLE: Final = 32  # lanes; more threads than that rarely send jobs at the same time
_TRIES: Final = 3  # a worker may be killed, or leave, at the moment of the job
_LANE: Final = cbor.encode({"lane": True})


class Worker:
    """The worker, as those who send it jobs see it.

    Attributes:
        terms: What it was started with; a job with other terms needs another worker.
        pid: Its process.
        busy: How many of its lanes have a job.
        goes_on: Whether it may still save tokens that nobody waits for.
    """

    def __init__(self, terms: bytes, begin: Begin) -> None:
        """Start one, with ``begin``.

        Raises:
            OSError: It cannot be started, or is not ready in time.
        """
        self.terms = terms
        self.busy = 0
        self.goes_on = False
        self._end, theirs = socket.socketpair()
        self._line = Channel(self._end)
        with theirs:
            try:
                self._process = begin(self._end, theirs)
            except BaseException:
                self._end.close()
                raise
        self.pid = self._process.pid
        try:
            self._greet()
        except BaseException:
            self.part()
            self.wait()
            raise

    def _greet(self) -> None:
        self._end.settimeout(_STARTING)
        self._line.send(self.terms)
        if self._line.receive() is None:
            raise ConnectionError
        self._end.settimeout(None)

    def lane(self) -> Lane:
        """A new lane to it.

        Raises:
            OSError: It has gone, or there are no more files.
        """
        ours, theirs = Channel.pair()
        try:
            self._line.send(_LANE, [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return Lane(self, ours)

    def part(self) -> None:
        """Send it nothing more: it ends with its last job."""
        self._line.close()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()

    def ended(self) -> bool:
        """Whether it has ended; then it is reaped."""
        return self._process.ended()

    def forget(self) -> None:
        """Leave it to itself; or, in a forked child, to the parent."""
        self._line.close()
        self._process.forget()


class Lane:
    """The way of one job at a time to a worker.

    Attributes:
        worker: Where it leads.
        line: The private socket.
    """

    def __init__(self, worker: Worker, line: Channel) -> None:
        """Lead to ``worker`` through ``line``."""
        self.worker = worker
        self.line = line

    def take(self, packed: bytes, locks: list[int]) -> bool:
        """Whether the worker has taken the job; if not, it has not begun with it and never will."""
        with suppress(OSError):
            self.line.send(packed, locks)
            return self.line.receive() is not None
        return False

    def end(self) -> None:
        """Wait until the worker has finished the job of this lane, and close it."""
        self.line.finish()
        self.line.close()


class WorkerPool:
    """The worker of one courier and the lanes to it; any number of threads may send jobs."""

    def __init__(self, begin: Begin) -> None:
        """Start no worker yet; ``begin`` will start each."""
        self._begin = begin
        self._worker: Worker | None = None
        self._lanes: set[Lane] = set()
        self._idle: list[Lane] = []
        self._left: list[Worker] = []
        self._new_locks()
        begins_anew(self)

    def _new_locks(self) -> None:
        self._guard = threading.Lock()
        self._starting = threading.Lock()  # threads that come together start one worker

    def send(self, terms: bytes, packed: bytes, locks: list[int]) -> Lane | None:
        """The lane of the job, which has been taken; ``None`` if no worker can be had."""
        for _ in range(_TRIES):
            try:
                lane = self._lane(terms)
            except OSError:
                return None
            if lane.take(packed, locks):
                return lane
            self.discharge(lane)
        return None

    def keep(self, lane: Lane) -> None:
        """The job of ``lane`` is done; it waits for the next one."""
        with self._guard:
            lane.worker.busy -= 1
            kept = lane.worker is self._worker and len(self._idle) < _KEPT_IDLE
            if kept:
                self._idle.append(lane)
        if not kept:
            self._drop(lane)
            self._dismissed(lane.worker)

    def discharge(self, lane: Lane) -> None:
        """Let the worker finish the job of ``lane``, and start another worker for the next one."""
        lane.end()
        with self._guard:
            lane.worker.busy -= 1
        self._drop(lane)
        self._part(lane.worker)

    def leave(self, lane: Lane) -> None:
        """The worker goes on to save what it could not save; nobody waits for it."""
        with self._guard:
            lane.worker.busy -= 1
            lane.worker.goes_on = True
        self._drop(lane)

    def dismiss(self) -> None:
        """Let the worker go."""
        if self._worker is not None:
            self._part(self._worker)
        for worker in self._left:
            worker.forget()  # it ends by itself

    def leave_to_parent(self) -> None:
        """In a forked child: close its copies of the sockets, or a worker would not see its parent end."""
        self._new_locks()
        for worker in {*self._left, *(lane.worker for lane in self._lanes)}:
            worker.forget()
        if self._worker is not None:
            self._worker.forget()
        for lane in self._lanes:
            lane.line.close()
        self._worker = None
        self._lanes.clear()
        self._idle.clear()
        self._left.clear()

    def _lane(self, terms: bytes) -> Lane:
        """A lane to a worker with these ``terms``, which counts as busy.

        Raises:
            OSError: No worker can be started.
        """
        with self._guard:
            current = self._worker
            if current is not None and current.terms == terms and self._idle:
                current.busy += 1
                return self._idle.pop()
        with self._starting:
            worker = self._worker
            if worker is not None and (worker.terms != terms or worker.ended()):
                self._part(worker)
                worker = None
            lane = None if worker is None else self._another(worker)
            if lane is None:
                started = Worker(terms, self._begin)
                with self._guard:
                    self._worker = started
                lane = self._another(started)
        if lane is None:
            raise ConnectionError
        return lane

    def _another(self, worker: Worker) -> Lane | None:
        """A new lane to ``worker``; ``None`` if it has gone."""
        with self._guard:
            worker.busy += 1
        try:
            lane = worker.lane()
        except OSError:
            with self._guard:
                worker.busy -= 1
            self._part(worker)
            return None
        with self._guard:
            self._lanes.add(lane)
        return lane

    def _drop(self, lane: Lane) -> None:
        lane.line.close()
        with self._guard:
            self._lanes.discard(lane)

    def _part(self, worker: Worker) -> None:
        """Send ``worker`` nothing more."""
        with self._guard:
            if self._worker is worker:
                self._worker = None
                self._left.append(worker)
            idle = [lane for lane in self._idle if lane.worker is worker]
            self._idle = [lane for lane in self._idle if lane.worker is not worker]
        worker.part()
        for lane in idle:
            self._drop(lane)
        self._dismissed(worker)

    def _dismissed(self, worker: Worker) -> None:
        """Wait for the end of ``worker`` if it is parted with and has nothing more to do."""
        with self._guard:
            over = worker in self._left and not worker.busy and not worker.goes_on
        if over:
            worker.wait()
        with self._guard:
            self._left = [one for one in self._left if not one.ended()]
