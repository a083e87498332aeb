"""Seals a vault under another root key, in one transaction.

Everything is sealed under the new key, or everything still under the old one; there is no state in
between to resume. A process that dies may leave a key file or a keyring item behind that opens
nothing. The next change of keys removes it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...engine.audit.events import Event, EventKind
from ...engine.codec import decode_login
from ..audit.keys import write_audit_keys
from ..audit.rows import append_event
from ..audit.segments import ready
from ..host import CLOCK, origin
from ..keys.sealing import KEY_OCTETS, Keys
from .entries import reseal_entries
from .integrity import Head, check_rows, keep_head
from .tree import leaves_of, root_of, tags_of, tree_of, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .database import Database
    from .header import Header

    Move = Callable[[Header, bytes], Header]

_AT_A_TIME: Final = 200


def rekey(connection: Database, header: Header, keys: Keys, move: Move) -> tuple[Header, Keys]:
    """Seal everything under a new root key, in the transaction that is open.

    Gives the next header, which the caller still has to write, and the new keys.

    Args:
        connection: The vault.
        header: Its header.
        keys: Its keys so far.
        move: Gives the next header, with a slot for the new root key.

    Raises:
        Damaged: Something in the vault does not open; ``store mend`` sets it aside first.
    """
    head, _ = ready(connection, keys)
    check_rows(connection, keys, head)
    root = os.urandom(KEY_OCTETS)
    after = move(header, root)
    fresh = Keys(root, header.store, after.epoch)
    audit = [  # all of them, or none: a part of the log would be lost with a key left out
        (first, keys.open_audit_key(first, sealed))
        for first, sealed in connection.execute("SELECT first_seq, sealed FROM audit_key")
    ]
    if all(first <= head.seq for first, _ in audit):
        audit.append((head.seq + 1, os.urandom(KEY_OCTETS)))
    write_audit_keys(connection, fresh, audit)
    head = _reseal(connection, keys, fresh, head)
    reseal_entries(connection, keys, fresh)
    event = Event(
        time=CLOCK.now(),
        event=EventKind.STORAGE_CHANGED,
        origin=origin(),
        detail=f"epoch={after.epoch}",
    )
    head, _ = append_event(connection, fresh, head, event)
    keep_head(connection, fresh, head)
    return after, fresh


def _reseal(connection: Database, old: Keys, new: Keys, head: Head) -> Head:
    """Every row under the new key, and the tree over them; gives the head with its root."""
    rows: list[tuple[tuple[int, ...], int]] = []
    connection.execute("UPDATE login SET idx = NULL")  # an old index could be another row's new one
    for login, version, state, meta, secret in _every_row(connection):
        names = (login, version, state)
        opened = old.open_row("secret", *names, secret)
        alias = decode_login(opened).alias
        index = new.index(alias) if alias is not None else None
        fresh_meta = new.seal_row("meta", *names, old.open_row("meta", *names, meta))
        fresh_secret = new.seal_row("secret", *names, opened)
        connection.execute(
            "UPDATE login SET epoch = ?, idx = ?, meta = ?, secret = ? WHERE id = ?",
            (new.epoch, index, fresh_meta, fresh_secret, login),
        )
        digest = new.row_digest(*names, tags_of(index, fresh_meta, fresh_secret))
        rows.append((leaves_of(login, index), digest))
    tree = tree_of(new, rows)
    write_tree(connection, tree)
    return replace(head, root=root_of(new, tree), count=len(rows))


def _every_row(connection: Database) -> Iterator[tuple[str, int, str, bytes, bytes]]:
    """All rows, some at a time: memory must not hold them all, nor a server be asked for each."""
    after = ""
    while True:
        rows = list(
            connection.execute(
                "SELECT id, version, state, meta, secret FROM login WHERE id > ? ORDER BY id LIMIT ?",
                (after, _AT_A_TIME),
            )
        )
        yield from rows
        if len(rows) < _AT_A_TIME:
            return
        after = rows[-1][0]
