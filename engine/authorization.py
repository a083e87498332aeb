"""The authorization request: the address a user opens (RFC 6749 §4.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from .errors import ConfigInvalid, ConfigMissing, IllegalTransition
from .pkce import PKCEChallenge

if TYPE_CHECKING:
    from .provider import OAuthConfig
    from .record import Challenge

OURS: Final = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    }
)
"""Parameters no configuration may set: the checks of the callback rest on them."""


def require_client(config: OAuthConfig) -> None:
    """Make sure there is a client id.

    Raises:
        ConfigMissing: There is none.
    """
    if not config.client_id:
        variable = client_variable(config.service_name)
        raise ConfigMissing(
            f"no client id is configured for {config.title}", hint=f"export {variable}=…"
        )


def client_variable(service_name: str, suffix: str = "CLIENT_ID") -> str:
    """The environment variable a provider's client id, or secret, is read from."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in service_name.upper())
    return f"{name}_{suffix}"


def authorization_url(config: OAuthConfig, challenge: Challenge, redirect_uri: str) -> str:
    """The authorization URL of a login.

    Args:
        config: The provider and client.
        challenge: The login's one-time values; ``state`` must not have been spent.
        redirect_uri: Where the answer is to come back to.

    Raises:
        ConfigMissing: No client id, or no authorization endpoint.
        ConfigInvalid: ``extra_auth_params`` tries to set one of our own parameters.
        IllegalTransition: The answer to this challenge has already come.
    """
    require_client(config)
    if not config.auth_url:
        raise ConfigMissing(
            f"{config.title} has no authorization endpoint", hint="choose with --via device"
        )
    if challenge.state is None:
        raise IllegalTransition("this login has had its answer", hint="holdfast list")
    parameters = {
        "response_type": "code",
        "client_id": config.client_id,
        "redirect_uri": redirect_uri,
        "state": challenge.state.reveal(),
        "code_challenge": PKCEChallenge.from_verifier(challenge.verifier.reveal()).code_challenge,
        "code_challenge_method": "S256",
    }
    if config.scopes:
        parameters["scope"] = config.scope_separator.join(config.scopes)
    if "openid" in config.scopes:
        parameters["nonce"] = challenge.nonce.reveal()
    if config.audience:
        parameters["audience"] = config.audience
    for name, value in config.extra_auth_params.items():
        if name in OURS:
            raise ConfigInvalid(
                f"extra_auth_params of {config.title} must not set {name!r}",
                hint=f"holdfast provider edit {config.service_name}",
            )
        parameters[name] = value
    parts = urlsplit(config.auth_url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), *parameters.items()]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))
