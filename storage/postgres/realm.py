"""The lock of one host: who may take over what a process of it held that was killed."""

from __future__ import annotations

import os
import sys
from functools import cache

from ..sealing import hmac


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
