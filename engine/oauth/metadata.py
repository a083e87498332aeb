"""Authorization server metadata (RFC 8414; OpenID Connect Discovery §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

from ..errors import ConfigInvalid, NetworkError, ProviderError, StayfastError
from ..hints import Hint
from ..ports import HttpRequest
from ..reasons import Distrust
from .addresses import secure_address
from .client_authentication import fitting_method
from .issuer import published_issuer
from .provider import OAuthProvider
from .provider_response import read_members
from .setting_types import ASYMMETRIC, ENDPOINTS
from .www_authenticate import known_scopes

if TYPE_CHECKING:
    from ..ports import Http, HttpResponse
    from .setting_types import ClientAuthentication

P = TypeVar("P", bound=OAuthProvider)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """What a provider publishes about itself, as far as it is used here.

    Attributes:
        issuer: Identical to the issuer whose metadata were requested; or that of the tenant which the
            requested one is another word for.
        authorization_endpoint: RFC 6749 §3.1.
        token_endpoint: RFC 6749 §3.2.
        device_authorization_endpoint: RFC 8628 §4.
        revocation_endpoint: RFC 7009.
        introspection_endpoint: RFC 7662.
        jwks_uri: Signing keys.
        userinfo_endpoint: OpenID Connect Core §5.3.
        end_session_endpoint: OpenID Connect RP-Initiated Logout §2.1.
        iss_supported: ``authorization_response_iss_parameter_supported`` (RFC 9207 §3).
        pkce_methods: ``code_challenge_methods_supported``; ``None`` if it does not say.
        par_required: ``require_pushed_authorization_requests`` (RFC 9126 §5).
        registration_endpoint: RFC 7591 §3.
        document_clients: ``client_id_metadata_document_supported``: whether a client id may be the
            address of its own description.
        scopes: ``scopes_supported``.
        code_offered: Whether ``response_types_supported`` has ``code``; assumed if it does not say.
        auth_methods: ``token_endpoint_auth_methods_supported``; ``None`` if it does not say.
        id_token_algorithms: ``id_token_signing_alg_values_supported``; ``None`` likewise.
        assertion_algorithms: ``token_endpoint_auth_signing_alg_values_supported``; likewise.
        request_object_required: ``require_signed_request_object`` (RFC 9101 §10.5).
        request_object_algorithms: ``request_object_signing_alg_values_supported``; ``None`` likewise.
        dpop_algorithms: ``dpop_signing_alg_values_supported`` (RFC 9449 §5.1); likewise.
        mtls_endpoint_aliases: By the names of our settings (RFC 8705 §5).
        pushed_authorization_request_endpoint: RFC 9126 §5.
        response_modes: ``response_modes_supported`` (RFC 8414 §2); ``None`` if it does not say.
    """

    issuer: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    introspection_endpoint: str | None = None
    jwks_uri: str | None = None
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    iss_supported: bool = False
    pkce_methods: tuple[str, ...] | None = None
    auth_methods: tuple[str, ...] | None = None
    id_token_algorithms: tuple[str, ...] | None = None
    par_required: bool = False
    code_offered: bool = True
    registration_endpoint: str | None = None
    document_clients: bool = False
    scopes: tuple[str, ...] = ()
    assertion_algorithms: tuple[str, ...] | None = None
    request_object_required: bool = False
    request_object_algorithms: tuple[str, ...] | None = None
    dpop_algorithms: tuple[str, ...] | None = None
    mtls_endpoint_aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    response_modes: tuple[str, ...] | None = None

    @property
    def signed_mode(self) -> Literal["jwt", "query.jwt"] | None:
        """The mode to ask for where the server signs every answer (JARM §2.3), else ``None``."""
        offered = self.response_modes or ()
        if not offered or {"query", "form_post"} & {*offered}:
            return None
        return "query.jwt" if "query.jwt" in offered else "jwt" if "jwt" in offered else None

    @property
    def complete(self) -> bool:
        """Whether somebody can sign in with what it names."""
        return bool(
            self.token_endpoint
            and (self.authorization_endpoint or self.device_authorization_endpoint)
        )

    def authentication(self, client: OAuthProvider) -> ClientAuthentication | None:
        """The way in which ``client`` is to prove itself here; ``None`` if the usual one will do.

        Raises:
            ProviderError: There are only ways that Stayfast does not support.
        """
        try:
            return fitting_method(self.auth_methods, client)
        except LookupError:
            methods = ", ".join(self.auth_methods or ())[:80]
        raise ProviderError(
            f"this provider takes clients by {methods} only, which Stayfast does not support",
            hint=Hint("provider add", None, "NAME", "--issuer", "…", "--auth-method", "none"),
        )

    def require_feasible(self, *, pkce: bool = True) -> None:
        """Make sure that there is a way to sign in which can be kept to here.

        Args:
            pkce: Whether PKCE is used; ``False`` where the provider's settings switch it off.

        Raises:
            ProviderError: Without a device endpoint, pushed requests are required, or no ``code``
                is offered; or PKCE with S256 is not.
        """
        if pkce and self.pkce_methods is not None and "S256" not in self.pkce_methods:
            raise ProviderError("this provider does not offer PKCE with S256 (RFC 7636)")
        if self.device_authorization_endpoint:
            return
        if self.par_required and not self.pushed_authorization_request_endpoint:
            raise ProviderError(
                "this provider takes pushed authorization requests only (RFC 9126),"
                " and names no endpoint for them"
            )
        if not self.code_offered:
            raise ProviderError(
                "this provider does not offer the response type 'code' (RFC 6749 §4.1)"
            )


def metadata_requests(issuer: str, *, inserted_first: bool = False) -> list[HttpRequest]:
    """Where ``issuer`` may publish its metadata, most usual first.

    OpenID Connect appends the well-known path; RFC 8414 inserts it, or that of OpenID Connect,
    between host and path.

    Args:
        issuer: The issuer identifier.
        inserted_first: Whether the inserted places come before the appended one, as the Model
            Context Protocol has it.

    Raises:
        ConfigInvalid: ``issuer`` is no issuer identifier.
    """
    parts = urlsplit(issuer) if secure_address(issuer) else None
    if parts is None or parts.query or parts.fragment:
        raise ConfigInvalid(
            "an issuer is an https address without query or fragment",
            hint=Hint("provider add", None, "NAME", "--issuer", "https://…"),
        )
    path = parts.path.rstrip("/")
    paths = [
        f"{path}/.well-known/openid-configuration",
        f"/.well-known/oauth-authorization-server{path}",
    ]
    if path:
        paths.append(f"/.well-known/openid-configuration{path}")  # as RFC 8414 §5 has it
    if inserted_first:
        paths = [*paths[1:], paths[0]]
    headers = {"Accept": "application/json"}
    return [
        HttpRequest(method="GET", url=urlunsplit(parts._replace(path=where)), headers=headers)
        for where in paths
    ]


def judge_metadata(
    issuer: str, response: HttpResponse, *, template: str | None = None
) -> ServerMetadata:
    """The metadata in ``response``.

    Args:
        issuer: Whose they must be.
        response: The answer.
        template: The issuers of the server's tenants, where each has its own (:mod:`.issuer`).

    Raises:
        ProviderError: The answer holds no metadata, or those of another issuer (RFC 8414 §3.3).
        NetworkError: The provider is having trouble.
    """
    if response.status >= 500 or response.status == 429:
        raise NetworkError(f"the provider is having trouble (HTTP {response.status})")
    members = read_members(response) if response.status == 200 else None
    if members is None or "issuer" not in members:
        raise ProviderError(
            f"no metadata is published there (HTTP {response.status})", status=response.status
        )
    found = members["issuer"]
    named_issuer = published_issuer(issuer, found, template)
    if named_issuer is None:
        slash = isinstance(found, str) and found.rstrip("/") == issuer.rstrip("/")
        raise ProviderError(
            "the metadata found there is another issuer's",
            status=200,
            reason=Distrust.ISSUER_MISMATCH.value,
            hint=f"--issuer {found}" if slash else None,
        )
    named = {name: _address(members, name) for name in ENDPOINTS.values()}
    offered = _texts(members, "response_types_supported")
    code_offered = offered is None or "code" in offered
    if not code_offered:
        named["authorization_endpoint"] = None
    return ServerMetadata(
        issuer=named_issuer,
        par_required=members.get("require_pushed_authorization_requests") is True,
        code_offered=code_offered,
        iss_supported=members.get("authorization_response_iss_parameter_supported") is True,
        pkce_methods=_texts(members, "code_challenge_methods_supported"),
        auth_methods=_texts(members, "token_endpoint_auth_methods_supported"),
        id_token_algorithms=_texts(members, "id_token_signing_alg_values_supported"),
        registration_endpoint=_address(members, "registration_endpoint"),
        document_clients=members.get("client_id_metadata_document_supported") is True,
        scopes=known_scopes(members.get("scopes_supported")),
        assertion_algorithms=_texts(members, "token_endpoint_auth_signing_alg_values_supported"),
        request_object_required=members.get("require_signed_request_object") is True,
        request_object_algorithms=_texts(members, "request_object_signing_alg_values_supported"),
        dpop_algorithms=_texts(members, "dpop_signing_alg_values_supported"),
        mtls_endpoint_aliases=_aliases(members),
        response_modes=_texts(members, "response_modes_supported"),
        **named,
    )


def discover(
    http: Http,
    issuer: str,
    *,
    inserted_first: bool = False,
    template: str | None = None,
    pkce: bool = True,
) -> ServerMetadata:
    """The metadata of ``issuer``, from the first place that has a document to sign in with.

    Args:
        http: Asks for them.
        issuer: The issuer identifier.
        inserted_first: As for :func:`metadata_requests`.
        template: As for :func:`judge_metadata`.
        pkce: Whether PKCE is used, which the server then has to offer.

    Raises:
        ConfigInvalid: ``issuer`` is no issuer identifier.
        ProviderError: It publishes none, or promises only what cannot be kept to here.
        NetworkError: It cannot be reached.
    """
    problem: StayfastError | None = None
    incomplete: ServerMetadata | None = None
    for request in metadata_requests(issuer, inserted_first=inserted_first):
        response = http.send(request)
        try:
            metadata = judge_metadata(issuer, response, template=template)
        except NetworkError as error:  # some say 500 for a path they do not know
            problem = error
            continue
        except ProviderError as error:
            vague = isinstance(problem, ProviderError) and problem.reason is None
            if problem is None or (vague and error.reason is not None):
                problem = error
            continue
        metadata.require_feasible(pkce=pkce)
        if metadata.complete:
            return metadata
        incomplete = incomplete or metadata
    if incomplete is not None:  # the configuration may name what is missing
        return incomplete
    if isinstance(problem, NetworkError):
        raise problem
    raise ProviderError(
        f"no usable metadata was found for {urlsplit(issuer).hostname}: "
        f"{problem.message if problem else 'no answer'}",
        reason=(isinstance(problem, ProviderError) and problem.reason)
        or Distrust.SERVER_METADATA_MISSING.value,
        hint=(problem and problem.hint)
        or Hint("provider add", None, "NAME", "--auth-url", "…", "--token-url", "…"),
    ) from problem


def apply_metadata(provider: P, metadata: ServerMetadata) -> P:
    """``provider`` with the endpoints it does not name itself.

    Where it leaves client authentication open and the server takes one way only, that is filled in
    too.

    Raises:
        ProviderError: It leaves client authentication open, and none of the server's can be used.
    """
    found: dict[str, Any] = {
        field: getattr(metadata, name)
        for field, name in ENDPOINTS.items()
        if not getattr(provider, field) and getattr(metadata, name)
    }
    if provider.token_endpoint_auth_method == "auto":
        found["token_endpoint_auth_method"] = metadata.authentication(provider) or "auto"
    if not provider.client_assertion_algorithms:
        found["client_assertion_algorithms"] = metadata.assertion_algorithms or ()
    if not provider.request_object_algorithms:
        found["request_object_algorithms"] = metadata.request_object_algorithms or ()
    if not provider.dpop_algorithms:
        found["dpop_algorithms"] = metadata.dpop_algorithms or ()
    if not provider.mtls_endpoint_aliases:
        found["mtls_endpoint_aliases"] = metadata.mtls_endpoint_aliases
    if provider.response_mode == "auto" and metadata.signed_mode is not None:
        found["response_mode"] = metadata.signed_mode
    listed = metadata.id_token_algorithms
    if listed and tuple(provider.id_token_algorithms) == ASYMMETRIC:
        # none left: such a login is refused before the browser opens, unless it needs no ID token
        found["id_token_algorithms"] = tuple(name for name in listed if name in ASYMMETRIC)
    return replace(
        provider,
        issuer=metadata.issuer,
        iss_required=provider.iss_required or metadata.iss_supported,
        par_required=provider.par_required or metadata.par_required,
        request_object_required=provider.request_object_required
        or metadata.request_object_required,
        **found,
    )


def _address(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    return value if secure_address(value) else None


def _aliases(members: Mapping[str, Any]) -> dict[str, str]:
    """The endpoints for clients with a certificate (RFC 8705 §5), by the names of our settings."""
    value = members.get("mtls_endpoint_aliases")
    if not isinstance(value, dict):
        return {}
    named = cast("dict[str, Any]", value)
    found = {field: _address(named, name) for field, name in ENDPOINTS.items()}
    return {field: address for field, address in found.items() if address}


def _texts(members: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = members.get(name)
    if not isinstance(value, list):
        return None
    return tuple(text for text in cast("list[object]", value) if isinstance(text, str))
