"""Check the audit log of a vault, record by record, and compare it with the logins.

The chain alone shows *that* a record is wrong. :class:`Displaced` finds out *how*: each record is
sealed under its number, so a record that does not open under its own number is tried under others. If
one opens it, it was moved or copied; if none does, it was edited or comes from elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.findings import Finding, FindingCode, records
from ...engine.audit.histories import Histories
from ...engine.audit.verifier import ChainWalk
from ...engine.errors import Damaged
from ..vault.database import one_moment
from ..vault.integrity import Head, read_head
from .forward_keys import present_key
from .record_keys import LogKeys
from .rows import BATCH, BegunAnew, start_of
from .rows import records as records_after

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...engine.audit.verifier import Verification
    from ..keys.sealing import Keys
    from ..vault.database import Database

# Openings that are spent on strange records, about a second in all. Without a bound, a log of n
# exchanged records would cost n² openings.
_TRIES: Final = 1_000_000
_ATTEMPTS: Final = 3
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
    for batch in (*[BATCH] * _ATTEMPTS, None):  # in the end, all of it as one snapshot
        try:
            return _checked(connection, keys, marks, forward, batch)
        except BegunAnew:
            continue
    raise AssertionError  # one snapshot does not change


def _checked(
    connection: Database,
    keys: Keys,
    marks: Collection[int],
    forward: tuple[int, bytes] | None,
    batch: int | None,
) -> Verification:
    """As :func:`check_log`, reading ``batch`` records at a time: a stopped process holds up nobody.

    Records that are written meanwhile are checked as well. The logins and the end are those of one moment.

    Raises:
        BegunAnew: The beginning is not what it was.
    """
    begun, aside = _beginning(connection, keys)
    head = begun
    # Without a readable head the log is still checked from record 1 on: an attacker who only
    # destroys the head must not hide what else was changed.
    start = begun or Head()
    since, key = forward or (start.forward, None)
    audit = LogKeys(keys, since, key)
    walk = ChainWalk(
        audit.link,
        Histories(from_the_start=start.first == 1),
        last=start.first - 1,
        before=start.link,
        wanted=marks,
    )
    _say_set_aside(walk, start, *aside)
    strange: dict[int, bytes] = {}
    after = start.first - 1
    logins: dict[str, tuple[int, str]] | None = None
    while logins is None:
        with one_moment(connection):  # one snapshot of the integrity record, the log and the rows
            head = _head_or_none(connection, keys)
            if start_of(head) != start_of(begun):
                raise BegunAnew
            rows = records_after(connection, after, batch)
            if batch is None or len(rows) < batch:
                found = connection.execute(
                    "SELECT CAST(id AS TEXT), version, CAST(state AS TEXT) FROM login"
                )
                logins = {login: (version, state) for login, version, state in found}
        after = rows[-1][0] if rows else after
        _walk(audit, walk, rows, strange)
    if head is None:
        message = "the number and link that the vault keeps of the end of its log were changed"
        walk.findings.append(Finding(code=FindingCode.HEAD, message=message))
    end = head.seq if head else walk.last
    walk.findings += Displaced(audit, strange, walk, end).explain()
    if head is not None:
        walk.finish(head.seq, head.mac)
        if forward is not None:
            walk.findings += _forward(keys, audit, head, forward[0])
    walk.histories.compare(logins)
    return _with_marks(walk.verification(), start, marks)


def _with_marks(found: Verification, begun: Head, marks: Collection[int]) -> Verification:
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


def _beginning(connection: Database, keys: Keys) -> tuple[Head | None, tuple[int | None, int]]:
    """The head of the log, if it can be read; the first record that was set aside, and how many."""
    with one_moment(connection):
        head = _head_or_none(connection, keys)
        aside, many = connection.execute(
            "SELECT min(seq), count(*) FROM audit WHERE seq < ?", ((head or Head()).first,)
        ).fetchone()
    return head, (aside, many)


def _head_or_none(connection: Database, keys: Keys) -> Head | None:
    try:
        return read_head(connection, keys)
    except Damaged:
        return None


def _say_set_aside(walk: ChainWalk, head: Head, aside: int | None, many: int) -> None:
    if many and aside is not None:
        which = f"{many} record{'s' if many > 1 else ''} before record {head.first}"
        message = f"{which}: the log was damaged there, and set aside"
        walk.say(FindingCode.SET_ASIDE, max(aside, 1), message, last=head.first - 1)


def _walk(
    audit: LogKeys,
    walk: ChainWalk,
    rows: list[tuple[int, Any, Any]],
    strange: dict[int, bytes],
) -> None:
    """Pass ``rows`` to ``walk``; those that do not open under their own numbers go to ``strange``."""
    if rows and walk.before is not None and rows[0][0] == walk.last + 1:
        texts = audit.texts(walk.before, rows)
        if texts is not None:
            walk.take_all(texts, [mac for _, _, mac in rows])
            return
    opened, take = audit.open, walk.take  # looked up once: a log may have millions of records
    for seq, sealed, mac in rows:
        try:
            text = opened(seq, sealed)
        except Damaged:
            strange[seq] = sealed
            walk.skip(seq)
            continue
        take(seq, text, mac if isinstance(mac, bytes) else b"")


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
