"""What a sink has not been told yet: kept in the vault, and counted by a cursor."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...engine.errors import LoginBusy, StayfastError
from ...storage.locks import locked
from ...storage.private_file import ensure_directory, open_private
from .lines import AllowList, line_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Storage
    from ...engine.record import Login
    from .sinks import Sink

BUDGET: Final = 0.25
"""Seconds that telling a sink may take of one transition; the rest is told after the next."""
_BATCH: Final = 200
_CURSOR: Final = 20  # digits


class Outbox:
    """An observer that brings a sink in step with the vault, at least once and in order.

    How far a sink has been told stands in a small file, so what a process that died could not tell
    is told by the next. A sink is told of what happens from its first event on; what lies before is
    for ``stayfast audit export``.

    Attributes:
        problem: Why the last telling failed, if it did; a login never fails for it.
        behind: How many events were waiting when it was last told, at least.
    """

    def __init__(self, sink: Sink, storage: Storage, cursor: str) -> None:
        """Tell ``sink`` what ``storage`` records; ``cursor`` is the file with the number."""
        self.sink = sink
        self._storage = storage
        self._cursor = cursor
        self._listed = AllowList()
        self._resting = 0.0
        self.problem: str | None = None
        self.behind = 0

    @property
    def dropped(self) -> int:
        """How many fields were not on the list."""
        return self._listed.dropped

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Tell what has not been told yet, as far as there is time."""
        del login
        if time.monotonic() < self._resting:
            self.behind += len(recorded)
            return
        try:
            self.catch_up(first=recorded[0].seq if recorded else None)
            self.problem = None
        except LoginBusy:  # whoever has it tells this too, or the next does
            self.behind += len(recorded)
        except (StayfastError, OSError, ValueError) as error:
            self.problem = str(error)

    def catch_up(self, *, first: int | None = None) -> int:
        """Tell what is missing; gives the number of lines.

        Args:
            first: Where to begin if the sink was never told anything; else it is left so.

        Raises:
            StorageError: The vault cannot be read, or the cursor is not private.
            LoginBusy: Another process is telling.
            OSError: The sink did not take a line.
        """
        began = time.monotonic()
        ensure_directory(os.path.dirname(self._cursor))
        told = 0
        with locked(f"{self._cursor}.lock", wait=BUDGET, what=f"the cursor of {self.sink.name}"):
            descriptor = open_private(self._cursor, create=True)
            try:
                after = _read(descriptor)
                if after is None and first is None:
                    return 0
                if after is None:
                    after = (first or 1) - 1
                while batch := self._storage.events(after=after, limit=_BATCH):
                    for index, one in enumerate(batch):
                        self.behind = len(batch) - index
                        self.sink.take(self._listed(None, "", line_of(one)))
                        _write(descriptor, one.seq)
                        told += 1
                        if time.monotonic() - began > BUDGET:
                            self._rest(began)
                            return told
                    after = batch[-1].seq
                self.behind = 0
            finally:
                os.close(descriptor)
        return told

    def _rest(self, began: float) -> None:
        """Ask nothing of a slow sink for ten times as long as it took."""
        now = time.monotonic()
        self._resting = now + 10 * (now - began)
        self.behind -= 1


class Passage:
    """An observer that passes on what its own process did: for standard error and host programs.

    What cannot be passed on waits, up to ``room`` events; what finds no room is counted.

    Attributes:
        problem: Why the last telling failed, if it did; a login never fails for it.
        lost: How many events found no room.
    """

    def __init__(self, sink: Sink, room: int = 1000) -> None:
        """Tell ``sink``."""
        self.sink = sink
        self._listed = AllowList()
        self._room = room
        self._waiting: list[Recorded] = []
        self._resting = 0.0
        self.problem: str | None = None
        self.lost = 0

    @property
    def behind(self) -> int:
        """How many events wait."""
        return len(self._waiting)

    @property
    def dropped(self) -> int:
        """How many fields were not on the list."""
        return self._listed.dropped

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Tell ``recorded``, after what still waits, as far as there is time."""
        del login
        self._waiting += recorded
        began = time.monotonic()
        if began < self._resting:
            self._shorten()
            return
        try:
            while self._waiting:
                self.sink.take(self._listed(None, "", line_of(self._waiting[0])))
                del self._waiting[0]
                now = time.monotonic()
                if now - began > BUDGET:
                    self._resting = now + 10 * (now - began)
                    break
            self.problem = None
        except Exception as error:  # noqa: BLE001  a handler of the program may raise anything
            self.problem = f"{type(error).__name__}: {error}"
        self._shorten()

    def _shorten(self) -> None:
        too_many = len(self._waiting) - self._room
        if too_many > 0:
            del self._waiting[:too_many]
            self.lost += too_many


def _read(descriptor: int) -> int | None:
    told = os.pread(descriptor, _CURSOR, 0).strip()
    return int(told) if told.isdigit() else None


def _write(descriptor: int, seq: int) -> None:
    os.pwrite(descriptor, f"{seq:>{_CURSOR}}".encode(), 0)  # one write of one length: never torn
