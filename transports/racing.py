"""Loopback and paste at once: the first valid answer wins.

The choice of a transport can be wrong: the browser may be on another machine after all. So while
the port waits, an address may be pasted at the terminal. Both use the same redirect address and the
same ``state``, so either answer is good, and the second one is refused like any other late answer.

If no port is free, the login goes on by paste alone and says why.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from ..engine.errors import CallbackRefused, TransportUnavailable
from ..engine.ports import VerdictKind

if TYPE_CHECKING:
    from ..engine.ports import Answers, Asking, ReceivedCallback, Verdict
    from ..engine.record import Presentation
    from .loopback.transport import LoopbackSession, LoopbackTransport
    from .manual import ManualSession, ManualTransport


class RacingTransport:
    """A listener, and a terminal where an address may be pasted meanwhile."""

    name = "loopback"
    sends_nothing_first = True

    def __init__(self, loopback: LoopbackTransport, manual: ManualTransport) -> None:
        """Combine ``loopback`` and ``manual``."""
        self._loopback = loopback
        self._manual = manual

    def prepare(self, asking: Asking) -> RacingSession | ManualSession:
        """Bind, and be ready for a paste of the same address.

        Raises:
            ConfigInvalid: The configured redirect address is malformed.
        """
        try:
            loopback = self._loopback.prepare(asking)
        except TransportUnavailable as error:
            return self._manual.prepare(asking, why=_by_paste(error))
        return RacingSession(loopback, self._manual.reopen(asking, loopback.presentation))

    def reopen(self, asking: Asking, presentation: Presentation) -> RacingSession | ManualSession:
        """Bind the same port again, and be ready for a paste.

        Raises:
            TransportUnavailable: The login has no redirect address.
        """
        try:
            loopback = self._loopback.reopen(asking, presentation)
        except TransportUnavailable as error:
            return self._manual.reopen(asking, presentation, why=_by_paste(error))
        return RacingSession(loopback, self._manual.reopen(asking, presentation))


def _by_paste(error: TransportUnavailable) -> str:
    return f"{error.message}; this login continues by paste"


class RacingSession:
    """Both sessions of one login, and which of them the last arrival came from."""

    def __init__(self, loopback: LoopbackSession, manual: ManualSession) -> None:
        """Wait for whichever of ``loopback`` and ``manual`` has an answer first."""
        self._loopback = loopback
        self._manual: ManualSession | None = manual
        self._sessions = (manual, loopback)
        self._last: LoopbackSession | ManualSession = loopback

    @property
    def presentation(self) -> Presentation:
        """How the last arrival came; the listener's before there was one."""
        return self._last.presentation

    def present(self, authorization_url: str | None) -> None:
        """Show and open the address as the listener does."""
        self._loopback.present(authorization_url)

    def receive(self, seconds: float) -> ReceivedCallback | None:
        """The first answer, from the port or from the terminal.

        Raises:
            CallbackRefused: The pasted text, or a request, cannot be the answer.
            TransportWanted: The user pressed the key of another transport.
        """
        # Two lines may have arrived in one piece. The second is in our buffer, so the descriptor
        # does not become readable for it again.
        arrival = self._typed()
        if arrival is not None:
            return self._won(arrival, self._loopback)
        answers = self._answers()
        try:
            arrival = self._loopback.receive(seconds, answers.fileno() if answers else None)
        except CallbackRefused:
            self._last = self._loopback  # which has answered it: the terminal stays quiet
            raise
        if arrival is not None:
            self._last = self._loopback
            return self._won(arrival, self._manual)
        arrival = self._typed()
        return None if arrival is None else self._won(arrival, self._loopback)

    def _won(
        self, arrival: ReceivedCallback, other: LoopbackSession | ManualSession | None
    ) -> ReceivedCallback:
        """``arrival``, marked as having come before any answer through ``other``."""
        return (
            arrival if other is None else replace(arrival, beaten=(other.presentation.transport,))
        )

    def _answers(self) -> Answers | None:
        """The terminal, if its descriptor can be waited on."""
        try:
            answers = self._manual.answers if self._manual else None
        except TransportUnavailable:  # no terminal that can be read: the port remains
            self._manual = None
            return None
        return None if answers is None or answers.fileno() is None else answers

    def _typed(self) -> ReceivedCallback | None:
        """The callback in a line that is complete by now, or ``None``."""
        answers = self._answers()
        if answers is None or self._manual is None:
            return None
        try:
            text = answers.read(0)
        except TransportUnavailable:  # the terminal has gone: the port remains
            self._manual = None
            return None
        if text is None:
            return None
        self._last = self._manual
        return self._manual.understand(text)

    def reply(self, verdict: Verdict) -> None:
        """Pass ``verdict`` to the session of the last arrival; once accepted, end the other one."""
        self._last.reply(verdict)
        if verdict.kind is VerdictKind.ACCEPTED:
            if self._last is self._loopback:
                # Read no more, but leave the terminal quiet until close: an address that is being
                # pasted at this moment holds a code, and must not be echoed or reach the shell.
                self._manual = None
            else:
                self._loopback.close()

    def close(self) -> None:
        """Give the terminal back, then close the port."""
        with ExitStack() as closing:
            for session in reversed(self._sessions):
                closing.callback(session.close)
