"""Pushed authorization requests (RFC 9126): the request goes to the server, the browser gets a name.

Nobody on the way through the browser can read or change what is asked for, and the server knows the
client before it shows a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import ConfigMissing, ProviderError, TransportUnavailable
from ..hints import Hint
from ..reasons import Reason
from ..record import PushedRequest
from ..secret import Secret
from .client_authentication import client_request
from .provider_response import judge
from .tokens import lifetime, printable

if TYPE_CHECKING:
    from ..ports import HttpRequest, HttpResponse
    from .provider import OAuthConfig

_LIFETIME: Final = 60.0  # seconds; for servers that leave out expires_in, which is required
_LONGEST: Final = 512  # characters of a request_uri
_MARGIN: Final = 5.0  # seconds that a browser needs to get there


def pushes(config: OAuthConfig) -> bool:
    """Whether the authorization request of ``config`` is pushed: where it must be, or is to be."""
    return config.par == "required" or (config.par == "auto" and config.par_required)


def require_pushable(config: OAuthConfig) -> None:
    """Make sure that the request can reach the server in the way it must.

    Raises:
        TransportUnavailable: The server takes pushed requests only, and this setting forbids them.
        ConfigMissing: The request is to be pushed, and no endpoint is known.
    """
    name = config.service_name
    if config.par_required and config.par == "off":
        raise TransportUnavailable(
            f"{config.title} takes pushed authorization requests only (RFC 9126)",
            hint=Hint("provider edit", name, "--par", "auto"),
        )
    if pushes(config) and not config.par_url:
        raise ConfigMissing(
            f"the endpoint of {config.title} for pushed authorization requests is not known",
            hint=Hint("provider edit", name, "--par-url", "https://…"),
        )


def push_request(config: OAuthConfig, parameters: Sequence[tuple[str, str]]) -> HttpRequest:
    """The request of ``parameters`` that is pushed (RFC 9126 §2.1), authenticated as the client.

    Raises:
        ConfigMissing: The endpoint, the client id, or what the client's method needs, is absent.
    """
    require_pushable(config)
    # a form, whatever the token endpoint wants; the client id is one of the request's parameters
    plain = replace(config, token_request_format="form", client_id_in_body=True)  # noqa: S106  a format
    members = [pair for pair in parameters if pair[0] != "client_id"]
    return client_request(plain, config.par_url or "", (), members)


def judge_push(config: OAuthConfig, response: HttpResponse) -> PushedRequest:
    """The name that the server gave the request (RFC 9126 §2.2).

    Raises:
        ProviderError: It refused the request, or its answer has no usable name.
        NetworkError: The matter is not settled.
    """
    try:
        members = judge(response, "pushed authorization request", config)
        name = members.get("request_uri")
        fine = isinstance(name, str) and 0 < len(name) <= _LONGEST and printable(name)
        if not fine or not isinstance(name, str) or " " in name:
            raise ProviderError(
                f"the answer of {config.title} to the pushed request has no usable request_uri",
                status=response.status,
            )
    except ProviderError as error:
        error.reason = Reason.PUSH_REFUSED.value
        raise
    lasts = lifetime(members.get("expires_in")) or _LIFETIME
    return PushedRequest(request_uri=Secret(name), expires_at=response.received_at + lasts)


def is_spent(pushed: PushedRequest, now: float) -> bool:
    """Whether a browser that opens the address of ``pushed`` now may come too late."""
    return now >= pushed.expires_at - _MARGIN


def pushed_url(config: OAuthConfig, pushed: PushedRequest) -> str:
    """The authorization URL of a pushed request: the client and the name, nothing else (§4)."""
    parts = urlsplit(config.auth_url)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("client_id", config.client_id),
        ("request_uri", pushed.request_uri.reveal()),
    ]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))
