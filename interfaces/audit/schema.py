"""The published JSON Schema of a line, made from the list of fields.

``audit-event.schema.json`` beside this module is what is published; a test holds it against this.
``python -m stayfast.interfaces.audit.schema`` prints it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from ...engine.audit.events import AUDIT_SCHEMA, FINGERPRINTS, SECTION, EventKind, Outcome
from ...engine.reasons import Distrust, Reason, Refusal
from ...engine.table import State, Trigger

_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 1}
_LINK: Final[dict[str, Any]] = {"type": "string", "pattern": "^([0-9a-f]{64})?$"}
_STATE: Final[dict[str, Any]] = {"enum": [one.value for one in State]}

_OF_EVERY: Final[dict[str, dict[str, Any]]] = {
    "schema": {"const": AUDIT_SCHEMA},
    "seq": _COUNT | {"description": "The number of the event; without gaps from 1 on."},
    "time": {
        "type": "string",
        "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$",
        "description": "When, in UTC (RFC 3339).",
    },
    "event": {"enum": [one.value for one in EventKind]},
    "pid": {"type": "integer"},
    "host": {"type": "string"},
    "user": {"type": "string"},
    "app_version": {"type": "string"},
}
_LINKS: Final[dict[str, dict[str, Any]]] = {
    "prev": _LINK | {"description": "The link of the event before."},
    "mac": _LINK | {"description": "Its own link: HMAC-SHA-256 over prev, seq and its text."},
    "store": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}$",
        "description": "The storage whose log it is; several may send to one place.",
    },
}
_OF_A_LOGIN: Final[dict[str, dict[str, Any]]] = {
    "login": _TEXT | {"description": "The login's id."},
    "provider": _TEXT,
    "account": {"type": "string"},
    "version": _COUNT | {"description": "The version of the login after it."},
    "transport": _TEXT,
    "outcome": {"enum": [one.value for one in Outcome]},
    "detail": {"type": "string"},
}
_OF_A_TRANSITION: Final[dict[str, dict[str, Any]]] = {
    "trigger": {"enum": [one.value for one in Trigger]},
    "from": _STATE,
    "to": _STATE,
    "reason": {"enum": [one.value for one in Reason]},
    "attempt": _COUNT | {"description": "Ties a sending to its outcome, within a login."},
    "http_status": {"type": "integer", "minimum": 100, "maximum": 599},
    "oauth_error": _TEXT,
    "issuer": _TEXT,
    "pkce": {"enum": ["off"], "description": "The login is made without PKCE (RFC 7636)."},
    "scopes": {"type": "array", "items": {"type": "string"}},
    "expires_in": {"type": "number"},
    "duration": {"type": "number", "minimum": 0},
    **{
        f"{name}_fp": _TEXT | {"description": f"A keyed digest of the {name.replace('_', ' ')}."}
        for name in FINGERPRINTS
    },
}
_OF_A_REFUSAL: Final[dict[str, dict[str, Any]]] = {
    "reason": {"enum": [one.value for one in Refusal]},
}
_ONLY_DETAIL: Final[dict[str, dict[str, Any]]] = {
    "detail": {"type": "string"},
    "outcome": {"enum": [one.value for one in Outcome]},
}
_OF_A_REGISTRATION: Final[dict[str, dict[str, Any]]] = {
    name: _OF_A_TRANSITION[name] for name in ("issuer", "http_status", "oauth_error", "client_fp")
} | {
    "outcome": _ONLY_DETAIL["outcome"],
    "reason": _OF_A_TRANSITION["reason"],
    "detail": _ONLY_DETAIL["detail"],
}
_OF_A_RESOURCE: Final[dict[str, dict[str, Any]]] = {
    "provider": _TEXT | {"description": "The address of the resource."},
    "issuer": _TEXT,
    "http_status": _OF_A_TRANSITION["http_status"],
    "outcome": _ONLY_DETAIL["outcome"],
    "reason": {"enum": [one.value for one in Distrust]},
}
BY_EVENT: Final[dict[EventKind, tuple[dict[str, dict[str, Any]], tuple[str, ...]]]] = {
    EventKind.TRANSITION: (
        _OF_A_LOGIN | _OF_A_TRANSITION,
        ("login", "provider", "account", "version", "outcome", "trigger", "from", "to"),
    ),
    EventKind.REFUSED: (_OF_A_LOGIN | _OF_A_REFUSAL, ("reason", "outcome")),
    EventKind.CLIENT_REGISTERED: (_OF_A_REGISTRATION, ("issuer", "outcome")),
    EventKind.RESOURCE_REFUSED: (_OF_A_RESOURCE, ("provider", "outcome", "reason")),
    EventKind.STORAGE_CREATED: (_ONLY_DETAIL, ()),
    EventKind.STORAGE_CHANGED: (_OF_A_LOGIN, ()),  # what befell the record of a login, too
    EventKind.AUDIT_FORWARD_SECURE: (_ONLY_DETAIL, ()),
    EventKind.AUDIT_PRUNED: (_ONLY_DETAIL, ("detail",)),
    EventKind.AUDIT_SET_ASIDE: (_ONLY_DETAIL, ("detail",)),
}
"""The fields of each event besides those of every line, and which of them are always there."""


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of one line."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:stayfast:audit-event:{AUDIT_SCHEMA}",
        "title": "An event of stayfast's audit log",
        "description": "Words are only ever added to the lists of triggers, states and reasons.",
        "type": "object",
        "oneOf": [*(_of(kind) for kind in EventKind), _section()],
    }


def _of(kind: EventKind) -> dict[str, Any]:
    own, needed = BY_EVENT[kind]
    return {
        "title": kind.value,
        "properties": {**_OF_EVERY, **_LINKS, **own, "event": {"const": kind.value}},
        "required": [*_OF_EVERY, *needed],
        # storages without a chain have neither; one without the other would prove nothing
        "dependentRequired": {"mac": ["prev"], "prev": ["mac"]},
        "additionalProperties": False,
    }


def _section() -> dict[str, Any]:
    """The line that is no record, and has no number."""
    properties = {name: kind for name, kind in _OF_EVERY.items() if name != "seq"}
    return {
        "title": SECTION,
        "properties": {
            **properties,
            "event": {"const": SECTION},
            "store": _LINKS["store"],
            "detail": _ONLY_DETAIL["detail"],
        },
        "required": [*properties, "detail"],
        "additionalProperties": False,
    }


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))  # noqa: T201  what was asked for
