"""The key that signs checkpoints: Ed25519, of a vault's own, and as old as its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.audit.checkpoint import Checkpoint, compose
from ..keys.sealing import expand
from ..vault.integrity import read_head

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from ..vault.database import Database


class Signer:
    """Signs in the name of one log.

    The key comes from the first key of the log, which outlives the root keys that seal it.

    Attributes:
        origin: The name of the log in its checkpoints.
        public: The public key, 32 octets.
    """

    def __init__(self, keys: Keys) -> None:
        """Derive the key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  asked for rarely
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
    """The checkpoint of a log as it stands; ``None`` of an empty one."""
    head = read_head(connection, keys)
    return Signer(keys).note(head.seq, head.mac) if head.seq else None


def signed_by(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether ``signature`` is that of ``text`` under the key ``public``."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  asked for rarely
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  the same
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
