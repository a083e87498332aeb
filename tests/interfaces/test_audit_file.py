"""The audit log as JSON lines: complete, in order, up to date, and without secrets."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog
from stayfast.engine.audit.events import Event, EventKind, Origin, Recorded
from stayfast.interfaces.audit.file import AuditFile
from stayfast.interfaces.audit.lines import FIELDS, line_of, render
from stayfast.storage import MemoryStorage

ORIGIN = Origin(pid=1, host="h", user="u", app_version="1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "log" / "audit.jsonl"


def note(storage: MemoryStorage) -> Recorded:
    return storage.note(
        Event(time=1.5, event=EventKind.REFUSED, origin=ORIGIN, reason="wrong_state")
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_one_line(path: Path) -> None:
    """Lines come in order, with number, time and the listed fields only; the file is private."""
    storage = MemoryStorage()
    audit_file = AuditFile(str(path), storage)
    for _ in range(3):
        audit_file.observe([note(storage)], None)
    found = lines(path)
    assert [line["seq"] for line in found] == [1, 2, 3]
    assert found[0]["time"] == "1970-01-01T00:00:01.500000Z"
    assert all(set(line) <= FIELDS for line in found)
    assert path.stat().st_mode & 0o077 == 0
    assert audit_file.dropped == 0


def test_the_file_has_what_structlog_writes(path: Path) -> None:
    """A program that renders events by structlog and our processor gets the same members."""
    storage = MemoryStorage()
    recorded = [note(storage) for _ in range(2)]
    AuditFile(str(path), storage).observe(recorded, None)
    written = io.BytesIO()
    logger = structlog.wrap_logger(
        structlog.BytesLogger(written), processors=[render], wrapper_class=structlog.BoundLogger
    )
    for one in recorded:
        logger.msg(**line_of(one))
    assert lines(path) == [json.loads(line) for line in written.getvalue().splitlines()]


def test_what_a_dead_process_did_not_tell_is_told(path: Path) -> None:
    """The next writer writes what is missing; a torn line is ended, and its record written again."""
    storage = MemoryStorage()
    audit_file = AuditFile(str(path), storage)
    audit_file.observe([note(storage)], None)
    note(storage)
    note(storage)
    with path.open("a") as file:
        file.write('{"seq": 2, "tor')
    AuditFile(str(path), storage).observe([note(storage)], None)
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
    assert [json.loads(line)["seq"] for line in whole] == [1, 2, 3, 4]


def test_many_tellers_make_one_story(path: Path) -> None:
    """Threads that write at the same time neither tear nor repeat a line."""
    storage = MemoryStorage()

    def work() -> None:
        mine = AuditFile(str(path), storage)
        for _ in range(10):
            mine.observe([note(storage)], None)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    AuditFile(str(path), storage).catch_up()
    assert [line["seq"] for line in lines(path)] == list(range(1, 61))


def test_a_log_that_cannot_be_written_stops_nobody(path: Path) -> None:
    """A failing file is remembered as a problem, and not raised."""
    storage = MemoryStorage()
    path.parent.mkdir(mode=0o700)
    path.mkdir()
    audit_file = AuditFile(str(path), storage)
    audit_file.observe([note(storage)], None)
    assert audit_file.problem


def test_unlisted_fields_are_dropped_and_counted(path: Path) -> None:
    """A field that is not on the list does not get into the file."""

    class Leaky(MemoryStorage):
        def events(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
            return [
                Recorded(one.seq, {**one.members, "access_token": "canary"})
                for one in super().events(after=after, limit=limit)
            ]

    storage = Leaky()
    audit_file = AuditFile(str(path), storage)
    audit_file.observe([note(storage)], None)
    assert "canary" not in path.read_text()
    assert audit_file.dropped == 1
    assert "access_token" in line_of(storage.events()[0])
