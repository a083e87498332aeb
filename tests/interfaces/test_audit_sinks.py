"""The audit log on standard error, in syslog, the journal and a program's own logging."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from logins import BY_BROWSER, CANARY, CHALLENGE, CODE_EXCHANGE, ORIGIN, TOKENS, fresh_login
from stayfast import OAuthService
from stayfast.engine.audit.events import Event, EventKind, Origin, Outcome, Recorded, Scalar
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.table import Trigger
from stayfast.interfaces.audit.choice import audit_sinks
from stayfast.interfaces.audit.lines import FIELDS
from stayfast.interfaces.audit.outbox import BUDGET, BufferedSender, Outbox
from stayfast.interfaces.audit.sinks import (
    HostLogging,
    HostStructlog,
    Journal,
    StandardError,
    Syslog,
)
from stayfast.storage import MemoryStorage

HERE = Origin(pid=1, host="h", user="u", app_version="1")


def note(storage: MemoryStorage, **fields: Any) -> Recorded:
    return storage.note(
        Event(
            time=1.5,
            event=EventKind.REFUSED,
            origin=HERE,
            reason="wrong_state",
            outcome=Outcome.FAILURE,
            **fields,
        )
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A short private directory: a socket's path has room for a hundred characters."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture
def listener(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(place / "log"))
        receiver.settimeout(5)
        yield receiver


class Recorder:
    """Keeps the lines it takes, and refuses them while ``broken``."""

    name = "recorder"

    def __init__(self) -> None:
        self.delivered: list[int] = []
        self.broken = False
        self.slow = 0.0

    def take(self, line: Mapping[str, Scalar]) -> None:
        if self.broken:
            raise OSError("refused")
        time.sleep(self.slow)  # what is tested is how long a slow one is borne
        self.delivered.append(int(str(line["seq"])))


def test_syslog_is_told_in_its_own_form(place: Path, listener: socket.socket) -> None:
    """A failure is a notice of authpriv, anything else information; the rest is the JSON line."""
    storage = MemoryStorage()
    outbox = Outbox(Syslog(str(place / "log")), storage, str(place / "cursor"))
    outbox.observe([note(storage)], None)
    priority, _, rest = listener.recv(65536).decode().partition(">")
    assert int(priority[1:]) == 10 * 8 + 5
    line = json.loads(rest.partition(": ")[2])
    assert (line["seq"], line["reason"]) == (1, "wrong_state")
    assert rest.startswith(f"stayfast[{os.getpid()}]: ")


def fields_of(datagram: bytes) -> dict[str, str]:
    """The fields of an entry in the journal's native protocol."""
    found: dict[str, str] = {}
    while datagram:
        head, _, datagram = datagram.partition(b"\n")
        name, delivered, value = head.partition(b"=")
        if not delivered:
            (length,) = struct.unpack("<Q", datagram[:8])
            value, datagram = datagram[8 : 8 + length], datagram[9 + length :]
        found[name.decode()] = value.decode()
    return found


def test_the_journal_is_told_field_by_field(place: Path, listener: socket.socket) -> None:
    """Each field is one of the journal's; a line end in a value makes no field of its own."""
    storage = MemoryStorage()
    outbox = Outbox(Journal(str(place / "log")), storage, str(place / "cursor"))
    outbox.observe([note(storage, provider="a\nPRIORITY=0", scopes=("r", "w"))], None)
    fields = fields_of(listener.recv(65536))
    assert fields["STAYFAST_PROVIDER"] == "a\nPRIORITY=0"
    assert (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"]) == ("5", "stayfast")
    assert (fields["STAYFAST_SEQ"], fields["STAYFAST_SCOPES"]) == ("1", "r w")
    assert json.loads(fields["MESSAGE"])["seq"] == 1


def test_a_receiver_that_was_started_anew_is_found_again(place: Path) -> None:
    """After the log daemon restarts, nothing is missing."""
    storage = MemoryStorage()
    outbox = Outbox(Syslog(str(place / "log")), storage, str(place / "cursor"))
    received: list[bytes] = []
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
            daemon.bind(str(place / "log"))
            daemon.settimeout(5)
            outbox.observe([note(storage)], None)
            received.append(daemon.recv(65536))
        (place / "log").unlink()
        outbox.observe([note(storage)], None)  # nobody there
        assert outbox.problem is not None
    assert [b'"seq":1,' in received[0], b'"seq":2,' in received[1]] == [True, True]
    assert outbox.behind >= 1


def test_an_outbox_goes_on_where_the_last_process_stopped(place: Path) -> None:
    """What a process did not deliver, the next does, in order, and nothing twice."""
    storage, sink = MemoryStorage(), Recorder()
    note(storage)  # before there was a sink: for the export
    first = Outbox(sink, storage, str(place / "cursor"))
    first.observe([note(storage)], None)
    sink.broken = True
    first.observe([note(storage)], None)
    assert first.problem == "refused"
    note(storage)  # saved, and its process died before it sent the line
    sink.broken = False
    Outbox(sink, storage, str(place / "cursor")).observe([note(storage)], None)
    assert sink.delivered == [2, 3, 4, 5]
    assert (place / "cursor").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("kind", ["outbox", "sender"])
def test_a_slow_sink_delays_nobody_for_long(place: Path, kind: str) -> None:
    """A sink that takes too long is asked nothing for a while, and caught up with afterwards."""
    storage, sink = MemoryStorage(), Recorder()
    telling = (
        Outbox(sink, storage, str(place / "cursor")) if kind == "outbox" else BufferedSender(sink)
    )
    sink.slow = BUDGET * 1.2
    for _ in range(10):
        telling.observe([note(storage)], None)
    assert telling.behind == 9
    sink.slow = 0.0
    telling._resting = 0.0  # time has passed
    telling.observe([note(storage)], None)
    assert sink.delivered == list(range(1, 12))
    assert telling.behind == 0


def test_what_finds_no_room_is_counted() -> None:
    """A broken sink keeps a bounded number of events waiting; the others are counted."""
    storage, sink = MemoryStorage(), Recorder()
    sink.broken = True
    sender = BufferedSender(sink, room=3)
    for _ in range(5):
        sender.observe([note(storage)], None)
    assert (sender.behind, sender.lost, sender.problem) == (3, 2, "OSError: refused")
    assert sender.unsent == 5
    sink.broken = False
    sender.observe([note(storage)], None)
    assert sink.delivered == [3, 4, 5, 6]
    assert sender.unsent == 2


def test_a_sink_at_rest_fills_no_memory() -> None:
    """While a slow sink is left alone, no more waits for it than there is room."""
    storage, sink = MemoryStorage(), Recorder()
    sender = BufferedSender(sink, room=3)
    sink.slow = BUDGET * 1.2
    for _ in range(6):
        sender.observe([note(storage)], None)
    assert (sink.delivered, sender.behind, sender.lost) == ([1], 3, 2)


def test_a_full_pipe_on_standard_error_is_not_waited_for() -> None:
    """Nobody reads: the line waits. Somebody reads: all lines are there, whole."""
    storage = MemoryStorage()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    filled = 0
    while True:
        try:
            filled += os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    sender = BufferedSender(StandardError(writer))
    sender.observe([note(storage)], None)
    assert sender.behind == 1
    while filled:
        filled -= len(os.read(reader, min(filled, 65536)))
    sender.observe([note(storage, detail="y" * 9000)], None)
    os.close(writer)
    with open(reader, "rb") as file:
        assert [json.loads(line)["seq"] for line in file] == [1, 2]


def test_the_programs_own_logging_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is a warning; the fields stand in the record for structured handlers."""
    storage = MemoryStorage()
    with caplog.at_level(logging.INFO, logger="mine.audit"):
        BufferedSender(HostLogging("mine.audit")).observe([note(storage)], None)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("mine.audit", "WARNING")
    assert record.stayfast["reason"] == "wrong_state"
    assert json.loads(record.getMessage())["seq"] == 1


def test_the_programs_own_structlog_is_told() -> None:
    """A failure is a warning; event and fields arrive as structlog has them, without a secret."""
    storage = MemoryStorage()
    with structlog.testing.capture_logs() as told:
        sender = BufferedSender(HostStructlog())
        sender.observe([note(storage), note(storage, detail="again")], None)
    assert sender.problem is None
    assert [(one["event"], one["log_level"], one["seq"]) for one in told] == [
        ("login.refused", "warning", 1),
        ("login.refused", "warning", 2),
    ]
    assert told[1]["detail"] == "again"
    assert set(told[0]) - {"log_level"} <= FIELDS


def test_events_never_stand_among_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody has configured structlog, it would print to standard output: a token is there."""
    structlog.reset_defaults()
    BufferedSender(HostStructlog()).observe([note(MemoryStorage())], None)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "login.refused" in shown.err


def test_a_handler_that_raises_ends_no_login() -> None:
    """Whatever a program's handler does, it is a problem of the sink."""

    class Furious(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.name)

    logger = logging.getLogger("furious.audit")
    handler = Furious()
    logger.addHandler(handler)
    try:
        sender = BufferedSender(HostLogging("furious.audit"))
        sender.observe([note(MemoryStorage())], None)
    finally:
        logger.removeHandler(handler)
    assert sender.problem == "RuntimeError: furious.audit"


def test_sinks_are_chosen_by_name_and_place(place: Path) -> None:
    """Several may be named; what is not known is refused with the list."""
    storage = MemoryStorage()
    environ = {"STAYFAST_AUDIT": f"file:{place}/a.jsonl, stderr,logging:x"}
    environ["STAYFAST_STATE_DIR"] = str(place)
    assert len(audit_sinks(storage, environ)) == 3
    assert [one.sink.name for one in audit_sinks(storage, environ, "structlog:x")] == ["structlog"]  # type: ignore[union-attr]
    assert audit_sinks(storage, environ, "none") == []
    assert [one.sink.name for one in audit_sinks(storage, environ, "syslog,journald")] == [
        "syslog",
        "journald",
    ]  # type: ignore[union-attr]
    with pytest.raises(ConfigInvalid):
        audit_sinks(storage, environ, "smoke")


class _Clock:
    def now(self) -> float:
        return 1_800_000_000.0


def test_no_sink_tells_a_secret(
    place: Path, listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a login full of canaries, no sink's octets hold one."""
    storage = MemoryStorage()
    reader, writer = os.pipe()
    delivered = [
        Outbox(Syslog(str(place / "log")), storage, str(place / "one")),
        Outbox(Journal(str(place / "log")), storage, str(place / "two")),
        BufferedSender(StandardError(writer)),
        BufferedSender(HostLogging("quiet.audit")),
    ]
    ledger = Ledger(storage, _Clock(), ORIGIN, delivered)  # type: ignore[arg-type]  # only its time is read
    with caplog.at_level(logging.INFO, logger="quiet.audit"):
        begun = ledger.advance(fresh_login(), Trigger.BEGIN, challenge=CHALLENGE)
        waiting = ledger.advance(begun, Trigger.PRESENT, presentation=BY_BROWSER)
        sent = ledger.advance(waiting, Trigger.RECEIVE_CALLBACK, exchange=CODE_EXCHANGE)
        ledger.advance(sent, Trigger.ACCEPT_TOKENS, tokens=TOKENS)
    os.close(writer)
    octets = [listener.recv(65536) for _ in range(8)]
    with open(reader, "rb") as file:
        octets.append(file.read())
    octets += [str(vars(record)).encode() for record in caplog.records]
    assert all(delivered.problem is None for delivered in delivered)
    assert len(octets) == 8 + 1 + 4
    assert not [one for one in octets if CANARY.encode() in one]
    assert b"access_token_fp" in octets[8]


def test_a_service_tells_where_it_is_asked_to(place: Path) -> None:
    """A program names its sinks when it makes its service."""
    service = OAuthService(storage=MemoryStorage(), audit="logging:mine")
    (sender,) = service.assembly.sinks
    assert sender.sink.name == "logging"  # type: ignore[union-attr]
