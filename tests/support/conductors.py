"""A conductor over a storage, with the real HTTP client, clock and courier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stayfast.engine.flows.dependencies import Dependencies
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.ports import Clock, Http, Observer
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage.host import SystemClock, SystemRandomness, origin


def conductor_over(
    storage: Any,
    *,
    http: Http | None = None,
    clock: Clock | None = None,
    observers: Sequence[Observer] = (),
) -> Conductor:
    """A conductor as the interfaces build it; what is not given is the real thing."""
    clock = clock or SystemClock()
    http = http or RequestsHttp()
    signs = {"sign_request": http.prover.request_object} if isinstance(http, RequestsHttp) else {}
    return Conductor(
        Dependencies(
            storage=storage,
            ledger=Ledger(storage, clock, origin(), observers),
            http=http,
            clock=clock,
            randomness=SystemRandomness(),
            courier=InlineCourier(),
            **signs,
        )
    )
