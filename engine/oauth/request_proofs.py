"""What a request must carry that can only be made when it is sent.

A signature names a moment, and most servers take each one once. So a request is built without it,
may wait, and may be sent twice; :class:`Prover` signs at each sending. The HTTP client has one.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from ..errors import ConfigInvalid, ConfigMissing
from ..hints import Hint
from .addresses import secure_address
from .client_authentication import ASSERTING, authentication_method
from .dpop import HEADER, nonce_in, proof
from .grant_request import signs_assertion
from .provider_response import server_date
from .request_object import TYPE, Parameters, claims_of_request, signs_requests
from .token_endpoint import access_token, is_bound

if TYPE_CHECKING:
    from ..ports import Clock, HttpRequest, HttpResponse, Randomness
    from ..record import Login, ProofKey
    from .private_keys import PrivateKey
    from .provider import OAuthConfig

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW: Final = 2.0  # seconds; a date has no fractions, and takes its time
_CORRECTABLE: Final = 86400.0
"""Seconds by which this machine's clock may be wrong; the server's is used instead."""
_SIGNED_REQUEST: Final = 600.0  # seconds; its user may open the address as late as that
_LASTS: Final = 60.0  # seconds that an assertion is good for


class Prover:
    """Signs requests, with keys that it is handed or reads."""

    def __init__(
        self, clock: Clock, randomness: Randomness, read_key: Callable[[str], str]
    ) -> None:
        """Date signatures by ``clock`` and number them by ``randomness``.

        Args:
            clock: The time.
            randomness: What makes each signature one of its kind.
            read_key: The text of a key file. It raises ``ConfigInvalid`` or ``ConfigMissing``.
        """
        self._clock = clock
        self._randomness = randomness
        self._read_key = read_key
        self._nonces: dict[str, str] = {}
        self._ahead: dict[str, float] = {}

    def proved(self, request: HttpRequest) -> HttpRequest:
        """``request`` with what it must carry now.

        Raises:
            ConfigMissing, ConfigInvalid: A key is absent or cannot be used.
        """
        members: dict[str, str] = {}
        if request.client is not None:
            members |= self._assertion(request.client)
        if request.assertion is not None:
            members["assertion"] = self._grant(request.assertion)
        if members:
            request = _with_members(request, members)
        key = request.proof_key
        if key is None:
            return request
        token = request.access_token.reveal() if request.access_token else None
        made = self.proof(key, request.method, request.url, token=token)
        headers = {**request.headers, HEADER: made}
        return replace(request, headers=headers, proof_key=None, access_token=None)

    def proof(
        self,
        key: ProofKey,
        method: str,
        url: str,
        *,
        token: str | None = None,
        nonce: str | None = None,
    ) -> str:
        """The DPoP proof of one request (RFC 9449 §4.2), with the last nonce of that server.

        Args:
            key: The key of the login.
            method: The HTTP method.
            url: Where the request goes.
            token: The access token, where it goes to a resource server.
            nonce: What the server wants to see, if the caller knows; else what it last wanted.
        """
        origin = _origin(url)
        known = self._nonces.get(origin, key.nonce if token is None else None)
        return proof(
            key,
            method=method.upper(),
            url=url,
            number=self.number(),
            now=self._clock.now() + self._ahead.get(origin, 0.0),
            nonce=nonce or known,
            token=token,
        )

    def heard(self, url: str, response: HttpResponse) -> None:
        """Remember the nonce and the clock of the server that sent ``response``."""
        origin = _origin(url)
        nonce, date = nonce_in(response), server_date(response)
        if nonce is not None:
            self._nonces[origin] = nonce
        if date is not None:
            ahead = date - response.received_at
            self._ahead[origin] = ahead if _SKEW < abs(ahead) < _CORRECTABLE else 0.0

    def require(self, config: OAuthConfig) -> None:
        """Make sure that the client of ``config`` can prove itself.

        Raises:
            ConfigMissing, ConfigInvalid: A key is absent or cannot be used.
        """
        if authentication_method(config) in ASSERTING:
            self._signer(config, config.client_assertion_algorithms)
        if signs_requests(config):
            self._signer(config, config.request_object_algorithms)
        if signs_assertion(config):
            self._signer(config, config.client_assertion_algorithms)

    def request_object(self, config: OAuthConfig, parameters: Parameters) -> str:
        """The authorization request of ``parameters``, signed by the client (RFC 9101 §4).

        Raises:
            ConfigMissing, ConfigInvalid: A key is absent or cannot be used.
        """
        key, algorithm = self._signer(config, config.request_object_algorithms)
        now = self._clock.now() + self._ahead.get(_origin(config.token_url), 0.0)
        claims = {
            **claims_of_request(parameters),
            "iss": config.client_id,
            "aud": config.issuer or config.auth_url,
            "jti": self.number(),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + _SIGNED_REQUEST),
        }
        header = {"typ": TYPE, **({"kid": key.key_id} if key.key_id else {})}
        return key.sign(algorithm, header, claims)

    def _assertion(self, config: OAuthConfig) -> dict[str, str]:
        """The client assertion (RFC 7523 §2.2, §3)."""
        key, algorithm = self._signer(config, config.client_assertion_algorithms)
        now = self._clock.now() + self._ahead.get(_origin(config.token_url), 0.0)
        claims = {
            "iss": config.client_id,
            "sub": config.client_id,
            # the issuer, and nothing that a server of somebody else's could choose
            "aud": config.client_assertion_audience or config.issuer or config.token_url,
            "jti": self.number(),
            "iat": int(now),
            "exp": int(now + _LASTS),
        }
        header = {"kid": key.key_id} if key.key_id else {}
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": key.sign(algorithm, header, claims),
        }

    def _grant(self, config: OAuthConfig) -> str:
        """The assertion by which the client asks for tokens (RFC 7523 §3)."""
        key, algorithm = self._signer(config, config.client_assertion_algorithms)
        now = self._clock.now() + self._ahead.get(_origin(config.token_url), 0.0)
        claims = {
            "iss": config.client_id,
            "sub": config.assertion_subject or config.client_id,
            "aud": config.client_assertion_audience or config.issuer or config.token_url,
            "jti": self.number(),
            "iat": int(now),
            "exp": int(now + _LASTS),
        }
        if config.asked_scopes:  # Google reads it here
            claims["scope"] = " ".join(config.asked_scopes)
        header = {"typ": "JWT", **({"kid": key.key_id} if key.key_id else {})}
        return key.sign(algorithm, header, claims)

    def number(self) -> str:
        """A ``jti`` that was never used (RFC 7519 §4.1.7)."""
        return urlsafe_b64encode(self._randomness.octets(24)).decode("ascii")

    def _signer(self, config: OAuthConfig, offered: Sequence[str]) -> tuple[PrivateKey, str]:
        """The key of the client, and the algorithm that both sides can.

        Raises:
            ConfigMissing, ConfigInvalid: There is none.
        """
        try:
            key = self.client_key(config)
        except (ConfigInvalid, ConfigMissing) as error:
            error.hint = error.hint or Hint(
                "provider edit", config.service_name, "--client-key", "FILE"
            )
            raise
        algorithm = key.algorithm(offered)
        if algorithm is None:
            listed = ", ".join(offered)[:80]
            raise ConfigInvalid(
                f"the client key of {config.title} signs with {', '.join(key.algorithms) or 'nothing'},"
                f" and the server takes {listed or 'nothing of that'}",
                hint=Hint("provider edit", config.service_name, "--client-key", "FILE"),
            )
        return key, algorithm

    def client_key(self, config: OAuthConfig) -> PrivateKey:
        """The key that the client of ``config`` signs with.

        Raises:
            ConfigMissing, ConfigInvalid: There is none, or it cannot be read.
        """
        from .private_keys import read_private_key, shared_key  # noqa: PLC0415  joserfc

        if authentication_method(config) == "client_secret_jwt":
            return shared_key(config.client_secret or "")
        text = config.client_key
        if text is None and config.client_key_file:
            text = self._read_key(config.client_key_file)
        if text is None:
            raise ConfigMissing(
                f"{config.title} wants a client key and none is configured",
                hint=Hint("provider edit", config.service_name, "--client-key", "FILE"),
            )
        return read_private_key(text, key_id=config.client_key_id)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _with_members(request: HttpRequest, members: Mapping[str, str]) -> HttpRequest:
    """``request`` with ``members`` in its body, a form or a JSON object."""
    if request.headers.get("Content-Type") == "application/json":
        body: dict[str, Any] = {**json.loads(request.body), **members}
        return replace(request, client=None, assertion=None, body=json.dumps(body).encode())
    joined = b"&".join(part for part in (request.body, urlencode(members).encode()) if part)
    return replace(request, client=None, assertion=None, body=joined)


def resource_headers(
    prover: Prover, login: Login, method: str, url: str, *, nonce: str | None = None
) -> dict[str, str]:
    """The headers by which a request to a resource server carries the token of ``login``.

    Of a token that is bound to the login's key, one of them is a proof for this request alone
    (RFC 9449 §7.1); of a bearer token there is one header (RFC 6750 §2.1).

    Args:
        prover: Makes the proof.
        login: A login with tokens.
        method: The HTTP method.
        url: Where the request goes.
        nonce: What the resource server wants to see in the proof (§9), if the caller knows.

    Raises:
        AuthRequired: The token cannot be used.
        ConfigInvalid: ``url`` is not the address of a request.
    """
    token, tokens, key = access_token(login), login.tokens, login.proof_key
    if tokens is None or key is None or not is_bound(tokens.token_type):
        return {"Authorization": f"Bearer {token}"}
    if not secure_address(url) or not method.isascii() or not method.isalpha():
        raise ConfigInvalid(
            "a proof is for one request: a method, and an https address",
            hint=Hint("token", login.provider, "--format", "dpop", "GET", "https://…"),
        )
    proof = prover.proof(key, method, url, token=token, nonce=nonce)
    return {"Authorization": f"DPoP {token}", HEADER: proof}
