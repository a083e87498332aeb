"""Logins that are over: nobody can be asked, or the time has passed."""

from __future__ import annotations

import pytest
from conductors import conductor_over
from instant import InstantSession, InstantTransport, ManualClock
from logins import CONFIG
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.ports import Asking
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage


def nobody(address: str) -> list[str]:
    del address
    return []


class Misconfigured(InstantTransport):
    """A transport that finds a setting wrong when it gets ready."""

    def prepare(self, asking: Asking) -> InstantSession:
        del asking
        msg = "that is not a redirect address"
        raise ConfigInvalid(msg)


def test_a_login_that_nobody_can_be_asked_for_waits_for_nobody() -> None:
    """Whatever keeps a transport from asking, the login ends."""
    storage = MemoryStorage()
    with pytest.raises(ConfigInvalid):
        conductor_over(storage).start(CONFIG, Misconfigured(nobody))
    assert [one.state for one in storage.summaries()] == [State.IDLE]


def test_a_login_whose_address_cannot_be_built_waits_for_nobody() -> None:
    """Such as one for a redirect address that no octets can say: it ends before it is saved as asked."""
    storage = MemoryStorage()
    transport = InstantTransport(nobody, redirect_uri="http://127.0.0.1:8080/\udcff")
    with pytest.raises(UnicodeEncodeError):
        conductor_over(storage).start(CONFIG, transport)
    (one,) = storage.summaries()
    assert (one.state, one.version) == (State.IDLE, 2)  # begun, and failed
    assert transport.addresses == []


def test_who_sees_a_login_past_its_deadline_ends_it() -> None:
    """A login that nobody waits for any more is ended when logins are listed; others are not."""
    storage, clock = MemoryStorage(), ManualClock()
    conductor = conductor_over(storage, clock=clock)
    conductor.start(CONFIG, InstantTransport(nobody), timeout=10)
    conductor.start(CONFIG, InstantTransport(nobody), timeout=600)
    clock.time += 11
    assert [one.state for one in conductor.overview.summaries()] == [
        State.IDLE,
        State.AWAITING_CALLBACK,
    ]
    assert next(one.reason for one in storage.summaries()) == "deadline_passed"
