"""Keeps the memory of this process from the disk and from other processes.

While a token or a verifier is in memory, a crash would write it to a file that outlives the login,
and on many systems sends it to a crash reporter. A program that runs under a resource limit still
sends its dump to a reporter, since Linux does not look at the limit there; only a process that is
not dumpable keeps it. Such a process can also not be traced by others of the same user.

``stayfast token`` runs through here, so this loads nothing before it is needed.
"""

from __future__ import annotations

import sys

_PR_SET_DUMPABLE = 4  # Linux: prctl(2)
_before: list[tuple[int, int]] = []


def forbid_core_dumps() -> None:
    """Let nothing of this process's memory be written to disk, for as long as it runs.

    The command and every courier call it. A program that embeds Stayfast may, too; it then cannot
    be debugged by attaching to it. A program that replaces this one (``exec``) is dumpable again.
    """
    limit_core_dumps()
    if sys.platform == "linux":
        try:
            import ctypes  # noqa: PLC0415  a fifth of the fast path's time

            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        except (ImportError, OSError, AttributeError):
            return


def limit_core_dumps() -> None:
    """Set the limit of core dumps to 0: the half of :func:`forbid_core_dumps` that costs little."""
    try:
        import resource  # noqa: PLC0415  Unix only

        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
    except (ImportError, OSError, ValueError):  # no limits here, or one that cannot be lowered
        return
    if not _before:
        _before.append(limits)


def allow_core_dumps() -> None:
    """Set the limit of before, for a program that takes this one's place."""
    if not _before:
        return
    import resource  # noqa: PLC0415  Unix only

    try:
        resource.setrlimit(resource.RLIMIT_CORE, _before[0])
    except (OSError, ValueError):
        return
