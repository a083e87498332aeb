"""The cursor of a sink: a small file that says which record the sink took last.

A number alone is not enough. A vault that was put back from a copy, or made anew, uses numbers
again; and two vaults may send to one file. So a position is the store, the number and the link of
a record. If the log has another link at that number, it is not the log that was sent, and a new
section begins.

The file is used under a lock. It is written in one piece of whole blocks, so a process that is
killed leaves the old content or the new one. A power cut may leave neither; then records are sent
again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ...storage.locks import locked
from ...storage.private_file import ensure_directory, open_private

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded

    Read = Callable[[int, int], Sequence[Recorded]]

_BLOCK: Final = 512
_LIMIT: Final = 64 * _BLOCK


@dataclass(frozen=True, slots=True)
class Position:
    """The last record that was sent.

    Attributes:
        seq: Its number.
        mac: Its link in hexadecimal; empty where the log has no links.
    """

    seq: int
    mac: str = ""

    @classmethod
    def of(cls, recorded: Recorded) -> Position:
        """The position behind ``recorded``."""
        return cls(recorded.seq, recorded.mac.hex())


@dataclass(slots=True)
class Cursor:
    """The state of one sink.

    Attributes:
        positions: The last record that was sent of each store's log, by the store's name.
        since: Since when the sink takes no records, POSIX seconds; ``None`` if it takes them.
        problem: The reason, if it is known.
    """

    positions: dict[str, Position] = field(default_factory=dict[str, Position])
    since: float | None = None
    problem: str | None = None

    def troubled(self, now: float, problem: str | None) -> None:
        """Note that the sink takes no records since ``now``, or since an earlier time."""
        self.since = self.since if self.since is not None else now
        self.problem = problem

    def well(self) -> None:
        """Note that the sink has every record."""
        self.since = self.problem = None


class CursorFile:
    """The file of one cursor, held under its lock."""

    def __init__(self, descriptor: int) -> None:
        """Read the cursor from ``descriptor``."""
        self._descriptor = descriptor
        os.lseek(descriptor, 0, os.SEEK_SET)
        self._octets = os.read(descriptor, _LIMIT)
        self.cursor = _parsed(self._octets)

    def write(self) -> None:
        """Write the cursor as it is now, if it has changed.

        Raises:
            OSError: The file cannot be written.
        """
        octets = _rendered(self.cursor)
        if octets == self._octets:
            return
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.write(self._descriptor, octets)
        if len(octets) < len(self._octets):
            os.ftruncate(self._descriptor, len(octets))
        self._octets = octets


@contextmanager
def held_cursor(path: str, *, wait: float, what: str) -> Generator[CursorFile]:
    """The cursor at ``path``, for this process alone.

    Raises:
        LoginBusy: Another process holds the cursor.
        StorageError: The file is not private.
    """
    ensure_directory(os.path.dirname(path))
    with locked(f"{path}.lock", wait=wait, what=what):
        descriptor = open_private(path, create=True)
        try:
            yield CursorFile(descriptor)
        finally:
            os.close(descriptor)


def read_cursor(path: str) -> Cursor | None:
    """The latest cursor at ``path``, or ``None`` if there is no file.

    Raises:
        StorageError: The file is not private.
    """
    try:
        descriptor = open_private(path)
    except FileNotFoundError:
        return None
    try:
        return CursorFile(descriptor).cursor
    finally:
        os.close(descriptor)


def records_after(
    read: Read, position: Position | None, limit: int
) -> tuple[Sequence[Recorded], bool]:
    """The next records of a log, and whether they begin a new section.

    Args:
        read: Gives the records above a number, up to a limit.
        position: The last record that was sent; ``None`` if no record was.
        limit: The greatest number of records to give.
    """
    if position is None or position.seq < 1:
        return read(0, limit), False
    found = read(position.seq - 1, limit + 1)
    if not found:  # the log ends earlier: an old copy of the vault was put back
        return read(0, limit), True
    first = found[0]
    if first.seq == position.seq:
        if not first.mac or not position.mac or first.mac.hex() == position.mac:
            # a part that was set aside is read apart from what follows it
            return found[1:] or read(position.seq, limit), False
        return read(0, limit), True
    if first.seq == position.seq + 1 and first.prev and first.prev.hex() != position.mac:
        return read(0, limit), True
    return found[:limit], False  # the records in between were pruned


def _rendered(cursor: Cursor) -> bytes:
    members = {
        "positions": {store: [one.seq, one.mac] for store, one in cursor.positions.items()},
        "since": cursor.since,
        "problem": (cursor.problem or "")[:200] or None,
    }
    text = json.dumps(members).encode()
    return text.ljust(-(-(len(text) + 1) // _BLOCK) * _BLOCK - 1) + b"\n"


def _parsed(octets: bytes) -> Cursor:
    try:
        members = json.loads(octets)
        positions = {
            str(store): Position(int(seq), str(mac))
            for store, (seq, mac) in members["positions"].items()
        }
        since, problem = members["since"], members["problem"]
        return Cursor(
            positions,
            float(since) if since is not None else None,
            str(problem) if problem is not None else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError):  # new, or torn: it is sent again
        return Cursor()
