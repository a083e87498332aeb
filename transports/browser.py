"""Starting the user's browser.

``webbrowser`` knows the systems and their launchers; what it does not do is done here: text
browsers are refused (they would take over the terminal), the launcher is cut off from our standard
streams (its chatter must not end up in an answer), and it gets a bounded time to fail in.

The address is necessarily visible in the launcher's arguments. It carries ``state`` and the code
challenge, neither of which lets anybody finish the login; it is never logged.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

_TEXT_BROWSERS: Final = frozenset(
    {"www-browser", "w3m", "lynx", "links", "links2", "elinks", "browsh", "edbrowse"}
)
_WINDOWS: Final = (
    "rundll32.exe",
    "url.dll,FileProtocolHandler",
)  # explorer.exe always exits with 1
_LINUX: Final = (
    ("xdg-open",), ("gio", "open"), ("x-www-browser",), ("sensible-browser",), ("firefox",),
    ("google-chrome",), ("chromium",),
)  # fmt: skip
_PATIENCE: Final = 0.4  # seconds in which a launcher that cannot work says so


class SystemBrowser:
    """The browser of this machine."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Choose by ``environ``, or by the environment of the process."""
        self._environ = os.environ if environ is None else environ

    def open(self, url: str) -> str | None:
        """Start a browser at ``url``: ``None`` if one was started, else why not.

        That a launcher was started proves nothing about a window; the address is shown anyway.
        """
        if urlsplit(url).scheme not in {"http", "https"} or not url.isprintable() or " " in url:
            return "the address is not one to open"
        why = "no browser was found"
        for command in self._commands():
            program = os.path.basename(command[0])
            if is_text_browser(command[0]):
                why = f"{program} is a text browser"
                continue
            problem = _launch(_with_url(command, url), without_secrets(self._environ))
            if problem is None:
                return None
            why = f"{program}: {problem}"
        return why

    def _commands(self) -> list[Sequence[str]]:
        """The launchers to try: those of ``BROWSER`` if it is set, else the system's."""
        named = named_browsers(self._environ)
        if named is not None:
            return named
        return [
            [path, *words]
            for name, *words in launchers(self._environ)
            if (path := shutil.which(name))
        ]


def named_browsers(environ: Mapping[str, str]) -> list[Sequence[str]] | None:
    """The commands of ``BROWSER``, a list as ``PATH`` is one; ``None`` where it is not set."""
    named = environ.get("BROWSER")
    if not named:
        return None
    return [words for part in named.split(os.pathsep) if (words := _split(part))]


def is_text_browser(program: str) -> bool:
    """Whether ``program``, by its own name or by what it is a link to, draws in the terminal."""
    path = shutil.which(program) or program
    names = {os.path.basename(program), os.path.basename(os.path.realpath(path))}
    return not names.isdisjoint(_TEXT_BROWSERS)


def launchers(environ: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """This system's launchers with their first arguments, best first."""
    if sys.platform == "darwin":
        return (("open",),)
    if sys.platform == "win32":
        return (_WINDOWS,)
    if environ.get("WSL_DISTRO_NAME") or environ.get("WSL_INTEROP"):
        return (("wslview",), _WINDOWS, *_LINUX)
    return _LINUX


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without what opens the vault or proves the client: no browser needs it."""
    return {
        name: value
        for name, value in environ.items()
        if not name.endswith(("_CLIENT_SECRET", "_PASSPHRASE"))
        and not name.startswith("STAYFAST_TOKEN")
    }


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command.replace("\\", "\\\\") if os.name == "nt" else command)
    except ValueError:  # a quote that does not close
        return []


def _with_url(command: Sequence[str], url: str) -> list[str]:
    if any("%s" in word for word in command):
        return [word.replace("%s", url) for word in command]
    return [*command, url]


def _launch(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Run ``command`` on its own; ``None`` if it works or is still at it after a moment."""
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; the program is the user's choice
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that Ctrl-C in our terminal does not end the browser
        )
    except OSError as error:
        return (error.strerror or "cannot be started").lower()
    try:
        status = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it lives on without us; nothing to warn about when we forget it
        return None
    return f"exit status {status}" if status else None
