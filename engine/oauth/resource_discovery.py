"""From the address of a resource to the server that issues its tokens (RFC 9728, RFC 8414, MCP).

The resource is asked without a token, and its challenge and metadata say which servers issue tokens
for it. Then the server that was chosen is asked for its own metadata. Every step is a plain GET or
POST without a secret; nothing is followed elsewhere, and nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..errors import ConfigInvalid, NetworkError, ProviderError
from ..hints import Hint
from ..ports import HttpRequest
from ..reasons import Distrust
from .addresses import private_host
from .protected_resource import (
    canonical_resource,
    first_request,
    judge_resource_metadata,
    may_be_named,
    metadata_places,
    origin_of,
)
from .setting_types import ENDPOINTS
from .www_authenticate import (
    INSUFFICIENT_AUTHENTICATION,
    INSUFFICIENT_SCOPE,
    bearer_challenge,
)

if TYPE_CHECKING:
    from ..ports import Http, HttpResponse
    from .metadata import ServerMetadata
    from .protected_resource import ResourceMetadata
    from .www_authenticate import AuthChallenge

OFFLINE: Final = "offline_access"
"""The scope that brings a refresh token where a server lists it (OpenID Connect Core §11)."""

_STRONGER: Final = frozenset({INSUFFICIENT_SCOPE, INSUFFICIENT_AUTHENTICATION})
_TROUBLE: Final = 500  # and above: a status that says nothing of what is there


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundResource:
    """A resource and its authorization servers.

    Attributes:
        address: The address that was asked, in its one spelling.
        resource: The resource identifier that tokens are requested for.
        issuers: The servers that issue them, as the resource lists them.
        scopes: The scopes that a login needs, as the challenge, else the metadata, say.
        told_by: Where that came from: the address of the metadata, or ``None`` where the resource
            publishes none and its own origin is taken for the server.
    """

    address: str
    resource: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...]
    told_by: str | None


class BoundedHttp:
    """Asks what a resource has us ask: in a private network only where the resource lies there itself.

    The resource's address comes from the user, and every other one from a stranger. The first answer
    of the resource decides for good, so that its name cannot lead elsewhere later. Addresses are
    judged by the connections that are made (:attr:`.ports.HttpRequest.public_only`). What a later
    request of the login carries, a code or a refresh token, is guarded by TLS: a host of a private
    network has no certificate for a stranger's name.
    """

    def __init__(self, http: Http, address: str) -> None:
        """Ask by ``http`` for the resource at ``address``."""
        self._http = http
        self._origin = origin_of(address)
        host = urlsplit(self._origin).hostname or ""
        self._public: bool | None = False if private_host(host) else None

    def send(self, request: HttpRequest) -> HttpResponse:
        """See :class:`.ports.Http`.

        Raises:
            NetworkError, ConfigInvalid, ConfigMissing: See there.
            ProviderError: It would go into a private network.
        """
        if self._public is False:
            return self._http.send(request)
        try:
            response = self._http.send(replace(request, public_only=True))
        except ProviderError:
            if self._public is not None or origin_of(request.url) != self._origin:
                raise
            response = self._http.send(request)
            self._public = False
        else:
            self._public = True
        return response


def find_resource(
    http: Http,
    address: str,
    challenge: AuthChallenge | None = None,
    *,
    may_be_issuer: bool = True,
) -> FoundResource | None:
    """What is at ``address``; ``None`` if it is no protected resource.

    Args:
        http: Asks for it.
        address: The address of the resource.
        challenge: What the resource has answered already; without it, it is asked.
        may_be_issuer: Whether the user may mean a server to sign in at. If not, a 401 without a
            challenge shows a resource of MCP's revision of 2025-03-26, which asked for none.

    Raises:
        ConfigInvalid: ``address`` is no ``https`` address.
        ProviderError: Its metadata are another resource's, or name no server that may be asked.
        NetworkError: It cannot be reached.
    """
    address = canonical_resource(address)
    refused, status = challenge is not None, 401
    if challenge is None:
        challenge, status = _challenge_of(http, address)
        refused = challenge is not None or (status == 401 and not may_be_issuer)
    found = _published(http, address, challenge)
    if found is not None:
        return FoundResource(
            address=address,
            resource=found.resource,
            issuers=found.issuers,
            scopes=(challenge.scopes if challenge else ()) or found.scopes,
            told_by=found.location,
        )
    if not refused and status >= _TROUBLE and not may_be_issuer:
        raise NetworkError(
            f"{address} is having trouble (HTTP {status})", hint="try again in a while"
        )
    if not refused:
        return None
    # servers of MCP's revision of 2025-03-26 publish the metadata of the server on their own origin
    return FoundResource(
        address=address,
        resource=address,
        issuers=(origin_of(address),),
        scopes=challenge.scopes if challenge else (),
        told_by=None,
    )


def _challenge_of(http: Http, address: str) -> tuple[AuthChallenge | None, int]:
    """The Bearer challenge of the resource, and the status of its answer.

    Some servers challenge a GET, and some only a POST.
    """
    posted = http.send(first_request(address))
    challenge = bearer_challenge(posted)
    if challenge is not None:
        return challenge, posted.status
    got = http.send(_get(address))
    return bearer_challenge(got), 401 if 401 in {posted.status, got.status} else got.status


def _published(
    http: Http, address: str, challenge: AuthChallenge | None
) -> ResourceMetadata | None:
    """The metadata of the resource from the first place that has some; ``None`` if none has.

    Raises:
        ProviderError: There are some, which may not be used.
        NetworkError: A place did not answer, and no other has any.
    """
    refused: ProviderError | None = None
    trouble: NetworkError | None = None
    places = metadata_places(address, challenge)
    for place in places:
        response = http.send(_get(place))
        try:
            return judge_resource_metadata(address, place, response)
        except NetworkError as error:
            trouble = error
        except ProviderError as error:
            # a place without a document says nothing; what a challenge names must be there
            if error.reason is None and challenge and challenge.resource_metadata:
                error.reason = Distrust.RESOURCE_METADATA_MISSING.value
            if error.reason is not None:
                refused = refused or error
    if refused is not None:
        raise refused
    if trouble is not None:
        raise trouble
    return None


def _get(address: str) -> HttpRequest:
    return HttpRequest(method="GET", url=address, headers={"Accept": "application/json"})


def choose_issuer(
    found: FoundResource, wanted: str | None = None, known: Sequence[str] = ()
) -> str:
    """The one of several servers to sign in at.

    Args:
        found: The resource.
        wanted: The server that the user named.
        known: Servers at which the user has a client or a login, the best first.

    Raises:
        ConfigInvalid: The resource does not list the server that the user named.
    """
    if wanted is not None:
        same = [one for one in found.issuers if one.rstrip("/") == wanted.rstrip("/")]
        if not same:
            raise ConfigInvalid(
                f"the resource does not list the server {wanted[:80]}",
                hint=Hint("login", found.address, "--issuer", found.issuers[0]),
            )
        return same[0]
    return next((one for one in known if one in found.issuers), found.issuers[0])


def server_of(
    ask: Callable[[str], ServerMetadata], found: FoundResource, issuer: str
) -> ServerMetadata:
    """The metadata of ``issuer``, which issues tokens for the resource ``found``.

    Args:
        ask: Gives the metadata of an issuer, as :func:`.metadata.discover` does.
        found: The resource.
        issuer: One of its servers.

    Raises:
        ProviderError: It publishes none, or does not promise PKCE with S256, which MCP wants; or
            it names an endpoint in a private network.
        NetworkError: It cannot be reached.
    """
    try:
        metadata = ask(issuer)
    except ProviderError as error:
        if found.told_by is not None:
            raise
        slashed = f"{issuer}/"  # a plain origin has two spellings, and its own metadata say which
        if error.hint is None or slashed not in error.hint:
            raise ProviderError(
                f"{found.address} wants a token, and publishes neither resource metadata"
                " (RFC 9728) nor those of an authorization server",
                hint=Hint("provider add", None, "NAME", "--auth-url", "…", "--token-url", "…"),
                reason=error.reason or Distrust.SERVER_METADATA_MISSING.value,
            ) from error
        metadata = ask(slashed)
    return require_for_resource(metadata, found.address)


def require_for_resource(metadata: ServerMetadata, address: str) -> ServerMetadata:
    """``metadata``, once the resource at ``address`` may send its users there.

    Raises:
        ProviderError: PKCE with S256 is not promised, or an endpoint is missing or may not be
            named.
    """
    if metadata.pkce_methods is None or "S256" not in metadata.pkce_methods:
        raise ProviderError(
            "the authorization server of this resource does not promise PKCE with S256,"
            " which the Model Context Protocol asks for",
            reason=Distrust.PKCE_NOT_PROMISED.value,
        )
    if not metadata.complete:
        raise ProviderError(
            "the authorization server of this resource publishes no endpoints to sign in with",
            reason=Distrust.ENDPOINTS_MISSING.value,
        )
    named: dict[str, str | None] = {
        name: getattr(metadata, name) for name in (*ENDPOINTS.values(), "registration_endpoint")
    }
    aliases = {
        f"{name} for certificates": one for name, one in metadata.mtls_endpoint_aliases.items()
    }
    for name, place in (named | aliases).items():
        if place is not None and not may_be_named(place, address):
            raise ProviderError(
                f"the authorization server of this resource names a {name.replace('_', ' ')}"
                " in a private network, and nothing was sent there",
                reason=Distrust.PRIVATE_ADDRESS.value,
            )
    return metadata


def scopes_for(
    found: FoundResource, metadata: ServerMetadata, more: Sequence[str] = ()
) -> tuple[str, ...]:
    """The scopes to request: ``more``, then those of the resource, each once.

    ``offline_access`` comes along where the server lists it.
    """
    offline = [OFFLINE] if OFFLINE in metadata.scopes else []
    return tuple(dict.fromkeys((*more, *found.scopes, *offline)))


def step_up(
    requested: Sequence[str], challenge: AuthChallenge, already: Sequence[str] = ()
) -> tuple[str, ...]:
    """The union of what was requested and granted before and what ``challenge`` asks for now."""
    return tuple(dict.fromkeys((*requested, *already, *challenge.scopes)))


def needs_sign_in(response: HttpResponse) -> AuthChallenge | None:
    """The challenge of ``response`` if another sign-in answers it, and no fresh token does.

    The token lacks a scope (RFC 6750 §3.1), or the user must sign in anew or in a stronger way
    (RFC 9470 §3). Some servers say so with 400 or 401, and most with 403 and 401.
    """
    challenge = bearer_challenge(response) if response.status in {400, 401, 403} else None
    if challenge is None or challenge.error not in _STRONGER:
        return None
    return challenge
