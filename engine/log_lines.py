"""An exported log, one JSON object per line, checked with the vault's key or without."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, cast

from .chain import ChainWalk
from .event_text import NotAnEvent, text_of_line
from .finding import FindingCode
from .story import Stories

if TYPE_CHECKING:
    from .chain import Link, Verification
    from .events import Scalar


def check_lines(
    lines: Iterable[bytes], link: Link | None, marks: Collection[int] = ()
) -> Verification:
    """Check the records of an exported log.

    A file is told at least once, so the same record may come again, and a line may be torn if the
    record comes after it. It may begin anywhere: files are rotated.

    Args:
        lines: The file.
        link: Computes links with the key of the vault; without it, the numbers, the links between
            lines and the stories are checked, and a record could still have been rewritten
            together with all behind it.
        marks: The records whose links are to be kept.
    """
    walk: ChainWalk | None = None
    macs: dict[int, bytes] = {}
    for raw in lines:
        line = _line(raw)
        if line is None:
            continue
        seq, prev, mac = line.seq, line.prev, line.mac
        if walk is None:
            walk = ChainWalk(
                link, Stories(from_the_start=seq == 1), last=seq - 1, before=prev, wanted=marks
            )
        if seq <= walk.last:
            if seq not in macs:
                walk.say(FindingCode.MOVED, seq, f"record {seq} stands after record {walk.last}")
            elif macs[seq] != mac:
                walk.say(FindingCode.CHANGED, seq, f"record {seq} is told twice, and differently")
            continue
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
    return (walk or ChainWalk(link, Stories())).verification()


class _Line:
    """One line that names a record."""

    __slots__ = ("mac", "prev", "seq", "text")

    def __init__(self, members: Mapping[str, Scalar]) -> None:
        seq, prev, mac = members["seq"], members["prev"], members["mac"]
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 1:
            raise ValueError
        self.seq = seq
        self.prev = bytes.fromhex(str(prev))
        self.mac = bytes.fromhex(str(mac))
        try:
            self.text: bytes | None = text_of_line(members)
        except NotAnEvent:
            self.text = None


def _line(raw: bytes) -> _Line | None:
    try:
        members = json.loads(raw)
        return _Line(cast("Mapping[str, Scalar]", members)) if isinstance(members, dict) else None
    except (ValueError, KeyError, RecursionError):
        return None
