"""The arrows to draw: the rows of the table in one order, and those that one login has taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from ..engine.audit.events import EventKind
from ..engine.errors import Damaged
from ..engine.hints import Hint
from ..engine.moments import moment_of
from ..engine.table import TABLE, Row, State, Trigger

if TYPE_CHECKING:
    from ..engine.audit.events import Recorded

_ROWS = {(row.trigger.value, row.source.value, row.dest.value): row for row in TABLE}


@dataclass(frozen=True, slots=True)
class Step:
    """One transition of a login, from its audit event.

    Attributes:
        trigger: What happened.
        source: The state before.
        dest: The state after.
        time: When, POSIX seconds.
    """

    trigger: str
    source: str
    dest: str
    time: float


def steps_of(events: Iterable[Recorded], login_id: str) -> list[Step]:
    """The transitions of the login ``login_id`` in ``events``, in their order.

    Args:
        events: As :meth:`stayfast.engine.ports.Storage.events` gives them.
        login_id: The full id.
    """
    return [
        Step(
            trigger=str(event.members.get("trigger")),
            source=str(event.members.get("from")),
            dest=str(event.members.get("to")),
            time=_seconds(event.members.get("time")),
        )
        for event in events
        if event.members.get("event") == EventKind.TRANSITION
        and event.members.get("login") == login_id
    ]


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """The input of a renderer: rows, states, and when each row was taken.

    Attributes:
        rows: Every row once, ordered by source, destination and trigger.
        taken: The times at which a row was taken, oldest first: ``HH:MM:SS``, with the date before
            it where the path took more than a day. Absent if never.
        now_in: The state the last step led to; ``None`` where no path is drawn.
    """

    rows: Sequence[Row]
    taken: Mapping[Row, Sequence[str]] = field(default_factory=dict[Row, Sequence[str]])
    now_in: str | None = None

    @property
    def states(self) -> list[str]:
        """Every state that has an arrow, in the order of the table's own list."""
        named = {state.value for row in self.rows for state in (row.source, row.dest)}
        return sorted(named, key=_state_order)

    @property
    def travelled(self) -> Picture:
        """The same picture with no row but those that were taken."""
        return Picture([row for row in self.rows if row in self.taken], self.taken, self.now_in)

    def leaving(self, state: str) -> list[Row]:
        """The rows that start in ``state``."""
        return [row for row in self.rows if row.source.value == state]

    def visited(self, state: str) -> bool:
        """Whether the path touches ``state``."""
        return any(state in {row.source.value, row.dest.value} for row in self.taken)

    def when(self, row: Row) -> str:
        """When ``row`` was taken, in few words; empty if it was not."""
        times = self.taken.get(row, ())
        if len(times) > 1:
            return f"{len(times)}×, last {times[-1]}"
        return times[0] if times else ""


def machine() -> Picture:
    """The whole machine, with no path."""
    return Picture(in_order(TABLE))


def journey(steps: Iterable[Step], zone: tzinfo = UTC) -> Picture:
    """The whole machine, with the path that ``steps`` describe.

    Raises:
        Damaged: A step is no row of the table.
    """
    taken: dict[Row, list[str]] = {}
    now_in = None
    steps = list(steps)
    moments = [moment_of(step.time).astimezone(zone) for step in steps]
    form = "%H:%M:%S" if len({one.date() for one in moments}) < 2 else "%d %b %H:%M:%S"
    for step, moment in zip(steps, moments, strict=True):
        row = _ROWS.get((step.trigger, step.source, step.dest))
        if row is None:
            arrow = spelt(step.source, step.dest, step.trigger)
            msg = f"the audit log has a transition that the machine does not have: {arrow}"
            raise Damaged(msg, hint=Hint("diagram"))
        taken.setdefault(row, []).append(moment.strftime(form))
        now_in = step.dest
    return Picture(in_order(TABLE), taken, now_in)


def tally(taken: Mapping[tuple[str, str, str], int]) -> Picture:
    """The whole machine, with how often each row was taken in place of the times.

    Args:
        taken: How often, by trigger, source and destination. What is no row is left out.
    """
    counts = {_ROWS[one]: (f"{count:,}×",) for one, count in taken.items() if one in _ROWS}
    return Picture(in_order(TABLE), counts)


def in_order(rows: Iterable[Row]) -> list[Row]:
    """``rows`` by source, destination and trigger, whatever order they were written in."""
    return sorted(
        rows,
        key=lambda row: (
            _state_order(row.source.value),
            _state_order(row.dest.value),
            _trigger_order(row.trigger.value),
        ),
    )


def label(row: Row) -> str:
    """What is written on the arrow of ``row``: its trigger, and its guard in brackets."""
    return f"{row.trigger.value} [{row.guard.value}]" if row.guard else row.trigger.value


def spelt(source: str, dest: str, words: str) -> str:
    """An arrow as a line of text."""
    return f"{source} --> {dest}: {words}"


_STATES = [state.value for state in State]
_TRIGGERS = [trigger.value for trigger in Trigger]


def _state_order(state: str) -> tuple[int, str]:
    return (_STATES.index(state) if state in _STATES else len(_STATES), state)


def _trigger_order(trigger: str) -> tuple[int, str]:
    return (_TRIGGERS.index(trigger) if trigger in _TRIGGERS else len(_TRIGGERS), trigger)
