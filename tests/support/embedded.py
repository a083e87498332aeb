"""A conductor over the embedded server, with a user who answers at once."""

from __future__ import annotations

from typing import Any

from conductors import conductor_over
from instant import InstantTransport, ManualClock
from stayfast.engine.record import Login
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind


class Embedded:
    """A running server, a storage, and a conductor between them, by one clock."""

    def __init__(self, server: AuthorizationServer, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock
        self.storage = MemoryStorage()
        self.conductor = conductor_over(self.storage, http=RequestsHttp(clock=clock), clock=clock)
        self.transport = InstantTransport(lambda address: [user_agent.fetch_only(address)], clock)

    def sign_in(self, **settings: Any) -> Login:
        """A whole login with the server's client."""
        return self.conductor.sign_in(self.server.config(**settings), self.transport)

    def nameless(self, **settings: Any) -> Login:
        """A login whose ID token names a subject alone."""
        fault = Fault(kind=FaultKind.ID_TOKEN, members={"email": None})
        self.server.misbehave("token", fault, times=None)
        return self.sign_in(**settings)

    def last(self, *names: str) -> tuple[object, ...]:
        """Members of the last event."""
        members = list(self.storage.events())[-1].members
        return tuple(members.get(name) for name in names)

    def triggers(self) -> list[object]:
        """The triggers of all events; ``None`` for what was refused."""
        return [one.members.get("trigger") for one in self.storage.events()]


def embedded(settings: Settings | None = None) -> tuple[AuthorizationServer, ManualClock]:
    """A server that is not running yet, and its clock."""
    clock = ManualClock()
    return AuthorizationServer(settings or Settings(), now=clock.now), clock
