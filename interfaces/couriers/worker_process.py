"""How the process of a worker begins: as a Python of its own, or as a fork of this process.

Either way it then does the same (:mod:`.worker`). A fork has all modules, so it is ready in some
milliseconds; but it is safe only where no other thread runs (:func:`.fork.can_fork`).
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, TypeAlias

from ..http_settings import PROXY_VARIABLES
from .fork import can_fork, forked_process, reap, stand_alone

if TYPE_CHECKING:
    import subprocess


class WorkerProcess(Protocol):
    """The process of a worker, as its parent sees it.

    Attributes:
        pid: Its number.
    """

    pid: int

    def ended(self) -> bool:
        """Whether it has ended; then it is reaped."""
        ...

    def wait(self) -> None:
        """Wait until it has ended."""
        ...

    def forget(self) -> None:
        """Leave it to itself; or, in a forked child, to the parent."""
        ...


Begin: TypeAlias = Callable[[socket.socket, socket.socket], WorkerProcess]
"""Starts a process that serves the second socket; the first is the other end of it.

It raises ``OSError`` if none can be started.
"""

# signals first, since to import takes a while; sys.path comes through the socket, because what is
# on the command line or in the environment can be read by others
_BOOT: Final = """\
import signal, socket, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"): signal.signal(getattr(signal, name), signal.SIG_IGN)
end = socket.socket(fileno=int(sys.argv[1]))
size = int.from_bytes(end.recv(4, socket.MSG_WAITALL), "big")
sys.path[:] = end.recv(size, socket.MSG_WAITALL).decode("utf-8", "surrogateescape").split("\\0")
from importlib import import_module
import_module(sys.argv[2]).serve(end)
"""

_WANTED: Final = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "USERNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "SYSTEMROOT",
        "CREDENTIALS_DIRECTORY",
        "DBUS_SESSION_BUS_ADDRESS",
        "SSLKEYLOGFILE",
        "__PYVENV_LAUNCHER__",
    ]
)
_WANTED_BEGIN: Final = ("LC_", "XDG_", "LD_", "DYLD_", "SSL_CERT_", "OPENSSL_", "RES_")


_SETTINGS: Final = ("STAYFAST_ALLOW_NETWORK_FS", "STAYFAST_KEYRING", *PROXY_VARIABLES)


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that a worker needs, as ``environ`` of the program has them."""
    return {name: environ[name] for name in _SETTINGS if name in environ}


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """As much of ``environ`` as a worker needs: no setting of ours or a host's that is a secret."""
    return {
        name: value
        for name, value in environ.items()
        if name.upper() in _WANTED or name.startswith(_WANTED_BEGIN)
    }


def can_spawn() -> bool:
    """Whether a worker can be started here: by a Python of its own, with a socket that passes files.

    A program that embeds Python, or was frozen into one file, is started again as itself.
    """
    if not can_pass_files() or getattr(sys, "frozen", False):
        return False
    return os.path.basename(sys.executable or "").startswith(("python", "pypy"))


def can_pass_files() -> bool:
    """Whether a socket passes files here."""
    return os.name == "posix" and hasattr(socket, "send_fds")


class Spawning:
    """Begins each worker as a Python of its own: 0.1 to 0.3 s."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Start nothing yet.

        Args:
            environ: The environment of the program, whose settings a worker gets.
        """
        self._environ = environ

    def __call__(self, ours: socket.socket, theirs: socket.socket) -> WorkerProcess:
        """See :data:`Begin`."""
        import subprocess  # noqa: PLC0415  most commands start no worker

        number = theirs.fileno()
        package = __name__.rpartition(".")[0]
        process = subprocess.Popen(  # noqa: S603  this very Python, and words of our own
            [sys.executable, "-I", "-c", _BOOT, str(number), f"{package}.worker"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
            start_new_session=True,
            env=_environment_of_worker(self._environ),
        )
        paths = "\0".join(os.path.abspath(path) for path in sys.path)
        known = paths.encode("utf-8", "surrogateescape")
        ours.sendall(len(known).to_bytes(4, "big") + known)
        return _Spawned(process)


class _Spawned:
    """A process of the class that the standard library has for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        self._process.wait()

    def forget(self) -> None:
        self._process.returncode = 0  # or its finaliser would look for a child we do not have


class Forking:
    """Begins each worker as a fork of this process: some milliseconds."""

    def __init__(self, let_go: Callable[[], None], environ: Mapping[str, str]) -> None:
        """Fork nothing yet.

        Args:
            let_go: Closes what parent and child must not both have open, such as a database; it is
                opened again when it is needed.
            environ: The environment of the program, whose settings a worker gets.
        """
        self._let_go = let_go
        self._environ = environ

    def __call__(self, ours: socket.socket, theirs: socket.socket) -> WorkerProcess:
        """See :data:`Begin`."""
        from .worker import serve  # noqa: PLC0415  now: a fork may find the lock of imports held

        self._let_go()
        child = forked_process()
        if child == 0:
            self._be_worker(ours, theirs, serve)
        return _Forked(child)

    def _be_worker(
        self, ours: socket.socket, theirs: socket.socket, serve: Callable[[socket.socket], None]
    ) -> NoReturn:
        try:
            gc.freeze()  # to look for garbage in what the parent made would copy all its pages
            ours.close()  # or it would not see its parent end
            stand_alone({theirs.fileno()})
            wanted = _environment_of_worker(self._environ)
            os.environ.clear()
            os.environ.update(wanted)
            serve(theirs)
        finally:
            os._exit(0)  # nothing of the parent's may be flushed, closed or cleaned up twice


class _Forked:
    """A child that is reaped by its number, once: the number may be another child's afterwards."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._reaped = False

    def ended(self) -> bool:
        self._reaped = self._reaped or reap(self.pid, os.WNOHANG)
        return self._reaped

    def wait(self) -> None:
        self._reaped = self._reaped or reap(self.pid)

    def forget(self) -> None:
        self._reaped = True


def safest(forking: Begin, spawning: Begin) -> Begin:
    """Begins a worker by ``forking`` where that is safe at the moment, else by ``spawning``."""

    def begin(ours: socket.socket, theirs: socket.socket) -> WorkerProcess:
        return forking(ours, theirs) if can_fork() else spawning(ours, theirs)

    return begin


def _environment_of_worker(environ: Mapping[str, str]) -> dict[str, str]:
    return {**environment(os.environ), **_settings(environ)}
