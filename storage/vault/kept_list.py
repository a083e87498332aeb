"""What a list of a large vault shows, kept sealed beside it: the next list opens only what has changed since.

To open a hundred thousand summaries takes seconds, and few of them change between two lists. So what a list
has opened is written into one sealed file, together with the sum of each leaf of the tree (:mod:`.tree`) that
it comes from. Whoever lists next reads the tree, whose root is in the integrity record. A leaf of the same sum
holds the same rows, so what was kept of them is what opening them would give. The rows of every other
leaf are read, compared with the tree as always, and opened.

So the file is believed only as far as the tree confirms it: an older one put back costs time and nothing
else. It has no token, and nothing that the vault does not hold. No commit writes it or waits for it. A list
writes it where much had changed; one that is missing, torn, or sealed under another key is no file, and is made
anew. It is removed where logins are removed or the vault gets another key.

Rows that are not read are not compared. If one of them was changed, this shows when its login is looked up, and
in ``doctor``, ``store info`` and ``audit verify``, which compare all rows.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ...engine import cbor
from ...engine.errors import Damaged, StorageError
from ..private_file import read_private, write_private
from .columns import decode_columns, encode_columns
from .database import one_moment
from .file import LIST
from .integrity import read_head, released
from .login_rows import BY_AGE, opened_summaries
from .pages import ROWS_BETWEEN, beginning_of, bounds_of, nodes_between, sums_in_tree, sums_of
from .reserve import remove_list
from .tree import ID_LEAVES, leaf_of_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...engine.summary import Summary
    from ..keys.sealing import Keys
    from .database import Database

_NAME: Final = "list"
"""The file is sealed as the entry of this name would be (:mod:`.entries`)."""
_OCTETS: Final = 1024  # of one login, at the most; usually 120
_REWRITTEN: Final = 10
"""The file is written where more than one login in so many was opened. To write it takes a tenth of opening all."""
_LAST: Final = ID_LEAVES - 1
_ALL: Final = ("", "\U0010ffff")
_FREE: Final = 4
"""How many times the size of the file must be free for it to be written."""
_LEAF: Final = 2  # octets
_SUM: Final = 32  # octets


class Listing(NamedTuple):
    """What a list found.

    Attributes:
        logins: All logins, the oldest first.
        sums: The sum of each leaf of the tree that has some of them.
        opened: How many were opened for this list.
        removed: Whether the file has logins that are no longer there.
    """

    logins: list[Summary]
    sums: dict[int, int]
    opened: int = 0
    removed: bool = False


_NOTHING: Final = Listing([], {})


class KeptList:
    """The file beside the vault in one directory."""

    def __init__(self, directory: str) -> None:
        """Keep it in ``directory``."""
        self._directory = directory
        self._path = os.path.join(directory, LIST)

    def look(self, connection: Database, keys: Keys) -> Listing | None:
        """Every login; ``None`` where all rows have to be compared: one, or the tree, is not as it was saved.

        Raises:
            Damaged: The integrity record was changed.
        """
        kept = self._read(keys, read_head(connection, keys).rows)  # it takes a while: writers go on
        with one_moment(connection):
            head = read_head(connection, keys)
            nodes = nodes_between(connection, 0, _LAST)
            try:
                sums = sums_in_tree(keys, nodes, head.root, 0, _LAST)
            except (ValueError, AttributeError, TypeError):  # SQLite keeps any type in any column
                return None
            stale = {leaf: total for leaf, total in sums.items() if kept.sums.get(leaf) != total}
            # all, if nothing was kept: a row that somebody added may stand outside of any leaf
            between = (
                [bounds_of(*run) for run in _runs(sorted(sums), stale)] if kept.sums else [_ALL]
            )
            rows: list[Any] = []
            for bounds in between:
                rows += connection.execute(ROWS_BETWEEN, bounds)
        try:
            if sums_of(keys, rows) != stale:
                return None
        except (ValueError, AttributeError, TypeError):
            return None
        ids = {row[0] for row in rows}
        former = {beginning_of(leaf) for leaf in kept.sums if kept.sums[leaf] != sums.get(leaf)}
        logins, removed = kept.logins, False
        if former:
            logins = [one for one in logins if one.id[:3] not in former]
            removed = any(one.id[:3] in former and one.id not in ids for one in kept.logins)
        if len(logins) + len(ids) != head.rows:
            return None
        if ids:
            summaries = ((one[0], one[1], one[2], one[4]) for one in released(rows))
            opened = list(opened_summaries(keys, summaries))
            if len(opened) < len(ids):  # those of a newer version are tried again each time
                unread = ids.difference(one.id for one in opened)
                sums = {leaf: sums[leaf] for leaf in sums.keys() - set(map(leaf_of_id, unread))}
            logins = sorted([*logins, *opened], key=BY_AGE)
        return Listing(logins, sums, len(ids), removed)

    def keep(self, keys: Keys, found: Listing) -> bool:
        """Write ``found``, if it is worth that; says whether it did. Without the file the next list takes longer."""
        if found.opened * _REWRITTEN <= len(found.logins) and not found.removed:
            return False
        logins = [one for one in found.logins if leaf_of_id(one.id) in found.sums]
        octets = cbor.encode(
            {
                "leaves": b"".join([leaf.to_bytes(_LEAF, "big") for leaf in found.sums]),
                "sums": b"".join([total.to_bytes(_SUM, "big") for total in found.sums.values()]),
                "logins": encode_columns(logins),
            }
        )
        sealed = keys.seal_entry(keys.entry_index(_NAME), octets)
        remove_list(self._directory, unfinished=True)
        if len(sealed) > _OCTETS * len(logins) or not _has_room(self._directory, len(sealed)):
            return False
        try:
            write_private(self._path, sealed, durable=False)
        except StorageError:
            return False
        return True

    def _read(self, keys: Keys, rows: int) -> Listing:
        """What was kept; nothing, if the file cannot be read."""
        with suppress(OSError, StorageError, Damaged, ValueError, KeyError, TypeError):
            size = os.lstat(self._path).st_size
            sealed = read_private(self._path, min(size + 1, _OCTETS * rows))
            members = cbor.decode_map(keys.open_entry(keys.entry_index(_NAME), sealed))
            leaves, totals = cast("bytes", members["leaves"]), cast("bytes", members["sums"])
            sums = zip(_numbers(leaves, _LEAF), _numbers(totals, _SUM), strict=True)
            return Listing(decode_columns(cast("bytes", members["logins"])), dict(sums))
        return _NOTHING


def _has_room(directory: str, octets: int) -> bool:
    """Whether enough of the disk stays free: tokens that arrive need room, and a list does not."""
    if not hasattr(os, "statvfs"):
        return True
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize > octets * _FREE


def _numbers(octets: bytes, width: int) -> Iterator[int]:
    return (int.from_bytes(octets[at : at + width], "big") for at in range(0, len(octets), width))


def _runs(leaves: Sequence[int], stale: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The first and last of neighbours among ``leaves`` that are all ``stale``: one statement reads these."""
    first = last = -1
    for leaf in leaves:
        if leaf in stale:
            first, last = leaf if first < 0 else first, leaf
        elif first >= 0:
            yield first, last
            first = -1
    if first >= 0:
        yield first, last
