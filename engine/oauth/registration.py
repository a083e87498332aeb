"""Dynamic client registration (RFC 7591): a client of one's own at a server that knows nobody yet.

A registration belongs to one issuer. It is kept, because a client that registers at every start
fills its server up; and it is replaced once it has expired or the server has forgotten it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from ..errors import ProviderError
from ..hints import Hint
from ..ports import HttpRequest
from ..secret import Secret
from .addresses import secure_address
from .provider_response import judge
from .www_authenticate import known_scopes

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from .metadata import ServerMetadata
    from .provider import OAuthConfig
    from .setting_types import ClientAuthentication, Wanted

CLIENT_NAME: Final = "Stayfast"
SOFTWARE: Final = "stayfast"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_METHODS: Final[tuple[ClientAuthentication, ...]] = (
    # the second also suits servers that look for client_id only in the body
    *("none", "client_secret_post", "client_secret_basic"),
)
"""How a registered client may prove itself, the one wanted most first."""
_LONGEST: Final = 4096  # characters of a client id, a secret or a token
_ENDS_EARLY: Final = 60.0  # seconds; a secret that ends during a login is of no use
_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """A client as a server registered it (RFC 7591 §3.2.1).

    Attributes:
        issuer: The server; the registration is of no use at any other.
        client_id: The client identifier.
        client_secret: For a confidential client.
        secret_expires_at: When the secret ends, POSIX seconds; ``None`` if it does not.
        auth_method: How the client proves itself at the token endpoint.
        redirect_uris: The registered addresses, of those that were asked for.
        scopes: The scopes it may request; ``None`` if the server did not say.
        access_token: Opens the registration (RFC 7592).
        client_uri: Where (RFC 7592 §3).
        dpop_bound: Whether it gets no tokens but those that are bound to a key (RFC 9449 §5.2).
        par_required: Whether it must push its authorization requests (RFC 9126 §6).
        registered_at: When, POSIX seconds.
    """

    issuer: str
    client_id: str
    client_secret: Secret | None
    secret_expires_at: float | None
    auth_method: ClientAuthentication
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...] | None
    access_token: Secret | None
    client_uri: str | None
    registered_at: float
    dpop_bound: bool = False
    par_required: bool = False

    def serves(
        self,
        now: float,
        redirect_uris: Sequence[str],
        scopes: Sequence[str],
        dpop: Wanted = "auto",
    ) -> bool:
        """Whether a login may begin with it now.

        Args:
            now: POSIX seconds.
            redirect_uris: The addresses of which the login uses one.
            scopes: What the login requests.
            dpop: Whether its tokens are to be bound to a key.
        """
        if self.dpop_bound and dpop == "off":
            return False
        lasts = self.secret_expires_at is None or now + _ENDS_EARLY < self.secret_expires_at
        fits = bool(set(self.redirect_uris) & set(redirect_uris))
        return lasts and fits and (self.scopes is None or set(scopes) <= set(self.scopes))

    @property
    def ports(self) -> tuple[int, ...] | None:
        """The ports of its loopback addresses; ``None`` if one has none, and any port will do."""
        ports = [urlsplit(uri).port for uri in self.redirect_uris]
        return None if None in ports else tuple(port for port in ports if port is not None)

    def without_management(self) -> ClientRegistration:
        """The same without the address and token by which it could be looked at or changed."""
        return replace(self, access_token=None, client_uri=None)

    def to_dict(self) -> dict[str, Any]:
        """Every member as plain data, secrets included."""
        members: dict[str, Any] = {
            "schema": _SCHEMA,
            "issuer": self.issuer,
            "client_id": self.client_id,
            "client_secret": self.client_secret.reveal() if self.client_secret else None,
            "secret_expires_at": self.secret_expires_at,
            "auth_method": self.auth_method,
            "redirect_uris": list(self.redirect_uris),
            "scopes": None if self.scopes is None else list(self.scopes),
            "access_token": self.access_token.reveal() if self.access_token else None,
            "client_uri": self.client_uri,
            "registered_at": float(self.registered_at),
            "dpop_bound": self.dpop_bound or None,
            "par_required": self.par_required or None,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> ClientRegistration | None:
        """The registration that :meth:`to_dict` wrote; ``None`` if it is none that can be used."""
        try:
            if members["schema"] != _SCHEMA or members["auth_method"] not in _METHODS:
                return None
            secret, token = members.get("client_secret"), members.get("access_token")
            scopes = members.get("scopes")
            return cls(
                issuer=members["issuer"],
                client_id=members["client_id"],
                client_secret=Secret(secret) if secret else None,
                secret_expires_at=members.get("secret_expires_at"),
                auth_method=members["auth_method"],
                redirect_uris=tuple(members["redirect_uris"]),
                scopes=None if scopes is None else tuple(scopes),
                access_token=Secret(token) if token else None,
                client_uri=members.get("client_uri"),
                registered_at=members["registered_at"],
                dpop_bound=members.get("dpop_bound") is True,
                par_required=members.get("par_required") is True,
            )
        except (KeyError, TypeError):
            return None


def client_members(
    metadata: ServerMetadata,
    redirect_uris: Sequence[str],
    scopes: Sequence[str],
    dpop: Wanted = "auto",
) -> dict[str, Any]:
    """What is registered (RFC 7591 §2): a native application with loopback addresses.

    Without ``application_type`` a server takes it for a web application, whose addresses may not be
    loopback ones (OpenID Connect Dynamic Client Registration §2).

    A client whose tokens must be bound to a key says so (RFC 9449 §5.2): then no other program can get
    an unbound one with it.
    """
    grants = ["authorization_code", "refresh_token"]
    if metadata.device_authorization_endpoint:
        grants.append(DEVICE_GRANT)
    members: dict[str, Any] = {
        "client_name": CLIENT_NAME,
        "software_id": SOFTWARE,
        "application_type": "native",
        "redirect_uris": list(redirect_uris),
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": _method(metadata),
    }
    if scopes:
        members["scope"] = " ".join(scopes)
    if dpop == "required":
        members["dpop_bound_access_tokens"] = True
    return members


def _method(metadata: ServerMetadata) -> ClientAuthentication:
    listed = metadata.auth_methods
    if listed is None:
        return "none"
    for method in _METHODS:
        if method in listed:
            return method
    raise ProviderError(
        f"this provider registers clients by {', '.join(listed)[:80]} only",
        hint=Hint("login", metadata.issuer, "--client-id", "ID"),
    )


def registration_request(
    endpoint: str, members: Mapping[str, Any], config: OAuthConfig | None = None
) -> HttpRequest:
    """The registration of a client with ``members`` (RFC 7591 §3.1), as the provider wants it said."""
    members = members if config is None else _spelt(config, members)
    return HttpRequest(
        method="POST",
        url=endpoint,
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        body=json.dumps(members).encode(),
    )


def _spelt(config: OAuthConfig, members: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider of ``config`` wants to hear of ``members``, by its own names."""
    said: dict[str, Any] = {}
    for name, value in members.items():
        if name not in (config.registration_parameters or members):
            continue
        if name == "scope" and config.registration_scope_list:
            said["scopes"] = value.split()
        else:
            said[config.parameter_names.get(name, name)] = value
    return {**said, **config.extra_registration_params}


def judge_registration(
    issuer: str,
    asked: Mapping[str, Any],
    response: HttpResponse,
    config: OAuthConfig | None = None,
) -> ClientRegistration:
    """The registration in ``response``.

    Args:
        issuer: The server that was asked.
        asked: What :func:`client_members` gave.
        response: Its answer.
        config: The provider, if its answers have names of their own.

    Raises:
        ProviderError: It refused; or it registered something else than was asked for.
        NetworkError: The matter is not settled.
    """
    members = judge(response, "registration", config)
    client_id = _word(members.get("client_id"))
    if client_id is None:
        raise _wrong("has no client id", response)
    method = members.get("token_endpoint_auth_method", asked["token_endpoint_auth_method"])
    secret = _word(members.get("client_secret"))
    if method not in _METHODS or (method != "none" and secret is None):
        raise _wrong("has a way of client authentication that was not asked for", response)
    wanted = cast("list[str]", asked["redirect_uris"])
    addresses: object = members.get("redirect_uris", wanted)
    if not isinstance(addresses, list) or not addresses:
        raise _wrong("has no redirect address", response)
    if any(address not in wanted for address in cast("list[object]", addresses)):
        raise _wrong("has a redirect address that was not asked for", response)
    scope = members.get("scope")
    named = _word(members.get("registration_client_uri"))
    token = _word(members.get("registration_access_token"))
    return ClientRegistration(
        issuer=issuer,
        client_id=client_id,
        client_secret=Secret(secret) if secret and method != "none" else None,
        secret_expires_at=_moment(members.get("client_secret_expires_at")) if secret else None,
        auth_method=method,
        redirect_uris=tuple(cast("list[str]", addresses)),
        scopes=known_scopes(scope.split()) if isinstance(scope, str) and scope.strip() else None,
        access_token=Secret(token) if token else None,
        client_uri=named if named and secure_address(named) else None,
        registered_at=response.received_at,
        dpop_bound=members.get("dpop_bound_access_tokens") is True,
        par_required=members.get("require_pushed_authorization_requests") is True,
    )


def _word(value: object) -> str | None:
    """``value`` if it can be a client id, a secret or a token (RFC 6749 appendix A)."""
    fine = isinstance(value, str) and value.isascii() and value.isprintable() and value.strip()
    return value if fine and isinstance(value, str) and len(value) <= _LONGEST else None


def _moment(value: object) -> float | None:
    """When a secret ends, POSIX seconds; 0 means that it does not (RFC 7591 §3.2.1)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and isinstance(value, int | float) and 0 < value < 1e12 else None


def _wrong(what: str, response: HttpResponse) -> ProviderError:
    return ProviderError(
        f"the provider's registration {what}, and it is not used",
        status=response.status,
        reason="registration_changed",
        hint=Hint("login", "ADDRESS", "--client-id", "ID"),
    )
