"""Couriers: who carries a request whose answer must not be lost, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid
from ..http import RequestsHttp
from .fork import Forkable, ForkCourier, can_fork
from .inline import InlineCourier
from .relay import Relay

if TYPE_CHECKING:
    from ...engine.errand import Errand, ErrandOutcome
    from ...engine.ports import Courier, Http, Storage

CHOICES: Final = ("auto", "fork", "inline")
"""What ``HOLDFAST_COURIER`` may say."""

__all__ = ["CHOICES", "ForkCourier", "InlineCourier", "Relay", "choose_courier"]


def choose_courier(
    storage: Storage, http: Http, relay: Relay, environ: Mapping[str, str]
) -> Courier:
    """The courier for logins kept in ``storage``, as ``HOLDFAST_COURIER`` wants it.

    Args:
        storage: What another process would have to save answers in.
        http: What it would have to send with.
        relay: Tells the observers.
        environ: The environment.

    Raises:
        ConfigInvalid: There is no such courier.
    """
    chosen = environ.get("HOLDFAST_COURIER") or "auto"
    if chosen not in CHOICES:
        raise ConfigInvalid(
            f"there is no courier {chosen!r}", hint=f"HOLDFAST_COURIER={'|'.join(CHOICES)}"
        )
    # another process can only take over what is not in this one's memory
    if (
        chosen == "inline"
        or not isinstance(storage, Forkable)
        or not isinstance(http, RequestsHttp)
    ):
        return InlineCourier()
    forked = ForkCourier(relay, storage.close)
    return forked if chosen == "fork" else _Fitting(forked, InlineCourier())


class _Fitting:
    """Forks where that is safe."""

    def __init__(self, forked: Courier, otherwise: Courier) -> None:
        self._forked = forked
        self._otherwise = otherwise

    def carry(self, errand: Errand, perform: Callable[[Errand], ErrandOutcome]) -> ErrandOutcome:
        """See :meth:`holdfast.engine.ports.Courier.carry`."""
        courier = self._forked if can_fork() else self._otherwise
        return courier.carry(errand, perform)
