"""Check an audit log: every record must follow the one before it, and every login its history.

:class:`ChainWalk` takes the records one by one, from the vault or from a file. :func:`check_lines`
reads them from an exported log, one JSON object a line, with the key of the vault or without it.

The link of a record is a MAC over the link before it, its number and its text::

    record 1        record 2        record 3
    text 1          text 2          text 3
    link 1  ----->  link 2  ----->  link 3

So a change, a gap or an exchange shows at the first record it touches. A cut at the end does not
show in the chain itself; the vault keeps the last number and link apart (:meth:`ChainWalk.finish`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, cast

from .events import (
    GONE,
    PURGED,
    SECTION,
    SET_ASIDE,
    NotAnEvent,
    members_of_text,
    text_of_line,
    transition_in_text,
)
from .findings import CHAIN, Finding, FindingCode, records
from .histories import Histories

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from .events import Scalar

    Link: TypeAlias = Callable[[bytes, int, bytes], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result of a check of a log.

    Attributes:
        findings: What is wrong, in the order of the records.
        records: How many records were read.
        first: The number of the first record.
        last: The number of the last record.
        head: The link of the last record.
        since: When the first record was written, POSIX seconds.
        until: When the last record was written, POSIX seconds.
        logins: How many logins the log has.
        keyed: Whether the links were computed anew, which needs the key of the vault.
        unkeyed: How many links could not be computed because their key was erased.
        marks: The links of the records that the caller named.
    """

    findings: Sequence[Finding]
    records: int
    first: int
    last: int
    head: bytes
    since: float | None
    until: float | None
    logins: int
    keyed: bool
    unkeyed: int = 0
    marks: Mapping[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def intact(self) -> int:
        """The last record up to which the log can be trusted; 0 if no record can."""
        broken = [found.seq for found in self.findings if found.code in CHAIN and found.seq]
        return min(broken) - 1 if broken else self.last


@dataclass(slots=True)
class ChainWalk:
    """Follows the links of a log, and the histories of its logins.

    Attributes:
        link: Computes the link of a record from the link before it, its number and its text. It
            gives ``None`` for a record whose key was erased. It is ``None`` without the key.
        histories: The histories of the logins.
        last: The number of the latest record.
        before: The link of that record; ``None`` if it is not known.
        findings: What is wrong with the links.
        records: How many records were taken.
        first: The number of the first of them.
        unkeyed: How many of their links could not be computed because their key was erased.
        wanted: The numbers of the records whose links are kept as marks.
    """

    link: Link | None
    histories: Histories
    last: int = 0
    before: bytes | None = b""
    findings: list[Finding] = field(default_factory=list[Finding])
    records: int = 0
    first: int = 0
    unkeyed: int = 0
    wanted: Collection[int] = ()
    _marks: dict[int, bytes] = field(default_factory=dict[int, bytes])
    _computed: bytes | None = None  # the right link of the latest record, if a wrong one is there
    _first_text: bytes = b""
    _last_text: bytes = b""

    def take(self, seq: int, text: bytes, mac: bytes) -> None:
        """Take the next record.

        Args:
            seq: Its number.
            text: Its text.
            mac: Its link, as it is in the log.
        """
        if seq != self.last + 1:
            self.arrive(seq)
        self.last = seq
        if not self.records:
            self.first, self._first_text = seq, text
        self.records += 1
        if self.before is not None and self.link is not None:
            expected = self.link(self.before, seq, text)
            if expected is None:
                self.unkeyed += 1
                self._computed = None
            elif expected != mac:
                self._mismatch(seq, text, mac, expected)
            elif (
                self._computed is not None
            ):  # set only after a mismatch: most records need no write
                self._computed = None
        self.before = mac
        self._last_text = text
        if seq in self.wanted:
            self._marks[seq] = mac
        self._hear(seq, text)

    def take_all(self, texts: Sequence[bytes], macs: Sequence[bytes]) -> None:
        """Take the next records, whose links the caller has found to be right.

        Args:
            texts: Their texts.
            macs: Their links.
        """
        first, hear = self.last + 1, self._hear
        self.last += len(texts)
        if not self.records:
            self.first, self._first_text = first, texts[0]
        self.records += len(texts)
        self.before, self._computed, self._last_text = macs[-1], None, texts[-1]
        self._marks.update(
            (seq, macs[seq - first]) for seq in self.wanted if first <= seq <= self.last
        )
        for seq, text in enumerate(texts, first):
            hear(seq, text)

    def _hear(self, seq: int, text: bytes) -> None:
        """Pass what the record says about a login to the histories."""
        try:
            transition = transition_in_text(text)
            if transition is not None:
                self.histories.take(seq, transition)
            elif b'"event":"storage.changed"' in text:
                self._storage_changed(text)
        except NotAnEvent as error:
            self.say(FindingCode.UNREADABLE, seq, f"record {seq} is {error}")

    def _mismatch(self, seq: int, text: bytes, mac: bytes, expected: bytes) -> None:
        """Record ``seq`` has another link than the computed one.

        If only the *link* of the record before was edited, this record still follows from that
        record's right link. Then the fault is that record's, which has its finding, and this one is
        innocent. Without this, one edit would be reported twice.
        """
        if self._computed is not None and self.link is not None:
            again = self.link(self._computed, seq, text)
            self._computed = None
            if again == mac:
                return
        self._computed = expected
        message = f"record {seq} does not follow record {seq - 1}"
        self.findings.append(
            Finding(
                code=FindingCode.CHANGED,
                message=message,
                seq=seq,
                last=seq,
                expected=expected.hex(),
                found=mac.hex(),
            )
        )

    def _storage_changed(self, text: bytes) -> None:
        members = members_of_text(text)
        login, detail = members.get("login"), members.get("detail")
        if isinstance(detail, str) and detail.startswith(PURGED):
            self.histories.purged()
        elif detail in {SET_ASIDE, GONE} and isinstance(login, str):
            self.histories.end(login)

    def skip(self, seq: int) -> None:
        """Pass over a record that cannot be read. The caller reports why."""
        self.arrive(seq)
        if not self.records:
            self.first = seq
        self.records += 1
        self.before = self._computed = None
        self.histories.interrupted(seq)

    def arrive(self, seq: int) -> None:
        """Come to record ``seq``, and report the records that are missing before it."""
        if seq > self.last + 1:
            self.say(
                FindingCode.MISSING,
                self.last + 1,
                f"{_are(self.last + 1, seq - 1)} missing",
                last=seq - 1,
            )
            self.before = self._computed = None
            self.histories.interrupted(seq - 1)
        self.last = seq

    def finish(self, seq: int, mac: bytes) -> None:
        """Compare the end of the log with the last number and link that the vault keeps apart."""
        if self.last < seq:
            self.say(
                FindingCode.TRUNCATED,
                self.last + 1,
                f"{_are(self.last + 1, seq)} cut off the end",
                last=seq,
            )
            self.histories.interrupted(seq)
        elif self.last == seq and self.before not in {None, mac} and not self._suspects(seq):
            self.say(FindingCode.HEAD, seq, f"the vault ends its log with another record {seq}")

    def _suspects(self, seq: int) -> bool:
        return any(found.seq == seq and found.code in CHAIN for found in self.findings)

    def say(self, code: FindingCode, seq: int, message: str, *, last: int | None = None) -> None:
        """Add a finding."""
        self.findings.append(Finding(code=code, message=message, seq=seq, last=last or seq))

    def verification(self) -> Verification:
        """The result of the walk."""
        found = [*self.findings, *self.histories.findings]
        return Verification(
            findings=sorted(found, key=lambda one: one.seq or self.last + 1),
            records=self.records,
            first=self.first,
            last=self.last,
            head=self.before or b"",
            since=_time_of(self._first_text),
            until=_time_of(self._last_text),
            logins=len(self.histories.logins),
            keyed=self.link is not None,
            unkeyed=self.unkeyed,
            marks=self._marks,
        )


def _are(first: int, last: int) -> str:
    return f"{records(first, last)} {'is' if first == last else 'are'}"


def _time_of(text: bytes) -> float | None:
    try:
        time = members_of_text(text).get("time")
    except NotAnEvent:
        return None
    return float(time) if isinstance(time, int | float) else None


def check_lines(
    lines: Iterable[bytes],
    link: Link | None,
    marks: Collection[int] = (),
    store: str | None = None,
) -> Verification:
    """Check the records of an exported log.

    Every record is sent to a file at least once, so the same one may come again, and a line may be
    torn if the record comes after it. The file may begin anywhere: files are rotated. Lines of other
    storages are passed over. Where a log was put back from a copy a line says so, and the log begins
    again: what is checked is the last section, which is the log of the present storage.

    Args:
        lines: The file.
        link: Computes links with the key of the vault; without it, the numbers, the links between
            lines and the histories are checked, and a record could still have been rewritten
            together with all behind it.
        marks: The records whose links are to be kept.
        store: The storage whose log is checked; that of the first line, if it is not given.
    """
    walk: ChainWalk | None = None
    macs: dict[int, bytes] = {}
    for line in _lines_of(store, lines):
        if line.begins_a_section:
            walk, macs = None, {}
            continue
        seq, prev, mac = line.seq, line.prev, line.mac
        if walk is None:
            walk = ChainWalk(
                link, Histories(from_the_start=seq == 1), last=seq - 1, before=prev, wanted=marks
            )
        # A line may come again after a crash, and is then the same. A record that was moved back comes
        # for the first time; one that was forged comes again with another link.
        if seq <= walk.last:
            if seq not in macs:
                walk.say(FindingCode.MOVED, seq, f"record {seq} stands after record {walk.last}")
            elif macs[seq] != mac:
                walk.say(
                    FindingCode.CHANGED, seq, f"record {seq} is there twice, with different content"
                )
            continue
        # Without the key the links cannot be computed, but each line also names the link before it.
        # The two must agree.
        follows = seq == walk.last + 1
        if follows and walk.before not in {None, prev}:
            walk.say(FindingCode.CHANGED, seq, f"record {seq} does not follow record {seq - 1}")
            walk.before = prev
        macs[seq] = mac
        if line.text is None:
            walk.skip(seq)
            walk.say(FindingCode.CHANGED, seq, f"record {seq} is not as it was written")
            continue
        if not follows:
            walk.arrive(seq)
            walk.before = prev
        walk.take(seq, line.text, mac)
    return (walk or ChainWalk(link, Histories())).verification()


def _lines_of(store: str | None, lines: Iterable[bytes]) -> Iterator[_ExportedLine]:
    """The lines of one storage, and those that name none."""
    for raw in lines:
        line = _exported_line(raw)
        if line is None:
            continue
        if store is None and line.store:
            store = line.store
        if line.store in {"", store}:
            yield line


class _ExportedLine:
    """One line that names a record, or begins a section."""

    __slots__ = ("begins_a_section", "mac", "prev", "seq", "store", "text")

    def __init__(self, members: Mapping[str, Scalar]) -> None:
        self.store = str(members.get("store", ""))
        self.begins_a_section = members.get("event") == SECTION
        self.seq, self.prev, self.mac = 0, b"", b""
        self.text: bytes | None = None
        if self.begins_a_section:
            return
        seq, prev, mac = members["seq"], members["prev"], members["mac"]
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
            raise ValueError
        self.seq = seq
        self.prev = bytes.fromhex(str(prev))
        self.mac = bytes.fromhex(str(mac))
        with suppress(NotAnEvent):
            self.text = text_of_line(members)


def _exported_line(raw: bytes) -> _ExportedLine | None:
    try:
        members = json.loads(raw)
        return (
            _ExportedLine(cast("Mapping[str, Scalar]", members))
            if isinstance(members, dict)
            else None
        )
    except (ValueError, KeyError, RecursionError):
        return None
