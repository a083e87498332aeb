"""What runs in a spawned courier: the jobs of all threads of a program, each in a thread here."""

from __future__ import annotations

import os
import selectors
import socket
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...engine import cbor
from ...engine.audit.events import Origin
from ...engine.errors import StorageError
from ...engine.flows.dependencies import Dependencies
from ...engine.flows.jobs import Jobs
from ...engine.flows.ledger import Ledger
from ...storage.host import CLOCK, SystemRandomness
from ...storage.locks import name_holder
from ...storage.opening import open_handed_over
from ...storage.vault.handover import Handover
from ...storage.version import app_version
from ..http import RequestsHttp
from ..process import forbid_core_dumps
from .channel import Channel, EventForwarder
from .fork import run
from .saving import InlineCourier
from .wire import unpack_job

if TYPE_CHECKING:
    from ...storage.postgres import PostgresStorage
    from ...storage.vault.vault import Vault

_IDLE: Final = 300.0  # seconds without a job, after which a worker is not worth its memory
_LOOK: Final = 30.0  # seconds between two looks at how long that is
_YES: Final = cbor.encode({"ready": True})


def serve(end: socket.socket) -> None:
    """Perform what comes through the lanes that ``end`` brings, until it is closed or all is idle."""
    forbid_core_dumps()
    home = Channel(end)
    terms = home.receive()
    # another version was installed meanwhile, and may use another wire format
    if terms is None or terms[0]["version"] != app_version():
        return
    handover = Handover.of(terms[0]["storage"])
    os.environ.update(handover.variables)  # nobody can see those that a process sets itself
    storage = open_handed_over(handover, os.environ)
    desk = _Desk(storage, terms[0])
    home.send(_YES)
    with selectors.DefaultSelector() as waiting:
        waiting.register(end, selectors.EVENT_READ)
        while True:
            if not waiting.select(_LOOK):
                if desk.idle_for() > _IDLE:
                    break
                continue
            arrived = home.receive()
            if arrived is None:
                break
            for number in arrived[1]:
                desk.open(Lane(number))
    end.close()
    desk.close()


class Lane:
    """The end of a lane in the worker.

    Attributes:
        line: What comes through it.
    """

    def __init__(self, number: int) -> None:
        """Own the socket with the descriptor ``number``."""
        self._end = socket.socket(fileno=number)
        self._end.setblocking(True)
        os.set_inheritable(number, False)
        self.line = Channel(self._end)

    def hang_up(self) -> None:
        """Take no further job; the one that is being performed goes on."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RD)


class _Desk:
    """The threads of a worker, one for each lane."""

    def __init__(self, storage: Vault | PostgresStorage, terms: Mapping[str, Any]) -> None:
        self._storage = storage
        self._origin = Origin(**terms["origin"])
        self._settings: dict[str, Any] = terms["http"]
        self._shows: bool = terms["shows"]
        self._http = RequestsHttp(**self._settings)
        self._guard = threading.Lock()
        self._lanes: dict[Lane, threading.Thread] = {}
        # one of a server keeps its keys from then on, and each look at it is a wait for an answer
        self._keeps_keys = False
        self._busy = 0
        self._used = CLOCK.monotonic()

    def open(self, lane: Lane) -> None:
        """Wait for jobs of ``lane`` in a thread of its own."""
        thread = threading.Thread(target=self._work, args=(lane,), name="stayfast-lane")
        with self._guard:
            self._lanes[lane] = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads: the sender sees that nobody takes its job
            with self._guard:
                del self._lanes[lane]
            lane.line.close()

    def idle_for(self) -> float:
        """Seconds since the last job; 0 while there is one."""
        with self._guard:
            return 0.0 if self._busy else CLOCK.monotonic() - self._used

    def close(self) -> None:
        """Finish all jobs, and take none."""
        with self._guard:
            lanes = dict(self._lanes)
        for lane in lanes:
            lane.hang_up()
        for thread in lanes.values():
            thread.join()

    def _work(self, lane: Lane) -> None:
        jobs = self._jobs(lane.line)
        try:
            while (arrived := lane.line.receive()) is not None:
                with self._at_work():
                    if not self._perform(lane.line, jobs, *arrived):
                        return
        finally:
            with self._guard:
                self._lanes.pop(lane, None)
            lane.line.close()

    def _perform(
        self, home: Channel, jobs: Jobs, message: Mapping[str, Any], locks: list[int]
    ) -> bool:
        """Whether the job could be taken, and the sender was there to hear that."""
        try:
            for lock in locks:
                os.set_inheritable(lock, False)
                name_holder(lock)
            job = unpack_job(message)
            # opened before anything is sent: tokens that came can only be kept with the keys at hand,
            # and a storage that opens now may not when they come
            if not self._keeps_keys:
                self._storage.read(job.login.id)
                self._keeps_keys = self._storage.capabilities.remote
            home.send(_YES)
            run(home, replace(job, lease=self._storage.adopted(job.lease)), jobs.perform)
        except (OSError, StorageError):  # the sender died before it knew that we had its job;
            return False  # or the storage cannot be opened here, and the sender does it itself
        finally:
            for lock in locks:
                os.close(lock)
        return True

    @contextmanager
    def _at_work(self) -> Generator[None]:
        with self._guard:
            self._busy += 1
        try:
            yield
        finally:
            with self._guard:
                self._busy -= 1
                self._used = CLOCK.monotonic()

    def _jobs(self, home: Channel) -> Jobs:
        """What performs the jobs of one lane: their events go home through it, and their requests."""
        forwarder, http = EventForwarder(), self._http
        forwarder.leave(home)
        if self._shows:  # a client of its own: the other lanes lead elsewhere
            http = RequestsHttp(**self._settings)
            forwarder.show_requests(http)
        return Jobs(
            Dependencies(
                storage=self._storage,
                ledger=Ledger(self._storage, CLOCK, self._origin, [forwarder]),
                http=http,
                clock=CLOCK,
                randomness=SystemRandomness(),
                courier=InlineCourier(),
            )
        )
