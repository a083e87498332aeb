"""Describes a database of logins as a whole: what opens it, what is in it, and what waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...engine.errors import Damaged, NewerFormat
from ...engine.summary_codec import decode_summary
from ...engine.table import PENDING
from ..vault.info import DatabaseInfo
from ..vault.integrity import read_head
from ..vault.repair import quarantined
from .resealing import left

if TYPE_CHECKING:
    from ...engine.summary import Summary
    from ..keys.sealing import Keys
    from ..vault.database import Database
    from ..vault.header import Header
    from .address import Address


_PENDING: Final = frozenset(state.value for state in PENDING)


def database_info_of(
    database: Database, keys: Keys, header: Header, address: Address
) -> DatabaseInfo:
    """Describe the database; if its integrity record is damaged, what can still be read."""
    states = dict(database.execute("SELECT state, count(*) FROM login GROUP BY state"))
    try:
        head = read_head(database, keys)
        generation, records, first = head.generation, head.seq, head.first
    except Damaged:
        generation = records = first = 0
    ((leased,),) = database.execute("SELECT count(*) FROM lease WHERE until > clock_timestamp()")
    ((version, server, size),) = database.execute(
        "SELECT (SELECT max(version) FROM migration), current_setting('server_version'),"
        " (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
        "  WHERE relnamespace = to_regnamespace(?) AND relkind = 'r')",
        (address.schema,),
    )
    kinds = tuple(slot.kind for slot in header.slots)
    return DatabaseInfo(
        place=address.place,
        schema=address.schema,
        version=version,
        server=server,
        keys=kinds,
        key=kinds[0] if kinds else None,
        reason=header.reason,
        created_at=header.created_at,
        epoch=header.epoch,
        under_former_key=left(database, keys) if header.former else 0,
        generation=generation,
        logins=sum(states.values()),
        states=states,
        # each of the two reads the whole table, which has no index by state: every save would pay for it
        oldest_pending=_oldest_pending(database, keys) if states.keys() & _PENDING else None,
        leased=leased,
        records=records,
        first_record=first,
        size=size,
        quarantined=tuple(quarantined(database)),
    )


def _oldest_pending(database: Database, keys: Keys) -> Summary | None:
    oldest: Summary | None = None
    for login, version, state, meta in database.execute(
        "SELECT id, version, state, meta FROM login WHERE state IN (?, ?, ?)",
        sorted(_PENDING),
    ):
        try:
            one = decode_summary(keys.open_row("meta", login, version, state, meta))
        except (Damaged, NewerFormat):
            continue
        if one.pending and (oldest is None or one.created_at < oldest.created_at):
            oldest = one
    return oldest
