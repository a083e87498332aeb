"""Forward security: the key that links a record is replaced by its successor and erased with it.

Who takes the vault and its root key today can read the log, and cannot make another past for it:
the keys of the records that are there no longer exist. They can be derived again from the first
one, which is shown once and kept elsewhere. Deriving costs about a microsecond a record.

What SQLite overwrites is gone from its file (``secure_delete``); copies that a file system, an SSD
or a backup made of it are out of our reach.
"""

from __future__ import annotations

import os
from dataclasses import replace
from struct import pack
from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid
from ..keys.sealing import KEY_OCTETS, expand, seal, unseal

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from ..vault.integrity import Head

_PREFIX: Final = "stayfast-forward"


def step(key: bytes) -> bytes:
    """The key of the next record."""
    return expand(key, "forward")


def begin(keys: Keys, head: Head) -> tuple[Head, bytes]:
    """Have the next record be the first that is linked so; gives its key, which is not kept."""
    key, first = os.urandom(KEY_OCTETS), head.seq + 1
    return replace(head, forward=first, forward_key=_sealed(keys, first, key)), key


def take_key(keys: Keys, head: Head) -> tuple[bytes, Head]:
    """The key of the next record, and the head that has its successor instead.

    Raises:
        Damaged: It does not open.
    """
    key = present_key(keys, head)
    return key, replace(head, forward_key=_sealed(keys, head.seq + 2, step(key)))


def present_key(keys: Keys, head: Head) -> bytes:
    """The key of the record after the last.

    Raises:
        Damaged: It does not open.
    """
    return unseal(_wrapping(keys), head.forward_key, pack(">Q", head.seq + 1))


def _sealed(keys: Keys, seq: int, key: bytes) -> bytes:
    return seal(_wrapping(keys), key, pack(">Q", seq))


def _wrapping(keys: Keys) -> bytes:
    """What the key is sealed under: like the log, it outlives a root key."""
    first = next(key for seq, key in keys.audit_keys if seq > 0)
    return expand(first, "forward-wrap", keys.store)


def key_text(first: int, key: bytes) -> str:
    """The verification key as it is shown, once."""
    return f"{_PREFIX}:{first}:{key.hex()}"


def parse_key(text: str) -> tuple[int, bytes]:
    """The first record and the key that :func:`key_text` wrote.

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
            "this is not the verification key of a log", hint="stayfast audit forward-secure --help"
        ) from error
