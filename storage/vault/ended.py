"""Removes logins that are over: what is known of them stays in the audit log.

A login that was finished, given up or abandoned leaves a row without secrets. A service with many users
would keep millions of them. Once such a row is old enough it goes, with one record for each batch, and
``audit verify`` takes the absence of these logins as explained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import PURGED, Event, EventKind, Outcome
from ...engine.errors import Damaged, NewerFormat
from ...engine.summary_codec import decode_summary
from ...engine.table import State
from ..audit.rows import append_event
from ..host import CLOCK, origin
from .tree import leaves_of, tags_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from .database import Database
    from .integrity import Head

BATCH: Final = 500
"""Logins that go in one transaction. Others may write in between."""


def remove_ended(
    connection: Database, keys: Keys, head: Head, before: float
) -> tuple[Head, int, Recorded] | None:
    """Remove some logins that ended before ``before``, POSIX seconds.

    Gives the head, how many they were, and the record of it; ``None`` if there are none.
    """
    ended = _ended(connection, keys, before)
    if not ended:
        return None
    for login, version, index, meta, secret in ended:
        digest = keys.row_digest(login, version, State.IDLE.value, tags_of(index, meta, secret))
        connection.execute("DELETE FROM login WHERE id = ?", (login,))
        head = head.without_row(leaves_of(login, index), digest)
    event = Event(
        time=CLOCK.now(),
        event=EventKind.STORAGE_CHANGED,
        origin=origin(),
        outcome=Outcome.SUCCESS,
        detail=f"{PURGED}{len(ended)}",
    )
    head = head._replace(rows=head.rows - len(ended))
    head, recorded = append_event(connection, keys, head, event)
    return head, len(ended), recorded


def _ended(connection: Database, keys: Keys, before: float) -> list[Any]:
    found: list[Any] = []
    for login, version, index, meta, secret in list(
        connection.execute(
            "SELECT id, version, idx, meta, substr(secret, length(secret) - 15) FROM login"
            " WHERE state = ?",
            (State.IDLE.value,),
        )
    ):
        try:
            one = decode_summary(keys.open_row("meta", login, version, State.IDLE.value, meta))
        except (Damaged, NewerFormat):  # that is for `store mend`
            continue
        if one.changed_at < before:
            found.append((login, version, index, meta, secret))
            if len(found) == BATCH:
                break
    return found
