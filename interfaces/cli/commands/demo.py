"""``demo``: what the program does, by its own command, against a test server on this machine."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from ....engine.errors import ConfigMissing, StayfastError
from ....engine.hints import Hint
from ..app import App
from ..command_line import takes_app
from ..terminal.formatting import broken

if TYPE_CHECKING:
    from typing import Self

    from ....testing.authorization_server import AuthorizationServer
    from ..terminal.tty import Terminal

WIDTH: Final = 80
_CROWD: Final = 8
_PATIENCE: Final = 60.0  # seconds for one command, also on a machine with much else to do
_KEPT: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "PYTHONPATH",
    "PYTHONUTF8",
    "SYSTEMROOT",
    "TMPDIR",
)
_AGAIN: Final = Hint("demo", None, "-vv")
_ADDRESS: Final = re.compile(r"https?://\S+/authorize\?\S+")
_LOGIN: Final = re.compile(r"login ([0-9A-Z]{4})\b")


class _DemoFailed(StayfastError):
    """A step of the demo did not end as it should."""

    code = "DEMO_FAILED"


def _end_of(process: subprocess.Popen[str], stdin: str | None = None) -> tuple[str, str]:
    """What ``process`` says until it ends.

    Raises:
        _DemoFailed: It does not end, and was killed.
    """
    try:
        return process.communicate(stdin, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_PATIENCE)
        msg = f"a command did not end within {_PATIENCE:.0f} s"
        raise _DemoFailed(msg, hint=_AGAIN) from None


class _Sheet:
    """A terminal of 80 columns for what a command answers, where the system has such a thing."""

    def __init__(self) -> None:
        self._own = -1
        self.end = subprocess.PIPE

    def __enter__(self) -> Self:
        if os.name == "posix":
            import fcntl  # noqa: PLC0415  Unix only
            import struct  # noqa: PLC0415
            import termios  # noqa: PLC0415

            self._own, self.end = os.openpty()
            fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", 100, WIDTH - 4, 0, 0))
        return self

    def text(self) -> str:
        """What was written on it; its writer is gone."""
        if self._own < 0:
            return ""
        os.close(self.end)
        parts: list[bytes] = []
        with suppress(OSError):  # the end of it, on Linux
            while part := os.read(self._own, 65536):
                parts.append(part)
        os.close(self._own)
        self._own = -1
        return b"".join(parts).decode("utf-8", "replace")

    def __exit__(self, *error: object) -> None:
        self.text()


class _Session:
    """Runs ``stayfast`` with directories of its own, and shows what it says."""

    def __init__(self, terminal: Terminal, place: str) -> None:
        self._terminal = terminal
        self._console = terminal.out
        self._addresses: set[str] = set()
        colors = self._console.color_system is not None
        self._global = ("--color", "always" if colors else "never")
        self._environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._environ |= {
            "STAYFAST_STATE_DIR": f"{place}/state",
            "STAYFAST_CONFIG_DIR": f"{place}/config",
            "STAYFAST_STORE": "file",
            "COLUMNS": str(WIDTH - 4),  # what is shown is indented
            "TERM": os.environ.get("TERM", "dumb"),
        }

    def head(self, title: str, why: str) -> None:
        """Begin a part."""
        self._print(Text(f"\n{title}", style="bold"))
        self._print(Text(why, style="dim"))
        self._print(Text())

    def say(self, line: str, style: str = "") -> None:
        """A line between commands."""
        self._print(Text(f"  {line}" if line else "", style=style))

    def run(self, *words: str, code: int = 0, stdin: str = "", before: str = "") -> None:
        """Run a command to its end, and show what it prints.

        Raises:
            _DemoFailed: Its exit code is not ``code``.
        """
        self._typed(words, before)
        with _Sheet() as sheet:
            process = subprocess.Popen(  # noqa: S603  this very program
                self._command(words), env=self._environ, text=True, encoding="utf-8",
                errors="replace", stdin=subprocess.PIPE, stdout=sheet.end, stderr=subprocess.PIPE,
            )  # fmt: skip
            said, remarks = _end_of(process, stdin)
            self.show([*remarks.splitlines(), *(said or sheet.text()).splitlines()])
        self._expect(words, process.returncode, code)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run a command in the background; its standard error is to be read."""
        self._typed(words)
        return subprocess.Popen(  # noqa: S603  this very program
            self._command(words), env=self._environ, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
        )  # fmt: skip

    def until_asked(self, process: subprocess.Popen[str], words: str) -> tuple[str, str]:
        """Show what ``process`` says until it waits for its user; the login and the address."""
        said = ""
        alarm = threading.Timer(_PATIENCE, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            for line in process.stderr or ():
                self.show([line])
                said += Text.from_ansi(line).plain
                login, address = _LOGIN.search(said), _ADDRESS.search(said)
                if login and address:
                    return login[1], address[0]
        finally:
            alarm.cancel()
        process.kill()
        raise _DemoFailed(f"stayfast {words} did not ask for anything", hint=_AGAIN)

    def ended(self, process: subprocess.Popen[str], words: Sequence[str], code: int) -> None:
        """Show the rest of what ``process`` says, and hold it to its exit code."""
        _, rest = _end_of(process)
        self.show((rest or "").splitlines())
        self._expect(words, process.returncode, code)

    def crowd(self, count: int, *words: str) -> int:
        """Run a command so many times at once; how many different answers there were."""
        self._typed(words, after=f"      # {count} times at once")
        processes = [
            subprocess.Popen(  # noqa: S603  this very program
                self._command(words), env=self._environ, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            for _ in range(count)
        ]  # fmt: skip
        answers = [_end_of(process)[0] for process in processes]
        for process in processes:
            self._expect(words, process.returncode, 0)
        return len(set(answers))

    def show(self, lines: Sequence[str]) -> None:
        """Lines of a command: words are wrapped, and an address is cut where the terminal ends."""
        for line in lines:
            text = Text.from_ansi(line.rstrip())
            if "://" in text.plain:
                if text.plain in self._addresses:  # it is said again where nothing can be redrawn
                    continue
                self._addresses.add(text.plain)
                text.truncate(WIDTH - 4, overflow="ellipsis" if self._terminal.unicode else "crop")
            indent = len(text.plain) - len(text.plain.lstrip())
            parts = text[indent:].wrap(self._console, WIDTH - 4 - indent) if text.plain else [text]
            for number, part in enumerate(parts):
                hang = "  " * bool(number) + " " * (indent + 2)
                part.rstrip()
                self._print(Text(hang).append_text(part) if part.plain else Text())

    def _typed(self, words: Sequence[str], before: str = "", after: str = "") -> None:
        self._addresses.clear()
        lines = broken(f"{before}stayfast {shlex.join(words)}", WIDTH - 8, 4)
        for number, line in enumerate(lines):
            shown = Text("    " if number else "  $ ", style="cyan")
            shown.append(f"{line} \\" if line is not lines[-1] else line, style="bold cyan")
            self._print(shown.append(after if line is lines[-1] else "", style="dim"))

    def _print(self, text: Text) -> None:
        self._console.print(text)
        self._console.file.flush()

    def _command(self, words: Sequence[str]) -> list[str]:
        place = words.index("--") if "--" in words else len(words)
        return [sys.executable, "-m", "stayfast", *words[:place], *self._global, *words[place:]]

    @staticmethod
    def _expect(words: Sequence[str], found: int, wanted: int) -> None:
        if found != wanted:
            msg = f"stayfast {' '.join(words)} ended with {found}, not with {wanted}"
            raise _DemoFailed(msg, hint=_AGAIN)


@click.command()
@takes_app
def demo(app: App) -> None:
    """Show what the program does, against a test server on this machine. Only a report is kept.

    A login is stopped with Ctrl-C and finished by paste; many processes share one refresh; a login is
    killed and resumed; the log of it all is verified, and written as a page to look at.
    """
    if find_spec("authlib") is None:
        raise ConfigMissing(
            "the demo needs the extra [demo], its authorization server",
            hint="in a clone of Stayfast: pip install '.[demo]'",
        )
    from ....testing.authorization_server import AuthorizationServer  # noqa: PLC0415  an extra

    began = time.monotonic()
    report = Path(tempfile.mkdtemp(prefix="stayfast-report-")) / "report.html"
    with (
        tempfile.TemporaryDirectory(prefix="stayfast-demo-") as place,
        AuthorizationServer() as server,
    ):
        session = _Session(app.terminal, place)
        _introduce(session, server)
        login = _stopped(session, server)
        _stampede(session, server)
        _killed(session)
        _proved(session, login, report)
    session.head("Seen", f"all of it in {time.monotonic() - began:.0f} s; only the report was kept")
    session.say(f"{app.terminal.symbol('next')} {report.as_uri()}     open it in a browser")
    session.say(f"{app.terminal.symbol('next')} stayfast login github     sign in somewhere real")


def _introduce(session: _Session, server: AuthorizationServer) -> None:
    session.head("A provider", "An authorization server runs on this machine; nothing leaves it.")
    session.run(
        "provider", "add", "demo", "--issuer", server.issuer, "--client-id", "stayfast-demo",
        "--redirect-uri", "http://127.0.0.1:0/callback", "--scope", "openid offline_access",
    )  # fmt: skip


def _stopped(session: _Session, server: AuthorizationServer) -> str:
    from ....testing import user_agent  # noqa: PLC0415  an extra

    session.head(
        "1  Stopped with Ctrl-C, finished by paste", "The login is saved; another process goes on."
    )
    server.change(token_lifetime=1)  # for the next part
    words = ("login", "demo", "--via", "loopback", "--no-browser")
    waiting = session.start(*words)
    login, address = session.until_asked(waiting, "login")
    session.say("^C", "bold yellow")
    waiting.send_signal(signal.SIGINT)
    session.ended(waiting, words, 130)
    landed = user_agent.fetch_only(address)
    session.say("")
    session.run("resume", login, "--callback-url", "-", stdin=landed, before="paste | ")
    return login


def _stampede(session: _Session, server: AuthorizationServer) -> None:
    why = "The access token has expired. All want a new one; the provider is asked once."
    session.head(f"2  {_CROWD} processes, one refresh", why)
    time.sleep(1.0)  # the token's whole life
    server.change(token_lifetime=3600)
    before = server.counts["token:refresh_token"]
    answers = session.crowd(_CROWD, "token", "demo")
    asked = server.counts["token:refresh_token"] - before
    same = "all the same" if answers == 1 else f"{answers} different ones"
    session.say(
        f"{_CROWD} answers, {same}; the server counted {asked} refresh request{'s' * (asked != 1)}."
    )
    if (answers, asked) != (1, 1):
        raise _DemoFailed("the processes did not share one refresh", hint=_AGAIN)


def _killed(session: _Session) -> None:
    from ....testing import user_agent  # noqa: PLC0415  an extra

    session.head("3  Killed, and resumed", "A power cut, or kill -9, while the browser is open.")
    words = ("login", "demo", "--account", "work", "--via", "loopback", "--no-browser")
    killed = session.start(*words)
    login, _ = session.until_asked(killed, "login")
    session.say(f"$ kill -9 {killed.pid}", "bold yellow")
    killed.kill()
    killed.wait(_PATIENCE)
    again = ("resume", login, "--no-browser")
    resumed = session.start(*again)
    _, address = session.until_asked(resumed, "resume")
    browser = threading.Thread(target=user_agent.approve, args=(address,), daemon=True)
    browser.start()
    session.ended(resumed, again, 0)
    session.say("")
    session.run("status")


def _proved(session: _Session, login: str, report: Path) -> None:
    session.head(
        "4  A log that can be proved", "Every transition is one record, in its own commit."
    )
    session.run("audit", "show", "--login", login)
    session.say("")
    session.run("audit", "verify")
    session.say("")
    session.run("audit", "report", "-o", str(report))
