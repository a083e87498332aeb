"""The state of the embedded authorization server: clients, codes, tokens, devices, counts.

Authlib calls the methods of these classes by name (``get_scope``, ``check_client``, …).
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

USER = "ada"
"""The only user."""
EMAIL = "ada@demo.test"
AUTH_METHODS = [
    *("none", "client_secret_basic", "client_secret_post"),
    *("client_secret_jwt", "private_key_jwt"),
    *("tls_client_auth", "self_signed_tls_client_auth"),
]
"""How a client may prove itself."""


@dataclass
class Client:
    """A registered client.

    Attributes:
        client_id: Its identifier.
        client_secret: Empty for a public client.
        redirect_uris: Registered addresses; loopback ones match on any port (RFC 8252 §7.3)
            unless ``exact_ports``.
        exact_ports: Whether a port must be the registered one.
        refreshable: Whether it gets refresh tokens.
        auth_method: How it proves itself at the token endpoint; by default a client with a secret
            sends it, and another one sends nothing.
        post_logout_redirect_uris: Registered addresses that a browser may come back to after its
            session has ended; loopback ones match on any port.
        jwks: Its public keys, for ``private_key_jwt`` (RFC 7517 §5).
        certificate: How its certificate is known: the subject for ``tls_client_auth``, the thumbprint
            for ``self_signed_tls_client_auth`` (RFC 8705 §2).
        dpop_bound: Whether it gets no tokens but those that are bound to a key (RFC 9449 §5.2).
        par_required: Whether it must push its authorization requests (RFC 9126 §6).
    """

    client_id: str
    client_secret: str = ""
    redirect_uris: tuple[str, ...] = (
        "http://127.0.0.1/callback",
        "http://localhost/callback",
    )
    exact_ports: bool = False
    refreshable: bool = True
    auth_method: str | None = None
    jwks: Mapping[str, Any] = field(default_factory=dict[str, Any])
    certificate: str = ""
    dpop_bound: bool = False
    par_required: bool = False
    post_logout_redirect_uris: tuple[str, ...] = ("http://127.0.0.1/signed-out",)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str | None) -> str:
        """Every requested scope: this server allows all."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether ``redirect_uri`` is registered."""
        if self.exact_ports:
            return redirect_uri in self.redirect_uris
        return _without_port(redirect_uri) in {_without_port(uri) for uri in self.redirect_uris}

    def may_return_to(self, address: str) -> bool:
        """Whether a browser may be sent to ``address`` when its session has ended."""
        return _without_port(address) in map(_without_port, self.post_logout_redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether ``client_secret`` is right."""
        return secrets.compare_digest(client_secret, self.client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether ``method`` fits: a client with a secret must send it, and another one must not."""
        del endpoint
        if self.auth_method is not None:
            return method == self.auth_method
        return (method == "none") != bool(self.client_secret)

    def check_response_type(self, response_type: str) -> bool:
        """Whether it is ``code``: this server has no implicit grant."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether ``grant_type`` is allowed: every one, but ``refresh_token`` only if refreshable."""
        return self.refreshable or grant_type != "refresh_token"


def _without_port(uri: str) -> tuple[str, str | None, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path


@dataclass
class Code:
    """An authorization code. Its family is the name of all tokens that come from it."""

    code: str
    client_id: str
    redirect_uri: str | None
    scope: str
    nonce: str | None
    resource: str
    code_challenge: str | None
    code_challenge_method: str | None
    expires_at: float
    thumbprint: str | None = None
    family: str = field(default_factory=lambda: secrets.token_hex(4))
    used: bool = False

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> None:
        """Not kept."""
        return

    def get_acr(self) -> None:
        """Not kept."""
        return

    def get_amr(self) -> None:
        """Not kept."""
        return


@dataclass
class IssuedToken:
    """A token response. ``resource`` has the resources that its request named, by blanks."""

    access_token: str
    refresh_token: str | None
    client_id: str
    scope: str
    family: str
    issued_at: float
    expires_in: int
    resource: str = ""
    thumbprint: str | None = None
    certificate: str | None = None
    revoked: bool = False
    refreshed: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return self.expires_in

    def is_expired(self) -> bool:
        """False: :meth:`ServerState.valid` decides, by the server's own clock."""
        return False

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class Device:
    """A device code that has not been exchanged yet (RFC 8628)."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    expires_at: float
    expired: Callable[[], bool]
    approved: bool | None = None
    used: bool = False
    last_poll: float | None = None
    interval: float = 5.0
    resource: str = ""
    family: str = field(default_factory=lambda: secrets.token_hex(4))

    def get_client_id(self) -> str:
        return self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_user_code(self) -> str:
        return self.user_code

    def is_expired(self) -> bool:
        return self.expired()


@dataclass(frozen=True)
class Seen:
    """A request that arrived, without the values of its parameters: they hold secrets.

    Attributes:
        method: The HTTP method.
        path: The path.
        parameters: The names, sorted.
        authorization: Whether there was an ``Authorization`` header.
    """

    method: str
    path: str
    parameters: tuple[str, ...]
    authorization: bool


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the server behaves without a fault.

    Attributes:
        token_lifetime: Seconds that an access token lasts.
        device_lifetime: Seconds that a device code lasts.
        device_interval: Seconds between polls.
        rotate: Whether a refresh token can be used only once. A second use revokes its family.
        pkce_methods: ``code_challenge_methods_supported`` of the metadata.
        send_iss: Whether callbacks carry ``iss``; the metadata announce it.
        registration: Whether clients may register themselves (RFC 7591).
        registered_push: Whether a client that registers itself must push its requests (RFC 9126 §6).
        documents: ``client_id_metadata_document_supported``. A document is not fetched: its client
            is one of the server's.
        scopes: ``scopes_supported`` of the metadata.
        metadata_lifetime: Seconds that the metadata may be kept (``Cache-Control``); ``None`` for
            not at all, so that a test may change them.
        token_path: Where the token endpoint is. It may move while the server runs.
        auth_methods: ``token_endpoint_auth_methods_supported`` of the metadata.
        assertion_algorithms: ``token_endpoint_auth_signing_alg_values_supported``.
        mtls: Whether it has endpoints for clients with a certificate (``mtls_endpoint_aliases``), whose
            tokens are bound to it (RFC 8705 §3, §5). It is looked at when the server starts.
        resources: The resources that it issues tokens for (RFC 8707); ``None`` for whatever is asked.
        request_object_required: Whether it takes signed requests only (RFC 9101 §10.5).
        dpop: ``off``, ``offered``, or ``required``: whether tokens are bound to a key (RFC 9449).
        dpop_nonce: Whether proofs must have the server's nonce, at the token endpoint and the API.
        par_required: Whether it takes pushed authorization requests only (RFC 9126 §5).
        par_lifetime: Seconds that the name of a pushed request is good.
        response_modes: ``response_modes_supported`` of the metadata; empty where it does not say. An
            answer is signed for whoever asks (JARM).
        end_session: Whether it can end the session of a browser (OpenID Connect RP-Initiated Logout).
        unknown_audiences: For whom a token exchange brings nothing (RFC 8693 §2.2.2).
        userinfo_signed: Whether the UserInfo endpoint answers with a JWT (OpenID Connect Core §5.3.2).
    """

    token_lifetime: float = 3600
    device_lifetime: int = 600
    device_interval: int = 5
    rotate: bool = True
    pkce_methods: tuple[str, ...] = ("S256",)
    send_iss: bool = True
    registration: bool = False
    registered_push: bool = False
    documents: bool = False
    scopes: tuple[str, ...] = ()
    metadata_lifetime: int | None = None
    token_path: str = "token"
    auth_methods: tuple[str, ...] = (
        *("none", "client_secret_basic", "client_secret_post"),
        *("client_secret_jwt", "private_key_jwt"),
    )
    mtls: bool = False
    resources: tuple[str, ...] | None = None
    request_object_required: bool = False
    dpop: str = "off"
    dpop_nonce: bool = False
    par_required: bool = False
    par_lifetime: int = 60
    response_modes: tuple[str, ...] = ()
    end_session: bool = False
    unknown_audiences: tuple[str, ...] = ()
    userinfo_signed: bool = False
    assertion_algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA", "HS256")


class ServerState:
    """All state, in memory and under one lock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.lock = threading.RLock()
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: list[IssuedToken] = []
        self.devices: dict[str, Device] = {}
        self.counts: Counter[str] = Counter()
        self.requests: list[Seen] = []
        self.pushed: dict[str, tuple[dict[str, str], float]] = {}
        """Pushed authorization requests by name, each until it ends."""
        self.nonce = secrets.token_urlsafe(12)
        """The nonce that proofs must have now, where they must have one (RFC 9449 §8)."""
        self.spent: set[str] = set()
        """The ``jti`` of every signed request: each is taken once."""
        self.trusted: dict[str, dict[str, Any]] = {}
        """The key sets of other issuers whose tokens and assertions are taken, by issuer."""

    def register(self, members: Mapping[str, str], *, par_required: bool = False) -> dict[str, Any]:
        """A new client with what ``members`` ask for (RFC 7591 §3.2.1); lists are in JSON.

        Args:
            members: The registration request.
            par_required: Whether the client must push its requests, whatever it asks for.
        """
        method = members.get("token_endpoint_auth_method", "client_secret_basic")
        client = Client(
            f"client-{secrets.token_hex(4)}",
            "" if method == "none" else secrets.token_urlsafe(24),
            tuple(json.loads(members["redirect_uris"])),
            dpop_bound=members.get("dpop_bound_access_tokens") == "true",
            par_required=par_required,
        )
        self.clients[client.client_id] = client
        asked = {name: members[name] for name in ("scope", "client_name") if name in members}
        secret = {"client_secret": client.client_secret, "client_secret_expires_at": 0}
        return {
            "client_id": client.client_id,
            "redirect_uris": list(client.redirect_uris),
            "token_endpoint_auth_method": method,
            **asked,
            **({"dpop_bound_access_tokens": True} if client.dpop_bound else {}),
            **({"require_pushed_authorization_requests": True} if par_required else {}),
            **(secret if client.client_secret else {}),
        }

    def by_access_token(self, token: str) -> IssuedToken | None:
        """The response with the access token ``token``, or ``None``."""
        return next((t for t in self.tokens if t.access_token == token), None)

    def by_refresh_token(self, token: str) -> IssuedToken | None:
        """The response with the refresh token ``token``, or ``None``."""
        return next((t for t in self.tokens if t.refresh_token == token), None)

    def valid(self, token: IssuedToken) -> bool:
        """Whether the access token of ``token`` is valid now."""
        return not token.revoked and self.now() < token.issued_at + token.expires_in

    def revoke_family(self, family: str) -> None:
        """Revoke all tokens that come from one consent (RFC 9700 §4.14.2)."""
        for token in self.tokens:
            if token.family == family:
                token.revoked = True
