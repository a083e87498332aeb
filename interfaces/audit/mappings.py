"""Lines of the audit log in the formats of other logs: ECS, OCSF and OpenTelemetry.

Each mapping is a pure function from a line to an object. A field that the format does not have goes
to the place where the format keeps a product's own fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from ...engine.audit.events import Scalar

Line = Mapping[str, "Scalar"]

ECS_VERSION: Final = "8.11.0"
OCSF_VERSION: Final = "1.3.0"
_AUTHENTICATION: Final = 3002
_IAM: Final = 3
_LOGON, _LOGOFF, _OTHER = 1, 2, 99
_TRANSITION: Final = "login.transition"
_OPENS: Final = frozenset({"begin"})
_CLOSES: Final = frozenset({"logout", "supersede", "cancel", "time_out", "deny", "fail"})
_KIND_OF_CHANGE: Final = {
    "resource.refused": "access",
    "client.registered": "creation",
    "storage.created": "creation",
    "audit.pruned": "deletion",
}
_OAUTH: Final = 6
_LONGEST: Final = 9e9
"""Seconds whose nanoseconds fit 64 bits: 285 years."""


def to_ecs(line: Line) -> dict[str, Any]:
    """The Elastic Common Schema, with our own fields under ``stayfast``."""
    kind = str(line["event"])
    of_login = _of_a_login(kind)
    event: dict[str, Any] = {
        "kind": "event",
        "category": ["authentication"] if of_login else ["configuration"],
        "type": [_ecs_type(line)],
        "action": _action(line),
        "outcome": line.get("outcome", "unknown"),
        "sequence": line["seq"],
        "dataset": "stayfast.audit",
        "module": "stayfast",
    }
    if "reason" in line:
        event["reason"] = line["reason"]
    if "duration" in line:
        event["duration"] = _duration(line["duration"])
    made: dict[str, Any] = {
        "@timestamp": line["time"],
        "ecs": {"version": ECS_VERSION},
        "event": event,
        "host": {"hostname": line["host"]},
        "process": {"pid": line["pid"]},
        "user": {"name": line["user"]},
        "service": {"type": "stayfast", "version": line["app_version"]},
    }
    if "http_status" in line:
        made["http"] = {"response": {"status_code": line["http_status"]}}
    if "oauth_error" in line:
        made["error"] = {"code": line["oauth_error"]}
    address = _server(line)
    if address:
        made["server"] = {"address": address}
    own = _own(line, "login", "provider", "account", "trigger", "from", "to", "transport",
               "version", "attempt", "scopes", "expires_in", "issuer", "pkce", "detail", "prev", "mac", "store")  # fmt: skip
    if own:
        made["stayfast"] = own
    return made


def to_ocsf(line: Line) -> dict[str, Any]:
    """The Open Cybersecurity Schema Framework: Authentication (3002), or a base event."""
    of_login = _of_a_login(str(line["event"]))
    activity, name = _ocsf_activity(line) if of_login else (_OTHER, str(line["event"]))
    class_uid = _AUTHENTICATION if of_login else 0
    failed = line.get("outcome") == "failure"
    made: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": _IAM if of_login else 0,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity,
        "severity_id": 2 if failed else 1,
        "time": _milliseconds(line),
        "status_id": {"success": 1, "failure": 2}.get(str(line.get("outcome")), 0),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {
                "name": "stayfast",
                "vendor_name": "Stayfast",
                "version": line["app_version"],
            },
            "log_name": "stayfast.audit",
            "sequence": line["seq"],
            "event_code": _action(line),
            "original_time": line["time"],
        },
        "device": {"hostname": line["host"], "type_id": 0},
    }
    if "reason" in line:
        made["status_detail"] = line["reason"]
    if "oauth_error" in line:
        made["status_code"] = line["oauth_error"]
    if of_login:
        made |= _ocsf_login(line)
    unmapped = _own(line, "account", "trigger", "from", "to", "transport", "version", "attempt",
                    "scopes", "expires_in", "issuer", "pkce", "http_status", "detail", "prev", "mac", "store")  # fmt: skip
    if unmapped:
        made["unmapped"] = unmapped
    return made


def to_otel(line: Line) -> dict[str, Any]:
    """A complete OTLP export of one log record, in JSON.

    The collector's OTLP file receiver reads a file of such lines.
    """
    failed = line.get("outcome") == "failure"
    attributes: dict[str, Scalar] = {"log.record.uid": str(line.get("mac") or line["seq"])}
    named = {"login": "session.id", "oauth_error": "error.type", "subject_fp": "user.id",
             "http_status": "http.response.status_code"}  # fmt: skip
    for name, value in line.items():
        if name not in {"time", "event", "host", "pid", "user", "app_version", "schema"}:
            attributes[named.get(name, f"stayfast.{name}")] = value
    address = _server(line)
    if address:
        attributes["server.address"] = address
    when = str(_nanoseconds(line))
    record = {
        "timeUnixNano": when,
        "observedTimeUnixNano": when,
        "severityNumber": 13 if failed else 9,
        "severityText": "WARN" if failed else "INFO",
        "eventName": f"stayfast.{line['event']}",
        "body": {"stringValue": _action(line)},
        "attributes": _attributes(attributes),
    }
    resource: dict[str, Scalar] = {
        "service.name": "stayfast",
        "service.version": line["app_version"],
        "host.name": line["host"],
        "process.pid": line["pid"],
        "process.owner": line["user"],
    }
    scope = {"name": "stayfast.audit", "version": str(line["schema"])}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeLogs": [{"scope": scope, "logRecords": [record]}],
            }
        ]
    }


MAPPINGS: Final[Mapping[str, Callable[[Line], dict[str, Any]]]] = {
    "jsonl": dict,
    "ecs": to_ecs,
    "ocsf": to_ocsf,
    "otel": to_otel,
}
"""The formats of ``stayfast audit export``."""


def _of_a_login(event: str) -> bool:
    return event.startswith("login.")


def _action(line: Line) -> str:
    """The action in one word: ``login.refresh``, ``login.refused``, ``storage.created``."""
    return f"login.{line['trigger']}" if "trigger" in line else str(line["event"])


def _ecs_type(line: Line) -> str:
    if not _of_a_login(str(line["event"])):
        return _KIND_OF_CHANGE.get(str(line["event"]), "change")
    trigger = line.get("trigger")
    if trigger in _OPENS:
        return "start"
    return "end" if trigger in _CLOSES or line.get("to") == "idle" else "info"


def _ocsf_activity(line: Line) -> tuple[int, str]:
    """The activity: Logon and Logoff for the beginning and end of a session, else our own name.

    A refresh also accepts tokens, and counting it as a Logon would drown the real ones. Only a
    sign-in comes from ``awaiting_callback`` or records the granted scopes.
    """
    trigger = line.get("trigger")
    fresh = line.get("from") == "awaiting_callback" or line.get("scopes") is not None
    if trigger in {"deny", "reject_code"} or (trigger == "accept_tokens" and fresh):
        return _LOGON, "Logon"
    if trigger in {"logout", "supersede"}:
        return _LOGOFF, "Logoff"
    return _OTHER, _action(line)


def _ocsf_login(line: Line) -> dict[str, Any]:
    user: dict[str, Any] = {"name": line.get("account") or "unknown"}
    if "subject_fp" in line:
        user["uid"] = line["subject_fp"]
    made: dict[str, Any] = {
        "user": user,
        "actor": {"user": {"name": line["user"]}, "process": {"pid": line["pid"]}},
        "service": {"name": line.get("provider") or "unknown"},
        "auth_protocol_id": _OAUTH,
        "auth_protocol": "OAUTH 2.0",
        "is_remote": True,
    }
    if "login" in line:
        made["session"] = {"uid": line["login"]}
    address = _server(line)
    if address:
        made["dst_endpoint"] = {"hostname": address}
    return made


def _server(line: Line) -> str | None:
    try:
        return urlsplit(str(line["issuer"])).hostname if "issuer" in line else None
    except ValueError:  # it was no address when it was recorded
        return None


def _own(line: Line, *names: str) -> dict[str, Any]:
    """Those of the fields ``names`` that ``line`` has, and every fingerprint."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in line.items()
        if name in names or name.endswith("_fp")
    }


def _attributes(values: Mapping[str, Scalar]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _any_value(value)} for name, value in values.items()]


def _any_value(value: Scalar) -> dict[str, Any]:
    """A value in OTLP's JSON encoding, where 64-bit integers are strings."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float) and isfinite(value):
        return {"doubleValue": value}
    if isinstance(value, tuple | list):
        return {"arrayValue": {"values": [_any_value(one) for one in value]}}
    return {"stringValue": str(value)}


def _duration(seconds: Scalar) -> int:
    """``seconds`` in nanoseconds, as far as 64 bits go; 0 for what is no length of time."""
    if not isinstance(seconds, int | float) or seconds != seconds:  # noqa: PLR0124  not a number
        return 0
    return round(min(max(seconds, -_LONGEST), _LONGEST) * 1e9)


def _nanoseconds(line: Line) -> int:
    # in integers: a float has no room for the nanoseconds of our century
    moment = datetime.fromisoformat(str(line["time"]))
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


def _milliseconds(line: Line) -> int:
    return _nanoseconds(line) // 10**6
