"""Answers and log lines as JSON. ``stayfast token --json`` writes one, so this loads JSON alone."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


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
