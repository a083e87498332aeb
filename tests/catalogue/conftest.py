"""The stand-in for the providers of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from standing_in import LeapingClock
from stayfast.testing.dialects import StandIn


@pytest.fixture(scope="session")
def clock() -> LeapingClock:
    """The clock of the program and of the providers."""
    return LeapingClock()


@pytest.fixture(scope="session")
def stand_in(clock: LeapingClock) -> Iterator[StandIn]:
    """One server for all entries."""
    with StandIn(now=clock.now) as running:
        yield running
