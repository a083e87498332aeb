"""What the embedded authorization server remembers: clients, codes, tokens, devices, counts."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

USER = "ada"
"""The one user there is."""
EMAIL = "ada@demo.test"


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
    """

    client_id: str
    client_secret: str = ""
    redirect_uris: tuple[str, ...] = (
        "http://127.0.0.1/callback",
        "http://localhost/callback",
    )
    exact_ports: bool = False
    refreshable: bool = True

    def get_client_id(self) -> str:
        """Authlib asks."""
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        """Authlib asks."""
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str | None) -> str:
        """Everything that is asked for."""
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether ``redirect_uri`` is registered."""
        if self.exact_ports:
            return redirect_uri in self.redirect_uris
        return _without_port(redirect_uri) in {_without_port(uri) for uri in self.redirect_uris}

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether it is the secret."""
        return secrets.compare_digest(client_secret, self.client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with a secret has to use it."""
        del endpoint
        return (method == "none") != bool(self.client_secret)

    def check_response_type(self, response_type: str) -> bool:
        """Codes only."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Every grant there is; refresh tokens if it gets any."""
        return self.refreshable or grant_type != "refresh_token"


def _without_port(uri: str) -> tuple[str, str | None, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path


@dataclass
class Code:
    """An authorization code; the family names everything that comes of it."""

    code: str
    client_id: str
    redirect_uri: str | None
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    expires_at: float
    family: str = field(default_factory=lambda: secrets.token_hex(4))
    used: bool = False

    def get_redirect_uri(self) -> str | None:
        """Authlib asks."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Authlib asks."""
        return self.scope

    def get_nonce(self) -> str | None:
        """Authlib asks."""
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
    """A token response."""

    access_token: str
    refresh_token: str | None
    client_id: str
    scope: str
    family: str
    issued_at: float
    expires_in: int
    revoked: bool = False
    refreshed: bool = False

    def check_client(self, client: Client) -> bool:
        """Authlib asks."""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """Authlib asks."""
        return self.scope

    def get_expires_in(self) -> int:
        """Authlib asks."""
        return self.expires_in

    def is_expired(self) -> bool:
        """Authlib asks; the server decides by its own clock."""
        return False

    def is_revoked(self) -> bool:
        """Authlib asks."""
        return self.revoked


@dataclass
class Device:
    """A device grant under way."""

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
    family: str = field(default_factory=lambda: secrets.token_hex(4))

    def get_client_id(self) -> str:
        """Authlib asks."""
        return self.client_id

    def get_scope(self) -> str:
        """Authlib asks."""
        return self.scope

    def get_user_code(self) -> str:
        """Authlib asks."""
        return self.user_code

    def is_expired(self) -> bool:
        """Authlib asks."""
        return self.expired()


@dataclass(frozen=True)
class Seen:
    """A request that arrived; the names of its parameters, never their values.

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
    """How the server behaves when nothing is wrong.

    Attributes:
        token_lifetime: Seconds an access token lasts.
        device_lifetime: Seconds a device code lasts.
        device_interval: Seconds between polls.
        rotate: Whether a refresh token can be used once only; used again, its family dies.
        pkce_methods: What the metadata say of PKCE.
        send_iss: Whether callbacks carry ``iss``, and the metadata say so.
    """

    token_lifetime: int = 3600
    device_lifetime: int = 600
    device_interval: int = 5
    rotate: bool = True
    pkce_methods: tuple[str, ...] = ("S256",)
    send_iss: bool = True


class ServerState:
    """Everything in memory, under one lock."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Start with no clients, by the clock ``now``."""
        self.now = now
        self.lock = threading.RLock()
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: list[IssuedToken] = []
        self.devices: dict[str, Device] = {}
        self.counts: Counter[str] = Counter()
        self.requests: list[Seen] = []

    def by_access_token(self, token: str) -> IssuedToken | None:
        """The response that ``token`` was in."""
        return next((t for t in self.tokens if t.access_token == token), None)

    def by_refresh_token(self, token: str) -> IssuedToken | None:
        """The response that ``token`` was in."""
        return next((t for t in self.tokens if t.refresh_token == token), None)

    def valid(self, token: IssuedToken) -> bool:
        """Whether its access token is good now."""
        return not token.revoked and self.now() < token.issued_at + token.expires_in

    def revoke_family(self, family: str) -> None:
        """End everything that came of one consent (RFC 9700 §4.14.2)."""
        for token in self.tokens:
            if token.family == family:
                token.revoked = True
