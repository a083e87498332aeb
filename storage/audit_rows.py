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


def check_chain(connection: sqlite3.Connection, keys: Keys, head: Head) -> None:
    """Follow the chain from the first event to the last the manifest knows.

    Raises:
        Damaged: An event was changed, removed, added or put elsewhere.
    """
    link, last = b"", 0
    for seq, sealed, mac in connection.execute("SELECT seq, body, mac FROM audit ORDER BY seq"):
        if not isinstance(sealed, bytes) or seq != last + 1:
            raise _not_as_written(last + 1)
        link, last = keys.chain(link, seq, sealed), seq
        if link != mac:
            raise _not_as_written(seq)
    if (last, link) != (head.seq, head.mac):
        raise _not_as_written(last + 1)


def _not_as_written(seq: int) -> Damaged:
    return Damaged(
        f"record {seq} of the audit log is not as it was written", hint="holdfast help audit"
    )


def read_events(
    connection: sqlite3.Connection, keys: Keys, head: Head, *, after: int, limit: int
) -> Sequence[Recorded]:
    """Up to ``limit`` events above number ``after``, in order.

    Raises:
        Damaged: One of them is missing or does not open.
    """
    found: list[Recorded] = []
    after = max(after, 0)
    for seq, sealed in connection.execute(
        "SELECT seq, body FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
    ):
        try:
            members = cbor.decode_map(keys.open_event(seq, sealed))
        except (Damaged, cbor.CborError) as error:
            raise Damaged(
                f"record {seq} of the audit log does not open", hint="holdfast audit show"
            ) from error
        if seq != after + len(found) + 1:
            break
        found.append(Recorded(seq, {name: _scalar(value) for name, value in members.items()}))
    if after + len(found) < min(head.seq, after + limit):
        raise _not_as_written(after + len(found) + 1)
    return found


def _scalar(value: cbor.Plain) -> Scalar:
    return cast("Scalar", tuple(value) if isinstance(value, list) else value)
