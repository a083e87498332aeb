"""Private keys of the client (RFC 7517), and what is signed with them (RFC 7515)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ..errors import ConfigInvalid
from .signatures import QuietRegistry

if TYPE_CHECKING:
    from joserfc.jwk import Key

_RSA: Final = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
_CURVES: Final[Mapping[str, tuple[str, ...]]] = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "secp256k1": ("ES256K",),
    "Ed25519": ("EdDSA", "Ed25519"),
    "Ed448": ("EdDSA", "Ed448"),
}
_SHARED: Final = ("HS256", "HS384", "HS512")
_LEAST_SECRET: Final = 14  # octets; a shorter one is guessed from one signature
_LEAST_MODULUS: Final = 2048  # bits (RFC 7518 §3.3)
_UNREADABLE: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


class PrivateKey:
    """A key that signs; ``repr`` shows nothing of it.

    Attributes:
        key_id: The ``kid`` by which the server knows it, if it has one.
        algorithms: The JWS algorithms it can sign with, the most usual first.
    """

    __slots__ = ("_key", "algorithms", "key_id")

    def __init__(self, key: Key, *, key_id: str | None, algorithms: Sequence[str]) -> None:
        """Only for the functions of this module."""
        self._key = key
        self.key_id = key_id
        self.algorithms = tuple(name for name in algorithms if name in JWSRegistry.algorithms)

    def __repr__(self) -> str:
        return "PrivateKey(...)"

    def algorithm(self, offered: Sequence[str] = ()) -> str | None:
        """The algorithm to sign with: the first of ours that is ``offered``, if anything is."""
        fitting = (name for name in self.algorithms if not offered or name in offered)
        return next(fitting, None)

    def public(self) -> dict[str, Any]:
        """The public key as a JWK, with nothing in it that is not needed to check a signature."""
        members = dict(self._key.as_dict(private=False))
        needed = ("kty", "crv", "x", "y", "n", "e")
        return {name: members[name] for name in needed if name in members}

    def thumbprint(self) -> str:
        """The JWK thumbprint of the public key (RFC 7638)."""
        return str(self._key.thumbprint())

    def private(self) -> str:
        """The whole key as the text of a JWK: a secret."""
        return json.dumps(self._key.as_dict(private=True), separators=(",", ":"))

    def sign(self, algorithm: str, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        """A JWT (RFC 7519) of ``claims``; ``header`` has what is not ``alg``."""
        # not strict: a header of one specification has members that the library does not know
        registry = QuietRegistry(algorithms=[algorithm], strict_check_header=False)
        return jwt.encode({"alg": algorithm, **header}, dict(claims), self._key, registry=registry)


def new_private_key(offered: Sequence[str] = ()) -> PrivateKey | None:
    """A fresh key that signs by one of the ``offered`` algorithms; ``None`` if none is known here.

    P-256 where it may be chosen: its signatures are short, and every server can check them.
    """
    for curve, algorithms in _CURVES.items():
        if not offered or set(offered) & set(algorithms):
            kind = OKPKey if curve.startswith("Ed") else ECKey
            key: Key = kind.generate_key(cast("Any", curve))
            return PrivateKey(key, key_id=None, algorithms=algorithms)
    if set(offered) & set(_RSA):
        return PrivateKey(RSAKey.generate_key(_LEAST_MODULUS), key_id=None, algorithms=_RSA)
    return None


def shared_key(secret: str) -> PrivateKey:
    """The client secret as a key (OpenID Connect Core §9).

    Raises:
        ConfigInvalid: It is too short to sign with (RFC 7518 §3.2).
    """
    if len(secret.encode()) < _LEAST_SECRET:
        raise ConfigInvalid("the client secret is too short to sign with (RFC 7518 §3.2)")
    try:
        key = OctKey.import_key(secret)
    except _UNREADABLE:
        raise ConfigInvalid("the client secret cannot be signed with") from None
    return PrivateKey(key, key_id=None, algorithms=_SHARED)


def read_private_key(text: str, *, key_id: str | None = None) -> PrivateKey:
    """The key in ``text``: PEM, a JWK, or the first private key of a JWK set.

    Args:
        text: As it stands in its file.
        key_id: Instead of the ``kid`` that a JWK has.

    Raises:
        ConfigInvalid: There is no private key in it that can be signed with.
    """
    text = text.strip()
    named: dict[str, Any] = {}
    source: str | dict[str, Any] = text
    if text.startswith("{"):
        source = named = _jwk(text)
    elif "ENCRYPTED" in text:
        raise ConfigInvalid("the client key is encrypted: Stayfast has no passphrase for it")
    key = _imported(source)
    kid, only = named.get("kid"), named.get("alg")
    algorithms = _fitting(key)
    if isinstance(only, str):  # a key says what it may be used for (RFC 7517 §4.4)
        algorithms = tuple(name for name in algorithms if name == only)
    return PrivateKey(
        key,
        key_id=key_id or (kid if isinstance(kid, str) and kid else None),
        algorithms=algorithms,
    )


def _jwk(text: str) -> dict[str, Any]:
    """The first private JWK in ``text``, which may be a set (RFC 7517 §5)."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigInvalid("the client key is neither PEM nor a JWK") from None
    members = cast("dict[str, Any]", value)
    listed: object = members.get("keys")
    keys = cast("list[object]", listed) if isinstance(listed, list) else [members]
    for key in keys:
        if isinstance(key, dict):
            one = cast("dict[str, Any]", key)
            if "d" in one and one.get("use", "sig") == "sig":
                return one
    raise ConfigInvalid("the client key is not a private key to sign with")


def _imported(source: str | dict[str, Any]) -> Key:
    for kind in (ECKey, RSAKey, OKPKey):
        if isinstance(source, dict) and source.get("kty") != kind.key_type:
            continue
        try:
            key = kind.import_key(cast("Any", source))
        except _UNREADABLE:
            continue
        if key.is_private:
            return key
        raise ConfigInvalid("the client key is a public key: the private one signs")
    raise ConfigInvalid("the client key cannot be read: PEM or a JWK of RSA, EC or OKP is wanted")


def _fitting(key: Key) -> tuple[str, ...]:
    if isinstance(key, RSAKey):
        if key.raw_value.key_size < _LEAST_MODULUS:
            raise ConfigInvalid("the client key is too short: RSA needs 2048 bits (RFC 7518 §3.3)")
        return _RSA
    curve = key.as_dict(private=False).get("crv")
    return _CURVES.get(curve, ()) if isinstance(curve, str) else ()
