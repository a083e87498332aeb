"""The signing key of a vault's checkpoints (Ed25519). It stays the same for the life of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.audit.checkpoint import Checkpoint, compose
from ..keys.sealing import expand
from ..vault.integrity import read_head

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from ..vault.database import Database


class Signer:
    """Signs checkpoints of one log.

    The signing key is derived from the log's first key. Root keys change, and a checkpoint of last
    year must still verify.

    Attributes:
        origin: The name of the log in its checkpoints.
        public: The public key, 32 octets.
    """

    def __init__(self, keys: Keys) -> None:
        """Derive the signing key from the log's keys in ``keys``."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  rarely used
            Ed25519PrivateKey,
        )

        first = next(key for seq, key in keys.audit_keys if seq > 0)
        self.origin = f"stayfast/{keys.store.hex()}"
        self._private = Ed25519PrivateKey.from_private_bytes(
            expand(first, "checkpoint", keys.store)
        )
        self.public = self._private.public_key().public_bytes_raw()

    def note(self, size: int, head: bytes) -> str:
        """The signed checkpoint of a log whose record ``size`` has the link ``head``."""
        checkpoint = Checkpoint(origin=self.origin, size=size, head=head)
        signature = self._private.sign(checkpoint.text().encode())
        return compose(checkpoint, self.public, signature)


def signed_head(connection: Database, keys: Keys) -> str | None:
    """The signed checkpoint of the log as it is now; ``None`` if it is empty."""
    head = read_head(connection, keys)
    return Signer(keys).note(head.seq, head.mac) if head.seq else None


def signed_by(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether ``signature`` is a signature of ``text`` by the key ``public``."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  rarely used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  the same
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
