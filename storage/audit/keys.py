"""The keys of the audit log: how they are kept in the vault.

The log outlives root keys. So its keys are not derived from one. They are kept in the vault, sealed
under the root key. After a change of the root key, the new one seals the old keys again and adds a key
for the coming records, and the chain goes on.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from ...engine.errors import Damaged
from ..keys.sealing import KEY_OCTETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..keys.sealing import Keys
    from ..vault.database import Database


def new_audit_keys() -> list[tuple[int, bytes]]:
    """The keys of a new log: number 0 for fingerprints, number 1 for the events from the first on."""
    return [(0, os.urandom(KEY_OCTETS)), (1, os.urandom(KEY_OCTETS))]


def write_audit_keys(connection: Database, keys: Keys, kept: Sequence[tuple[int, bytes]]) -> None:
    """Save exactly ``kept``, sealed under the root key of ``keys``, and use them from now on."""
    connection.execute("DELETE FROM audit_key")
    for first, key in kept:
        connection.execute(
            "INSERT INTO audit_key VALUES (?, ?)", (first, keys.seal_audit_key(first, key))
        )
    keys.take_audit_keys(kept)


def read_audit_keys(connection: Database, keys: Keys) -> None:
    """Give ``keys`` the log's keys that are in the vault.

    A key that does not open is left out: logins can be read without it, so damage of the log costs
    nobody a token. Reading the log names the records whose key is missing.
    """
    kept: list[tuple[int, bytes]] = []
    try:
        for first, sealed in connection.execute(
            "SELECT first_seq, sealed FROM audit_key ORDER BY first_seq"
        ):
            with suppress(Damaged, TypeError, AttributeError, OverflowError):
                kept.append((first, keys.open_audit_key(first, sealed)))
    except (sqlite3.Error, UnicodeDecodeError):
        kept = []
    keys.take_audit_keys(kept)
