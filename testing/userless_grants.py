"""The grants of the embedded server that need no user: client credentials, exchange, assertions.

A subject token is an access token or ID token of this server, or a JWT of an issuer that it trusts.
"""

# Authlib carries no types, so a strict checker can say little about what passes through it
# pyright: basic

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    UnauthorizedClientError,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ..engine.oauth.id_token import claims_of
from .misbehaviour.id_tokens import signed
from .server_state import AUTH_METHODS, USER

if TYPE_CHECKING:
    from .server_state import Client, ServerState

_TYPE: Final = "urn:ietf:params:oauth:token-type:"
ID_JAG: Final = f"{_TYPE}id-jag"


class InvalidTarget(OAuth2Error):
    """A server or resource that no token is issued for (RFC 8693 §2.2.2)."""

    error = "invalid_target"


@dataclass
class Asked:
    """What a request of these grants is about: its tokens are one family."""

    resource: str
    family: str = field(default_factory=lambda: secrets.token_hex(4))


class _Userless(grants.BaseGrant, grants.TokenEndpointMixin):
    """What the three have in common."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        client: Client = self.authenticate_token_endpoint_client()
        self.request.client = client
        members: dict[str, str] = self.request.payload.data
        self.request.credential = Asked(members.get("resource", ""))
        self.check(client, members)

    def check(self, client: Client, members: dict[str, str]) -> None:
        """Refuse what must be refused, by raising Authlib's errors."""
        raise NotImplementedError

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        members: dict[str, str] = self.request.payload.data
        token = self.generate_token(scope=members.get("scope"), include_refresh_token=False)
        self.save_token(token)
        return 200, {**token, **self.besides(members)}, self.TOKEN_RESPONSE_HEADER

    def besides(self, members: dict[str, str]) -> dict[str, Any]:
        """Further members of the answer."""
        del members
        return {}


class ClientCredentials(_Userless):
    """The client asks for itself (RFC 6749 §4.4): only one that can prove itself."""

    GRANT_TYPE = "client_credentials"

    def check(self, client: Client, members: dict[str, str]) -> None:
        del members
        if not (client.client_secret or client.auth_method):
            raise UnauthorizedClientError


class TokenExchange(_Userless):
    """Token exchange (RFC 8693)."""

    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"

    def check(self, client: Client, members: dict[str, str]) -> None:
        if "subject_token_type" not in members:
            raise InvalidRequestError
        if ("actor_token" in members) != ("actor_token_type" in members):
            raise InvalidRequestError
        for name in ("subject_token", "actor_token"):
            if name == "subject_token" or name in members:
                self._known(client, members.get(name, ""), members[f"{name}_type"])
        if members.get("audience") in self.server.settings.unknown_audiences:
            raise InvalidTarget

    def _known(self, client: Client, token: str, kind: str) -> None:
        state: ServerState = self.server.state
        if kind == f"{_TYPE}access_token":
            issued = state.by_access_token(token)
            if issued is None or not state.valid(issued):
                raise InvalidRequestError  # RFC 8693 §2.2.2
            return
        own = kind == f"{_TYPE}id_token"
        checked(self.server, token, audience={client.client_id} if own else None)

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        members: dict[str, str] = self.request.payload.data
        if members.get("requested_token_type") != ID_JAG:
            return super().create_token_response()
        now = int(self.server.state.now())
        claims: dict[str, Any] = {
            "iss": self.server.issuer,
            "sub": USER,
            "aud": members.get("audience", ""),
            "client_id": self.request.client.client_id,
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + 300,
            **{name: members[name] for name in ("resource", "scope") if name in members},
        }
        token = signed(claims, self.server.key)
        self.server.state.counts["id_jags"] += 1
        answer = {
            "access_token": token,
            "issued_token_type": ID_JAG,
            "token_type": "N_A",
            "expires_in": 300,
        }
        return 200, answer, self.TOKEN_RESPONSE_HEADER

    def besides(self, members: dict[str, str]) -> dict[str, Any]:
        return {
            "issued_token_type": members.get("requested_token_type", f"{_TYPE}access_token"),
        }


class JwtBearer(_Userless):
    """JWT bearer assertions (RFC 7523 §2.1): of the client itself, or of an issuer that is trusted."""

    GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

    def check(self, client: Client, members: dict[str, str]) -> None:
        here = {self.server.issuer, f"{self.server.issuer}/{self.server.settings.token_path}"}
        claims = checked(self.server, members.get("assertion", ""), audience=here, client=client)
        state: ServerState = self.server.state
        number = str(claims.get("jti"))
        if number in state.spent or claims.get("client_id", client.client_id) != client.client_id:
            raise InvalidGrantError
        state.spent.add(number)


def checked(
    server: Any, token: str, *, audience: set[str] | None, client: Client | None = None
) -> dict[str, Any]:
    """The claims of the JWT ``token``, if it holds.

    Args:
        server: The authorization server.
        token: The token.
        audience: Whom it must be for, if that matters.
        client: A client that may have signed it itself.

    Raises:
        OAuth2Error: It does not hold.
    """
    state: ServerState = server.state
    issuer = claims_of(token).get("iss")
    keys: Any = state.trusted.get(str(issuer))
    if keys is None and issuer == server.issuer:
        keys = KeySet([server.key]).as_dict(private=False)
    if keys is None and client is not None and issuer == client.client_id:
        keys = client.jwks
    if not keys:
        raise InvalidGrantError
    try:
        claims = jwt.decode(
            token, KeySet.import_key_set(keys), algorithms=["ES256", "RS256", "EdDSA"]
        ).claims
    except (JoseError, ValueError):
        raise InvalidGrantError from None
    named = claims.get("aud")
    audiences = set(named) if isinstance(named, list) else {named}
    if audience is not None and not audiences & audience:
        raise InvalidGrantError
    if not state.now() < claims.get("exp", 0):
        raise InvalidGrantError
    return claims
