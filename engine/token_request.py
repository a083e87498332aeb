"""Requests to the token endpoint (RFC 6749 §4.1.3, §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .client_authentication import client_request
from .errors import ConfigMissing

if TYPE_CHECKING:
    from .callback import ValidatedCallback
    from .ports import HttpRequest
    from .provider import OAuthConfig
    from .secret import Secret


def token_endpoint(config: OAuthConfig) -> str:
    """The token endpoint.

    Raises:
        ConfigMissing: It is not known.
    """
    if not config.token_url:
        raise ConfigMissing(
            f"the token endpoint of {config.title} is not known",
            hint=f"stayfast provider edit {config.service_name}",
        )
    return config.token_url


def code_request(
    config: OAuthConfig, callback: ValidatedCallback, *, verifier: Secret, redirect_uri: str | None
) -> HttpRequest:
    """The exchange of an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).

    Args:
        config: The provider and client.
        callback: What the validator returned; nothing else holds a code.
        verifier: The code verifier of the login.
        redirect_uri: The redirect address of its authorization request.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {
        "grant_type": "authorization_code",
        "code": callback.code.reveal(),
        "code_verifier": verifier.reveal(),
    }
    if redirect_uri is not None:
        members["redirect_uri"] = redirect_uri
    return client_request(config, token_endpoint(config), members)


def refresh_request(config: OAuthConfig, refresh_token: str) -> HttpRequest:
    """The use of a refresh token (RFC 6749 §6); the scope is left as it was granted.

    Raises:
        ConfigMissing: The token endpoint, client id or client secret is absent.
    """
    members = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return client_request(config, token_endpoint(config), members)
