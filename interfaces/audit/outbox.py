"""Sinks that may be behind: one reads on in the vault by a cursor, one keeps events in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import Damaged, LoginBusy, StayfastError
from ...storage.capabilities import capabilities_of
from ...storage.host import SystemClock
from .cursor import CursorFile, Position, held_cursor, records_after
from .lines import AllowList, line_of, section_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Observer, Storage
    from ...engine.record import Login
    from .sinks import Sink

BUDGET: Final = 0.25
"""Seconds that a sink may take at one transition; the rest is sent after the next one."""
_BATCH: Final = 200
_clock: Final = SystemClock()  # freezegun does not stop it, so a slow sink is asked again


class Outbox:
    """An observer that brings a sink in step with the vault, at least once and in order.

    A small file says which record the sink took last (:mod:`.cursor`), so the next process sends
    what a process that died could not. A sink gets the records from its first one on; the earlier
    ones are for ``stayfast audit export``. If the vault was put back from a copy, or made anew, the
    sink gets a line that says so, and then the log of the present vault from its first record.

    Attributes:
        sink: What takes the lines.
        cursor: The path of the file.
        others: Observers that get the event when a damaged part of the log is set aside.
        problem: Why the last sending failed, if it did; a login never fails for it.
        behind: How many records were waiting after the last sending, at least.
    """

    def __init__(self, sink: Sink, storage: Storage, cursor: str) -> None:
        """Send to ``sink`` what ``storage`` records; ``cursor`` is the file."""
        self.sink = sink
        self.cursor = cursor
        self._storage = storage
        self._listed = AllowList()
        self._resting = 0.0
        self.others: Sequence[Observer] = ()
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
            self.catch_up(recorded, seconds=BUDGET)
            self.problem = None
        except LoginBusy:  # the process that has it sends this too, or the next one does
            self.behind += len(recorded)
        except (StayfastError, OSError, ValueError) as error:
            self.problem = str(error)

    def catch_up(self, recorded: Sequence[Recorded] = (), *, seconds: float | None = None) -> int:
        """Send what is missing; gives the number of records.

        Args:
            recorded: What was recorded just now: a sink that never took anything begins with it.
            seconds: For how long at most; what is left is sent the next time.

        Raises:
            StorageError: The vault cannot be read, or the cursor is not private.
            LoginBusy: Another process is sending.
            OSError: The sink did not take a line.
        """
        began = _clock.monotonic()
        with (
            held_cursor(self.cursor, wait=BUDGET, what=f"the cursor of {self.sink.name}") as file,
            self._open(),
        ):
            try:
                sent, finished = self._send(file, recorded, began, seconds)
            except (StayfastError, OSError, ValueError) as error:
                file.cursor.troubled(_clock.now(), str(error))
                file.write()
                raise
            if finished:
                file.cursor.well()
                self.behind = 0
            else:
                file.cursor.troubled(_clock.now(), None)
                self._rest(began)
            file.write()
        return sent

    def _open(self) -> AbstractContextManager[object]:
        """Whatever the sink needs open while it takes lines."""
        return nullcontext()

    def _position(self, noted: Position | None, store: str) -> Position | None:
        """How far the log of ``store`` was sent, if it ever was."""
        del store
        return noted

    def _begin(self, recorded: Sequence[Recorded]) -> Position | None:
        """Where to begin in a log that the sink never took anything of; ``None``: with its start."""
        if not recorded:
            raise LookupError
        return Position(recorded[0].seq - 1, recorded[0].prev.hex())

    def _send(
        self, file: CursorFile, recorded: Sequence[Recorded], began: float, seconds: float | None
    ) -> tuple[int, bool]:
        """How many records were sent, and whether they were all."""
        known = [one.store for one in recorded] or [one.store for one in self._next(None)[0]]
        if not known:
            return 0, True
        store, positions = known[0], file.cursor.positions
        try:
            position = self._position(positions.get(store), store) or self._begin(recorded)
        except LookupError:
            return 0, True
        anew = bool(positions) and store not in positions
        if position is not None:
            positions[store] = position
            file.write()  # whoever comes next begins here, too, if the sink takes nothing now
        sent = 0
        while True:
            batch, turned_back = self._next(position)
            if anew or turned_back:
                self._take(section_of(store))
                anew = False
            for index, one in enumerate(batch):
                self.behind = len(batch) - index
                self._take(line_of(one))
                positions[store] = position = Position.of(one)
                file.write()
                sent += 1
                if seconds is not None and _clock.monotonic() - began > seconds:
                    return sent, False
            if not batch:
                return sent, True

    def _take(self, line: Mapping[str, Any]) -> None:
        self.sink.take(self._listed(None, "", dict(line)))

    def _next(self, position: Position | None) -> tuple[Sequence[Recorded], bool]:
        """The next records; a damaged part in their way is set aside, as far as the vault can."""

        def read(after: int, limit: int) -> Sequence[Recorded]:
            return self._storage.events(after=after, limit=limit)

        try:
            return records_after(read, position, _BATCH)
        except Damaged:
            vault = capabilities_of(self._storage).vault
            if vault is None:
                raise
            recorded = vault.set_aside(position.seq if position else 0)
            if recorded is not None:
                for other in self.others:
                    other.observe([recorded], None)
            return records_after(read, position, _BATCH)

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
