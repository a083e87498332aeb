"""Which courier there is here: of those that the variable allows, the best that storage and HTTP client permit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...engine.errors import ConfigInvalid
from ...storage.capabilities import capabilities_of
from ...storage.host import SystemClock
from ..http import RequestsHttp
from . import courier_wanted
from .fork import ForkCourier, can_fork
from .saving import InlineCourier
from .worker_courier import WorkerCourier
from .worker_process import Forking, Spawning, can_pass_files, can_spawn, safest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...engine.flows.job import Courier, Job, JobOutcome
    from ...engine.ports import Clock, Http, Storage
    from .channel import EventForwarder
    from .worker_process import Begin


def choose_courier(
    storage: Storage,
    http: Http,
    forwarder: EventForwarder,
    environ: Mapping[str, str],
    clock: Clock | None = None,
) -> Courier:
    """The courier for logins in ``storage``, as ``STAYFAST_COURIER`` says.

    Args:
        storage: Where another process would save answers.
        http: The HTTP client that another process would have to match.
        forwarder: Passes events to the observers.
        environ: The environment.
        clock: The clock that dates the answers; the system's clock if not given.

    Raises:
        ConfigInvalid: ``STAYFAST_COURIER`` names an unknown courier, or one that cannot be had here.
    """
    chosen = courier_wanted(environ)
    if chosen == "inline":
        return InlineCourier()
    forked = _forked(storage, http, forwarder)
    worker = _worker(_beginning(chosen, storage, environ), storage, http, forwarder, clock)
    if chosen == "auto":
        otherwise = worker or InlineCourier()
        return (
            ForkFirst(forked, otherwise, once=bool(worker), safe=can_fork) if forked else otherwise
        )
    asked = worker if chosen == "spawn" else forked
    if chosen == "fork" and forked and worker:
        asked = ForkFirst(forked, worker, once=True, safe=lambda: True)
    if asked is None:  # whoever asks for safety must not be left without it in silence
        raise ConfigInvalid(
            f"STAYFAST_COURIER={chosen} cannot be met: {_obstacle(chosen, storage, http, clock)}",
            hint="unset STAYFAST_COURIER",
        )
    return asked


def _forked(storage: Storage, http: Http, forwarder: EventForwarder) -> Courier | None:
    """A courier that forks, if a child can use the same storage and HTTP client."""
    close = capabilities_of(storage).close
    if close is None or not isinstance(http, RequestsHttp) or not hasattr(os, "fork"):
        return None
    return ForkCourier(forwarder, close)


def _beginning(chosen: str, storage: Storage, environ: Mapping[str, str]) -> Begin | None:
    """How a worker may begin here, if the courier is to be ``chosen``."""
    close = capabilities_of(storage).close
    spawning = Spawning(environ) if can_spawn() else None
    if chosen == "spawn" or close is None or not hasattr(os, "fork") or not can_pass_files():
        return spawning
    forking = Forking(close, environ)
    if chosen == "fork":
        return forking
    return safest(forking, spawning) if spawning else None


def _worker(
    begin: Begin | None,
    storage: Storage,
    http: Http,
    forwarder: EventForwarder,
    clock: Clock | None,
) -> Courier | None:
    """A courier with a worker, if a worker can build the same storage, HTTP and clock."""
    sharing = capabilities_of(storage).sharing
    # exactly this class: a worker knows nothing of what a subclass adds
    if sharing is None or not isinstance(http, RequestsHttp) or type(http) is not RequestsHttp:
        return None
    if type(clock or SystemClock()) is not SystemClock or begin is None:
        return None
    return WorkerCourier(forwarder, sharing, http, begin)


def _obstacle(chosen: str, storage: Storage, http: Http, clock: Clock | None) -> str:
    """Why there is no courier of the kind ``chosen``, in the words of an error."""
    can = capabilities_of(storage)
    if (can.close if chosen == "fork" else can.sharing) is None:
        return f"another process cannot open the storage {storage.description}"
    if not isinstance(http, RequestsHttp) or (chosen == "spawn" and type(http) is not RequestsHttp):
        return "the program has an HTTP client of its own"
    if chosen == "spawn" and type(clock or SystemClock()) is not SystemClock:
        return "the program has a clock of its own"
    return "this system or program cannot start another Python"


class ForkFirst:
    """Forks a child for a job, or uses another courier.

    Nothing is as quick for the only job of a program, such as the command. A program that lives on is
    better off with a worker, which keeps its modules, its connections and its sessions at servers.
    """

    def __init__(
        self, forked: Courier, otherwise: Courier, *, once: bool, safe: Callable[[], bool]
    ) -> None:
        """Use either.

        Args:
            forked: Forks.
            otherwise: Carries the other jobs.
            once: Whether to fork for the first job alone.
            safe: Whether a fork is safe at the moment of the job.
        """
        self._forked = forked
        self._otherwise = otherwise
        self._once = once
        self._safe = safe
        self._first = True

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        fork = (self._first or not self._once) and self._safe()
        self._first = False
        return (self._forked if fork else self._otherwise).carry(job, perform)
