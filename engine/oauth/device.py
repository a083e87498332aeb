"""The device authorization grant (RFC 8628): asking for a code, and asking whether it was used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConfigMissing, ProviderError
from ..hints import Hint
from ..record import DeviceGrant
from ..secret import Secret
from .addresses import secure_address
from .authorization_request import asked_for
from .client_authentication import client_request
from .device_refusals import policy_refusal
from .error_codes import canonical
from .provider_response import error_code, judge, read_members
from .token_endpoint import judge_token_response, token_request
from .tokens import OAuthTokens, lifetime, printable

if TYPE_CHECKING:
    from ..ports import HttpRequest, HttpResponse
    from .provider import OAuthConfig

DEFAULT_INTERVAL: Final = 5.0
"""Seconds between polls where the provider names none (RFC 8628 §3.2)."""
STEP: Final = 5.0
"""Seconds that ``slow_down`` adds at least (RFC 8628 §3.5)."""
_MAX_BACK_OFF: Final = 120.0
_MAX_INTERVAL: Final = 3600.0  # longer than codes live: a typing error must not look like a hang
_USER_CODE_LENGTH: Final = 64
_OUTLASTING: Final = 1.0  # seconds after the login, for a code whose lifetime nobody knows


class PollKind(StrEnum):
    """What a poll without tokens says (RFC 8628 §3.5)."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """A poll that brought no tokens.

    Attributes:
        kind: What it says.
        interval: The provider's new interval, seconds, if it names one.
    """

    kind: PollKind
    interval: float | None = None


_POLL_CODES: Final = {
    "authorization_pending": PollKind.PENDING,
    "slow_down": PollKind.SLOW_DOWN,
    "access_denied": PollKind.DENIED,
    "authorization_declined": PollKind.DENIED,  # Microsoft
    "expired_token": PollKind.EXPIRED,
    "token_expired": PollKind.EXPIRED,  # GitHub
    "code_expired": PollKind.EXPIRED,
}


def device_request(config: OAuthConfig) -> HttpRequest:
    """The device authorization request (RFC 8628 §3.1).

    Raises:
        ConfigMissing: The endpoint, client id or client secret is absent.
    """
    if not config.device_url:
        raise ConfigMissing(
            f"{config.title} has no device authorization endpoint",
            hint=Hint("login", config.service_name, "--via", "loopback"),
        )
    members: list[tuple[str, str]] = []
    if config.asked_scope:
        members.append(("scope", config.asked_scope))
    members += asked_for(config)
    added = config.extra_device_params.items()
    return client_request(config, config.device_url, members, added)


def judge_device_response(
    config: OAuthConfig, response: HttpResponse, deadline: float | None = None
) -> DeviceGrant:
    """The codes in ``response`` (RFC 8628 §3.2).

    Args:
        config: The provider.
        response: Its answer.
        deadline: When the login ends, POSIX seconds. The codes outlast it if neither the answer nor
            the provider's settings have a lifetime: some servers leave it out although it is
            required, or send 0. Then it is the login that ends, and no code that is known to.

    Raises:
        ProviderError: A refusal, or an answer that lacks a member; the message names it.
        NetworkError: The matter is not settled.
    """
    refused = policy_refusal(config, read_members(response, config) or {}, response.status)
    if refused is not None:
        raise refused
    members = judge(response, "device request", config)
    # Google says verification_url
    address = members.get("verification_uri") or members.get("verification_url")
    complete = members.get("verification_uri_complete")
    device_code, user_code = members.get("device_code"), members.get("user_code")
    seconds = lifetime(members.get("expires_in")) or config.device_lifetime
    expires_at: float | None = None
    if seconds is not None:
        expires_at = response.received_at + seconds
    elif deadline is not None:
        expires_at = deadline + _OUTLASTING
    missing = [
        name
        for name, usable in (
            (
                "device_code",
                isinstance(device_code, str) and device_code and printable(device_code),
            ),
            ("user_code", _presentable_code(user_code)),
            # over plain http, anybody on the way to another machine could show a page of their own
            ("verification_uri", secure_address(address)),
            ("expires_in", expires_at is not None),
        )
        if not usable
    ]
    if missing or expires_at is None:
        raise ProviderError(
            f"the device answer of {config.title} has no usable {' or '.join(missing)}",
            status=response.status,
        )
    return DeviceGrant(
        device_code=Secret(str(device_code)),
        user_code=str(user_code),
        verification_uri=str(address),
        verification_uri_complete=str(complete) if secure_address(complete) else None,
        expires_at=expires_at,
        interval=min(lifetime(members.get("interval")) or DEFAULT_INTERVAL, _MAX_INTERVAL),
    )


def poll_request(config: OAuthConfig, grant: DeviceGrant) -> HttpRequest:
    """A poll for the tokens of ``grant`` (RFC 8628 §3.4), in the provider's own manner.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {
        "grant_type": config.device_grant_type,
        "device_code": grant.device_code.reveal(),
    }
    if "poll" in config.repeats_scope and config.asked_scope:
        members["scope"] = config.asked_scope
    return token_request(config, members)


def judge_poll(
    config: OAuthConfig, response: HttpResponse, *, bound: bool = False
) -> OAuthTokens | PollAnswer:
    """The tokens in the answer to a poll, or the reason why they come later or never.

    With ``bound``, a proof went with it (RFC 9449).

    Raises:
        ProviderError: Another error: polling must stop (RFC 8628 §3.5).
        NetworkError: The matter is not settled; poll again later.
    """
    members = read_members(response, config) or {}
    code = error_code(members)
    kind = _POLL_CODES.get(canonical(code)) if code is not None else None
    refused = policy_refusal(config, members, response.status)
    if refused is not None:
        raise refused
    if kind is not None and response.status < 500:
        return PollAnswer(kind, lifetime(members.get("interval")))
    if response.status == 429:
        return PollAnswer(PollKind.SLOW_DOWN, _retry_after(response))
    return judge_token_response(config, response, bound=bound)


def slower(interval: float, named: float | None) -> float:
    """The interval after ``slow_down`` (RFC 8628 §3.5), seconds.

    Args:
        interval: The interval until now.
        named: The new one, where the provider names one.
    """
    return min(max(interval + STEP, named or 0.0), _MAX_INTERVAL)


class PollSchedule:
    """When the next poll may be made (RFC 8628 §3.5). Pure: the caller passes the time.

    Every poll is preceded by a full interval. ``slow_down`` adds five seconds for good, or sets
    the provider's new interval if that is more; an answer that does not come doubles the wait
    until one does.

    It reads two clocks, because either may be wrong: a monotonic clock that runs ahead, as in
    some virtual machines, would poll too early for ever, and a wall clock can be set. A poll is
    due when both have run through the interval; one that was set back costs one interval more.
    """

    def __init__(self, grant: DeviceGrant, now: float, wall: float) -> None:
        """Start waiting.

        Args:
            grant: What is polled for.
            now: Seconds on a clock that only goes forward.
            wall: POSIX seconds.
        """
        self.interval = grant.interval
        self._unanswered = 0
        self._wait(now, wall)

    def _wait(self, now: float, wall: float) -> None:
        back_off: float = min(self.interval * 2.0**self._unanswered, _MAX_BACK_OFF)
        self._pause = max(self.interval, back_off)
        self._since, self._since_wall = now, wall

    def left(self, now: float, wall: float) -> float:
        """Seconds until the next poll may be made; none or less when it is due."""
        return self._since + self._pause - now + min(self.ahead(now, wall), self._pause)

    def ahead(self, now: float, wall: float) -> float:
        """Seconds the monotonic clock has gained on the other since the last poll."""
        return max(0.0, (now - self._since) - (wall - self._since_wall))

    def pending(self, now: float, wall: float) -> None:
        """Not yet."""
        self._unanswered = 0
        self._wait(now, wall)

    def slow_down(self, now: float, wall: float, named: float | None = None) -> None:
        """Not yet, and slower from now on."""
        self._unanswered = 0
        self.interval = slower(self.interval, named)
        self._wait(now, wall)

    def unanswered(self, now: float, wall: float) -> None:
        """No answer came."""
        self._unanswered = min(self._unanswered + 1, 5)
        self._wait(now, wall)


def _retry_after(response: HttpResponse) -> float | None:
    return lifetime(response.headers.get("retry-after"))


def _presentable_code(code: Any) -> bool:
    return isinstance(code, str) and 0 < len(code) <= _USER_CODE_LENGTH and code.isprintable()
