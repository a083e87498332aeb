"""Forward security: each record is linked with a key of its own, which is erased afterwards.

    key 1 ──> key 2 ──> key 3        each key gives the next one, and no key gives the one before
      │         │         │
    link 1    link 2    link 3       key n is erased in the transaction that writes record n

Whoever takes the vault and its root key today can read the log, and cannot forge its past: the keys
of the records that exist are gone. They can be derived again from the first key, which is shown once
and kept elsewhere. This takes about a microsecond a record.

SQLite overwrites what it deletes (``secure_delete``). Copies that a file system, an SSD or a backup
made of it are out of our reach.
"""

from __future__ import annotations

import os
from struct import pack
from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ..keys.sealing import KEY_OCTETS, expand, seal, unseal

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from ..vault.integrity import Head

_PREFIX: Final = "stayfast-forward"


def step(key: bytes) -> bytes:
    """The key of the next record."""
    return expand(key, "forward")


def begin(keys: Keys, head: Head) -> tuple[Head, bytes]:
    """Begin with the next record. Gives the new head, and the key of that record, which is not kept."""
    key, first = os.urandom(KEY_OCTETS), head.seq + 1
    return head._replace(forward=first, forward_key=_sealed(keys, first, key)), key


def take_key(keys: Keys, head: Head) -> tuple[bytes, Head]:
    """The key of the next record, and a head with the key of the record after it.

    Raises:
        Damaged: The sealed key does not open.
    """
    key = present_key(keys, head)
    return key, head._replace(forward_key=_sealed(keys, head.seq + 2, step(key)))


def present_key(keys: Keys, head: Head) -> bytes:
    """The key of the next record.

    Raises:
        Damaged: The sealed key does not open.
    """
    return unseal(_wrapping(keys), head.forward_key, pack(">Q", head.seq + 1))


def _sealed(keys: Keys, seq: int, key: bytes) -> bytes:
    return seal(_wrapping(keys), key, pack(">Q", seq))


def _wrapping(keys: Keys) -> bytes:
    """The key that seals it. It comes from the log's first key, because the log outlives root keys."""
    first = next(key for seq, key in keys.audit_keys if seq > 0)
    return expand(first, "forward-wrap", keys.store)


def key_text(first: int, key: bytes) -> str:
    """The verification key as text. It is shown once."""
    return f"{_PREFIX}:{first}:{key.hex()}"


def parse_key(text: str) -> tuple[int, bytes]:
    """The first record and the key in a text of :func:`key_text`.

    Raises:
        ConfigInvalid: The text is not a key.
    """
    try:
        prefix, first, key = text.strip().split(":")
        octets = bytes.fromhex(key)
        if prefix != _PREFIX or len(octets) != KEY_OCTETS or int(first) < 1:
            raise ValueError
        return int(first), octets
    except ValueError as error:
        raise ConfigInvalid(
            "this is not the verification key of a log",
            hint=Hint("audit forward-secure", None, "--help"),
        ) from error
