"""Sinks that may be behind: one reads on in the vault by a cursor, one keeps events in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ...engine.errors import LoginBusy, StayfastError
from ...storage.host import SystemClock
from ...storage.locks import locked
from ...storage.private_file import ensure_directory, open_private
from .lines import AllowList, line_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Storage
    from ...engine.record import Login
    from .sinks import Sink

BUDGET: Final = 0.25
"""Seconds that a sink may take at one transition; the rest is sent after the next one."""
_BATCH: Final = 200
_CURSOR: Final = 20  # digits
_clock: Final = SystemClock()  # freezegun does not stop it, so a slow sink is asked again


class Outbox:
    """An observer that brings a sink in step with the vault, at least once and in order.

    A small file holds the number of the last event that the sink took, so the next process sends
    what a process that died could not. A sink gets the events from its first one on; the earlier
    ones are for ``stayfast audit export``.

    Attributes:
        problem: Why the last sending failed, if it did; a login never fails for it.
        behind: How many events were waiting after the last sending, at least.
    """

    def __init__(self, sink: Sink, storage: Storage, cursor: str) -> None:
        """Send to ``sink`` what ``storage`` records; ``cursor`` is the file with the number."""
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
        """Send what has not been sent yet, as far as there is time."""
        del login
        if _clock.monotonic() < self._resting:
            self.behind += len(recorded)
            return
        try:
            self.catch_up(first=recorded[0].seq if recorded else None)
            self.problem = None
        except LoginBusy:  # the process that has it sends this too, or the next one does
            self.behind += len(recorded)
        except (StayfastError, OSError, ValueError) as error:
            self.problem = str(error)

    def catch_up(self, *, first: int | None = None) -> int:
        """Send what is missing; gives the number of lines.

        Args:
            first: Where to begin if the sink never took anything; without it, nothing is sent then.

        Raises:
            StorageError: The vault cannot be read, or the cursor is not private.
            LoginBusy: Another process is sending.
            OSError: The sink did not take a line.
        """
        began = _clock.monotonic()
        ensure_directory(os.path.dirname(self._cursor))
        sent = 0
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
                        sent += 1
                        if _clock.monotonic() - began > BUDGET:
                            self._rest(began)
                            return sent
                    after = batch[-1].seq
                self.behind = 0
            finally:
                os.close(descriptor)
        return sent

    def _rest(self, began: float) -> None:
        """Send nothing to a slow sink for ten times as long as it took."""
        now = _clock.monotonic()
        self._resting = now + 10 * (now - began)
        self.behind -= 1


class BufferedSender:
    """An observer that sends what its own process did: for standard error and host programs.

    What cannot be sent waits, up to ``room`` events; what finds no room is counted.

    Attributes:
        problem: Why the last sending failed, if it did; a login never fails for it.
        lost: How many events found no room.
    """

    def __init__(self, sink: Sink, room: int = 1000) -> None:
        """Send to ``sink``."""
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
    def unsent(self) -> int:
        """How many events the sink has not got, and will not get if the process ends now."""
        return self.lost + self.behind

    @property
    def dropped(self) -> int:
        """How many fields were not on the list."""
        return self._listed.dropped

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Send ``recorded``, after what still waits, as far as there is time."""
        del login
        self._waiting += recorded
        began = _clock.monotonic()
        if began < self._resting:
            self._shorten()
            return
        try:
            while self._waiting:
                self.sink.take(self._listed(None, "", line_of(self._waiting[0])))
                del self._waiting[0]
                now = _clock.monotonic()
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
