"""The published schema of audit lines: made from the code, and true of every line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from stayfast.engine.audit.events import SECTION, EventKind
from stayfast.interfaces.audit import schema as module
from stayfast.interfaces.audit.lines import FIELDS
from stayfast.interfaces.audit.schema import schema

if os.environ.get("STAYFAST_REQUIRE_ALL") == "1":
    import jsonschema
else:
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")

PUBLISHED = Path(module.__file__).with_name("audit-event.schema.json")


def test_what_is_published_is_what_the_code_says() -> None:
    """The file beside the module is the schema of today."""
    assert json.loads(PUBLISHED.read_text()) == schema()
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_field_is_in_the_schema_and_no_other() -> None:
    """The allow-list and the schema name the same fields."""
    named = {name for one in schema()["oneOf"] for name in one["properties"]}
    assert named == FIELDS
    titles = {one["title"] for one in schema()["oneOf"]}
    assert titles == {*EventKind, SECTION}


LINE: dict[str, Any] = {
    "schema": 1, "seq": 3, "time": "2026-03-04T14:01:58.000000Z", "event": "login.transition",
    "pid": 1, "host": "h", "user": "u", "app_version": "1", "login": "x", "provider": "p",
    "account": "a", "version": 2, "outcome": "success", "trigger": "begin", "from": "idle",
    "to": "challenge",
}  # fmt: skip


@pytest.mark.parametrize(
    "amended",
    [
        {"access_token": "secret"},
        {"trigger": "teleport"},
        {"reason": "wrong_state"},  # that of a refused input
        {"mac": "00" * 32},  # a link without the one before
        {"seq": 0},
        {"event": "storage.created"},
    ],
)
def test_a_line_that_says_more_or_other_is_not_valid(amended: dict[str, Any]) -> None:
    """The schema refuses what the log never says."""
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(LINE)
    assert not validator.is_valid({**LINE, **amended})
