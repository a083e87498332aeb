"""Protected resource metadata (RFC 9728): which authorization servers issue tokens for a resource.

A resource is named by its address. Who answers there decides which server its users are sent to, so
a document is believed only where its place shows that it may speak for the resource:

* It lies on the resource's own origin. A challenge that names a document elsewhere is refused.
* It is about the resource that was asked, to the letter (§3.3); or it lies at the well-known place
  of a resource whose address is a part of the asked one: the owner of the host speaks for the
  whole host (an extension of the Model Context Protocol), and one tenant of it does not.

The authorization servers are named by a stranger as well. They may not lie in a private network,
unless the user has typed the address of a resource that does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..errors import ConfigInvalid, NetworkError, ProviderError
from ..hints import Hint
from ..ports import HttpRequest
from ..reasons import Distrust
from .addresses import private_host, secure_address
from .provider_response import read_members
from .www_authenticate import known_scopes

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from .www_authenticate import AuthChallenge

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
_PORTS: Final = {"https": 443, "http": 80}
_SERVERS: Final = 20  # of one document
_LONGEST: Final = 2000  # characters of an address
PROTOCOL_VERSION: Final = "2025-11-25"
"""The revision of the Model Context Protocol that :func:`first_request` names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMetadata:
    """What a resource publishes about itself, as far as it is used here.

    Attributes:
        resource: The resource identifier that tokens are requested for (RFC 8707).
        issuers: The authorization servers, as listed.
        scopes: ``scopes_supported``: the least, not all.
        location: Where the document was.
    """

    resource: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...]
    location: str


def _without_password(address: str) -> str:
    """``address`` as it may be shown: what stands before an ``@`` of its host may be a password."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def canonical_resource(address: str) -> str:
    """``address`` as a resource identifier (RFC 8707 §2).

    Scheme and host are in lower case, without the usual port, without a fragment, and without the
    slash of an empty path. Every other character stays: a server compares to the letter.

    Raises:
        ConfigInvalid: It is no ``https`` address, nor ``http`` to this machine.
    """
    if not secure_address(address) or len(address) > _LONGEST:
        raise ConfigInvalid(
            f"{_without_password(address)[:80]!r} is not an https address",
            hint=Hint("login", "https://HOST/PATH"),
        )
    parts = urlsplit(address)
    host = (parts.hostname or "").removesuffix(".")
    host = f"[{host}]" if ":" in host else host
    port = parts.port
    netloc = host if port in {None, _PORTS.get(parts.scheme)} else f"{host}:{port}"
    path = "" if parts.path == "/" and not parts.query else parts.path
    return urlunsplit((parts.scheme, netloc, path, parts.query, ""))


def other_spelling(name: str) -> str | None:
    """The one spelling of ``name``, if it is an address in another; else ``None``."""
    try:
        spelt = canonical_resource(name) if "://" in name else name
    except ConfigInvalid:
        return None
    return spelt if spelt != name else None


def origin_of(address: str) -> str:
    """Scheme, host and port of ``address``, as :func:`canonical_resource` writes them."""
    parts = urlsplit(canonical_resource(address))
    return f"{parts.scheme}://{parts.netloc}"


def first_request(resource: str) -> HttpRequest:
    """A request without a token, to be refused: an MCP client's first (``initialize``).

    Some servers challenge nothing else. No client of this name follows it up, and a server that
    needs no token answers with a session that ends unused.
    """
    members = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "stayfast", "version": "1"},
        },
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": PROTOCOL_VERSION,
    }
    return HttpRequest(
        method="POST", url=resource, headers=headers, body=json.dumps(members).encode()
    )


def well_known_place(resource: str) -> str:
    """Where the metadata of ``resource`` lie: the path is inserted before its own (§3.1)."""
    parts = urlsplit(resource)
    path = "" if parts.path == "/" else parts.path
    return urlunsplit(parts._replace(path=f"{WELL_KNOWN}{path}", fragment=""))


def metadata_places(resource: str, challenge: AuthChallenge | None) -> list[str]:
    """Where the metadata of ``resource`` may be: as the challenge says, else the well-known places.

    Raises:
        ProviderError: The challenge names a place on another origin.
    """
    named = challenge.resource_metadata if challenge else None
    if named is not None:
        place = _joined(resource, named)
        if place is None or origin_of(place) != origin_of(resource):
            raise ProviderError(
                "the resource names metadata that are not on its own host, and they were not read",
                reason=Distrust.RESOURCE_METADATA_ELSEWHERE.value,
                hint="use the address that the resource's operator publishes",
            )
        return [place]
    root = f"{origin_of(resource)}{WELL_KNOWN}"
    return list(dict.fromkeys((well_known_place(resource), root)))


def _joined(resource: str, named: str) -> str | None:
    """The address ``named``, which may be relative to ``resource``; ``None`` if it is none."""
    try:
        place = urljoin(resource, named)
    except ValueError:
        return None
    return place if secure_address(place) and len(place) <= _LONGEST else None


def judge_resource_metadata(
    resource: str, location: str, response: HttpResponse
) -> ResourceMetadata:
    """The metadata in ``response``, which came from ``location`` and is to be about ``resource``.

    Raises:
        ProviderError: There are no metadata, or those of another resource, or no server is named
            that may be asked.
        NetworkError: The resource is having trouble.
    """
    if response.status >= 500 or response.status == 429:
        raise NetworkError(f"the resource is having trouble (HTTP {response.status})")
    members = read_members(response) if response.status == 200 else None
    if members is None or not isinstance(members.get("resource"), str):
        raise ProviderError(
            f"no resource metadata are published there (HTTP {response.status})",
            status=response.status,
        )
    named: str = members["resource"]
    if not speaks_for(named, resource, location):
        raise ProviderError(
            _another(named, resource),
            status=response.status,
            reason=Distrust.RESOURCE_MISMATCH.value,
            hint=Hint("login", named) if _only_a_slash(named, resource) else None,
        )
    listed = members.get("authorization_servers")
    texts = cast("list[object]", listed)[:_SERVERS] if isinstance(listed, list) else []
    issuers = [one for one in texts if isinstance(one, str) and may_be_named(one, resource)]
    if not issuers:
        raise ProviderError(
            "the resource names no authorization server that may be asked"
            if texts
            else "the resource names no authorization server",
            status=response.status,
            reason=Distrust.NO_AUTHORIZATION_SERVER.value,
        )
    return ResourceMetadata(
        resource=named,
        issuers=tuple(dict.fromkeys(issuers)),
        scopes=known_scopes(members.get("scopes_supported")),
        location=location,
    )


def speaks_for(named: str, resource: str, location: str) -> bool:
    """Whether a document at ``location`` about the resource ``named`` decides for ``resource``."""
    if not secure_address(named) or len(named) > _LONGEST or urlsplit(named).fragment:
        return False
    bare = canonical_resource(named)
    if bare == canonical_resource(resource):
        return True
    if urlsplit(bare).query or origin_of(bare) != origin_of(resource):
        return False
    own = urlsplit(bare).path.rstrip("/") + "/"
    inside = urlsplit(resource).path.startswith(own)
    return inside and location == well_known_place(bare)


def may_be_named(address: object, resource: str) -> bool:
    """Whether a request may go to ``address`` because ``resource``, or its server, names it.

    A stranger must not choose an address of this machine, or of a private network, that we ask. A
    resource in there, whose address the user has typed, may.
    """
    if not isinstance(address, str) or not secure_address(address) or len(address) > _LONGEST:
        return False
    host = urlsplit(address).hostname or ""
    return not private_host(host) or private_host(urlsplit(resource).hostname or "")


def _only_a_slash(named: str, resource: str) -> bool:
    return secure_address(named) and named.rstrip("/") == resource.rstrip("/")


def _another(named: str, resource: str) -> str:
    if _only_a_slash(named, resource):
        more, less = ("has", "has not") if named.endswith("/") else ("has not", "has")
        return (
            "the resource metadata are of the same address with another end:"
            f" theirs {more} a slash there, and yours {less}"
        )
    return "the resource metadata found there are another resource's"
