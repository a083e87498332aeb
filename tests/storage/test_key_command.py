"""A command that keeps the key: asked once, bounded in time and size, and ended with all it started."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import until
from stayfast.engine.errors import StorageError
from stayfast.storage import open_storage
from stayfast.storage.keys import outside
from stayfast.storage.keys.outside import KEY_COMMAND, command_key
from stayfast.testing.storage_contract import finished, saved
from tmux import window

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    outside._answers.clear()
    outside._refusals.clear()
    yield
    outside._answers.clear()
    outside._refusals.clear()


def script(tmp_path: Path, text: str) -> dict[str, str]:
    """An environment whose key command runs ``text``."""
    path = tmp_path / "keeper"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return {**os.environ, KEY_COMMAND: str(path)}


def calls(tmp_path: Path) -> int:
    counted = tmp_path / "calls"
    return len(counted.read_text().splitlines()) if counted.exists() else 0


def is_gone(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_that_is_left_behind_is_not_waited_for(tmp_path: Path) -> None:
    """A program that the command leaves behind may hold its output open: the key is there at once."""
    environ = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child\necho {KEY}")
    assert command_key(environ)
    until(lambda: is_gone(int((tmp_path / "child").read_text())), bool)


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is left behind."""
    monkeypatch.setattr(outside, "_PATIENCE", 2.0)
    environ = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child\nsleep 60")
    with pytest.raises(StorageError):
        command_key(environ)
    until(lambda: is_gone(int((tmp_path / "child").read_text())), bool)


def test_a_late_answer_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that would print the key after the time limit is ended before."""
    monkeypatch.setattr(outside, "_PATIENCE", 0.5)
    with pytest.raises(StorageError):
        command_key(script(tmp_path, f"sleep 10; echo {KEY}"))


@pytest.mark.parametrize("text", ["yes", "head -c 300000 /dev/zero | tr '\\0' k"])
def test_a_command_that_prints_too_much_is_refused(tmp_path: Path, text: str) -> None:
    """More than a key can be is refused when it is read, not when memory is full."""
    with pytest.raises(StorageError):
        command_key(script(tmp_path, text))


@pytest.mark.parametrize("text", ["exit 3", "true", "echo short", "exec >&-; sleep 0.1; exit 1"])
def test_a_command_that_fails_is_refused(tmp_path: Path, text: str) -> None:
    """A status, no output and too little of it are no key."""
    with pytest.raises(StorageError):
        command_key(script(tmp_path, text))


def test_a_process_asks_once(tmp_path: Path) -> None:
    """However often a vault is opened in one process, its command is run once."""
    tmp_path.chmod(0o700)
    environ = script(tmp_path, f"echo asked >> {tmp_path}/calls\necho {KEY}")
    place = {"state_dir": str(tmp_path / "s"), "config_dir": str(tmp_path / "c")}
    made = open_storage("file", **place, environ={})
    saved(made, [finished()])
    made = open_storage("file", **place, environ=environ)
    made.rekey("command")  # type: ignore[attr-defined]  # a vault
    made.close()  # type: ignore[attr-defined]  # a vault
    before = calls(tmp_path)
    for _ in range(4):
        opened = open_storage("file", **place, environ=environ)
        assert list(opened.summaries())
        opened.close()  # type: ignore[attr-defined]  # a vault
    assert calls(tmp_path) - before <= 1


def test_a_refusal_is_not_waited_for_again_at_once(tmp_path: Path) -> None:
    """What opens the vault several times gets the refusal of the first; later it is asked again."""
    environ = script(tmp_path, f"echo asked >> {tmp_path}/calls\nexit 1")
    for _ in range(4):
        with pytest.raises(StorageError):
            command_key(environ, known_by=b"slot")
    assert calls(tmp_path) == 1
    outside._refusals[environ[KEY_COMMAND]] = (-1000.0, "long ago")
    with pytest.raises(StorageError):
        command_key(environ, known_by=b"slot")
    assert calls(tmp_path) == 2


def test_threads_that_ask_at_once_share_one_answer(tmp_path: Path) -> None:
    """The second waits for the first, and runs nothing."""
    environ = script(tmp_path, f"echo asked >> {tmp_path}/calls\nsleep 0.2\necho {KEY}")
    keys: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: keys.append(command_key(environ, known_by=b"slot")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 1
    assert len(keys) == 4
    assert calls(tmp_path) == 1


ASKS = f"""
import sys
sys.path[:] = {sys.path!r}
from stayfast.storage.keys.outside import command_key
import os
print("key", len(command_key(os.environ)))
print("mine again:", input())
"""


def test_a_command_can_ask_at_the_terminal(tmp_path: Path) -> None:
    """It is in the foreground while it runs, and we are again when it has ended."""
    environ = script(tmp_path, f"printf 'pin? ' >/dev/tty; read pin </dev/tty; echo {KEY}$pin")
    program = tmp_path / "asks.py"
    program.write_text(ASKS)
    with window(tmp_path, environ) as opened:
        opened.type(f"{sys.executable} {program}")
        opened.seen(r"pin\?$")
        opened.type("1234")
        opened.seen("key 32")
        opened.type("hello")
        opened.seen("mine again: hello")
