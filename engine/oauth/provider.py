"""A provider as configured, and the same with a client's credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

from ..errors import ConfigInvalid
from ..hints import Hint
from .setting_types import (
    ASYMMETRIC,
    DEFAULT_PORTS,
    DEFAULT_REDIRECT_URI,
    DEVICE_GRANT_TYPE,
    OUR_HEADERS,
    OURS,
    OURS_AT_TOKEN_ENDPOINT,
    PROGRAMS_REDIRECT_URI,
    check,
)

if TYPE_CHECKING:
    from .setting_types import (
        BodyFormat,
        ClientAuthentication,
        Discovery,
        GrantName,
        PkceMethod,
        RedirectPort,
        ResponseMode,
        RevocationAuthentication,
        RevocationFormat,
        RevocationMethod,
        RevocationReach,
        Rotation,
        SecretUse,
        Wanted,
    )


@dataclass(frozen=True, kw_only=True)
class OAuthProvider:
    """An authorization server, without anybody's credentials.

    Attributes:
        service_name: The name logins are kept under.
        auth_url: Authorization endpoint (RFC 6749 §3.1).
        token_url: Token endpoint (RFC 6749 §3.2).
        scopes: The scopes of a login that names none itself.
        display_name: What a person reads.
        setup_url: Where a client is registered.
        issuer: Issuer identifier; with it the endpoints can be discovered
            (OpenID Connect Discovery §4, RFC 8414 §3), and ``iss`` is checked (RFC 9207).
        device_url: Device authorization endpoint (RFC 8628 §3.1).
        revocation_url: Revocation endpoint (RFC 7009).
        introspection_url: Introspection endpoint (RFC 7662).
        jwks_url: The provider's signing keys, for ID tokens.
        par_url: Pushed authorization request endpoint (RFC 9126 §2).
        userinfo_url: UserInfo endpoint (OpenID Connect Core §5.3).
        end_session_url: Where a browser session is ended (OpenID Connect RP-Initiated Logout §2.1).
        post_logout_redirect_uri: Where the browser comes back to after that, as it was registered at
            the provider; its port is as free as that of :attr:`redirect_uri`. Without it the
            browser stays at the provider.
        audience: Sent as ``audience`` with the authorization request, and with a grant that needs
            no user.
        resources_url: An API address that lists what the token reaches, for callers.
        resources: Resource indicators (RFC 8707 §2): what the tokens are for. They are sent with the
            authorization request, the device request and every token request.
        authorization_details: What exactly is asked for (RFC 9396 §2): a JSON array of objects, as
            text. It is sent with the authorization request and the device request.
        extra_auth_params: Further authorization request parameters.
        extra_device_params: Further device authorization request parameters.
        extra_token_params: Further parameters of the requests that bring the first tokens: of the code
            exchange and of the polls.
        extra_refresh_params: Further parameters of a refresh.
        extra_revoke_params: Further parameters of a revocation.
        redirect_uri: The registered redirect address. Its host and path are fixed; a port in it is
            fixed too, ``:0`` means any free one, and without a port :attr:`ports` are tried.
        redirect_per_issuer: Whether the path of :attr:`redirect_uri` gets a last part of this
            issuer's own, so that no other server's answer arrives there (RFC 9700 §4.4.2.2).
        ports: Loopback ports to try, in order.
        iss_required: Whether a callback must carry ``iss``
            (``authorization_response_iss_parameter_supported``, RFC 9207 §3).
        token_endpoint_auth_method: How the client proves itself.
        client_key_file: The file of the private key that the client signs with: PEM, or a JWK. For
            a certificate of the client it is the certificate's key.
        client_key_id: The ``kid`` of that key, where its file does not say it.
        client_certificate_file: The file of the client's TLS certificate, PEM. It is shown on every
            request of the client, and tokens may be bound to it (RFC 8705 §3).
        client_assertion_algorithms: The JWS algorithms that the server takes client assertions by;
            empty where it does not say.
        client_assertion_audience: The ``aud`` of client assertions instead of the issuer, for
            servers that want another one.
        mtls_endpoint_aliases: Endpoints, by the names of these settings, that a client with a
            certificate uses instead (RFC 8705 §5).
        client_id_in_body: Whether ``client_id`` stands in the body also beside ``Basic``. RFC 6749
            §2.3 allows one method a request, and some servers refuse both; others look only there.
        par_required: Whether the server takes pushed authorization requests only
            (``require_pushed_authorization_requests``, RFC 9126 §5).
        par: Whether authorization requests are pushed (RFC 9126): ``auto`` where the server takes no
            others, ``required``, or ``off``.
        request_object: Whether authorization requests are signed (JAR, RFC 9101): ``auto`` where
            the server takes no others, ``required``, or ``off``.
        request_object_required: Whether the server takes signed requests only
            (``require_signed_request_object``, §10.5).
        request_object_algorithms: The JWS algorithms that the server takes them by; empty where it
            does not say.
        response_mode: How the answer comes back: ``jwt`` or ``query.jwt`` is signed (JARM §2.3) and
            checked; ``auto`` is signed where the server offers nothing else, and else plain.
        dpop: Whether tokens are bound to a key (DPoP, RFC 9449): ``auto`` where the client is
            registered so, ``required``, or ``off``. With ``required``, an unbound token is refused.
        dpop_bound_access_tokens: Whether the client is registered for bound tokens only (§5.2).
        dpop_algorithms: The JWS algorithms that the server takes proofs by (§5.1); empty where it
            does not say.
        token_request_format: ``form`` as in RFC 6749, or ``json`` for those who want that.
        token_request_headers: Further headers for the token endpoint, such as an API version.
        token_types: Words that this provider uses for ``bearer`` in ``token_type``.
        empty_400_refuses: Whether an empty 400 is how the server refuses a refresh token, as
            Glewlwyd does. From any other server it is trouble.
        token_response_path: Members to descend into before the tokens are found.
        scope_separator: What joins scopes in a request.
        scope_parameter: The name scopes go by in the authorization request.
        grant: How tokens are asked for: ``authorization-code`` with the user, by a browser or a
            device code; or without a user by ``client-credentials`` (RFC 6749 §4.4),
            ``token-exchange`` (RFC 8693) or ``jwt-bearer`` (RFC 7523 §2.1).
        subject_login: The login whose token is the subject token of a token exchange, or the
            assertion of ``jwt-bearer``: ``PROVIDER`` or ``PROVIDER/ACCOUNT``.
        subject_token_file: The file that holds that token instead; it is read at each request.
        subject_token_type: Its type: ``access_token``, ``id_token``, ``jwt`` or another word of
            RFC 8693 §3, or a URN.
        actor_login: The login whose token is the actor token of a token exchange.
        actor_token_file: The file that holds it instead.
        actor_token_type: Its type.
        requested_token_type: The type of token that the exchange is to bring; likewise.
        assertion_subject: The ``sub`` of an assertion that the client signs itself; else it is the
            client id.
        via: The transport to prefer: ``auto``, ``loopback``, ``manual``, ``device``, or an
            installed one by its name.
        shows_code: Whether the provider shows the bare code for the user to copy.
        id_token_algorithms: JWS algorithms accepted for ID tokens. Of the default, those that the
            metadata lists.
        id_token_azp_required: Whether an ID token for several audiences must say to whom it was issued
            (``azp``, OpenID Connect Core §3.1.3.7, 3 and 4), as FAPI 2.0 clients want it.
        id_token_issuers: Further spellings of :attr:`issuer` that its ID tokens may carry.
        parameter_names: The provider's own names of parameters, by the name of the RFC, in requests to
            the token, device and revocation endpoints (``grant_type = "grantType"``).
        member_names: The provider's own names of members of its answers, likewise. A name with dots
            descends (``error = "error.error_subcode"``). Where theirs is absent, the RFC's is read.
        error_codes: What the provider's own error codes mean, in the words of the RFCs
            (``1349174 = "authorization_pending"``).
        device_grant_type: The ``grant_type`` of polls (RFC 8628 §3.4).
        device_lifetime: Seconds that a device code lives if the answer does not say.
        repeats_scope: Requests that name the scopes again: ``poll``, ``refresh``.
        repeats_redirect_uri: Requests that name the redirect address again: ``refresh``.
        refresh_url: Where refresh tokens are sent, if not to :attr:`token_url`.
        scopes_for_device: The scopes of the device flow, where they are others than :attr:`scopes`.
        secret_for: Which requests the client proves itself on: ``all``, ``code`` (with a browser, but
            not in the device flow nor on refreshes of its tokens), or ``none``.
        empty_secret: Whether a client without a secret sends ``Basic`` with an empty one.
        sends_scope: Whether ``scope`` is sent at all; some servers fix the scopes at the client.
        sends_scope_for_device: Whether the device flow sends it.
        sends_redirect_uri: Whether ``redirect_uri`` is sent where the provider's page shows the code.
        pkce: ``S256`` (RFC 7636), or ``off`` for a server that refuses requests with it. Every login
            then warns, and the audit log says so.
        revocation_method: The HTTP method of a revocation.
        revocation_auth: Whom a revocation is sent as: the ``client`` in its usual way, or by
            ``basic``, the ``bearer`` of the token, or nobody (``none``).
        revocation_parameters: What a revocation says: ``token``, ``token_type_hint``; and
            ``client_id`` where it is not sent as the client. :attr:`parameter_names` applies. Without
            any, it has no body.
        revocation_format: Whether it says so as a ``form`` or in ``json``; empty: as the token
            endpoint is told. In :attr:`revocation_url`, ``{client_id}`` is filled in.
        revocation_tokens: Which tokens the provider revokes.
        revocation_ends: What a revocation ends: the ``token`` alone, the whole ``grant`` that it
            came from, or ``all`` grants of the user to this client.
        refresh_rotates: Whether a refresh brings a new refresh token: ``yes``, ``no``, ``optional``.
        refresh_grace: Seconds that the one before still serves.
        refresh_lifetime: Seconds that a refresh token lives if the answer does not say.
        refresh_lifetime_slides: Whether each refresh starts that lifetime again.
        token_lists: Members of an answer that hold lists of further tokens.
        token_resource_member: The member of such a token that names its resource.
        api_url_member: The member of an answer that says where the API is (``instance_url``).
        callback_extras: Further parameters of the callback that are kept with the login.
        issuer_template: The issuer of ID tokens, with ``{tenantid}`` for their ``tid``, where each
            tenant has its own.
        discovers: Whether metadata are read: ``yes``; ``no``; or ``endpoints-elsewhere``, where the
            endpoints may be at another host than the issuer.
        redirect_port: Which ports of a loopback address the provider takes: ``any``, the ``exact``
            one that is registered, or those of a ``range`` (:attr:`ports`).
        redirect_hosts: The loopback hosts that it takes; any if empty.
        registration_url: Where a client registers itself at the first login (RFC 7591), if none is
            configured. One whose secret ends is registered anew.
        registration_parameters: What such a registration says, of RFC 7591 §2; all of it if empty.
            :attr:`parameter_names` applies.
        registration_scope_list: Whether it names the scopes in a list (``scopes``), and not in a text.
        extra_registration_params: Further members of it.
        redirect_https_only: Whether it takes ``https`` addresses only.
    """

    service_name: str
    auth_url: str = ""
    token_url: str = ""
    scopes: Sequence[str] = ()
    display_name: str = ""
    setup_url: str = ""
    issuer: str | None = None
    device_url: str | None = None
    revocation_url: str | None = None
    introspection_url: str | None = None
    jwks_url: str | None = None
    userinfo_url: str | None = None
    end_session_url: str | None = None
    post_logout_redirect_uri: str | None = None
    par_url: str | None = None
    audience: str | None = None
    resources_url: str | None = None
    resources: Sequence[str] = ()
    authorization_details: str | None = None
    extra_auth_params: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_device_params: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_token_params: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_refresh_params: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_revoke_params: Mapping[str, str] = field(default_factory=dict[str, str])
    redirect_uri: str = PROGRAMS_REDIRECT_URI
    redirect_per_issuer: bool = False
    ports: Sequence[int] = DEFAULT_PORTS
    iss_required: bool = False
    token_endpoint_auth_method: ClientAuthentication = "auto"
    client_key_file: str | None = None
    client_key_id: str | None = None
    client_certificate_file: str | None = None
    client_assertion_algorithms: Sequence[str] = ()
    client_assertion_audience: str | None = None
    mtls_endpoint_aliases: Mapping[str, str] = field(default_factory=dict[str, str])
    client_id_in_body: bool = False
    par_required: bool = False
    par: Wanted = "auto"
    request_object: Wanted = "auto"
    request_object_required: bool = False
    request_object_algorithms: Sequence[str] = ()
    response_mode: ResponseMode = "auto"
    dpop: Wanted = "auto"
    dpop_bound_access_tokens: bool = False
    dpop_algorithms: Sequence[str] = ()
    token_request_format: BodyFormat = "form"
    token_request_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    token_types: Sequence[str] = ()
    empty_400_refuses: bool = False
    token_response_path: Sequence[str] = ()
    scope_separator: str = " "
    scope_parameter: str = "scope"
    grant: GrantName = "authorization-code"
    subject_login: str | None = None
    subject_token_file: str | None = None
    subject_token_type: str | None = None
    actor_login: str | None = None
    actor_token_file: str | None = None
    actor_token_type: str | None = None
    requested_token_type: str | None = None
    assertion_subject: str | None = None
    via: str = "auto"
    shows_code: bool = False
    id_token_algorithms: Sequence[str] = ASYMMETRIC
    id_token_issuers: Sequence[str] = ()
    id_token_azp_required: bool = False
    parameter_names: Mapping[str, str] = field(default_factory=dict[str, str])
    member_names: Mapping[str, str] = field(default_factory=dict[str, str])
    error_codes: Mapping[str, str] = field(default_factory=dict[str, str])
    device_grant_type: str = DEVICE_GRANT_TYPE
    device_lifetime: float | None = None
    repeats_scope: Sequence[str] = ()
    repeats_redirect_uri: Sequence[str] = ()
    refresh_url: str | None = None
    scopes_for_device: Sequence[str] = ()
    secret_for: SecretUse = "all"
    empty_secret: bool = False
    sends_scope: bool = True
    sends_scope_for_device: bool = True
    sends_redirect_uri: bool = True
    pkce: PkceMethod = "S256"
    revocation_method: RevocationMethod = "POST"
    revocation_auth: RevocationAuthentication = "client"
    revocation_parameters: Sequence[str] = ("token", "token_type_hint", "client_id")
    revocation_format: RevocationFormat = ""
    revocation_tokens: Sequence[str] = ("refresh_token", "access_token")
    revocation_ends: RevocationReach = ""
    refresh_rotates: Rotation = ""
    refresh_grace: float | None = None
    refresh_lifetime: float | None = None
    refresh_lifetime_slides: bool = False
    token_lists: Sequence[str] = ()
    token_resource_member: str = ""
    api_url_member: str = ""
    callback_extras: Sequence[str] = ()
    issuer_template: str | None = None
    discovers: Discovery = "yes"
    redirect_port: RedirectPort = ""
    redirect_hosts: Sequence[str] = ()
    registration_url: str | None = None
    registration_parameters: Sequence[str] = ()
    registration_scope_list: bool = False
    extra_registration_params: Mapping[str, str] = field(default_factory=dict[str, str])
    redirect_https_only: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be right, so that whatever is saved can be read again.

        Raises:
            ConfigInvalid: A field has the wrong type or a value outside its choices.
        """
        for name, f in self.__dataclass_fields__.items():
            value = getattr(self, name)
            if value is not f.default:
                check(name, value)
        self._check_parameters()
        for name in self.token_request_headers:
            if name.strip().lower() in OUR_HEADERS:
                msg = f"the header {name[:40]!r} cannot be configured"
                raise ConfigInvalid(msg, hint=Hint("help providers"))

    def _check_parameters(self) -> None:
        """Refuse request parameters that are ours, by whichever setting they come."""
        named = {"audience": self.audience, "authorization_details": self.authorization_details}
        asked = {name for name, value in named.items() if value}
        targets = {"resource"} if self.resources else set[str]()
        scope = self.scope_parameter.lower() if self.scopes else "client_id"
        device_scope = {"scope"} if self.scopes else set[str]()
        query = self.auth_url.partition("?")[2].partition("#")[0]
        registered = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        for names, ours in (
            ((*self.extra_auth_params, *registered), OURS | asked | targets | {scope}),
            (
                self.extra_device_params,
                OURS_AT_TOKEN_ENDPOINT | asked | targets | device_scope,
            ),
            (self.extra_token_params, OURS_AT_TOKEN_ENDPOINT | targets),
            (self.extra_refresh_params, OURS_AT_TOKEN_ENDPOINT | targets),
            (self.extra_revoke_params, OURS_AT_TOKEN_ENDPOINT),
        ):
            for name in names:
                if name.strip().lower() in ours:
                    raise _ours(name)
        if self.scope_parameter.strip().lower() in OURS:
            raise _ours(self.scope_parameter)

    @property
    def needs_no_user(self) -> bool:
        """Whether tokens are asked for without a user."""
        return self.grant != "authorization-code"

    @property
    def can_ask_again(self) -> bool:
        """Whether that can be done any number of times, with nothing that is given only once."""
        if self.grant == "token-exchange":
            return bool(self.subject_login or self.subject_token_file)
        return self.grant in {"client-credentials", "jwt-bearer"}

    @property
    def asked_scope(self) -> str:
        """The scopes as a request names them; empty where none is to be named."""
        return self.scope_separator.join(self.asked_scopes)

    @property
    def asked_scopes(self) -> Sequence[str]:
        """The scopes that requests name; none where the server fixes them at the client."""
        return self.scopes if self.sends_scope else ()

    @property
    def title(self) -> str:
        """What a person reads: the display name, or else the service name."""
        return self.display_name or self.service_name

    def to_config(self, client_id: str, client_secret: str | None = None) -> OAuthConfig:
        """This provider as seen by one registered client."""
        shared = {f.name: getattr(self, f.name) for f in fields(OAuthProvider)}
        return OAuthConfig(**shared, client_id=client_id, client_secret=client_secret)


@dataclass(frozen=True, kw_only=True)
class OAuthConfig(OAuthProvider):
    """A provider together with a client's credentials (RFC 6749 §2).

    Attributes:
        client_id: The client identifier; not a secret.
        client_secret: For confidential clients; ``repr`` does not show it.
        client_key: The private key itself, of a program that keeps it in no file; likewise.
        subject_token: The subject token, or the assertion, itself; it serves once, and is empty
            from then on.
        actor_token: The actor token itself; likewise.
        client_id_for_device: The client of the device flow, where it is another one.
        client_secret_for_device: Its secret.
    """

    client_id: str = ""
    client_secret: str | None = field(default=None, repr=False)
    client_key: str | None = field(default=None, repr=False)
    subject_token: str | None = field(default=None, repr=False)
    actor_token: str | None = field(default=None, repr=False)
    client_id_for_device: str | None = None
    client_secret_for_device: str | None = field(default=None, repr=False)

    @property
    def can_ask_again(self) -> bool:
        """Whether that can be done any number of times, with nothing that is given only once."""
        given = self.subject_token is not None or self.actor_token is not None
        return super().can_ask_again and not given

    def of_device_flow(self) -> OAuthConfig:
        """The same as the device flow uses it: with its own client and scopes, where it has them.

        Its tokens are that client's: they are refreshed and revoked with it. No redirect address
        belongs to them.
        """
        own = self.client_id_for_device
        return replace(
            self,
            client_id=own or self.client_id,
            client_secret=self.client_secret_for_device if own else self.client_secret,
            scopes=self.scopes_for_device or self.scopes,
            sends_scope=self.sends_scope and self.sends_scope_for_device,
            secret_for="none" if self.secret_for == "code" else self.secret_for,
            repeats_redirect_uri=(),
        )

    def spent(self) -> OAuthConfig:
        """The same, once the tokens that serve once have been sent: they are erased."""
        if not (self.subject_token or self.actor_token):
            return self
        return replace(
            self,
            subject_token=None if self.subject_token is None else "",
            actor_token=None if self.actor_token is None else "",
        )

    def without_secrets(self) -> OAuthConfig:
        """The same, with nothing that must not leave the storage."""
        return replace(
            self,
            client_secret=None,
            client_key=None,
            subject_token=None,
            actor_token=None,
            client_secret_for_device=None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field that differs from the default of a file, secrets included, as plain data."""
        plain: dict[str, Any] = {}
        for name, f in self.__dataclass_fields__.items():  # at each commit: fields() is slower
            value, default = getattr(self, name), _OF_FILES.get(name, f.default)
            if value is not default and value not in (default, {}):
                plain[name] = _plain(value)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OAuthConfig:
        """The configuration :meth:`to_dict` wrote, or the members of a provider file.

        Raises:
            ConfigInvalid: A member is unknown or cannot be right, or there is no ``service_name``.
        """
        for name in data:
            if name not in cls.__dataclass_fields__:
                msg = f"unknown provider setting {name!r}"
                raise ConfigInvalid(msg, hint=Hint("help providers"))
        if "service_name" not in data:
            raise ConfigInvalid("a provider without a name", hint=Hint("help providers"))
        known_address = {"redirect_uri": DEFAULT_REDIRECT_URI, **data}
        return cls(**{name: _frozen(value) for name, value in known_address.items()})


def same_client(one: OAuthConfig, other: OAuthConfig) -> bool:
    """Whether both are one client (RFC 6749 §2.2), where both are known.

    The client of a device flow belongs to the one beside it: somebody registered both.
    """
    clients = {one.client_id, one.client_id_for_device} - {"", None}
    others = {other.client_id, other.client_id_for_device} - {"", None}
    return not (clients.isdisjoint(others) and one.client_id and other.client_id)


def same_resources(one: OAuthProvider, other: OAuthProvider) -> bool:
    """Whether the tokens of both are for the same resources (RFC 8707 §2), in any order."""
    return set(one.resources) == set(other.resources)


def same_grant(one: OAuthConfig, other: OAuthConfig) -> bool:
    """Whether both ask in the same way, and about the same; a token that was given serves once."""
    given = (one.subject_token, one.actor_token, other.subject_token, other.actor_token)
    if any(token is not None for token in given):
        return False
    if not (one.needs_no_user or other.needs_no_user):
        return True
    names = (
        *("grant", "audience", "requested_token_type", "assertion_subject", "scopes"),
        *("subject_login", "subject_token_file", "subject_token_type"),
        *("actor_login", "actor_token_file", "actor_token_type"),
    )
    return all(getattr(one, name) == getattr(other, name) for name in names)


def same_server(one: OAuthProvider, other: OAuthProvider) -> bool:
    """Whether both are one authorization server: one issuer, or else one host of token endpoints."""
    if one.issuer and other.issuer:
        return one.issuer.rstrip("/") == other.issuer.rstrip("/")
    return urlsplit(one.token_url).netloc.lower() == urlsplit(other.token_url).netloc.lower()


_OF_FILES: Final = {"redirect_uri": DEFAULT_REDIRECT_URI}
"""Defaults of a file, and of saved logins, that differ from those of a program."""


def _ours(name: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"the parameter {name[:40]!r} is set by Stayfast and cannot be configured",
        hint=Hint("help providers"),
    )


def _plain(value: object) -> object:
    if isinstance(value, str):  # most are, and to ask for a mapping takes long
        return value
    if isinstance(value, list | tuple):
        return list(cast("Sequence[str | int]", value))
    if isinstance(value, Mapping):
        return dict(cast("Mapping[str, str]", value))
    return value


def _frozen(value: Any) -> Any:
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value
