"""Locks between processes: ``flock`` on a file, and how to wait for one without stealing the processor.

The kernel releases a lock when its holder dies, however it dies. ``flock`` locks for a whole process,
so a thread first takes a lock among the threads of its process, and then that of the file.

A file is removed only by the process that holds its lock. A waiting process then gets the lock of a
file that no longer has a name. So it looks the name up again after each success, and if the name is
gone or means another file, it waits anew. Two processes can therefore never hold the lock of one name.

A waiting process tries again after a jittered pause. If it waits for something that another process
writes, it first checks cheaply whether anything was written (:class:`ChangePolling`).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from ..engine.errors import LoginBusy, StorageError
from ..engine.hints import Hint
from .forks import LockOfProcess
from .host import CLOCK, node_name
from .private_file import open_private

_FIRST_PAUSE: Final = 0.001  # seconds: one commit takes about that long
_LONGEST_PAUSE: Final = 0.010  # seconds: people do not notice it, and a crowd costs little
_LONG: Final = 0.05  # seconds after which a waiting process tries twice as often
_HOLDER_LIMIT: Final = 256  # octets: a process id, a time, and a host name of at most 64 characters
_LONG_UNUSED: Final = 24 * 3600  # seconds
_SWEPT_AT_ONCE: Final = 500  # files: a login must not wait while a hundred thousand are removed


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Whether the lock of the open file ``descriptor`` is had now."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(descriptor: int) -> None:
        """Give the lock of the open file ``descriptor`` back."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Whether the lock of the open file ``descriptor`` is had now; it ends when that is closed.

        Raises:
            StorageError: There are no locks in that place.
        """
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

    def unlock(descriptor: int) -> None:
        """Give the lock of the open file ``descriptor`` back, in every process that shares it."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_threads: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
_held: dict[int, str] = {}
_left: set[int] = set()


def login_lock(directory: str, login_id: str) -> str:
    """The path of the lock of a login, where logins are kept in ``directory``."""
    return os.path.join(directory, "locks", f"{login_id}.lock")


class _OfThisProcess(LockOfProcess):
    """Guards the locks among the threads of this process."""

    def leave_to_parent(self) -> None:
        """Close the locks of the parent, whose threads do not exist in this child.

        A child shares the file locks with its parent, and would keep them after the parent's death. They
        are closed, not unlocked: unlocking would release them for the parent too.
        """
        super().leave_to_parent()
        _threads.clear()
        while _held:
            os.close(_held.popitem()[0])


_guard: Final = _OfThisProcess()


@contextmanager
def shared_with_child() -> Generator[tuple[list[int], list[int]]]:
    """The locks this process holds, and descriptors that hold them in a child forked in the block.

    If this process dies, the child still holds them. The child writes with :func:`name_holder` that it is
    the holder now.
    """
    locks, copies = list(_held), list[int]()
    try:
        copies += [os.dup(descriptor) for descriptor in locks]
        yield locks, copies
    finally:
        for copy in copies:
            os.close(copy)


def leave_to_others(descriptors: Iterable[int]) -> None:
    """Close ``descriptors`` at the end of their :func:`locked` blocks without unlocking them.

    Another process has copies of them, and keeps the locks until it is done.
    """
    _left.update(descriptors)


def held(path: str) -> int | None:
    """The descriptor that holds the lock of the file ``path`` for this process, if one does.

    A process that gets it through a socket holds the lock too, until it closes it. Here it stays open
    as long as the caller's own :func:`locked` block.
    """
    return next((number for number, name in list(_held.items()) if name == path), None)


@contextmanager
def locked(
    path: str,
    *,
    wait: float,
    what: str,
    until: Callable[[], bool] | None = None,
    passing: bool = False,
) -> Generator[int]:
    """Hold the lock of the file ``path``, which is made if need be; gives its descriptor.

    A thread that asks again for a lock it holds waits for itself, and gets ``LoginBusy``.

    Args:
        path: The lock file.
        wait: Seconds to wait for another holder; 0 asks once.
        what: What the lock is of, for the message.
        until: Called while waiting; if it returns true, waiting ends with ``LoginBusy``.
        passing: Remove the file at the end: there are many of its kind, each needed for a while.

    Raises:
        LoginBusy: Another process or thread has it; the message names the process.
        StorageError: The file is not private.
    """
    deadline = CLOCK.monotonic() + wait
    with _guard.lock:
        own = _threads.setdefault(path, threading.Lock())
    _wait_for(lambda: own.acquire(blocking=False), path, deadline, what, until)
    try:
        over = False
        while not over:
            with _file(path) as descriptor:
                _wait_for(partial(try_lock, descriptor), path, deadline, what, until)
                if not _still_named(descriptor, path):
                    continue  # its holder removed it meanwhile
                over = True
                process = os.getpid()
                try:
                    name_holder(descriptor)
                    yield descriptor
                finally:
                    # not in a child that was forked meanwhile, nor where another process goes on
                    if process == os.getpid() and descriptor not in _left:
                        _give_back(descriptor, path if passing else None)
    finally:
        own.release()


def _give_back(descriptor: int, unwanted: str | None) -> None:
    """Release the lock. An error here changes nothing: closing the file releases it as well."""
    with suppress(OSError):
        if unwanted is not None and _still_named(descriptor, unwanted):
            os.unlink(unwanted)
    with suppress(OSError):
        unlock(descriptor)


def _still_named(descriptor: int, path: str) -> bool:
    """Whether ``path`` is still the name of the file that is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def sweep(directory: str) -> None:
    """Remove lock files that nobody holds, and that nobody has held for a day.

    They were left by processes that were killed, and by versions that left them all.
    """
    long_ago = CLOCK.now() - _LONG_UNUSED
    with suppress(OSError):
        names = [name for name in os.listdir(directory) if name.endswith(".lock")]
        for name in names[:_SWEPT_AT_ONCE]:
            path = os.path.join(directory, name)
            if os.lstat(path).st_mtime < long_ago:
                with suppress(LoginBusy, StorageError), locked(path, wait=0, what="", passing=True):
                    pass


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
        _left.discard(descriptor)
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
    pause, began = _FIRST_PAUSE, CLOCK.monotonic()
    while not attempt():
        now = CLOCK.monotonic()
        left = deadline - now
        if left <= 0 or (until is not None and until()):
            raise LoginBusy(f"{what} is being handled by {_holder(path)}", hint=Hint("status"))
        # jittered, so that processes that began to wait together do not all try together
        share = 0.5 + os.urandom(1)[0] / 510  # half of it to all of it
        CLOCK.sleep(min(left, pause * share))
        pause = min(pause * 2, _LONGEST_PAUSE)
        if until is None:  # retry more often the longer we have waited
            sooner = _LONGEST_PAUSE / (1 + (now - began) / _LONG)
            pause = min(pause, max(sooner, _FIRST_PAUSE / 2))


def name_holder(descriptor: int) -> None:
    """Write this process into the lock file, for messages to people. A full disk may lose it."""
    text = f"{os.getpid()} {int(CLOCK.now())} {node_name()} ".encode()
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        # padded to one length: truncating the file first would take a tenth of a whole commit
        os.write(descriptor, text[: _HOLDER_LIMIT - 1].ljust(_HOLDER_LIMIT - 1) + b"\n")
    except OSError:
        pass


def _holder(path: str) -> str:
    try:
        with open(path, "rb") as file:
            pid, since, host = file.read(_HOLDER_LIMIT).decode().split()
        minutes = max(0, int(CLOCK.now()) - int(since)) // 60
    except (OSError, ValueError):
        return "another process"
    where = "this machine" if host == node_name() else host
    ago = f", for {minutes} min" if minutes else ""
    who = "another thread of this process" if int(pid) == os.getpid() else f"process {pid}"
    return f"{who} on {where}{ago}"


_ANYWAY: Final = 0.25  # seconds: the answer may depend on the clock or on another storage, too


class ChangePolling:
    """Calls ``question`` only when something has changed, and four times a second in any case.

    Reading a login means decrypting and decoding it. A hundred processes that wait for one refresh
    would take the processor from the one that makes it.
    """

    def __init__(self, changes: Callable[[], object], question: Callable[[], bool]) -> None:
        """Prepare to ask ``question``.

        Args:
            changes: Returns a value equal to the previous one if nothing has happened since.
            question: Returns the answer; it may be expensive.
        """
        self._changes = changes
        self._question = question
        self._seen: object = None
        self._due = CLOCK.monotonic()

    def __call__(self) -> bool:
        """The answer; it stays no while nothing has changed."""
        now, seen = CLOCK.monotonic(), self._changes()
        if seen == self._seen and now < self._due:
            return False
        self._seen, self._due = seen, now + _ANYWAY
        return self._question()
