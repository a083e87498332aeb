"""A wait for the user that the program can end, from another thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from ..engine.errors import AuthCancelled
from ..engine.hints import Hint

if TYPE_CHECKING:
    from ..engine.ports import Arrival, Asking, Clock, Session, Transport, Verdict
    from ..engine.record import Presentation

_LOOK: Final = 0.05  # seconds between looks at the token: what a person takes for "at once"


class CancelToken(Protocol):
    """What ends a wait once it is set: a :class:`threading.Event`, or anything like it."""

    def is_set(self) -> bool:
        """Whether the wait is to end."""
        ...


class CancellableTransport:
    """A transport whose wait ends when a token is set.

    Only the wait for the user ends. Once an answer has come, its code is exchanged: the tokens of it
    must not be lost.

    Attributes:
        login_id: The login it was prepared for, if it was.
        cancelled: Whether the token has ended its wait.
    """

    def __init__(self, transport: Transport, token: CancelToken, clock: Clock) -> None:
        """Wait by ``transport`` until ``token`` is set; ``clock`` measures the waits."""
        self.name = transport.name
        self.login_id: str | None = None
        self.cancelled = False
        self._transport = transport
        self._token = token
        self._clock = clock

    def prepare(self, asking: Asking) -> Session:
        """As the transport."""
        self.login_id = asking.login_id
        return _CancellableSession(self, self._transport.prepare(asking))

    def reopen(self, asking: Asking, presentation: Presentation) -> Session:
        """As the transport."""
        self.login_id = asking.login_id
        return _CancellableSession(self, self._transport.reopen(asking, presentation))

    def check(self) -> None:
        """Make sure that the token is not set.

        Raises:
            AuthCancelled: It is.
        """
        if self._token.is_set():
            self.cancelled = True
            raise AuthCancelled("the program ended the login", hint=Hint("list"))

    def receive(self, session: Session, seconds: float) -> Arrival | None:
        """The next arrival of ``session`` within ``seconds``.

        Raises:
            AuthCancelled: The token is set.
        """
        end = self._clock.monotonic() + seconds
        while True:
            self.check()
            left = end - self._clock.monotonic()
            arrival = session.receive(min(_LOOK, max(left, 0.0)))
            if arrival is not None or left <= _LOOK:
                return arrival


class _CancellableSession:
    """The session of a :class:`CancellableTransport`."""

    def __init__(self, transport: CancellableTransport, session: Session) -> None:
        self._transport = transport
        self._session = session

    @property
    def presentation(self) -> Presentation:
        return self._session.presentation

    def present(self, authorization_url: str | None) -> None:
        self._session.present(authorization_url)

    def receive(self, seconds: float) -> Arrival | None:
        return self._transport.receive(self._session, seconds)

    def reply(self, verdict: Verdict) -> None:
        self._session.reply(verdict)

    def close(self) -> None:
        self._session.close()
