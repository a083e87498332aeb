"""The endpoints of the embedded authorization server, without HTTP."""

# Authlib carries no types, so a strict checker can say little about what passes through it
# pyright: basic

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authlib.oauth2 import OAuth2Error
from joserfc import jwt
from joserfc.errors import JoseError

from ..engine.oauth.client_authentication import BY_CERTIFICATE
from .client_assertions import requested
from .client_certificates import shown_certificate
from .client_certificates import thumbprint as thumbprint_of
from .consent_pages import consent_page, device_page, form_post_page, message_page
from .dpop_proofs import ALGORITHMS, ProofRefused, checked_proof
from .grants import Core, Request
from .misbehaviour.faults import FaultKind, altered, as_octets
from .misbehaviour.id_tokens import forged, signed, with_impostors
from .server_state import EMAIL, USER, IssuedToken

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

    from .misbehaviour.faults import Fault
    from .server_state import ServerState, Settings

_ASKED = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "audience",
    "resource",
    "authorization_details",
    "login_hint",
    "max_age",
    "acr_values",
    "ui_locales",
    "dpop_jkt",
    "prompt",
    "access_type",
]


@dataclass(frozen=True)
class Reply:
    """An answer: members for JSON, text, or octets as they are."""

    status: int
    body: Mapping[str, Any] | str | bytes = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Server(Protocol):
    """The part of the server that the endpoints need. The server imports this module, not vice versa.

    Attributes:
        issuer: Its issuer identifier.
        state: Its clients, codes, tokens and counts.
        settings: How it behaves now.
        secure_address: Where clients with a certificate find it; ``None`` if it has no such place.
    """

    issuer: str
    state: ServerState
    settings: Settings
    secure_address: str | None

    def published_keys(self) -> dict[str, Any]:
        """The published key set (RFC 7517 §5)."""
        ...

    def take_fault(self, endpoint: str, grant: str | None) -> Fault | None:
        """Take the next fault for ``endpoint``, or ``None``."""
        ...

    def hold(self, seconds: float) -> None:
        """Wait as a ``SLOW`` or ``HANG`` does."""
        ...


class Endpoints:
    """The server's answers, by path."""

    def __init__(self, server: Server, key: ECKey | RSAKey) -> None:
        """Answer for ``server``, signing with ``key``."""
        self.server = server
        self.sign_with(key)

    def sign_with(self, key: ECKey | RSAKey) -> None:
        """Sign with ``key`` from now on."""
        self._key = key
        self._core = Core(self.server.state, self.server.issuer, key, self.server.settings)

    def answer(
        self, method: str, path: str, members: dict[str, str], headers: dict[str, str]
    ) -> Reply:
        """The answer to a request."""
        self._core.settings = self.server.settings  # a test may have replaced them since
        request = Request(method, path, members, headers)
        name = path.strip("/")
        if name in {".well-known/openid-configuration", ".well-known/oauth-authorization-server"}:
            lifetime = self.server.settings.metadata_lifetime
            kept = "no-store" if lifetime is None else f"max-age={lifetime}"
            return Reply(200, self._metadata(), {"Cache-Control": kept})
        if name == "jwks":
            return Reply(200, self.server.published_keys())
        if name == "authorize":
            asked = self._pushed(method, members)
            if asked is None:
                return Reply(400, message_page("That request is not known"), _HTML)
            return self._authorize(method, Request(method, path, asked, headers), asked)
        if name == "device":
            return self._device(method, members)
        if name == "end_session" and self.server.settings.end_session:
            return self._end_session(members)
        if name in {"userinfo", "me"}:
            return self._protected(method, path, headers)
        if method == "POST":
            return self._posted(name, request, members, headers)
        return Reply(404, {"error": "not_found"})

    def _posted(
        self, name: str, request: Request, members: dict[str, str], headers: dict[str, str]
    ) -> Reply:
        """The answer to what only a program asks."""
        if name == "par":
            return self._push(request, members)
        if name == self.server.settings.token_path:
            return self._token(request, members, headers)
        if name == "register" and self.server.settings.registration:
            pushes = self.server.settings.registered_push
            return Reply(201, self.server.state.register(members, par_required=pushes))
        if name in _ENDPOINTS:
            return _reply(self._core.create_endpoint_response(_ENDPOINTS[name], request))
        return Reply(404, {"error": "not_found"})

    def _push(self, request: Request, members: dict[str, str]) -> Reply:
        """A pushed authorization request (RFC 9126 §2)."""
        settings, state = self.server.settings, self.server.state
        try:
            client = self._core.client_of(request)
            if members.get("client_id", client.client_id) != client.client_id:
                return Reply(400, {"error": "invalid_request"})
            said = requested(self.server, members)
            if said is None:
                return Reply(400, {"error": "invalid_request_object"})
            asked = {name: said[name] for name in _ASKED if name in said}
            asked["client_id"] = client.client_id
            self._core.get_consent_grant(Request("GET", "/authorize", asked, {}), end_user=USER)
        except OAuth2Error as error:
            return Reply(400, {"error": error.error or "invalid_request"})
        name = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(12)}"
        state.pushed[name] = (asked, state.now() + settings.par_lifetime)
        return Reply(201, {"request_uri": name, "expires_in": settings.par_lifetime})

    def _pushed(self, method: str, members: dict[str, str]) -> dict[str, str] | None:
        """What a browser asks for; ``None`` if the name it brings is not known, spent or ended."""
        name = members.get("request_uri")
        if name is None:
            client = self.server.state.clients.get(members.get("client_id", ""))
            must = self.server.settings.par_required or (client is not None and client.par_required)
            if method != "GET":
                return members
            return None if must else requested(self.server, members)
        asked, ends = self.server.state.pushed.pop(name, ({}, 0.0))
        known = asked.get("client_id") == members.get("client_id")
        return asked if known and self.server.state.now() < ends else None

    def _metadata(self) -> dict[str, Any]:
        issuer, settings = self.server.issuer, self.server.settings
        offered: dict[str, Any] = {"client_id_metadata_document_supported": settings.documents}
        if settings.registration:
            offered["registration_endpoint"] = f"{issuer}/register"
        if settings.scopes:
            offered["scopes_supported"] = list(settings.scopes)
        return offered | {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/{settings.token_path}",
            "device_authorization_endpoint": f"{issuer}/device_authorization",
            "revocation_endpoint": f"{issuer}/revoke",
            "introspection_endpoint": f"{issuer}/introspect",
            "jwks_uri": f"{issuer}/jwks",
            "userinfo_endpoint": f"{issuer}/userinfo",
            **({"end_session_endpoint": f"{issuer}/end_session"} if settings.end_session else {}),
            "response_types_supported": ["code"],
            **(
                {"response_modes_supported": list(settings.response_modes)}
                if settings.response_modes
                else {}
            ),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self._key.get("alg", "ES256")],
            "code_challenge_methods_supported": list(settings.pkce_methods),
            "authorization_response_iss_parameter_supported": settings.send_iss,
            **(
                {"dpop_signing_alg_values_supported": list(ALGORITHMS)}
                if settings.dpop != "off"
                else {}
            ),
            "pushed_authorization_request_endpoint": f"{issuer}/par",
            "require_pushed_authorization_requests": settings.par_required,
            "token_endpoint_auth_methods_supported": [
                *settings.auth_methods,
                *(BY_CERTIFICATE if self.server.secure_address else ()),
            ],
            **self._aliases(),
            "require_signed_request_object": settings.request_object_required,
            "request_object_signing_alg_values_supported": list(settings.assertion_algorithms),
            "token_endpoint_auth_signing_alg_values_supported": list(settings.assertion_algorithms),
        }

    def _aliases(self) -> dict[str, Any]:
        """The endpoints for clients with a certificate (RFC 8705 §5)."""
        secure, path = self.server.secure_address, self.server.settings.token_path
        if secure is None:
            return {}
        named = {
            "token_endpoint": path,
            "revocation_endpoint": "revoke",
            "introspection_endpoint": "introspect",
            "device_authorization_endpoint": "device_authorization",
            "pushed_authorization_request_endpoint": "par",
            "userinfo_endpoint": "userinfo",
        }
        aliases = {name: f"{secure}/{where}" for name, where in named.items()}
        return {
            "tls_client_certificate_bound_access_tokens": True,
            "mtls_endpoint_aliases": aliases,
        }

    def _authorize(self, method: str, request: Request, members: dict[str, str]) -> Reply:
        asked = {name: members[name] for name in _ASKED if name in members}
        try:
            grant = self._core.get_consent_grant(request, end_user=USER)
        except OAuth2Error as error:
            # Authlib redirects only where the redirect address is registered (RFC 6749 §4.1.2.1)
            return self._callback(_reply(error("")), members)
        if method == "GET":
            return Reply(
                200, consent_page(members["client_id"], members.get("scope", ""), asked), _HTML
            )
        user = USER if members.get("decision") == "approve" else None
        answered = self._core.create_authorization_response(request, grant_user=user, grant=grant)
        return self._callback(_reply(answered), members)

    def _callback(self, reply: Reply, members: Mapping[str, str]) -> Reply:
        """``reply`` with ``iss`` (RFC 9207) in its redirect, changed by the next fault.

        With ``response_mode=form_post`` the redirect becomes a page that posts the parameters.
        """
        location = reply.headers.get("Location")
        if location is None:
            return reply
        parts = urlsplit(location)
        parameters: dict[str, Any] = dict(parse_qsl(parts.query))
        if self.server.settings.send_iss:
            parameters["iss"] = self.server.issuer
        fault = self.server.take_fault("callback", None)
        if fault is not None and fault.kind is FaultKind.CALLBACK:
            parameters = altered(parameters, fault.members)
        if members.get("response_mode") in {"jwt", "query.jwt"}:
            parameters = {"response": self._signed_response(members, parameters, fault)}
        if members.get("response_mode") == "form_post":
            bare = urlunsplit(parts._replace(query=""))
            return Reply(200, form_post_page(bare, parameters), _HTML)
        query = urlencode(parameters, doseq=True)
        return Reply(302, "", {"Location": urlunsplit(parts._replace(query=query))})

    def _signed_response(
        self, members: Mapping[str, str], parameters: Mapping[str, Any], fault: Fault | None
    ) -> str:
        """An authorization response as a JWT (JARM §2.1), changed by ``fault``."""
        claims = {
            **parameters,
            "iss": self.server.issuer,
            "aud": members.get("client_id", ""),
            "exp": int(self.server.state.now()) + 600,
        }
        response = signed(claims, self._key)
        if fault is not None and fault.kind is FaultKind.ID_TOKEN:
            return forged(response, fault, self._key)
        return response

    def _end_session(self, members: Mapping[str, str]) -> Reply:
        """A logout (OpenID Connect RP-Initiated Logout §2): the hint must be an ID token of ours."""
        hint, back = members.get("id_token_hint"), members.get("post_logout_redirect_uri")
        try:
            claims = (
                jwt.decode(hint, self._key, algorithms=[str(self._key.get("alg", "ES256"))]).claims
                if hint
                else {}
            )
        except (JoseError, ValueError):
            return Reply(400, message_page("That ID token is not ours"), _HTML)
        client_id = members.get("client_id") or "".join(claims.get("aud", []))
        client = self.server.state.clients.get(client_id)
        if client is None or (claims and client_id not in claims["aud"]):
            return Reply(400, message_page("That client is not known"), _HTML)
        if back is not None and not client.may_return_to(back):
            return Reply(400, message_page("That address is not registered"), _HTML)
        self.server.state.counts["sessions_ended"] += 1
        if back is None:
            return Reply(200, message_page("Signed out"), _HTML)
        parameters = {name: members[name] for name in ("state",) if name in members}
        fault = self.server.take_fault("logout_return", None)
        if fault is not None and fault.kind is FaultKind.CALLBACK:
            parameters = altered(parameters, fault.members)
        return Reply(302, "", {"Location": f"{back}?{urlencode(parameters, doseq=True)}"})

    def _device(self, method: str, members: Mapping[str, str]) -> Reply:
        user_code = members.get("user_code", "").strip().upper()
        if method == "GET":
            return Reply(200, device_page(user_code), _HTML)
        with self.server.state.lock:
            devices = self.server.state.devices.values()
            device = next((d for d in devices if d.user_code == user_code), None)
            if device is None or device.is_expired():
                return Reply(400, message_page("That code is not known"), _HTML)
            device.approved = members.get("decision") == "approve"
        said = "Connected" if device.approved else "Declined"
        return Reply(200, message_page(said), _HTML)

    def _token(self, request: Request, members: dict[str, str], headers: dict[str, str]) -> Reply:
        """A token response, bound to the key of the proof that came with the request (RFC 9449 §5)."""
        settings, state = self.server.settings, self.server.state
        try:
            thumbprint = self._proved("POST", f"/{settings.token_path}", headers)
        except ProofRefused as refused:
            return Reply(400, {"error": refused.error}, self._nonce())
        code = state.codes.get(members.get("code", ""))
        before = code or state.by_refresh_token(members.get("refresh_token", ""))
        held = before.certificate if isinstance(before, IssuedToken) else None
        shown = shown_certificate(headers)
        if held is not None and (shown is None or thumbprint_of(shown) != held):
            return Reply(400, {"error": "invalid_grant"}, self._nonce())
        key = before.thumbprint if before is not None and settings.dpop != "off" else None
        if key not in {None, thumbprint}:
            return Reply(400, {"error": "invalid_grant"}, self._nonce())
        client = state.clients.get(before.client_id) if before is not None else None
        must = settings.dpop == "required" or (client is not None and client.dpop_bound)
        if thumbprint is None and must:
            return Reply(400, {"error": "invalid_dpop_proof"}, self._nonce())
        reply = _reply(self._core.create_token_response(request))
        body = reply.body
        if thumbprint is not None and reply.status == 200 and isinstance(body, dict):
            state.tokens[-1].thumbprint = thumbprint
            body = {**body, "token_type": "DPoP"}
        if shown is not None and reply.status == 200:
            state.tokens[-1].certificate = thumbprint_of(shown)
        return Reply(reply.status, body, {**reply.headers, **self._nonce()})

    def _proved(
        self, method: str, path: str, headers: Mapping[str, str], token: str | None = None
    ) -> str | None:
        """The thumbprint of the key whose proof is among ``headers``; ``None`` without a proof.

        Raises:
            ProofRefused: It does not hold.
        """
        settings, state = self.server.settings, self.server.state
        proof = headers.get("DPoP")
        if settings.dpop == "off" or proof is None:
            return None
        secure = self.server.secure_address if shown_certificate(headers) else None
        return checked_proof(
            state,
            proof,
            method=method,
            url=f"{secure or self.server.issuer}{path}",  # where the request came to (§4.3)
            nonce=state.nonce if settings.dpop_nonce else None,
            token=token,
        )

    def _nonce(self) -> dict[str, str]:
        return {"DPoP-Nonce": self.server.state.nonce} if self.server.settings.dpop_nonce else {}

    def _protected(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        kind, _, token = headers.get("Authorization", "").partition(" ")
        issued = self.server.state.by_access_token(token)
        if issued is not None and issued.thumbprint is not None:
            try:
                thumbprint = self._proved(method, path, headers, token)
            except ProofRefused as refused:
                challenge = {"WWW-Authenticate": f'DPoP error="{refused.error}"'}
                return Reply(401, {"error": refused.error}, {**challenge, **self._nonce()})
            bound = kind.lower() == "dpop" and thumbprint == issued.thumbprint
            kind = "bearer" if bound else "none"
        if issued is not None and issued.certificate is not None:
            shown = shown_certificate(headers)
            if shown is None or thumbprint_of(shown) != issued.certificate:
                kind = "none"
        if kind.lower() != "bearer" or issued is None or not self.server.state.valid(issued):
            return Reply(
                401,
                {"error": "invalid_token"},
                {"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        said = {"sub": USER, "email": EMAIL}
        if path.strip("/") == "userinfo" and self.server.settings.userinfo_signed:
            claims = {**said, "iss": self.server.issuer, "aud": issued.client_id}
            return Reply(200, signed(claims, self._key), {"Content-Type": _JWT})
        return Reply(200, said)

    def spoiled(self, reply: Reply, fault: Fault) -> Reply:
        """``reply`` changed by ``fault``. Of a page or a redirect, only the headers change."""
        headers = {**reply.headers, **fault.headers}
        body = reply.body
        if isinstance(body, str) and reply.headers.get("Content-Type") == _JWT:
            if fault.kind is FaultKind.ID_TOKEN:
                body = forged(body, fault, self._key)
            return Reply(reply.status, body, headers)
        if not isinstance(body, Mapping):
            return Reply(reply.status, body, headers)
        if fault.kind is FaultKind.MEMBERS:
            body = altered(body, fault.members)
        elif fault.kind is FaultKind.FORM:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(body)
        elif fault.kind is FaultKind.TEXT:
            headers.setdefault("Content-Type", f"application/json; charset={fault.charset}")
            body = as_octets(body, fault)
        elif fault.kind is FaultKind.ID_TOKEN and "id_token" in body:
            body = {**body, "id_token": forged(body["id_token"], fault, self._key)}
        elif fault.kind is FaultKind.KEYS and "keys" in body:
            body = {"keys": with_impostors(body["keys"], fault)}
        return Reply(reply.status, body, headers)


_JWT = "application/jwt"
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_ENDPOINTS = {
    "device_authorization": "device_authorization",
    "revoke": "revocation",
    "introspect": "introspection",
}


def _reply(answer: Any) -> Reply:
    status, body, headers = answer
    return Reply(status, body, dict(headers))
