"""Moments as machines read them: POSIX seconds as dates of the calendar.

``stayfast token --json`` writes one, so this module loads nothing but the calendar.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import UTC, datetime
else:
    try:  # its core: the module brings a second calendar along, in Python
        from _datetime import datetime, timezone

        UTC = timezone.utc
    except ImportError:  # a Python without that core
        from datetime import UTC, datetime

# a day from the ends of the calendar, so that there is a local time, too
_FIRST = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 30, tzinfo=UTC).timestamp()


def rfc3339(seconds: object, timespec: str = "microseconds") -> str:
    """A time in POSIX seconds as UTC (RFC 3339 §5.6); ``timespec`` is that of ``isoformat``."""
    return moment_of(seconds).isoformat(timespec=timespec).replace("+00:00", "Z")


def timestamp(seconds: float | None) -> str | None:
    """A time for machines, if there is one: UTC, to the second."""
    return None if seconds is None else rfc3339(seconds, "seconds")


def moment_of(seconds: object) -> datetime:
    """A time in POSIX seconds, in UTC; what no calendar holds becomes its first or last second.

    So whatever is stored can be shown: servers send lifetimes that end in the year 292,277,026,596.
    """
    if not isinstance(seconds, float | int) or seconds != seconds:  # noqa: PLR0124  not a number
        seconds = 0
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def local_of(seconds: object) -> datetime:
    """:func:`moment_of` in the time of this machine, without a zone.

    ``TZ=UTC+25`` is a day or more from UTC, for which Python has no zone; it has the time all the same.
    """
    moment = moment_of(seconds)
    try:
        return datetime.fromtimestamp(moment.timestamp())  # noqa: DTZ006  see above
    except (ValueError, OverflowError, OSError):  # at an end of the calendar
        return moment.replace(tzinfo=None)
