"""A transport whose user answers at once, and a clock that a test moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, urlsplit

from stayfast.engine.errors import TransportUnavailable
from stayfast.engine.ports import Asking, ReceivedCallback, Verdict
from stayfast.engine.record import Presentation

Answer = Callable[[str], Sequence[str]]
"""From the authorization URL to the callback addresses it leads to, in order of delivery."""


class ManualClock:
    """A clock that only moves when somebody sleeps by it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class InstantTransport:
    """Asks a function instead of a person."""

    name = "instant"

    def __init__(
        self,
        user: Answer,
        clock: ManualClock | None = None,
        redirect_uri: str = "http://127.0.0.1:8080/callback",
    ) -> None:
        self._user = user
        self._clock = clock
        self.redirect_uri = redirect_uri
        self.verdicts: list[Verdict] = []
        self.addresses: list[str] = []

    def prepare(self, asking: Asking) -> InstantSession:
        del asking
        return InstantSession(self, self._user, self._clock)

    def reopen(self, asking: Asking, presentation: Presentation) -> InstantSession:
        del asking
        if presentation.redirect_uri != self.redirect_uri:
            msg = "another address"
            raise TransportUnavailable(msg)
        return InstantSession(self, self._user, self._clock)


class InstantSession:
    """The function at work for one login."""

    def __init__(
        self, transport: InstantTransport, user: Answer, clock: ManualClock | None
    ) -> None:
        self._transport = transport
        self._user = user
        self._clock = clock
        self._callbacks: deque[str] = deque()
        self.presentation = Presentation(
            transport=transport.name, redirect_uri=transport.redirect_uri
        )

    def present(self, authorization_url: str | None) -> None:
        assert authorization_url is not None
        self._transport.addresses.append(authorization_url)
        self._callbacks.extend(self._user(authorization_url))

    def receive(self, seconds: float) -> ReceivedCallback | None:
        if self._callbacks:
            query = urlsplit(self._callbacks.popleft()).query
            return ReceivedCallback(parameters=parse_qsl(query, keep_blank_values=True))
        if self._clock is None:
            msg = "nobody will answer"
            raise TransportUnavailable(msg)
        self._clock.sleep(seconds)
        return None

    def reply(self, verdict: Verdict) -> None:
        self._transport.verdicts.append(verdict)

    def close(self) -> None:
        self._callbacks.clear()
