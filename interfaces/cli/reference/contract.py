"""What each command promises to programs: the schemas of its answers and its exit codes.

The options are not here: they are read from the command. The tests run every command and hold its
answers against this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from ....engine.table import State

FORMAT: Final = "https://json-schema.org/draft/2020-12/schema"

ANSWERS: Final[Mapping[str, tuple[str, ...]]] = {
    "login": ("event/1", "login/1"),
    "resume": ("login/1", "event/1"),
    "cancel": ("login/1",),
    "status": ("status/1", "answer/1"),
    "list": ("status/1",),
    "account list": ("accounts/1",),
    "account use": ("account/1",),
    "account rename": ("account/1",),
    "whoami": ("whoami/1",),
    "token": ("token/1", "token.headers/1"),
    "refresh": ("refresh/1",),
    "logout": ("logout/1",),
    "setup": ("setup/1", "setup-undone/1"),
    "doctor": ("doctor/1",),
    "provider list": ("providers/1",),
    "provider show": ("provider/1",),
    "provider check": ("provider-check/1",),
    "provider add": ("provider/1",),
    "provider edit": ("provider/1",),
    "provider remove": ("provider-removed/1",),
    "mcp auth": ("event/1", "login/1"),
    "client-metadata": ("client-metadata/1",),
    "audit show": ("audit/1",),
    "audit verify": ("audit-verify/1",),
    "audit checkpoint": ("audit-checkpoint/1",),
    "audit report": ("audit-report/1",),
    "audit prune": ("audit-prune/1",),
    "audit set-aside": ("audit-set-aside/1",),
    "audit forward-secure": ("audit-forward-secure/1",),
    "store info": ("store/1",),
    "store mend": ("mended/1",),
    "store rekey": ("store/1",),
    "store lock": ("locked/1",),
    "store purge": ("purged/1",),
    "store migrate": ("migrated/1",),
    "diagram": ("diagram/1", "diagram-check/1"),
}
"""The schemas of each command's answers with ``--json``, the usual one first."""

WITHOUT: Final[Mapping[str, str]] = {
    "exec": "standard output is that of the other program",
    "credential git": "standard output is git's protocol",
    "credential kubectl": "standard output is kubectl's protocol",
    "credential docker": "standard output is docker's protocol",
    "credential bazel": "standard output is Bazel's protocol",
    "audit export": "every line is JSON already, in the format that was asked for",
    "completion": "the answer is a script for a shell",
    "help": "the answer is a page for people",
    "demo": "it is shown to people, and keeps nothing",
}
"""Why a command has no schema of its own. An error is ``error/1`` with ``--json`` here, too."""

_ALWAYS: Final = (0, 1, 2)
_STORED: Final = (*_ALWAYS, 7, 8)
_SIGNED_IN: Final = (0, 1, 2, 4, 7, 8)
CODES: Final[Mapping[str, tuple[int, ...]]] = {
    "login": (0, 1, 2, 3, 4, 5, 6, 7, 8, 130),
    "resume": (0, 1, 2, 3, 4, 5, 6, 7, 8, 130),
    "mcp auth": (0, 1, 2, 3, 4, 5, 6, 7, 8, 130),
    "status": _SIGNED_IN,
    "whoami": _SIGNED_IN,
    "token": (0, 1, 2, 3, 4, 5, 6, 7, 8, 130),
    "refresh": _SIGNED_IN,
    "exec": (0, 1, 2, 4, 7, 8, 126, 127),
    "credential git": _SIGNED_IN,
    "credential kubectl": _SIGNED_IN,
    "credential bazel": _SIGNED_IN,
    "store lock": _ALWAYS,
    "completion": (0, 2),
    "help": _ALWAYS,
    "provider list": _ALWAYS,
    "provider show": _ALWAYS,
    "provider check": _ALWAYS,
    "provider add": _ALWAYS,
    "provider edit": _ALWAYS,
    "provider remove": _ALWAYS,
    "client-metadata": _ALWAYS,
    "demo": _ALWAYS,
}
"""The exit codes of a command. Others have those of :data:`STORED`."""
STORED: Final = _STORED

_ACCOUNT: Final = {
    "provider": "str",
    "account": "str",
    "identity": "str?",
    "subject": "str?",
    "issuer": "str?",
    "state": "state",
    "login": "str",
}
_SHARE: Final = {"signed_in": "int", "failed": "int", "refreshed": "int", "refused": "int"}
_ROW: Final = {
    "seq": "int",
    "event": "str",
    "time": "str",
    "host": "str",
    "user": "str",
    "pid": "int",
}

SHAPES: Final[Mapping[str, Mapping[str, object]]] = {
    "account/1": {"provider": "str", "account": "str"},
    "accounts/1": {"accounts": [{**_ACCOUNT, "default": "bool"}]},
    "answer/1": {
        "login": "str",
        "provider": "str",
        "status": "int",
        "received_at": "time?",
        "body": "str",
    },
    "audit/1": {
        **_ROW,
        "app_version": "str",
        "~login": "str",
        "~provider": "str",
        "~account": "str",
        "~trigger": "str",
        "~from": "state",
        "~to": "state",
        "~reason": "str",
        "~outcome": "str",
        "~prev": "str",
        "~mac": "str",
    },
    "audit-checkpoint/1": {
        "origin": "str",
        "size": "int",
        "head": "str",
        "note": "str",
        "public_key": "str",
    },
    "audit-forward-secure/1": {"verification_key": "str"},
    "audit-prune/1": {"removed": "any", "logins": "int", "note": "str?"},
    "audit-report/1": {
        "file": "str?",
        "bytes": "int",
        "events": "int",
        "since": "time?",
        "until": "time?",
        "sound": "bool?",
        "logins": "int",
        "paths": "int",
        "unreadable": [{"first": "int", "last": "int"}],
        "failures": [{"of": "str", "reason": "str", "count": "int"}],
        "refreshes": [{"provider": "str", "count": "int", "median": "num", "longest": "num"}],
        "people": [{"user": "str", "host": "str", **_SHARE}],
        "transports": [{"transport": "str", **_SHARE}],
        "providers": [{"provider": "str", **_SHARE}],
    },
    "audit-set-aside/1": {"seq": "int", "detail": "str?"},
    "audit-verify/1": {
        "sound": "bool",
        "records": "int",
        "first": "int",
        "last": "int",
        "intact": "int",
        "head": {"seq": "int", "mac": "str"},
        "since": "time?",
        "until": "time?",
        "logins": "int",
        "keyed": "bool",
        "unkeyed": "int",
        "findings": [
            {
                "code": "str",
                "seq": "int?",
                "last": "int?",
                "login": "str?",
                "message": "str",
                "expected": "str?",
                "found": "str?",
            }
        ],
    },
    "client-metadata/1": {},
    "diagram/1": {"drawing": "str"},
    "diagram-check/1": {"file": "str", "format": "str", "differences": ["str"]},
    "doctor/1": {
        "version": "str",
        "python": "str",
        "platform": "str",
        "checks": [{"name": "str", "result": "result", "detail": "str", "next": "str?"}],
    },
    "error/1": {"code": "str", "error": "str", "hint": "str?", "~advice": {"action": "str"}},
    "event/1": {
        "event": "event",
        "login": "str?",
        "~provider": "str",
        "~account": "str",
        "~seq": "int",
        "~from": "state",
        "~to": "state",
        "~trigger": "str",
        "~reason": "str?",
        "~action": "action",
        "~url": "str?",
        "~user_code": "str?",
        "~expires_at": "time?",
        "~resume": ["str"],
        "~state": "state?",
        "~exit_code": "int",
    },
    "login/1": {
        "login": "str",
        "provider": "str",
        "state": "state",
        "expires_at": "time?",
        "~account": "str",
        "~identity": "str?",
        "~scopes": ["str"],
        "~reason": "str?",
        "~via": "str",
        "~action": "action",
        "~url": "str",
        "~user_code": "str?",
        "~resume": ["str"],
    },
    "logout/1": {"logouts": [{"provider": "str", "account": "str", "problem": "str?"}]},
    "locked/1": {"forgotten": "int"},
    "mended/1": {"mended": [{"login": "str?", "message": "str"}]},
    "migrated/1": {
        "destination": "str",
        "moved": [{"provider": "str", "account": "str"}],
        "pending": ["str"],
    },
    "provider/1": {
        "service_name": "str",
        "~scopes": ["str"],
        "~client_id": "str",
        "~issuer": "str",
        "~origins": "map",
        "~template": "map",
        "~about": {
            "group": "str",
            "ways": ["str"],
            "secret": "str",
            "register_how": "str",
            "source": "str",
            "checked": "str?",
            "reported": "str",
            "notes": "str",
            "impossible": "str",
        },
    },
    "provider-check/1": {
        "provider": "str",
        "issuer": "str",
        "differs": "bool",
        "checked": "str?",
        "settings": [{"setting": "str", "ours": "str", "theirs": "str", "result": "comparison"}],
    },
    "provider-removed/1": {"name": "str"},
    "providers/1": {
        "providers": [
            {
                "name": "str",
                "title": "str",
                "group": "str",
                "~asks": ["str"],
                "~impossible": "str",
            }
        ]
    },
    "purged/1": {"ended": "int", "removed": "int"},
    "refresh/1": {"provider": "str", "account": "str", "expires_at": "time?", "reason": "str?"},
    "setup/1": {
        "kind": "str",
        "provider": "str?",
        "account": "str?",
        "written": "bool",
        "copy": "str?",
        "lines": ["str"],
        "files": [{"path": "str", "diff": "str"}],
    },
    "setup-undone/1": {"kind": "str", "files": [{"path": "str", "whole": "bool"}]},
    "status/1": {
        "logins": [
            {
                "provider": "str",
                "account": "str",
                "state": "state",
                "status": "str",
                "identity": "str?",
                "issuer": "str?",
                "scopes": ["str"],
                "expires_at": "time?",
                "refreshable": "bool",
                "refresh_expires_at": "time?",
                "~pkce": "str",
                "~api_url": "str",
                "~callback": "map",
                "~further_tokens": [
                    {
                        "resource": "str",
                        "scopes": ["str"],
                        "expires_at": "time?",
                        "refreshable": "bool",
                    }
                ],
                "storage": "str",
                "login": "str",
                "reason": "str?",
                "scopes_unasked": ["str"],
                "next": "str?",
                "~active": "bool?",
            }
        ],
        "pending": [
            {
                "login": "str",
                "provider": "str",
                "account": "str",
                "state": "state",
                "via": "str?",
                "deadline": "time?",
                "next": "str?",
            }
        ],
    },
    "store/1": {
        "storage": "str",
        "~key": "str",
        "~reason": "str",
        "~created_at": "time?",
        "~epoch": "int",
        "~generation": "int",
        "~logins": "int",
        "~records": "int",
        "~set_aside": "any",
        "~problems": "any",
        "~unlock_window": {"seconds": "int", "kept": "int"},
        "~sinks": [{"sink": "str", "behind_since": "any", "problem": "str?"}],
    },
    "token/1": {
        "provider": "str",
        "account": "str",
        "access_token": "str",
        "token_type": "str",
        "expires_at": "time?",
        "scopes": ["str"],
        "~api_url": "str",
    },
    "token.headers/1": {"provider": "str", "headers": "map"},
    "whoami/1": {"accounts": [{**_ACCOUNT, "source": "str?", "claims": "map?", "problem": "map?"}]},
}
"""The members of each answer and their types: ``?`` may be null, ``~`` may be missing."""

SAID: Final[Mapping[str, str]] = {
    "account/1": "An account that was chosen or renamed.",
    "accounts/1": "The accounts that are signed in.",
    "answer/1": "An answer of a provider that could not be read, to the letter.",
    "audit/1": "One event of the audit log; one object a line.",
    "audit-checkpoint/1": "A signed note of how the log stands.",
    "audit-forward-secure/1": "The key that verifies records whose own keys are erased.",
    "audit-prune/1": "Which records were removed.",
    "audit-report/1": "The figures of the report. `file` is null with `-o -`.",
    "audit-set-aside/1": "The record with which the log goes on.",
    "audit-verify/1": "The result of a check of the log.",
    "client-metadata/1": "What a hosted document has, with `--check`; without, the document itself is printed.",
    "diagram/1": "The machine, or the path of a login, in the format that was asked for.",
    "diagram-check/1": "How an older drawing differs from the machine.",
    "doctor/1": "The checks and their results.",
    "error/1": "What went wrong. The sentence is on standard error, too.",
    "event/1": "What happens to a login that is waited for; one object a line.",
    "login/1": "A login that waits for its user, or how it ended.",
    "logout/1": "Whom the command signed out, and what the provider did not do.",
    "locked/1": "How many keys of unlock windows were forgotten.",
    "mended/1": "What was set aside.",
    "migrated/1": "The logins that were moved, and the open ones that were not.",
    "provider/1": "The settings of a provider; every field of it may be a member.",
    "provider-check/1": "The settings of a provider beside what it publishes now.",
    "provider-removed/1": "The provider that was removed.",
    "providers/1": "The providers that are known.",
    "purged/1": "How many logins were ended and removed.",
    "refresh/1": "The new token's end.",
    "setup/1": "The configuration, as commands and as a change of files.",
    "setup-undone/1": "The files that were put back.",
    "status/1": "Finished and open logins.",
    "store/1": "The storage: what opens it, how many logins, what is wrong.",
    "token/1": "The access token. This answer is a secret.",
    "token.headers/1": "The headers of one request (RFC 9449).",
    "whoami/1": "Who is signed in, as the provider says.",
}


def schema_of(name: str) -> dict[str, object]:
    """The JSON Schema of an answer, such as ``status/1``. New members may be added to an answer."""
    made = _object({"schema": f"={name}", **SHAPES[name]})
    head = {"$schema": FORMAT, "$id": f"urn:stayfast:{name.replace('/', ':')}"}
    return {**head, "title": f"stayfast.{name}", "description": SAID[name], **made}


def file_of(name: str) -> str:
    """The file of a schema: ``status.1.schema.json``."""
    return f"{name.replace('/', '.')}.schema.json"


_TYPES: Final[Mapping[str, dict[str, object]]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "num": {"type": "number"},
    "bool": {"type": "boolean"},
    "map": {"type": "object"},
    "any": {},
    "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    "state": {"enum": [state.value for state in State]},
    "result": {"enum": ["ok", "warn", "fail", "skip"]},
    "comparison": {"enum": ["same", "differs", "added", "unpublished"]},
    "action": {"enum": ["open_url", "enter_code"]},
    "event": {
        "enum": ["login.started", "login.transition", "login.action_required", "login.finished"]
    },
}


def _type(shape: object) -> dict[str, object]:
    if isinstance(shape, Mapping):
        return _object(cast("Mapping[str, object]", shape))
    if isinstance(shape, list):
        (item,) = cast("list[object]", shape)
        return {"type": "array", "items": _type(item)}
    name = str(shape)
    if name.startswith("="):
        return {"const": f"stayfast.{name[1:]}"}
    made = dict(_TYPES[name.rstrip("?")])
    return {"anyOf": [made, {"type": "null"}]} if name.endswith("?") else made


def _object(shape: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {name.lstrip("~"): _type(one) for name, one in shape.items()},
        "required": [name for name in shape if not name.startswith("~")],
    }
