"""Check the audit log of a vault, record by record, and compare it with the logins.

The chain alone shows *that* a record is wrong. :class:`Displaced` finds out *how*: each record is
sealed under its number, so a record that does not open under its own number is tried under others. If
one opens it, it was moved or copied; if none does, it was edited or comes from elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from ...engine.audit.findings import Finding, FindingCode, records
from ...engine.audit.histories import Histories
from ...engine.audit.verifier import ChainWalk
from ...engine.errors import Damaged
from ..vault.integrity import Head, read_head
from .forward_keys import present_key
from .keys import LogKeys

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...engine.audit.verifier import Verification
    from ..keys.sealing import Keys
    from ..vault.database import Database

# Openings that are spent on strange records, about a second in all. Without a bound, a log of n
# exchanged records would cost n² openings.
_TRIES: Final = 1_000_000
_LIKELY: Final = 256  # strange records whose numbers are tried first: exchanges stay among them


def check_log(
    connection: Database,
    keys: Keys,
    marks: Collection[int] = (),
    forward: tuple[int, bytes] | None = None,
) -> Verification:
    """Check the whole log: links, numbers, end and histories, and compare it with the logins.

    All findings are collected. None of them raises.

    Args:
        connection: The open vault.
        keys: The keys of the vault.
        marks: The numbers of the records whose links the result has as marks.
        forward: The first record whose key was erased, and that key.
    """
    connection.execute("BEGIN")  # one snapshot of the integrity record, the log and the rows
    try:
        head: Head | None
        try:
            head = read_head(connection, keys)
        except Damaged:
            head = None
        # Without a readable head the log is still checked from record 1 on: an attacker who only
        # destroys the head must not hide what else was changed.
        begun = head or Head()
        since, key = forward or (begun.forward, None)
        audit = LogKeys(keys, since, key)
        walk = ChainWalk(
            audit.link,
            Histories(from_the_start=begun.first == 1),
            last=begun.first - 1,
            before=begun.link,
            wanted=marks,
        )
        strange = _walk(connection, audit, walk, begun)
        if head is None:
            message = "the number and link that the vault keeps of the end of its log were changed"
            walk.findings.append(Finding(code=FindingCode.HEAD, message=message))
        end = head.seq if head else walk.last
        walk.findings += Displaced(audit, strange, walk, end).explain()
        if head is not None:
            walk.finish(head.seq, head.mac)
            if forward is not None:
                walk.findings += _forward(keys, audit, head, forward[0])
        rows = connection.execute(
            "SELECT CAST(id AS TEXT), version, CAST(state AS TEXT) FROM login"
        )
        walk.histories.compare({login: (version, state) for login, version, state in rows})
    finally:
        connection.execute("COMMIT")
    found = walk.verification()
    # a checkpoint of a record that was pruned since: its link is kept as the beginning of the rest
    if begun.link and begun.first - 1 in marks:
        return replace(found, marks={**found.marks, begun.first - 1: begun.link})
    return found


def _forward(keys: Keys, audit: LogKeys, head: Head, first: int) -> list[Finding]:
    """A finding if the present key does not descend from the first one.

    An attacker who holds the vault cannot compute earlier keys. But they could begin a new series of
    keys and link a false log with it; only the first key, which is kept elsewhere, shows that.
    """
    with suppress(Damaged):
        if head.forward == first and audit.erased(head.seq + 1) == present_key(keys, head):
            return []
    message = "the key the log goes on with does not follow from the verification key"
    return [Finding(code=FindingCode.FORWARD_KEY, message=message)]


def file_keys(
    connection: Database, keys: Keys, forward: tuple[int, bytes] | None = None
) -> LogKeys:
    """The keys to check an exported log with."""
    if forward is None:
        with suppress(Damaged):
            return LogKeys(keys, read_head(connection, keys).forward)
        return LogKeys(keys)
    return LogKeys(keys, *forward)


def nothing_to_verify() -> Verification:
    """The result for a log that does not exist yet."""
    return ChainWalk(None, Histories()).verification()


def _walk(connection: Database, audit: LogKeys, walk: ChainWalk, head: Head) -> dict[int, bytes]:
    """Pass every record to ``walk``. Gives the records that do not open under their own numbers."""
    strange: dict[int, bytes] = {}
    opened, take = audit.open, walk.take  # looked up once: a log may have millions of records
    aside, many = connection.execute(
        "SELECT min(seq), count(*) FROM audit WHERE seq < ?", (head.first,)
    ).fetchone()
    if many:
        which = f"{many} record{'s' if many > 1 else ''} before record {head.first}"
        message = f"{which}: the log was damaged there, and set aside"
        walk.say(FindingCode.SET_ASIDE, max(aside, 1), message, last=head.first - 1)
    for seq, sealed, mac in connection.execute(
        "SELECT seq, body, mac FROM audit WHERE seq >= ? ORDER BY seq", (head.first,)
    ):
        try:
            text = opened(seq, sealed)
        except Damaged:
            strange[seq] = sealed
            walk.skip(seq)
            continue
        take(seq, text, mac if isinstance(mac, bytes) else b"")
    return strange


class Displaced:
    """The records that do not open under their own numbers, and what happened to each."""

    def __init__(
        self, audit: LogKeys, strange: Mapping[int, bytes], walk: ChainWalk, end: int
    ) -> None:
        """Examine the ``strange`` records of ``walk``, in a log that should end at ``end``."""
        self._audit = audit
        self._strange = strange
        self._end = end
        self._last = max(end, walk.last)
        self._gone = [
            (found.seq or 0, found.last or 0)
            for found in walk.findings
            if found.code is FindingCode.MISSING
        ]
        self._gone.append((walk.last + 1, self._last))
        self._likely = list(islice(strange, _LIKELY))
        self._tries = _TRIES

    def explain(self) -> list[Finding]:
        """A finding for each strange record; records that were moved together have one finding."""
        found: list[Finding] = []
        shifted: tuple[int, int, int] | None = None  # the first, the last, and the distance
        origins: set[int] = set()
        offset = 0
        for seq, sealed in self._strange.items():
            origin = self._origin(seq, sealed, offset)
            offset = origin - seq if origin else 0
            moved = origin not in origins and (origin in self._strange or self._is_gone(origin))
            if origin is None or not moved:
                found.append(self._foreign(seq, origin))
                continue
            origins.add(origin)
            if shifted is not None and shifted[1:] == (seq - 1, offset):
                shifted = (shifted[0], seq, offset)
                found[-1] = _moved(*shifted)
            else:
                shifted = (seq, seq, offset)
                found.append(_moved(*shifted))
        return found

    def _foreign(self, seq: int, origin: int | None) -> Finding:
        if origin is not None:
            code, how = FindingCode.COPIED, f"is record {origin} once more"
        elif seq > self._end:
            code, how = FindingCode.ADDED, "was added after the end"
        else:
            code, how = FindingCode.CHANGED, "is not as it was written"
        return Finding(code=code, message=f"record {seq} {how}", seq=seq, last=seq)

    def _origin(self, seq: int, sealed: bytes, offset: int) -> int | None:
        """The number under which a record opens, or ``None``.

        The most likely numbers come first: the distance of the record before, the neighbours, and
        the other strange records. All numbers are tried only while the budget lasts.
        """
        every = range(1, self._last + 1) if self._tries > self._last else range(0)
        for candidate in chain((seq + offset, seq - 1, seq + 1), self._likely, every):
            if candidate == seq or not 0 < candidate <= self._last:
                continue
            self._tries -= 1
            try:
                self._audit.open(candidate, sealed)
            except Damaged:
                continue
            return candidate
        return None

    def _is_gone(self, seq: int | None) -> bool:
        return seq is not None and any(first <= seq <= last for first, last in self._gone)


def _moved(first: int, last: int, offset: int) -> Finding:
    were, are = records(first + offset, last + offset), records(first, last)
    return Finding(code=FindingCode.MOVED, message=f"{were} now: {are}", seq=first, last=last)
