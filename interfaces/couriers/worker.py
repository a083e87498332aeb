"""What runs in a spawned courier: one job after the other, for as long as somebody sends them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...engine import cbor
from ...engine.audit.events import Origin
from ...engine.flows.dependencies import Dependencies
from ...engine.flows.jobs import Jobs
from ...engine.flows.ledger import Ledger
from ...storage.host import CLOCK, SystemRandomness, app_version
from ...storage.locks import name_holder
from ...storage.opening import open_handed_over
from ...storage.vault.handover import Handover
from ..http import RequestsHttp
from ..process import forbid_core_dumps
from . import InlineCourier
from .channel import Channel, EventForwarder
from .fork import run
from .wire import unpack_job

if TYPE_CHECKING:
    from ...engine.ports import Storage

_IDLE: Final = 300.0  # seconds without a job, after which a worker is not worth its memory
_YES: Final = cbor.encode({"ready": True})


def serve(end: socket.socket) -> None:
    """Perform what comes through ``end`` until it is closed, or nothing has come for long."""
    forbid_core_dumps()
    home = Channel(end)
    terms = home.receive()
    # another version was installed meanwhile, and may use another wire format
    if terms is None or terms[0]["version"] != app_version():
        return
    handover = Handover.of(terms[0]["storage"])
    os.environ.update(handover.variables)  # nobody can see those that a process sets itself
    storage = open_handed_over(handover, os.environ)
    jobs = _jobs(storage, terms[0], home)
    home.send(_YES)
    while True:
        end.settimeout(_IDLE)
        arrived = home.receive()
        end.settimeout(None)
        if arrived is None:
            return
        message, locks = arrived
        try:
            for lock in locks:
                os.set_inheritable(lock, False)
                name_holder(lock)
            home.send(_YES)
            job = unpack_job(message)
            run(home, replace(job, lease=storage.adopted(job.lease)), jobs.perform)
        except OSError:  # the sender died before it knew that we had its job
            return
        finally:
            for lock in locks:
                os.close(lock)


def _jobs(storage: Storage, terms: Mapping[str, Any], home: Channel) -> Jobs:
    forwarder = EventForwarder()
    forwarder.leave(home)
    clock = CLOCK
    return Jobs(
        Dependencies(
            storage=storage,
            ledger=Ledger(storage, clock, Origin(**terms["origin"]), [forwarder]),
            http=RequestsHttp(**terms["http"]),
            clock=clock,
            randomness=SystemRandomness(),
            courier=InlineCourier(),
        )
    )
