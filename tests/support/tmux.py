"""A real terminal: a shell in a window of tmux, as a person has it, and what it shows."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from command import PATIENCE, STAYFAST, until


def require() -> str:
    """The path of tmux; skips, or fails where everything is required."""
    found = shutil.which("tmux")
    if found is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail("tmux is not installed")
        pytest.skip("tmux is not installed")
    return found


class Window:
    """One window with a shell in it, whose prompt shows the last exit status."""

    def __init__(self, tmux: str, socket: Path) -> None:
        self._tmux = [tmux, "-S", str(socket), "-f", "/dev/null"]

    def command(self, *words: str, stdin: str | None = None) -> str:
        """What tmux answers to a command of its own."""
        done = subprocess.run(
            [*self._tmux, *words], input=stdin, capture_output=True, text=True, check=True,
            timeout=PATIENCE,
        )  # fmt: skip
        return done.stdout

    def type(self, text: str) -> None:
        """Type ``text`` and press Enter."""
        self.command("send-keys", "-l", text)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        self.command("send-keys", *keys)

    def paste(self, text: str) -> None:
        """Paste ``text`` as a terminal does: marked, if the program asked for marks."""
        self.command("load-buffer", "-b", "pasted", "-", stdin=text)
        self.command("paste-buffer", "-p", "-r", "-b", "pasted")

    @property
    def screen(self) -> str:
        """All that was shown so far, wrapped lines joined, without blanks at the ends."""
        return self._captured("-J")

    @property
    def rows(self) -> list[str]:
        """The rows as they stand, wrapped ones apart."""
        return self._captured().splitlines()

    def _captured(self, *options: str) -> str:
        shown = self.command("capture-pane", "-p", "-S", "-", *options)
        return "\n".join(line.rstrip() for line in shown.splitlines()).strip("\n")

    def seen(self, pattern: str) -> str:
        """The screen, once ``pattern`` is on it."""
        return until(lambda: self.screen, lambda shown: re.search(pattern, shown))

    def prompted(self, status: int, *, times: int = 1) -> str:
        """The screen, once the shell is back ``times`` times, the last with ``status``."""

        def back(shown: str) -> bool:
            found = re.findall(r"^\[(\d+)\] \$", shown, re.MULTILINE)
            return len(found) > times and shown.splitlines()[-1].startswith("[")

        shown = until(lambda: self.screen, back)
        assert shown.splitlines()[-1].startswith(f"[{status}] $"), shown
        return shown

    def look(self, variable: str) -> str:
        """A format of tmux, such as ``#{cursor_flag}``, for this window."""
        return self.command("display-message", "-p", variable).strip()


@contextlib.contextmanager
def window(
    place: Path,
    environ: Mapping[str, str],
    *,
    columns: int = 80,
    rows: int = 24,
    options: Callable[[Window], object] = lambda opened: None,
) -> Iterator[Window]:
    """A window for as long as the block, with ``stayfast`` on its path."""
    tmux = require()
    opened = Window(tmux, place / "tmux.sock")
    path = f"{Path(STAYFAST).parent}:{environ['PATH']}"
    environ = {name: value for name, value in environ.items() if name != "TMUX"}
    if "TMUX_WANTED" in environ:  # as tmux sets it for programs inside
        environ["TMUX"] = f"{place / 'tmux.sock'},0,0"
    wanted = {
        **environ,
        "PATH": path,
        "PS1": r"[$?] $ ",
        "INPUTRC": "/dev/null",
        "HOME": str(place),
    }
    inside = [f"{name}={value}" for name, value in wanted.items() if name != "TERM"]
    term = environ.get("TERM_WANTED", "screen-256color")
    shell = ["env", "-i", *inside, f"TERM={term}", "bash", "--norc", "--noprofile", "+o", "history"]
    opened.command("-u", "new-session", "-d", "-x", str(columns), "-y", str(rows), *shell)
    try:
        options(opened)
        opened.seen(r"\$ $|\$$")
        yield opened
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            opened.command("kill-server")


def styled(opened: Window, place: Path, line: str, number: int, *options: str) -> str:
    """What the terminal shows of a command, with its styles as tmux writes them.

    Args:
        opened: The window.
        place: Its home directory.
        line: The command's line.
        number: Which one it is in this window.
        options: Further options for tmux, such as ``-J`` to join what the terminal had to wrap.
    """
    (place / str(number)).write_text(f"clear; {line}; echo done {number}")
    opened.type(f". $HOME/{number}")  # short, so that no terminal breaks it
    opened.seen(f"(?m)^done {number}$")
    raw = opened.command("capture-pane", "-p", "-e", "-S", "-", *options)
    opened.command("clear-history")
    lines = [one.rstrip() for one in raw.splitlines()]
    begins = max((n for n, one in enumerate(lines) if one.endswith(f"$HOME/{number}")), default=-1)
    ends = next(n for n, one in enumerate(lines) if f"done {number}" in one)
    return "\n".join(lines[begins + 1 : ends])
