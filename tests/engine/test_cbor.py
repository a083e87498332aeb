from __future__ import annotations

import math
import struct
from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stayfast.engine import cbor
from stayfast.engine.cbor import CborError, decode, decode_map, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
).filter(lambda value: depth(value) <= cbor._DEPTH)


def depth(value: object) -> int:
    """How deep a value nests; a scalar is 1."""
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1


def same(a: object, b: object) -> bool:
    """Equality for which 1, True and 1.0 differ, and 0.0 and -0.0, and NaN equals itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack(">d", a) == struct.pack(">d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


@given(VALUES)
def test_what_is_written_is_read(value):
    """Reading gives back what was written, with its types."""
    assert same(decode(encode(value)), value)


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=1, max_size=4), st.binary(max_size=4))
def test_floats_are_read_the_same_both_ways(octets, before, after):
    """A float of any octets is read the same before the module ``struct`` is loaded and after."""
    floats, data = cbor._Floats(), before + octets + after
    with_struct = cbor._Floats()
    with_struct._few = 0
    found = floats.read(data, len(before)), with_struct.read(data, len(before))
    assert floats._struct is None
    assert with_struct._struct is not None
    assert same(*found)
    assert same(found[0], struct.unpack(">d", octets)[0])


@given(VALUES)
def test_another_library_reads_what_we_write(value):
    """Any CBOR tool can open what we write."""
    assert same(cbor2.loads(encode(value)), value)


@given(VALUES)
def test_we_read_what_another_library_writes_canonically(value):
    """Canonical CBOR of the subset is read, unless it shortens floats, which we never do."""
    theirs = cbor2.dumps(value, canonical=True)
    try:
        ours = decode(theirs)
    except CborError:
        assert theirs != encode(value)  # another order of keys, or a shorter float
    else:
        assert same(ours, value)


@given(VALUES)
def test_there_is_one_encoding(value):
    """Whatever decodes was written by `encode`: a record has no second spelling."""
    data = encode(value)

    assert encode(decode(data)) == data


@given(st.dictionaries(st.text(max_size=4), st.integers(), max_size=6), st.randoms())
def test_the_order_of_a_map_does_not_matter(members, chance):
    """The same members give the same bytes in whatever order they were put in."""
    members = {key: value % (1 << 64) for key, value in members.items()}
    names = list(members)
    chance.shuffle(names)

    assert encode({name: members[name] for name in names}) == encode(members)


@given(st.binary(max_size=64))
def test_arbitrary_bytes_raise_nothing_else(data):
    """Bytes from anywhere either are a value in its one encoding, or raise CborError."""
    try:
        value = decode(data)
    except CborError:
        return
    if not contains_nan(value):
        assert encode(value) == data


def contains_nan(value: object) -> bool:
    """Whether there is a NaN in it; there are many of them and all read the same."""
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, list):
        return any(map(contains_nan, value))
    return isinstance(value, dict) and any(map(contains_nan, value.values()))


@given(VALUES, st.data())
def test_a_damaged_record_raises_nothing_else(value, data):
    """One changed byte leads to another value or to CborError, never to another exception."""
    whole = bytearray(encode(value))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(CborError):
        decode(bytes(whole))


@given(VALUES)
def test_every_truncation_is_refused(value):
    """No proper beginning of a record is a record."""
    whole = encode(value)
    for end in range(len(whole)):
        with pytest.raises(CborError):
            decode(whole[:end])


@given(VALUES, st.binary(min_size=1, max_size=4))
def test_bytes_after_the_record_are_refused(value, tail):
    """A record ends where it ends."""
    with pytest.raises(CborError):
        decode(encode(value) + tail)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x18\x17", id="integer with a longer head than it needs"),
        pytest.param(b"\x19\x00\xff", id="integer in two bytes that fits one"),
        pytest.param(b"\x1a\x00\x00\xff\xff", id="integer in four bytes that fits two"),
        pytest.param(b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", id="integer in eight that fits four"),
        pytest.param(b"\x78\x01a", id="text with a longer head than it needs"),
        pytest.param(b"\x5f\x41a\xff", id="indefinite bytes"),
        pytest.param(b"\x9f\x01\xff", id="indefinite array"),
        pytest.param(b"\xbf\x61a\x01\xff", id="indefinite map"),
        pytest.param(b"\xc0\x61a", id="tag"),
        pytest.param(b"\xf7", id="undefined"),
        pytest.param(b"\xf8\x20", id="simple value"),
        pytest.param(b"\xf9\x3c\x00", id="half float"),
        pytest.param(b"\xfa\x3f\x80\x00\x00", id="single float"),
        pytest.param(b"\xa1\x01\x02", id="map with a number for a key"),
        pytest.param(b"\xa2\x61a\x01\x61a\x02", id="map with a key twice"),
        pytest.param(b"\xa2\x61b\x01\x61a\x02", id="map with keys out of order"),
        pytest.param(b"\x61\xff", id="text that is not UTF-8"),
        pytest.param(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", id="array of 2**64-1"),
        pytest.param(b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff", id="bytes that are not there"),
        pytest.param(b"\x81" * 10_000 + b"\x00", id="nested ten thousand deep"),
        pytest.param(b"\x1c", id="reserved head"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_we_never_write_is_refused(data):
    """Other spellings, other types and hostile lengths are refused, at once and in little memory."""
    with pytest.raises(CborError):
        decode(data)


@pytest.mark.parametrize(
    "value",
    [1 << 64, -(1 << 64) - 1, {1: 2}, {None: 1}, {b"a": 1}, object(), {"a": {1, 2}}, 1j],
    ids=lambda value: "an object" if type(value) is object else repr(value),
)
def test_what_has_no_place_is_refused(value):
    """What a reader would refuse is not written."""
    with pytest.raises(CborError):
        encode(value)


def test_writing_stops_where_reading_would():
    """The deepest value that is written is the deepest that is read."""
    value: object = 0
    for _ in range(cbor._DEPTH - 1):
        value = [value]
    assert decode(encode(value)) == value

    with pytest.raises(CborError):
        encode([value])
    with pytest.raises(CborError):
        decode(b"\x81" + encode(value))


def test_text_with_a_lone_surrogate_survives():
    """JSON can hold half a character; a record that holds it is not lost."""
    assert decode(encode("half \ud83d of one")) == "half \ud83d of one"


@pytest.mark.parametrize("value", [[], "a", 1, None])
def test_a_record_is_a_map(value):
    """Where a map is expected nothing else will do."""
    with pytest.raises(CborError):
        decode_map(encode(value))
    assert decode_map(encode({"a": value})) == {"a": value}


@pytest.mark.parametrize("names", ["abb", "acb", "aab", "ba\x00", "ab"], ids=repr)
def test_the_names_of_the_map_before_allow_no_other_order(names):
    """A map with as many members as the last one is held to the same rules as any other."""
    decode(encode({"a": 1, "b": 2, "c": 3}))
    head = bytes((0xA0 | 3,))
    wrong = head + b"".join(encode(name) + encode(number) for number, name in enumerate(names))
    with pytest.raises(CborError):
        decode(wrong)
    assert decode(encode({"a": 1, "b": 2, "d": {"a": 1}})) == {"a": 1, "b": 2, "d": {"a": 1}}
    assert decode(encode({"a": 1, "b": 2, "c": 3})) == {"a": 1, "b": 2, "c": 3}
