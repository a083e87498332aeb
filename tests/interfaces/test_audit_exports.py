"""Exports in the words of ECS, OCSF and OpenTelemetry: as they were agreed, and valid there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from audit_samples import sample_lines
from stayfast.engine.audit.events import EventKind
from stayfast.engine.reasons import Refusal
from stayfast.engine.table import TABLE
from stayfast.interfaces.audit.mappings import MAPPINGS, to_ecs, to_ocsf, to_otel

GOLDEN = Path(__file__).parent / "golden"
LINES = sample_lines()


@pytest.mark.parametrize("form", ["ecs", "ocsf", "otel"])
def test_exports_are_as_they_were_agreed(form: str) -> None:
    """One of every kind of event: every row of the table, every refusal, every storage event.

    After a change that is wanted: ``audit_samples.py FORM > golden/FORM.jsonl``.
    """
    golden = (GOLDEN / f"{form}.jsonl").read_text("utf-8").splitlines()
    assert len(golden) == len(LINES) == len(TABLE) + len(Refusal) + len(EventKind) - 2
    for line, wanted in zip(LINES, golden, strict=True):
        assert json.loads(json.dumps(MAPPINGS[form](line))) == json.loads(wanted)


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["seq"]))
def test_ocsf_has_what_its_classes_require(line: dict[str, Any]) -> None:
    """The required attributes of Authentication 1.3, and identifiers that agree with one another."""
    made = to_ocsf(line)
    assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
    assert made["metadata"]["version"] == "1.3.0"
    assert made["metadata"]["product"].keys() >= {"vendor_name"}
    assert made["severity_id"] in range(7)
    assert made["time"] == int(made["time"]) > 10**12
    if line["event"].startswith("login."):
        assert (made["class_uid"], made["category_uid"]) == (3002, 3)
        assert made["activity_id"] in {1, 2, 99}
        assert made["user"].keys() & {"name", "uid"}
        assert "service" in made or "dst_endpoint" in made
    else:
        assert (made["class_uid"], made["category_uid"]) == (0, 0)


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(line["seq"]))
def test_ecs_keeps_to_its_allowed_values(line: dict[str, Any]) -> None:
    """Category and type are of the lists ECS allows, and types fit their category."""
    event = to_ecs(line)["event"]
    types = {
        "authentication": {"start", "end", "info"},
        "configuration": {"access", "change", "creation", "deletion", "info"},
    }
    (category,) = event["category"]
    assert set(event["type"]) <= types[category]
    assert event["outcome"] in {"success", "failure", "unknown"}
    assert event["kind"] == "event"


def test_opentelemetry_records_are_as_its_schema_says() -> None:
    """Each line is what the published protocol buffers take, every name of it known there."""
    if os.environ.get("STAYFAST_REQUIRE_ALL") != "1":
        pytest.importorskip("opentelemetry.proto.logs.v1.logs_pb2", reason="opentelemetry-proto")
    from google.protobuf import json_format  # noqa: PLC0415  only where it is installed
    from opentelemetry.proto.logs.v1 import logs_pb2  # noqa: PLC0415

    for line in LINES:
        data = json_format.Parse(json.dumps(to_otel(line)), logs_pb2.LogsData())
        (record,) = data.resource_logs[0].scope_logs[0].log_records
        assert record.event_name == f"stayfast.{line['event']}"
        names = [one.key for one in record.attributes]
        assert len(names) == len(set(names))
