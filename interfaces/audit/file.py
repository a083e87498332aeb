"""The audit log as a file of JSON lines outside the vault, rendered by structlog.

The vault is the record; this file is a projection of it, at least once. Its last line says how far
it got, so the next process also writes what a process that died could not, and a reader drops
repeats by ``seq``. One event is one line in one write.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import structlog

from ...engine.errors import Damaged, LoginBusy, StayfastError
from ...storage.locks import locked
from ...storage.private_file import ensure_directory, open_private, write_private
from ...storage.vault.vault import Vault
from .lines import AllowList, line_of, render

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Observer, Storage
    from ...engine.record import Login

AUDIT_FILE: Final = "audit.jsonl"
_TAIL: Final = 64 * 1024  # longer than any line written here
_BATCH: Final = 500
_WAIT: Final = 2.0  # seconds; the next process writes what could not be written now


class AuditFile:
    """An observer that keeps a file of JSON lines in step with the vault.

    Attributes:
        problem: Why the last writing failed, if it did; a login never fails for it.
        others: Observers that get the event when a damaged part is set aside.
    """

    def __init__(self, path: str, storage: Storage) -> None:
        """Write what ``storage`` records to the file ``path``."""
        self._path = path
        self._storage = storage
        self._listed = AllowList()
        self.others: Sequence[Observer] = ()
        self.problem: str | None = None

    @property
    def dropped(self) -> int:
        """How many fields were not on the list."""
        return self._listed.dropped

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Write everything that is not in the file yet."""
        del recorded, login  # the file may be behind by more than this
        try:
            self.catch_up()
            self.problem = None
        except LoginBusy:  # the process that has it writes this too, or the next one does
            pass
        except (StayfastError, OSError) as error:
            self.problem = str(error)

    def catch_up(self) -> int:
        """Write the lines that are missing; gives their number.

        Raises:
            StorageError: The vault cannot be read, or the file is not private.
            LoginBusy: Another process has been writing for too long.
            OSError: The file cannot be written.
        """
        ensure_directory(os.path.dirname(self._path))
        told = 0
        with locked(f"{self._path}.lock", wait=_WAIT, what="the audit file"):
            descriptor = open_private(self._path, create=True, append=True)
            with open(descriptor, "r+b", buffering=0) as file:  # one write is one line
                after = _last_seq(file)
                logger = structlog.wrap_logger(
                    structlog.BytesLogger(file),
                    processors=[self._listed, render],
                    wrapper_class=structlog.BoundLogger,
                )
                while batch := self._next(after):
                    for recorded in batch:
                        logger.msg(**line_of(recorded))
                    after = batch[-1].seq
                    told += len(batch)
        return told

    def _next(self, after: int) -> Sequence[Recorded]:
        """The next events; a damaged part in their way is set aside, as far as the vault can."""
        try:
            return self._storage.events(after=after, limit=_BATCH)
        except Damaged:
            if not isinstance(self._storage, Vault):
                raise
            recorded = self._storage.set_aside(after)
            if recorded is not None:
                for other in self.others:
                    other.observe([recorded], None)
            return self._storage.events(after=after, limit=_BATCH)

    def forget(self, through: int) -> None:
        """Leave out the lines of records up to number ``through``: they were pruned in the vault.

        Raises:
            StorageError, LoginBusy, OSError: As for :meth:`catch_up`.
        """
        if not os.path.lexists(self._path):
            return
        with locked(f"{self._path}.lock", wait=_WAIT, what="the audit file"):
            with open(open_private(self._path), "rb") as file:
                kept = [line for line in file if _seq_of(line) > through]
            write_private(self._path, b"".join(kept))


def _last_seq(file: Any) -> int:
    """The number of the last complete line; a torn one after it is ended, and written again."""
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    tail: bytes = file.read(_TAIL)
    if tail and not tail.endswith(b"\n"):
        file.write(b"\n")
    for line in reversed(tail.split(b"\n")):
        seq = _seq_of(line)
        if seq:
            return seq
    return 0


def _seq_of(line: bytes) -> int:
    """The number of the record in a line; 0 if the line has no record."""
    try:
        return int(json.loads(line)["seq"])
    except (ValueError, KeyError, TypeError):
        return 0
