"""How the client proves itself to the provider (RFC 6749 §2.3)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode

from ..errors import ConfigMissing
from ..hints import Hint
from ..ports import HttpRequest
from .authorization_request import require_client

if TYPE_CHECKING:
    from .provider import ClientAuthentication, OAuthConfig

_AUTOMATIC: Final[Mapping[str, ClientAuthentication]] = {
    "auto": "client_secret_basic",
    "auto_post": "client_secret_post",
}


def client_request(config: OAuthConfig, url: str, members: Mapping[str, str]) -> HttpRequest:
    """A POST of ``members`` to ``url``, authenticated as the client of ``config``.

    With ``client_secret_basic`` the id and the secret are form-encoded first (RFC 6749 §2.3.1).
    The ``client_id`` then stands in the header alone, because some servers take a second one in
    the body for a second method, unless :attr:`OAuthProvider.client_id_in_body` asks for both.

    Raises:
        ConfigMissing: The client id, or a secret that the method needs, is absent.
    """
    require_client(config)
    method = config.token_endpoint_auth_method
    if method in _AUTOMATIC:
        method = _AUTOMATIC[method] if config.client_secret else "none"
    headers = dict(config.token_request_headers)
    headers["Accept"] = "application/json"
    body = dict(members)
    if method != "client_secret_basic" or config.client_id_in_body:
        body["client_id"] = config.client_id
    if method != "none":
        if not config.client_secret:
            raise ConfigMissing(
                f"{config.title} wants a client secret and none is configured",
                hint=Hint("provider edit", config.service_name, "--client-secret-file", "FILE"),
            )
        if method == "client_secret_basic":
            pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret)}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode("ascii")).decode("ascii")
        else:
            body["client_secret"] = config.client_secret
    if config.token_request_format == "json":
        headers["Content-Type"] = "application/json"
        return HttpRequest(
            method="POST", url=url, headers=headers, body=json.dumps(body).encode("utf-8")
        )
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return HttpRequest(
        method="POST", url=url, headers=headers, body=urlencode(body).encode("ascii")
    )
