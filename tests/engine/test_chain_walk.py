"""A log is walked record by record; what the walk says of odd records, without any vault."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from stayfast.engine.audit.events import (
    GONE,
    SET_ASIDE,
    NotAnEvent,
    text_of,
    transition_of,
)
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.audit.histories import Histories
from stayfast.engine.audit.verifier import ChainWalk, check_lines
from stayfast.engine.moments import rfc3339

NOW = 1_800_000_000.0


def link(before: bytes, seq: int, text: bytes) -> bytes:
    return hashlib.sha256(before + seq.to_bytes(8) + text).digest()


def begin(login: str, version: int = 1) -> dict[str, Any]:
    """The members of a first transition."""
    return {
        "event": "login.transition", "time": NOW, "login": login, "version": version,
        "trigger": "begin", "from": "idle", "to": "challenge",
    }  # fmt: skip


def lines_of(records: list[dict[str, Any]]) -> list[bytes]:
    """``records`` as an exported log has them, each linked to the one before."""
    lines, before = [], b""
    for seq, members in enumerate(records, 1):
        mac = link(before, seq, text_of(members))
        whole = {
            **members, "time": rfc3339(members["time"]),
            "seq": seq, "prev": before.hex(), "mac": mac.hex(),
        }  # fmt: skip
        lines.append(json.dumps(whole).encode())
        before = mac
    return lines


@pytest.mark.parametrize("time", [None, "yesterday", "", "2026-13-01T00:00:00Z", 5], ids=repr)
@pytest.mark.parametrize("keyed", [True, False])
def test_a_line_whose_time_cannot_be_read_is_a_changed_record(time: object, keyed: bool) -> None:
    """It is one finding about that record; its number counts, and its neighbours are sound."""
    lines = lines_of([begin("A"), begin("B"), begin("C")])
    members = json.loads(lines[1])
    del members["time"]
    lines[1] = json.dumps(members if time is None else {**members, "time": time}).encode()
    found = check_lines(lines, link if keyed else None)
    assert [(one.code, one.seq) for one in found.findings] == [(FindingCode.CHANGED, 2)]
    assert (found.records, found.first, found.last, found.intact) == (3, 1, 3, 1)


def test_a_log_may_begin_with_a_record_that_cannot_be_read() -> None:
    """The record is counted as the first, and it is the finding."""
    lines = lines_of([begin("A"), begin("B")])
    lines[0] = json.dumps({**json.loads(lines[0]), "time": "?"}).encode()
    found = check_lines(lines, link)
    assert [(one.code, one.seq) for one in found.findings] == [(FindingCode.CHANGED, 1)]
    assert (found.records, found.first, found.intact) == (2, 1, 0)


@pytest.mark.parametrize("detail", [SET_ASIDE, GONE])
def test_a_login_that_left_the_vault_is_not_missed(detail: str) -> None:
    """Once a record says that a login is gone, the vault need not have it, and it may begin again."""
    gone = {"event": "storage.changed", "time": NOW, "login": "A", "detail": detail}
    found = check_lines(lines_of([begin("A"), gone, begin("A")]), link)
    assert found.findings == []
    walk = ChainWalk(link, Histories())
    before = b""
    for seq, members in enumerate([begin("A"), gone], 1):
        text = text_of(members)
        mac = link(before, seq, text)
        walk.take(seq, text, mac)
        before = mac
    walk.histories.compare({})
    assert walk.verification().findings == []


@pytest.mark.parametrize("other", [{"detail": "repaired"}, {"detail": GONE, "login": 5}])
def test_other_changes_of_the_storage_end_no_history(other: dict[str, Any]) -> None:
    """Only a record that names a login and says that it left ends the login's history."""
    changed = {"event": "storage.changed", "time": NOW, **other}
    found = check_lines(lines_of([begin("A"), changed, begin("A")]), link)
    assert [one.code for one in found.findings].count(FindingCode.BROKEN_HISTORY) == 2


@pytest.mark.parametrize(
    ("last", "mac", "code"),
    [
        (1, link(b"", 1, text_of(begin("A"))), None),
        (1, b"another", FindingCode.HEAD),
        (3, b"another", FindingCode.TRUNCATED),
    ],
    ids=["the same", "another record", "cut"],
)
def test_the_end_of_a_log_is_compared_with_the_kept_one(
    last: int, mac: bytes, code: FindingCode | None
) -> None:
    """The number and the link that are kept apart must be those of the last record."""
    text = text_of(begin("A"))
    walk = ChainWalk(link, Histories())
    walk.take(1, text, link(b"", 1, text))
    walk.finish(last, mac)
    assert [one.code for one in walk.findings] == ([code] if code else [])


def test_a_wrong_link_at_the_end_is_said_once() -> None:
    """A last record that does not follow is not reported as another end as well."""
    walk = ChainWalk(link, Histories())
    walk.take(1, text_of(begin("A")), b"wrong")
    walk.finish(1, b"right")
    assert [one.code for one in walk.findings] == [FindingCode.CHANGED]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (None, "1970-01-01T00:00:00.000000Z"),
        ("soon", "1970-01-01T00:00:00.000000Z"),
        (float("nan"), "1970-01-01T00:00:00.000000Z"),
        (float("inf"), "9999-12-30T00:00:00.000000Z"),
        (float("-inf"), "0001-01-02T00:00:00.000000Z"),
        (10**30, "9999-12-30T00:00:00.000000Z"),
    ],
)
def test_any_stored_time_can_be_shown(seconds: object, text: str) -> None:
    """What no calendar holds, or is not a number, is shown as the nearest time that can be."""
    assert rfc3339(seconds) == text


@pytest.mark.parametrize("lost", ["login", "version", "trigger", "from", "to"])
def test_a_transition_needs_all_that_it_is_of(lost: str) -> None:
    """An event that calls itself a transition and lacks a member is a finding, not a crash."""
    whole = begin("A")
    assert transition_of(whole) == ("A", 1, "begin", "idle", "challenge")
    assert transition_of({**whole, "event": "login.refused"}) is None
    for members in ({**whole, lost: None}, {**whole, lost: 1.5}):
        with pytest.raises(NotAnEvent):
            transition_of(members)
        found = check_lines(lines_of([members]), link).findings
        assert [(one.code, one.seq) for one in found] == [(FindingCode.UNREADABLE, 1)]
