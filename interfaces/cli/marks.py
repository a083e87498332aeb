"""Places in the audit log as people name them: a record's number, an age, a day, a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import click

from ...engine.moments import local_of
from .command_line import AGES, Duration

MARKS: Final = (
    "number, age, day or date on: 118, 7d, today, yesterday, 2026-03-04 (also 20260304). "
    "A date without a zone is UTC; today and yesterday begin at your local midnight"
)
"""What ``--since`` takes, for its help."""

_DIGITS: Final = 9  # of the number of a record; POSIX seconds and dates with a time have more
_DAYS: Final = {"today": 0, "yesterday": 1}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log: a record's number, or a moment.

    Attributes:
        seq: The number of a record; the others count only without it.
        time: A moment, POSIX seconds.
        ago: So many seconds before now.
        days: The local midnight with which the day began, so many days before today.
    """

    seq: int | None = None
    time: float | None = None
    ago: float | None = None
    days: int | None = None

    def moment(self, now: float) -> float:
        """The moment as seen at ``now``, both POSIX seconds."""
        if self.ago is not None:
            return now - self.ago
        if self.days is not None:
            day = local_of(now).date() - timedelta(days=self.days)
            # without a zone: local, by the offset of that day; a midnight left out is the next moment
            return datetime.combine(day, time.min).timestamp()
        return self.time or 0.0


# subscripts of ParamType are for type checkers alone: click takes them from 8.5 on
if TYPE_CHECKING:
    _Mark = click.ParamType[Mark]
else:
    _Mark = click.ParamType


class MomentParam(_Mark):
    """``7d``, ``today``, ``yesterday``, ``2026-03-04``, ``2026-03-04T14:00:00Z``."""

    name = "moment"
    _said = "age, day or date; try 90d, yesterday or 2026-03-04"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mark:
        """A moment."""
        if isinstance(value, Mark):
            return value
        text = str(value).strip()
        if (days := _DAYS.get(text.lower())) is not None:
            return Mark(days=days)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            try:
                return Mark(ago=Duration(AGES).convert(text, param, ctx))
            except click.BadParameter:
                self.fail(f"{text[:40]!r} is no {self._said}", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return Mark(time=moment.timestamp())


def _is_date(digits: str) -> bool:
    """Whether eight ``digits`` are a date, as ISO 8601 writes it without signs; no log is so long."""
    try:
        return len(digits) == 8 and bool(datetime.fromisoformat(digits))
    except ValueError:
        return False


class MarkParam(MomentParam):
    """What :class:`MomentParam` takes, and the number of a record: ``730``. Eight digits of a date are the date."""

    name = "mark"
    _said = "number, age, day or date; try 118, 7d, yesterday or 2026-03-04"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mark:
        """A place in the log."""
        text = str(value).strip()
        if text.isascii() and text.isdigit() and not _is_date(text):
            if len(text) > _DIGITS:
                self.fail(f"{text[:40]!r} is no {self._said}", param, ctx)
            return Mark(seq=int(text))
        return super().convert(value, param, ctx)
