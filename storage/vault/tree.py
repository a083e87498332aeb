"""The tree under the integrity record: shows that one row is the last that was saved.

A seal shows that a row was written here once, for this login and version. It does not show that the
row is the latest, nor that a missing row was never there. The tree does, and looking at one login
costs the same in a vault of ten and of a hundred thousand::

    head (sealed)        root: the digest of node 0
    node 0               one digest for each node of the next level that holds something
    nodes 1 to 62        the same for the level below
    nodes from 100 on    one sum for each leaf that holds rows
    leaf                 the rows whose id, or whose index, begins alike

Every row stands in two leaves: that of its id, and that of its index if it has one. So it can be
looked up by either, and what is missing shows in the leaf where it should be. A leaf is the sum of
the keyed digests of its rows, modulo 2**256; a node is hashed with the key and its place. Without the
key one can put old rows and nodes back, but no combination of them fits the root of the present head.

A writer adds to a leaf what its row became and takes away what it was; it does not read the other
rows of the leaf. So a row that was torn or exchanged stays visible however often its neighbours are
saved. For the same reason a writer passes a new digest to the node above only where the old one
fitted: a node that was exchanged does not become genuine by the next commit.

``stayfast token`` reads through here, so this module loads nothing.
"""

from __future__ import annotations

from ...engine import cbor
from ...engine.hints import Hint
from ...engine.storage_errors import Damaged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from ..keys.sealing import Keys
    from .database import Database
    from .file import Row

    Found: TypeAlias = "tuple[Row | None, bool, int]"

MODULUS = 1 << 256
_HELP = Hint("store mend")
_FAN = 36  # ids are written in letters and digits: one character is one step down
_ID_STEPS = 3
ID_LEAVES: int = _FAN**_ID_STEPS
_MIDDLE, _LOWEST = 1, 100  # the first place of either level; the root is place 0
_BITMAP, _ENTRY = 8, 32  # octets
_AT_ONCE = 500  # places that one statement asks for: databases allow some thousands of values
_AT_A_TIME = 100  # nodes that are written with one statement
_LOGIN, _NODE = 2, 1  # the first column: what kind of row it is

# One statement, so that all of it is of one moment. The login's columns come first: PostgreSQL takes the
# types from there.
_READ = (
    "SELECT 2, id, version, state, idx, meta, secret FROM login WHERE %s"
    " UNION ALL SELECT 1, NULL, place, NULL, NULL, body, NULL FROM tree WHERE place IN (?, ?, ?)"
    " UNION ALL SELECT 0, NULL, NULL, NULL, NULL, body, mac FROM head"
)
_READ_BY_ID = _READ % "id >= ? AND id <= ?"
_READ_BY_INDEX = _READ % "idx >= ? AND idx <= ?"


def leaf_of_id(login: str) -> int:
    """The leaf in which the row of ``login`` stands by its id.

    Raises:
        ValueError: No login has such an id.
    """
    beginning = login[:_ID_STEPS]
    # int() also reads blanks, underscores, small letters and the digits of other scripts
    plain = beginning.isascii() and beginning.isalnum() and beginning == beginning.upper()
    if len(beginning) < _ID_STEPS or not plain:
        raise ValueError("no login has such an id")
    return int(beginning, _FAN)


def leaf_of_index(index: bytes) -> int:
    """The leaf in which a row stands by its index, which is 16 octets of a keyed digest."""
    first = int.from_bytes(index[:2], "big")
    return ID_LEAVES + first // 2


def leaves_of(login: str, index: bytes | None) -> tuple[int, ...]:
    """The leaves in which a row stands.

    Raises:
        ValueError: No login has such an id.
    """
    by_id = leaf_of_id(login)
    return (by_id,) if index is None else (by_id, leaf_of_index(index))


def path(leaf: int) -> tuple[int, int, int]:
    """The places of the nodes from the root to ``leaf``."""
    return 0, _MIDDLE + leaf // (_FAN * _FAN), _LOWEST + leaf // _FAN


def step(place: int) -> tuple[int, int]:
    """The place of the node above ``place``, and under which number ``place`` is found in it."""
    if place >= _LOWEST:
        return _MIDDLE + (place - _LOWEST) // _FAN, (place - _LOWEST) % _FAN
    return 0, place - _MIDDLE


def number_of(leaf: int) -> int:
    """Under which number ``leaf`` is found in the lowest node of its path."""
    return leaf % _FAN


def unpacked(body: bytes) -> dict[int, bytes]:
    """The entries of a node by their numbers.

    Raises:
        ValueError: No node looks like this.
    """
    bits = int.from_bytes(body[:_BITMAP], "big")
    numbers: list[int] = []
    while bits:
        numbers.append((bits & -bits).bit_length() - 1)
        bits &= bits - 1
    if len(body) not in (0, _BITMAP + _ENTRY * len(numbers)):
        raise ValueError("no node is this long")
    return {
        number: body[_BITMAP + _ENTRY * at : _BITMAP + _ENTRY * (at + 1)]
        for at, number in enumerate(numbers)
    }


def packed(entries: Mapping[int, bytes]) -> bytes:
    """A node as it is written; nothing at all where it has no entry."""
    if not entries:
        return b""
    bits = sum(1 << number for number in entries)
    return bits.to_bytes(_BITMAP, "big") + b"".join(entries[number] for number in sorted(entries))


def digest_of(keys: Keys, place: int, body: bytes) -> bytes:
    """What stands for a node in the node above; nothing at all for an empty one."""
    return keys.node_digest(place, body) if body else b""


def tags_of(index: bytes | None, meta: bytes, secret: bytes) -> bytes:
    """The part of a row's digest besides its names: its index and its seals."""
    return (index or b"") + meta[-16:] + secret[-16:]


def head_members(keys: Keys, body: object, mac: object) -> Mapping[str, cbor.Plain]:
    """The members of the integrity record, whose seal is compared.

    Raises:
        Damaged: The record is gone or was edited.
    """
    try:
        if not isinstance(body, bytes) or keys.head_mac(body) != mac:
            raise ValueError
        return cbor.decode_map(body)
    except (TypeError, ValueError, KeyError) as error:
        raise Damaged("the integrity record of the vault was changed", hint=_HELP) from error


def read_by_id(connection: Database, keys: Keys, login: str) -> Found:
    """The row of ``login``, still sealed, and whether the tree shows it to be the last saved.

    ``None`` for a login that is not there; then the tree shows whether it should be. The third is
    the generation of the vault.

    Raises:
        Damaged: The integrity record was edited.
    """
    try:
        leaf, beginning = leaf_of_id(login), login[:_ID_STEPS]
    except ValueError:  # so none was saved under it; any leaf serves to see that
        leaf, beginning = 0, "0" * _ID_STEPS
    bounds = beginning, beginning + "\x7f"
    rows, genuine, generation = _read(connection, keys, _READ_BY_ID, leaf, bounds)
    return next((row for _, row in rows if row[0] == login), None), genuine, generation


def read_by_alias(connection: Database, keys: Keys, alias: str) -> Found:
    """As :func:`read_by_id`, by its alias."""
    return read_by_index(connection, keys, keys.index(alias))


def read_by_index(connection: Database, keys: Keys, index: bytes) -> Found:
    """As :func:`read_by_id`, by its index."""
    leaf = leaf_of_index(index)
    first = 2 * (leaf - ID_LEAVES)
    bounds = first.to_bytes(2, "big"), (first + 1).to_bytes(2, "big") + b"\xff" * 14
    rows, genuine, generation = _read(connection, keys, _READ_BY_INDEX, leaf, bounds)
    return next((row for at, row in rows if at == index), None), genuine, generation


def _read(
    connection: Database, keys: Keys, sql: str, leaf: int, bounds: tuple[object, object]
) -> tuple[list[tuple[bytes, Row]], bool, int]:
    places = path(leaf)
    rows: list[tuple[bytes, Row]] = []
    nodes: dict[int, bytes] = {}
    head: tuple[object, object] = (None, None)
    for kind, login, number, state, index, meta, secret in connection.execute(
        sql, (*bounds, *places)
    ):
        if kind == _LOGIN:
            rows.append((index, (login, number, state, meta, secret)))
        elif kind == _NODE:
            nodes[number] = meta
        else:
            head = (meta, secret)
    members = head_members(keys, *head)
    generation = members.get("generation")
    try:
        entry = _entry(keys, nodes, places, number_of(leaf), members.get("root"))
        genuine = _sum(keys, rows) == entry
    except (ValueError, TypeError, AttributeError):  # a torn node; or SQLite kept another type
        genuine = False
    return rows, genuine, generation if isinstance(generation, int) else 0


def _sum(keys: Keys, rows: Iterable[tuple[bytes, Row]]) -> int:
    return (
        sum(
            keys.row_digest(login, version, state, tags_of(index, meta, secret))
            for index, (login, version, state, meta, secret) in rows
        )
        % MODULUS
    )


def _entry(
    keys: Keys, nodes: Mapping[int, bytes], places: tuple[int, int, int], number: int, root: object
) -> int:
    """The sum that stands in the tree for a leaf.

    Raises:
        ValueError: A node on the way is not the one that was written.
    """
    numbers = (step(places[1])[1], step(places[2])[1], number)
    expected, entry = root, b""
    for place, taken in zip(places, numbers, strict=True):
        body = nodes.get(place, b"")
        if digest_of(keys, place, body) != expected:
            raise ValueError("not the node that was written")
        expected = entry = unpacked(body).get(taken, b"")
    return int.from_bytes(entry, "big")


# --- writing ---


def write_leaves(
    connection: Database, keys: Keys, root: bytes, moved: Iterable[tuple[int, int]]
) -> bytes:
    """Bring the leaves and the nodes above them up to date; gives the new root.

    A digest goes up only where the old one fitted. Otherwise the next commit would make an exchanged
    row look genuine.
    """
    sums: dict[int, int] = {}
    for leaf, digest in moved:
        sums[leaf] = (sums.get(leaf, 0) + digest) % MODULUS
    places = sorted({place for leaf in sums for place in path(leaf)}, reverse=True)
    bodies: dict[int, bytes] = dict.fromkeys(places, b"")
    for at in range(0, len(places), _AT_ONCE):
        piece = places[at : at + _AT_ONCE]
        marks = ", ".join("?" * len(piece))
        for place, body in connection.execute(
            f"SELECT place, body FROM tree WHERE place IN ({marks})",  # noqa: S608  question marks
            piece,
        ):
            bodies[place] = body if isinstance(body, bytes) else b"?"
    nodes = {place: _entries(body) for place, body in bodies.items()}
    digests = {place: digest_of(keys, place, body) for place, body in bodies.items()}
    genuine = {
        place: digests[place] == (nodes[step(place)[0]].get(step(place)[1], b"") if place else root)
        for place in places
    }
    for leaf, digest in sums.items():
        node, number = nodes[path(leaf)[-1]], number_of(leaf)
        total = (int.from_bytes(node.get(number, b""), "big") + digest) % MODULUS
        _put(node, number, total.to_bytes(32, "big") if total else b"")
    written: list[tuple[int, bytes]] = []
    for place in places:  # the lowest first: what is above takes their digests
        body = packed(nodes[place])
        written.append((place, body))
        if not genuine[place]:
            continue
        if place:
            above, number = step(place)
            _put(nodes[above], number, digest_of(keys, place, body))
        else:
            root = digest_of(keys, place, body)
    _write_nodes(connection, written)
    return root


def _write_nodes(connection: Database, nodes: Sequence[tuple[int, bytes]]) -> None:
    """Write some nodes with each statement: a server answers each statement by itself."""
    for at in range(0, len(nodes), _AT_A_TIME):
        some = nodes[at : at + _AT_A_TIME]
        marks = ", ".join(["(?, ?)"] * len(some))
        connection.execute(
            f"INSERT INTO tree (place, body) VALUES {marks}"  # noqa: S608  question marks
            " ON CONFLICT (place) DO UPDATE SET body = excluded.body",
            [value for node in some for value in node],
        )


def _entries(body: bytes) -> dict[int, bytes]:
    try:
        return unpacked(body)
    except ValueError:  # torn: what comes now cannot make it genuine
        return {}


def _put(node: dict[int, bytes], number: int, entry: bytes) -> None:
    if entry:
        node[number] = entry
    else:
        node.pop(number, None)


def tree_of(keys: Keys, rows: Iterable[tuple[tuple[int, ...], int]]) -> dict[int, bytes]:
    """All nodes of the tree over ``rows``, each given as its leaves and its digest."""
    sums: dict[int, int] = {}
    for leaves, digest in rows:
        for leaf in leaves:
            sums[leaf] = sums.get(leaf, 0) + digest
    nodes: dict[int, dict[int, bytes]] = {}
    for leaf, total in sums.items():
        entry = (total % MODULUS).to_bytes(32, "big")
        nodes.setdefault(path(leaf)[-1], {})[number_of(leaf)] = entry
    bodies: dict[int, bytes] = {}
    while nodes:
        level, nodes = nodes, {}
        for place, node in level.items():
            bodies[place] = packed(node)
            if place:
                above, number = step(place)
                nodes.setdefault(above, {})[number] = digest_of(keys, place, bodies[place])
    return bodies


def root_of(keys: Keys, tree: Mapping[int, bytes]) -> bytes:
    """What the integrity record says of ``tree``."""
    return digest_of(keys, 0, tree.get(0, b""))


def write_tree(connection: Database, tree: Mapping[int, bytes]) -> None:
    """Put ``tree`` in the place of the one that is there."""
    connection.execute("DELETE FROM tree")
    _write_nodes(connection, sorted(tree.items()))


def read_tree(connection: Database) -> dict[int, bytes]:
    """The tree as it stands in the vault, its empty nodes left out."""
    return {
        place: body for place, body in connection.execute("SELECT place, body FROM tree") if body
    }
