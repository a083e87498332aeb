"""Keeps the memory of this process from the disk and from other processes.

While a token or a verifier is in memory, a crash would write it to a file that outlives the login,
and on many systems sends it to a crash reporter. A program that runs under a resource limit still
sends its dump to a reporter, since Linux does not look at the limit there; only a process that is
not dumpable keeps it. Such a process can also not be traced by others of the same user.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_PR_SET_DUMPABLE: Final = 4  # Linux: prctl(2)
_before: list[tuple[int, int]] = []


def forbid_core_dumps() -> None:
    """Let nothing of this process's memory be written to disk, for as long as it runs.

    The command and every courier call it. A program that embeds Stayfast may, too; it then cannot
    be debugged by attaching to it. A program that replaces this one (``exec``) is dumpable again.
    """
    if _before:
        return
    with suppress(
        ImportError, OSError, ValueError
    ):  # no limits here, or one that cannot be lowered
        import resource  # noqa: PLC0415  Unix only

        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        _before[:] = [(soft, hard)]
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes  # noqa: PLC0415  a fifth of the fast path's time

            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def core_dumps_as_before() -> Generator[None]:
    """The limit of before :func:`forbid_core_dumps`, for a program that takes this one's place."""
    if os.name != "posix" or not _before:
        yield
        return
    import resource  # noqa: PLC0415  Unix only

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, _before[0])
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, _before[0][1]))
