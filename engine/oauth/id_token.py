"""Check ID tokens (OpenID Connect Core §3.1.3.7) with the keys that the provider publishes.

:class:`Identification` fetches the keys and answers who signed in. :func:`judge_id_token` does the
checks of one token and does no I/O.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import new as new_hash
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OctKey, import_key
from joserfc.jws import JWSRegistry, extract_compact

from ..errors import NetworkError, ProviderError
from ..ports import HttpRequest
from ..record import Identity
from ..secret import Secret
from .callback import presentable
from .provider_response import read_members

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from ..ports import Clock, Http, HttpResponse
    from ..record import Login
    from .provider import OAuthConfig
    from .tokens import OAuthTokens


LEEWAY: Final = 60.0
"""Seconds by which the clocks of provider and client may differ."""
_RSA_MODULUS: Final = 342  # characters of base64url for 2048 bits (RFC 7518 §3.3)
_HASHES: Final = {"256": "sha256", "384": "sha384", "512": "sha512", "EdDSA": "sha512"}
_UNREADABLE: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)


Keys: TypeAlias = "Mapping[str, object]"
"""A key set of a provider (RFC 7517 §5)."""


class UnknownKey(ProviderError):
    """Signed with a key that is not among those at hand; newer ones may be published."""


class Identification:
    """Checks ID tokens against the provider's published keys, which it fetches and remembers."""

    def __init__(self, http: Http, clock: Clock) -> None:
        """Fetch keys with ``http``; judge expiry by ``clock``."""
        self._http = http
        self._clock = clock
        self._fetched: dict[str, Keys] = {}

    def keys(self, config: OAuthConfig, *, anew: bool = False) -> Keys | None:
        """The provider's keys, or ``None`` where no ID token is asked for or none can be checked.

        Raises:
            NetworkError: They could not be fetched.
            ProviderError: What was fetched are no keys.
        """
        if "openid" not in config.scopes or not config.jwks_url or not config.issuer:
            return None
        if anew or config.jwks_url not in self._fetched:
            response = self._http.send(keys_request(config))
            self._fetched[config.jwks_url] = judge_keys(response)
        return self._fetched[config.jwks_url]

    def identify(
        self, login: Login, tokens: OAuthTokens, keys: Keys | None
    ) -> tuple[OAuthTokens, Identity | None]:
        """Whose ``tokens`` are, if a checkable ID token says so; and the tokens worth keeping.

        An ID token that fails a check is an error. One that cannot be checked, because no keys
        are published or the new ones are out of reach, says nothing and is not kept: the access
        token that came with it is good, and must not be lost for it.

        Raises:
            ProviderError: The ID token does not hold.
        """
        if tokens.id_token is None:
            return tokens, None
        try:
            identity = self._judge(login, tokens, keys)
        except NetworkError:
            identity = None
        return (tokens if identity else replace(tokens, id_token=None)), identity

    def _judge(self, login: Login, tokens: OAuthTokens, keys: Keys | None) -> Identity | None:
        if keys is None or tokens.id_token is None:
            return None
        polls = login.presentation is not None and login.presentation.device is not None
        nonce = login.challenge.nonce if login.challenge and not polls else None
        judge = partial(
            judge_id_token,
            login.config,
            tokens.id_token,
            nonce=nonce,
            access_token=tokens.access_token,
            # its own clock, as of the same answer: a wrong one here must not cost a login
            now=tokens.server_date or self._clock.now(),
        )
        try:
            return judge(keys=keys)
        except UnknownKey:  # the provider has rotated its keys since
            return judge(keys=self.keys(login.config, anew=True) or {})


def keys_request(config: OAuthConfig) -> HttpRequest:
    """The request for the provider's published keys."""
    return HttpRequest(
        method="GET", url=config.jwks_url or "", headers={"Accept": "application/json"}
    )


def judge_keys(response: HttpResponse) -> dict[str, Any]:
    """The key set (RFC 7517 §5) in ``response``.

    Raises:
        NetworkError: The answer holds no key set; a later one may.
    """
    members = read_members(response) if response.status == 200 else None
    if members is None or not isinstance(members.get("keys"), list):
        raise NetworkError(f"the provider's signing keys could not be had (HTTP {response.status})")
    return members


def judge_id_token(
    config: OAuthConfig,
    id_token: str,
    *,
    keys: Mapping[str, Any],
    nonce: Secret | None,
    access_token: str,
    now: float,
) -> Identity:
    """Whom ``id_token`` is about.

    Args:
        config: The provider, its algorithms, and the client it must be meant for.
        id_token: As it came.
        keys: The provider's key set.
        nonce: The login's nonce; ``None`` where none was sent (the device flow).
        access_token: What came with it, for ``at_hash``.
        now: POSIX seconds.

    Raises:
        UnknownKey: The key it was signed with is not in ``keys``.
        ProviderError: A check failed; the message says which.
    """
    header, claims = _verified(config, id_token, keys)
    _check_audience(config, claims)
    _check_times(claims, now)
    if nonce is not None:
        given = claims.get("nonce")
        if not isinstance(given, str) or Secret(given) != nonce:
            raise _wrong("its nonce is not the one that was sent")
    if "at_hash" in claims:
        _check_access_token(str(header.get("alg", "")), claims["at_hash"], access_token)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _wrong("it names no subject")
    names = (claims.get(name) for name in ("email", "preferred_username", "name"))
    name = next((text for text in names if isinstance(text, str) and text), None)
    return Identity(subject=subject, name=presentable(name))


class _Registry(JWSRegistry):
    """The algorithms of one provider, and nothing the library would add or remark."""

    max_header_length = 16 * 1024  # a certificate chain fits

    def get_alg(self, name: str) -> Any:
        """The algorithm; the library's own method warns on standard error of EdDSA's new name."""
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def _verified(
    config: OAuthConfig, id_token: str, keys: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of ``id_token``, which the provider has signed."""
    try:
        header = dict(extract_compact(id_token.encode("ascii")).headers())
    except (*_UNREADABLE, RecursionError) as error:
        raise _wrong("it cannot be read") from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in _accepted(config):
        raise _wrong("it is not signed with an algorithm that is accepted here")
    # unknown members of a header are ignored, critical ones refused (RFC 7515 §4, §4.1.11)
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    for key in _candidates(config, algorithm, key_id, keys):
        try:
            token = jwt.decode(id_token, key, registry=registry)
        except BadSignatureError:
            if key_id is not None:
                raise _wrong("its signature does not hold") from None
        except RecursionError:
            raise _wrong("its claims are nested too deep") from None
        except _UNREADABLE:
            continue
        else:
            return header, _own_claims(config, token.claims)
    raise UnknownKey(_wrong("it is signed with an unknown key").message)


def _own_claims(config: OAuthConfig, claims: object) -> dict[str, Any]:
    """``claims``, if they are an object of this provider's."""
    if not isinstance(claims, dict):  # joserfc before 1.6 lets any JSON through
        raise _wrong("its claims are not an object")
    members = dict(cast("dict[str, Any]", claims))
    if members.get("iss") != config.issuer:
        raise _wrong("it is from another issuer")
    return members


def _accepted(config: OAuthConfig) -> set[str]:
    return set(config.id_token_algorithms) - {"none"}


def _candidates(
    config: OAuthConfig, algorithm: str, key_id: object, keys: Mapping[str, Any]
) -> Iterator[Key]:
    """The keys it may be signed with; only those named by its ``kid``, if it has one."""
    if algorithm.startswith("HS"):  # only where it is configured: the key is the client secret
        if config.client_secret:
            yield OctKey.import_key(config.client_secret)
        return
    for published in _published(keys):
        if key_id is not None and published.get("kid") != key_id:
            continue
        if published.get("use", "sig") != "sig" or published.get("alg", algorithm) != algorithm:
            continue
        try:
            yield import_key(cast("Any", published))
        except _UNREADABLE:
            continue  # skip a key we do not understand, keep the others (RFC 7517 §5)


def _published(keys: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The keys that may be in a published set: no shared secrets, no RSA key that is too short."""
    for key in cast("list[object]", keys.get("keys") or []):
        if not isinstance(key, dict):
            continue
        named = cast("dict[str, Any]", key)
        modulus = named.get("n")
        short = isinstance(modulus, str) and len(modulus.lstrip("A")) < _RSA_MODULUS
        kind: object = named.get("kty")  # anything, so not looked up in a set
        if kind in ("EC", "OKP") or (kind == "RSA" and not short):
            yield named


def _check_audience(config: OAuthConfig, claims: Mapping[str, Any]) -> None:
    audience = claims.get("aud")
    meant = cast("list[object]", audience) if isinstance(audience, list) else [audience]
    if config.client_id not in meant:
        raise _wrong("it is meant for another client")
    authorized = claims.get("azp")
    if authorized is not None and authorized != config.client_id:
        raise _wrong("it was issued to another client")
    if len(meant) > 1 and authorized is None:
        raise _wrong("it is meant for several clients and does not say which asked")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, issued = claims.get("exp"), claims.get("iat")
    if not _is_time(expires) or not _is_time(issued):
        raise _wrong("it does not say when it was issued and when it ends")
    if now >= cast("float", expires) + LEEWAY:
        raise _wrong("it has expired; is the clock of this machine right?")
    if cast("float", issued) > now + LEEWAY:
        raise _wrong("it was issued in the future; is the clock of this machine right?")


def _is_time(value: object) -> bool:
    # the bounds keep NaN out, which JSON readers let in and no comparison would refuse
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12


def _check_access_token(algorithm: str, at_hash: object, access_token: str) -> None:
    """OpenID Connect Core §3.1.3.6: the left half of the hash that goes with the algorithm."""
    name = _HASHES.get(algorithm if algorithm == "EdDSA" else algorithm[-3:], "sha256")
    digest = new_hash(name, access_token.encode("ascii", "replace")).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if not isinstance(at_hash, str) or not compare_digest(half.encode(), at_hash.encode()):
        raise _wrong("it belongs to another access token")


def _wrong(why: str) -> ProviderError:
    return ProviderError(f"the ID token does not hold: {why}")
