"""A terminal that is read without echo is given back whatever happens."""

from __future__ import annotations

import os
import select
import signal
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from conductors import conductor_over
from instant import ManualClock
from stayfast.engine.ports import NoticeKind
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.transports.device import DeviceTransport
from stayfast.transports.manual import ManualTransport
from stayfast.transports.terminal.answers import TerminalAnswers
from stayfast.transports.terminal.quiet import QuietTerminal
from wire_talk import Background, Keyboard, Notices, asking, keyboard


@pytest.fixture
def keys() -> Iterator[Keyboard]:
    with keyboard() as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def shown(keys: Keyboard) -> bytes:
    """What the terminal has been sent by now."""
    octets = b""
    while select.select([keys.master], [], [], 0.05)[0]:
        octets += os.read(keys.master, 4096)
    return octets


def test_pastes_are_marked_only_in_between(keys: Keyboard) -> None:
    """Bracketed paste is asked for once, and turned off again at the end, once."""
    terminal = QuietTerminal(keys.slave, mark_pastes=True)
    assert shown(keys) == b"\x1b[?2004h"
    terminal.close()
    terminal.close()
    assert shown(keys) == b"\x1b[?2004l"


def test_a_terminal_that_somebody_mended_is_made_quiet_again(keys: Keyboard) -> None:
    """After ``stty sane`` by others, what is pasted next is not echoed, and comes whole."""
    before = termios.tcgetattr(keys.slave)
    answers = TerminalAnswers(keys.slave)
    quiet = termios.tcgetattr(keys.slave)
    termios.tcsetattr(keys.slave, termios.TCSANOW, before)
    assert answers.fileno() == keys.slave
    assert termios.tcgetattr(keys.slave) == quiet
    pasting = Background(lambda: keys.paste("a" * 6000))
    line = answers.read(5)
    assert line is not None
    assert len(line) == 6000
    pasting.result()
    assert shown(keys) == b""
    answers.close()
    assert termios.tcgetattr(keys.slave) == before


def test_the_handlers_of_others_are_left_alone(keys: Keyboard) -> None:
    """Ctrl-Z is heeded only where nobody else heeds it, and nothing is left behind."""
    theirs = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        terminal = QuietTerminal(keys.slave)
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGCONT) is not signal.SIG_DFL
        terminal.close()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTSTP, theirs)


def test_a_transport_that_crashes_gives_the_terminal_back(
    keys: Keyboard, server: AuthorizationServer
) -> None:
    """A bug in the middle of the wait leaves a terminal that echoes, and a login that waits."""
    before = termios.tcgetattr(keys.slave)
    storage = MemoryStorage()

    def crash(notice: Any) -> None:
        assert termios.tcgetattr(keys.slave) != before
        raise ZeroDivisionError

    notices = Notices({NoticeKind.PASTE: lambda _: keys.paste("hello"), NoticeKind.MISTAKE: crash})
    transport = ManualTransport(notices, lambda: TerminalAnswers(keys.slave, mark_pastes=True))
    with pytest.raises(ZeroDivisionError):
        conductor_over(storage).sign_in(server.config(), transport)
    assert termios.tcgetattr(keys.slave) == before
    assert shown(keys).endswith(b"\x1b[?2004l")
    (left,) = storage.summaries()
    assert left.state is State.AWAITING_CALLBACK


class Twitchy(ManualClock):
    """A clock that also moves when it is looked at: keys are waited for by the real one."""

    def monotonic(self) -> float:
        self.time += 0.5
        return self.time


@pytest.mark.parametrize("ending", ["\x04", "gone"])
def test_polls_go_on_without_a_keyboard(server: AuthorizationServer, ending: str) -> None:
    """What is typed during a device wait is no answer; Ctrl-D and a lost terminal end no polls."""
    master, slave = os.openpty()
    answers = TerminalAnswers(slave)
    os.write(master, b"hello\nworld\n")
    if ending == "gone":
        os.close(master)
    else:
        os.write(master, ending.encode())
    clock = Twitchy()
    transport = DeviceTransport(Notices(), RequestsHttp(), clock, lambda: answers)
    session = transport.prepare(asking(server.config()))
    session.present(None)
    while session.receive(2) is None:
        pass
    session.close()
    os.close(slave)
    if ending != "gone":
        os.close(master)
