"""The grants of the embedded authorization server, on top of Authlib's.

Authlib calls the methods here by name. Where a method only returns a fixed answer, this server has
one user, registers every client for everything, and keeps no history that would matter.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request, grants
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode

from .client_assertions import client_by_assertion
from .client_certificates import client_by_certificate
from .server_state import (
    AUTH_METHODS,
    EMAIL,
    USER,
    Client,
    Code,
    Device,
    IssuedToken,
    ServerState,
)
from .userless_grants import ClientCredentials, InvalidTarget, JwtBearer, TokenExchange

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

CODE_LIFETIME = 60.0


class Request(OAuth2Request):
    """A request in Authlib's form."""

    def __init__(self, method: str, path: str, members: dict[str, str], headers: dict[str, str]):
        """Give Authlib an https address, because it refuses plain http even on loopback."""
        super().__init__(method, f"https://loopback.invalid{path}", headers=headers)
        self.payload = BasicOAuth2Payload(members)

    @property
    def args(self) -> dict[str, str]:
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data


Answer = tuple[int, Any, list[tuple[str, str]]]


class Core(AuthorizationServer):
    """Authlib's server over our state. Its answers are (status, members or text, headers)."""

    def __init__(self, state: ServerState, issuer: str, key: ECKey | RSAKey, settings: Any) -> None:
        """Serve ``state`` as ``issuer``, signing with ``key``."""
        super().__init__()
        self.state = state
        self.issuer = issuer
        self.key = key
        self.settings = settings
        self.asked_resource = ""
        self.register_token_generator("default", self._new_token)
        for method in ("client_secret_jwt", "private_key_jwt"):
            self.register_client_auth_method(method, partial(client_by_assertion, self, method))
        for method in ("tls_client_auth", "self_signed_tls_client_auth"):
            self.register_client_auth_method(method, partial(client_by_certificate, method))
        openid = IdToken(issuer, key, state.now)
        self.register_grant(CodeGrant, [require_challenge, CodeChallenge(), openid])
        self.register_grant(RefreshGrant, [openid])
        self.register_grant(DeviceGrant, [openid])
        for grant in (ClientCredentials, TokenExchange, JwtBearer):
            self.register_grant(grant)
        self.register_endpoint(DeviceEndpoint(self))
        self.register_endpoint(Revocation(self))
        self.register_endpoint(Introspection(self))

    def _new_token(
        self, *, scope: str | None, include_refresh_token: bool, **_: Any
    ) -> dict[str, Any]:
        token: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(24),
            "expires_in": self.settings.token_lifetime,
            "scope": scope or "",
        }
        if include_refresh_token:
            token["refresh_token"] = secrets.token_urlsafe(24)
        return token

    def query_client(self, client_id: str) -> Client | None:
        return self.state.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        source = request.authorization_code or request.refresh_token or request.credential
        resource = request.payload.data.get("resource", "")
        if not {*resource.split()} <= {*source.resource.split()}:
            raise InvalidTarget
        known = self.settings.resources
        if known is not None and not {*resource.split()} <= {*known}:
            raise InvalidTarget
        self.state.tokens.append(
            IssuedToken(
                access_token=token["access_token"],
                refresh_token=token.get("refresh_token"),
                client_id=request.client.client_id,
                scope=token["scope"],
                family=source.family,
                issued_at=self.state.now(),
                expires_in=token["expires_in"],
                resource=resource,
            )
        )
        self.state.counts["tokens"] += 1

    def create_oauth2_request(self, request: Request) -> Request:
        return request

    def create_json_request(self, request: Request) -> Request:
        return request

    def client_of(self, request: Request) -> Client:
        """The client that has proved itself in ``request``.

        Raises:
            OAuth2Error: It has not.
        """
        client: Client = self.authenticate_client(request, AUTH_METHODS, "par")
        return client

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: no part of this server listens to Authlib's signals."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return status, body, headers


class CodeGrant(grants.AuthorizationCodeGrant):
    """Authorization codes. A second use revokes all tokens of the first (RFC 6749 §4.1.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def save_authorization_code(self, code: str, request: OAuth2Request) -> Code:
        data = request.payload.data
        state: ServerState = self.server.state
        state.codes[code] = Code(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.payload.scope or "",
            nonce=data.get("nonce"),
            resource=data.get("resource", ""),
            code_challenge=data.get("code_challenge"),
            code_challenge_method=data.get("code_challenge_method"),
            expires_at=state.now() + CODE_LIFETIME,
            thumbprint=data.get("dpop_jkt"),
        )
        return state.codes[code]

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        state: ServerState = self.server.state
        found = state.codes.get(code)
        if found is None or found.client_id != client.client_id:
            return None
        if found.used:
            state.counts["code_reuse"] += 1
            state.revoke_family(found.family)
            return None
        # by the server's clock, which a test may move; Authlib would look at the system's
        return found if state.now() < found.expires_at else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        authorization_code.used = True

    def authenticate_user(self, authorization_code: Code) -> str:
        del authorization_code
        return USER


class RefreshGrant(grants.RefreshTokenGrant):
    """Refresh tokens with rotation. A second use revokes the whole family (RFC 9700 §4.14.2)."""

    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def authenticate_refresh_token(self, refresh_token: str) -> IssuedToken | None:
        state: ServerState = self.server.state
        found = state.by_refresh_token(refresh_token)
        if found is None or found.revoked:
            return None
        if found.refreshed and self.server.settings.rotate:
            state.counts["refresh_reuse"] += 1
            state.revoke_family(found.family)
            return None
        return found

    def authenticate_user(self, refresh_token: IssuedToken) -> str:
        del refresh_token
        return USER

    def revoke_old_credential(self, refresh_token: IssuedToken) -> None:
        refresh_token.refreshed = True


class DeviceGrant(DeviceCodeGrant):
    """Device codes (RFC 8628)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_device_credential(self, device_code: str) -> Device | None:
        state: ServerState = self.server.state
        found = state.devices.get(device_code)
        return None if found is None or found.used else found

    def query_user_grant(self, user_code: str) -> tuple[str, bool] | None:
        state: ServerState = self.server.state
        found = next(d for d in state.devices.values() if d.user_code == user_code)
        if found.approved is None:
            return None
        found.used = True
        return USER, found.approved

    def should_slow_down(self, credential: Device) -> bool:
        now = self.server.state.now()
        last, credential.last_poll = credential.last_poll, now
        # the first poll may come at once; RFC 8628 §3.5 speaks of the time between two polls
        if last is not None and now - last < credential.interval:
            credential.interval += 5
            return True
        return False


class DeviceEndpoint(DeviceAuthorizationEndpoint):
    """The device authorization endpoint."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def create_endpoint_response(self, request: OAuth2Request) -> Answer:
        self.server.asked_resource = request.payload.data.get("resource", "")
        self.EXPIRES_IN = self.server.settings.device_lifetime
        self.INTERVAL = self.server.settings.device_interval
        return super().create_endpoint_response(request)

    def get_verification_uri(self) -> str:
        return f"{self.server.issuer}/device"

    def save_device_credential(self, client_id: str, scope: str, data: dict[str, Any]) -> None:
        state: ServerState = self.server.state
        ends = state.now() + data["expires_in"]
        state.devices[data["device_code"]] = Device(
            device_code=data["device_code"],
            user_code=data["user_code"],
            client_id=client_id,
            scope=scope or "",
            expires_at=ends,
            expired=lambda: state.now() >= ends,
            interval=data["interval"],
            resource=self.server.asked_resource,
        )


class Revocation(RevocationEndpoint):
    """Revocation (RFC 7009). It revokes all tokens of the family."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        del token_type_hint
        state: ServerState = self.server.state
        return state.by_refresh_token(token_string) or state.by_access_token(token_string)

    def revoke_token(self, token: IssuedToken, request: OAuth2Request) -> None:
        del request
        self.server.state.revoke_family(token.family)
        self.server.state.counts["revoked"] += 1


class Introspection(IntrospectionEndpoint):
    """Introspection (RFC 7662)."""

    CLIENT_AUTH_METHODS = AUTH_METHODS

    query_token = Revocation.query_token

    def check_permission(self, token: IssuedToken, client: Client, request: Any) -> bool:
        del request
        return token.client_id == client.client_id

    def introspect_token(self, token: IssuedToken) -> dict[str, Any]:
        if not self.server.state.valid(token):
            return {"active": False}
        return {
            "active": True,
            "client_id": token.client_id,
            "scope": token.scope,
            "sub": USER,
            "exp": int(token.issued_at + token.expires_in),
        }


class IdToken(OpenIDCode):
    """ID tokens (OpenID Connect Core §2)."""

    def __init__(self, issuer: str, key: ECKey | RSAKey, now: Callable[[], float]) -> None:
        """Sign as ``issuer`` with ``key``, by the clock ``now``."""
        super().__init__(require_nonce=False)
        self._now = now
        self._issuer = issuer
        self._key = key

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        del nonce, request
        return False

    def resolve_client_private_key(self, client: Client) -> ECKey | RSAKey:
        del client
        return self._key

    def get_client_algorithm(self, client: Client) -> str:
        del client
        return str(self._key.get("alg", "ES256"))

    def get_encode_header(self, client: Client) -> dict[str, str]:
        return {"alg": self.get_client_algorithm(client), "kid": self._key.kid or ""}

    def get_compatible_claims(self, request: OAuth2Request) -> dict[str, Any]:
        now = int(self._now())
        return {
            "iss": self._issuer,
            "aud": [request.client.client_id],
            "iat": now,
            "exp": now + 3600,
        }

    def generate_user_info(self, user: str, scope: str) -> UserInfo:
        del scope
        return UserInfo(sub=user, email=EMAIL)


def require_challenge(grant: Any) -> None:
    """An extension of Authlib's code grant: no code without a challenge (RFC 9700 §2.1.1).

    Authlib itself checks only the verifier, after the code was issued.
    """
    grant.register_hook("after_validate_authorization_request_payload", _check_challenge)


def _check_challenge(grant: Any, redirect_uri: str) -> None:
    members = grant.request.payload.data
    method = members.get("code_challenge_method", "plain")  # RFC 7636 §4.3
    allowed = {"S256", *grant.server.settings.pkce_methods}
    if not members.get("code_challenge") or method not in allowed:
        raise InvalidRequestError(
            "PKCE is required", state=members.get("state"), redirect_uri=redirect_uri
        )
