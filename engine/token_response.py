"""Answers of the token endpoint (RFC 6749 §5.1, §5.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .answer import error_code, judge, server_date
from .errors import ProviderError
from .tokens import OAuthTokens

if TYPE_CHECKING:
    from .ports import HttpResponse
    from .provider import OAuthConfig


def judge_token_response(
    config: OAuthConfig, response: HttpResponse, *, previous: OAuthTokens | None = None
) -> OAuthTokens:
    """The tokens in ``response``.

    Args:
        config: The provider, which says where in the answer they are.
        response: The answer of the token endpoint.
        previous: The tokens that are being refreshed. A refresh token, an ID token or a scope
            that the answer leaves out, or leaves empty, stays what it was (RFC 6749 §6).

    Raises:
        ProviderError: A definite no, or a readable answer that holds no tokens.
        NetworkError: The matter is not settled; what was sent is untouched.
    """
    members = judge(response, "token request")
    found: dict[str, Any] = members
    for name in config.token_response_path:
        inner = found.get(name)
        if not isinstance(inner, dict):
            break
        found = cast("dict[str, Any]", inner)
    if previous is not None and "access_token" not in found:
        found = members  # Slack nests a user's token at first, and not when it is refreshed
    if found is not members:
        code = error_code(found)
        if code is not None:
            raise ProviderError(
                f"the provider refused the token request: {code}",
                oauth_error=code,
                status=response.status,
            )
        found = {**{k: v for k, v in members.items() if k not in _TOKEN_MEMBERS}, **found}
    try:
        tokens = OAuthTokens.from_response(
            found, received_at=response.received_at, server_date=server_date(response)
        )
    except ProviderError as error:
        error.status = response.status
        raise
    if previous is None:
        return tokens
    return replace(
        tokens,
        refresh_token=tokens.refresh_token or previous.refresh_token,
        id_token=tokens.id_token or previous.id_token,
        scope=tokens.scope if tokens.scope is not None else previous.scope,
        extra={**previous.extra, **tokens.extra},
    )


_TOKEN_MEMBERS = frozenset(
    {"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"}
)
