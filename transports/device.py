"""The device transport: a code is entered on any other device (RFC 8628)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..engine.errors import ConfigMissing, TransportUnavailable
from ..engine.oauth.device import PollSchedule, device_request, judge_device_response
from ..engine.ports import Notice, NoticeKind, PollDue, Verdict, VerdictKind
from ..engine.record import Presentation

if TYPE_CHECKING:
    from ..engine.ports import Answers, Asking, Clock, Conversation, Http
    from ..engine.record import DeviceGrant

_TICK: Final = 1.0  # seconds between two words to the user while waiting
_ADRIFT: Final = 2.0  # seconds between two polls by which clocks may disagree unremarked


class DeviceTransport:
    """Asks the provider for a code, and waits between polls as long as it is told to."""

    name = "device"

    def __init__(
        self,
        conversation: Conversation,
        http: Http,
        clock: Clock,
        keys: Callable[[], Answers] | None = None,
    ) -> None:
        """Work through these.

        Args:
            conversation: Where the code is shown.
            http: What asks for it.
            clock: Says when to poll.
            keys: Opens a terminal whose keys are heeded while waiting.
        """
        self._conversation = conversation
        self._http = http
        self._clock = clock
        self._keys = keys

    def prepare(self, asking: Asking) -> DeviceSession:
        """Ask for a code (RFC 8628 §3.1).

        Raises:
            TransportUnavailable: The provider has no device authorization endpoint.
            ProviderError, NetworkError: It did not give one.
        """
        if not asking.config.device_url:
            raise TransportUnavailable(
                f"{asking.config.title} has no device authorization endpoint",
                hint="choose with --via loopback or --via manual",
            )
        try:
            request = device_request(asking.config)
        except ConfigMissing as error:
            raise TransportUnavailable(error.message, hint=error.hint) from error
        grant = judge_device_response(asking.config, self._http.send(request))
        return DeviceSession(grant, self._conversation, self._clock, self._keys)

    def reopen(self, asking: Asking, presentation: Presentation) -> DeviceSession:
        """Go on with the same code.

        Raises:
            TransportUnavailable: The login has none, or it has expired.
        """
        del asking
        grant = presentation.device
        if grant is None or grant.expires_at <= self._clock.now():
            raise TransportUnavailable("this login has no device code that is still valid")
        return DeviceSession(grant, self._conversation, self._clock, self._keys)


class DeviceSession:
    """A code that waits to be entered.

    Attributes:
        presentation: The grant.
    """

    def __init__(
        self,
        grant: DeviceGrant,
        conversation: Conversation,
        clock: Clock,
        keys: Callable[[], Answers] | None = None,
    ) -> None:
        """Wait for ``grant``; ``keys`` opens a terminal whose keys are heeded meanwhile."""
        self.presentation = Presentation(transport=DeviceTransport.name, device=grant)
        self._grant = grant
        self._conversation = conversation
        self._clock = clock
        self._open_keys = keys
        self._keys: Answers | None = None
        self._drifts = False
        self._schedule = PollSchedule(grant, clock.monotonic(), clock.now())

    def present(self, authorization_url: str | None) -> None:
        """Show the code and where it is entered."""
        del authorization_url
        grant = self._grant
        self._conversation.tell(
            Notice(
                kind=NoticeKind.CODE,
                url=grant.verification_uri,
                qr=grant.verification_uri_complete or grant.verification_uri,
                user_code=grant.user_code,
                expires_at=grant.expires_at,
            )
        )
        if self._open_keys is not None:
            with suppress(TransportUnavailable):  # no terminal: no keys
                self._keys = self._open_keys()

    def receive(self, seconds: float) -> PollDue | None:
        """A poll once it is due, or ``None`` after ``seconds`` without one.

        Raises:
            TransportWanted: A key asked for another transport.
        """
        end = self._clock.monotonic() + seconds
        while True:
            now, wall = self._clock.monotonic(), self._clock.now()
            self._say_if_adrift(now, wall)
            until_poll = self._schedule.left(now, wall)
            if until_poll <= 0:
                return PollDue()
            if now >= end:
                return None
            self._conversation.tell(Notice(kind=NoticeKind.WAITING, seconds=until_poll))
            self._pause(min(until_poll, end - now, _TICK))

    def _pause(self, seconds: float) -> None:
        """Let time pass; where there are keys, by waiting for one. Typed lines are no answers."""
        if self._keys is None:
            self._clock.sleep(seconds)
            return
        try:
            self._keys.read(seconds)
        except TransportUnavailable:  # Ctrl-D, or the terminal has gone: the polls go on
            self._hang_up()

    def _say_if_adrift(self, now: float, wall: float) -> None:
        if not self._drifts and self._schedule.ahead(now, wall) > _ADRIFT:
            self._drifts = True
            message = "the clocks of this machine disagree, so checks keep to the slower one"
            self._conversation.tell(Notice(kind=NoticeKind.WAITING, message=message))

    def reply(self, verdict: Verdict) -> None:
        """Heed what a poll was answered with."""
        now, wall = self._clock.monotonic(), self._clock.now()
        if verdict.kind is VerdictKind.PENDING:
            self._schedule.pending(now, wall)
        elif verdict.kind is VerdictKind.SLOW_DOWN:
            self._schedule.slow_down(now, wall, verdict.interval)
            interval = self._schedule.interval
            message = f"the provider asked for slower checks, every {interval:.0f} s"
            self._conversation.tell(
                Notice(kind=NoticeKind.WAITING, seconds=interval, message=message)
            )
        elif verdict.kind is VerdictKind.UNANSWERED:
            self._schedule.unanswered(now, wall)
            left = self._schedule.left(now, wall)
            message = f"no answer from the provider, next check in {left:.0f} s"
            self._conversation.tell(Notice(kind=NoticeKind.WAITING, seconds=left, message=message))

    def _hang_up(self) -> None:
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.close()

    def close(self) -> None:
        """Give the terminal back."""
        self._hang_up()
