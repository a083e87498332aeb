"""Odd processes and environments that a command is started in.

Daemons close standard input, disks fill up, Emacs sets ``COLUMNS=0``, containers have no home. Each
:class:`Surroundings` is data; :func:`run` starts a command in one, by ``sh`` (POSIX only)::

    finished = run(["mytool", "status"], by_name("standard-input-closed"))
    assert finished.returncode == 0
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

PATIENCE: Final = 60.0
"""Seconds within which a command must end."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """One odd way to be started.

    Attributes:
        name: A few words with hyphens, unique.
        why: Who starts commands like this, or what goes wrong in it.
        environment: Variables to set; ``None`` unsets one.
        redirection: What ``sh`` does to the streams, such as ``<&-``.
        before: What ``sh`` does before it becomes the command.
        unread: Whether standard output is a pipe whose reader has ended.
        harmless: Whether nothing that a command needs is missing, so that it must end as always.
    """

    name: str
    why: str
    environment: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    redirection: str = ""
    before: str = ""
    unread: bool = False
    harmless: bool = False

    def __str__(self) -> str:
        return self.name


def _streams(name: str, redirection: str, why: str, *, harmless: bool = False) -> Surroundings:
    return Surroundings(name=name, redirection=redirection, why=why, harmless=harmless)


def _variables(
    name: str, why: str, *, harmless: bool = False, **environment: str | None
) -> Surroundings:
    return Surroundings(name=name, environment=environment, why=why, harmless=harmless)


SURROUNDINGS: Final[tuple[Surroundings, ...]] = (
    _streams("standard-input-closed", "<&-", "daemons; Python has no sys.stdin", harmless=True),
    _streams("standard-input-empty", "</dev/null", "cron", harmless=True),
    _streams("standard-input-is-a-folder", "</", "Python itself refuses to start"),
    _streams("output-closed", ">&-", "daemons; Python has no sys.stdout"),
    _streams("errors-closed", "2>&-", "daemons; Python has no sys.stderr", harmless=True),
    _streams("all-streams-closed", "<&- >&- 2>&-", "the first file opened becomes standard input"),
    _streams("output-full", ">/dev/full", "a full disk: the flush at the end fails"),
    _streams("errors-full", "2>/dev/full", "a full disk: nothing can be said", harmless=True),
    _streams("output-and-errors-full", ">/dev/full 2>/dev/full", "a full disk"),
    Surroundings(name="output-unread", unread=True, why="`mytool | head -1`"),
    Surroundings(
        name="output-unread-and-no-signal",
        unread=True,
        before="trap '' PIPE",
        why="Python's subprocess, and some service managers, let children ignore SIGPIPE",
    ),
    Surroundings(
        name="signals-ignored",
        before="trap '' INT HUP PIPE",
        why="nohup, and shells' background jobs",
        harmless=True,
    ),
    _variables("columns-0", "Emacs and some containers: unknown, not none", COLUMNS="0", harmless=True),
    _variables("columns-1", "a window that is dragged", COLUMNS="1", harmless=True),
    _variables("columns-negative", "arithmetic in a script", COLUMNS="-5", harmless=True),
    _variables("columns-are-a-word", "a typing error", COLUMNS="banana", LINES="banana", harmless=True),
    _variables("no-terminal-type", "cron", TERM=None, harmless=True),
    _variables("unknown-terminal-type", "a new terminal over SSH", TERM="xterm-never", harmless=True),
    _variables("posix-locale", "containers: ASCII only", LC_ALL="POSIX", LANG=None,
               PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", harmless=True),
    _variables("unknown-locale", "SSH carries the laptop's", LC_ALL="xx_YY.UTF-8", harmless=True),
    _variables("unknown-time-zone", "a container without tzdata", TZ="Nowhere/Nothing", harmless=True),
    _variables("no-home", "a service without a user's variables", HOME=None),
    _variables("relative-home", "a typing error in a unit file", HOME="home"),
    _variables("missing-home", "a service user", HOME="/nonexistent/home"),
    _variables("home-is-a-file", "/dev/null as a service user's home", HOME="/dev/null"),
    _variables("no-path", "an empty environment", PATH="", harmless=True),
    _variables("missing-temporary-folder", "a mistake in a profile", TMPDIR="/nonexistent/tmp"),
    _variables("missing-certificates", "a company's profile", SSL_CERT_FILE="/nonexistent.pem",
               REQUESTS_CA_BUNDLE="/nonexistent.pem"),
    _variables("proxy-that-cannot-be", "a typing error", HTTPS_PROXY="http://127.0.0.1:99999",
               HTTP_PROXY="::not a proxy::", ALL_PROXY="socks9://x"),
    Surroundings(
        name="working-folder-removed",
        before='gone=$(mktemp -d) && cd "$gone" && rmdir "$gone"',
        why="a build that cleans up behind a shell",
        harmless=True,
    ),
    Surroundings(name="open-to-all", before="umask 000", why="some containers", harmless=True),
    Surroundings(name="closed-to-all", before="umask 777", why="a mistake in a profile"),
    Surroundings(name="few-files", before="ulimit -n 24", why="a limit that was set for another"),
    Surroundings(name="no-file-may-grow", before="trap '' XFSZ; ulimit -f 0", why="a quota"),
)  # fmt: skip
"""All of them."""


def by_name(name: str) -> Surroundings:
    """The surroundings of that name.

    Raises:
        LookupError: No surroundings have that name.
    """
    for one in SURROUNDINGS:
        if one.name == name:
            return one
    raise LookupError(name)


def run(
    command: Sequence[str],
    surroundings: Surroundings | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
) -> subprocess.CompletedProcess[bytes]:
    """Run ``command`` in ``surroundings``, with what can be read of its output.

    Args:
        command: Its words; the first is best a whole path.
        surroundings: The ordinary ones if not given.
        environment: Its variables before the surroundings change them; by default our own.
        timeout: Seconds it may take.

    Raises:
        subprocess.TimeoutExpired: It did not end in time; it has been killed.
    """
    odd = surroundings or Surroundings(name="ordinary", why="")
    variables = {**(os.environ if environment is None else environment), **odd.environment}
    # sh sets up what subprocess cannot: closed streams, limits, ignored signals
    script = f'{odd.before or ":"}\nexec "$@" {odd.redirection}'
    # files, not pipes: a child that is left behind would hold a pipe open, and we would wait for it
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        unread = _unread_pipe() if odd.unread else None
        try:
            finished = subprocess.run(  # noqa: S603  running what it is given is its purpose
                ["/bin/sh", "-c", script, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=output if unread is None else unread,
                stderr=errors,
                env={name: value for name, value in variables.items() if value is not None},
                timeout=timeout,
                check=False,
                restore_signals=True,
            )
        finally:
            if unread is not None:
                os.close(unread)
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(
            finished.args, finished.returncode, output.read(), errors.read()
        )


def _unread_pipe() -> int:
    """The writing end of a pipe whose reading end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing
