"""Set aside what does not open, so that what is left can be relied on again. Nothing is deleted.

A vault that opens is mended row by row: a row that is torn, that belongs elsewhere, or that is an
older one put back, goes into the quarantine. The name of its login becomes free, and the audit log
records it.

A vault that does not open (its file is empty, cut off or of another program, its key is lost) is set
aside as a whole: its files are moved into a directory of their own. Logins that still open in it are
taken along into a new vault. If only its key is missing, that is done only on explicit wish: the vault
may be undamaged. A vault that was set aside is taken back once it opens (:mod:`.set_aside`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import GONE, SET_ASIDE, Event, EventKind
from ...engine.codec import decode_login, encode_login
from ...engine.errors import Damaged, NewerFormat, StorageError
from ..audit.rows import append_event
from ..host import CLOCK, origin
from ..private_file import ensure_directory, sync_directory
from .file import BESIDE, DATABASE, LIST, SECOND_HEADER, new_place_aside, set_aside
from .integrity import Head, keep_head, read_head
from .problems import last_saved
from .tree import leaves_of, read_tree, root_of, tags_of, tree_of, write_tree

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.record import Login
    from ..keys.sealing import Keys
    from .database import Database
    from .header import Header

_FILES: Final = (DATABASE, *(DATABASE + ending for ending in BESIDE), SECOND_HEADER, LIST)
_ROW: Final = "id, version, state, epoch, idx, meta, secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """One repair.

    Attributes:
        login: The id of the login, as far as it could be read.
        message: What was done, in one sentence.
    """

    login: str | None
    message: str


def mend(connection: Database, keys: Keys) -> list[Mended]:
    """Repair what can be repaired, in the open transaction.

    Raises:
        Damaged: The database itself cannot be read.
    """
    head, sound = _head(connection, keys)
    before = head.seq
    done: list[Mended] = []
    last = last_saved(connection, keys, head.first)
    rows: list[tuple[tuple[int, ...], int]] = []
    for row in list(connection.execute(f"SELECT {_ROW} FROM login")):  # noqa: S608  a constant
        login, why = _judge(keys, row, last)
        if login is None:
            head = _set_aside(connection, keys, head, row, why)
            done.append(Mended(login=_named(row[0]), message=f"login {_named(row[0])[:4]}: {why}"))
            continue
        placed, repaired = _kept(connection, keys, login, row)
        rows.append(placed)
        if repaired:
            done.append(
                Mended(login=login.id, message=f"login {login.short_id}: its entry in the list")
            )
    here = {name for (name,) in connection.execute("SELECT id FROM login")}
    aside = {one.login for one in done}
    for name in sorted((last or {}).keys() - here - aside):
        head, _ = append_event(connection, keys, head, _event(GONE, name))
        done.append(Mended(login=name, message=f"login {name[:4]}: it was no longer there"))
    tree = tree_of(keys, rows)
    counted = (root_of(keys, tree), len(rows))
    if not sound or counted != (head.root, head.rows) or tree != _tree(connection):
        if not done:
            done.append(Mended(login=None, message="the integrity record"))
        write_tree(connection, tree)
        head = head._replace(root=counted[0], rows=counted[1])
    if done and head.seq == before:  # no row was set aside, so the log has no record of this yet
        head, _ = append_event(connection, keys, head, _event("integrity record"))
    if done:
        keep_head(connection, keys, head)
    return done


def restore_header(connection: sqlite3.Connection, keys: Keys, header: Header) -> list[Mended]:
    """Make ``header``, which opened the vault, the one in the database, if it is not."""
    seal = keys.header_mac(header.body)
    if connection.execute("SELECT body, mac FROM header").fetchall() == [(header.body, seal)]:
        return []
    connection.execute("DELETE FROM header")
    connection.execute("INSERT INTO header VALUES (1, ?, ?)", (header.body, seal))
    return [Mended(login=None, message="the header of the vault")]


def salvage(connection: sqlite3.Connection, keys: Keys) -> tuple[list[Login], int]:
    """Finished logins that open in a vault that cannot be mended, and how many rows do not.

    The log decides, as far as it can be read, whether a row is the last that was saved.
    """
    last = None
    with suppress(sqlite3.Error, StorageError, UnicodeDecodeError):
        last = last_saved(connection, keys, read_head(connection, keys).first)
    rows: dict[object, tuple[Any, ...]] = {}
    for order in ("", " DESC"):  # from both ends: a torn page stops each scan where it is met
        with suppress(sqlite3.Error, UnicodeDecodeError):
            for row in connection.execute(f"SELECT {_ROW} FROM login ORDER BY id{order}"):  # noqa: S608  constants
                rows[row[0]] = row
    opened = [_judge(keys, row, last)[0] for row in rows.values()]
    return [one for one in opened if one is not None and one.tokens is not None], opened.count(None)


def set_files_aside(directory: str) -> str:
    """Move the files of the vault into a directory beside them; gives its path.

    If a process ended after it had moved the database alone, the other files follow it.

    Raises:
        StorageError: They cannot be moved.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(CLOCK.now()))
    there = [name for name in _FILES if os.path.lexists(os.path.join(directory, name))]
    for place in set_aside(directory) if DATABASE not in there else ():
        if not any(os.path.lexists(os.path.join(place, name)) for name in there):
            break
    else:
        place = new_place_aside(directory, stamp)
        ensure_directory(place)
    move_files(directory, place)
    return place


def move_files(directory: str, to: str) -> None:
    """Move the files of a vault from ``directory`` into the directory ``to``, the database first.

    Raises:
        StorageError: They cannot be moved.
    """
    try:
        for name in _FILES:
            if os.path.lexists(os.path.join(directory, name)):
                os.replace(os.path.join(directory, name), os.path.join(to, name))
        sync_directory(to)
        sync_directory(directory)
    except OSError as error:
        why = (error.strerror or "unknown error").lower()
        raise StorageError(f"the vault cannot be moved to {to}: {why}", hint="df -h") from error


def whole_vault_event() -> Event:
    """What the log of a new vault says if an old one was set aside."""
    return _event("vault_set_aside")


def definitions_event() -> Event:
    """What the log of a vault says if the definitions of its tables were written again."""
    return _event("definitions")


def record_rollback(connection: Database, keys: Keys, head: Head) -> tuple[Head, Recorded]:
    """Record in the log that an older copy of the vault was put back."""
    return append_event(connection, keys, head, _event("rolled_back"))


def rollback_recorded() -> Mended:
    """What mending says after the log has recorded that an older copy was put back."""
    return Mended(login=None, message="an older copy was put back: the audit log says so now")


def quarantined(connection: Database) -> list[tuple[float, str]]:
    """When each row was set aside, and why."""
    try:
        return list(connection.execute("SELECT since, why FROM quarantine ORDER BY number"))
    except sqlite3.Error:  # its page is torn: ``store info`` still shows the rest
        return []


def _judge(
    keys: Keys, row: tuple[Any, ...], last: dict[str, int] | None
) -> tuple[Login | None, str]:
    name, version, state, _epoch, _idx, _meta, secret = row
    try:
        login = decode_login(keys.open_row("secret", name, version, state, secret))
    except NewerFormat:
        raise
    except (Damaged, AttributeError, TypeError):
        return None, "it does not open"
    if last is not None and last.get(login.id, version) != version:
        return None, "it is not the one that was last saved"
    return login, ""


def _kept(
    connection: Database, keys: Keys, login: Login, row: tuple[Any, ...]
) -> tuple[tuple[tuple[int, ...], int], bool]:
    """Where this row stands in the tree, and whether what stands beside its record was put right."""
    name, version, state, _epoch, idx, meta, secret = row
    index = keys.index(login.alias) if login.alias is not None else None
    if keys.former is not None and login.alias is not None and idx != index:
        former = keys.former.index(login.alias)
        index = former if idx == former else index  # the change of the key has not come to it
    repaired = False
    try:
        keys.open_row("meta", name, version, state, meta)
    except (Damaged, AttributeError, TypeError):
        meta = keys.seal_row("meta", name, version, state, encode_login(login)[0])
        repaired = True
    if idx != index:
        connection.execute("UPDATE login SET idx = NULL WHERE idx = ?", (index,))
        repaired = True
    if repaired:
        connection.execute("UPDATE login SET idx = ?, meta = ? WHERE id = ?", (index, meta, name))
    digest = keys.row_digest(name, version, state, tags_of(index, meta, secret))
    return (leaves_of(name, index), digest), repaired


def _tree(connection: Database) -> dict[int, bytes] | None:
    try:
        return read_tree(connection)
    except sqlite3.DatabaseError:  # its page is torn
        return None


def _set_aside(
    connection: Database, keys: Keys, head: Head, row: tuple[Any, ...], why: str
) -> Head:
    connection.execute(
        f"INSERT INTO quarantine (since, why, {_ROW})"  # noqa: S608  a constant
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (CLOCK.now(), why, *row),
    )
    connection.execute("DELETE FROM login WHERE id IS ?", (row[0],))
    head, _ = append_event(connection, keys, head, _event(SET_ASIDE, _named(row[0])))
    return head


def _event(detail: str, login: str | None = None) -> Event:
    return Event(
        time=CLOCK.now(),
        event=EventKind.STORAGE_CHANGED,
        origin=origin(),
        login=login,
        detail=detail,
    )


def _named(name: object) -> str:
    return name if isinstance(name, str) else "????"


def _head(connection: Database, keys: Keys) -> tuple[Head, bool]:
    """The head, and whether it is as it was written; else one that goes on where the log ends."""
    try:
        return read_head(connection, keys), True
    except Damaged:
        found = connection.execute(
            "SELECT seq, mac FROM audit WHERE seq > 0 ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        seq, mac = found or (0, b"")
        if not isinstance(seq, int) or not isinstance(mac, bytes):
            raise
        connection.execute("DELETE FROM head")
        head = Head(seq=seq, mac=mac, generation=seq)
        connection.execute("INSERT INTO head VALUES (1, ?, ?)", head.encode(keys))
        return head, False
