"""Locks between processes: ``flock`` on files that are never removed.

The kernel gives the lock back when its holder dies, however it dies. The file stays: removing it
would let two holders stand on two files of one name. Before the file's lock a thread takes the
process's own, since ``flock`` does not tell threads apart.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Final

from ..engine.errors import LoginBusy, StorageError
from .host import SystemClock
from .private_file import open_private

_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.010
_LONG: Final = 0.05
_HOLDER_LIMIT: Final = 256


_clock: Final = SystemClock()

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # no locks to be had, as on some network file systems
            raise StorageError(
                f"cannot lock a file: {(error.strerror or 'unknown error').lower()}",
                hint="export STAYFAST_STATE_DIR=…",
            ) from error
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_threads: dict[str, threading.Lock] = {}
_threads_guard = threading.Lock()
_held: dict[int, str] = {}


def _forget_after_fork() -> None:
    """A child has none of its parent's threads, so none of their locks.

    It does share the files' locks, and would keep them when its parent has died; so it lets go of
    them, by closing: to unlock would take them away from the parent.
    """
    global _threads_guard  # noqa: PLW0603  the guard itself may be held by a thread that is gone
    _threads.clear()
    _threads_guard = threading.Lock()
    while _held:
        os.close(_held.popitem()[0])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)


@contextmanager
def shared_with_child() -> Generator[list[int]]:
    """Descriptors that hold, in a child forked inside the block, the locks this process holds.

    A lock is then given back when both have let go of it, however they end. The child says with
    :func:`sign` that it is the one to ask.
    """
    copies = [os.dup(descriptor) for descriptor in _held]
    try:
        yield copies
    finally:
        for copy in copies:
            os.close(copy)


def held(path: str) -> int | None:
    """The descriptor that holds the lock of the file ``path`` for this process, if one does.

    Whoever else gets it, through a socket, holds the lock as well until it is closed there. Here it
    stays open for as long as the caller's own :func:`locked` block.
    """
    return next((number for number, name in list(_held.items()) if name == path), None)


@contextmanager
def locked(
    path: str,
    *,
    wait: float,
    what: str,
    until: Callable[[], bool] | None = None,
) -> Generator[int]:
    """Hold the lock of the file ``path``, which is made if need be; gives its descriptor.

    A thread that asks again for a lock it holds waits for itself, and gets ``LoginBusy``.

    Args:
        path: The lock file.
        wait: Seconds to wait for another holder; 0 asks once.
        what: What the lock is of, for the message.
        until: Asked while waiting; when true, waiting has no more point.

    Raises:
        LoginBusy: Another process or thread has it; the message names the process.
        StorageError: The file is not private.
    """
    deadline = _clock.monotonic() + wait
    with _threads_guard:
        own = _threads.setdefault(path, threading.Lock())
    _wait_for(lambda: own.acquire(blocking=False), path, deadline, what, until)
    try:
        with _file(path) as descriptor:
            _wait_for(lambda: _try_lock(descriptor), path, deadline, what, until)
            process = os.getpid()
            try:
                sign(descriptor)
                yield descriptor
            finally:
                if process == os.getpid():  # not in a child that was forked meanwhile
                    # what was done under the lock is done: closing the file gives it back as well
                    with suppress(OSError):
                        _unlock(descriptor)
    finally:
        own.release()


@contextmanager
def _file(path: str) -> Generator[int]:
    """The lock file, open."""
    try:
        descriptor = open_private(path, create=True)
    except FileNotFoundError as error:
        raise StorageError(
            f"cannot make the lock {path}: its directory has gone",
            hint="export STAYFAST_STATE_DIR=…",
        ) from error
    _held[descriptor] = path
    try:
        yield descriptor
    finally:
        if descriptor in _held:  # else it was closed at a fork, and we are in the child
            del _held[descriptor]
            os.close(descriptor)


def _wait_for(
    attempt: Callable[[], bool],
    path: str,
    deadline: float,
    what: str,
    until: Callable[[], bool] | None,
) -> None:
    pause, began = _FIRST_PAUSE, _clock.monotonic()
    while not attempt():
        now = _clock.monotonic()
        left = deadline - now
        if left <= 0 or (until is not None and until()):
            raise LoginBusy(f"{what} is being handled by {_holder(path)}", hint="stayfast status")
        # jittered, so that a crowd does not knock in step
        _clock.sleep(min(left, pause * random.uniform(0.5, 1.0)))  # noqa: S311  no secret
        pause = min(pause * 2, _LONGEST_PAUSE)
        if until is None:  # retry more often the longer we have waited
            sooner = _LONGEST_PAUSE / (1 + (now - began) / _LONG)
            pause = min(pause, max(sooner, _FIRST_PAUSE / 2))


def sign(descriptor: int) -> None:
    """Write into the lock file who holds it; only ever shown to people, so a full disk may lose it."""
    text = f"{os.getpid()} {int(time.time())} {socket.gethostname()} ".encode()
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        # one length for all: to cut the file first would take a tenth of a whole commit
        os.write(descriptor, text[: _HOLDER_LIMIT - 1].ljust(_HOLDER_LIMIT - 1) + b"\n")
    except OSError:
        pass


def _holder(path: str) -> str:
    try:
        with open(path, "rb") as file:
            pid, since, host = file.read(_HOLDER_LIMIT).decode().split()
        minutes = max(0, int(time.time()) - int(since)) // 60
    except (OSError, ValueError):
        return "another process"
    where = "this machine" if host == socket.gethostname() else host
    ago = f", for {minutes} min" if minutes else ""
    who = "another thread of this process" if int(pid) == os.getpid() else f"process {pid}"
    return f"{who} on {where}{ago}"


# A cheap change check, so that many waiters do not re-read the record.

_ANYWAY: Final = 0.25  # seconds: the answer may hang on something that is not in the vault


class ChangePolling:
    """``question``, asked at first, when ``changes`` gives something else, and four times a second.

    A login that is read has to be opened and taken apart: with a hundred processes waiting for one
    refresh, that would take the processor from the one that they wait for.
    """

    def __init__(self, changes: Callable[[], object], question: Callable[[], bool]) -> None:
        """Ask ``question``.

        Args:
            changes: Gives something equal to what it gave before if nothing has happened.
            question: What is to be known.
        """
        self._changes = changes
        self._question = question
        self._seen: object = None
        self._due = _clock.monotonic()

    def __call__(self) -> bool:
        """The answer; no when nothing has happened since it was no."""
        now, seen = _clock.monotonic(), self._changes()
        if seen == self._seen and now < self._due:
            return False
        self._seen, self._due = seen, now + _ANYWAY
        return self._question()
