"""Signed authorization requests (JAR, RFC 9101): what is asked for goes as one signed statement.

The browser, and whoever can reach into it, cannot change what the client asks for. The statement is
signed by the client's own key; :mod:`.request_proofs` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ..errors import ConfigMissing
from ..hints import Hint

if TYPE_CHECKING:
    from .provider import OAuthConfig

Parameters: TypeAlias = Sequence[tuple[str, str]]
"""The parameters of an authorization request."""
RequestSigner: TypeAlias = "Callable[[OAuthConfig, Parameters], str]"
"""Signs the parameters of a request: the value of ``request`` (RFC 9101 §5)."""

TYPE: Final = "oauth-authz-req+jwt"  # RFC 9101 §10.8
_STRUCTURED: Final = frozenset({"authorization_details", "claims"})
"""Parameters that are JSON inside a parameter, and plain JSON inside a statement."""


def signs_requests(config: OAuthConfig) -> bool:
    """Whether authorization requests of ``config`` are signed: where they must be, or are to be."""
    if config.request_object == "auto":
        return config.request_object_required
    return config.request_object == "required"


def claims_of_request(parameters: Parameters) -> dict[str, Any]:
    """The parameters as claims (RFC 9101 §4); of a repeated one, its values are a list."""
    values: dict[str, list[Any]] = {}
    for name, value in parameters:
        values.setdefault(name, []).append(_claim(name, value))
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}


def _claim(name: str, value: str) -> Any:
    if name == "max_age" and value.isdigit():
        return int(value)
    if name in _STRUCTURED:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def signed_url(config: OAuthConfig, request: str) -> str:
    """The authorization URL of a signed request: the client and the statement (§5.1)."""
    parts = urlsplit(config.auth_url)
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("client_id", config.client_id),
        ("request", request),
    ]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


def no_signer(config: OAuthConfig, parameters: Parameters) -> str:
    """The signer of a program that has none.

    Raises:
        ConfigMissing: Always.
    """
    del parameters
    raise ConfigMissing(
        f"{config.title} takes signed requests only (RFC 9101), and nothing here can sign them",
        hint=Hint("provider edit", config.service_name, "--client-key", "FILE"),
    )
