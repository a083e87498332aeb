"""Token revocation (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .answer import judge
from .client_authentication import client_request

if TYPE_CHECKING:
    from .ports import HttpRequest, HttpResponse
    from .provider import OAuthConfig


def revocation_request(config: OAuthConfig, token: str, token_type_hint: str) -> HttpRequest | None:
    """The request that ends ``token`` (RFC 7009 §2.1); ``None`` without a revocation endpoint.

    Args:
        config: The provider and client.
        token: The token.
        token_type_hint: ``refresh_token`` or ``access_token``.

    Raises:
        ConfigMissing: The client id or client secret is absent.
    """
    if not config.revocation_url:
        return None
    members = {"token": token, "token_type_hint": token_type_hint}
    return client_request(config, config.revocation_url, members)


def judge_revocation(response: HttpResponse) -> None:
    """Make sure ``response`` confirms a revocation: any 2xx does, whatever its body.

    Raises:
        ProviderError: The provider refused.
        NetworkError: It may or may not have happened (503: RFC 7009 §2.2.1).
    """
    if not 200 <= response.status < 300:
        judge(response, "revocation")
