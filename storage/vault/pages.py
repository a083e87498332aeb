"""A page of the logins in a vault: read and compared without the others.

The logins of a page are neighbours by their ids, so they stand in leaves of the tree that are
neighbours (:mod:`.tree`). These leaves are read whole and compared. So the page shows that each of its
logins is the last that was saved, and that none of them is missing, at a cost that does not grow
with the vault.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ...engine.table import PENDING, State
from .database import one_moment
from .integrity import read_head
from .tree import MODULUS, digest_of, leaf_of_id, number_of, path, step, tags_of, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..keys.sealing import Keys
    from .database import Database

FEW: Final = 1000
"""Logins up to which all are read, to be listed by their names: those are sealed."""
MANY: Final = 5000
"""Logins up to which a list reads every row: that takes no longer than what :mod:`.kept_list` does."""
_WAITING: Final = frozenset(state.value for state in PENDING)
_LEFT_OUT: Final = ", ".join(f"'{state}'" for state in sorted({State.IDLE.value, *_WAITING}))
_IDS: Final = f"SELECT id FROM login WHERE state NOT IN ({_LEFT_OUT}) ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608  our own words
ROWS_BETWEEN: Final = (
    "SELECT id, version, state, idx, meta, substr(secret, length(secret) - 15) FROM login"
    " WHERE id >= ? AND id <= ? ORDER BY id"
)
_NODES: Final = (
    "SELECT place, body FROM tree WHERE place = 0 OR place BETWEEN ? AND ? OR place BETWEEN ? AND ?"
)
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BEHIND: Final = "\x7f"  # stands after every character of an id


def page_of(connection: Database, keys: Keys, offset: int, limit: int) -> list[Any] | None:
    """The id, version, state and sealed summary of ``limit`` finished logins, in the order of ids.

    Args:
        connection: The open vault.
        keys: Its keys.
        offset: How many finished logins are left out.
        limit: How many are given, at least 1.

    Returns:
        ``None`` where all rows have to be looked at: the page reaches those that wait for their user,
        or something in these leaves is not as it was saved.

    Raises:
        Damaged: The integrity record was changed.
    """
    with one_moment(connection):  # all of one moment
        head = read_head(connection, keys)
        ids = [found[0] for found in connection.execute(_IDS, (limit, offset))]
        if len(ids) < limit:
            return None
        try:
            # what is missing before the first page would be missing in it
            first, last = leaf_of_id(ids[0]) if offset else 0, leaf_of_id(ids[-1])
        except (ValueError, AttributeError, TypeError):  # SQLite keeps any type in any column
            return None
        rows = list(connection.execute(ROWS_BETWEEN, bounds_of(first, last)))
        nodes = nodes_between(connection, first, last)
    try:
        if sums_of(keys, rows) != sums_in_tree(keys, nodes, head.root, first, last):
            return None
    except (ValueError, AttributeError, TypeError):  # a torn node, or another type
        return None
    shown = set(ids)
    page = [(one[0], one[1], one[2], one[4]) for one in rows if one[0] in shown]
    # a row that stands in no leaf must not take the place of another
    return page if len(page) == len(ids) else None


def page_of_all(rows: Iterable[Any], offset: int, limit: int) -> list[Any]:
    """As :func:`page_of`, of all ``rows`` of the vault: those that wait for their user come last."""
    listed = [row for row in rows if row[2] != State.IDLE.value]
    listed.sort(key=lambda row: (row[2] in _WAITING, row[0]))
    return listed[offset : offset + limit]


def nodes_between(connection: Database, first: int, last: int) -> dict[int, bytes]:
    """The nodes of the tree above the leaves from ``first`` to ``last``."""
    (_, *low), (_, *high) = path(first), path(last)
    within = [place for pair in zip(low, high, strict=True) for place in pair]
    return dict(connection.execute(_NODES, within))


def bounds_of(first: int, last: int) -> tuple[str, str]:
    """Between what the ids are that stand in the leaves from ``first`` to ``last``: for :data:`ROWS_BETWEEN`."""
    return beginning_of(first), beginning_of(last) + _BEHIND


def beginning_of(leaf: int) -> str:
    """How the ids begin that stand in ``leaf``: their first three characters."""
    rest, third = divmod(leaf, len(_DIGITS))
    first, second = divmod(rest, len(_DIGITS))
    return _DIGITS[first] + _DIGITS[second] + _DIGITS[third]


def sums_of(keys: Keys, rows: Iterable[Any]) -> dict[int, int]:
    """The sum of each leaf that ``rows`` of :data:`ROWS_BETWEEN` stand in.

    Raises:
        ValueError, AttributeError, TypeError: One of them is no row of ours.
    """
    sums: dict[int, int] = {}
    for login, version, state, index, meta, secret in rows:
        leaf = leaf_of_id(login)
        digest = keys.row_digest(login, version, state, tags_of(index, meta, secret))
        sums[leaf] = (sums.get(leaf, 0) + digest) % MODULUS
    return sums


def sums_in_tree(
    keys: Keys, nodes: Mapping[int, bytes], root: bytes, first: int, last: int
) -> dict[int, int]:
    """What the tree has for the leaves from ``first`` to ``last``; those without rows are left out.

    Raises:
        ValueError: A node is not the one that was written.
    """

    @cache
    def entries(place: int) -> dict[int, bytes]:
        above, number = step(place) if place else (0, 0)
        expected = entries(above).get(number, b"") if place else root
        body = nodes.get(place, b"")
        if digest_of(keys, place, body) != expected:
            raise ValueError("not the node that was written")
        return unpacked(body)

    lowest, behind = path(first)[-1], path(last)[-1] + 1
    at = first - number_of(first)
    found: dict[int, int] = {}
    for place in range(lowest, behind):
        for number, entry in entries(place).items():
            leaf = at + number
            if first <= leaf <= last:
                found[leaf] = int.from_bytes(entry, "big")
        at += len(_DIGITS)
    return found
