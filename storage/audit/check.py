"""The audit log of a vault, checked record by record, and against the vault itself."""

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

_TRIES: Final = 1_000_000  # openings spent on where strange records come from; about a second
_LIKELY: Final = 256


def check_log(
    connection: Database,
    keys: Keys,
    marks: Collection[int] = (),
    forward: tuple[int, bytes] | None = None,
) -> Verification:
    """Check all of the log: its links, its numbers, its end, its histories, and the vault they led to.

    Everything is collected; nothing is raised for what is found.

    Args:
        connection: The open vault.
        keys: Its keys.
        marks: The records whose links are to be kept in the answer.
        forward: The first record whose key was erased, and that key.
    """
    connection.execute("BEGIN")  # the integrity record, the log and the rows of one moment
    try:
        head: Head | None
        try:
            head = read_head(connection, keys)
        except Damaged:
            head = None
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
            message = "what the vault keeps of the end of its log was changed"
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
    if begun.link and begun.first - 1 in marks:  # a checkpoint of what was pruned
        return replace(found, marks={**found.marks, begun.first - 1: begun.link})
    return found


def _forward(keys: Keys, audit: LogKeys, head: Head, first: int) -> list[Finding]:
    """Whether the key the log goes on with follows from its first one: if not, it was begun anew."""
    with suppress(Damaged):
        if head.forward == first and audit.erased(head.seq + 1) == present_key(keys, head):
            return []
    message = "the key the log goes on with does not follow from the verification key"
    return [Finding(code=FindingCode.FORWARD_KEY, message=message)]


def file_keys(
    connection: Database, keys: Keys, forward: tuple[int, bytes] | None = None
) -> LogKeys:
    """The keys an exported log is checked with."""
    if forward is None:
        with suppress(Damaged):
            return LogKeys(keys, read_head(connection, keys).forward)
        return LogKeys(keys)
    return LogKeys(keys, *forward)


def nothing_to_verify() -> Verification:
    """What there is to say of a log that has not been begun."""
    return ChainWalk(None, Histories()).verification()


def _walk(connection: Database, audit: LogKeys, walk: ChainWalk, head: Head) -> dict[int, bytes]:
    """Take every record; gives those that do not open as what they stand for."""
    strange: dict[int, bytes] = {}
    opened, take = audit.open, walk.take
    aside, many = connection.execute(
        "SELECT min(seq), count(*) FROM audit WHERE seq < ?", (head.first,)
    ).fetchone()
    if many:
        told = f"{many} record{'s' if many > 1 else ''} before record {head.first}"
        message = f"{told}: the log was damaged there, and set aside"
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
    """Records that do not open under their own numbers: edited, or others' in their place."""

    def __init__(
        self, audit: LogKeys, strange: Mapping[int, bytes], walk: ChainWalk, end: int
    ) -> None:
        """Look into ``strange`` records of ``walk``; the log should end at ``end``."""
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
        """What became of them; records that were moved together are one finding."""
        found: list[Finding] = []
        shifted: tuple[int, int, int] | None = None  # the first, the last, and how far they are
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
        """The number a record opens under."""
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
