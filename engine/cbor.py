"""Records and headers as bytes: a subset of CBOR (RFC 8949) with one encoding for each value.

The subset has ``null``, booleans, 64-bit integers, 64-bit floats, text, bytes, arrays, and maps with
text keys. Lengths are definite, heads are the shortest, and map keys are in the order of their
encoded bytes (RFC 8949 §4.2.1). A reader refuses any other encoding: records are sealed and
compared as bytes, so one value must not have two forms.

Any CBOR tool can read these bytes, except for text with lone surrogates. JSON and the operating
system can produce such text, and a token must not be lost because of it.

The code is our own because ``stayfast token`` needs it: to import a library would take as long as
the whole command. The tests compare it with a library.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from struct import Struct
    from typing import TypeAlias

    Plain: TypeAlias = (
        "bool | int | float | str | bytes | Sequence[Plain] | Mapping[str, Plain] | None"
    )

_DEPTH = 8  # our records have 4 levels; a hostile one must not exhaust the stack
_INT_LIMIT = 1 << 64


class CborError(ValueError):
    """The bytes are not a value of the subset, or not in its one encoding."""


class _Floats:
    """Reads and writes floats, by the module ``struct`` as soon as that pays.

    To load it takes as long as to read some hundred floats without it. ``stayfast token`` reads a few.
    """

    __slots__ = ("_few", "_struct")

    def __init__(self) -> None:
        self._few = _FEW
        self._struct: Struct | None = None

    def read(self, data: bytes, at: int) -> float:
        """The float whose eight octets begin ``at``, which is not the first octet of ``data``."""
        if self._struct is None and self._few:
            self._few -= 1
            octets = data[at + 7 : at - 1 : -1] if _LAST_FIRST else data[at : at + 8]
            return memoryview(octets).cast("d")[0]
        (found,) = (self._struct or self._load()).unpack_from(data, at)
        return float(found)

    def octets(self, value: float) -> bytes:
        """The eight octets of ``value``."""
        return (self._struct or self._load()).pack(value)

    def _load(self) -> Struct:
        from struct import Struct  # noqa: PLC0415  see above

        self._struct = Struct(">d")
        return self._struct


_FEW = 100
_ONE = b"\x3f\xf0" + bytes(6)
_LAST_FIRST = memoryview(_ONE[::-1]).cast("d")[0] == 1.0
"""Whether this machine has the last octet of a float first."""
_floats = _Floats()


def encode(value: Plain) -> bytes:
    """The one encoding of ``value``.

    Raises:
        CborError: ``value`` has a part that is not in the subset, or is nested more deeply than
            :func:`decode` reads.
    """
    out: list[bytes] = []
    _write(value, out, _DEPTH)
    return b"".join(out)


def decode(data: bytes) -> Plain:
    """The value that the whole of ``data`` encodes.

    Raises:
        CborError: ``data`` is truncated, has further bytes or an unknown item, is nested too
            deeply, or differs from what :func:`encode` gives for the value.
    """
    try:
        value, end = _read(data, 0, _DEPTH)
    except (IndexError, ValueError) as error:
        msg = "not a record"
        raise CborError(msg) from error
    if end != len(data):
        msg = "bytes after the record"
        raise CborError(msg)
    return value


def decode_map(data: bytes) -> dict[str, Plain]:
    """The map that ``data`` encodes.

    Raises:
        CborError: ``data`` is not a map, or not CBOR of the subset.
    """
    value = decode(data)
    if not isinstance(value, dict):
        msg = "not a map"
        raise CborError(msg)
    return value


def _head(major: int, count: int) -> bytes:
    top = major << 5
    if count < 24:
        return bytes((top | count,))
    if count < 1 << 8:
        return bytes((top | 24, count))
    if count < 1 << 16:
        return bytes((top | 25,)) + count.to_bytes(2, "big")
    if count < 1 << 32:
        return bytes((top | 26,)) + count.to_bytes(4, "big")
    return bytes((top | 27,)) + count.to_bytes(8, "big")


def _write(value: Plain, out: list[bytes], depth: int) -> None:
    if depth == 0:
        msg = "nested too deeply"
        raise CborError(msg)
    if isinstance(value, str):  # first what is met most
        out.append(_text(value))
    elif value is None:
        out.append(b"\xf6")
    elif value is True:
        out.append(b"\xf5")
    elif value is False:
        out.append(b"\xf4")
    elif isinstance(value, float):
        out.append(b"\xfb" + _floats.octets(value))
    elif isinstance(value, int):
        if not -_INT_LIMIT <= value < _INT_LIMIT:
            msg = "integer out of range"
            raise CborError(msg)
        out.append(_head(0, value) if value >= 0 else _head(1, -1 - value))
    elif isinstance(value, bytes):
        out.extend((_head(2, len(value)), value))
    elif isinstance(value, dict):
        out.append(_head(5, len(value)))
        for key, name in _in_order(tuple(value)):
            out.append(key)
            member = value[name]
            if isinstance(member, str) and depth > 1:  # most are: no call for each
                out.append(_text(member))
            else:
                _write(member, out, depth - 1)
    elif isinstance(value, list | tuple):
        out.append(_head(4, len(value)))
        for item in value:
            _write(item, out, depth - 1)
    else:
        msg = f"no encoding for {type(value).__name__}"
        raise CborError(msg)


def _in_order(names: tuple[str, ...]) -> list[tuple[bytes, str]]:
    """``names`` as they are written, in their order. One record has the same names again and again."""
    found = _orders.get(names)
    if found is None:
        found = sorted((_key(name), name) for name in names)
        if len(_orders) >= _MANY:
            _orders.clear()
        _orders[names] = found
    return found


def _key(name: object) -> bytes:
    if not isinstance(name, str):
        msg = "a map key is not text"
        raise CborError(msg)
    return _text(name)


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    count = len(data)
    return (_SHORT[count] if count < 24 else _head(3, count)) + data


def _count(data: bytes, at: int, info: int) -> tuple[int, int]:
    if info < 24:
        return info, at
    width = {24: 1, 25: 2, 26: 4, 27: 8}[info] if info <= 27 else 0
    if not width or at + width > len(data):
        msg = "truncated"
        raise CborError(msg)
    count = int.from_bytes(data[at : at + width], "big")
    # A number that fits in half the width must have the shorter head (RFC 8949 §4.2.1).
    if count < (24 if width == 1 else 1 << (4 * width)):
        msg = "not the shortest head"
        raise CborError(msg)
    return count, at + width


def _read(data: bytes, at: int, depth: int) -> tuple[Plain, int]:
    if depth == 0:
        msg = "nested too deeply"
        raise CborError(msg)
    first = data[at]
    major, info = first >> 5, first & 31
    if major == 7:
        if first == 0xFB and at + 9 <= len(data):
            return _floats.read(data, at + 1), at + 9
        return _SIMPLE[_known(first)], at + 1
    count, at = _count(data, at + 1, info)
    if major == 0:
        return count, at
    if major == 1:
        return -1 - count, at
    # each item takes at least one octet: a length from a damaged record must not make us allocate
    # more than there are octets
    if count > len(data) - at and major != 6:
        msg = "truncated"
        raise CborError(msg)
    if major == 2:
        return data[at : at + count], at + count
    if major == 3:
        return data[at : at + count].decode("utf-8", "surrogatepass"), at + count
    if major == 4:
        items: list[Plain] = []
        for _ in range(count):
            item, at = _read(data, at, depth - 1)
            items.append(item)
        return items, at
    if major == 5:
        return _read_map(data, at, count, depth)
    msg = "a tag"
    raise CborError(msg)


def _read_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[str, Plain], int]:
    """The ``count`` members that begin ``at``.

    A list reads thousands of maps with the same names. So the names of the last map with so many
    members are tried first: whoever finds them again, one after the other, finds them in order.
    """
    members: dict[str, Plain] = {}
    last, size, shallow = b"", len(data), depth > 1
    name, key = b"", ""
    usual = _usual.get(count, ())
    known = shallow and bool(usual)
    met: list[tuple[bytes, str]] = []
    for place in range(count):
        if known:
            name, key = usual[place]
            if not data.startswith(name, at):
                known, met = False, list(usual[:place])
        if known:
            at += len(name)
        else:
            found, end = _read(data, at, depth - 1)
            name = data[at:end]
            if not isinstance(found, str) or name <= last:
                msg = "a map key is not text, stands twice, or stands before a smaller one"
                raise CborError(msg)
            key, at = found, end
            met.append((name, key))
        last, first = name, data[at]
        if 0x60 <= first < 0x78 and at + first - 0x5F <= size and shallow:
            start, at = at + 1, at + first - 0x5F
            members[key] = data[start:at].decode("utf-8", "surrogatepass")
        elif first < 0x18 and shallow:
            members[key] = first
            at += 1
        elif first == 0xFB and at + 9 <= size and shallow:
            members[key] = _floats.read(data, at + 1)
            at += 9
        elif first in _SIMPLE and shallow:
            members[key] = _SIMPLE[first]
            at += 1
        else:
            members[key], at = _read(data, at, depth - 1)
    if not known and count <= _MANY:
        _usual[count] = met
    return members, at


_MANY = 64
_orders: dict[tuple[str, ...], list[tuple[bytes, str]]] = {}
"""The names of some maps that were written, in order."""
_usual: dict[int, list[tuple[bytes, str]]] = {}
"""The names of the last map with so many members, which was in order."""
_SHORT = tuple(bytes((0x60 | count,)) for count in range(24))
"""The heads of short texts."""
_SIMPLE: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}


def _known(first: int) -> int:
    if first not in _SIMPLE:
        msg = "an unknown simple value"
        raise CborError(msg)
    return first
