"""A token endpoint that has moved: what the issuer publishes now, for a login that goes on.

A login keeps the addresses that its issuer published when it began. Where its token endpoint is gone,
the issuer is asked again. An endpoint, or its alias for clients with a certificate, is taken over only
if

* the metadata are those of the same issuer, to the letter, read now from the issuer's own host
  (RFC 8414 §3.3): a server of somebody else's cannot speak for it (RFC 9700 §4.4, mix-up);
* it is on a host that the login deals with already: the issuer's, or the one of before;
* it is not in a private network, unless the one of before was.

This holds for each of them, because each gets a token or what proves the client.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..errors import StayfastError
from ..oauth.addresses import private_host
from ..oauth.client_authentication import endpoint
from ..oauth.error_codes import refuses
from ..oauth.provider_response import error_code, read_members
from ..oauth.setting_types import ENDPOINTS

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..ports import Http, HttpResponse

GONE: Final = frozenset({301, 302, 307, 308, 404, 405, 410, 501})
"""Statuses of an address that has no token endpoint (any more)."""
MOVED: Final = "endpoint_moved"
"""The detail of an ``accept_tokens``: the tokens came from another address than those of before."""


def is_gone(config: OAuthConfig, response: HttpResponse) -> bool:
    """Whether there is no token endpoint where ``response`` came from."""
    members = read_members(response, config) if response.status in GONE else None
    code = error_code(members) if members is not None else None
    return response.status in GONE and (code is None or not refuses(code))


def moved(http: Http, config: OAuthConfig) -> OAuthConfig | None:
    """``config`` with the endpoints as its issuer publishes them now.

    ``None`` if tokens are asked for where they were before: nothing else is published, or what is
    published is not to be believed.
    """
    if not config.issuer or config.discovers == "no":
        return None
    from ..oauth.metadata import discover  # noqa: PLC0415  for an endpoint that has gone

    try:
        found = discover(
            http,
            config.issuer,
            inserted_first=bool(config.resources),
            template=config.issuer_template,
            pkce=config.pkce != "off",
        )
    except StayfastError:
        return None
    if found.issuer != config.issuer:
        return None
    endpoints = {
        field: now
        for field, name in ENDPOINTS.items()
        if (before := getattr(config, field))
        and (now := getattr(found, name))
        and _believed(now, before, config.issuer)
    }
    aliases = {
        field: now
        for field, now in found.mtls_endpoint_aliases.items()
        if (before := config.mtls_endpoint_aliases.get(field))
        and _believed(now, before, config.issuer)
    }
    after = replace(config, **endpoints, mtls_endpoint_aliases=aliases)
    same = endpoint(after, after.token_url) == endpoint(config, config.token_url)
    return None if same else after


def _believed(now: str, before: str, issuer: str) -> bool:
    """Whether the endpoint that was at ``before`` may be at ``now``."""
    new, old, home = (urlsplit(one).hostname or "" for one in (now, before, issuer))
    return new in {old, home} and (private_host(old) or not private_host(new))
