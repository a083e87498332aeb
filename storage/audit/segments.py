"""The beginning of a log: damaged records are set aside, and the rest stays provable.

The head keeps the first number and the link before it, so the chain can be followed from there. Old records
are removed by :mod:`.pruning`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...engine.audit.events import Event, EventKind, Outcome
from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ..host import CLOCK, origin
from ..vault.integrity import read_head
from .forward_keys import begin, key_text
from .rows import append_event

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from ..vault.database import Database
    from ..vault.integrity import Head

_HELP: Final = Hint("audit verify")


def sound_end(connection: Database, head: Head) -> bool:
    """Whether the last row is the one in the integrity record. It reads one row only."""
    found = connection.execute("SELECT seq, mac FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    if found is None:
        return head.seq < head.first
    seq, mac = found
    return bool(seq == head.seq and (seq < head.first or mac == head.mac))


def set_aside(connection: Database, keys: Keys, head: Head) -> tuple[Head, Recorded]:
    """Set the log aside as it is, and begin a new segment with a record that says so.

    The old rows stay, and ``audit verify`` keeps reporting them. Rows that somebody added after the end
    get negative numbers: the new segment needs those numbers, and a row at the highest number must not
    be able to end the log for ever. The new segment is linked to the last link that is known.
    """
    connection.execute("UPDATE audit SET seq = -seq WHERE seq > ?", (head.seq,))
    event = Event(
        time=CLOCK.now(),
        event=EventKind.AUDIT_SET_ASIDE,
        origin=origin(),
        outcome=Outcome.SUCCESS,
        detail=f"records={head.first}-{head.seq}",
    )
    begun = head._replace(first=head.seq + 1, link=head.mac)
    return append_event(connection, keys, begun, event)


def ready(connection: Database, keys: Keys) -> tuple[Head, list[Recorded]]:
    """The head to continue from, and the events that were recorded first.

    It is called before each write. A damaged end must not stop sign-ins, so it is set aside.
    """
    head = read_head(connection, keys)
    # Only the end is looked at. A write must not take longer for a long log; `audit verify` reads all.
    if sound_end(connection, head):
        return head, []
    head, recorded = set_aside(connection, keys, head)
    return head, [recorded]


def go_forward_secure(connection: Database, keys: Keys, head: Head) -> tuple[Head, str]:
    """Erase the key of each record from now on. Gives the head, and the verification key.

    Raises:
        ConfigInvalid: The log is forward-secure already.
    """
    if head.forward:
        raise ConfigInvalid(
            f"the log is forward-secure since record {head.forward}",
            hint=Hint("audit verify", None, "--forward-key", "FILE"),
        )
    head, key = begin(keys, head)
    event = Event(
        time=CLOCK.now(),
        event=EventKind.AUDIT_FORWARD_SECURE,
        origin=origin(),
        outcome=Outcome.SUCCESS,
    )
    after, _ = append_event(connection, keys, head, event)
    return after, key_text(head.forward, key)
