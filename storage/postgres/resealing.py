"""Changes the root key of a database in steps, while every program goes on with its work.

One transaction over all rows would keep every writer of every host waiting. So the change has steps,
each a short transaction:

1. The header names the new root key, and has the former one sealed under it. The integrity record,
   the tree and the entries change over to the new key. From now on the former key alone opens no
   integrity record, and no writer uses it.
2. Some rows at a time are sealed under the new key. Each row says by its epoch which key it is under.
   Who reads a row tries the new key and then the former one (:class:`..keys.sealing.Keys`).
3. Once no row is left, the header forgets the former key.

A process that dies in between leaves a database that works. ``store mend`` and the next ``store rekey``
go on where it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ...engine.codec import decode_login
from ...engine.errors import Damaged, NewerFormat
from ...engine.hints import Hint
from ..audit.rows import append_event
from ..audit.segments import ready
from ..vault.database import one_moment
from ..vault.entries import reseal_entries
from ..vault.file import row_by_alias
from ..vault.integrity import keep_head, read_head, rows_of
from ..vault.rekey import move_audit_keys, rekeyed
from ..vault.tree import (
    leaves_of,
    read_by_alias,
    read_by_index,
    root_of,
    tags_of,
    tree_of,
    write_tree,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..keys.sealing import Keys
    from ..vault.database import Database
    from ..vault.file import Row
    from ..vault.header import Header
    from ..vault.integrity import Head
    from ..vault.tree import Found

    Placed = tuple[tuple[int, ...], int]

BATCH: Final = 300
"""Rows that are written in one transaction, for which every writer waits."""
_HELP: Final = Hint("store mend")
_RESEAL: Final = """
UPDATE login SET epoch = ?, idx = new.idx, meta = new.meta, secret = new.secret
FROM unnest(?::text[], ?::bigint[], ?::bytea[], ?::bytea[], ?::bytea[])
  AS new (id, version, idx, meta, secret)
WHERE login.id = new.id AND login.version = new.version AND login.epoch <> ?
RETURNING login.id
"""


class Digests:
    """The digests of rows under two integrity keys. They are made before any writer has to wait."""

    def __init__(self, old: Keys, new: Keys) -> None:
        """Make none yet."""
        self._old = old
        self._new = new
        self._known: dict[Any, tuple[tuple[int, ...], int, int]] = {}

    def add(self, rows: Iterable[Any]) -> None:
        """Make those of ``rows``, as :func:`..vault.integrity.rows_of` gives them.

        Raises:
            Damaged: A row is not one of ours.
        """
        for row in rows:
            if row in self._known:
                continue
            login, version, state, index, meta, secret = row
            tags = tags_of(index, meta, secret)
            try:
                self._known[row] = (
                    leaves_of(login, index),
                    self._old.row_digest(login, version, state, tags),
                    self._new.row_digest(login, version, state, tags),
                )
            except (TypeError, AttributeError, ValueError) as error:
                raise Damaged("a login in the database is not one of ours", hint=_HELP) from error

    def placed(self, rows: Iterable[Any]) -> tuple[list[Placed], list[Placed]]:
        """Where ``rows`` stand in the tree, with their former and their new digests."""
        found = [self._known[row] for row in rows]
        return (
            [(leaves, old) for leaves, old, _ in found],
            [(leaves, new) for leaves, _, new in found],
        )


def check_that_all_open(database: Database, keys: Keys) -> None:
    """Open every row, some at a time; no writer waits.

    A row that cannot be sealed anew would keep the change of the key from coming to its end.

    Raises:
        Damaged: One does not open.
        NewerFormat: A newer version wrote one.
    """
    after = ""
    while rows := _some(database, "id > ?", (after,)):
        for login, version, state, _, meta, secret in rows:
            try:
                keys.open_row("meta", login, version, state, meta)
                decode_login(keys.open_row("secret", login, version, state, secret))
            except Damaged as error:
                raise Damaged(f"login {login[:4]} does not open", hint=_HELP) from error
        after = rows[-1][0]


def begin(database: Database, keys: Keys, fresh: Keys, header: Header, digests: Digests) -> Head:
    """Step 1, in the open transaction, which holds the integrity record. The caller writes the header.

    Args:
        database: The database.
        keys: The present keys.
        fresh: The keys of the new root key.
        header: The header that names it.
        digests: Those of the rows as they were a moment ago.

    Raises:
        Damaged: The rows are not as they were saved.
    """
    head, _ = ready(database, keys)
    rows = rows_of(database)
    digests.add(rows)
    before, after = digests.placed(rows)
    if len(rows) != head.rows or root_of(keys, tree_of(keys, before)) != head.root:
        raise Damaged("a login in the database is not the one that was last saved", hint=_HELP)
    move_audit_keys(database, keys, fresh, head)
    tree = tree_of(fresh, after)
    write_tree(database, tree)
    # who saves an entry without an event waits for no other writer, so it must wait here
    database.execute("LOCK TABLE entry IN SHARE ROW EXCLUSIVE MODE")
    reseal_entries(database, keys, fresh)
    head = head._replace(root=root_of(fresh, tree))
    head, _ = append_event(database, fresh, head, rekeyed(f"epoch={header.epoch}"))
    return keep_head(database, fresh, head)


class Batch:
    """Some rows, sealed anew before any writer has to wait.

    Attributes:
        last: The id of the last row; ``None`` if there was none left.
        torn: The ids of the rows that do not open.
    """

    def __init__(self, database: Database, keys: Keys, after: str) -> None:
        """Read rows after the id ``after`` that are under the former key, and seal them."""
        rows = _some(database, "epoch <> ? AND id > ?", (keys.epoch, after))
        self.last: str | None = rows[-1][0] if rows else None
        self.torn: list[str] = []
        self._keys = keys
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [])
        self._moved: dict[str, list[tuple[int, int]]] = {}
        for row in rows:
            try:
                self._seal(*row)
            except (Damaged, NewerFormat):
                self.torn.append(row[0])

    def _seal(
        self, login: str, version: int, state: str, index: bytes | None, meta: bytes, secret: bytes
    ) -> None:
        keys, names = self._keys, (login, version, state)
        opened = keys.open_row("secret", *names, secret)
        alias = decode_login(opened).alias
        fresh = (
            None if alias is None else keys.index(alias),
            keys.seal_row("meta", *names, keys.open_row("meta", *names, meta)),
            keys.seal_row("secret", *names, opened),
        )
        old_digest = keys.row_digest(*names, tags_of(index, meta, secret))
        new_digest = keys.row_digest(*names, tags_of(*fresh))
        self._moved[login] = [
            *((leaf, -old_digest) for leaf in leaves_of(login, index)),
            *((leaf, new_digest) for leaf in leaves_of(login, fresh[0])),
        ]
        for column, value in zip(self._columns, (login, version, *fresh), strict=True):
            column.append(value)

    def write(self, database: Database) -> None:
        """Write them, in the open transaction.

        It can be done again. A row that a writer has changed meanwhile is under the new key already.

        Raises:
            Damaged: The keys are no longer those of the database. Then no row was found torn, either.
        """
        if self.last is None:
            return
        head = read_head(database, self._keys, for_update=True)
        epoch = self._keys.epoch
        written = database.execute(_RESEAL, (epoch, *self._columns, epoch))
        for (login,) in list(written):
            for leaf, digest in self._moved[login]:
                head = head.with_row((leaf,), digest)
        keep_head(database, self._keys, head)


def left(database: Database, keys: Keys) -> int:
    """How many rows are not sealed under the root key of ``keys``."""
    found = database.execute("SELECT count(*) FROM login WHERE epoch <> ?", (keys.epoch,))
    return int(next(iter(found))[0])


def end(database: Database, keys: Keys) -> Head | None:
    """Step 3, in the open transaction. The caller writes the header without the former key.

    ``None`` if there are rows left.
    """
    head = read_head(database, keys, for_update=True)
    if left(database, keys):
        return None
    head, _ = append_event(database, keys, head, rekeyed(f"epoch={keys.epoch} complete"))
    return keep_head(database, keys, head)


def found_by_alias(database: Database, keys: Keys, alias: str) -> Found:
    """The row of ``alias`` as :func:`..vault.tree.read_by_alias` gives it, under either index."""
    found = read_by_alias(database, keys, alias)
    if found[0] is not None or keys.former is None:
        return found
    with one_moment(database):  # one moment: the row could go from the one index to the other
        found = read_by_alias(database, keys, alias)
        if found[0] is not None:
            return found
        row, genuine, generation = read_by_index(database, keys, keys.former.index(alias))
        return row, genuine and found[1], generation


def row_filed(database: Database, keys: Keys, alias: str) -> Row | None:
    """The row of ``alias``, still sealed, under either index."""
    if keys.former is None:
        return row_by_alias(database, keys, alias)
    row: Row | None = database.execute(
        "SELECT id, version, state, meta, secret FROM login WHERE idx IN (?, ?)",
        (keys.index(alias), keys.former.index(alias)),
    ).fetchone()
    return row


def _some(database: Database, where: str, values: tuple[object, ...]) -> list[Any]:
    columns = "id, version, state, idx, meta, secret"
    sql = f"SELECT {columns} FROM login WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608  constants
    return list(database.execute(sql, (*values, BATCH)))
