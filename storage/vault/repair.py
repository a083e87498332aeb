"""What does not open is set aside, whole; what is left is a vault that can be relied on again.

Nothing is deleted. A row that is torn, that belongs elsewhere or that is an older one put back goes
into the quarantine, its login's name becomes free, and the audit log tells of it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import GONE, SET_ASIDE, Event, EventKind
from ...engine.codec import decode_login, encode_login
from ...engine.errors import Damaged, NewerFormat
from ..audit.rows import append_event
from ..host import SystemClock, origin
from .integrity import Head, keep_head, read_head, read_tree, root_of, tree_of, write_tree
from .tamper_check import last_saved
from .tree import leaves_of, tags_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.record import Login
    from ..keys.sealing import Keys
    from .database import Database

_clock: Final = SystemClock()
_ROW: Final = "id, version, state, epoch, idx, meta, secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """One thing that was put right.

    Attributes:
        login: The id of the login it was about, as far as it could be read.
        message: What was done, in one sentence.
    """

    login: str | None
    message: str


def mend(connection: sqlite3.Connection, keys: Keys) -> list[Mended]:
    """Put right what can be, in the transaction that is open.

    Raises:
        Damaged: The database itself cannot be read.
    """
    head, sound = _head(connection, keys)
    before = head.seq
    done: list[Mended] = []
    last = last_saved(connection, keys, head.first)
    rows: list[tuple[tuple[int, ...], int]] = []
    for row in connection.execute(f"SELECT {_ROW} FROM login").fetchall():  # noqa: S608  a constant
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
    if not sound or counted != (head.root, head.count) or tree != _tree(connection):
        if not done:
            done.append(Mended(login=None, message="the integrity record"))
        write_tree(connection, tree)
        head = replace(head, root=counted[0], count=counted[1])
    if done and head.seq == before:  # no row went: the log tells of the integrity record alone
        head, _ = append_event(connection, keys, head, _event("integrity record"))
    if done:
        keep_head(connection, keys, head)
    return done


def record_rollback(connection: Database, keys: Keys, head: Head) -> tuple[Head, Recorded]:
    """Put into the log that an older copy of the vault was put back."""
    return append_event(connection, keys, head, _event("rolled_back"))


def quarantined(connection: sqlite3.Connection) -> list[tuple[float, str]]:
    """When each row was set aside, and why."""
    try:
        return connection.execute("SELECT since, why FROM quarantine ORDER BY number").fetchall()
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
    connection: sqlite3.Connection, keys: Keys, login: Login, row: tuple[Any, ...]
) -> tuple[tuple[tuple[int, ...], int], bool]:
    """Where this row stands in the tree, and whether what stands beside its record was put right."""
    name, version, state, _epoch, idx, meta, secret = row
    index = keys.index(login.alias) if login.alias is not None else None
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


def _tree(connection: sqlite3.Connection) -> dict[int, bytes] | None:
    try:
        return read_tree(connection)
    except sqlite3.DatabaseError:  # its page is torn
        return None


def _set_aside(
    connection: sqlite3.Connection, keys: Keys, head: Head, row: tuple[Any, ...], why: str
) -> Head:
    connection.execute(
        f"INSERT INTO quarantine (since, why, {_ROW})"  # noqa: S608  a constant
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_clock.now(), why, *row),
    )
    connection.execute("DELETE FROM login WHERE id IS ?", (row[0],))
    head, _ = append_event(connection, keys, head, _event(SET_ASIDE, _named(row[0])))
    return head


def _event(detail: str, login: str | None = None) -> Event:
    return Event(
        time=_clock.now(),
        event=EventKind.STORAGE_CHANGED,
        origin=origin(),
        login=login,
        detail=detail,
    )


def _named(name: object) -> str:
    return name if isinstance(name, str) else "????"


def _head(connection: sqlite3.Connection, keys: Keys) -> tuple[Head, bool]:
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
