"""Start the user's browser.

The standard library's ``webbrowser`` is not enough. It starts text browsers, which take over the
terminal. It lets launchers write to our standard streams, where a script reads our answer. And it
may wait for a launcher without a bound.

Other users of the machine can see the address in the launcher's arguments. It holds ``state`` and
the code challenge. Without the verifier, neither of them finishes a login. The address is never
logged.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_TEXT_BROWSERS: Final = frozenset(
    {"www-browser", "w3m", "lynx", "links", "links2", "elinks", "browsh", "edbrowse"}
)
# explorer.exe would do, but exits with 1 whether it worked or not
_WINDOWS: Final = (
    "rundll32.exe",
    "url.dll,FileProtocolHandler",
)
_LINUX: Final = (
    ("xdg-open",), ("gio", "open"), ("x-www-browser",), ("sensible-browser",), ("firefox",),
    ("google-chrome",), ("chromium",),
)  # fmt: skip
_NEEDED: Final = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "USERNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TERM",
        "TMPDIR", "TEMP", "TMP", "PWD", "HOSTNAME", "LOCPATH",
        # the display, and the desktop that is asked for its browser
        "DISPLAY", "XAUTHORITY", "ICEAUTHORITY", "SESSION_MANAGER", "DESKTOP_SESSION", "BROWSER",
        "DESKTOP_STARTUP_ID", "GDMSESSION", "DBUS_SESSION_BUS_ADDRESS", "XMODIFIERS",
        "XCURSOR_THEME", "XCURSOR_SIZE", "SWAYSOCK", "I3SOCK", "SECURITYSESSIONID", "SSH_TTY",
        "SSH_CONNECTION",
        # the network, as the user has set it for all programs
        "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        # a browser of another system: of Windows, or outside of this container
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA",
        "PROGRAMDATA", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMW6432", "ALLUSERSPROFILE",
        "USERPROFILE", "USERDOMAIN", "HOMEDRIVE", "HOMEPATH", "COMPUTERNAME", "WSLENV",
        "WSL_DISTRO_NAME", "WSL_INTEROP", "FLATPAK_ID", "CONTAINER", "SNAP", "REMOTE_CONTAINERS",
        "CODESPACES", "VSCODE_IPC_HOOK_CLI",
    }
)  # fmt: skip
_NEEDED_BEGIN: Final = (
    "LC_", "XDG_", "LD_", "DYLD_", "WAYLAND_", "GNOME_", "KDE_", "PLASMA_", "QT_", "GTK_", "GDK_",
    "GIO_", "CLUTTER_", "MOZ_", "CHROME_", "FONTCONFIG_", "IM_", "MESA_", "LIBGL_", "LIBVA_",
    "VDPAU_", "__GL", "__NV", "__CF", "PULSE_", "PIPEWIRE_", "NIX_", "SNAP_",
)  # fmt: skip
# Seconds in which a launcher that cannot work exits. One that still runs then is taken for a
# browser; a longer wait would delay each login on machines where the launcher is the browser.
_PATIENCE: Final = 0.4


class SystemBrowser:
    """The browser of this machine."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Choose a launcher by ``environ``; the default is the environment of the process."""
        self._environ = os.environ if environ is None else environ

    def open(self, url: str) -> str | None:
        """Start a browser at ``url``. ``None`` if a launcher was started, else the reason.

        A launcher that was started may still open no window, so the address is always shown too.
        """
        # The address comes from the provider's metadata. A scheme such as ``file`` would let the
        # provider open any file here, and launchers may take a blank for a further argument.
        if urlsplit(url).scheme not in {"http", "https"} or not url.isprintable() or " " in url:
            return "the address is not one to open"
        return self._started(url)

    def open_file(self, path: str) -> str | None:
        """Show a file of our own in a browser; the answer is that of :meth:`open`."""
        return self._started(Path(path).absolute().as_uri())

    def _started(self, url: str) -> str | None:
        why = "no browser was found"
        for command in self._commands():
            program = os.path.basename(command[0])
            if is_text_browser(command[0]):
                why = f"{program} is a text browser"
                continue
            problem = _launch(_with_url(command, url), for_a_browser(self._environ))
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
    """The commands in ``BROWSER``, separated as in ``PATH``; ``None`` if it is not set."""
    named = environ.get("BROWSER")
    if not named:
        return None
    return [words for part in named.split(os.pathsep) if (words := _split(part))]


def is_text_browser(program: str) -> bool:
    """Whether ``program`` is a text browser, by its own name or by that of the file it links to."""
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


def for_a_browser(environ: Mapping[str, str]) -> dict[str, str]:
    """As much of ``environ`` as a browser needs.

    It lives for days and shows its environment to every program it starts. So what is not known to
    be needed stays here: passwords of databases, client secrets, keys of clouds.
    """
    return {
        name: value
        for name, value in environ.items()
        if name.upper() in _NEEDED or name.upper().startswith(_NEEDED_BEGIN)
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
    """Start ``command``. ``None`` if it succeeds, or still runs after :data:`_PATIENCE`."""
    try:
        process = subprocess.Popen(  # noqa: S603  no shell; the program is the user's choice
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # else Ctrl-C in our terminal would end the browser too
        )
    except OSError as error:
        return (error.strerror or "cannot be started").lower()
    try:
        status = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        # It goes on without us. Popen warns about an object that is dropped while its process runs.
        process.returncode = 0
        return None
    return f"exit status {status}" if status else None
