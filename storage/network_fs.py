"""File systems that other machines write to as well, where our locks mean nothing."""

from __future__ import annotations

import os
from typing import Final

from ..engine.errors import StorageError

_NETWORKED: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"}
)


def refuse_network_fs(directory: str) -> None:
    """Make sure that ``directory`` is on a file system of this machine, where that can be told.

    Raises:
        StorageError: It is not: locks do not hold across machines there.
    """
    kind = _file_system(os.path.realpath(directory))
    if kind in _NETWORKED:
        raise StorageError(
            f"{directory} is on a network file system ({kind}), where locks do not hold",
            hint="export HOLDFAST_STATE_DIR=… on a local disk, or HOLDFAST_ALLOW_NETWORK_FS=1",
        )


def _file_system(path: str) -> str | None:
    """The type of the file system ``path`` is on, as Linux tells it; ``None`` elsewhere."""
    best, kind = "", None
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                before, _, after = line.partition(" - ")
                point = before.split()[4].encode().decode("unicode_escape")
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, after.split()[0]
    except (OSError, IndexError, UnicodeError):
        return None
    return kind
