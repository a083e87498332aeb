"""The requests that arrive, and the answers as they are documented, with the values in their places."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from ..endpoints import Reply


@dataclass(frozen=True)
class Asked:
    """A request that arrived, its parameters by the names of the RFC."""

    method: str
    url: str
    query: Mapping[str, str]
    body: str
    headers: Mapping[str, str]


def members_of(asked: Asked) -> dict[str, str]:
    """The members of the body, be it a form or JSON; what is no text is in JSON."""
    if asked.headers.get("content-type", "").startswith("application/json"):
        found = json.loads(asked.body or "{}")
        members = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        return {k: v if isinstance(v, str) else json.dumps(v) for k, v in members.items()}
    return dict(parse_qsl(asked.body, keep_blank_values=True))


def without_query(url: str) -> str:
    """``url`` up to its query."""
    return url.partition("?")[0]


def json_reply(members: Mapping[str, Any]) -> Reply:
    """An answer in JSON."""
    return Reply(200, json.dumps(members), {"Content-Type": "application/json"})


def said(text: str, status: int, kind: str, values: Mapping[str, Any]) -> Reply:
    """The answer ``text`` with ``values`` in it; a member whose value is ``None`` is left out."""
    headers = {"Content-Type": kind}
    if kind == "application/x-www-form-urlencoded":
        pairs = _filled(dict(parse_qsl(text, keep_blank_values=True)), values)
        return Reply(status, urlencode(pairs), headers)
    if kind != "application/json" or not text:
        return Reply(status, text, headers)
    return Reply(status, json.dumps(_filled(json.loads(text), values)), headers)


def _filled(found: object, values: Mapping[str, Any]) -> Any:
    if isinstance(found, dict):
        members = cast("dict[str, object]", found)
        filled = {name: _filled(value, values) for name, value in members.items()}
        return {k: v for k, v in filled.items() if v is not None or members[k] is None}
    if isinstance(found, list):
        return [_filled(one, values) for one in cast("list[object]", found)]
    if isinstance(found, str) and found.startswith("$"):
        name = found[1:]
        if name not in values:
            raise KeyError(f"an answer has no value {found}")
        return values[name]
    return found
