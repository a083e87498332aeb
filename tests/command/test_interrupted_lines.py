"""What stands in the line of the cursor when Ctrl-C or Ctrl-D comes, seen in a real terminal."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from command import PATIENCE, STAYFAST, World
from seat import WAITS, Seat


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


def address_of(silent: socket.socket) -> str:
    return f"https://127.0.0.1:{silent.getsockname()[1]}"


PROMPTS = {
    "a kind": ("provider add", "provider: ?$"),
    "a client id": ("provider add github", "client id .*: ?$"),
    "a domain": ("provider add okta", r": ?$"),
    "a token, unseen": ("login demo --with-token", "shown.*: ?$"),
    "a passphrase, unseen": ("store rekey --to passphrase", "passphrase: ?$"),
}


@pytest.mark.parametrize("key", ["C-c", "C-d"])
@pytest.mark.parametrize("asked", PROMPTS)
def test_a_question_that_is_left_ends_its_line(world: World, asked: str, key: str) -> None:
    """What is said of it stands in the next line, and no empty line is between them."""
    words, question = PROMPTS[asked]
    with Seat(world).opens(rows=60) as opened:
        opened.type(f"stayfast {words}")
        opened.seen(question)
        opened.press(key)
        opened.seen(r"(?m)^(! interrupted|error: )")
        shown = opened.seen(r"\[\d+\] \$$")
    assert "\n\n! interrupted" not in shown
    assert "\n\nerror: " not in shown
    assert re.findall(r"\^C.+", shown) == []


@pytest.mark.parametrize("long", [False, True], ids=["at once", "once it is said"])
def test_a_command_that_waits_for_a_server_ends_its_line(
    world: World, silent: socket.socket, *, long: bool
) -> None:
    """The line that says what is waited for is removed, and the ``^C`` in it."""
    with Seat(world).opens() as opened:
        opened.type(f"stayfast provider add slow --issuer {address_of(silent)}")
        with silent.accept()[0]:
            if long:
                opened.seen("asking http")
            opened.press("C-c")
            shown = opened.prompted(130)
    assert re.search(r"(?m)^! interrupted$", shown)
    assert re.findall(r"\^C.+", shown) == []
    assert "\n\n!" not in shown
    assert "asking" not in shown


@pytest.mark.parametrize("term", ["screen-256color", "dumb"])
def test_a_login_that_waits_is_paused_in_a_line_of_its_own(world: World, term: str) -> None:
    """Also where the terminal can move no cursor, and shows what is typed."""
    with Seat(world).opens(TERM_WANTED=term) as opened:
        opened.type("stayfast login demo --via loopback")
        opened.seen(WAITS if term != "dumb" else "authorize")
        Seat(world).waiting()
        opened.press("C-c")
        shown = opened.prompted(130)
    assert re.search(r"(?m)^Paused\.", shown)


def test_a_login_that_has_not_begun_is_left_in_a_line_of_its_own(
    world: World, silent: socket.socket
) -> None:
    """The server of the resource does not answer."""
    with Seat(world).opens() as opened:
        opened.type(f"stayfast login {address_of(silent)}/mcp")
        opened.seen(r"… .*127")
        opened.press("C-c")
        shown = opened.prompted(130)
    assert re.search(r"(?m)^! interrupted", shown)
    assert "\n\n!" not in shown


def test_a_file_gets_no_empty_line(world: World, silent: socket.socket) -> None:
    """Where no terminal shows ``^C``, nothing has to be ended."""
    words = [STAYFAST, "provider", "add", "slow", "--issuer", address_of(silent)]
    with (
        subprocess.Popen(
            words,
            env=world.environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
        silent.accept()[0],
    ):
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=PATIENCE)
    assert (running.returncode, said) == (130, "! interrupted\n")
