"""Old records of the audit log are removed, and what is left stays provable.

They are verified before, and a checkpoint is signed at the cut: it proves which records were removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...engine.audit.events import Event, EventKind, Outcome, members_of_text
from ...engine.audit.findings import records
from ...engine.audit.histories import Histories
from ...engine.audit.verifier import ChainWalk
from ...engine.errors import Damaged
from ...engine.hints import Hint
from ...engine.table import State
from ..host import CLOCK, origin
from ..vault.tree import leaves_of, tags_of
from .record_keys import LogKeys
from .rows import append_event
from .signing import Signer

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ..keys.sealing import Keys
    from ..vault.database import Database
    from ..vault.integrity import Head

_HELP: Final = Hint("audit verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The records that were removed.

    Attributes:
        first: The first record.
        last: The last record.
        logins: How many ended logins were removed with their records.
        note: The signed checkpoint of the last record.
    """

    first: int
    last: int
    logins: int
    note: str


def prune(
    connection: Database, keys: Keys, head: Head, before: float
) -> tuple[Head, Pruned, Recorded] | None:
    """Remove the records that were written before ``before``. ``None`` if there are no such records.

    The records are verified first: to remove damaged ones would remove the evidence. Then a checkpoint
    of the last one is signed, and the log continues from its link. An ended login (``idle``) is removed
    together with its last record: it says nothing that the record does not say. A part that was set
    aside is removed once its record is old enough.

    Raises:
        Damaged: The records to remove are not as they were written.
    """
    walk, cut, link = _old(connection, keys, head, before)
    if cut < head.first:
        return None
    (first,) = connection.execute("SELECT min(seq) FROM audit WHERE seq > 0").fetchone()
    connection.execute("DELETE FROM audit WHERE seq <= ?", (cut,))
    logins = 0
    for login, last in walk.histories.logins.items():
        if last.state == State.IDLE.value:
            after = _forget(connection, keys, head, login, last.version)
            logins += after is not head
            head = after
    event = Event(
        time=CLOCK.now(),
        event=EventKind.AUDIT_PRUNED,
        origin=origin(),
        outcome=Outcome.SUCCESS,
        detail=f"records={first}-{cut} sha256={link.hex()}",
    )
    head, recorded = append_event(connection, keys, head._replace(first=cut + 1, link=link), event)
    # With this note the removed part can still be proved from an export: its last link is signed.
    note = Signer(keys).note(cut, link)
    return head, Pruned(first=first, last=cut, logins=logins, note=note), recorded


def _old(
    connection: Database, keys: Keys, head: Head, before: float
) -> tuple[ChainWalk, int, bytes]:
    """Verify the old records. Gives the walk, and the number and link of the last one."""
    audit = LogKeys(keys, head.forward)
    walk = ChainWalk(audit.link, Histories(from_the_start=False), head.first - 1, head.link)
    cut, link = head.first - 1, head.link
    for seq, sealed, mac in connection.execute(
        "SELECT seq, body, mac FROM audit WHERE seq >= ? ORDER BY seq", (head.first,)
    ):
        text = audit.open(seq, sealed)
        time_of = members_of_text(text).get("time")
        if not isinstance(time_of, int | float) or time_of >= before:
            break
        walk.take(seq, text, mac)
        if walk.findings or walk.histories.findings:
            gone = records(head.first, seq)
            raise Damaged(
                f"{gone} of the audit log do not verify, so nothing was removed", hint=_HELP
            )
        cut, link = seq, mac
    return walk, cut, link


def _forget(connection: Database, keys: Keys, head: Head, login: str, version: int) -> Head:
    """Remove the row of an ended login, unless it has a later record that stays."""
    found = connection.execute(
        "SELECT state, idx, substr(meta, -16), substr(secret, -16) FROM login"
        " WHERE id = ? AND version = ? AND state = ?",
        (login, version, State.IDLE.value),
    ).fetchone()
    if found is None:
        return head
    state, index, meta, secret = found
    digest = keys.row_digest(login, version, state, tags_of(index, meta, secret))
    connection.execute("DELETE FROM login WHERE id = ?", (login,))
    return head.without_row(leaves_of(login, index), digest)._replace(rows=head.rows - 1)
