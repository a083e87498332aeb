"""Ctrl-C while the command loads: it ends quietly, whatever it was loading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import STAYFAST, World

# Ctrl-C as the module of that number is looked for, counted from the first one that the command itself loads
INTERRUPTING = """
import os, signal, sys
class Interrupting:
    left = int(os.environ["INTERRUPT_AT"])
    begun = False
    def find_spec(self, name, path=None, target=None):
        Interrupting.begun |= name == "stayfast.interfaces.process"
        if self.begun and name != "stayfast.interfaces.process":
            Interrupting.left -= 1
            if Interrupting.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
"""
INTERRUPTED = 130


@pytest.fixture
def loading(world: World, tmp_path: Path) -> dict[str, str]:
    """An environment in which the command is interrupted while it loads."""
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    return {**world.environ, "PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize("number", [1, 2, 8, 20, 40, 80, 140])
@pytest.mark.parametrize("words", ["status", "token acme", "provider list", "login acme", "resume"])
def test_a_command_that_loads_ends_with_130_and_one_line(
    loading: dict[str, str], words: str, number: int
) -> None:
    """No traceback is shown; a command that needs no more modules than that is done by then."""
    done = subprocess.run(
        [STAYFAST, *words.split()], env={**loading, "INTERRUPT_AT": str(number)},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    if done.returncode == INTERRUPTED:
        assert (done.stdout, done.stderr) == ("", "! interrupted\n")
    else:
        assert number > 2
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [1, 8, 40, 140, 300])
def test_completion_that_is_interrupted_prints_nothing(
    loading: dict[str, str], number: int
) -> None:
    """What it would print stands in the line that its user types."""
    asked = {"_STAYFAST_COMPLETE": "bash_complete", "COMP_WORDS": "stayfast st", "COMP_CWORD": "1"}
    done = subprocess.run(
        [STAYFAST], env={**loading, **asked, "INTERRUPT_AT": str(number)},
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode in {0, INTERRUPTED}


def test_what_is_said_goes_into_no_other_file(loading: dict[str, str], tmp_path: Path) -> None:
    """Where standard error is closed, its number may be that of a file which is open by now."""
    opener = f"import os\nassert os.open({str(tmp_path / 'precious')!r}, os.O_CREAT | os.O_WRONLY) == 2\n"
    (tmp_path / "sitecustomize.py").write_text(opener + INTERRUPTING)
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" status 2>&-', STAYFAST],
        env={**loading, "INTERRUPT_AT": "20"}, check=False, timeout=180, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == INTERRUPTED
    assert not (tmp_path / "precious").read_bytes()


ANSWERED = """
from stayfast.interfaces.cli.ending import leave_with
def work():
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130
leave_with(work)
"""
IN_A_CLASS = """
import os, signal
from stayfast.interfaces.cli.ending import outcome, leave_with
from stayfast.interfaces.couriers.signals import signals_as_interrupts
class Slow:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000000):
            pass
def perform(app):
    with signals_as_interrupts() if {held} else app.terminal.working("work"):
        class Made:
            member = Slow()
leave_with(lambda: outcome([], perform))
"""


@pytest.mark.parametrize(
    "code", [ANSWERED, *(IN_A_CLASS.format(held=held) for held in (True, False))]
)
def test_an_interrupt_ends_with_its_exit_code_wherever_it_came(code: str, tmp_path: Path) -> None:
    """Python remembers one that left a text which it evaluated, and makes another error of one in a class."""
    (tmp_path / "interrupted.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == INTERRUPTED
    assert "Runtime" not in done.stderr
