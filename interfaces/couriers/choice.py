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
from .spawn import SpawnCourier, can_spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ...engine.flows.job import Courier, Job, JobOutcome
    from ...engine.ports import Clock, Http, Storage
    from .channel import EventForwarder


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
    spawned = _spawned(storage, http, forwarder, clock, environ)
    if chosen == "auto":
        otherwise = spawned or InlineCourier()
        once = spawned is not None and capabilities_of(storage).remote
        return _ForkIfSafe(forked, otherwise, once=once) if forked else otherwise
    asked = forked if chosen == "fork" else spawned
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


def _spawned(
    storage: Storage,
    http: Http,
    forwarder: EventForwarder,
    clock: Clock | None,
    environ: Mapping[str, str],
) -> Courier | None:
    """A courier that spawns workers, if a worker can build the same storage, HTTP and clock."""
    sharing = capabilities_of(storage).sharing
    # exactly this class: a worker knows nothing of what a subclass adds
    if sharing is None or not isinstance(http, RequestsHttp) or type(http) is not RequestsHttp:
        return None
    if type(clock or SystemClock()) is not SystemClock or not can_spawn():
        return None
    return SpawnCourier(forwarder, sharing, http, environ)


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


class _ForkIfSafe:
    """Forks if that is safe at the moment of the job, else uses another courier."""

    def __init__(self, forked: Courier, otherwise: Courier, *, once: bool) -> None:
        """Use either.

        Args:
            forked: Forks.
            otherwise: Does not.
            once: Whether to fork for the first job alone. Each child needs a session at the server,
                which a program that lives on should not open for every job.
        """
        self._forked = forked
        self._otherwise = otherwise
        self._once = once
        self._first = True

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        fork = can_fork() and (self._first or not self._once)
        self._first = False
        return (self._forked if fork else self._otherwise).carry(job, perform)
