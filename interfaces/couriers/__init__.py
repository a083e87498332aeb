"""Couriers: who carries a request whose answer must not be lost, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid
from ...storage.host import SystemClock
from ...storage.opening import EncryptedFileStorage, KeyringStorage
from ...storage.vault.vault import Vault
from ..http import RequestsHttp
from .channel import EventForwarder
from .fork import Forkable, ForkCourier, can_fork
from .signals import deferred_signals
from .spawn import SpawnCourier, can_spawn

if TYPE_CHECKING:
    from ...engine.flows.job import Courier, Job, JobOutcome
    from ...engine.ports import Clock, Http, Storage


CHOICES: Final = ("auto", "fork", "spawn", "inline")
"""What ``STAYFAST_COURIER`` may say."""

__all__ = [
    "CHOICES",
    "EventForwarder",
    "ForkCourier",
    "InlineCourier",
    "SpawnCourier",
    "choose_courier",
]


class InlineCourier:
    """Runs jobs in this process; Ctrl-C, SIGTERM and SIGHUP wait until they are done.

    What cannot wait (``kill -9``) may cost an answer that was on its way.
    """

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        with deferred_signals():
            return perform(job)


def choose_courier(
    storage: Storage,
    http: Http,
    forwarder: EventForwarder,
    environ: Mapping[str, str],
    clock: Clock | None = None,
) -> Courier:
    """The courier for logins kept in ``storage``, as ``STAYFAST_COURIER`` wants it.

    ``auto`` forks where no other thread forbids it, else spawns. Where neither can be done, because
    something lives only in the memory of this process, jobs are run in it.

    Args:
        storage: What another process would have to save answers in.
        http: What it would have to send with.
        forwarder: Tells the observers.
        environ: The environment.
        clock: What dates the answers; the system's clock if not given.

    Raises:
        ConfigInvalid: There is no such courier.
    """
    chosen = environ.get("STAYFAST_COURIER") or "auto"
    if chosen not in CHOICES:
        raise ConfigInvalid(
            f"there is no courier {chosen!r}", hint=f"STAYFAST_COURIER={'|'.join(CHOICES)}"
        )
    # another process can only take over what is not in this one's memory
    if (
        chosen == "inline"
        or not isinstance(storage, Forkable)
        or not isinstance(http, RequestsHttp)
    ):
        return InlineCourier()
    spawned = _spawned(storage, http, forwarder, clock)
    if chosen == "spawn":
        return spawned or InlineCourier()
    forked = ForkCourier(forwarder, storage.close)
    return forked if chosen == "fork" else _Fitting(forked, spawned or InlineCourier())


def _spawned(
    storage: Storage, http: RequestsHttp, forwarder: EventForwarder, clock: Clock | None
) -> Courier | None:
    """A courier in a process of its own, if all that it takes can be had anew there."""
    # exactly these: what a subclass adds is not known there
    known = {Vault, KeyringStorage, EncryptedFileStorage}
    if not isinstance(storage, Vault) or type(storage) not in known:
        return None
    kinds = type(http), type(clock or SystemClock())
    if kinds != (RequestsHttp, SystemClock) or not can_spawn():
        return None
    return SpawnCourier(forwarder, storage, http)


class _Fitting:
    """Forks where that is safe."""

    def __init__(self, forked: Courier, otherwise: Courier) -> None:
        self._forked = forked
        self._otherwise = otherwise

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        courier = self._forked if can_fork() else self._otherwise
        return courier.carry(job, perform)
