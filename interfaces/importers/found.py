"""Tokens as an importer found them, and how loosely written members become tokens."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from ...engine.errors import ConfigInvalid, ProviderError
from ...engine.hints import Hint
from ...engine.oauth.tokens import OAuthTokens, lifetime

FORMATS: Final = Hint.note(
    "import a hosts.yml of gh, credentials of gcloud, a cache of MSAL, or a token response as JSON"
)
_PLACEHOLDER: Final = "none-yet"
"""Stands for the access token where there is only a refresh token. It has expired: it is never used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One user's tokens.

    Attributes:
        user: Who, as the other program calls them; empty if it does not say.
        tokens: What was found.
        host: The server they are of; ``None`` if the other program does not say.
        client_id: The client they were issued to; ``None`` for the one of this program.
        client_secret: Its secret.
        undated: Whether there is a lifetime, and not the time that it counts from.
    """

    user: str
    tokens: OAuthTokens
    host: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    undated: bool = False


def tokens_from(members: Mapping[str, Any]) -> OAuthTokens:
    """The tokens of a token response that was kept for a while.

    The time is known from ``expires_at`` (POSIX seconds, or ISO 8601), else from ``issued_at`` with
    ``expires_in``. ``expires_in`` alone does not say since when: a token that can be renewed is then
    renewed at its first use, and the lifetime of any other one is unknown.

    Raises:
        ConfigInvalid: There is neither an access token nor a refresh token in it, or none that
            could be one.
    """
    plain = {name: members[name] for name in _KEPT if members.get(name) is not None}
    renewable = bool(plain.get("refresh_token"))
    if renewable and not plain.get("access_token"):
        plain["access_token"] = _PLACEHOLDER
    try:
        tokens = OAuthTokens.from_response(plain)
    except ProviderError:
        raise ConfigInvalid("there is no token in what is to be imported", hint=FORMATS) from None
    if renewable and tokens.refresh_token is None:
        raise ConfigInvalid("the refresh token has characters that no token may have", hint=FORMATS)
    issued_at = moment(members.get("issued_at"))
    expires_at = moment(members.get("expires_at"))
    if expires_at is None and issued_at is not None and tokens.expires_in is not None:
        expires_at = issued_at + tokens.expires_in
    if plain["access_token"] == _PLACEHOLDER or (expires_at is None and renewable):
        expires_at = 1.0
    return _ending(tokens, expires_at)


def undated(members: Mapping[str, Any]) -> bool:
    """Whether ``members`` have a lifetime for their access token, and not since when."""
    dated = moment(members.get("expires_at")) or moment(members.get("issued_at"))
    lives = bool(members.get("access_token")) and members.get("expires_in") is not None
    return lives and dated is None


_KEPT: Final = ("access_token", "token_type", "refresh_token", "scope", "expires_in")


def _ending(tokens: OAuthTokens, expires_at: float | None) -> OAuthTokens:
    """``tokens``, ending at ``expires_at``, which may be long ago."""
    now = time.time()
    if expires_at is None:
        return replace(tokens, expires_in=None)
    if expires_at <= now:
        return replace(tokens, issued_at=expires_at - 1.0, expires_in=1.0)
    return replace(tokens, issued_at=now, expires_in=lifetime(expires_at - now))


def moment(value: object) -> float | None:
    """POSIX seconds from a number, its text, or ISO 8601 (UTC, where no zone is written)."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        try:
            return moment(datetime.fromisoformat(str(value)))
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def host_of(address: str | None) -> str | None:
    """The host that ``address`` names, in lower case."""
    try:
        return urlsplit(address or "").hostname
    except ValueError:
        return None


def text(members: Mapping[str, Any], name: str) -> str | None:
    """The member ``name``, if it is a text that can be shown and is not empty."""
    value = members.get(name)
    return value if isinstance(value, str) and value and value.isprintable() else None
