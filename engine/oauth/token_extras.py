"""What else an answer of the token endpoint says: when refresh tokens end, where the API is, other tokens.

None of it has a place in RFC 6749. Which members have it, the provider's settings say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..errors import ProviderError
from ..lifetime import LONGEST
from .addresses import secure_address
from .tokens import OAuthTokens

if TYPE_CHECKING:
    from .provider import OAuthConfig

CALLBACK: Final = "callback"
"""The member of :attr:`.tokens.OAuthTokens.extra` that has what came with the callback."""

_SINCE: Final = "further_since"
"""The member of ``extra`` that says when further tokens came, which a refresh has left as they were."""


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


def with_further_since(
    config: OAuthConfig, tokens: OAuthTokens, answer: OAuthTokens, previous: OAuthTokens | None
) -> OAuthTokens:
    """``tokens``, with the time of the further tokens that ``answer`` did not bring.

    A refresh leaves them as they were, and they end as if nothing had been refreshed.
    """
    if previous is None or not config.token_lists:
        return tokens
    before = _since(previous)
    since = {
        name: before.get(name, previous.issued_at)
        for name in config.token_lists
        if name in tokens.extra and name not in answer.extra
    }
    kept = {name: value for name, value in tokens.extra.items() if name != _SINCE}
    return replace(tokens, extra={**kept, **({_SINCE: since} if since else {})})


def further_tokens(config: OAuthConfig, tokens: OAuthTokens) -> Sequence[FurtherToken]:
    """The further tokens that came with ``tokens``, without the tokens themselves."""
    return [
        FurtherToken(
            resource=resource,
            scopes=one.scopes,
            expires_at=one.expires_at,
            refreshable=one.refresh_token is not None,
        )
        for resource, one in _further(config, tokens)
    ]


def tokens_for(config: OAuthConfig, tokens: OAuthTokens, resource: str) -> OAuthTokens | None:
    """What came for ``resource``: ``tokens`` themselves, or a further token; ``None`` if nothing did."""
    member = config.token_resource_member
    if member and tokens.extra.get(member) == resource:
        return tokens
    return next((one for name, one in _further(config, tokens) if name == resource), None)


def _further(config: OAuthConfig, tokens: OAuthTokens) -> Iterator[tuple[str, OAuthTokens]]:
    """The further tokens that can be used, each with the name of its resource."""
    since = _since(tokens)
    for name in config.token_lists:
        listed = tokens.extra.get(name)
        for one in cast("list[object]", listed) if isinstance(listed, list | tuple) else []:
            if not isinstance(one, Mapping):
                continue
            members = cast("Mapping[str, Any]", one)
            resource = members.get(config.token_resource_member)
            with suppress(ProviderError):  # it has no token, or one that could end a header
                made = OAuthTokens.from_response(
                    members, received_at=since.get(name, tokens.issued_at)
                )
                if isinstance(resource, str):
                    yield resource, made


def _since(tokens: OAuthTokens) -> Mapping[str, float]:
    """When the further tokens came, by the member that has them, if a refresh came after it."""
    kept = tokens.extra.get(_SINCE)
    found: Mapping[str, Any] = cast("Any", kept) if isinstance(kept, Mapping) else {}
    return {name: since for name, since in found.items() if isinstance(since, int | float)}
