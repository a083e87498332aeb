"""ID tokens, checked (OpenID Connect Core §3.1.3.7)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import new as new_hash
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .answer import read_members
from .callback import presentable
from .errors import NetworkError, ProviderError
from .ports import HttpRequest
from .record import Identity
from .secret import Secret

if TYPE_CHECKING:
    from .ports import HttpResponse
    from .provider import OAuthConfig

LEEWAY: Final = 60.0
"""Seconds by which the clocks of provider and client may differ."""


class UnknownKey(ProviderError):
    """Signed with a key that is not among those at hand; newer ones may be published."""


def keys_request(config: OAuthConfig) -> HttpRequest:
    """The request for the provider's published keys."""
    return HttpRequest(
        method="GET", url=config.jwks_url or "", headers={"Accept": "application/json"}
    )


def judge_keys(response: HttpResponse) -> dict[str, Any]:
    """The key set (RFC 7517 §5) in ``response``.

    Raises:
        NetworkError: There is none; it may be there later.
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


def _verified(
    config: OAuthConfig, id_token: str, keys: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        key_set = KeySet.import_key_set(cast("Any", dict(keys)))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _wrong("the provider's keys cannot be read") from error
    try:
        token = jwt.decode(id_token, key_set, algorithms=list(config.id_token_algorithms))
    except (JoseError, ValueError, TypeError, KeyError, UnicodeError) as error:
        if _key_id(id_token) not in {key.kid for key in key_set.keys}:
            raise UnknownKey(_wrong("it is signed with an unknown key").message) from error
        raise _wrong("its signature does not hold") from error
    if token.claims.get("iss") != config.issuer:
        raise _wrong("it is from another issuer")
    return dict(token.header), dict(token.claims)


def _key_id(id_token: str) -> str | None:
    from joserfc.jws import extract_compact  # noqa: PLC0415  only after a failure

    try:
        kid = extract_compact(id_token.encode("ascii", "replace")).headers().get("kid")
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return kid if isinstance(kid, str) else None


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
    return isinstance(value, int | float) and not isinstance(value, bool)


_HASHES: Final = {"256": "sha256", "384": "sha384", "512": "sha512", "EdDSA": "sha512"}


def _check_access_token(algorithm: str, at_hash: object, access_token: str) -> None:
    """OpenID Connect Core §3.1.3.6: the left half of the hash that goes with the algorithm."""
    name = _HASHES.get(algorithm if algorithm == "EdDSA" else algorithm[-3:], "sha256")
    digest = new_hash(name, access_token.encode("ascii", "replace")).digest()
    half = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")
    if not isinstance(at_hash, str) or not compare_digest(half.encode(), at_hash.encode()):
        raise _wrong("it belongs to another access token")


def _wrong(why: str) -> ProviderError:
    return ProviderError(f"the ID token does not hold: {why}")
