"""Shows by system calls alone whether a vault is as it was: for tokens that are kept in memory.

With a rollback journal, a commit writes the database while nobody can read it, and the system notes
when. So two equal looks show that nothing was saved in between, by whatever program, if the file was not
written shortly before the first: the system's clock moves in steps, and two writes in one step look alike.

With a write-ahead log, a commit is written first and published later, and only then it can be read. So
here the file that publishes it is looked at, the index of the log. Its beginning is made anew by each
commit, with a checksum over all that was saved; SQLite itself compares it to see whether what it has
read before still holds (https://sqlite.org/walformat.html, section 2).
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Final

from ..host import CLOCK
from .file import DATABASE

_STEP: Final = 20_000_000
"""Nanoseconds: longer than one step of a system's clock, which takes 1 to 10 ms."""
_COARSE_STEP: Final = 2_500_000_000
"""The same of file systems that note whole seconds, or every other one."""
_SECOND: Final = 1_000_000_000
_LOOK_ANEW: Final = 1.0
"""Seconds after which a look counts no more. Tokens that could not be saved are not in these files
(:mod:`stayfast.storage.arrivals`), and file systems of a network show a change late."""

_HALF: Final = 48  # octets: the beginning of the index has the same twice
_VERSION: Final = (3_007_000).to_bytes(4, sys.byteorder)
_indexes: dict[tuple[int, int], int] = {}
"""Descriptors of indexes, by device and number. SQLite locks these files for the whole process, and such
a lock ends as soon as the process closes any descriptor of the file. So they are closed only where
the file has no name any more."""


class VaultGlance:
    """Looks at the files of the vault in one directory. Threads and forked children may share it."""

    __slots__ = ("_database", "_index")

    def __init__(self, directory: str) -> None:
        """Look at nothing yet."""
        self._database = os.path.join(directory, DATABASE)
        self._index: int | None = None

    def look(self) -> object:
        """See :meth:`stayfast.storage.capabilities.Glance.look`."""
        try:
            found = os.stat(self._database)
            seen = (
                found.st_ino,
                found.st_size,
                found.st_mtime_ns,
                found.st_ctime_ns,
                CLOCK.monotonic() // _LOOK_ANEW,
            )
            index = self._index
            return seen if index is None else (seen, _published(index))
        except OSError:
            return object()

    def begin(self) -> object:
        """See :meth:`stayfast.storage.capabilities.Glance.begin`."""
        now = time.clock_gettime_ns(time.CLOCK_REALTIME)  # freezegun does not stop this one
        try:
            written = os.stat(self._database).st_mtime_ns
            if now - written < (_STEP if written % _SECOND else _COARSE_STEP):
                return object()  # also if the clock was put back since
            self._index = _index_at(f"{self._database}-shm")
        except OSError:
            return object()
        if self._index is None and os.path.lexists(f"{self._database}-wal"):
            return object()  # a log whose index is elsewhere
        return self.look()


def _published(index: int) -> object:
    """What stands for the last commit in the open ``index`` of a write-ahead log."""
    head = os.pread(index, 2 * _HALF, 0)
    half = head[:_HALF]
    # just being written, of a later SQLite, or an index that nobody uses any more
    if half != head[_HALF:] or head[:4] != _VERSION or not os.stat(index).st_nlink:
        return object()
    return half


def _index_at(path: str) -> int | None:
    """A descriptor of the index at ``path``; ``None`` if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    name = found.st_dev, found.st_ino
    if name in _indexes and os.stat(_indexes[name]).st_nlink:
        return _indexes[name]
    for other, descriptor in list(_indexes.items()):
        if not os.stat(descriptor).st_nlink and _indexes.pop(other, None) is not None:
            with suppress(OSError):
                os.close(descriptor)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    opened = os.stat(descriptor)
    if _indexes.setdefault((opened.st_dev, opened.st_ino), descriptor) != descriptor:
        return _indexes[opened.st_dev, opened.st_ino]  # another thread was first; see above
    return descriptor
