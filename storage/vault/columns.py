"""Many summaries as bytes, column by column: what is kept of a long list.

:mod:`stayfast.engine.summary_codec` writes one record after another, and our own code reads each. Here the values of one
field stand together, and C code of Python reads all of them at once, so a list of a hundred thousand logins
takes a fifteenth of the time. Such bytes can be made anew from the records at any time, so a new layout needs no
number: whoever reads them compares the names of the fields.
"""

from __future__ import annotations

import json
import sys
from array import array
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from ...engine import cbor
from ...engine.summary import Identity, Summary
from ...engine.table import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_FEW: Final = 256
"""Where a column has fewer different values, each is written once, and one octet wherever it stands."""
_FIELDS: Final = [
    *(name for name in Summary._fields if name != "identity"),
    *(f"identity.{name}" for name in Identity._fields),
]
_IDENTITY: Final = Summary._fields.index("identity")
_STATE: Final = Summary._fields.index("state")
_SCOPES: Final = Summary._fields.index("scopes")
_STATES: Final = {state.value: state for state in State}
_FLOATS, _LINES, _REPEATED, _PLAIN = "floats", "lines", "repeated", "plain"


def encode_columns(summaries: Sequence[Summary]) -> bytes:
    """``summaries`` as bytes, in their order."""
    columns: list[Sequence[Any]] = list(zip(*summaries, strict=True)) or [()] * len(Summary._fields)
    columns[_STATE] = [state.value for state in columns[_STATE]]
    identities = columns.pop(_IDENTITY)
    columns += (
        [None if one is None else getattr(one, name) for one in identities]
        for name in Identity._fields
    )
    return cbor.encode({"fields": _FIELDS, "columns": [_written(one) for one in columns]})


def decode_columns(data: bytes) -> list[Summary]:
    """What :func:`encode_columns` was given.

    Raises:
        ValueError: It is something else, or has other fields.
    """
    try:
        members = cast("dict[str, Any]", cbor.decode_map(data))
        if members["fields"] != _FIELDS:
            raise ValueError("other fields")
        if len(members["columns"]) != len(_FIELDS):
            raise ValueError("not a column for each field")
        *written, subjects, names = members["columns"]
        written.insert(_IDENTITY, None)
        columns: list[Iterable[Any]] = [
            _identities(_read(subjects), _read(names))
            if at == _IDENTITY
            else _read(one, _CONVERT.get(at))
            for at, one in enumerate(written)
        ]
        # as Summary._make, without a call in Python for each
        make = partial(tuple.__new__, Summary)  # pyright: ignore[reportUnknownMemberType]  as typeshed has it
        return list(map(make, zip(*columns, strict=True)))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError("not a list of logins") from error


def _written(column: Sequence[Any]) -> cbor.Plain:
    kinds = set(map(type, column))
    if kinds <= {float}:
        return [_FLOATS, _in_one_order(array("d", column)).tobytes()]
    # 1, 1.0 and True are equal, and not the same
    each = list(zip(map(type, column), column, strict=True))
    places = dict(zip(dict.fromkeys(each), range(_FEW), strict=False))
    if len(places) == _FEW:
        return _many(column) if kinds == {str} else [_PLAIN, _text(column)]
    return [_REPEATED, _text([value for _, value in places]), bytes([places[one] for one in each])]


def _many(column: Sequence[str]) -> cbor.Plain:
    """Texts, most of which stand once."""
    joined = "\n".join(column)
    if joined.count("\n") != len(column) - 1:
        return [_PLAIN, _text(column)]
    return [_LINES, joined.encode("utf-8", "surrogatepass")]


def _read(written: Sequence[Any], convert: Callable[[Any], Any] | None = None) -> Iterable[Any]:
    kind = written[0]
    if kind == _FLOATS:
        return _in_one_order(array("d", written[1])).tolist()
    text = written[1].decode("utf-8", "surrogatepass")
    values: list[Any] = text.split("\n") if kind == _LINES else json.loads(text)
    if convert is not None:
        values = list(map(convert, values))
    return map(values.__getitem__, written[2]) if kind == _REPEATED else values


def _identities(subjects: Iterable[Any], names: Iterable[Any]) -> Iterable[Identity | None]:
    return [
        None if one[0] is None else Identity._make(one) for one in zip(subjects, names, strict=True)
    ]


def _text(values: Sequence[object]) -> bytes:
    # without escapes: two surrogates, each on its own, would come back as one character
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


def _in_one_order(floats: array[float]) -> array[float]:
    """``floats`` with the last octet first, also on a machine that has it otherwise."""
    if sys.byteorder == "big":
        floats.byteswap()
    return floats


_CONVERT: Final[dict[int, Callable[[Any], Any]]] = {_STATE: _STATES.__getitem__, _SCOPES: tuple}
