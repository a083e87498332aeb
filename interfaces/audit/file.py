"""The audit log as a file of JSON lines outside the vault.

The log in the vault counts; the file is a copy of it for other programs. After a crash an event may
be written twice, and a reader drops repeats by ``seq``. One event is one line in one write, so that
a reader of the growing file sees no half line of a process that lives. Several vaults may write to
one file; each line names its vault.

The lines are those that structlog writes with our processor (:func:`.lines.render`). To load structlog takes a
third of a whole command, so the file does without.

The file may be rotated by renaming it, or by copying and emptying it: the cursor beside it says
which record comes next. A file that has grown to :data:`ROTATE_AT` is renamed here, and the one
that was renamed before is removed. The vault still has every record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ...storage.locks import locked
from ...storage.private_file import open_private, write_private
from .cursor import Position
from .lines import render
from .outbox import Outbox

if TYPE_CHECKING:
    from io import FileIO

    from ...engine.audit.events import Recorded, Scalar
    from ...engine.ports import Storage

AUDIT_FILE: Final = "audit.jsonl"
ROTATE_AT: Final = 32 * 1024 * 1024  # octets
_TAIL: Final = 64 * 1024  # octets; longer than any line written here
_WAIT: Final = 2.0  # seconds for another writer


class AuditFile(Outbox):
    """An observer that appends each record of the vault to a file of JSON lines."""

    def __init__(self, path: str, storage: Storage) -> None:
        """Write the records of ``storage`` to the file ``path``, with its cursor beside it."""
        self._file = _Lines(path)
        super().__init__(self._file, storage, f"{path}.cursor")

    @contextmanager
    def _open(self) -> Generator[None]:
        with self._file.opened():
            yield

    def _begin(self, recorded: Sequence[Recorded]) -> Position | None:
        del recorded
        return None

    def _position(self, noted: Position | None, store: str) -> Position | None:
        """The position by the file's own last lines, else by the cursor.

        The lines count more: after a power cut the file may lack lines that the cursor has counted.
        """
        return self._file.position(store) or noted

    def forget(self, through: int) -> None:
        """Remove the lines of records up to number ``through``, which were pruned in the vault.

        Raises:
            StorageError, LoginBusy, OSError: As for :meth:`catch_up`.
        """
        left = self._storage.events(after=through, limit=1)
        store = left[0].store if left else ""
        with locked(f"{self.cursor}.lock", wait=_WAIT, what="the audit file"):
            self._file.forget(through, store)


class _Lines:
    """The sink: appends lines to the file while it is open."""

    name = "the audit file"

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: FileIO | None = None
        self._tail = b""

    @contextmanager
    def opened(self) -> Generator[None]:
        """Open the file for lines, and rename it afterwards if it has become too long."""
        descriptor = open_private(self._path, create=True, append=True)
        with open(descriptor, "r+b", buffering=0) as file:  # unbuffered: one write a line
            self._tail = _tail_of(file)
            self._open = file
            try:
                yield
            finally:
                self._open = None
            too_long = os.fstat(descriptor).st_size >= ROTATE_AT
        if too_long:
            os.replace(self._path, f"{self._path}.1")

    def position(self, store: str) -> Position | None:
        """The last record of ``store`` among the file's last lines."""
        return last_position(self._tail, store)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`.sinks.Sink.take`."""
        if self._open is not None:
            self._open.write(render(None, "", line) + b"\n")

    def forget(self, through: int, store: str) -> None:
        """Rewrite the file, and the one before it, without these lines."""
        for path in (self._path, f"{self._path}.1"):
            with suppress(FileNotFoundError), open(open_private(path), "rb") as file:
                kept = [line for line in file if not _is_old(line, through, store)]
                write_private(path, b"".join(kept))


def _tail_of(file: Any) -> bytes:
    """The end of the file.

    A crash may have left half a line there. It gets a line end, so that it spoils no other line, and
    its record is written again.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    tail: bytes = file.read(_TAIL)
    if tail and not tail.endswith(b"\n"):
        file.write(b"\n")
    return tail


def last_position(tail: bytes, store: str) -> Position | None:
    """The last record of ``store`` among the lines in ``tail``, which are read from the last one on."""
    end = len(tail)
    while end > 0:
        begin = tail.rfind(b"\n", 0, end) + 1
        members = _members(tail[begin:end])
        if members is not None and str(members.get("store", "")) == store:
            return Position(members["seq"], str(members.get("mac", "")))
        end = begin - 1
    return None


def _is_old(line: bytes, through: int, store: str) -> bool:
    members = _members(line)
    return members is not None and members["seq"] <= through and members.get("store", "") == store


def _members(line: bytes) -> dict[str, Any] | None:
    """The members of a line that is a record."""
    try:
        members = json.loads(line)
        return members if isinstance(members["seq"], int) else None
    except (ValueError, KeyError, TypeError):
        return None
