"""The rows of logins: the change of one is written into its row, and lists are read from theirs."""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import Damaged, NewerFormat, StorageConflict
from ...engine.hints import Hint
from ...engine.summary_codec import decode_summary
from .file import open_secret
from .tree import leaves_of, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...engine.ports import Change
    from ...engine.record import Login
    from ...engine.summary import Summary
    from ..keys.sealing import Keys
    from .database import Database
    from .file import Row
    from .integrity import Head

BY_AGE: Final = attrgetter("created_at", "id")
"""The order of a list: the oldest login first."""
_AFTER_ALL_IDS: Final = "~"


def summaries_in(connection: Database, keys: Keys, prefix: str = "") -> Iterator[Summary]:
    """The logins whose ids begin with ``prefix``. Rows that do not open are left out.

    The database finds them by its index. That a row is the last one that was saved is not shown here.
    """
    found = connection.execute(
        "SELECT id, version, state, meta FROM login WHERE id >= ? AND id < ?",
        (prefix, prefix + _AFTER_ALL_IDS),
    )
    # read at once: a caller that stops between two rows must not hold up a writer
    yield from opened_summaries(keys, list(found))


def opened_summaries(keys: Keys, rows: Iterable[Any]) -> Iterator[Summary]:
    """The summaries in ``rows``, each an id, version, state and sealed summary, that open."""
    for login, version, state, meta in rows:
        try:
            yield decode_summary(keys.open_row("meta", login, version, state, meta))
        except (Damaged, NewerFormat):
            continue


def login_in(keys: Keys, row: Row) -> Login:
    """The login in ``row``.

    Raises:
        Damaged, NewerFormat: It does not open, or cannot be read.
    """
    from ...engine.codec import decode_login  # noqa: PLC0415  a list opens summaries alone

    return decode_login(open_secret(keys, row))


def put_logins(connection: Database, keys: Keys, head: Head, changes: Sequence[Change]) -> Head:
    """Write the last record of each login in ``changes``, which are one commit; gives the new head.

    Each is written over the version that the first change of its login was decided upon.

    Raises:
        StorageConflict: Another version is there, or another login has its alias.
    """
    latest: dict[str, tuple[Change, int]] = {}
    for change in changes:
        login = change.login
        before = latest.pop(login.id, None)  # put in again at the end, where the record is written
        if before is not None and before[0].login.version != login.version - 1:
            raise _changed(login)
        latest[login.id] = change, login.version - 1 if before is None else before[1]
    for change, over in latest.values():
        head = put_record(connection, keys, head, change.login, change.fence, over=over)
    return head


def put_record(
    connection: Database,
    keys: Keys,
    head: Head,
    login: Login,
    fence: int,
    *,
    over: int | None = None,
) -> Head:
    """As :func:`put_logins`, of one record, which is written over version ``over``: the one before."""
    found = connection.execute(
        "SELECT version, state, idx, substr(meta, length(meta) - 15),"
        " substr(secret, length(secret) - 15) FROM login"
        " WHERE id = ?",
        (login.id,),
    ).fetchone()
    if (found[0] if found else 0) != (login.version - 1 if over is None else over):
        raise _changed(login)
    from ...engine.codec import encode_login  # noqa: PLC0415  as above

    meta, secret = encode_login(login)
    names = (login.id, login.version, login.state.value)
    meta = keys.seal_row("meta", *names, meta)
    secret = keys.seal_row("secret", *names, secret)
    index = keys.index(login.alias) if login.alias is not None else None
    if keys.former is not None and login.alias is not None:
        _refuse_another(connection, keys.former.index(login.alias), login)
    try:
        if not found:
            connection.execute(
                "INSERT INTO login (id, version, fence, state, epoch, idx, meta, secret)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*names[:2], fence, names[2], keys.epoch, index, meta, secret),
            )
        else:
            # an index that stays is not named: the database would write its page all the same
            moved, of_index = ("", ()) if index == found[2] else (", idx = ?", (index,))
            connection.execute(
                "UPDATE login SET version = ?, fence = ?, state = ?, epoch = ?, meta = ?,"  # noqa: S608  one column or none
                f" secret = ?{moved} WHERE id = ?",
                (login.version, fence, names[2], keys.epoch, meta, secret, *of_index, login.id),
            )
    except sqlite3.IntegrityError as error:
        raise _another_finished(login) from error
    digest = keys.row_digest(*names, tags_of(index, meta, secret))
    head = head.with_row(leaves_of(login.id, index), digest)
    if not found:
        return head._replace(rows=head.rows + 1)
    version, state, index, meta, secret = found
    try:
        digest = keys.row_digest(login.id, version, state, tags_of(index, meta, secret))
        return head.without_row(leaves_of(login.id, index), digest)
    except (TypeError, AttributeError) as error:  # SQLite keeps any type in any column
        raise Damaged("the login that was there is not one of ours", hint=Hint("list")) from error


def _changed(login: Login) -> StorageConflict:
    return StorageConflict(
        f"login {login.short_id} has been changed by another process",
        hint=Hint("status", login.provider),
    )


def _refuse_another(connection: Database, index: bytes, login: Login) -> None:
    """Refuse a second login of one alias where the first still stands under its former index."""
    found = connection.execute("SELECT id FROM login WHERE idx = ?", (index,)).fetchone()
    if found is not None and found[0] != login.id:
        raise _another_finished(login)


def _another_finished(login: Login) -> StorageConflict:
    return StorageConflict(
        f"another login of {login.provider} was finished at the same time",
        hint=Hint("status", login.provider),
    )
