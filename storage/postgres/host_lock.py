"""The lock that the processes of one host share, and its name in the database.

A process that is killed leaves its lease in the database behind. Another process of the same host
may take that lease over at once, if it holds the same lock: the operating system frees a lock only
when its holder has ended. Leases of other hosts have to run out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache

from ...engine.errors import StorageError
from ..keys.sealing import hmac
from ..locks import locked
from ..private_file import ensure_directory


@cache
def _boot() -> str | None:
    """An identifier of this run of this kernel; ``None`` where the system has no such thing."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


@contextmanager
def hold_host_lock(
    locks: str, name: str, *, wait: float, what: str, until: Callable[[], bool] | None = None
) -> Generator[str | None]:
    """Hold a lock that the processes of this host share; gives what :func:`host_lock_name` calls it.

    Args:
        locks: The directory of the locks.
        name: The name of its file, without the ending.
        wait: Seconds to wait for another process.
        what: What the lock is of, for the message.
        until: Called while waiting; once it returns true, waiting is pointless and ends.

    Raises:
        LoginBusy: Another process of this host has it; the message names it.
    """
    try:
        ensure_directory(os.path.dirname(locks))
        ensure_directory(locks)
    except StorageError:  # no home directory, or a read-only one, as on many servers
        yield None
        return
    path = os.path.join(locks, f"{name}.lock")
    with locked(path, wait=wait, what=what, until=until) as descriptor:
        yield host_lock_name(descriptor)


def host_lock_name(descriptor: int) -> str | None:
    """The name of the lock on the open file ``descriptor``.

    Two processes that give the same name wait for the same lock: the same file, seen by the same
    kernel. A copy of the directory on another host, or in another container, has another name.
    ``None`` where the kernel cannot be identified; a lease of such a process has to run out.
    """
    boot = _boot()
    if boot is None:
        return None
    file = os.fstat(descriptor)
    return hmac(boot.encode(), f"{file.st_dev} {file.st_ino}".encode()).hex()[:32]
