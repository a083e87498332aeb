"""Loopback and paste at once: the first valid answer wins.

Where no port can be had the login goes on by paste alone, and says why.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from ..engine.errors import TransportUnavailable
from ..engine.ports import VerdictKind

if TYPE_CHECKING:
    from ..engine.ports import Answers, Asking, ReceivedCallback, Verdict
    from ..engine.record import Presentation
    from .loopback.transport import LoopbackSession, LoopbackTransport
    from .manual import ManualSession, ManualTransport


class RacingTransport:
    """A listener at a terminal where an address may be pasted meanwhile."""

    name = "loopback"

    def __init__(self, loopback: LoopbackTransport, manual: ManualTransport) -> None:
        """Race these two."""
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
            TransportUnavailable: The login was not asked with an address.
        """
        try:
            loopback = self._loopback.reopen(asking, presentation)
        except TransportUnavailable as error:
            return self._manual.reopen(asking, presentation, why=_by_paste(error))
        return RacingSession(loopback, self._manual.reopen(asking, presentation))


def _by_paste(error: TransportUnavailable) -> str:
    return f"{error.message}; this login continues by paste"


class RacingSession:
    """Both sessions at work for one login."""

    def __init__(self, loopback: LoopbackSession, manual: ManualSession) -> None:
        """Race these two."""
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
        """What comes first, by the port or by the terminal.

        Raises:
            CallbackRefused: A paste that is no callback.
            TransportWanted: A key asked for another transport.
        """
        arrival = self._typed()  # a line may have come together with the last one
        if arrival is not None:
            return self._won(arrival, self._loopback)
        answers = self._answers()
        arrival = self._loopback.receive(seconds, answers.fileno() if answers else None)
        if arrival is not None:
            self._last = self._loopback
            return self._won(arrival, self._manual)
        arrival = self._typed()
        return None if arrival is None else self._won(arrival, self._loopback)

    def _won(
        self, arrival: ReceivedCallback, other: LoopbackSession | ManualSession | None
    ) -> ReceivedCallback:
        """``arrival``, which, if it is the answer, came before any by ``other``."""
        return (
            arrival if other is None else replace(arrival, beaten=(other.presentation.transport,))
        )

    def _answers(self) -> Answers | None:
        """The terminal, if there is one that can be waited on."""
        try:
            answers = self._manual.answers if self._manual else None
        except TransportUnavailable:  # no terminal that can be read: the port remains
            self._manual = None
            return None
        return None if answers is None or answers.fileno() is None else answers

    def _typed(self) -> ReceivedCallback | None:
        """What has been typed by now."""
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
        """Tell the side the last arrival came from; once it is the answer, close the other."""
        self._last.reply(verdict)
        if verdict.kind is VerdictKind.ACCEPTED:
            if self._last is self._loopback:
                self._manual = None  # nothing more is read; the terminal stays quiet to the end
            else:
                self._loopback.close()

    def close(self) -> None:
        """Give the terminal back, then close the port."""
        with ExitStack() as closing:
            for session in reversed(self._sessions):
                closing.callback(session.close)
