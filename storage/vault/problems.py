"""What is wrong with a vault, in full: its rows one by one, and what the audit log says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import GONE, PURGED, SET_ASIDE, NotAnEvent, members_of_text
from ...engine.errors import Damaged
from ...engine.table import State
from ..audit.rows import BATCH, check_chain, records
from .database import one_moment
from .integrity import compare_rows, read_head, rows_of
from .sqlite_errors import translated
from .tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..keys.sealing import Keys
    from .database import Database


def problems_of(connection: Database, keys: Keys) -> list[str]:
    """What in a vault is not as it was saved, one sentence each; empty if all is well.

    Nothing is opened or compared inside of a transaction: a process that is stopped then holds up nobody.
    """
    found: list[str] = []
    rows: list[Any] | None = None
    try:
        with translated():
            with one_moment(connection):  # the integrity record and the rows of one moment
                head, rows = read_head(connection, keys), rows_of(connection)
                tree = read_tree(connection)
            if compare_rows(keys, head, rows) != tree:
                found.append("the tree under the integrity record is not as it was written")
    except Damaged as error:
        found.append(error.message)
        rows = None  # torn ids cannot be asked for
    try:
        with translated():
            check_chain(connection, keys)
    except Damaged as error:
        found.append(error.message)
    found += [
        f"login {login} does not open"
        for piece in _sealed_rows(connection, None if rows is None else [row[0] for row in rows])
        for login in _unopened(keys, piece)
    ]
    return found


_SEALED: Final = (
    "SELECT CAST(id AS BLOB), version, CAST(state AS BLOB), CAST(meta AS BLOB),"
    " CAST(secret AS BLOB) FROM login"
)
_ROWS: Final = 200  # whole rows that are read at a time


def _sealed_rows(connection: Database, ids: Sequence[str] | None) -> Iterator[list[Any]]:
    """The rows of ``ids``, a piece at a time; or all rows at once."""
    if ids is None:
        yield list(connection.execute(_SEALED))
        return
    for at in range(0, len(ids), _ROWS):
        piece = ids[at : at + _ROWS]
        marks = ", ".join("?" * len(piece))
        yield list(connection.execute(f"{_SEALED} WHERE id IN ({marks})", piece))


def _unopened(keys: Keys, rows: Iterable[Any]) -> Iterator[str]:
    """The first letters of the ids of those rows that do not open."""
    for login, version, state, meta, secret in rows:
        try:
            bound = (login.decode(), version, state.decode())
            keys.open_row("meta", *bound, meta)
            keys.open_row("secret", *bound, secret)
        except (Damaged, UnicodeDecodeError, AttributeError):
            yield (login or b"").decode("ascii", "replace")[:4]


def last_saved(connection: Database, keys: Keys, first: int) -> dict[str, int] | None:
    """The version each login was last saved in, by the log from record ``first`` on.

    ``None`` if a record does not open. Reads the whole log in pieces, about 20 µs an event.
    """
    last: dict[str, int] = {}
    over: set[str] = set()
    after = first - 1
    try:
        while rows := records(connection, after, BATCH):
            for seq, sealed, _mac in rows:
                _follow(members_of_text(keys.open_event(seq, sealed)), last, over)
            after = rows[-1][0]
    except (Damaged, NotAnEvent, TypeError, AttributeError):
        return None
    return last


def _follow(members: Mapping[str, object], last: dict[str, int], over: set[str]) -> None:
    """Bring ``last`` up to one event; ``over`` are the logins that have ended and may be removed."""
    login, version = members.get("login"), members.get("version")
    detail = members.get("detail")
    if isinstance(login, str) and isinstance(version, int):
        last[login] = version
        if members.get("to") == State.IDLE.value:
            over.add(login)
    elif isinstance(login, str) and detail in {SET_ASIDE, GONE}:
        last.pop(login, None)
    elif isinstance(detail, str) and detail.startswith(PURGED):
        for ended in over:  # nothing is known of a login that may have been removed
            last.pop(ended, None)
        over.clear()
