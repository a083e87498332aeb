"""The audit log in the vault: sealed, numbered without gaps, each event linked to all before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..engine import cbor
from ..engine.errors import Damaged
from ..engine.events import FINGERPRINTS, Event, Recorded, Scalar

if TYPE_CHECKING:
    import sqlite3

    from .manifest import Head
    from .sealing import Keys


def members_of(event: Event, fingerprint: Any) -> dict[str, Scalar]:
    """What is written of ``event``: its fields, and a keyed digest of each value it names."""
    members = event.members()
    for name, value in event.fingerprints.items():
        if name in FINGERPRINTS:
            members[f"{name}_fp"] = fingerprint(name, value.reveal())
    return members


def append_event(
    connection: sqlite3.Connection, keys: Keys, head: Head, event: Event
) -> tuple[Head, Recorded]:
    """Write ``event`` as the next; gives the new head and the event with its number."""
    members = members_of(event, keys.fingerprint)
    seq = head.seq + 1
    sealed = keys.seal_event(seq, cbor.encode(cast("Mapping[str, cbor.Plain]", members)))
    mac = keys.chain(head.mac, seq, sealed)
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", (seq, sealed, mac))
    return replace(head, seq=seq, mac=mac), Recorded(seq, members)


def read_events(
    connection: sqlite3.Connection, keys: Keys, *, after: int, limit: int
) -> Sequence[Recorded]:
    """Up to ``limit`` events above number ``after``, in order.

    Raises:
        Damaged: One of them does not open.
    """
    found: list[Recorded] = []
    for seq, sealed in connection.execute(
        "SELECT seq, body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
    ):
        try:
            members = cbor.decode_map(keys.open_event(seq, sealed))
        except (Damaged, cbor.CborError) as error:
            raise Damaged(
                f"record {seq} of the audit log does not open", hint="holdfast audit show"
            ) from error
        found.append(Recorded(seq, {name: _scalar(value) for name, value in members.items()}))
    return found


def _scalar(value: cbor.Plain) -> Scalar:
    return cast("Scalar", tuple(value) if isinstance(value, list) else value)
