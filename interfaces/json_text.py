"""Answers and log lines as JSON. ``stayfast token --json`` writes one, so this loads what writes alone.

The module ``json`` brings what reads along, and with that ``re``: two thirds of an idle Python.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn


def _encoder() -> Callable[[object], str]:
    """``JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode``.

    The core of ``json`` does it; on a Python that has no such core, that module.
    """

    def encode(value: object) -> str:
        # an empty map, which finds circles; whom to ask about other types; no indent; the separators;
        # and neither sorted keys, nor skipped ones, nor figures that JSON has no word for
        chunks = make({}, _refuse, encode_basestring, None, ":", ",", False, False, False)
        return "".join(chunks(value, 0))

    try:
        from _json import encode_basestring  # noqa: PLC0415  see above
        from _json import make_encoder as make  # noqa: PLC0415

        encode({})
    except (ImportError, TypeError):
        from json import JSONEncoder  # noqa: PLC0415

        return JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
    return encode


def _refuse(value: object) -> NoReturn:
    message = f"Object of type {type(value).__name__} is not JSON serializable"
    raise TypeError(message)


_encode = _encoder()


def json_of(members: Mapping[str, Any]) -> str:
    """``members`` as JSON without spaces; a figure that JSON has no word for is null (RFC 8259 §6)."""
    try:
        return _encode(dict(members))
    except ValueError:  # NaN or an infinity
        return _encode(_finite(members))


def document_of(schema: str, members: Mapping[str, Any]) -> str:
    """An answer of the command as one line of JSON, the name of its schema first."""
    return json_of({"schema": f"stayfast.{schema}", **members})


def _finite(value: Any) -> Any:
    if hasattr(value, "items"):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_finite, value))  # pyright: ignore[reportUnknownArgumentType]
    # NaN alone is unlike itself, and an infinity is not less than itself plus one
    return None if isinstance(value, float) and value - value != 0 else value
