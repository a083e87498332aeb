"""How the embedded server checks DPoP proofs (RFC 9449 §4.3), at its token endpoint and as an API."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

if TYPE_CHECKING:
    from .server_state import ServerState

ALGORITHMS: Final = ("ES256", "PS256", "Ed25519")
_KINDS: Final[dict[str, Any]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
_RECENT: Final = 60.0  # seconds


class ProofRefused(Exception):
    """A proof does not hold.

    Attributes:
        error: The OAuth error code.
    """

    def __init__(self, error: str = "invalid_dpop_proof") -> None:
        """Refuse with ``error``."""
        super().__init__(error)
        self.error = error


def checked_proof(
    state: ServerState,
    proof: str,
    *,
    method: str,
    url: str,
    nonce: str | None = None,
    token: str | None = None,
) -> str:
    """The thumbprint of the key that has made ``proof``.

    Args:
        state: The server's clock, and the proofs that were seen.
        proof: The value of the header.
        method: The method of the request.
        url: Its address, without query and fragment.
        nonce: The nonce that must be in it.
        token: The access token that goes with it.

    Raises:
        ProofRefused: It does not hold, or has not the nonce that it must have.
    """
    try:
        header = dict(jws.extract_compact(proof.encode("ascii")).headers())
        jwk = cast("dict[str, Any]", header["jwk"])
        key = _KINDS[jwk["kty"]].import_key(cast("Any", jwk))
        claims = jwt.decode(
            proof,
            key,
            registry=jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False),
        ).claims
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise ProofRefused from error
    if nonce is not None and claims.get("nonce") != nonce:
        raise ProofRefused("use_dpop_nonce")
    digest = urlsafe_b64encode(sha256((token or "").encode()).digest()).rstrip(b"=").decode()
    number = str(claims.get("jti"))
    sound = (
        header.get("typ") == "dpop+jwt"
        and "d" not in jwk
        and claims.get("htm") == method
        and claims.get("htu") == url
        and abs(state.now() - claims.get("iat", 0)) <= _RECENT
        and number not in state.spent
        and (token is None or claims.get("ath") == digest)
    )
    if not sound:
        raise ProofRefused
    state.spent.add(number)
    return str(key.thumbprint())
