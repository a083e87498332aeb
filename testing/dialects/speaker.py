"""One provider at work: it answers requests in its dialect, and keeps a list of what it must complain of.

It is as strict as the dialect: a parameter that is documented nowhere, or goes by another name there, is
a complaint, and so is everything that a real server would refuse.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from ..endpoints import Reply
from .dialect import PUBLIC_STYLES, Call, Dialect
from .messages import Asked, json_reply, members_of, said, without_query

SUBJECT: Final = "ada"
"""Who signs in."""
_REFUSED: Final = '{"error": "$error", "error_description": "$complaint"}'
_CALLBACK_PARAMETERS: Final = ("response_type", "client_id", "redirect_uri", "state")
_PKCE: Final = ("code_challenge", "code_challenge_method")


@dataclass
class Grant:
    """What one consent has brought.

    Attributes:
        scope: What was granted, as it was asked for.
        by_device: Whether by a device code.
        access_tokens: Every access token, the latest one last.
        refresh_token: The one that is good now.
        spent: Refresh tokens that were good before.
        ended: Tokens that are good no more.
        refreshed: How often it was refreshed.
    """

    scope: tuple[str, ...]
    by_device: bool = False
    nonce: str = ""
    redirect_uri: str = ""
    challenge: str = ""
    client_id: str = ""
    polls: int = 0
    approved: bool = False
    access_tokens: list[str] = field(default_factory=list[str])
    refresh_token: str | None = None
    spent: set[str] = field(default_factory=set[str])
    ended: set[str] = field(default_factory=set[str])
    refreshed: int = 0

    @property
    def tokens(self) -> set[str]:
        """Every token that is good."""
        alive = {*self.access_tokens[-1:], *([self.refresh_token] if self.refresh_token else [])}
        return alive - self.ended


class _Refused(Exception):
    """A request that is not answered as it wishes."""

    def __init__(self, error: str, complaint: str) -> None:
        super().__init__(complaint)
        self.error = error


class Speaker:
    """A provider with one client, that speaks ``dialect``.

    Attributes:
        dialect: What it speaks.
        complaints: What was wrong with the requests so far; empty if the client speaks as is documented.
        grants: What was granted so far.
        requests: Each request by its kind (``authorize``, ``token``, ``refresh``, ``device``, ``poll``,
            ``revoke``, ``metadata``, ``keys``), and its parameters.
        now: The provider's clock.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        redirect_uri: str | None = None,
        now: Callable[[], float],
    ) -> None:
        """Register a client, as its developer does by hand.

        Args:
            dialect: What is spoken.
            client_id: The client; ``None`` for none, until it registers itself.
            client_secret: Its secret, if it has one.
            redirect_uri: The redirect address that its developer enters; ``None`` for none.
            now: The provider's clock.
        """
        self.dialect = dialect
        self.complaints: list[str] = []
        self.grants: list[Grant] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self.now = now
        self._codes: dict[str, Grant] = {}
        self._devices: dict[str, Grant] = {}
        self._scripted: list[tuple[str, Reply]] = []
        self._user_codes: dict[str, Grant] = {}
        if client_id is None:
            return
        if client_secret is None and not dialect.client.public:
            self.complaints.append("a client without a secret cannot be registered here")
        if client_secret is not None and not dialect.client.secret:
            self.complaints.append("there are no secrets here")
        if redirect_uri is not None:
            self._require_registrable(redirect_uri)

    def answer_once(
        self, kind: str, status: int, text: str, *, media: str = "application/json"
    ) -> None:
        """Answer the next request of that kind with ``text``, whatever it says."""
        self._scripted.append((kind, Reply(status, text, {"Content-Type": media})))

    def _script(self, kind: str) -> Reply | None:
        """The answer that a test wants for a request of that kind."""
        found = next((one for one in self._scripted if one[0] == kind), None)
        if found is None:
            return None
        self._scripted.remove(found)
        return found[1]

    def answer(self, asked: Asked) -> Reply:
        """The answer to a request."""
        published = self._published(asked.url)
        if published is not None:
            return published
        if asked.method == "GET" and "user_code" in asked.query:
            return self._entered(asked.query["user_code"])
        for kind, call, answered in self._calls():
            if call.url and asked.url == without_query(call.url) and asked.method == call.method:
                if (parameters := self._meant(kind, call, asked)) is None:
                    continue
                self.requests.append((kind, parameters))
                scripted = self._script(kind)
                if scripted is not None:
                    return scripted
                try:
                    return answered(call, asked, parameters)
                except _Refused as refused:
                    self.complaints.append(f"{kind}: {refused}")
                    return self._refusal(call, refused)
        self.complaints.append(f"there is nothing at {asked.method} {asked.url}")
        return Reply(404, "", {"Content-Type": "text/plain"})

    def _published(self, url: str) -> Reply | None:
        """What is published at ``url``; ``None`` if it is a place for something else."""
        d = self.dialect
        if url in d.metadata.urls:
            self.requests.append(("metadata", {}))
            return json_reply(self._metadata())
        if d.id_token.jwks_url and url == d.id_token.jwks_url:
            self.requests.append(("keys", {}))
            return json_reply(dict(KeySet([_key(d.id_token.algorithm)]).as_dict(private=False)))
        if "/.well-known/" in url:
            return Reply(404, "nothing is published there", {"Content-Type": "text/plain"})
        return None

    def _calls(self) -> list[tuple[str, Call, Callable[[Any, Asked, dict[str, str]], Reply]]]:
        d = self.dialect
        return [
            ("authorize", d.authorize, self._authorize),
            ("refresh", d.refresh, self._refresh),
            ("poll", d.poll, self._poll),
            ("device", d.device, self._device),
            ("token", d.token, self._token),
            ("revoke", d.revoke, self._revoke),
            ("register", d.register, self._register),
        ]

    def _meant(self, kind: str, call: Call, asked: Asked) -> dict[str, str] | None:
        """The parameters as they were sent, if a request of this kind is meant: endpoints are shared."""
        if call.body == "none":
            return {}
        if call.method == "GET":
            return dict(asked.query)
        parameters = dict(asked.query) | members_of(asked)
        grant = {**call.names}.get("grant_type", "grant_type")
        wanted = {
            "token": "authorization_code",
            "refresh": "refresh_token",
            "poll": self.dialect.poll.grant,
        }
        given = parameters.get(grant)
        if kind in wanted and given != wanted[kind]:
            alone = not any(
                one is not call and without_query(one.url) == asked.url
                for _, one, _ in self._calls()
            )
            return parameters if alone else None
        if kind == "device" and given is not None:
            return None  # a device endpoint that is the token endpoint
        return parameters

    # --- what every request is checked for -------------------------------------------------------

    def _checked(
        self, call: Call, asked: Asked, sent: dict[str, str], usual: tuple[str, ...]
    ) -> dict[str, str]:
        """The parameters by the names of the RFC.

        Raises:
            _Refused: One is missing, wrong, or not documented.
        """
        _require_headers(call, asked)
        parameters: dict[str, str] = {}
        back = {theirs: rfc for rfc, theirs in call.names.items()}
        for name, value in sent.items():
            if name in call.names and call.names[name] != name:
                raise _Refused("invalid_request", f"{name} goes by {call.names[name]} here")
            if name in call.refuses:
                raise _Refused("invalid_request", f"{name} must not be sent")
            parameters[back.get(name, name)] = value
        for name, value in call.needs.items():
            if name not in sent or value not in ("*", sent[name]):
                raise _Refused("invalid_request", f"{name} is {sent.get(name)!r}, and not {value}")
        documented = {*usual, *call.may, *(back.get(name, name) for name in call.needs)}
        for name in parameters:
            if name not in documented:
                raise _Refused("invalid_request", f"{name} is documented nowhere")
        return parameters

    def _authenticated(
        self, call: Call, asked: Asked, parameters: dict[str, str], styles: tuple[str, ...] = ()
    ) -> None:
        """Make sure that the client comes as is documented.

        Raises:
            _Refused: It does not.
        """
        scheme, _, given = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            client, _, secret = b64decode(given).decode().partition(":")
            client, secret = unquote_plus(client), unquote_plus(secret)
            style = "basic" if secret else "empty-basic"
            if "client_secret" in parameters:
                raise _Refused("invalid_client", "the secret came in two ways")
        else:
            client, secret = parameters.get("client_id", ""), parameters.get("client_secret", "")
            style = "post" if secret else "none"
        has = self._client_secret is not None
        usual = self.dialect.client.secret if has else self.dialect.client.without
        allowed = styles or call.client or usual
        if style not in allowed:
            raise _Refused("invalid_client", f"the client came by {style}, and not by {allowed}")
        if client != self._client_id:
            raise _Refused("invalid_client", f"the client {client!r} is not known")
        if style not in PUBLIC_STYLES and secret != self._client_secret:
            raise _Refused("invalid_client", "the secret is another one")

    def _scopes(self, text: str | None, known: tuple[str, ...], separator: str) -> tuple[str, ...]:
        """The scopes in ``text``.

        Raises:
            _Refused: One is not known, as one is with a separator of another provider.
        """
        scopes = tuple(one for one in (text or "").split(separator) if one)
        for one in scopes:
            if one not in known:
                raise _Refused("invalid_scope", f"the scope {one!r} is not known")
        return scopes

    # --- the browser -----------------------------------------------------------------------------

    def _authorize(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        d = self.dialect.authorize
        pkce = () if d.pkce == "none" else _PKCE
        usual = (*_CALLBACK_PARAMETERS, "scope", "nonce", *pkce)
        # a provider without PKCE ignores its parameters (RFC 6749 §3.1)
        ignored = () if d.pkce != "none" else _PKCE
        got = self._checked(call, asked, {k: v for k, v in sent.items() if k not in ignored}, usual)
        if got.get("response_type") != "code":
            raise _Refused("unsupported_response_type", "response_type is not code")
        if got.get("client_id") != self._client_id:
            raise _Refused("invalid_client", "the client is not known")
        if not got.get("state"):
            raise _Refused("invalid_request", "there is no state")
        address = got.get("redirect_uri", "")
        self._require_registered(address)
        challenge = got.get("code_challenge", "")
        if challenge and got.get("code_challenge_method") != "S256":
            raise _Refused("invalid_request", "code_challenge_method is not S256")
        if not challenge and d.pkce == "required":
            raise _Refused("invalid_request", "there is no code_challenge")
        grant = Grant(
            scope=self._scopes(got.get("scope"), d.scopes, d.separator),
            nonce=got.get("nonce", ""),
            redirect_uri=address,
            challenge=challenge,
        )
        code = f"code-{secrets.token_urlsafe(12)}"
        self._codes[code] = grant
        if address in d.shows_code:
            page = f"<!doctype html><title>Signed in</title><code>{code}</code>"
            return Reply(200, page, {"Content-Type": "text/html"})
        back = {"code": code, "state": got["state"], **d.callback}
        joined = "&" if urlsplit(address).query else "?"
        return Reply(302, "", {"Location": f"{address}{joined}{urlencode(back)}"})

    def _require_registrable(self, address: str) -> None:
        """Complain of a redirect address that nobody can register here."""
        rules = self.dialect.redirect
        if address in rules.also:
            return
        parts = urlsplit(address)
        if parts.scheme != "http" or parts.hostname not in rules.hosts:
            self.complaints.append(f"{address} cannot be registered: the hosts are {rules.hosts}")
        if rules.path and parts.path != rules.path:
            self.complaints.append(f"{address} cannot be registered: the path is {rules.path}")

    def _require_registered(self, address: str) -> None:
        rules = self.dialect.redirect
        if address in rules.also or (not address and "" in self.dialect.authorize.shows_code):
            return
        parts, known = urlsplit(address), urlsplit(self._redirect_uri or "")
        if (parts.scheme, parts.hostname, parts.path) != (known.scheme, known.hostname, known.path):
            raise _Refused("invalid_request", f"{address} is not registered")
        low, _, high = rules.ports.partition("-")
        fits = {
            "any": parts.port is not None,
            "exact": parts.port == known.port,
        }.get(rules.ports)
        if fits is None:
            fits = parts.port is not None and int(low) <= parts.port <= int(high)
        if not fits:
            raise _Refused("invalid_request", f"the port of {address} is not a registered one")

    def _entered(self, user_code: str) -> Reply:
        """The page where a user enters a code and consents."""
        grant = self._user_codes.get(user_code)
        if grant is None:
            self.complaints.append(f"the user code {user_code} is not known")
            return Reply(400, "", {"Content-Type": "text/plain"})
        grant.approved = True
        return Reply(200, "<!doctype html><title>Connected</title>", {"Content-Type": "text/html"})

    # --- tokens ----------------------------------------------------------------------------------

    def _token(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        usual = ("grant_type", "code", "redirect_uri", "code_verifier")
        got = self._checked(call, asked, sent, (*usual, "client_id", "client_secret"))
        self._authenticated(call, asked, got)
        grant = self._codes.pop(got.get("code", ""), None)
        if grant is None:
            raise _Refused("invalid_grant", "the code is not known, or was used before")
        if got.get("redirect_uri", "") != grant.redirect_uri:
            raise _Refused("invalid_grant", "redirect_uri is not that of the authorization request")
        verifier = got.get("code_verifier", "")
        digest = sha256(verifier.encode()).digest()
        fits = urlsafe_b64encode(digest).decode().rstrip("=") == grant.challenge
        if grant.challenge and not fits:
            raise _Refused("invalid_grant", "the code_verifier does not fit")
        self.grants.append(grant)
        return self._tokens(call, grant)

    def _refresh(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        usual = ("grant_type", "refresh_token", "client_id", "client_secret")
        again = ("redirect_uri",) if self.dialect.refresh.repeats_redirect_uri else ()
        got = self._checked(call, asked, sent, (*usual, *again))
        token = got.get("refresh_token", "")
        grant = next((one for one in self.grants if one.refresh_token == token), None)
        if grant is None or token in grant.ended:
            raise _Refused("invalid_grant", "the refresh token is not known, or was used before")
        if again and got.get("redirect_uri", "") != grant.redirect_uri:
            raise _Refused("invalid_grant", "redirect_uri is not that of the authorization request")
        after = self.dialect.refresh.client_after_device if grant.by_device else ()
        if grant.by_device and not after:
            after = self.dialect.poll.client
        self._authenticated(call, asked, got, after)
        grant.refreshed += 1
        return self._tokens(call, grant)

    def _device(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        d = self.dialect
        got = self._checked(call, asked, sent, ("client_id", "client_secret", "scope"))
        self._authenticated(call, asked, got)
        known, separator = d.device.scopes or d.authorize.scopes, d.authorize.separator
        grant = Grant(scope=self._scopes(got.get("scope"), known, separator), by_device=True)
        device_code = f"device-{secrets.token_urlsafe(12)}"
        user_code = secrets.token_hex(4).upper()
        self._devices[device_code] = self._user_codes[user_code] = grant
        values = {"device_code": device_code, "user_code": user_code, "now": int(self.now())}
        return said(call.answer, call.status, call.type, values)

    def _poll(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        d = self.dialect.poll
        usual = ("grant_type", "device_code", "client_id", "client_secret")
        got = self._checked(call, asked, sent, usual)
        self._authenticated(call, asked, got)
        grant = self._devices.get(got.get("device_code", ""))
        if grant is None:
            raise _Refused("invalid_grant", "the device code is not known, or was used before")
        grant.polls += 1
        if grant.polls == 1 or not grant.approved:
            return said(d.pending, d.pending_status, d.type, {})
        if grant.polls == 2 and d.slow_down:
            return said(d.slow_down, d.slow_down_status, d.type, {})
        self._devices.pop(got["device_code"])
        self.grants.append(grant)
        return self._tokens(call, grant)

    def _tokens(self, call: Call, grant: Grant) -> Reply:
        """Tokens for ``grant``, as ``call`` answers."""
        d = self.dialect
        grant.access_tokens.append(f"access-{secrets.token_urlsafe(18)}")
        brings = d.refresh.issued and (
            not d.refresh.only_with or d.refresh.only_with in grant.scope
        )
        fresh = brings and (grant.refresh_token is None or d.refresh.rotates)
        if fresh:
            if grant.refresh_token is not None:
                grant.spent.add(grant.refresh_token)
            grant.refresh_token = f"refresh-{secrets.token_urlsafe(18)}"
        ends = brings or not d.token.ends_with_refresh_only
        openid = d.id_token.issuer and (d.id_token.always or "openid" in grant.scope)
        values: dict[str, Any] = {
            "access_token": grant.access_tokens[-1],
            "refresh_token": grant.refresh_token if fresh else None,
            "id_token": self._id_token(grant) if openid else None,
            "scope": d.token.answer_separator.join(grant.scope),
            "scopes": list(grant.scope),
            "expires_in": d.token.expires_in if ends else None,
            "now": int(self.now()),
        }
        return said(call.answer, call.status, call.type, values)

    def _id_token(self, grant: Grant) -> str:
        d, now = self.dialect.id_token, int(self.now())
        claims = {
            "iss": d.issuer,
            "sub": SUBJECT,
            "aud": self._client_id,
            "iat": now,
            "exp": now + 3600,
            "email": "ada@demo.test",
            **({"nonce": grant.nonce} if grant.nonce and not grant.refreshed else {}),
            **d.claims,
        }
        key = _key(d.algorithm)
        header = {"alg": d.algorithm, "kid": key.kid or ""}
        return jwt.encode(header, claims, key, algorithms=[d.algorithm])

    def _revoke(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        d = self.dialect.revoke
        if d.token == "bearer":
            if d.body != "none":
                self._checked(call, asked, sent, ("client_id",))
            scheme, _, token = asked.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer":
                raise _Refused("invalid_request", "the token does not come as Bearer")
        else:
            usual = ("token", "token_type_hint", "client_id", "client_secret")
            got = self._checked(call, asked, sent, usual)
            if call.client != ("nobody",):
                self._authenticated(call, asked, got)
            elif asked.headers.get("authorization") or "client_secret" in got:
                raise _Refused("invalid_request", "a secret was sent where none is asked for")
            token = got.get("token", "")
        # one that has ended before is known, and no reason to refuse (RFC 7009 §2.2)
        grant = next((one for one in self.grants if token in one.tokens | one.ended), None)
        if grant is None:
            raise _Refused("invalid_request", "the token is not known")
        kind = "refresh_token" if token == grant.refresh_token else "access_token"
        if kind not in d.kinds:
            raise _Refused("unsupported_token_type", f"the {kind} cannot be revoked")
        ended = {"token": [], "grant": [grant], "all": self.grants}[d.ends]
        grant.ended.add(token)
        for one in ended:
            one.ended |= one.tokens
        return said(call.answer, call.status, call.type, {})

    def _register(self, call: Any, asked: Asked, sent: dict[str, str]) -> Reply:
        d = self.dialect.register
        usual = ("client_name", "redirect_uris", "grant_types")
        got = self._checked(call, asked, sent, usual)
        addresses, grants = (json.loads(got.get(one, "[]")) for one in usual[1:])
        if not {*d.redirect_uris} <= {*addresses} or not {*d.grants} <= {*grants}:
            raise _Refused("invalid_request", f"{addresses} and {grants} are not what is wanted")
        self._client_id = f"client-{secrets.token_hex(4)}"
        self._client_secret = f"secret-{secrets.token_hex(8)}"
        self._redirect_uri = addresses[0]
        values = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "now": int(self.now()),
        }
        return said(call.answer, call.status, call.type, values)

    # --- what is published -----------------------------------------------------------------------

    def _metadata(self) -> dict[str, Any]:
        d = self.dialect
        named = {
            "authorization_endpoint": d.authorize.url,
            "token_endpoint": d.token.url,
            "device_authorization_endpoint": d.device.url,
            "revocation_endpoint": d.revoke.url,
            "jwks_uri": d.id_token.jwks_url,
        }
        published = {k: v for k, v in named.items() if v and k not in d.metadata.lacks}
        common = {"issuer": d.metadata.issuer, "response_types_supported": ["code"]}
        return common | published | cast("dict[str, Any]", json.loads(d.metadata.adds))

    def _refusal(self, call: Call, refused: _Refused) -> Reply:
        values = {"error": refused.error, "complaint": str(refused)}
        text = call.refused or _REFUSED
        return said(text, call.refused_status, call.type, values)


def _require_headers(call: Call, asked: Asked) -> None:
    """Make sure that the header is as is documented.

    Raises:
        _Refused: It is not.
    """
    if call.method == "POST" and call.body != "none":
        wanted = "application/json" if call.body == "json" else "application/x-www-form-urlencoded"
        given = asked.headers.get("content-type", "").partition(";")[0]
        if given != wanted:
            raise _Refused("invalid_request", f"the body is {given}, and not {wanted}")
    for name, value in call.headers.items():
        given = asked.headers.get(name.lower(), "")
        if not given or value not in ("*", given):
            raise _Refused("invalid_request", f"the header {name} is {given!r}")


@cache
def _key(algorithm: str) -> ECKey | RSAKey:
    """The key that every provider with this algorithm signs with: making one takes a while."""
    kid = f"stand-in-{algorithm}"
    if algorithm == "ES256":
        return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": algorithm})
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": algorithm})
