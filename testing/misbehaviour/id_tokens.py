"""ID tokens and key sets as an attacker or a careless provider makes them."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, RSAKey

from .faults import Fault, Signature, altered, as_json


def forged(id_token: str, fault: Fault, key: ECKey | RSAKey) -> str:
    """``id_token`` with the changes of ``fault``, signed as it says.

    Args:
        id_token: One that holds.
        fault: What to change.
        key: The server's own key.
    """
    header, claims = (_members(part) for part in id_token.split(".")[:2])
    header = altered(header, fault.header)
    claims = altered(claims, fault.members)
    for name, seconds in fault.shifted.items():
        claims[name] = claims.get(name, 0) + seconds
    payload = as_json(claims, fault.inserted).encode()
    match fault.signature:
        case Signature.NONE:
            return _joined({**header, "alg": "none"}, payload, b"")
        case Signature.ABSENT:
            return _joined(header, payload, b"")
        case Signature.PUBLIC_KEY_AS_SECRET:
            unsigned = _joined({**header, "alg": "HS256"}, payload, b"")
            secret = key.as_pem(private=False)
            digest = hmac.digest(secret, unsigned.rstrip(".").encode(), "sha256")
            return unsigned + _encoded(digest)
        case Signature.FOREIGN:
            return _signed(header, payload, _foreign_key(key.kid or ""))
        case Signature.SPOILED:
            return _spoiled(_signed(header, payload, key))
        case Signature.OWN:
            return _signed(header, payload, key)


def signed(claims: Mapping[str, Any], key: ECKey | RSAKey) -> str:
    """A JWT of ``claims``, as the server itself signs it."""
    return _signed(
        {"alg": key.get("alg", "ES256"), "kid": key.kid or ""}, as_json(claims, "").encode(), key
    )


def with_impostors(keys: Sequence[Mapping[str, Any]], fault: Fault) -> list[dict[str, Any]]:
    """A key set with the changes of ``fault``; the impostor of each key stands before it."""
    published: list[dict[str, Any]] = []
    for key in keys:
        if fault.impostor:
            foreign = _foreign_key(key["kid"]).as_dict(private=False)
            published.append(altered({**key, **foreign}, fault.members))
        published.append(altered(key, fault.members))
    return published


@cache
def _foreign_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def _signed(header: Mapping[str, Any], payload: bytes, key: ECKey | RSAKey) -> str:
    """Signed with the algorithm of ``key``, whatever ``header`` says: a library would correct it."""
    unsigned = _joined(header, payload, b"")
    octets = unsigned.rstrip(".").encode()
    private = key.private_key
    if isinstance(private, RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
        way = pss if key.get("alg") == "PS256" else padding.PKCS1v15()
        return unsigned + _encoded(private.sign(octets, way, SHA256()))
    r, s = decode_dss_signature(
        cast("EllipticCurvePrivateKey", private).sign(octets, ECDSA(SHA256()))
    )
    return unsigned + _encoded(r.to_bytes(32) + s.to_bytes(32))


def _spoiled(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    octets = bytearray(_decoded(signature))
    octets[0] ^= 1
    return f"{signed}.{_encoded(bytes(octets))}"


def _joined(header: Mapping[str, Any], payload: bytes, signature: bytes) -> str:
    parts = json.dumps(header).encode(), payload, signature
    return ".".join(_encoded(part) for part in parts)


def _members(part: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(_decoded(part)))


def _encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
