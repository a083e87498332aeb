"""Observers that forward events to a sink, and what happens to events that it does not take.

:class:`Outbox` reads the vault from a saved position on, so nothing is lost when a process dies.
:class:`BufferedSender` keeps the events of its own process in memory, for sinks that only concern that
process. Neither may fail or delay a login: the log in the vault is complete without them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import Damaged, LoginBusy, StayfastError
from ...storage.capabilities import capabilities_of
from ...storage.host import CLOCK
from .cursor import CursorFile, Position, held_cursor, records_after
from .lines import AllowList, line_of, section_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Observer, Storage
    from ...engine.record import Login
    from .sinks import Sink

BUDGET: Final = 0.25
"""Seconds that a sink may take at one transition. The rest is sent after the next one."""
_BATCH: Final = 200
# freezegun does not stop this clock; by a stopped one, a slow sink would rest for ever


class Outbox:
    """An observer that sends a sink every record of the vault, in order and at least once.

    A small file (:mod:`.cursor`) says which record the sink took last. If a process dies, the next
    one goes on from there. The cursor is written after the record was taken: a crash between the
    two repeats one record, and the other order would lose it.

    A sink gets the records from its first one on. ``stayfast audit export`` gives earlier ones. If
    the vault was put back from a copy, or made anew, the sink gets a line that says so, and then
    the log of the present vault from its first record.

    Attributes:
        sink: The sink.
        cursor: The path of the cursor.
        others: Observers that also get the event of a damaged part that was set aside.
        problem: Why the last sending failed, or ``None``. A login never fails for it.
        behind: The least number of records that still wait.
    """

    def __init__(self, sink: Sink, storage: Storage, cursor: str) -> None:
        """Send the records of ``storage`` to ``sink``; ``cursor`` is the path of the cursor."""
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
        """Send the events that the sink does not have, for :data:`BUDGET` at most."""
        del login
        if CLOCK.monotonic() < self._resting:
            self.behind += len(recorded)
            return
        try:
            self.catch_up(recorded, seconds=BUDGET)
            self.problem = None
        except LoginBusy:  # another process holds the cursor: it, or the next one, sends these too
            self.behind += len(recorded)
        except (StayfastError, OSError, ValueError, ImportError) as error:
            self.problem = _reason_of(error)

    def catch_up(self, recorded: Sequence[Recorded] = (), *, seconds: float | None = None) -> int:
        """Send the missing records, and give their number.

        Args:
            recorded: The latest records. A sink that has taken nothing yet begins with them.
            seconds: The longest time to send for. The rest is sent the next time.

        Raises:
            StorageError: The vault cannot be read, or the cursor is not private.
            LoginBusy: Another process is sending.
            OSError: The sink did not take a line.
        """
        began = CLOCK.monotonic()
        what = f"the cursor of {self.sink.name}"
        with held_cursor(self.cursor, wait=BUDGET, what=what) as file:
            try:
                with self._open():
                    sent, finished = self._send(file, recorded, began, seconds)
            except (StayfastError, OSError, ValueError, ImportError) as error:
                file.cursor.troubled(CLOCK.now(), _reason_of(error))
                file.write()
                raise
            if finished:
                file.cursor.well()
                self.behind = 0
            else:
                file.cursor.troubled(CLOCK.now(), None)
                self._rest(began)
            file.write()
        return sent

    def _open(self) -> AbstractContextManager[object]:
        """A context for as long as the sink takes lines."""
        return nullcontext()

    def _position(self, noted: Position | None, store: str) -> Position | None:
        """The position of the last record of ``store`` that was sent, or ``None``."""
        del store
        return noted

    def _begin(self, recorded: Sequence[Recorded]) -> Position | None:
        """Where to begin in a log that the sink has no record of. ``None`` is its first record.

        Raises:
            LookupError: There is nothing to begin with yet.
        """
        if not recorded:
            raise LookupError
        return Position(recorded[0].seq - 1, recorded[0].prev.hex())

    def _send(
        self, file: CursorFile, recorded: Sequence[Recorded], began: float, seconds: float | None
    ) -> tuple[int, bool]:
        """Send records. Gives their number, and whether none is left."""
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
            # saved before the first line: if the sink refuses it, the next process begins here too
            file.write()
        sent = 0
        batch, turned_back = _following(recorded, position), False
        if not batch:
            batch, turned_back = self._next(position)
        while True:
            if anew or turned_back:
                self._take(section_of(store))
                anew = False
            for index, one in enumerate(batch):
                self.behind = len(batch) - index
                self._take(line_of(one))
                positions[store] = position = Position.of(one)
                file.write()
                sent += 1
                if seconds is not None and CLOCK.monotonic() - began > seconds:
                    return sent, False
            if not batch:
                return sent, True
            # by other processes meanwhile; what they follow was just sent, and need not be looked at
            batch, turned_back = self._next(position, looked=True)

    def _take(self, line: Mapping[str, Any]) -> None:
        self.sink.take(self._listed(None, "", dict(line)))

    def _next(
        self, position: Position | None, *, looked: bool = False
    ) -> tuple[Sequence[Recorded], bool]:
        """The next records, and whether the log goes on from an earlier position than ``position``.

        A damaged record would stop the sending for ever. So a vault sets the damaged part aside, which is
        an event of its own, and the sending goes on after it.

        Args:
            position: The record that was sent last.
            looked: Whether that record was read from the log a moment ago, so that it is there.
        """

        def read(after: int, limit: int) -> Sequence[Recorded]:
            return self._storage.events(after=after, limit=limit)

        try:
            if looked and position is not None:
                return read(position.seq, _BATCH), False
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
        """Send nothing for ten times as long as the sink took: at most a tenth of all time goes to it."""
        now = CLOCK.monotonic()
        self._resting = now + 10 * (now - began)
        self.behind -= 1


def _following(recorded: Sequence[Recorded], position: Position | None) -> Sequence[Recorded]:
    """``recorded`` if they are linked to the record at ``position``; then they need not be read.

    Their members are in the order in which they are read.
    """
    if not recorded or position is None:
        return ()
    if not recorded[0].prev or recorded[0].prev.hex() != position.mac:
        return ()
    if [one.seq for one in recorded] != list(range(position.seq + 1, recorded[-1].seq + 1)):
        return ()
    return [replace(one, members=dict(sorted(one.members.items()))) for one in recorded]


def _reason_of(error: Exception) -> str:
    """What ``error`` says, in words for people where the system has some."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


class BufferedSender:
    """An observer that sends the events of its own process: to standard error, or to a host program.

    An event that the sink does not take waits in memory. If more than ``room`` wait, the oldest are
    dropped and counted: a sink that is broken for days must not fill the memory of its process.

    Attributes:
        problem: Why the last sending failed, or ``None``. A login never fails for it.
        lost: How many events were dropped.
    """

    def __init__(self, sink: Sink, room: int = 1000) -> None:
        """Send events to ``sink``, and keep at most ``room`` that it does not take."""
        self.sink = sink
        self._listed = AllowList()
        self._room = room
        self._waiting: list[Recorded] = []
        self._resting = 0.0
        self.problem: str | None = None
        self.lost = 0

    @property
    def behind(self) -> int:
        """How many events wait in memory."""
        return len(self._waiting)

    @property
    def unsent(self) -> int:
        """How many events the sink will never get if the process ends now."""
        return self.lost + self.behind

    @property
    def dropped(self) -> int:
        """How many fields were not on the list."""
        return self._listed.dropped

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Send the events that wait, then ``recorded``, for :data:`BUDGET` at most."""
        del login
        self._waiting += recorded
        began = CLOCK.monotonic()
        if began < self._resting:
            self._shorten()
            return
        try:
            while self._waiting:
                self.sink.take(self._listed(None, "", line_of(self._waiting[0])))
                del self._waiting[0]
                now = CLOCK.monotonic()
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
