"""Proof Key for Code Exchange (RFC 7636), ``S256`` only, and the other one-time values."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..secret import Secret

if TYPE_CHECKING:
    from ..ports import Randomness

_OCTETS: Final = 32  # 43 characters of base64url: the least a verifier may have, and 256 bits


@dataclass(frozen=True, slots=True)
class PKCEChallenge:
    """A code verifier and the challenge that is shown in its place.

    Attributes:
        code_verifier: 43 to 128 unreserved characters (RFC 7636 §4.1); ``repr`` does not show it.
        code_challenge: BASE64URL(SHA-256(verifier)) (RFC 7636 §4.2).
        code_challenge_method: Always ``S256``.
    """

    code_verifier: str = field(repr=False)
    code_challenge: str
    code_challenge_method: str = "S256"

    @classmethod
    def from_verifier(cls, verifier: str) -> PKCEChallenge:
        """The pair that belongs to ``verifier``."""
        from hashlib import sha256  # noqa: PLC0415  OpenSSL's, for who begins a login

        return cls(verifier, _base64url(sha256(verifier.encode("ascii")).digest()))


def new_verifier(randomness: Randomness) -> Secret:
    """A fresh code verifier of 43 characters."""
    return Secret(_base64url(randomness.octets(_OCTETS)))


def new_state(randomness: Randomness) -> Secret:
    """A fresh ``state`` (RFC 6749 §10.12)."""
    return Secret(_base64url(randomness.octets(_OCTETS)))


def new_nonce(randomness: Randomness) -> Secret:
    """A fresh ``nonce`` (OpenID Connect Core §15.5.2)."""
    return Secret(_base64url(randomness.octets(_OCTETS)))


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
