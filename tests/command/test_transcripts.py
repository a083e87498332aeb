"""The screens of a login in a real terminal, as files to be looked at (``transcripts/``)."""

from __future__ import annotations

import json

import pytest
from command import World
from seat import WAITS, Seat
from stayfast.testing import user_agent
from tmux import Window
from transcripts import compare


@pytest.fixture
def seat(world: World) -> Seat:
    return Seat(world)


def unbroken(opened: Window) -> None:
    """The terminal itself had to break nothing but addresses."""
    columns = int(opened.look("#{pane_width}"))
    words = [line for line in opened.screen.splitlines() if "://" not in line and "$ " not in line]
    assert max(map(len, words)) <= columns


def test_by_browser(seat: Seat) -> None:
    """The address, the wait with its keys; then what the login amounts to, and the next command."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback")
        asked = opened.seen(WAITS)
        login = seat.waiting()
        assert user_agent.approve(seat.address).status_code == 200
        done = opened.prompted(0)
    compare("browser", login.short_id, asked, done)


def test_by_paste(seat: Seat) -> None:
    """A mistake, six thousand characters that nobody sees, and the right login."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via manual")
        opened.seen(WAITS)
        login = seat.waiting()
        opened.paste(seat.address)
        opened.seen("characters")
        opened.press("Enter")
        refused = opened.seen(r"! .*\n(.*\n)*.*Ctrl-C")
        address = seat.answer(6000)
        opened.paste(address)
        taken = opened.seen("6,000 characters")
        opened.press("Enter")
        done = opened.prompted(0)
        assert address[-200:] not in done
        assert "code=" not in done
    compare("paste", login.short_id, refused, taken, done)


def test_by_device(seat: Seat) -> None:
    """The code, where it is entered, the picture, the warning; keys type nothing.

    All of it fits a terminal of the usual size, with the login's id in sight.
    """
    with seat.opens() as opened:
        opened.type("stayfast login demo --via device")
        asked = opened.seen(WAITS)
        assert opened.look("#{history_size}") == "0"
        login = seat.waiting()
        opened.press("x", "y", "Left", "z")
        opened.seen("3 characters")
        opened.press("Enter")
        opened.seen(WAITS)
        opened.press("c")
        opened.seen("sent to the clipboard")
        seat.approve_device()
        done = opened.prompted(0)
    compare("device", login.short_id, asked, done)


def test_interrupted_and_resumed(seat: Seat) -> None:
    """Ctrl-C names the command that goes on; it listens again, and takes a paste meanwhile."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback --no-browser")
        opened.seen(WAITS)
        login = seat.waiting()
        opened.press("C-c")
        opened.prompted(130)
        opened.type("stayfast resume")
        again = opened.seen(r"(?s)Resuming.*\d left\n.*Ctrl-C")
        opened.paste(seat.answer() + "\n")
        done = opened.prompted(0, times=2)
    compare("interrupted", login.short_id, again, done)


def test_for_scripts(seat: Seat) -> None:
    """Begun by one command, finished by another; one line of JSON each, and no screen."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via manual --start --json")
        opened.prompted(3)
        login = seat.waiting()
        (seat.world.place / "callback").write_text(seat.answer())
        opened.type("stayfast resume --callback-url - --json < $HOME/callback")
        done = opened.prompted(0, times=2)
    last = [line for line in done.splitlines() if line.startswith("{")][-1]
    assert json.loads(last)["state"] == "authenticated"
    compare("scripts", login.short_id, done)


@pytest.mark.parametrize(
    ("name", "columns", "environ"),
    [
        ("narrow", 40, {}),
        ("ascii", 80, {"LANG": "C"}),
        ("dumb", 80, {"TERM_WANTED": "dumb"}),
    ],
)
def test_at_lesser_terminals(seat: Seat, name: str, columns: int, environ: dict[str, str]) -> None:
    """Forty columns, no characters but ASCII, nothing that can be redrawn: all stays readable."""
    with seat.opens(columns=columns, rows=50, **environ) as opened:
        opened.type("stayfast login demo --via manual")
        opened.seen(WAITS)
        login = seat.waiting()
        opened.paste("hello")
        opened.press("Enter")
        opened.seen(r"! [A-Z]")
        opened.press("d")
        opened.seen(r"(?s)Code .*\d left\n.*Ctrl-C")
        opened.press("C-c")
        opened.prompted(130)
        opened.type("stayfast resume")
        opened.seen(r"(?s)Resuming.*\d left\n.*Ctrl-C")
        unbroken(opened)
        seat.approve_device()
        done = opened.prompted(0, times=2)
        unbroken(opened)
    if name == "ascii":
        assert done.isascii()
    compare(name, login.short_id, done)
