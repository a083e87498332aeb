"""The device transport: a code is entered on any other device (RFC 8628)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..engine.device import PollSchedule, device_request, judge_device_response
from ..engine.errors import ConfigMissing, TransportUnavailable
from ..engine.ports import Arrival, Notice, NoticeKind, Verdict, VerdictKind
from ..engine.record import Presentation

if TYPE_CHECKING:
    from ..engine.ports import Asking, Clock, Conversation, Http
    from ..engine.record import DeviceGrant

_TICK: Final = 1.0  # seconds between two words to the user while waiting


class DeviceTransport:
    """Asks the provider for a code, and waits between polls as long as it is told to."""

    name = "device"

    def __init__(self, conversation: Conversation, http: Http, clock: Clock) -> None:
        """Work through these."""
        self._conversation = conversation
        self._http = http
        self._clock = clock

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
        return DeviceSession(grant, self._conversation, self._clock)

    def reopen(self, asking: Asking, presentation: Presentation) -> DeviceSession:
        """Go on with the same code.

        Raises:
            TransportUnavailable: The login has none, or it has expired.
        """
        del asking
        grant = presentation.device
        if grant is None or grant.expires_at <= self._clock.now():
            raise TransportUnavailable("this login has no device code that is still valid")
        return DeviceSession(grant, self._conversation, self._clock)


class DeviceSession:
    """A code that waits to be entered.

    Attributes:
        presentation: The grant.
    """

    def __init__(self, grant: DeviceGrant, conversation: Conversation, clock: Clock) -> None:
        """Wait for ``grant``."""
        self.presentation = Presentation(transport=DeviceTransport.name, device=grant)
        self._grant = grant
        self._conversation = conversation
        self._clock = clock
        self._schedule = PollSchedule(grant, clock.monotonic())

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

    def receive(self, seconds: float) -> Arrival | None:
        """A poll once it is due, or ``None`` after ``seconds`` without one."""
        end = self._clock.monotonic() + seconds
        while True:
            now = self._clock.monotonic()
            until_poll = self._schedule.next_poll - now
            if until_poll <= 0:
                return Arrival()
            if now >= end:
                return None
            self._conversation.tell(Notice(kind=NoticeKind.WAITING, seconds=until_poll))
            self._clock.sleep(min(until_poll, end - now, _TICK))

    def reply(self, verdict: Verdict) -> None:
        """Heed what a poll was answered with."""
        now = self._clock.monotonic()
        if verdict.kind is VerdictKind.PENDING:
            self._schedule.pending(now)
        elif verdict.kind is VerdictKind.SLOW_DOWN:
            self._schedule.slow_down(now, verdict.interval)
            slower = self._schedule.interval
            message = f"the provider asked for slower checks, every {slower:.0f} s"
            self._conversation.tell(
                Notice(kind=NoticeKind.WAITING, seconds=slower, message=message)
            )
        elif verdict.kind is VerdictKind.UNANSWERED:
            self._schedule.unanswered(now)

    def close(self) -> None:
        """Nothing is held."""
