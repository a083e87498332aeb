"""Reading a vault: its files, its header, and one row by its alias or id.

The vault and ``stayfast token`` both read by means of this module.
"""

from __future__ import annotations

import os

from ...engine.hints import Hint
from ...engine.storage_errors import Damaged, NewerFormat, StorageError
from ..lending import Lent
from ..private_file import check_private, directory_exists, read_private
from .header import FORMAT, decode_copy, decode_header

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import TypeAlias

    from ..keys.sealing import Keys
    from .database import Database
    from .header import Header

    Row: TypeAlias = "tuple[str, int, str, bytes, bytes]"


def _sqlite_core() -> ModuleType:
    """The core of :mod:`sqlite3`, or that module itself on a Python that has no such core.

    The module brings datetime and converters along, which nobody here needs (2.5 ms).
    """
    try:
        with Lent("functools", lru_cache=_lru_cache):
            import _sqlite3 as core  # noqa: PLC0415  as above
    except ImportError:
        import sqlite3 as core  # type: ignore[no-redef]  # noqa: PLC0415  it by its public name
    return core


def _lru_cache(size: int) -> Callable[[object], object]:
    """As :func:`functools.lru_cache`: a decorator that makes a cache of a function's results."""
    # typeshed leaves this module out
    import _functools  # type: ignore[import-not-found]  # noqa: PLC0415

    cached: Callable[..., object] = vars(_functools)["_lru_cache_wrapper"]

    def decorate(made: object) -> object:
        return cached(made, size, False, tuple)

    return decorate


if not TYPE_CHECKING:
    sqlite3 = _sqlite_core()

DATABASE = "vault.db"
SECOND_HEADER = "vault.header"
LIST = "vault.list"
_ASIDE = "set-aside-"
_TAKEN_ALONG = "taken-along"
APPLICATION_ID = 0x53544159  # "STAY"
BUSY_MS = (
    5000  # a commit of ours takes milliseconds, but a backup program may hold SQLite's own lock
)
BESIDE = ("-journal", "-wal", "-shm")
_HEADER_LIMIT = (
    64 * 1024
)  # octets; sixteen slots take 4 KiB, and a planted file must not fill memory
MARKER_OCTETS = 8
_MARKER_LIMIT = 64


def open_database(directory: str) -> sqlite3.Connection | None:
    """A connection to the vault in ``directory``, checked to be private; ``None`` without a vault.

    Raises:
        StorageError: The directory or the file is not this user's alone, or cannot be looked at.
    """
    path = os.path.join(directory, DATABASE)
    if not directory_exists(directory):
        return None
    try:
        check_private(path)
        for beside in BESIDE:  # SQLite opens them too, and would wait for ever at a pipe
            try:  # noqa: SIM105  contextlib is loaded for nothing else here
                check_private(path + beside)
            except FileNotFoundError:
                pass
        connection = sqlite3.connect(
            _existing(path),
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
    except FileNotFoundError:
        return None
    except sqlite3.Error as error:
        if not os.path.lexists(path):  # it was set aside since it was checked
            return None
        raise StorageError(f"cannot open {path}: {error}", hint=Hint("store mend")) from error
    connection.text_factory = _text
    return connection


def _existing(path: str) -> str:
    """The URI by which SQLite opens ``path`` only if it exists; otherwise it would make a file."""
    if os.name != "posix":
        path = "/" + path.replace("\\", "/")
    for sign, code in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        path = path.replace(sign, code)
    return f"file:{'//' if path.startswith('/') else ''}{path}?mode=rw"


def gone(directory: str) -> Damaged | None:
    """The error for a vault whose database has vanished while its other files are still there.

    A second vault in its place would hide that logins were lost. That also holds if the vault was set
    aside and the process ended before it made a new one.
    """
    if os.path.lexists(os.path.join(directory, DATABASE)):
        return None
    if any(os.path.lexists(os.path.join(place, DATABASE)) for place in set_aside(directory)):
        return Damaged(
            f"there is no vault in {directory}, and one with logins was set aside there",
            hint=Hint("store mend"),
        )
    try:
        if read_second_header(directory) is None:
            return None
    except NewerFormat:
        pass  # a newer version wrote the copy: there was a vault
    except Damaged:  # a torn copy does not show that there was a vault
        return None
    return Damaged(
        f"{os.path.join(directory, DATABASE)} has gone, and with it all logins; the rest of the "
        "vault is still there",
        hint=Hint("store mend"),
    )


def set_aside(directory: str) -> list[str]:
    """The directories of vaults that were set aside, newest first.

    Those whose logins were taken along are left out.
    """
    try:
        names = sorted(os.listdir(directory), reverse=True)
    except OSError:
        return []
    places = [os.path.join(directory, name) for name in names if name.startswith(_ASIDE)]
    return [one for one in places if not os.path.lexists(os.path.join(one, _TAKEN_ALONG))]


def new_place_aside(directory: str, stamp: str) -> str:
    """The path of a new directory for a vault that is set aside at ``stamp``."""
    return os.path.join(directory, f"{_ASIDE}{stamp}-{os.urandom(2).hex()}")


def note_taken_along(place: str) -> str:
    """The path of the file that says that the logins in ``place`` were taken along."""
    return os.path.join(place, _TAKEN_ALONG)


def _text(octets: bytes) -> str:
    """Text of the database. By default a torn byte in one row would make every statement fail."""
    return octets.decode("utf-8", "replace")


def headers(connection: sqlite3.Connection, directory: str) -> Iterator[tuple[Header, bytes]]:
    """The header with its seal: that of the database, then the copy beside it.

    The caller believes neither before it has compared the seal. What cannot be read is left out.

    Raises:
        NewerFormat: A newer version wrote the vault.
        Damaged: Neither can be read.
    """
    _refuse_newer(connection)
    problem: Damaged | None = None
    newer: NewerFormat | None = None
    found = False
    for inside in (True, False):
        try:
            one = _header_inside(connection) if inside else read_second_header(directory)
        except Damaged as error:
            problem = problem or error
        except NewerFormat as error:  # if the other can be read, this one is torn
            newer = newer or error
        else:
            if one is not None:
                found = True
                yield one
    if not found:
        raise (
            problem
            or newer
            or Damaged("the header of the vault cannot be read", hint=Hint("store mend"))
        )


def _refuse_newer(connection: sqlite3.Connection) -> None:
    try:
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
    except (sqlite3.Error, UnicodeDecodeError):  # not a database: the header is asked for next
        return
    if application == APPLICATION_ID and version > FORMAT:
        raise NewerFormat(
            "this vault was written by a newer version of Stayfast",
            hint="in a newer clone of Stayfast: pip install .",
        )


def _header_inside(connection: sqlite3.Connection) -> tuple[Header, bytes] | None:
    try:
        found = connection.execute("SELECT body, mac FROM header").fetchone()
        return decode_header(found[0]), found[1]
    # no table, no row or no bytes in it; a torn schema makes SQLite quote what is no text
    except (sqlite3.Error, TypeError, UnicodeDecodeError):
        return None


def read_second_header(directory: str) -> tuple[Header, bytes] | None:
    """The copy of the header beside the database and its seal, if it is there.

    Raises:
        NewerFormat: A newer version wrote it.
        Damaged: It cannot be read.
    """
    try:
        return decode_copy(read_private(os.path.join(directory, SECOND_HEADER), _HEADER_LIMIT))
    except FileNotFoundError:
        return None


def row_by_alias(connection: Database, keys: Keys, alias: str) -> Row | None:
    """The row of ``alias``, still sealed."""
    found: Row | None = connection.execute(
        "SELECT id, version, state, meta, secret FROM login WHERE idx = ?", (keys.index(alias),)
    ).fetchone()
    return found


def noted_generation(config_dir: str, keys: Keys) -> int | None:
    """The generation of the vault in the note beside its key; ``None`` without a note.

    A note that was sealed with another key does not count.
    """
    try:
        data = read_private(marker_path(config_dir, keys), _MARKER_LIMIT)
    except (OSError, StorageError):
        return None
    number, seal = data[:MARKER_OCTETS], data[MARKER_OCTETS:]
    return int.from_bytes(number, "big") if seal == keys.marker_mac(number) else None


def marker_path(config_dir: str, keys: Keys) -> str:
    """The path of the note of the vault's generation."""
    return os.path.join(config_dir, f"vault-{keys.name}.generation")


def scan_for_alias(connection: Database, keys: Keys, alias: str) -> Row | None:
    """As :func:`row_by_alias`, by the rows themselves: SQLite's index may be torn where they are not."""
    found: Row | None = connection.execute(
        "SELECT id, version, state, meta, secret FROM login WHERE +idx = ?", (keys.index(alias),)
    ).fetchone()
    return found


def row_by_id(connection: Database, login_id: str) -> Row | None:
    """The row of ``login_id``, still sealed."""
    found: Row | None = connection.execute(
        "SELECT id, version, state, meta, secret FROM login WHERE id = ?", (login_id,)
    ).fetchone()
    return found


def open_secret(keys: Keys, row: Row) -> bytes:
    """The whole login of ``row``, as :mod:`stayfast.engine.codec` encodes it.

    Raises:
        Damaged: The row was changed or put elsewhere.
    """
    login, version, state, _, secret = row
    return keys.open_row("secret", login, version, state, secret)
