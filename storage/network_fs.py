"""File systems that other machines write to as well, where our locks mean nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from ..engine.errors import StorageError

NETWORKED: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
"""Types of file systems, as Linux names them, where a lock taken here is not seen elsewhere."""

_ESCAPES: Final = {rb"\040": b" ", rb"\011": b"\t", rb"\012": b"\n", rb"\134": b"\\"}


def refuse_network_fs(directory: str) -> None:
    """Make sure that ``directory`` is on a file system of this machine, where that can be told.

    Raises:
        StorageError: It is not: locks do not hold across machines there.
    """
    kind = _file_system(directory)
    if kind in NETWORKED:
        raise StorageError(
            f"{directory} is on a network file system ({kind}), where locks do not hold",
            hint="export STAYFAST_STATE_DIR=… on a local disk, or STAYFAST_ALLOW_NETWORK_FS=1",
        )


def _file_system(path: str) -> str | None:
    """The type of the file system ``path`` is on, as Linux tells it; ``None`` elsewhere."""
    try:
        with open("/proc/self/mountinfo", "rb") as mounts:
            return file_system_among(mounts, os.fsencode(os.path.realpath(path)))
    except OSError:
        return None


def file_system_among(mounts: Iterable[bytes], path: bytes) -> str | None:
    """The type of the file system ``path`` is on, by the lines of ``/proc/self/mountinfo``.

    Of several mounts on one point, the last is what is seen.
    """
    best, kind = -1, None
    for line in mounts:
        before, _, after = line.partition(b" - ")
        members = before.split(b" ")
        if len(members) < 5 or not after:
            continue
        point = members[4]
        for escape, octet in _ESCAPES.items():  # the backslash last: it begins the others
            point = point.replace(escape, octet)
        inside = path == point or path.startswith(point.rstrip(b"/") + b"/")
        if inside and len(point) >= best:
            best, kind = len(point), after.split(b" ")[0].decode("ascii", "replace")
    return kind
