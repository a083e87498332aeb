"""The workers of one spawning courier: it starts them, keeps one idle, and ends them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from weakref import WeakSet

from .channel import Channel

_STARTING: Final = 20.0  # seconds a worker may take to be ready
_KEPT_IDLE: Final = 1

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
        "STAYFAST_ALLOW_NETWORK_FS",
        "STAYFAST_KEYRING",
        "CREDENTIALS_DIRECTORY",
        "DBUS_SESSION_BUS_ADDRESS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSLKEYLOGFILE",
        "__PYVENV_LAUNCHER__",
    ]
)
_WANTED_BEGIN: Final = ("LC_", "XDG_", "LD_", "DYLD_", "SSL_CERT_", "OPENSSL_", "RES_")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """As much of ``environ`` as a worker needs: no setting of ours or a host's that is a secret."""
    return {
        name: value
        for name, value in environ.items()
        if name.upper() in _WANTED or name.startswith(_WANTED_BEGIN)
    }


class Worker:
    """One worker, as those who send it jobs see it.

    Attributes:
        terms: What it was started with; a job with other terms needs another worker.
        line: Leads to it.
        pid: Its process.
    """

    def __init__(self, terms: bytes) -> None:
        """Start one.

        Raises:
            OSError: It cannot be started, or is not ready in time.
        """
        self.terms = terms
        self._end, theirs = socket.socketpair()
        self.line = Channel(self._end)
        with theirs:
            try:
                self._process = _start(theirs)
            except BaseException:
                self._end.close()
                raise
        self.pid = self._process.pid
        try:
            self._greet()
        except BaseException:
            self.end()
            raise

    def _greet(self) -> None:
        self._end.settimeout(_STARTING)
        paths = "\0".join(os.path.abspath(path) for path in sys.path)
        known = paths.encode("utf-8", "surrogateescape")
        self._end.sendall(len(known).to_bytes(4, "big") + known)
        self.line.send(self.terms)
        if self.line.receive() is None:
            raise ConnectionError
        self._end.settimeout(None)

    def take(self, packed: bytes, locks: list[int]) -> bool:
        """Whether it has taken the job; if not, it has not begun with it and never will."""
        with suppress(OSError):
            self.line.send(packed, locks)
            return self.line.receive() is not None
        return False

    def end(self) -> None:
        """Close the socket, and wait until the worker has finished its job and ended."""
        self.line.close()
        self._process.wait()

    def ended(self) -> bool:
        """Whether it has ended; then it is reaped."""
        return self._process.poll() is not None

    def forget(self) -> None:
        """In a forked child: the worker belongs to the parent."""
        self.line.close()
        self._process.returncode = 0  # or its finaliser would look for a child we do not have


def _start(theirs: socket.socket) -> subprocess.Popen[bytes]:
    number = theirs.fileno()
    package = __name__.rpartition(".")[0]
    return subprocess.Popen(  # noqa: S603  this very Python, and words of our own
        [sys.executable, "-I", "-c", _BOOT, str(number), f"{package}.worker"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(number,),
        start_new_session=True,
        env=environment(os.environ),
    )


class WorkerPool:
    """All workers of one courier; any number of threads may send jobs to them."""

    def __init__(self) -> None:
        """Start no worker yet."""
        self._guard = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._left: list[Worker] = []
        _pools.add(self)

    def send(self, terms: bytes, packed: bytes, locks: list[int]) -> Worker | None:
        """The worker that has taken the job and the locks; ``None`` if no worker can be started."""
        while (worker := self._take_idle()) is not None:
            if worker.terms == terms and worker.take(packed, locks):
                return worker
            self.discharge(worker)
        try:
            worker = Worker(terms)
        except OSError:
            return None
        with self._guard:
            self._all.add(worker)
        if worker.take(packed, locks):
            return worker
        self.discharge(worker)
        return None

    def keep(self, worker: Worker) -> None:
        """``worker`` is done; it waits for the next job, unless another does already."""
        with self._guard:
            kept = len(self._idle) < _KEPT_IDLE and worker in self._all
            if kept:
                self._idle.append(worker)
        if not kept:
            self.discharge(worker)

    def discharge(self, worker: Worker) -> None:
        """Let ``worker`` finish its job, and end."""
        worker.end()
        with self._guard:
            self._all.discard(worker)

    def leave(self, worker: Worker) -> None:
        """``worker`` goes on to save what it could not save; nobody waits for it."""
        worker.line.close()
        with self._guard:
            self._all.discard(worker)
            self._left = [*(one for one in self._left if not one.ended()), worker]

    def dismiss(self) -> None:
        """Let all idle workers go."""
        while (worker := self._take_idle()) is not None:
            self.discharge(worker)
        for worker in self._left:
            worker.forget()  # it ends by itself

    def forget(self) -> None:
        """In a forked child: close its copies of the sockets, or a worker would not see its parent end."""
        self._guard = threading.Lock()
        for worker in self._all:
            worker.forget()
        for worker in self._left:
            worker.forget()
        self._all.clear()
        self._left.clear()
        self._idle.clear()

    def _take_idle(self) -> Worker | None:
        with self._guard:
            return self._idle.pop() if self._idle else None


_pools: WeakSet[WorkerPool] = WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
