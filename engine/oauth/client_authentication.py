"""How the client proves itself to the provider (RFC 6749 §2.3, OpenID Connect Core §9, RFC 8705).

A request says here what it needs. What has to be signed is signed when it is sent
(:mod:`.request_proofs`).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from ..errors import ConfigMissing
from ..hints import Hint
from ..ports import HttpRequest
from .authorization_request import require_client
from .dialect import in_their_names

if TYPE_CHECKING:
    from .provider import OAuthConfig, OAuthProvider
    from .setting_types import ClientAuthentication

_AUTOMATIC: Final[Mapping[str, ClientAuthentication]] = {
    "auto": "client_secret_basic",
    "auto_post": "client_secret_post",
    "auto_jwt": "client_secret_jwt",
}
ASSERTING: Final = frozenset({"client_secret_jwt", "private_key_jwt"})
"""The methods by which the client signs (RFC 7523 §2.2)."""
BY_CERTIFICATE: Final = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})
"""The methods of RFC 8705 §2."""
_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})


def authentication_method(config: OAuthConfig) -> str:
    """How the client of ``config`` proves itself; never an automatic choice."""
    method: str = config.token_endpoint_auth_method
    if method in _AUTOMATIC:
        if config.client_certificate_file:
            method = "tls_client_auth"
        elif config.client_key or config.client_key_file:
            method = "private_key_jwt"
        elif config.client_secret:
            method = _AUTOMATIC[method]
        else:
            method = "client_secret_basic" if config.empty_secret else "none"
    return "none" if config.secret_for == "none" and method in _BY_SECRET else method


def fitting_method(
    offered: Sequence[str] | None, provider: OAuthProvider
) -> ClientAuthentication | None:
    """The method to set for a server that takes the ``offered`` ones; ``None`` if ``auto`` will do.

    What the client has comes first; then what a client with a secret, or with nothing, can use.

    Raises:
        LookupError: The server takes none that is known here.
    """
    if not offered:
        return None
    has_key = bool(provider.client_key_file or getattr(provider, "client_key", None))
    for method, has in (
        ("tls_client_auth", bool(provider.client_certificate_file)),
        ("self_signed_tls_client_auth", bool(provider.client_certificate_file)),
        ("private_key_jwt", has_key),
    ):
        if has and method in offered:
            return method  # type: ignore[return-value]  # one of the literals above
    order: tuple[tuple[str, ClientAuthentication | None], ...] = (
        ("client_secret_basic", None),
        ("client_secret_post", "auto_post"),
        ("client_secret_jwt", "auto_jwt"),
        ("none", "none"),
        ("private_key_jwt", "private_key_jwt"),
        ("tls_client_auth", "tls_client_auth"),
        ("self_signed_tls_client_auth", "self_signed_tls_client_auth"),
    )
    for method, setting in order:
        if method in offered:
            return setting
    raise LookupError


def require_authentication(config: OAuthConfig) -> None:
    """Make sure that the client has what its method needs, before its user is asked for anything.

    Raises:
        ConfigMissing: A secret, a key or a certificate is absent.
    """
    method = authentication_method(config)
    what, option = "", ""
    empty = config.empty_secret and method == "client_secret_basic"
    if method in _BY_SECRET and not config.client_secret and not empty:
        what, option = "client secret", "--client-secret-file"
    elif method == "private_key_jwt" and not (config.client_key or config.client_key_file):
        what, option = "client key", "--client-key"
    elif method in BY_CERTIFICATE and not config.client_certificate_file:
        what, option = "client certificate", "--client-cert"
    if what:
        raise ConfigMissing(
            f"{config.title} wants a {what} and none is configured",
            hint=Hint("provider edit", config.service_name, option, "FILE"),
        )


def require_secret(config: OAuthConfig) -> None:
    """Make sure that there is a client secret, for a request that is made with nothing else.

    Raises:
        ConfigMissing: There is none.
    """
    if not config.client_secret:
        raise ConfigMissing(
            f"{config.title} wants a client secret for this and none is configured",
            hint=Hint("provider edit", config.service_name, "--client-secret-file", "FILE"),
        )


def require_client_of(config: OAuthConfig, transport: str | None = None) -> None:
    """Make sure that a login by ``transport``, or by any if none is named, has a client that can do it.

    Raises:
        ConfigMissing: There is no client id, or nothing that the client can prove itself with.
    """
    if transport == "device":
        config = config.of_device_flow()
    elif transport is None and config.device_url and not can_use_browser(config):
        device = config.of_device_flow()
        config = device if _can_prove_itself(device) else config
    require_client(config)
    require_authentication(config)


def can_use_browser(config: OAuthConfig) -> bool:
    """Whether a login by browser has somewhere to go, and a client that can finish it.

    Where a provider wants the secret with the code alone, and there is none, the device flow is the way
    that is known to end well. Whoever asks for the browser gets it: providers change their minds.
    """
    other = bool(config.client_id_for_device) and not config.client_id
    unproven = config.secret_for == "code" and authentication_method(config) == "none"
    if other or (unproven and config.device_url):
        return False
    return bool(config.auth_url) and _can_prove_itself(config)


def _can_prove_itself(config: OAuthConfig) -> bool:
    """Whether the client has what its method needs."""
    try:
        require_authentication(config)
    except ConfigMissing:
        return False
    return True


def client_request(
    config: OAuthConfig,
    url: str,
    members: Iterable[tuple[str, str]],
    added: Iterable[tuple[str, str]] = (),
) -> HttpRequest:
    """A POST to ``url``, authenticated as the client of ``config``.

    A name may stand there several times (RFC 8707 §2); in JSON its values are then a list.

    Args:
        config: The provider and client.
        url: Where it goes.
        members: Its parameters by the names of the RFCs; the provider's own names are put in their
            places here (:mod:`.dialect`).
        added: Further parameters, sent by the names they have.

    With ``client_secret_basic`` the ``client_id`` stands in the header alone, because some servers take a second one in
    the body for a second method, unless :attr:`OAuthProvider.client_id_in_body` asks for both.

    Raises:
        ConfigMissing: The client id, or what the method needs, is absent.
    """
    require_client(config)
    require_authentication(config)
    method = authentication_method(config)
    headers: dict[str, str] = {}
    body = list(members)
    if method != "client_secret_basic" or config.client_id_in_body:
        body.append(("client_id", config.client_id))
    secret = config.client_secret or ""
    if method == "client_secret_basic":
        headers["Authorization"] = basic(config)
    elif method == "client_secret_post":
        body.append(("client_secret", secret))
    request = plain_request(config, url, [*in_their_names(config, body), *added], headers)
    return replace(request, client=config if method in ASSERTING else None)


def plain_request(
    config: OAuthConfig,
    url: str,
    parameters: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
) -> HttpRequest:
    """A POST of ``parameters``, in the format that the provider reads; nobody's but for ``headers``."""
    as_json = config.token_request_format == "json"
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"
    body = json.dumps(_object(parameters)) if as_json else urlencode(parameters)
    return HttpRequest(
        method="POST",
        url=endpoint(config, url),
        headers={
            **config.token_request_headers,
            "Accept": "application/json",
            **headers,
            "Content-Type": kind,
        },
        body=body.encode("ascii"),
        certificate=certificate_of(config),
    )


def basic(config: OAuthConfig) -> str:
    """The ``Authorization`` header of the client: id and secret, form-encoded first (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret or '')}"
    return "Basic " + b64encode(pair.encode("ascii")).decode("ascii")


def certificate_of(config: OAuthProvider) -> tuple[str, str | None] | None:
    """The files of the client's certificate and its key, if it has one."""
    file = config.client_certificate_file
    return (file, config.client_key_file) if file else None


def endpoint(config: OAuthProvider, url: str) -> str:
    """``url``, or the address that a client with a certificate uses instead (RFC 8705 §5)."""
    if not config.client_certificate_file:
        return url
    for name, alias in config.mtls_endpoint_aliases.items():
        if getattr(config, name, None) == url:
            return alias
    return url


def _object(members: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    """``members`` as a JSON object; a repeated name has a list."""
    values: dict[str, list[str]] = {}
    for name, value in members:
        values.setdefault(name, []).append(value)
    return {name: each[0] if len(each) == 1 else each for name, each in values.items()}
