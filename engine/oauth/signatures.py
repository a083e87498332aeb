"""Signatures that are made with the published keys of a provider (RFC 7515), checked by joserfc."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OctKey, import_key
from joserfc.jws import JWSRegistry, extract_compact

from ..errors import ConfigInvalid
from ..hints import Hint
from ..reasons import Reason
from .signing_keys import Keys, UnknownKey, refused

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from .provider import OAuthConfig

_RSA_MODULUS: Final = 342  # characters of base64url for 2048 bits (RFC 7518 §3.3)
_MATERIAL: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""What a public key of each type consists of (RFC 7518 §6, RFC 8037 §2)."""
_EDWARDS: Final = frozenset({"EdDSA", "Ed25519", "Ed448"})
"""One name for two curves, and a name for each of them (RFC 9864 §2.2)."""
_UNREADABLE: Final = (JoseError, ValueError, TypeError, KeyError, AttributeError)


def usable_algorithms(config: OAuthConfig) -> set[str]:
    """The algorithms that ``config`` accepts and that can be checked here; never ``none``."""
    return {
        name
        for name in config.id_token_algorithms
        if name in JWSRegistry.algorithms and name != "none" and _has_key(config, name)
    }


def _has_key(config: OAuthConfig, algorithm: str) -> bool:
    return not algorithm.startswith("HS") or bool(config.client_secret)


def require_algorithm(config: OAuthConfig) -> None:
    """Refuse a login whose ID token cannot be checked, before its user is sent away.

    Raises:
        ConfigInvalid: ``openid`` is asked for, and no accepted algorithm works here.
    """
    if "openid" in config.scopes and config.issuer and not usable_algorithms(config):
        listed = ", ".join(config.id_token_algorithms) or "none that is known here"
        raise ConfigInvalid(
            f"the ID tokens of {config.title} cannot be checked: id_token_algorithms is {listed}",
            hint=Hint("provider edit", config.service_name, "--set", "id_token_algorithms=RS256"),
        )


class QuietRegistry(JWSRegistry):
    """The algorithms that are allowed, and nothing the library would add or remark."""

    max_header_length = 16 * 1024  # a certificate chain fits

    def get_alg(self, name: str) -> Any:
        """The algorithm; the library's own method warns on standard error of EdDSA's new name."""
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def verified(config: OAuthConfig, id_token: str, keys: Keys) -> tuple[str, dict[str, Any]]:
    """Algorithm and claims of ``id_token``, whose signature holds.

    Raises:
        UnknownKey: None of ``keys`` has made the signature.
        IdTokenRefused: It cannot be read, or its algorithm is not accepted.
    """
    algorithm, key_id = _header(config, id_token)
    # unknown members of a header are ignored, critical ones refused (RFC 7515 §4, §4.1.11)
    registry = QuietRegistry(algorithms=[algorithm], strict_check_header=False)
    failed = False
    for key in _candidates(config, algorithm, key_id, keys):
        try:
            token = jwt.decode(id_token, key, registry=registry)
        except BadSignatureError:
            failed = True  # two keys may share a name: the next one is tried
        except RecursionError:
            raise refused(Reason.ID_TOKEN_CLAIMS, "its claims are nested too deep") from None
        except _UNREADABLE:
            continue
        else:
            if not isinstance(cast("object", token.claims), dict):  # joserfc before 1.6
                raise refused(Reason.ID_TOKEN_CLAIMS, "its claims are not an object")
            return algorithm, dict(token.claims)
    if failed and key_id is not None:
        raise refused(Reason.ID_TOKEN_SIGNATURE, "its signature does not hold", UnknownKey)
    raise refused(Reason.ID_TOKEN_KEY_UNKNOWN, "it is signed with an unknown key", UnknownKey)


def _header(config: OAuthConfig, id_token: str) -> tuple[str, object]:
    """The algorithm and the key id that ``id_token`` names."""
    try:
        header = dict(extract_compact(id_token.encode("ascii")).headers())
    except (*_UNREADABLE, RecursionError) as error:
        raise refused(Reason.ID_TOKEN_UNREADABLE, "it cannot be read") from error
    algorithm: object = header.get("alg")
    accepted = usable_algorithms(config)
    if accepted & _EDWARDS:
        accepted |= _EDWARDS & JWSRegistry.algorithms.keys()
    if not isinstance(algorithm, str) or algorithm not in accepted:
        why = "it is not signed with an algorithm that is accepted here"
        raise refused(Reason.ID_TOKEN_ALGORITHM, why)
    return algorithm, header.get("kid")


def _candidates(config: OAuthConfig, algorithm: str, key_id: object, keys: Keys) -> Iterator[Key]:
    """The keys it may be signed with: those its ``kid`` names, and those that have no name."""
    if algorithm.startswith("HS"):  # only where it is configured: the key is the client secret
        if config.client_secret:
            yield OctKey.import_key(config.client_secret)
        return
    fitting = _EDWARDS if algorithm in _EDWARDS else {algorithm}
    for published in _published(keys):
        if key_id is not None and published.get("kid", key_id) != key_id:
            continue
        if published.get("use", "sig") != "sig" or not _for_checking(published.get("key_ops")):
            continue
        if "alg" in published and published["alg"] not in [*fitting]:
            continue
        kind = cast("str", published["kty"])
        # what else a key says of itself (x5c, x5t, members of a vendor) is not needed, and
        # need not be well-formed
        material = {name: published.get(name) for name in _MATERIAL[kind]}
        try:
            yield import_key(cast("Any", {"kty": kind, **material}))
        except _UNREADABLE:
            continue  # skip a key we do not understand, keep the others (RFC 7517 §5)


def _for_checking(operations: object) -> bool:
    """Whether ``key_ops`` allows to check signatures (RFC 7517 §4.3)."""
    return not isinstance(operations, list) or "verify" in cast("list[object]", operations)


def _published(keys: Keys) -> Iterator[dict[str, Any]]:
    """The keys that may be in a published set, without members that are null.

    No shared secrets, and no RSA key that is too short.
    """
    for key in cast("list[object]", keys.get("keys") or []):
        if not isinstance(key, dict):
            continue
        members = cast("dict[str, Any]", key)
        named = {name: value for name, value in members.items() if value is not None}
        modulus = named.get("n")
        short = isinstance(modulus, str) and len(modulus.lstrip("A")) < _RSA_MODULUS
        kind: object = named.get("kty")  # anything, so not looked up in a set
        if kind in ("EC", "OKP") or (kind == "RSA" and not short):
            yield named
