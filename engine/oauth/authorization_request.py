"""The authorization request: the address a user opens (RFC 6749 §4.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import ConfigInvalid, ConfigMissing, IllegalTransition, TransportUnavailable
from ..hints import Hint
from .addresses import secure_address

if TYPE_CHECKING:
    from ..record import Challenge
    from .provider import OAuthConfig


def require_client(config: OAuthConfig) -> None:
    """Make sure there is a client id.

    Raises:
        ConfigMissing: The configuration has none.
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


def require_browser_login(config: OAuthConfig) -> None:
    """Make sure that a browser can be sent to this provider with a request of ours.

    Raises:
        TransportUnavailable: It has no authorization endpoint, or takes pushed requests only.
        ConfigInvalid: The endpoint is no ``https`` address.
    """
    other = Hint("login", config.service_name, "--via", "device")
    if not config.auth_url:
        raise TransportUnavailable(
            f"{config.title} has no authorization endpoint",
            hint=other
            if config.device_url
            else Hint("provider edit", config.service_name, "--auth-url", "https://…"),
        )
    _require_secure(config)
    if config.par_required and not config.par_url:
        raise TransportUnavailable(
            f"{config.title} takes pushed authorization requests only (RFC 9126),"
            " and its endpoint for them is not known",
            hint=other if config.device_url else Hint("help providers"),
        )


def authorization_url(
    config: OAuthConfig, challenge: Challenge, redirect_uri: str, *, dpop_jkt: str | None = None
) -> str:
    """The authorization URL of a login.

    Args:
        config: The provider and client.
        challenge: The login's one-time values; ``state`` must not have been spent.
        redirect_uri: Where the answer is to come back to.
        dpop_jkt: The thumbprint of the key that the code is to be bound to (RFC 9449 §10).

    Raises:
        ConfigMissing: No client id, or no authorization endpoint.
        ConfigInvalid: The endpoint is no ``https`` address.
        IllegalTransition: The answer to this challenge has already come.
    """
    require_client(config)
    if not config.auth_url:
        raise ConfigMissing(
            f"{config.title} has no authorization endpoint",
            hint=Hint("login", config.service_name, "--via", "device"),
        )
    _require_secure(config)
    parts = urlsplit(config.auth_url)
    registered = parse_qsl(parts.query, keep_blank_values=True)  # none is ours: OAuthProvider looks
    asked = authorization_parameters(config, challenge, redirect_uri, dpop_jkt=dpop_jkt)
    query = [*registered, *asked]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def authorization_parameters(
    config: OAuthConfig, challenge: Challenge, redirect_uri: str, *, dpop_jkt: str | None = None
) -> list[tuple[str, str]]:
    """What an authorization request asks, whichever way it goes (RFC 6749 §4.1.1).

    A resource is a parameter of its own each (RFC 8707 §2). An empty ``redirect_uri`` is not sent: the
    provider's page then shows the code.

    Raises:
        IllegalTransition: The answer to this challenge has already come.
    """
    if challenge.state is None:
        raise IllegalTransition("this login has had its answer", hint=Hint("list"))
    parameters = {
        "response_type": "code",
        "client_id": config.client_id,
        **({"redirect_uri": redirect_uri} if redirect_uri else {}),
        "state": challenge.state.reveal(),
    }
    if config.pkce != "off":
        from .pkce import PKCEChallenge  # noqa: PLC0415  for who begins a login

        pkce = PKCEChallenge.from_verifier(challenge.verifier.reveal())
        parameters |= {
            "code_challenge": pkce.code_challenge,
            "code_challenge_method": "S256",
        }
    if config.asked_scope:
        parameters[config.scope_parameter] = config.asked_scope
    if "openid" in config.scopes:
        parameters["nonce"] = challenge.nonce.reveal()
    if dpop_jkt is not None:  # beside a pushed request instead of a proof (RFC 9449 §10.1)
        parameters["dpop_jkt"] = dpop_jkt
    if config.response_mode != "auto" and "response_mode" not in config.extra_auth_params:
        parameters["response_mode"] = config.response_mode
    return [*parameters.items(), *asked_for(config), *config.extra_auth_params.items()]


def asked_for(config: OAuthConfig) -> list[tuple[str, str]]:
    """What an authorization request and a device request ask for besides scopes."""
    asked: list[tuple[str, str]] = []
    if config.audience:
        asked.append(("audience", config.audience))
    if config.authorization_details:
        asked.append(("authorization_details", config.authorization_details))
    return [*asked, *targets(config)]


def targets(config: OAuthConfig) -> list[tuple[str, str]]:
    """The resources that tokens are asked for (RFC 8707 §2): one parameter each."""
    return [("resource", resource) for resource in config.resources]


def _require_secure(config: OAuthConfig) -> None:
    if not secure_address(config.auth_url):  # it is handed to a browser, and to the shell's opener
        raise ConfigInvalid(
            f"the authorization endpoint of {config.title} is not an https address",
            hint=Hint("provider edit", config.service_name, "--auth-url", "https://…"),
        )
