"""What keys and signals do to a login that waits in a real terminal, and to the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from command import World, events_of, until
from seat import WAITS, Seat
from stayfast.engine.table import State
from stayfast.testing import grants, user_agent
from tmux import Window


@pytest.fixture
def seat(world: World) -> Seat:
    return Seat(world)


def process_in(opened: Window) -> int:
    """The command that runs in the window's shell."""
    shell = opened.look("#{pane_pid}")
    found = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])


def as_before(opened: Window) -> None:
    """The terminal echoes, edits lines and shows its cursor."""
    time = opened.screen.count("stty -a")
    opened.type(f"stty -a; echo look''ed {time}")
    shown = opened.seen(f"looked {time}")
    modes = shown.rpartition("stty -a")[2].split()
    assert {"icanon", "echo", "isig"} <= {mode.strip(";") for mode in modes}
    assert opened.look("#{cursor_flag}") == "1"


def story(world: World) -> list[tuple[object, ...]]:
    recorded = [event for event in events_of(world) if "trigger" in event]
    return [(one["trigger"], one.get("transport"), one.get("detail")) for one in recorded]


def test_one_key_goes_on_by_phone_and_another_by_paste(seat: Seat) -> None:
    """From the browser to the device flow and on to a paste, in place; each lost way is closed."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback")
        opened.seen(WAITS)
        opened.press("d")
        opened.seen(r"(?s)Code .*Ctrl-C")
        opened.press("p")
        shown = opened.seen(r"(?s)callback\?\n.*Ctrl-C")
        assert "Code " not in shown  # what is void is taken back
        opened.paste(seat.answer() + "\n")
        opened.prompted(0)
        as_before(opened)
    assert story(seat.world) == [
        ("begin", None, None),
        ("present", "loopback", None),
        ("rechallenge", "loopback", None),
        ("present", "device", None),
        ("rechallenge", "device", None),
        ("present", "manual", None),
        ("receive_callback", "manual", None),
        ("accept_tokens", "manual", None),
    ]


def test_a_paste_that_wins_closes_the_port(seat: Seat) -> None:
    """Both are waited for at once; the log says which one answered, and which was closed."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback")
        opened.seen(WAITS)
        opened.press("p")
        opened.seen(r"callback\?\n")
        opened.paste(seat.answer())
        opened.press("Enter")
        opened.prompted(0)
    assert ("receive_callback", "manual", "closed=loopback") in story(seat.world)


@pytest.mark.parametrize("inside", [False, True], ids=["by sequence", "by tmux"])
def test_c_copies_the_address_and_nothing_else(seat: Seat, inside: bool) -> None:
    """The terminal's own clipboard holds the address that is shown, to the letter."""
    environ = {"TMUX_WANTED": "1"} if inside else {}
    with seat.opens(**environ) as opened:
        if not inside:
            opened.command("set-option", "-g", "set-clipboard", "on")
        opened.type("stayfast login demo --via manual")
        opened.seen(WAITS)
        opened.press("c")
        opened.seen("sent to the clipboard")
        assert until(lambda: opened.command("list-buffers"), bool)
        assert opened.command("show-buffer").strip() == seat.address
        opened.press("C-c")
        opened.prompted(130)


def test_o_opens_the_page_of_the_code_here(seat: Seat) -> None:
    """The browser of this machine gets the address with the code in it, and nothing of ours."""
    recorded = seat.world.place / "opened"
    with seat.opens(BROWSER=f"/bin/sh -c 'echo $0 > {recorded}' %s") as opened:
        opened.type("stayfast login demo --via device --qr never")
        opened.seen(r"(?s)Code .*Ctrl-C")
        opened.press("o")
        until(recorded.exists, bool)
        address = until(recorded.read_text, bool).strip()
        shown = seat.waiting().presentation
        assert shown is not None
        assert shown.device is not None
        assert address == shown.device.verification_uri_complete
        seat.approve_device()
        opened.prompted(0)


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_back(seat: Seat) -> None:
    """Stopped in the middle of a paste; the shell's terminal is whole, and then the paste is."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via manual")
        opened.seen(WAITS)
        address = seat.answer(6000)
        opened.paste(address[:3000])
        opened.seen("3,000 characters")
        opened.press("C-z")
        opened.prompted(148)
        as_before(opened)
        opened.type("fg")
        opened.seen(r"fg\n(.*\n)+.*3,000 characters")
        opened.paste(address[3000:])
        opened.seen("6,000 characters")
        opened.press("Enter")
        done = opened.prompted(0, times=3)
        assert address[3000:3100] not in done
        as_before(opened)


def test_in_the_background_it_goes_on_by_browser(seat: Seat) -> None:
    """Put aside with Ctrl-Z and bg it takes no key from the shell, and still gets the answer of the browser."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback --no-browser")
        opened.seen(WAITS)
        opened.press("C-z")
        opened.prompted(148)
        opened.type("bg")
        opened.type("echo $((6 * 7))")
        opened.seen(r"(?m)^42$")
        assert user_agent.approve(seat.address).status_code == 200
        seat.world.wait_for(lambda logins: logins[0].state is State.AUTHENTICATED)
        opened.type("fg; wait")
        as_before(opened)


def test_frozen_from_outside_and_going_on(seat: Seat) -> None:
    """SIGSTOP cannot be seen coming: the terminal that the shell mended is made quiet again."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback --no-browser")
        opened.seen(WAITS)
        os.kill(process_in(opened), signal.SIGSTOP)
        opened.prompted(147)
        opened.type("fg")
        opened.seen(r"fg\n(.*\n)+.*\d left")
        address = seat.answer()
        opened.paste(address + "\n")
        done = opened.prompted(0, times=2)
        assert address[-100:] not in done


def test_sigterm_gives_the_terminal_back(seat: Seat) -> None:
    """Ended politely in the middle of a paste: saved, said, and half a code reaches no shell."""
    with seat.opens() as opened:
        opened.type("stayfast login demo --via manual")
        opened.seen(WAITS)
        opened.paste(seat.answer()[:700])
        opened.seen("700 characters")
        os.kill(process_in(opened), signal.SIGTERM)
        opened.prompted(130)
        as_before(opened)
        assert "stayfast resume" in opened.screen
    assert seat.waiting().state is State.AWAITING_CALLBACK


@pytest.mark.parametrize("via", ["loopback", "device"])
def test_a_closed_terminal_loses_nothing(seat: Seat, via: str) -> None:
    """The window is closed, the process ends, and the login is finished from another place."""
    with seat.opens() as opened:
        opened.type(f"stayfast login demo --via {via} --no-browser")
        opened.seen(r"(?s)\d left\n.*Ctrl-C")
        process = process_in(opened)
        opened.command("kill-server")
    until(lambda: Path(f"/proc/{process}").exists(), lambda there: not there)
    login = seat.waiting()
    if via == "device":
        seat.approve_device()
        done = seat.world.run("resume", login.short_id, "--json")
    else:
        done = seat.world.run("resume", "--callback-url", "-", "--json", stdin=seat.answer())
    assert (done.code, done.json["state"]) == (0, "authenticated")


@pytest.mark.parametrize(
    ("answer", "accounts"), [("y", {"default"}), ("", {"default", "ada@demo.test"})]
)
def test_a_person_at_the_terminal_says_whether_to_replace(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, answer: str, accounts: set[str]
) -> None:
    """When somebody else signed in, both are kept unless the answer is yes."""
    with monkeypatch.context() as patch:
        patch.setattr(grants, "USER", "mallory")
        patch.delitem(seat.world.extra, "BROWSER")  # nobody is at the terminal yet
        assert seat.world.run("login", "demo", "--via", "loopback").code == 0
    with seat.opens() as opened:
        opened.type("stayfast login demo --via loopback --new")
        opened.seen(WAITS)
        opened.press("p")
        opened.seen(r"callback\?\n")
        opened.paste(seat.answer() + "\n")
        opened.seen(r"\[y/N\]")
        opened.type(answer)
        opened.prompted(0)
        as_before(opened)
    found = seat.world.run("status", "--json").json["logins"]
    assert {one["account"] for one in found} == accounts


def test_a_vault_whose_key_is_missing_is_set_aside_after_a_yes_only(seat: Seat) -> None:
    """A no moves nothing and ends as where nobody can be asked."""
    state, keys = seat.world.state, seat.world.config
    for key in keys.glob("*.key"):
        key.rename(f"{key}.away")
    with seat.opens() as opened:
        for answer, status, moved in (("n", 8, 0), ("y", 0, 1)):
            opened.type(f"stayfast store mend; echo ended''{answer} $?")
            opened.seen(r"\[y/N\]:\s*$")
            opened.type(answer)
            opened.seen(f"ended{answer} {status}")
            assert len(list(state.glob("set-aside-*"))) == moved
