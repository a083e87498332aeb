"""What hostile protected resources and the servers behind them answer, and what a client must make of it.

A resource server, such as an MCP server, decides which authorization server its users are sent to; so
a client believes little of what it says. Each :class:`ResourceTrial` is data: what the resource
publishes, or a fault of its server, and the outcome that is right::

    with AuthorizationServer(Settings(registration=True)) as server, ResourceServer(server) as resource:
        by_name("another-resource").set_up(resource)
        ...  # sign in to resource.address

``{origin}``, ``{authority}``, ``{address}`` and ``{issuer}`` in a text stand for those of the running servers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

from ...engine.reasons import Distrust
from ..resource_server import WELL_KNOWN, Page, ResourceServer
from .faults import NULL, Fault, FaultKind
from .provider import Expected

_READ, _REFUSED, _TROUBLE = Expected.READ, Expected.REFUSED, Expected.TROUBLE
_CHANGED: Final = "registration_changed"


@dataclass(frozen=True, kw_only=True)
class ResourceTrial:
    """One thing that is wrong at a resource, or at the server that it names.

    Attributes:
        name: A few words with hyphens, unique.
        expected: What a client must make of it.
        why: Who does this, or which attack it is, or the section that decides.
        reason: The word that the audit log has for it, where no login may begin.
        challenge: The ``WWW-Authenticate`` header of the resource; an empty text for none.
        metadata: Members of its metadata with other values; ``None`` removes one.
        place: The path at which the metadata lie instead of the usual one.
        page: What the place of its metadata answers instead.
        endpoint: The endpoint of its server that goes wrong, as in
            :meth:`~.authorization_server.AuthorizationServer.misbehave`.
        fault: How it does.
    """

    name: str
    expected: Expected
    why: str
    reason: str | None = None
    challenge: str | None = None
    metadata: Mapping[str, Any] | None = None
    place: str | None = None
    page: Page | None = None
    endpoint: str | None = None
    fault: Fault | None = None

    def __str__(self) -> str:
        return self.name

    def set_up(self, resource: ResourceServer) -> None:
        """Let ``resource``, which is running, and its server go wrong like this from now on."""
        usual = f"{WELL_KNOWN}{urlsplit(resource.address).path}"
        if self.challenge is not None:
            resource.challenge = cast("str", _filled(self.challenge, resource))
        if self.metadata is not None:
            changed = resource.metadata(**cast("dict[str, Any]", _filled(self.metadata, resource)))
            kept = {name: value for name, value in changed.items() if value is not None}
            del resource.pages[usual]
            resource.publish(kept, self.place or usual)
        if self.page is not None:
            headers = cast("dict[str, str]", _filled(self.page.headers, resource))
            resource.pages[self.place or usual] = Page(
                status=self.page.status, headers=headers, members=self.page.members
            )
        if self.endpoint is not None and self.fault is not None:
            resource.server.misbehave(self.endpoint, self.fault, times=None)


def _filled(value: object, resource: ResourceServer) -> object:
    """``value`` with the addresses of the running servers in its texts."""
    if isinstance(value, str):
        named = {"origin": resource.origin, "address": resource.address}
        named["authority"] = urlsplit(resource.origin).netloc
        for name, address in {**named, "issuer": resource.server.issuer}.items():
            value = value.replace(f"{{{name}}}", address)
        return value
    if isinstance(value, list):
        return [_filled(one, resource) for one in cast("list[object]", value)]
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {name: _filled(one, resource) for name, one in members.items()}
    return value


def _challenge(
    name: str, expected: Expected, why: str, challenge: str, reason: Distrust | None = None
) -> ResourceTrial:
    return ResourceTrial(name=name, expected=expected, why=why, challenge=challenge, reason=reason)


def _elsewhere(name: str, place: str, why: str) -> ResourceTrial:
    challenge = f'Bearer resource_metadata="{place}"'
    return _challenge(name, _REFUSED, why, challenge, Distrust.RESOURCE_METADATA_ELSEWHERE)


def _document(
    name: str, expected: Expected, why: str, reason: Distrust | None = None, **metadata: Any
) -> ResourceTrial:
    return ResourceTrial(name=name, expected=expected, why=why, metadata=metadata, reason=reason)


def _other(name: str, resource: str, why: str) -> ResourceTrial:
    return _document(name, _REFUSED, why, Distrust.RESOURCE_MISMATCH, resource=resource)


def _page(
    name: str, expected: Expected, why: str, reason: Distrust | None, page: Page
) -> ResourceTrial:
    return ResourceTrial(name=name, expected=expected, why=why, page=page, reason=reason)


def _server(name: str, why: str, reason: Distrust, **members: Any) -> ResourceTrial:
    return ResourceTrial(
        name=name,
        expected=_REFUSED,
        why=why,
        reason=reason,
        endpoint="metadata",
        fault=Fault(kind=FaultKind.MEMBERS, members=members),
    )


def _registered(name: str, expected: Expected, why: str, **members: Any) -> ResourceTrial:
    return ResourceTrial(
        name=name,
        expected=expected,
        why=why,
        reason=None if expected is _READ else _CHANGED,
        endpoint="register",
        fault=Fault(kind=FaultKind.MEMBERS, members=members),
    )


def _answered(
    name: str, expected: Expected, why: str, status: int, reason: str | None, body: bytes
) -> ResourceTrial:
    return ResourceTrial(
        name=name,
        expected=expected,
        why=why,
        reason=reason,
        endpoint="register",
        fault=Fault(
            kind=FaultKind.ANSWER,
            status=status,
            body=body,
            headers={"Content-Type": "application/json"},
        ),
    )


_USUAL: Final = 'resource_metadata="{origin}/.well-known/oauth-protected-resource/team/mcp"'
_MANY: Final = (
    f'Negotiate, Basic realm="a, \\"b\\"", Bearer scope="mcp:read", {_USUAL}, DPoP algs="ES256"'
)
_IN_CLEAR: Final = "http://127.0.0.1.evil.test/t"

RESOURCES: Final[tuple[ResourceTrial, ...]] = (
    # --- the challenge
    _elsewhere("metadata-of-another-host", "https://evil.test/.well-known/x", "RFC 9728 §7.3"),
    _elsewhere("metadata-of-a-name-beside", "//evil.test/x", "a relative reference to a host"),
    _elsewhere("metadata-in-a-file", "file:///etc/passwd", "read by a careless HTTP library"),
    _elsewhere("metadata-in-a-script", "javascript:alert(1)", "run by a careless browser"),
    _elsewhere("metadata-in-the-challenge", "data:application/json,{}", "no origin at all"),
    _elsewhere("metadata-on-a-private-host", "https://169.254.169.254/latest", "a cloud's secrets"),
    _elsewhere("metadata-on-another-port", "http://127.0.0.1:1/x", "RFC 6454 §4: another origin"),
    _challenge("metadata-that-are-not-there", _REFUSED, "RFC 9728 §5.1: they must be",
               'Bearer resource_metadata="{origin}/nowhere"', Distrust.RESOURCE_METADATA_MISSING),
    _challenge("metadata-at-a-relative-place", _READ, "seen in the field",
               'Bearer resource_metadata="/.well-known/oauth-protected-resource/team/mcp"'),
    _challenge("several-challenges-in-one-header", _READ, "RFC 9110 §11.6.1", _MANY),
    _challenge("challenge-without-quotes", _READ, "seen in the field",
               f"bearer scope=mcp:read, {_USUAL.replace(chr(34), '')}"),
    _challenge("no-challenge", _READ, "the metadata are at their known place", ""),
    _challenge("challenge-of-another-scheme", _READ, "a proxy's", 'Basic realm="x"'),
    _challenge("challenge-of-30-kb", _READ, "not read; the metadata are at their known place",
               f'Bearer scope="{"a " * 15_000}"'),
    _challenge("challenge-of-100-kb", _TROUBLE, "more than an HTTP library takes",
               f'Bearer scope="{"a " * 50_000}"', Distrust.NETWORK),
    # --- the resource's metadata
    _other("another-resource", "{origin}/other", "RFC 9728 §3.3"),
    _other("another-hosts-resource", "https://bank.test/mcp", "tokens for the bank"),
    _other("the-whole-host-by-one-tenant", "{origin}", "tokens for all tenants"),
    _other("a-prefix-of-the-path", "{origin}/team", "another tenant may be there"),
    _other("the-path-in-another-case", "{origin}/TEAM/mcp", "paths are compared to the letter"),
    _other("a-slash-more", "{address}/", "the user is to see which letter differs"),
    _other("a-fragment-more", "{address}#x", "RFC 8707 §2"),
    _document("the-scheme-in-another-case", _READ, "RFC 3986 §6.2.2.1: the same",
              resource="HTTP://{authority}/team/mcp"),
    _document("no-resource", _REFUSED, "RFC 9728 §2: required", Distrust.RESOURCE_METADATA_MISSING,
              resource=None),
    _document("resource-is-a-list", _REFUSED, "RFC 9728 §2: a text",
              Distrust.RESOURCE_METADATA_MISSING, resource=["{address}"]),
    _document("no-server", _REFUSED, "MCP: at least one", Distrust.NO_AUTHORIZATION_SERVER,
              authorization_servers=[]),
    _document("servers-are-a-text", _REFUSED, "RFC 9728 §2: a list", Distrust.NO_AUTHORIZATION_SERVER,
              authorization_servers="{issuer}"),
    _document("server-in-clear", _REFUSED, "RFC 8414 §2: https", Distrust.NO_AUTHORIZATION_SERVER,
              authorization_servers=["http://login.test"]),
    _document("server-is-a-script", _REFUSED, "run by a careless browser",
              Distrust.NO_AUTHORIZATION_SERVER, authorization_servers=["javascript:alert(1)"]),
    _document("one-server-in-clear-of-two", _READ, "the other one serves",
              authorization_servers=["http://login.test", "{issuer}"]),
    _document("scopes-are-a-text", _READ, "RFC 9728 §2: a list; they are not needed",
              scopes_supported="mcp:read"),
    _page("metadata-redirected-without-end", _REFUSED, "nothing is followed",
          Distrust.RESOURCE_METADATA_MISSING, Page(
              status=302,
              headers={"Location": "{origin}/.well-known/oauth-protected-resource/team/mcp"})),
    _page("metadata-redirected-to-another-host", _REFUSED, "RFC 9728 §7.3, by another way",
          Distrust.RESOURCE_METADATA_MISSING, Page(status=307, headers={"Location": "https://evil.test/x"})),
    _page("metadata-redirected-to-a-file", _REFUSED, "read by a careless HTTP library",
          Distrust.RESOURCE_METADATA_MISSING, Page(status=301, headers={"Location": "file:///etc/passwd"})),
    _page("metadata-in-trouble", _TROUBLE, "a restart", Distrust.NETWORK, Page(status=503)),
    _page("metadata-of-2-mb", _TROUBLE, "without an end", Distrust.NETWORK,
          Page(members={"x": "a" * 2_000_000})),
    # --- the metadata of its server
    _document("issuer-that-is-not-the-one-named", _REFUSED, "RFC 8414 §3.3",
              Distrust.SERVER_METADATA_MISSING, authorization_servers=["{issuer}/tenant"]),
    _server("issuer-that-has-moved", "RFC 8414 §3.3", Distrust.ISSUER_MISMATCH,
            issuer="https://evil.test"),
    _server("issuer-that-is-a-list", "RFC 8414 §2: a text", Distrust.ISSUER_MISMATCH, issuer=["x"]),
    _server("server-without-word-of-pkce", "MCP: must refuse", Distrust.PKCE_NOT_PROMISED,
            code_challenge_methods_supported=None),
    _server("server-with-plain-challenges", "RFC 9700 §2.1.1", Distrust.UNREADABLE,
            code_challenge_methods_supported=["plain"]),
    _server("server-with-token-endpoint-in-clear", "RFC 6749 §3.2", Distrust.ENDPOINTS_MISSING,
            token_endpoint=_IN_CLEAR),
    _server("server-with-authorization-endpoint-in-a-script", "run by a careless browser",
            Distrust.ENDPOINTS_MISSING, authorization_endpoint="javascript:alert(1)",
            device_authorization_endpoint=None),
    # --- the registration there
    _registered("registered-with-another-redirect", _REFUSED, "codes for somebody else",
                redirect_uris=["https://evil.test/callback"]),
    _registered("registered-with-one-redirect-more", _REFUSED, "codes for somebody else, later",
                redirect_uris=["http://127.0.0.1/callback", "https://evil.test/callback"]),
    _registered("registered-without-redirect", _REFUSED, "RFC 7591 §2", redirect_uris=[]),
    _registered("registered-with-redirects-that-are-a-text", _REFUSED, "RFC 7591 §2: a list",
                redirect_uris="http://127.0.0.1/callback"),
    _registered("registered-for-another-way-to-prove-itself", _REFUSED, "it has no key",
                token_endpoint_auth_method="private_key_jwt"),
    _registered("registered-for-a-secret-and-without-one", _REFUSED, "RFC 7591 §3.2.1: required",
                token_endpoint_auth_method="client_secret_basic", client_secret=None),
    _registered("registered-without-a-client-id", _REFUSED, "RFC 7591 §3.2.1: required",
                client_id=None),
    _registered("registered-with-null-for-a-client-id", _REFUSED, "RFC 7591 §3.2.1: a text",
                client_id=NULL),
    _registered("registered-with-a-client-id-of-two-lines", _REFUSED, "a header obeys",
                client_id="x\r\nSet-Cookie: y=z"),
    _registered("registered-with-a-secret-that-a-terminal-obeys", _REFUSED, "RFC 6749 appendix A.2",
                token_endpoint_auth_method="client_secret_post", client_secret="\x1b]0;x\x07"),
    _registered("registered-with-a-client-id-of-10-kb", _REFUSED, "an address would not hold it",
                client_id="x" * 10_000),
    _registered("registered-with-management-elsewhere", _READ, "the address is never asked",
                registration_client_uri="https://evil.test/c", registration_access_token="t"),
    _answered("registered-with-200", _READ, "RFC 7591 §3.2.1 says 201; seen in the field", 200, None,
              json.dumps({"client_id": "stayfast-demo"}).encode()),
    _answered("registration-refused", _REFUSED, "RFC 7591 §3.2.2", 400, None,
              b'{"error": "invalid_redirect_uri"}'),
    _answered("registration-is-a-page", _TROUBLE, "a gateway", 200, Distrust.NETWORK, b"<h1>Sorry</h1>"),
    _answered("registration-redirected", _TROUBLE, "not followed with what was posted", 307,
              Distrust.NETWORK, b""),
)  # fmt: skip
"""All of them."""


def by_name(name: str) -> ResourceTrial:
    """The trial of that name.

    Raises:
        LookupError: No trial has that name.
    """
    for one in RESOURCES:
        if one.name == name:
            return one
    raise LookupError(name)
