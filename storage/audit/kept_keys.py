"""The keys of the audit log: values of their own, kept in the vault under its root key.

The log outlives a root key. Its keys are therefore not derived from one: a new root key seals the
old keys again and adds one for what comes, and the chain goes on.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from ...engine.errors import Damaged
from ..keys.sealing import KEY_OCTETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..keys.sealing import Keys
    from ..vault.database import Database


def new_audit_keys() -> list[tuple[int, bytes]]:
    """The keys of a log that begins: one for fingerprints, one for events."""
    return [(0, os.urandom(KEY_OCTETS)), (1, os.urandom(KEY_OCTETS))]


def write_audit_keys(connection: Database, keys: Keys, kept: Sequence[tuple[int, bytes]]) -> None:
    """Keep exactly these, sealed under the root key of ``keys``, and use them."""
    connection.execute("DELETE FROM audit_key")
    for first, key in kept:
        connection.execute(
            "INSERT INTO audit_key VALUES (?, ?)", (first, keys.seal_audit_key(first, key))
        )
    keys.take_audit_keys(kept)


def read_audit_keys(connection: Database, keys: Keys) -> None:
    """Have ``keys`` use what is kept in the vault.

    What does not open is left out: logins are read without it, and the log says what it lacks.
    """
    kept: list[tuple[int, bytes]] = []
    try:
        for first, sealed in connection.execute(
            "SELECT first_seq, sealed FROM audit_key ORDER BY first_seq"
        ):
            with suppress(Damaged, TypeError, AttributeError, struct.error):
                kept.append((first, keys.open_audit_key(first, sealed)))
    except (sqlite3.Error, UnicodeDecodeError):
        kept = []
    keys.take_audit_keys(kept)
