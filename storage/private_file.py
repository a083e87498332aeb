"""Which files and directories Stayfast trusts: those that no other user can read, write or replace.

Only this user (and root) may be able to replace a file of ours. So a file is checked together with
the whole way to it: its directory, the directories above up to the
home directory, and each link on the way. A link of this user or of root is followed, if the
directory it lies in is as safe as every other. Files themselves are never links.

A place that cannot be examined is an error and never counts as empty: only a name that does not
exist (``ENOENT``) does. Otherwise a vault on an unmounted disk would look like no vault.

SQLite would create its file with the mode that the umask leaves, and would follow a link. So this
module makes the file, private, before SQLite opens it.

We also rely on locks, and they hold between the processes of one machine only. So network file
systems are refused, where the system names them (Linux).
"""

from __future__ import annotations

import errno
import os
import stat

from ..engine.storage_errors import StorageError, StorageFull

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, NoReturn

STATE_VARIABLE = "STAYFAST_STATE_DIR"
CONFIG_VARIABLE = "STAYFAST_CONFIG_DIR"

# neither is on Windows, which in return would change the ends of lines
_OPEN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe in the place of a file would wait for ever
_MOST_LINKS = 40  # as Linux
_POSIX = os.name == "posix"

# --- directories -----------------------------------------------------------------------------


def ensure_directory(path: str, variable: str = STATE_VARIABLE) -> None:
    """Make ``path`` a directory that only this user can enter, or make sure that it is one.

    Nothing is made in a place that is not safe: as root, in another user's home, it would lock
    that user out.

    Args:
        path: The directory.
        variable: The environment variable that names another one.

    Raises:
        StorageError: It belongs to somebody else, is open to others, or is not a directory.
    """
    if not directory_exists(path, variable):
        _check_container(*_check_way(_nearest(path), variable), variable)
        try:
            _make_directories(path)
        except OSError as error:
            raise _mapped(error, f"cannot make the directory {path}", variable) from error
        check_directory(path, variable)


def directory_exists(path: str, variable: str = STATE_VARIABLE) -> bool:
    """Whether there is a directory ``path``; if so, it is checked as by :func:`check_directory`.

    Raises:
        StorageError: Something is there that is not a private directory, or cannot be looked at.
    """
    if not _is_there(path, variable):
        return False
    check_directory(path, variable)
    return True


def check_directory(path: str, variable: str = STATE_VARIABLE) -> None:
    """Make sure that ``path`` is a directory that only this user can enter.

    Raises:
        StorageError: It is not; the hint says what to do.
    """
    where, found = _check_way(path, variable)
    _check_owner(where, found, variable)
    if _POSIX and found.st_mode & 0o077:
        raise StorageError(f"{where} is open to other users", hint=f"chmod 700 {where}")


def trusted_directory_exists(path: str, variable: str = CONFIG_VARIABLE) -> bool:
    """Whether there is a directory ``path``; if so, nobody else can change what is in it.

    Others may read it, unlike one that :func:`check_directory` accepts.

    Raises:
        StorageError: Somebody else can change it, or it cannot be looked at.
    """
    if not _is_there(path, variable):
        return False
    _check_container(*_check_way(path, variable), variable)
    return True


def _is_there(path: str, variable: str) -> bool:
    """Whether ``path`` exists; a link that leads to nothing is an error, here or further up."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        nearest = _nearest(path)
        if os.path.islink(nearest) and not os.path.exists(nearest):
            _check_way(nearest, variable)  # says where the link leads
        return False
    except OSError as error:
        raise _mapped(error, f"cannot use the directory {path}", variable) from error
    return True


def _nearest(path: str) -> str:
    """``path`` or, if it does not exist, the nearest name above that does."""
    while True:
        try:
            os.lstat(path)
        except FileNotFoundError:
            above = os.path.dirname(path)
            if above in {path, ""}:
                return path
            path = above
        except OSError:
            return path
        else:
            return path


def _make_directories(path: str) -> None:
    """Make ``path`` and what is missing above it; ``os.makedirs`` leaves parents to the umask."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above and above != path:
        _make_directories(above)
    os.makedirs(path, mode=0o700, exist_ok=True)  # another process may have made it meanwhile


def _check_way(path: str, variable: str) -> tuple[str, os.stat_result]:
    """Follow ``path`` name by name, as the system does; gives where it leads, and what is there.

    Raises:
        StorageError: It does not lead to a directory, or somebody else could make it lead elsewhere.
    """
    try:
        where, found = _followed(path, variable)
    except FileNotFoundError as error:
        target = os.path.realpath(path)
        raise StorageError(
            f"{path} leads to {target}, which is not there", hint=f"ls -l {path}"
        ) from error
    except OSError as error:
        raise _mapped(error, f"cannot use the directory {path}", variable) from error
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{where} is not a directory", hint=f"export {variable}=…")
    return where, found


def _followed(path: str, variable: str) -> tuple[str, os.stat_result]:
    if not _POSIX:
        return path, os.stat(path)
    where, found, links = "/", os.lstat("/"), 0
    names = os.path.abspath(path).split("/")[::-1]
    while names:
        name = names.pop()
        if name in {"", "."}:
            continue
        if name == "..":  # of a link; what is before it has been followed
            where = os.path.dirname(where)
            found = os.lstat(where)
            continue
        _check_container(where, found, variable)
        beneath = os.path.join(where, name)
        found = os.lstat(beneath)
        if not stat.S_ISLNK(found.st_mode):
            where = beneath
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        _check_hands(beneath, found, variable)
        target = os.readlink(beneath)
        names += target.split("/")[::-1]
        where = "/" if target.startswith("/") else where
        found = os.lstat(where)
    return where, found


def _check_container(path: str, found: os.stat_result, variable: str) -> None:
    """Make sure that nobody else can put something in the place of what is in the directory."""
    if not _POSIX:
        return
    try:
        _check_hands(path, found, variable)
        if found.st_mode & stat.S_ISVTX:  # as /tmp: others may add to it, not replace what is there
            return
        check_writers(path, found)
    except StorageError:
        if not _above_home(path):
            raise


def _check_hands(path: str, found: os.stat_result, variable: str) -> None:
    if _POSIX and found.st_uid not in {os.geteuid(), 0}:
        _refuse_foreign(path, found, variable)


def _above_home(path: str) -> bool:
    """Whether the home directory lies in ``path``.

    A user who can replace the home directory controls everything in it already: refusing such a
    directory would protect nothing.
    """
    inside = path.rstrip("/") + "/"
    home = os.path.expanduser("~")
    return any(one.startswith(inside) and one != inside for one in (home, os.path.realpath(home)))


def check_writers(path: str, found: os.stat_result) -> None:
    """Make sure that the mode of ``path`` lets nobody else write to it.

    A group that consists of this user alone may write: many systems give each user one.

    Raises:
        StorageError: Others may write; the hint is the command that forbids it.
    """
    if not _POSIX:
        return
    if found.st_mode & stat.S_IWOTH:
        raise StorageError(f"{path} can be written by anybody", hint=f"chmod o-w {path}")
    if found.st_mode & stat.S_IWGRP and not _group_of_our_own(found.st_gid):
        raise StorageError(
            f"{path} can be written by other users (group {found.st_gid})", hint=f"chmod g-w {path}"
        )


def check_readers(path: str, found: os.stat_result) -> None:
    """Make sure that no other user can read the file ``path``, which holds a secret of this user.

    Its mode decides, and the modes of the directories above: other users cannot enter a private one.
    Files of root are left to root: containers hand out secrets as readable files of root.

    Raises:
        StorageError: Others can read it; the hint is the command that forbids it.
    """
    if not _POSIX or found.st_uid == 0 or not stat.S_ISREG(found.st_mode):
        return
    group = found.st_mode & stat.S_IRGRP and not _group_of_our_own(found.st_gid)
    if not (group or found.st_mode & stat.S_IROTH):
        return
    above = os.path.dirname(os.path.realpath(path))
    while os.lstat(above).st_mode & (stat.S_IXGRP | stat.S_IXOTH):
        if above == os.path.dirname(above):
            raise StorageError(f"{path} can be read by other users", hint=f"chmod 600 {path}")
        above = os.path.dirname(above)


def _group_of_our_own(number: int) -> bool:
    """Whether this user, or root, is the only member of the group, as far as the system lists them."""
    import grp  # noqa: PLC0415  on the path of ``token``, and needed only here
    import pwd  # noqa: PLC0415  as above

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = None
    try:
        group = grp.getgrgid(number)
    except KeyError:  # a container's user without entries
        return number == os.getegid()
    if set(group.gr_mem) - {user, "root"}:
        return False
    return number == 0 or (
        number == os.getegid() and (group.gr_name == user or number == os.geteuid())
    )


# --- files -----------------------------------------------------------------------------------


def open_private(path: str, *, create: bool = False, append: bool = False) -> int:
    """A descriptor of the regular file ``path``, which is this user's alone, for reading and writing.

    Args:
        path: Where it is.
        create: Make it, empty and private, if it is not there.
        append: Write at the end, whatever others do.

    Raises:
        FileNotFoundError: It is not there, and was not to be made.
        StorageError: It is a link, has several names, is somebody else's or open to others.
    """
    flags = os.O_RDWR | (os.O_APPEND if append else 0)
    if not create:
        return _opened(path, flags)
    while True:
        try:
            return os.open(path, flags | _OPEN | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _mapped(error, f"cannot make {path}") from error
        try:
            return _opened(path, flags)
        except FileNotFoundError:
            if os.path.islink(path):  # to nothing; else it was removed since
                raise StorageError(f"{path} is a link", hint=f"rm {path}") from None


def _opened(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | _OPEN)
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
    """The first ``limit`` bytes of the private file ``path``, which need not be writable.

    Raises:
        FileNotFoundError: It is not there.
        StorageError: It is not private, or cannot be read.
    """
    descriptor = _opened(path, os.O_RDONLY | _NONBLOCK)
    try:
        return os.read(descriptor, limit)
    except OSError as error:
        raise _mapped(error, f"cannot read {path}") from error
    finally:
        os.close(descriptor)


def write_private(path: str, data: bytes, *, durable: bool = True) -> None:
    """Replace the private file ``path`` by ``data``: all of it or nothing, durable on return.

    Args:
        path: The file.
        data: What it will hold.
        durable: Wait for the disk. Without that a power cut may leave anything in the file.

    Raises:
        StorageFull: No space left; what was there is still there.
        StorageError: It cannot be written.
    """
    # a random name: process ids come again, in containers at once, and with them the leftovers
    aside = f"{path}.{os.urandom(6).hex()}.new"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o600)
        try:
            left = memoryview(data)  # one write may take only a part, as on a nearly full disk
            while left:
                left = left[os.write(descriptor, left) :]
            if durable:  # before the name: after a power cut it must not mean an empty file
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
        if durable:
            sync_directory(os.path.dirname(path))
    except BaseException as error:  # an interrupt as well: nothing is to be left
        try:  # noqa: SIM105  contextlib is not loaded here
            os.unlink(aside)
        except OSError:  # it was not made, or somebody has removed it
            pass
        if not isinstance(error, OSError):
            raise
        raise _mapped(error, f"cannot write {path}") from error


def sync_directory(path: str) -> None:
    """Make the names in ``path`` durable."""
    if not _POSIX:
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
    if found.st_nlink > 1:  # none: it was removed since it was opened
        raise StorageError(f"{path} has another name elsewhere", hint=f"ls -i {path}")
    if _POSIX and found.st_mode & 0o077:
        raise StorageError(f"{path} is open to other users", hint=f"chmod 600 {path}")


def _check_owner(path: str, found: os.stat_result, variable: str = STATE_VARIABLE) -> None:
    if _POSIX and found.st_uid != os.geteuid():
        _refuse_foreign(path, found, variable)


def _refuse_foreign(path: str, found: os.stat_result, variable: str) -> NoReturn:
    """Refuse, naming the owner. The hint never advises ``chown``: it would lock the owner out."""
    raise StorageError(
        f"{path} belongs to another user (uid {found.st_uid})",
        hint=foreign_hint(found, variable),
    )


def foreign_hint(found: os.stat_result, variable: str) -> str:
    """What to do about a file of another user."""
    if os.geteuid() == 0:
        return f"run it as user {_name_of(found.st_uid)}, without sudo"
    return f"export {variable}=… (a directory of your own)"


def _name_of(user: int) -> str:
    import pwd  # noqa: PLC0415  on the path of ``token``, and needed only here

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _mapped(error: OSError, what: str, variable: str = STATE_VARIABLE) -> StorageError:
    why = (error.strerror or "unknown error").lower()
    if error.errno in {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return StorageFull(f"{what}: {why}", hint="df -h")
    return StorageError(f"{what}: {why}", hint=f"export {variable}=…")


# --- file systems ----------------------------------------------------------------------------

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
    """Make sure that ``directory`` is on a file system of this machine, where the system says so.

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
    """The type of the file system ``path`` is on, by Linux; ``None`` on other systems."""
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
