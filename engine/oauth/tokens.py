"""The tokens of a login, as the public API shows them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, cast

from ..errors import ProviderError
from ..lifetime import LONGEST, USUAL_BUFFER, end_of

DEFAULT_BUFFER: Final = USUAL_BUFFER
"""Seconds before its expiry at which a token counts as expired."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OAuthTokens:
    """A token response, with the time it was received.

    Attributes:
        access_token: The token itself. ``repr`` does not show it.
        token_type: As the provider spelt it; compared without regard to case (RFC 6749 §5.1).
        expires_in: Lifetime in seconds from ``issued_at``; ``None`` when the provider did not say,
            which means unknown, not for ever.
        refresh_token: For RFC 6749 §6, if one was issued.
        scope: What was granted, space-separated; ``None`` when the provider did not say.
        issued_at: When the response was received, POSIX seconds on this machine's clock.
        id_token: The OpenID Connect ID token, if one was issued.
        server_date: The provider's own clock (HTTP ``Date``) at that moment, if it said.
        refresh_expires_at: When the refresh token ends, POSIX seconds on this machine's clock, if the
            provider says so; no RFC has a member for it.
        extra: The other members of the response, such as a workspace or an instance URL.
    """

    access_token: str
    token_type: str = "Bearer"
    expires_in: float | None = None
    refresh_token: str | None = None
    scope: str | None = None
    issued_at: float = field(default_factory=lambda: time.time())  # noqa: PLW0108  a test may replace time.time
    id_token: str | None = None
    server_date: float | None = None
    refresh_expires_at: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def expires_at(self) -> float | None:
        """When the access token expires, POSIX seconds on this machine's clock, if known."""
        return None if self.expires_in is None else end_of(self.issued_at, self.expires_in)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What was granted, one scope each."""
        return tuple((self.scope or "").split())

    def is_expired(
        self, buffer_seconds: float = DEFAULT_BUFFER, *, now: float | None = None
    ) -> bool:
        """Whether the access token expires within ``buffer_seconds``.

        A token of unknown lifetime is not called expired: only its use shows that.

        Args:
            buffer_seconds: How long before its end a token already counts as expired.
            now: POSIX seconds; the system clock unless given.
        """
        end = self.expires_at
        return end is not None and (time.time() if now is None else now) >= end - buffer_seconds

    def to_dict(self) -> dict[str, Any]:
        """Every field by name, secrets included, ``None`` and empty ones left out."""
        named = {f.name: getattr(self, f.name) for f in fields(self)}
        named["extra"] = dict(self.extra)
        return {name: value for name, value in named.items() if value not in (None, {})}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OAuthTokens:
        """The tokens that :meth:`to_dict` wrote; members it does not know are ignored."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in data.items() if name in known})

    @classmethod
    def from_response(
        cls,
        response: Mapping[str, Any],
        *,
        received_at: float | None = None,
        server_date: float | None = None,
    ) -> OAuthTokens:
        """The tokens of a successful token response (RFC 6749 §5.1).

        A further member that a record has no place for (nested more than four deep, an integer of
        more than 64 bits) is left out: tokens are not lost over it.

        Args:
            response: The members of the response.
            received_at: POSIX seconds; the system clock unless given.
            server_date: The provider's own clock (HTTP ``Date``), if it said.

        Raises:
            ProviderError: There is no ``access_token`` in it, or it has characters that no token
                may have (RFC 6749 appendix A.12): it could end a header or a line.
        """
        access_token = response.get("access_token")
        if not isinstance(access_token, str) or not access_token:
            msg = "the token response holds no access token"
            raise ProviderError(msg, reason="token_missing")
        if not printable(access_token):
            msg = "the access token in the response has characters that no token may have"
            raise ProviderError(msg, reason="token_malformed")
        refresh_token = _token(response.get("refresh_token"))
        arrived = time.time() if received_at is None else received_at
        ends = [lifetime(response.get(name)) for name in _REFRESH_LIFETIMES]
        lasts = next((end for end in ends if end is not None), None) if refresh_token else None
        members = {
            name: value
            for name, value in response.items()
            if name not in _STANDARD and _keepable(value, _EXTRA_DEPTH)
        }
        return cls(
            access_token=access_token,
            token_type=_text(response.get("token_type")) or "Bearer",
            expires_in=lifetime(response.get("expires_in")),
            refresh_token=refresh_token,
            refresh_expires_at=None if lasts is None else arrived + lasts,
            scope=_scope(response.get("scope")),
            issued_at=arrived,
            id_token=_token(response.get("id_token")),
            server_date=server_date,
            extra=members,
        )

    def __repr__(self) -> str:
        return (
            f"OAuthTokens(token_type={self.token_type!r}, expires_at={self.expires_at!r}, "
            f"scope={self.scope!r}, refreshable={self.refresh_token is not None})"
        )


def printable(token: str) -> bool:
    """Whether ``token`` is made of ``VSCHAR`` only (RFC 6749 appendix A): printable ASCII."""
    return token.isascii() and token.isprintable()


_STANDARD: Final = frozenset(
    {"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"}
)


_REFRESH_LIFETIMES: Final = ("refresh_expires_in", "refresh_token_expires_in")
"""Seconds that a refresh token lives: Keycloak and Airtable say the first, LinkedIn and Google the other."""
_EXTRA_DEPTH: Final = 4
_INTEGERS: Final = range(-(1 << 64), 1 << 64)


def _keepable(value: object, depth: int) -> bool:
    """Whether a record can hold ``value``: JSON, within the limits of :mod:`.cbor`."""
    if isinstance(value, dict):
        value = list(cast("dict[str, object]", value).values())
    if isinstance(value, list):
        items = cast("list[object]", value)
        return depth > 0 and all(_keepable(item, depth - 1) for item in items)
    if isinstance(value, float):  # an integer of more than 308 digits was read as infinity
        return math.isfinite(value)
    return not isinstance(value, int) or value in _INTEGERS


def _text(value: object) -> str | None:
    """``value`` if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def _token(value: object) -> str | None:
    """``value`` if it can be a token; one that cannot is of no use to anybody (appendix A.17)."""
    text = _text(value)
    return text if text is not None and printable(text) else None


def lifetime(value: object) -> float | None:
    """Seconds from ``value``: a number, or a string that is one; ``None`` if it is unknown.

    Zero and negative lifetimes are unknown too: servers send them for tokens that plainly work.
    A lifetime that means never becomes :data:`LONGEST`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST) if 0 < seconds < float("inf") else None


def _scope(value: object) -> str | None:
    """Granted scopes, space-separated; some providers join with commas or send an array."""
    if isinstance(value, list):
        parts = [part for part in cast("list[object]", value) if isinstance(part, str)]
        return " ".join(parts)
    return " ".join(value.replace(",", " ").split()) if isinstance(value, str) else None
