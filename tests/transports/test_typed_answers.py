"""What people type and paste: it arrives whole and unseen, and every mistake has its own name."""

from __future__ import annotations

import array
import fcntl
import io
import os
import select
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pexpect
import pytest
import requests
from conductors import conductor_over
from stayfast.engine.errors import CallbackRefused, TransportUnavailable
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import NoticeKind, Verdict, VerdictKind
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.user_agent import approve, fetch_only, tampered
from stayfast.transports.loopback.transport import LoopbackTransport
from stayfast.transports.manual import ManualTransport
from stayfast.transports.racing import RacingSession, RacingTransport
from stayfast.transports.terminal.answers import StreamAnswers, TerminalAnswers
from wire_talk import Background, Keyboard, NoBrowser, Notices, asking, keyboard

CONFIG = OAuthConfig(service_name="x", client_id="y", redirect_uri="http://127.0.0.1:0/callback")


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def keys() -> Iterator[Keyboard]:
    with keyboard() as opened:
        yield opened


@pytest.fixture
def answers(keys: Keyboard) -> Iterator[TerminalAnswers]:
    reading = TerminalAnswers(keys.slave)
    yield reading
    reading.close()


def line(answers: TerminalAnswers) -> str:
    """The next line."""
    taken = answers.read(5)
    assert taken is not None
    return taken.reveal()


def waiting(descriptor: int) -> int:
    """How many octets could be read from ``descriptor``."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def test_a_paste_in_one_burst_arrives_whole_and_unseen(
    keys: Keyboard, answers: TerminalAnswers
) -> None:
    """Six thousand characters at once, more than a line of a terminal holds; nothing is shown."""
    address = "http://127.0.0.1:8080/callback?state=s&code=" + "a1-_" * 1500
    pasting = Background(lambda: keys.paste(address))
    assert line(answers) == address
    pasting.result()
    assert waiting(keys.master) == 0


def test_lines_that_come_together_are_all_read(keys: Keyboard, answers: TerminalAnswers) -> None:
    """Nothing that was pasted together with another line is lost; empty lines are no answers."""
    keys.type("one\r\n\r\ntwo\nthree\nfo")
    assert [line(answers) for _ in range(3)] == ["one", "two", "three"]
    assert answers.read(0.01) is None
    keys.type("ur\n")
    assert line(answers) == "four"


def test_a_key_means_something_only_alone(keys: Keyboard) -> None:
    """A key is a key on an empty line; inside a line, or after one, it is a letter."""
    pressed: list[str] = []
    lengths: list[int] = []
    answers = TerminalAnswers(
        keys.slave, keys={"d": lambda: pressed.append("d")}, on_length=lengths.append
    )
    keys.type("d")
    assert answers.read(0.02) is None
    keys.type("code\nd")
    assert line(answers) == "code"
    assert answers.read(0.02) is None
    keys.type("one\n")
    assert line(answers) == "done"
    keys.type("co")
    assert answers.read(0.02) is None
    keys.type("d")  # alone, but in the middle of a line
    assert answers.read(0.02) is None
    keys.type("e\n")
    assert line(answers) == "code"
    assert pressed == ["d"]
    assert max(lengths) <= len("done")
    answers.close()


def test_a_line_can_be_corrected_and_ended(keys: Keyboard, answers: TerminalAnswers) -> None:
    """Backspace and Ctrl-U work; Ctrl-D ends the input on an empty line, and only there."""
    keys.type("wrong\x15rigt\x7fht\x08\x7fht\n")
    assert line(answers) == "right"
    keys.type("x\x15\x04")
    with pytest.raises(TransportUnavailable):
        answers.read(5)


def test_a_line_without_end_is_bounded(keys: Keyboard, answers: TerminalAnswers) -> None:
    """More than any answer is cut off, not collected for ever."""
    pasting = Background(lambda: keys.paste("a" * 70_000))
    assert len(line(answers)) == 64 * 1024
    pasting.result()


def test_the_terminal_is_given_back(keys: Keyboard) -> None:
    """After the close it echoes again, and what was typed and not read reaches nobody."""
    before = termios.tcgetattr(keys.slave)
    answers = TerminalAnswers(keys.slave)
    assert termios.tcgetattr(keys.slave) != before
    keys.type("?code=half-a-sec")
    assert select.select([keys.slave], [], [], 5)[0]  # it has come through
    answers.close()
    answers.close()
    assert termios.tcgetattr(keys.slave) == before
    assert waiting(keys.slave) == 0


INTERRUPTED = """
import sys, termios
from stayfast.transports.terminal.answers import TerminalAnswers
before = termios.tcgetattr(0)
answers = TerminalAnswers()
try:
    print("ready", flush=True)
    answers.read(30)
except KeyboardInterrupt:
    quiet = termios.tcgetattr(0) != before
finally:
    answers.close()
sys.exit(0 if quiet and termios.tcgetattr(0) == before else 9)
"""


def test_ctrl_c_works_and_the_terminal_is_given_back() -> None:
    """Ctrl-C reaches the program through the quiet terminal, which is as before afterwards."""
    child = pexpect.spawn(sys.executable, ["-c", INTERRUPTED], timeout=120)
    child.expect_exact("ready")
    child.send("\x03")
    child.expect(pexpect.EOF)
    status = child.wait()  # before the close, which would hang up on it
    child.close()
    assert status == 0


def test_what_is_no_terminal_is_refused() -> None:
    """A pipe has no echo to turn off; a terminal that has gone has nothing to read."""
    reading, writing = os.pipe()
    with pytest.raises(TransportUnavailable):
        TerminalAnswers(reading)
    os.close(reading)
    os.close(writing)
    master, slave = os.openpty()
    answers = TerminalAnswers(slave)
    os.close(master)
    with pytest.raises(TransportUnavailable):
        answers.read(5)
    answers.close()
    os.close(slave)


def test_a_stream_is_bounded_and_may_be_empty() -> None:
    """Of a stream 64 KiB are read; an empty one is no answer."""
    taken = StreamAnswers(io.BytesIO(b"a" * 100_000)).read(0)
    assert taken is not None
    assert len(taken) == 64 * 1024
    for nothing in (b"", b" \n\t"):
        with pytest.raises(TransportUnavailable):
            StreamAnswers(io.BytesIO(nothing)).read(0)


MISTAKES: dict[str, Any] = {
    "not_a_callback": lambda asked, back: "hello",
    "authorization_url": lambda asked, back: asked,
    "truncated": lambda asked, back: tampered(back, state=None),
    "bare_code": lambda asked, back: back.partition("code=")[2].partition("&")[0],
    "wrong_address": lambda asked, back: back.replace("/callback", "/elsewhere"),
    "duplicate_parameter": lambda asked, back: f"{back}&code=another",
    "wrong_issuer": lambda asked, back: tampered(back, iss="https://attacker.example"),
    "missing_issuer": lambda asked, back: tampered(back, iss=None),
    "wrong_state": lambda asked, back: tampered(back, state="another"),
    "missing_state": lambda asked, back: tampered(back, state=""),
    "missing_code": lambda asked, back: tampered(back, code=""),
    "implicit_response": lambda asked, back: tampered(back, access_token="a"),
    "malformed_error": lambda asked, back: tampered(back, error="ü"),
}


def test_every_mistake_has_its_own_name_and_none_ends_the_login(
    server: AuthorizationServer, keys: Keyboard, answers: TerminalAnswers
) -> None:
    """Thirteen mistakes in a row are refused for thirteen reasons; then the answer signs in."""
    storage = MemoryStorage()

    def paste(notice: Any) -> None:
        callback = fetch_only(notice.url)
        for mistake in MISTAKES.values():
            keys.paste(mistake(notice.url, callback))
        keys.paste(f'"{callback}"')

    notices = Notices({NoticeKind.PASTE: lambda n: pasting.append(Background(lambda: paste(n)))})
    pasting: list[Background] = []
    transport = ManualTransport(notices, lambda: answers)
    login = conductor_over(storage).sign_in(server.config(), transport)
    pasting[0].result()
    assert login.state is State.AUTHENTICATED
    refused = [e.members["reason"] for e in storage.events() if "trigger" not in e.members]
    assert refused == list(MISTAKES)
    mistakes = [n.message for n in notices.shown if n.kind is NoticeKind.MISTAKE]
    assert len(mistakes) == len(MISTAKES)
    assert login.config.client_id
    said = " ".join(mistakes)
    assert "code=" not in said
    assert "state=" not in said


def race(opens: Any) -> RacingSession:
    racing = RacingTransport(
        LoopbackTransport(Notices(), NoBrowser(), SystemClock()), ManualTransport(Notices(), opens)
    )
    return racing.prepare(asking(CONFIG))


def test_the_port_wins_a_race(keys: Keyboard, answers: TerminalAnswers) -> None:
    """A browser that comes back wins, also while somebody is in the middle of a paste."""
    session = race(lambda: answers)
    keys.type("nonsense\nhttp://127.0.0.1:1/callback?co")
    with pytest.raises(CallbackRefused):
        session.receive(5)
    assert session.presentation.transport == "manual"
    address = f"{session.presentation.redirect_uri}?code=a&state=b"
    browser = Background(lambda: requests.get(address, timeout=10))
    arrival = None
    while arrival is None:
        arrival = session.receive(1)
    assert arrival.parameters == [("code", "a"), ("state", "b")]
    assert session.presentation.transport == "loopback"
    session.close()
    assert browser.result().ok


def test_two_pastes_at_once_are_both_heard_in_a_race(
    keys: Keyboard, answers: TerminalAnswers
) -> None:
    """The second of two lines that came together is not left until the next key."""
    session = race(lambda: answers)
    keys.type(f"nonsense\n{session.presentation.redirect_uri}?code=a&state=b\n")
    with pytest.raises(CallbackRefused):
        session.receive(5)
    start = time.monotonic()
    arrival = session.receive(60)
    assert time.monotonic() - start < 30
    assert arrival is not None
    assert arrival.parameters == [("code", "a"), ("state", "b")]
    session.close()


@pytest.mark.parametrize("winner", ["paste", "port"])
def test_what_lost_a_race_is_closed_with_the_answer(
    keys: Keyboard, answers: TerminalAnswers, winner: str
) -> None:
    """Once the answer is accepted nobody is listened to any more; what lost is named."""
    session = race(lambda: answers)
    address = f"{session.presentation.redirect_uri}?code=a&state=b"
    browser = None
    if winner == "paste":
        keys.paste(address)
    else:
        browser = Background(lambda: requests.get(address, timeout=10))
    arrival = None
    while arrival is None:
        arrival = session.receive(1)
    assert arrival.beaten == (("loopback",) if winner == "paste" else ("manual",))
    session.reply(Verdict(kind=VerdictKind.ACCEPTED))
    if winner == "paste":
        with pytest.raises(requests.ConnectionError):
            requests.get(address, timeout=10)
    else:
        keys.paste(address)
        assert session.receive(0.05) is None
    session.close()
    assert browser is None or browser.result().ok


def no_terminal() -> Any:
    raise TransportUnavailable("standard input is not a terminal")


@pytest.mark.parametrize("terminal", ["none", "gone", "ended", "stream"])
def test_without_a_terminal_the_port_remains(server: AuthorizationServer, terminal: str) -> None:
    """Where nothing can be typed, or no longer, the browser's way back is still open."""
    master, slave = os.openpty()
    reading = TerminalAnswers(slave)
    opens = {
        "none": no_terminal,
        "gone": lambda: reading,
        "ended": lambda: reading,
        "stream": lambda: StreamAnswers(io.BytesIO(b"")),
    }
    if terminal == "gone":
        os.close(master)
    elif terminal == "ended":
        os.write(master, b"\x04")
    notices = Notices()
    racing = RacingTransport(
        LoopbackTransport(notices, NoBrowser(), SystemClock()),
        ManualTransport(Notices(), opens[terminal]),
    )
    work = Background(lambda: conductor_over(MemoryStorage()).sign_in(server.config(), racing))
    address = notices.wait_for(NoticeKind.OPEN).url or ""
    assert approve(address).status_code == 200
    assert work.result().state is State.AUTHENTICATED
    reading.close()
    os.close(slave)
    if terminal != "gone":
        os.close(master)
