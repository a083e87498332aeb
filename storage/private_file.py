"""Files and directories that are this user's alone: created so, and checked before each use.

The only place where files are opened by hand. SQLite would create its file with whatever the
umask leaves and would follow a link; so the file exists, private and checked, before SQLite sees it.
"""

from __future__ import annotations

import errno
import os
import stat

from ..engine.errors import StorageError, StorageFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_OPEN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)  # neither is on Windows


def ensure_directory(path: str) -> None:
    """Make ``path`` a directory only this user can enter, or make sure that it is one.

    Raises:
        StorageError: It is somebody else's, open to others, or no directory.
    """
    try:
        _make_directories(path)
    except OSError as error:
        raise _mapped(error, f"cannot make the directory {path}") from error
    check_directory(path)


def _make_directories(path: str) -> None:
    """Make ``path`` and what is missing above it; ``os.makedirs`` leaves parents to the umask."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and above != path:
        _make_directories(above)
    os.makedirs(path, mode=0o700, exist_ok=True)  # another process may have made it meanwhile


def check_directory(path: str) -> None:
    """Make sure that ``path`` is a directory only this user can enter.

    Raises:
        StorageError: It is not; the hint is the command that mends it.
    """
    try:
        found = os.lstat(path)
    except OSError as error:
        raise _mapped(error, f"cannot use the directory {path}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{path} is not a directory", hint="export STAYFAST_STATE_DIR=…")
    _check_owner(path, found)
    if os.name == "posix" and found.st_mode & 0o077:
        raise StorageError(f"{path} is open to other users", hint=f"chmod 700 {path}")
    if os.name == "posix":
        _check_parent(os.path.dirname(path) or ".")


def _check_parent(path: str) -> None:
    """Make sure that nobody else can put something in the place of what is in ``path``."""
    found = os.stat(path)
    if found.st_uid not in {os.geteuid(), 0}:
        raise StorageError(
            f"{path} belongs to another user (uid {found.st_uid})",
            hint="export STAYFAST_STATE_DIR=…",
        )
    # sticky, as /tmp: others may add to it, and not replace what is there
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise StorageError(f"{path} can be written by anybody", hint=f"chmod o-w {path}")


def open_private(path: str, *, create: bool = False, append: bool = False) -> int:
    """A descriptor of the regular file ``path``, which is this user's alone.

    Args:
        path: Where it is.
        create: Make it, empty and private, if it is not there.
        append: Write at the end, whatever others do.

    Raises:
        FileNotFoundError: It is not there, and was not to be made.
        StorageError: It is a link, has several names, is somebody else's or open to others.
    """
    flags = os.O_RDWR | _OPEN | (os.O_APPEND if append else 0)
    try:
        if create:
            try:
                return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                pass
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:
            raise StorageError(f"{path} is a link", hint=f"rm {path}") from error
        raise _mapped(error, f"cannot open {path}") from error
    try:
        _check_file(path, os.fstat(descriptor))
    except StorageError:
        os.close(descriptor)
        raise
    return descriptor


def check_private(path: str) -> None:
    """Make sure that ``path`` is a regular file, this user's alone, without opening it.

    For the database: POSIX drops every lock a process has on a file when it closes *any*
    descriptor of it, those of a transaction in another thread too. The directory has been checked,
    so nobody else can put another file there afterwards.

    Raises:
        FileNotFoundError: It is not there.
        StorageError: It is a link, has several names, is somebody else's or open to others.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _mapped(error, f"cannot open {path}") from error
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(f"{path} is a link", hint=f"rm {path}")
    _check_file(path, found)


def read_private(path: str, limit: int) -> bytes:
    """The first ``limit`` bytes of the private file ``path``.

    Raises:
        FileNotFoundError: It is not there.
        StorageError: It is not private, or cannot be read.
    """
    descriptor = open_private(path)
    try:
        return os.read(descriptor, limit)
    except OSError as error:
        raise _mapped(error, f"cannot read {path}") from error
    finally:
        os.close(descriptor)


def write_private(path: str, data: bytes) -> None:
    """Replace the private file ``path`` by ``data``: all of it or nothing, durable on return.

    Raises:
        StorageFull: No space left; what was there is still there.
        StorageError: It cannot be written.
    """
    # a random name: process ids come again, in containers at once, and with them the leftovers
    aside = f"{path}.{os.urandom(6).hex()}.new"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        if os.path.lexists(aside):
            os.unlink(aside)
        raise _mapped(error, f"cannot write {path}") from error


def sync_directory(path: str) -> None:
    """Make the names in ``path`` durable."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_file(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path} is not a file", hint=f"rm {path}")
    _check_owner(path, found)
    if found.st_nlink != 1:
        raise StorageError(f"{path} has another name elsewhere", hint=f"ls -i {path}")
    if os.name == "posix" and found.st_mode & 0o077:
        raise StorageError(f"{path} is open to other users", hint=f"chmod 600 {path}")


def _check_owner(path: str, found: os.stat_result) -> None:
    if os.name == "posix" and found.st_uid != os.geteuid():
        raise StorageError(
            f"{path} belongs to another user (uid {found.st_uid})",
            hint=f"sudo chown {os.geteuid()} {path}",
        )


def _mapped(error: OSError, what: str) -> StorageError:
    why = (error.strerror or "unknown error").lower()
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return StorageFull(f"{what}: {why}", hint="df -h")
    return StorageError(f"{what}: {why}", hint="export STAYFAST_STATE_DIR=…")


# File systems that other machines write to as well, where our locks mean nothing.

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
