"""The rows of the audit log: sealed, numbered without gaps, each linked to the one before.

A row is written in the transaction of the change that it describes, so neither is there without the
other. The head (number and link of the last row) goes into the integrity record of that transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import (
    FINGERPRINTS,
    Event,
    NotAnEvent,
    Recorded,
    Scalar,
    members_of_text,
    text_of,
)
from ...engine.errors import Damaged
from ...engine.hints import Hint
from ..keys.sealing import hmac
from ..vault.database import one_moment
from ..vault.integrity import read_head
from .forward_keys import take_key
from .record_keys import LogKeys

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from ..vault.database import Database
    from ..vault.integrity import Head


def members_of(event: Event, fingerprint: Any) -> dict[str, Scalar]:
    """The members of ``event``: its fields, and a keyed digest of each of its secret values."""
    members = event.members()
    for name, value in event.fingerprints.items():
        if name in FINGERPRINTS:
            members[f"{name}_fp"] = fingerprint(name, value.reveal())
    return members


def append_event(
    connection: Database, keys: Keys, head: Head, event: Event
) -> tuple[Head, Recorded]:
    """Write ``event`` as the next row. Gives the new head, and the event with its number."""
    members = members_of(event, keys.fingerprint)
    return append_text(connection, keys, head, text_of(members), members)


def append_text(
    connection: Database,
    keys: Keys,
    head: Head,
    text: bytes,
    members: dict[str, Scalar] | None = None,
) -> tuple[Head, Recorded]:
    """As :func:`append_event`, for the text of an event; ``members`` saves parsing it, if known."""
    seq, before = head.seq + 1, head.mac
    if head.forward_key:
        key, head = take_key(keys, head)
        mac = hmac(key, head.mac + pack(">Q", seq) + text)
    else:
        mac = keys.chain(head.mac, seq, text)
    connection.execute("INSERT INTO audit VALUES (?, ?, ?)", (seq, keys.seal_event(seq, text), mac))
    return head._replace(seq=seq, mac=mac), Recorded(
        seq, members_of_text(text) if members is None else members, before, mac, keys.name
    )


BATCH: Final = 2000
"""Records that are read in one transaction: a few milliseconds, so that a process that is stopped
between two of them holds up nobody."""
_ATTEMPTS: Final = 3


class BegunAnew(Exception):
    """The log was pruned, set aside or sealed anew since its check began."""


def start_of(head: Head | None) -> object:
    """What is the same for as long as the log only grows."""
    return None if head is None else (head.first, head.link, head.forward)


def records(connection: Database, after: int, batch: int | None) -> list[tuple[int, Any, Any]]:
    """Up to ``batch`` records, or all, with numbers above ``after``."""
    limited, most = (" LIMIT ?", (batch,)) if batch is not None else ("", ())
    rows = connection.execute(
        f"SELECT seq, body, mac FROM audit WHERE seq > ? ORDER BY seq{limited}",  # noqa: S608
        (after, *most),
    )
    return list(rows)


def check_chain(connection: Database, keys: Keys) -> None:
    """Follow the chain from the first event to the last one in the integrity record.

    It is read in pieces. Events that are written meanwhile are checked as well; the end is that of the
    moment when the last piece was read.

    Raises:
        Damaged: An event was changed, removed, added or moved; or the integrity record was.
    """
    for batch in (*[BATCH] * _ATTEMPTS, None):  # in the end, all of it as one snapshot
        try:
            return _check_chain(connection, keys, batch)
        except BegunAnew:
            continue
    raise AssertionError  # one snapshot does not change


def _check_chain(connection: Database, keys: Keys, batch: int | None) -> None:
    begun: Head | None = None
    link, last = b"", 0
    while True:
        with one_moment(connection):  # the integrity record and a piece of the log, of one moment
            head = read_head(connection, keys)
            if begun is None:
                begun, link, last = head, head.link, head.first - 1
            elif start_of(head) != start_of(begun):
                raise BegunAnew
            rows = records(connection, last, batch)
        audit = LogKeys(keys, head.forward)
        for seq, sealed, mac in rows:
            if not isinstance(sealed, bytes) or seq != last + 1:
                raise _not_as_written(last + 1)
            if audit.link(link, seq, audit.open(seq, sealed)) not in {None, mac}:
                raise _not_as_written(seq)
            link, last = mac, seq
        if batch is None or len(rows) < batch:
            break
    if (last, link) != (head.seq, head.mac):
        raise _not_as_written(last + 1)


def _read_aside(
    connection: Database, keys: Keys, first: int, after: int, limit: int
) -> list[Recorded]:
    """The records of a part that was set aside, as far as they open. Their links are left out.

    They are not written any more, so they are read in pieces, and opened outside of a transaction.
    """
    found: list[Recorded] = []
    while True:
        rows = list(
            connection.execute(
                "SELECT seq, body FROM audit WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
                (after, first, BATCH),
            )
        )
        for seq, sealed in rows:
            if len(found) == limit:
                return found
            with suppress(Damaged, NotAnEvent, TypeError):
                members = members_of_text(keys.open_event(seq, sealed))
                found.append(Recorded(seq, members, store=keys.name))
        if len(rows) < BATCH:
            return found
        after = rows[-1][0]


def _not_as_written(seq: int) -> Damaged:
    return Damaged(
        f"record {seq} of the audit log is not as it was written", hint=Hint("audit verify")
    )


def read_events(connection: Database, keys: Keys, *, after: int, limit: int) -> Sequence[Recorded]:
    """Up to ``limit`` events with numbers above ``after``, in order.

    No transaction is open while they are opened: a reader that is stopped then holds up nobody.

    Raises:
        Damaged: One of them is missing or cannot be opened.
    """
    found: list[Recorded] = []
    after = max(after, 0)
    first = read_head(connection, keys).first
    if after < first - 1:
        aside = _read_aside(connection, keys, first, after, limit)
        if aside:
            return aside
        after = first - 1
    with one_moment(connection):  # the integrity record and the log of one moment
        head = read_head(connection, keys)
        # The first row is the one before the events: its link is needed to check theirs.
        rows = list(
            connection.execute(
                "SELECT seq, body, mac FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?",
                (after, limit + 1),
            )
        )
    if head.first != first:  # another part was set aside or pruned just now
        return read_events(connection, keys, after=after, limit=limit)
    link = head.link
    audit = LogKeys(keys, head.forward)
    for seq, sealed, mac in rows:
        if seq == after:  # this row is read only for its link, which the next one follows
            link = head.link if seq < head.first else mac
            continue
        if seq != after + len(found) + 1 or len(found) == limit:
            break
        try:
            text = audit.open(seq, sealed)
            if audit.link(link, seq, text) not in {None, mac}:
                raise _not_as_written(seq)
            members = members_of_text(text)
        except (Damaged, NotAnEvent) as error:
            raise Damaged(
                f"record {seq} of the audit log does not open", hint=Hint("audit verify")
            ) from error
        found.append(Recorded(seq, members, link, mac, keys.name))
        link = mac
    # Fewer rows than the integrity record promises: the rest was cut off, or one is missing.
    if after + len(found) < min(head.seq, after + limit):
        raise _not_as_written(after + len(found) + 1)
    return found
