"""The integrity record: the last commit and log record of the vault, and the root of the tree over its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ...engine import cbor
from ...engine.errors import Damaged
from ...engine.hints import Hint
from .tree import head_members, leaves_of, root_of, tags_of, tree_of, write_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..keys.sealing import Keys
    from .database import Database

T = TypeVar("T")
_READ: Final = "SELECT body, mac FROM head"
_READ_TO_WRITE: Final = "SELECT body, mac FROM head FOR UPDATE"
_ROWS: Final = (
    "SELECT id, version, state, idx, substr(meta, length(meta) - 15),"
    " substr(secret, length(secret) - 15) FROM login"
)
_PIECE: Final = f"{_ROWS} WHERE id > ? ORDER BY id LIMIT ?"
_AT_A_TIME: Final = 1000
_HELP: Final = Hint("store mend")


class Moved(NamedTuple):
    """What one row adds to a leaf of the tree."""

    leaf: int
    digest: int
    before: Moved | None


class Head(NamedTuple):
    """The state of the vault as a whole, written with every commit.

    Attributes:
        root: The digest of the tree's first node (:mod:`.tree`); empty where there are no rows.
        rows: How many there are.
        seq: The number of the last audit event.
        mac: Its link in the chain.
        generation: Counts the commits.
        first: The record the log is followed from: those before were pruned, or set aside.
        link: The link before that record.
        forward: The first record whose key was erased (:mod:`stayfast.storage.audit.forward_keys`); 0 if none.
        forward_key: The key of the next record, sealed.
        moved: What this commit adds to leaves of the tree, as a leaf, a digest, and what was moved
            before: so a commit of many logins copies nothing. :func:`keep_head` puts it there.
    """

    root: bytes = b""
    rows: int = 0
    seq: int = 0
    mac: bytes = b""
    generation: int = 0
    first: int = 1
    link: bytes = b""
    forward: int = 0
    forward_key: bytes = b""
    moved: Moved | None = None

    def encode(self, keys: Keys) -> tuple[bytes, bytes]:
        """The head as written, and what shows that it was not edited."""
        body = cbor.encode(
            {
                "root": self.root,
                "count": self.rows,
                "seq": self.seq,
                "mac": self.mac,
                "generation": self.generation,
                "first": self.first,
                "link": self.link,
                "forward": self.forward,
                "forward_key": self.forward_key,
            }
        )
        return body, keys.head_mac(body)

    def with_row(self, leaves: Iterable[int], digest: int) -> Head:
        """The head after a row of that digest came to stand in ``leaves``."""
        moved = self.moved
        for leaf in leaves:
            moved = Moved(leaf, digest, moved)
        return self._replace(moved=moved)

    def without_row(self, leaves: Iterable[int], digest: int) -> Head:
        """The head after a row of that digest went from ``leaves``."""
        return self.with_row(leaves, -digest)


def read_head(connection: Database, keys: Keys, *, for_update: bool = False) -> Head:
    """The head of the vault.

    Args:
        connection: The open vault.
        keys: Its keys.
        for_update: Wait for another writer's transaction to end, where the database allows several.

    Raises:
        Damaged: The record is gone or was edited.
    """
    found = connection.execute(_READ_TO_WRITE if for_update else _READ).fetchone()
    body, mac = found or (None, None)
    members = head_members(keys, body, mac)
    try:
        root, link = members["root"], members["mac"]
        count, seq, generation = members["count"], members["seq"], members["generation"]
        first, before = members["first"], members["link"]
        forward, forward_key = members["forward"], members["forward_key"]
        if (
            not isinstance(root, bytes)
            or not isinstance(link, bytes)
            or not isinstance(count, int)
            or not isinstance(seq, int)
            or not isinstance(generation, int)
            or not isinstance(first, int)
            or not isinstance(before, bytes)
            or not isinstance(forward, int)
            or not isinstance(forward_key, bytes)
        ):
            raise TypeError
    except (TypeError, KeyError) as error:
        raise Damaged("the integrity record of the vault was changed", hint=_HELP) from error
    return Head(root, count, seq, link, generation, first, before, forward, forward_key)


def keep_head(connection: Database, keys: Keys, head: Head) -> Head:
    """Write ``head`` as that of one more commit, and the tree under it; gives it as it was written."""
    root = head.root
    if head.moved is not None:
        root = write_leaves(connection, keys, root, _latest_first(head.moved))
    head = head._replace(root=root, generation=head.generation + 1, moved=None)
    connection.execute("UPDATE head SET body = ?, mac = ?", head.encode(keys))
    return head


def _latest_first(moved: Moved | None) -> Iterator[tuple[int, int]]:
    while moved is not None:
        leaf, digest, moved = moved
        yield leaf, digest


def check_rows(connection: Database, keys: Keys, head: Head) -> None:
    """Compare every row with the integrity record; takes about 10 µs a row.

    Raises:
        Damaged: A row vanished, was added, or is an older one put back.
    """
    compare_rows(keys, head, rows_of(connection))


def rows_of(connection: Database) -> list[Any]:
    """What :func:`compare_rows` compares. It is read at once, so that writers are soon let in."""
    return list(connection.execute(_ROWS))


def released(rows: list[T]) -> Iterator[T]:
    """Each of ``rows`` in turn. The list gives up each of them, so that not all are held until the end."""
    rows.reverse()
    while rows:
        yield rows.pop()


def rows_in_pieces(connection: Database) -> Iterator[Any]:
    """As :func:`rows_of`, some rows at a time. Only a transaction that is open makes them of one moment."""
    after = ""
    while rows := list(connection.execute(_PIECE, (after, _AT_A_TIME))):
        yield from rows
        after = rows[-1][0]


def compare_rows(keys: Keys, head: Head, found: Iterable[Any]) -> dict[int, bytes]:
    """As :func:`check_rows`, of rows that were read together with ``head``; gives their tree."""
    count = 0

    def placed() -> Iterator[tuple[tuple[int, ...], int]]:
        nonlocal count
        for login, version, state, index, meta, secret in found:
            count += 1
            try:
                digest = keys.row_digest(login, version, state, tags_of(index, meta, secret))
                yield leaves_of(login, index), digest
            except (TypeError, AttributeError, ValueError) as error:  # SQLite keeps any type
                raise Damaged("a login in the vault is not one of ours", hint=_HELP) from error

    tree = tree_of(keys, placed())  # only the sums of the leaves are kept
    if count != head.rows:
        raise Damaged(
            f"the vault holds {count} logins and should hold {head.rows}",
            hint=_HELP,
        )
    if root_of(keys, tree) != head.root:
        raise Damaged("a login in the vault is not the one that was last saved", hint=_HELP)
    return tree
