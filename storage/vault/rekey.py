"""Seals a vault under another root key, in one transaction.

Everything is sealed under the new key, or everything still under the old one; there is no state in
between to resume. A process that dies may leave a key file or a keyring item behind that opens
nothing. The next change of keys removes it.

A database for many hosts uses the parts of this in steps (:mod:`stayfast.storage.postgres.resealing`):
a transaction over all its rows would keep every writer waiting.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from ...engine.audit.events import Event, EventKind
from ...engine.codec import decode_login
from ..audit.keys import write_audit_keys
from ..audit.rows import append_event
from ..audit.segments import ready
from ..host import CLOCK, origin
from ..keys.sealing import KEY_OCTETS, Keys
from .entries import reseal_entries
from .header import KEPT_SECONDS, Earlier, keys_of
from .integrity import Head, check_rows, keep_head
from .tree import leaves_of, root_of, tags_of, tree_of, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .database import Database
    from .header import Header

    Move = Callable[[Header, bytes], Header]

MOST_EARLIER: Final = 16
"""How many former root keys leave the key of what was kept aside."""
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
    after, fresh = renewed(header, keys, move)
    move_audit_keys(connection, keys, fresh, head)
    head = _reseal(connection, keys, fresh, head)
    reseal_entries(connection, keys, fresh)
    head, _ = append_event(connection, fresh, head, rekeyed(f"epoch={after.epoch}"))
    keep_head(connection, fresh, head)
    return after, fresh


def renewed(
    header: Header, keys: Keys, move: Move, *, in_steps: bool = False
) -> tuple[Header, Keys]:
    """The next header with a slot for a new root key, and the keys of that root key.

    The header also has the keys of what was kept aside under earlier root keys, sealed under the new
    one: on another host tokens may wait there that have not been saved yet.

    Args:
        header: The present header.
        keys: Its keys.
        move: Gives the next header.
        in_steps: Whether rows stay sealed under the present root key for now.

    Raises:
        StorageError: The new key cannot be kept where it should be.
    """
    root = os.urandom(KEY_OCTETS)
    after = move(header, root)
    fresh = Keys(root, header.store, after.epoch)
    now = CLOCK.now()
    earlier = [
        Earlier(
            one.epoch,
            one.since,
            fresh.seal_earlier(one.epoch, keys.open_earlier(one.epoch, one.sealed)),
        )
        for one in header.earlier
        if now - one.since < KEPT_SECONDS
    ]
    sealed = fresh.seal_earlier(keys.epoch, keys.arrivals_key)
    after.earlier = (*earlier, Earlier(keys.epoch, now, sealed))[-MOST_EARLIER:]
    if in_steps:
        after.former = (keys.epoch, fresh.seal_former(keys))
    return after, keys_of(after, root)


def move_audit_keys(connection: Database, keys: Keys, fresh: Keys, head: Head) -> None:
    """Seal the keys of the log under ``fresh``, and add one for the coming records."""
    audit = [  # all of them, or none: a part of the log would be lost with a key left out
        (first, keys.open_audit_key(first, sealed))
        for first, sealed in connection.execute("SELECT first_seq, sealed FROM audit_key")
    ]
    if all(first <= head.seq for first, _ in audit):
        audit.append((head.seq + 1, os.urandom(KEY_OCTETS)))
    write_audit_keys(connection, fresh, audit)


def rekeyed(detail: str) -> Event:
    """What the log says of a change of the root key."""
    return Event(time=CLOCK.now(), event=EventKind.STORAGE_CHANGED, origin=origin(), detail=detail)


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
    return head._replace(root=root_of(new, tree), rows=len(rows))


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
