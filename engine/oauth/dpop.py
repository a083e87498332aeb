"""Tokens that only the holder of a key can use (DPoP, RFC 9449).

Each login has a key of its own, which is sealed with it. Every request that carries a token, or
brings one, is signed with it when it is sent.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from ..errors import ConfigInvalid
from ..hints import Hint
from ..record import ProofKey
from ..secret import Secret
from .provider_response import error_code, read_members
from .tokens import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ports import Http, HttpRequest, HttpResponse
    from .provider import OAuthConfig

HEADER: Final = "DPoP"
_NONCE: Final = "dpop-nonce"
_LONGEST: Final = 1024  # characters of a nonce
_WANTED: Final = "use_dpop_nonce"


def binds(config: OAuthConfig) -> bool:
    """Whether the tokens of ``config`` are bound to a key: where its client is registered so, or always."""
    return config.dpop == "required" or (config.dpop == "auto" and config.dpop_bound_access_tokens)


def new_proof_key(config: OAuthConfig) -> ProofKey:
    """A fresh key for a login, of an algorithm that the server takes.

    Raises:
        ConfigInvalid: It takes none that is known here.
    """
    from .private_keys import new_private_key  # noqa: PLC0415  joserfc

    key = new_private_key(config.dpop_algorithms)
    algorithm = key.algorithm(config.dpop_algorithms) if key is not None else None
    if key is None or algorithm is None:
        raise ConfigInvalid(
            f"{config.title} takes DPoP proofs by {', '.join(config.dpop_algorithms)[:80]} only",
            hint=Hint("provider edit", config.service_name, "--dpop", "off"),
        )
    return ProofKey(key=Secret(key.private()), algorithm=algorithm)


def thumbprint(key: ProofKey) -> str:
    """The thumbprint of the public key: ``dpop_jkt`` of an authorization request (§10)."""
    from .private_keys import read_private_key  # noqa: PLC0415  joserfc

    return read_private_key(key.key.reveal()).thumbprint()


def proof(
    key: ProofKey,
    *,
    method: str,
    url: str,
    number: str,
    now: float,
    nonce: str | None = None,
    token: str | None = None,
) -> str:
    """The value of the ``DPoP`` header of one request (§4.2).

    Args:
        key: The key of the login.
        method: The HTTP method, in capitals.
        url: Where the request goes; its query and fragment are left out.
        number: A ``jti`` that was never used.
        now: POSIX seconds, by the server's clock if that is known.
        nonce: What the server wants to see in it (§8, §9).
        token: The access token that goes with it to a resource server.
    """
    from .private_keys import read_private_key  # noqa: PLC0415  joserfc

    bare = urlunsplit(urlsplit(url)._replace(query="", fragment=""))
    claims: dict[str, Any] = {"jti": number, "htm": method, "htu": bare, "iat": int(now)}
    if nonce is not None:
        claims["nonce"] = nonce
    if token is not None:
        digest = sha256(token.encode("ascii")).digest()
        claims["ath"] = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    signs = read_private_key(key.key.reveal())
    return signs.sign(key.algorithm, {"typ": "dpop+jwt", "jwk": signs.public()}, claims)


def nonce_in(response: HttpResponse) -> str | None:
    """The nonce that ``response`` wants in the next proof (§8.2), if it can be one (§8.1)."""
    nonce = response.headers.get(_NONCE, "")
    return nonce if usable_nonce(nonce) else None


def usable_nonce(text: str) -> bool:
    """Whether ``text`` can be a nonce (§8.1): it goes into a statement that we sign."""
    return 0 < len(text) <= _LONGEST and printable(text) and not set(text) & set(' "\\')


def wants_nonce(response: HttpResponse) -> bool:
    """Whether ``response`` refuses a request for want of the nonce that it names (§8, §9)."""
    if response.status not in {400, 401} or nonce_in(response) is None:
        return False
    members = read_members(response)
    named = error_code(members) if members is not None else None
    return named == _WANTED or _WANTED in response.headers.get("www-authenticate", "")


def send_with_nonce(
    http: Http, request: HttpRequest, before: Callable[[], None] = lambda: None
) -> HttpResponse:
    """The answer to ``request``, which is sent once more if the server wants a nonce in its proof.

    Args:
        http: It remembers the nonce of each server.
        request: The request.
        before: Called before it is sent once more.

    Raises:
        NetworkError: No usable answer.
    """
    response = http.send(request)
    if request.proof_key is None or not wants_nonce(response):
        return response
    before()
    return http.send(request)
