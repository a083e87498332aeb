"""The command says which row has decided, and survives whatever a launcher does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from command import PATIENCE, STAYFAST, World, until
from stayfast.engine.table import State
from stayfast.testing.user_agent import approve
from wire_talk import keyboard

SCREEN = {"DISPLAY": ":0"}
VSCODE = {"VSCODE_IPC_HOOK_CLI": "x", "BROWSER": "x"}
ROWS = [
    (1, [], {"STAYFAST_VIA": "device"}, "device"),
    (2, [], {"CI": "true"}, "device"),
    (6, [], {**VSCODE, "SSH_CONNECTION": "x"}, "loopback"),
    (8, [], {"container": "podman"}, "device"),
    (11, [], {"SSH_TTY": "x", **SCREEN}, "manual"),
    (12, [], {"BROWSER": "w3m", **SCREEN}, "manual"),
    (13, [], {"BROWSER": "x", **SCREEN}, "loopback"),
]


def test_the_row_is_named(world: World) -> None:
    """`login -v` at a terminal names the transport and the row, whatever else it says."""
    for row, arguments, environ, transport in ROWS:
        with keyboard() as keys:
            done = subprocess.run(
                [STAYFAST, "login", "demo", "--start", "-v", *arguments],
                stdin=keys.slave,
                capture_output=True,
                text=True,
                env={**world.environ, **environ},
                timeout=PATIENCE,
                check=False,
            )
        assert done.returncode == 3, done.stderr
        said = re.search(r"via (\w+): (.+) \(row (\d+)\)", done.stderr)
        assert said is not None
        assert (said[1], int(said[3])) == (transport, row)


def launcher(world: World, script: str) -> dict[str, str]:
    path = world.place / "launcher"
    path.write_text(f"#!{sys.executable}\nimport os, sys, time\n{script}\n")
    path.chmod(0o700)
    return {"BROWSER": f"{path} %s"}


def ends(world: World, environ: dict[str, str]) -> tuple[str, str]:
    """What a login says whose user approves by another browser."""
    waiting = world.start("login", "demo", "--via", "loopback", "--json", env=environ)
    assert waiting.stdout is not None
    before: list[str] = []
    url = None
    for line in waiting.stdout:
        before.append(line)
        if json.loads(line)["event"] == "login.action_required":  # all of it is ours
            url = json.loads(line)["url"]
            break
    assert url
    assert approve(url).ok
    rest, complaints = waiting.communicate(timeout=PATIENCE)
    assert waiting.returncode == 0, complaints
    assert world.logins()[-1].state is State.AUTHENTICATED
    return "".join(before) + rest, complaints


@pytest.mark.parametrize(
    "script",
    [
        "print('chatter'); print('chatter', file=sys.stderr); sys.exit(3)",
        "os.write(1, b'chatter' * 100_000); os.kill(os.getpid(), 9)",
    ],
)
def test_a_launcher_that_fails_or_prints_is_survived(world: World, script: str) -> None:
    """Nothing of what it says is ours; the login goes on waiting, and is finished."""
    out, err = ends(world, launcher(world, script))
    assert "chatter" not in out + err


def test_a_launcher_that_hangs_is_left_alone(world: World) -> None:
    """It is not waited for, neither at the start nor at the end, and it is not killed."""
    pid = world.place / "pid"
    environ = launcher(
        world, f"print('chatter')\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    try:
        assert "chatter" not in "".join(ends(world, environ))
        os.kill(int(pid.read_text()), 0)
    finally:
        os.kill(int(until(pid.read_text, bool)), signal.SIGKILL)


def test_the_next_browser_in_the_list_is_taken(world: World) -> None:
    """Of several, those that are not there or draw in the terminal are passed by."""
    user = f"{sys.executable} -m stayfast.testing.user_agent approve %s"
    done = world.run(
        "login", "demo", "--via", "loopback",
        env={"BROWSER": os.pathsep.join(["w3m", "/nowhere/at/all", "'", user])},
    )  # fmt: skip
    assert (done.code, done.out) == (0, "")
