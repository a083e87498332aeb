"""The device transport: the user enters a code on any other device (RFC 8628).

The session says *when* to poll; the engine sends the poll, because its answer may hold tokens,
which no transport sees.
"""

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

_TICK: Final = 1.0  # seconds between two updates of what the user sees
_ADRIFT: Final = 2.0  # seconds by which the two clocks may differ without a message


class DeviceTransport:
    """Requests a device code, and keeps the interval that the provider sets between polls."""

    name = "device"

    def __init__(
        self,
        conversation: Conversation,
        http: Http,
        clock: Clock,
        keys: Callable[[], Answers] | None = None,
    ) -> None:
        """Make the transport; it sends nothing yet.

        Args:
            conversation: Where the code is shown.
            http: Sends the device authorization request.
            clock: Measures the interval between polls.
            keys: Opens a terminal whose single keys have a meaning during the wait.
        """
        self._conversation = conversation
        self._http = http
        self._clock = clock
        self._keys = keys

    def prepare(self, asking: Asking) -> DeviceSession:
        """Request a device code (RFC 8628 §3.1).

        Raises:
            TransportUnavailable: The provider has no device authorization endpoint.
            ProviderError: The provider refused the request, or its answer cannot be used.
            NetworkError: The provider could not be reached.
        """
        config = asking.config.of_device_flow()
        if not config.device_url:
            raise TransportUnavailable(
                f"{config.title} has no device authorization endpoint",
                hint="choose with --via loopback or --via manual",
            )
        try:
            request = device_request(config)
        except ConfigMissing as error:
            raise TransportUnavailable(error.message, hint=error.hint) from error
        grant = judge_device_response(config, self._http.send(request), asking.deadline)
        return DeviceSession(asking, grant, self._conversation, self._clock, self._keys)

    def reopen(self, asking: Asking, presentation: Presentation) -> DeviceSession:
        """Go on with the same code.

        Raises:
            TransportUnavailable: The login has no device code, or the code has expired.
        """
        grant = presentation.device
        if grant is None or grant.expires_at <= self._clock.now():
            raise TransportUnavailable("this login has no device code that is still valid")
        return DeviceSession(asking, grant, self._conversation, self._clock, self._keys)


class DeviceSession:
    """The wait until the user has entered a code.

    Attributes:
        presentation: The device code and what the user was shown.
    """

    def __init__(
        self,
        asking: Asking,
        grant: DeviceGrant,
        conversation: Conversation,
        clock: Clock,
        keys: Callable[[], Answers] | None = None,
    ) -> None:
        """Wait for the user to approve ``grant``.

        Args:
            asking: The login, whose end may come before that of the code.
            grant: The device code.
            conversation: Where the code is shown.
            clock: Measures the interval between polls.
            keys: Opens a terminal whose single keys have a meaning during the wait.
        """
        self.presentation = Presentation(transport=DeviceTransport.name, device=grant)
        self._grant = grant
        self._ends_at = min(grant.expires_at, asking.deadline)
        self._conversation = conversation
        self._clock = clock
        self._open_keys = keys
        self._keys: Answers | None = None
        # Either clock may be wrong: in some virtual machines the monotonic one runs ahead, and the
        # other one can be set. A poll is due when both have run through the interval.
        self._drifts = False
        self._schedule = PollSchedule(grant, clock.monotonic(), clock.now())

    def present(self, authorization_url: str | None) -> None:
        """Show the code and where it is entered."""
        del authorization_url
        grant = self._grant
        self._conversation.show(
            Notice(
                kind=NoticeKind.CODE,
                url=grant.verification_uri,
                qr=grant.verification_uri_complete or grant.verification_uri,
                user_code=grant.user_code,
                expires_at=self._ends_at,
            )
        )
        if self._open_keys is not None:
            with suppress(TransportUnavailable):  # without a terminal there are no keys
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
            self._conversation.show(Notice(kind=NoticeKind.WAITING, seconds=until_poll))
            self._pause(min(until_poll, end - now, _TICK))

    def _pause(self, seconds: float) -> None:
        """Wait for ``seconds`` or for a key. A line that somebody types is read and ignored."""
        if self._keys is None:
            self._clock.sleep(seconds)
            return
        try:
            self._keys.read(seconds)  # a key raises what it asks for, such as TransportWanted
        except TransportUnavailable:  # Ctrl-D, or the terminal has gone: the polls go on
            self._hang_up()

    def _say_if_adrift(self, now: float, wall: float) -> None:
        if not self._drifts and self._schedule.ahead(now, wall) > _ADRIFT:
            self._drifts = True
            message = "the clocks of this machine disagree, so checks keep to the slower one"
            self._conversation.show(Notice(kind=NoticeKind.WAITING, message=message))

    def reply(self, verdict: Verdict) -> None:
        """Set the time of the next poll by the answer to the last one (RFC 8628 §3.5)."""
        now, wall = self._clock.monotonic(), self._clock.now()
        if verdict.kind is VerdictKind.PENDING:
            self._schedule.pending(now, wall)
        elif verdict.kind is VerdictKind.SLOW_DOWN:
            self._schedule.slow_down(now, wall, verdict.interval)
            interval = self._schedule.interval
            message = f"the provider asked for slower checks, every {interval:.0f} s"
            self._conversation.show(
                Notice(kind=NoticeKind.WAITING, seconds=interval, message=message)
            )
        elif verdict.kind is VerdictKind.UNANSWERED:
            self._schedule.unanswered(now, wall)
            left = self._schedule.left(now, wall)
            message = f"no answer from the provider, next check in {left:.0f} s"
            self._conversation.show(Notice(kind=NoticeKind.WAITING, seconds=left, message=message))

    def _hang_up(self) -> None:
        keys, self._keys = self._keys, None
        if keys is not None:
            keys.close()

    def close(self) -> None:
        """Give the terminal back."""
        self._hang_up()
