"""Describes a vault, or a database, as a whole: where it is, what opens it, how often it was changed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...engine.errors import Damaged
from .integrity import read_head
from .repair import quarantined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...engine.summary import Summary
    from ..keys.sealing import Keys
    from .header import Header


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultInfo:
    """What ``store info`` shows.

    Attributes:
        directory: Where the vault is.
        key: The kind of key that opens it; ``None`` where there is no vault yet.
        reason: Why that kind was chosen.
        created_at: When it was made, POSIX seconds.
        epoch: How many root keys it has had.
        format: The layout it is in.
        generation: How many commits it has had.
        logins: How many it holds.
        records: How many records its audit log has.
        quarantined: When each row that did not open was set aside, and why.
        journal: How SQLite makes changes durable.
    """

    directory: str
    key: str | None = None
    reason: str | None = None
    created_at: float | None = None
    epoch: int = 0
    format: int = 0
    generation: int = 0
    logins: int = 0
    records: int = 0
    quarantined: tuple[tuple[float, str], ...] = ()
    journal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseInfo:
    """What ``store info`` shows of a database.

    Attributes:
        place: Host and database.
        schema: The schema of the tables.
        version: The version of the tables.
        server: The version of the server.
        keys: The kinds of keys that open it.
        key: The first of them.
        reason: Why that kind was chosen.
        created_at: When the tables were made, POSIX seconds.
        epoch: How many root keys it has had.
        under_former_key: How many logins an unfinished change of the key has not come to yet.
        generation: How many commits it has had.
        logins: How many it holds.
        states: How many logins are in each state.
        oldest_pending: The login that has waited longest for its user, if any waits.
        leased: How many logins a process has in hand.
        records: The number of the last record of its audit log.
        first_record: The first record that has not been pruned.
        size: Octets of the tables and their indexes.
        quarantined: When each row that did not open was set aside, and why.
    """

    place: str
    schema: str
    version: int
    server: str
    keys: tuple[str, ...]
    key: str | None
    reason: str
    created_at: float
    epoch: int
    under_former_key: int
    generation: int
    logins: int
    states: Mapping[str, int]
    oldest_pending: Summary | None
    leased: int
    records: int
    first_record: int
    size: int
    quarantined: tuple[tuple[float, str], ...]


def vault_info_of(
    header: Header | None, directory: str, opened: tuple[sqlite3.Connection, Keys] | None
) -> VaultInfo:
    """Describe a vault; if it is damaged, what can still be read."""
    if header is None or opened is None:
        return VaultInfo(directory=directory)
    connection, keys = opened
    try:
        head = read_head(connection, keys)
        generation, records = head.generation, head.seq
    except Damaged:
        generation = records = 0
    (logins,) = connection.execute("SELECT count(*) FROM login").fetchone()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    return VaultInfo(
        directory=directory,
        key=header.slots[0].kind if header.slots else None,
        reason=header.reason,
        created_at=header.created_at,
        epoch=header.epoch,
        format=header.layout,
        generation=generation,
        logins=logins,
        records=records,
        quarantined=tuple(quarantined(connection)),
        journal=journal,
    )
