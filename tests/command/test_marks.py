"""Places in the audit log as people name them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import click
import pytest
from command import World
from stayfast.interfaces.cli.marks import Mark, MarkParam, MomentParam


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test live in a time zone."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


DAYS = [
    ("UTC", "2026-03-04T15:00:00Z", "today", "2026-03-04T00:00:00Z"),
    ("UTC", "2026-03-04T00:00:00Z", "today", "2026-03-04T00:00:00Z"),
    ("UTC", "2026-03-01T00:00:01Z", "yesterday", "2026-02-28T00:00:00Z"),
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", "today", "2026-03-04T15:00:00Z"),
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", " Yesterday ", "2026-03-03T15:00:00Z"),
    ("America/New_York", "2026-03-04T03:00:00Z", "today", "2026-03-03T05:00:00Z"),
    ("America/New_York", "2026-01-01T03:00:00Z", "YESTERDAY", "2025-12-30T05:00:00Z"),
    # the clocks changed in the night before, or between then and now
    ("Europe/Berlin", "2026-03-29T10:00:00Z", "today", "2026-03-28T23:00:00Z"),
    ("Europe/Berlin", "2026-03-30T10:00:00Z", "yesterday", "2026-03-28T23:00:00Z"),
    ("Europe/Berlin", "2026-10-25T20:00:00Z", "today", "2026-10-24T22:00:00Z"),
    # a zone that has no midnight on that day: the day begins at one o'clock
    ("America/Santiago", "2026-09-06T20:00:00Z", "today", "2026-09-06T04:00:00Z"),
    # ages, dates and times do not depend on the zone
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", "7d", "2026-02-25T15:30:00Z"),
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", "800d", "2023-12-25T15:30:00Z"),
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", "2026-03-04", "2026-03-04T00:00:00Z"),
    ("Asia/Tokyo", "2026-03-04T15:30:00Z", "2026-03-04 14:00+01:00", "2026-03-04T13:00:00Z"),
]


@pytest.mark.parametrize("kind", [MarkParam(), MomentParam()], ids=["mark", "moment"])
@pytest.mark.parametrize(("zone", "now", "said", "moment"), DAYS)
def test_a_day_begins_at_local_midnight(
    in_zone: pytest.MonkeyPatch,
    kind: MomentParam,
    zone: str,
    now: str,
    said: str,
    moment: str,
) -> None:
    """``today`` and ``yesterday`` are days of the user's zone; what has no zone otherwise is UTC."""
    in_zone.setenv("TZ", zone)
    time.tzset()
    meant = kind.convert(said, None, None).moment(datetime.fromisoformat(now).timestamp())
    assert meant == datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("said", ["tomorrow", "", "banana", "2026-13-45", "99999d", "-1d", "٣d"])
def test_other_words_are_no_moment(said: str) -> None:
    """They are refused, and never read as something near to them."""
    for kind in (MarkParam(), MomentParam()):
        with pytest.raises(click.BadParameter):
            kind.convert(said, None, None)


def test_a_bare_number_is_a_record_where_records_are_asked_for() -> None:
    """``prune`` takes no numbers: there it is an age in seconds, as in every other option."""
    assert MarkParam().convert("118", None, None) == Mark(seq=118)
    assert MomentParam().convert("118", None, None) == Mark(ago=118)


@pytest.mark.parametrize("kind", [MarkParam(), MomentParam()])
def test_eight_digits_of_a_date_are_the_date(kind: MomentParam) -> None:
    """And no record's number, which would match nothing; longer numbers are refused."""
    assert kind.convert("20260304", None, None) == kind.convert("2026-03-04", None, None)
    for said in ("1772582400000", "20260304120000"):
        with pytest.raises(click.BadParameter):
            kind.convert(said, None, None)
    assert MarkParam().convert("20261399", None, None) == Mark(seq=20261399)


@pytest.mark.parametrize("zone", ["UTC+25", "UTC-25", "UTC+24:59:59"])
def test_a_zone_a_day_from_utc_has_a_time_too(world: World, zone: str) -> None:
    """POSIX allows such zones; every answer that names a time is given."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    for words in (["status", "-v"], ["store", "info"], ["audit", "show", "--since", "yesterday"]):
        done = world.run(*words, env={"TZ": zone})
        assert (done.code, "unexpected" in done.err) == (0, False)


def test_the_log_is_pruned_by_date_and_day(world: World) -> None:
    """Nothing is older than today or a date long ago; all is older than a date to come."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    for early in ("yesterday", "2020-01-01", "1000d"):
        assert world.run("audit", "prune", "--before", early, "--json").json["removed"] is None
    done = world.run("audit", "prune", "--before", "2999-01-01", "--json")
    assert done.json["removed"]["first"] == 1
