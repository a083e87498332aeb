"""The lock of one host: who may take over what a process of it held that was killed."""

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
    """What tells this run of this kernel from every other; ``None`` where nothing does."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


@contextmanager
def turn_of(
    locks: str, login_id: str, *, wait: float, until: Callable[[], bool] | None
) -> Generator[str | None]:
    """Our turn among the processes of this host; gives the realm of the lock they share.

    Args:
        locks: The directory of the locks.
        login_id: The login they are for.
        wait: Seconds to wait for another process.
        until: Asked while waiting; when true, waiting has no more point.

    Raises:
        LoginBusy: Another process of this host has it; the message names it.
    """
    try:
        ensure_directory(os.path.dirname(locks))
        ensure_directory(locks)
    except StorageError:  # no home, or one that is read-only: as on many servers
        yield None
        return
    path = os.path.join(locks, f"{login_id}.lock")
    with locked(path, wait=wait, what=f"login {login_id[:4]}", until=until) as descriptor:
        yield realm_of(descriptor)


def realm_of(descriptor: int) -> str | None:
    """The name of the lock on the open file ``descriptor``.

    Two processes that name the same realm stand before the same lock: the same file, seen by the
    same kernel. A copy of the directory on another host, or in another container, is another
    realm. ``None`` where that cannot be told; a lease of such a process has to run out.
    """
    boot = _boot()
    if boot is None:
        return None
    file = os.fstat(descriptor)
    return hmac(boot.encode(), f"{file.st_dev} {file.st_ino}".encode()).hex()[:32]
