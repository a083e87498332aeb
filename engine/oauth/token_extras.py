"""What else an answer of the token endpoint says: when refresh tokens end, where the API is, other tokens.

None of it has a place in RFC 6749. Which members have it, the provider's settings say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..lifetime import LONGEST
from .addresses import secure_address
from .tokens import OAuthTokens, lifetime

if TYPE_CHECKING:
    from .provider import OAuthConfig

CALLBACK: Final = "callback"
"""The member of :attr:`.tokens.OAuthTokens.extra` that has what came with the callback."""


def with_refresh_end(
    config: OAuthConfig, tokens: OAuthTokens, previous: OAuthTokens | None
) -> OAuthTokens:
    """``tokens`` with the end of their refresh token, as far as it is known.

    What the answer says comes first. Else the provider's settings have a lifetime, which each refresh
    may begin anew, or not; and a refresh token that stayed what it was ends when it did.
    """
    if not tokens.refresh_token or tokens.refresh_expires_at is not None:
        return tokens
    known = config.refresh_lifetime
    anew = None if known is None else tokens.issued_at + min(known, LONGEST)
    if previous is None or (known is not None and config.refresh_lifetime_slides):
        return replace(tokens, refresh_expires_at=anew)
    same = tokens.refresh_token == previous.refresh_token
    fixed = known is not None and not config.refresh_lifetime_slides
    end = previous.refresh_expires_at if same or fixed else None
    return replace(tokens, refresh_expires_at=end)


def with_callback_extras(tokens: OAuthTokens, extras: Mapping[str, str]) -> OAuthTokens:
    """``tokens`` with what came with the callback beside the code; a refresh leaves it there."""
    if not extras:
        return tokens
    return replace(tokens, extra={**tokens.extra, CALLBACK: dict(extras)})


def callback_extras(tokens: OAuthTokens) -> Mapping[str, str]:
    """What came with the callback beside the code."""
    kept = tokens.extra.get(CALLBACK)
    return cast("Mapping[str, str]", kept) if isinstance(kept, Mapping) else {}


def api_url(config: OAuthConfig, tokens: OAuthTokens) -> str | None:
    """Where the API is that ``tokens`` are for, as the answer says; only an ``https`` address counts."""
    value = tokens.extra.get(config.api_url_member) if config.api_url_member else None
    return value if isinstance(value, str) and secure_address(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherToken:
    """A further token of an answer, for another resource. Its tokens are in the login's ``extra``.

    Attributes:
        resource: What it is for, as the provider names it.
        scopes: What was granted.
        expires_at: When it ends, POSIX seconds, if known.
        refreshable: Whether it has a refresh token of its own.
    """

    resource: str
    scopes: tuple[str, ...]
    expires_at: float | None
    refreshable: bool


def further_tokens(config: OAuthConfig, tokens: OAuthTokens) -> Sequence[FurtherToken]:
    """The further tokens that came with ``tokens``, without the tokens themselves."""
    found: list[FurtherToken] = []
    for name in config.token_lists:
        listed = tokens.extra.get(name)
        for one in cast("list[object]", listed) if isinstance(listed, list | tuple) else []:
            if isinstance(one, Mapping):
                members = cast("Mapping[str, Any]", one)
                found += _further(config, members, tokens.issued_at)
    return found


def _further(
    config: OAuthConfig, members: Mapping[str, Any], issued_at: float
) -> list[FurtherToken]:
    resource, scope = members.get(config.token_resource_member), members.get("scope")
    if not isinstance(resource, str) or not isinstance(members.get("access_token"), str):
        return []
    lasts = lifetime(members.get("expires_in"))
    return [
        FurtherToken(
            resource=resource,
            scopes=tuple(scope.split()) if isinstance(scope, str) else (),
            expires_at=None if lasts is None else issued_at + lasts,
            refreshable=isinstance(members.get("refresh_token"), str),
        )
    ]
