"""Callers killed at random moments of an exchange or refresh, at a server that forgives nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import caller_kills
import pytest
from command import World
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

AT_ONCE = 4
"""Vaults on which callers are killed at the same time; each mostly waits for the server."""
STRETCHES = (1, 2, 4, 8, 8, 8)
"""How much longer than on an idle machine a call is taken to last, one campaign after another."""


def kill_callers(
    place: Path, server: AuthorizationServer, kills: int, courier: str, stretch: int
) -> Counter[str]:
    """Kill so many callers in all; what came of it."""
    running = []
    for number in range(AT_ONCE):
        own = place / str(number)
        own.mkdir(mode=0o700)
        world = World(own, server)
        world.config.rename(own / "c")
        running.append(
            subprocess.Popen(
                [sys.executable, str(caller_kills.__file__), str(own), str(kills // AT_ONCE), str(stretch)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                     "STAYFAST_COURIER": courier},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    found: Counter[str] = Counter()
    for process in running:
        out, complaints = process.communicate(timeout=180 + kills)
        assert process.returncode == 0, complaints
        found.update(json.loads(out))
    return found


def kill_until(
    place: Path,
    server: AuthorizationServer,
    kills: int,
    courier: str,
    enough: Callable[[Counter[str]], bool],
) -> Counter[str]:
    """Kill so many callers, and as many again until what came of it is ``enough``; what came of all.

    One campaign is enough on an idle machine. On a busy one a call takes longer than it takes there.
    """
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.05), times=None)
    found: Counter[str] = Counter()
    for number, stretch in enumerate(STRETCHES):
        place.joinpath(str(number)).mkdir(mode=0o700)
        found.update(kill_callers(place / str(number), server, kills, courier, stretch))
        print(f"\ncourier {courier}: {dict(found)}")
        if enough(found):
            return found
    pytest.fail(f"the moments that matter were not met: {dict(found)}")


@pytest.mark.parametrize("kills", [200, pytest.param(2000, marks=pytest.mark.soak)])
def test_a_killed_caller_loses_nothing(
    tmp_path: Path, server: AuthorizationServer, kills: int
) -> None:
    """With the courier of the command, no login is lost, whenever its caller is killed."""
    tmp_path.chmod(0o700)

    def enough(found: Counter[str]) -> bool:
        return min(found["exchanges_caught"], found["refreshes_caught"]) > kills // 100

    found = kill_until(tmp_path, server, kills, "fork", enough)
    assert (found["exchanges_lost"], found["refreshes_lost"]) == (0, 0)


@pytest.mark.parametrize("kills", [24, pytest.param(600, marks=pytest.mark.soak)])
def test_a_killed_program_with_threads_loses_nothing(
    tmp_path: Path, server: AuthorizationServer, kills: int
) -> None:
    """Nor is one with the courier of programs that must not fork."""
    tmp_path.chmod(0o700)

    def enough(found: Counter[str]) -> bool:
        return found["exchanges_caught"] + found["refreshes_caught"] > kills // 8

    found = kill_until(tmp_path, server, kills, "spawn", enough)
    assert (found["exchanges_lost"], found["refreshes_lost"]) == (0, 0)


@pytest.mark.parametrize("kills", [24, pytest.param(600, marks=pytest.mark.soak)])
def test_without_a_courier_logins_are_lost(
    tmp_path: Path, server: AuthorizationServer, kills: int
) -> None:
    """The same kills without one lose logins: the campaign sees what it is there to see."""
    tmp_path.chmod(0o700)

    def enough(found: Counter[str]) -> bool:
        return found["exchanges_lost"] + found["refreshes_lost"] > 0

    kill_until(tmp_path, server, kills, "inline", enough)
