"""Messages, pastes, schedules, browsers and choices."""

from __future__ import annotations

import io
import os
import pty
import socket
import stat
import termios
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from instant import ManualClock
from stayfast.engine.errors import CallbackRefused, TransportUnavailable
from stayfast.engine.oauth.device import PollSchedule
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Asking, Notice, NoticeKind, Verdict, VerdictKind
from stayfast.engine.record import DeviceGrant, Presentation
from stayfast.engine.secret import Secret
from stayfast.storage.host import SystemClock
from stayfast.transports.browser import SystemBrowser
from stayfast.transports.device import DeviceSession
from stayfast.transports.loopback.http_message import Request, RequestReader
from stayfast.transports.loopback.transport import LoopbackTransport
from stayfast.transports.manual import ManualTransport
from stayfast.transports.racing import RacingTransport
from stayfast.transports.terminal.answers import StreamAnswers, TerminalAnswers

GOOD = b"POST /cb?a=1 HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\ncode=x&st=y"


def test_a_request_is_the_same_in_pieces() -> None:
    """Octet by octet, a request is what it is as a whole."""
    whole = RequestReader().feed(GOOD)
    reader = RequestReader()
    pieces = [reader.feed(GOOD[at : at + 1]) for at in range(len(GOOD))]
    assert isinstance(whole, Request)
    assert pieces[-1] == whole
    assert set(pieces[:-1]) == {None}
    assert whole.parameters() == [("code", "x"), ("st", "y")]


@pytest.mark.parametrize("kind", [b"text/plain", b"application/json", b"multipart/form-data", b""])
def test_a_form_has_the_content_type_of_a_form(kind: bytes) -> None:
    """What a page of another origin may post without asking first is not read as an answer."""
    posted = RequestReader().feed(GOOD.replace(b"application/x-www-form-urlencoded", kind))
    assert isinstance(posted, Request)
    assert posted.parameters() is None


@given(st.binary(max_size=400), st.integers(0, 100))
def test_no_octets_are_an_exception(octets: bytes, cut: int) -> None:
    """Whatever comes is a request, a status, or not yet anything."""
    for start in (b"", GOOD[:cut]):
        outcome = RequestReader().feed(start + octets)
        assert outcome is None or isinstance(outcome, Request | HTTPStatus)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_a_long_paste_arrives_whole_and_unseen(terminal: tuple[int, int]) -> None:
    """6,000 characters, more than a terminal's line holds, arrive whole; nothing is echoed."""
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    answers = TerminalAnswers(theirs)
    pasted = "http://127.0.0.1/cb?code=" + "a" * 6000
    taken = None
    for at in range(0, len(pasted), 1000):
        os.write(ours, pasted[at : at + 1000].encode())
        taken = taken or answers.read(0.01)
    os.write(ours, b"\r")
    taken = answers.read(5)
    assert taken is not None
    assert taken.reveal() == pasted
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)
    answers.close()
    assert termios.tcgetattr(theirs) == before


def test_keys_and_corrections(terminal: tuple[int, int]) -> None:
    """A single key does what it is for; erasing works; Ctrl-D ends the input."""
    ours, theirs = terminal
    pressed: list[str] = []
    answers = TerminalAnswers(theirs, keys={"c": lambda: pressed.append("c")})
    os.write(ours, b"c")
    assert answers.read(0.05) is None
    os.write(ours, b"abd\x7fc\n")
    taken = answers.read(5)
    assert (pressed, taken and taken.reveal()) == (["c"], "abc")
    os.write(ours, b"\x04")
    with pytest.raises(TransportUnavailable):
        answers.read(5)
    answers.close()


def test_a_stream_is_one_answer() -> None:
    """Standard input is read once, whole; after it there is nothing."""
    answers = StreamAnswers(io.BytesIO(b"?code=a&state=b\n"))
    taken = answers.read(0)
    assert taken is not None
    assert taken.reveal().strip() == "?code=a&state=b"
    with pytest.raises(TransportUnavailable):
        answers.read(0)


class Nothing:
    def show(self, notice: Notice) -> None:
        pass

    def open(self, url: str) -> str | None:
        return None


def asking(redirect_uri: str = "http://127.0.0.1/cb", ports: tuple[int, ...] = (8080,)) -> Asking:
    config = OAuthConfig(service_name="x", client_id="y", redirect_uri=redirect_uri, ports=ports)
    return Asking(login_id="0" * 26, config=config, deadline=1e12)


def test_paste_and_loopback_share_an_address() -> None:
    """A paste is asked for with the address a listener would have, and the other way round."""
    manual = ManualTransport(Nothing(), lambda: StreamAnswers(io.BytesIO(b"")))
    shown = manual.prepare(asking()).presentation
    assert shown.redirect_uri == "http://127.0.0.1:8080/cb"
    other = Presentation(transport="loopback", redirect_uri="http://127.0.0.1:9/cb")
    assert manual.reopen(asking(), other).presentation.redirect_uri == other.redirect_uri


def test_a_paste_wins_a_race(terminal: tuple[int, int]) -> None:
    """While a listener waits, an address typed at the terminal is the answer; mistakes are not."""
    ours, theirs = terminal
    answers = TerminalAnswers(theirs)
    racing = RacingTransport(
        LoopbackTransport(Nothing(), Nothing(), SystemClock()),
        ManualTransport(Nothing(), lambda: answers),
    )
    session = racing.prepare(asking("http://127.0.0.1:0/cb"))
    os.write(ours, b"nonsense!\n")
    with pytest.raises(CallbackRefused):
        session.receive(5)
    os.write(ours, f"{session.presentation.redirect_uri}?code=a&state=b\n".encode())
    arrival = session.receive(5)
    assert arrival is not None
    assert arrival.parameters == [("code", "a"), ("state", "b")]
    assert session.presentation.transport == "manual"
    session.close()


class Heard:
    """Collects a transport's notices."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def show(self, notice: Notice) -> None:
        self.notices.append(notice)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{port}/cb", "http://127.0.0.1/cb", "https://app.test/cb"]
)
def test_where_no_port_can_be_had_a_race_is_a_paste(
    terminal: tuple[int, int], address: str, again: bool
) -> None:
    """With every port taken, or an address of elsewhere, the login goes on in place and says why."""
    ours, theirs = terminal
    kept = Heard()
    racing = RacingTransport(
        LoopbackTransport(kept, Nothing(), SystemClock()),
        ManualTransport(kept, lambda: TerminalAnswers(theirs)),
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked = asking(address.format(port=port), ports=(port,))
        session = racing.prepare(asked)
        if again:
            before = replace(session.presentation, transport="loopback")
            session = racing.reopen(asked, before)
    session.present("https://p.test/authorize")
    os.write(ours, f"{session.presentation.redirect_uri}?code=a&state=b\n".encode())
    arrival = session.receive(5)
    session.close()

    (notice,) = kept.notices
    assert arrival is not None
    assert arrival.parameters == [("code", "a"), ("state", "b")]
    assert (notice.kind, session.presentation.transport) == (NoticeKind.PASTE, "manual")
    assert notice.message


def grant(interval: float = 5) -> DeviceGrant:
    return DeviceGrant(
        device_code=Secret("d"), user_code="AB", verification_uri="https://x.test/d",
        verification_uri_complete=None, expires_at=2e9, interval=interval,
    )  # fmt: skip


def test_polls_keep_their_distance() -> None:
    """A full interval before each poll; slow_down adds for good; silence doubles for a while."""
    clock = ManualClock()
    session = DeviceSession(asking(), grant(), Nothing(), clock)
    start = clock.time

    def next_poll() -> float:
        while session.receive(1) is None:
            pass
        return clock.time

    assert next_poll() - start == 5
    for verdict, gap in [
        (Verdict(kind=VerdictKind.PENDING), 5),
        (Verdict(kind=VerdictKind.SLOW_DOWN), 10),
        (Verdict(kind=VerdictKind.PENDING), 10),
        (Verdict(kind=VerdictKind.SLOW_DOWN, interval=30), 30),
        (Verdict(kind=VerdictKind.UNANSWERED), 60),
        (Verdict(kind=VerdictKind.UNANSWERED), 120),
        (Verdict(kind=VerdictKind.PENDING), 30),
    ]:
        before = clock.time
        session.reply(verdict)
        assert next_poll() - before == gap
    assert PollSchedule(grant(7), 100, 900).left(100, 900) == 7


def launcher(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_browsers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A launcher gets the address; its chatter is not ours; its failure is explained."""
    good = launcher(
        tmp_path / "good", f'echo chatter; echo chatter >&2; echo "$1" > {tmp_path}/url'
    )
    assert SystemBrowser({"BROWSER": good}).open("https://x.test/a?b=c&d") is None
    assert (tmp_path / "url").read_text().strip() == "https://x.test/a?b=c&d"
    assert capfd.readouterr() == ("", "")
    bad = launcher(tmp_path / "bad", "exit 3")
    assert SystemBrowser({"BROWSER": bad}).open("https://x.test") is not None
    assert SystemBrowser({"BROWSER": f"{bad}{os.pathsep}{good} %s"}).open("https://x.test") is None
    for refused in ("lynx", "w3m %s", "/nowhere/at/all", "'"):
        assert SystemBrowser({"BROWSER": refused}).open("https://x.test") is not None
    for address in ("file:///etc/passwd", "javascript:1", "https://x.test/\x1b[2J", "https://x y"):
        assert SystemBrowser({"BROWSER": good}).open(address) is not None
