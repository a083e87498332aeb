from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(
    re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)


def steps_of(path: Path) -> list[dict[str, Any]]:
    """The steps of all jobs of a workflow."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_jobs_that_end_and_no_right_it_does_not_name(path):
    """Every job says where it runs, and the rights of the token are narrowed at the top."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert workflow[True]  # `on`, as YAML 1.1 reads it
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 90
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_is_named_by_its_commit(path):
    """A tag can be moved to other code; the hash of a commit cannot."""
    used = [step["uses"] for step in steps_of(path) if "uses" in step]

    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", one)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_a_desk_runs(path):
    """Its commands are targets of the Makefile, or a script of the repository."""
    for command in (step["run"] for step in steps_of(path) if "run" in step):
        program, *arguments = command.split()
        if program == "make":
            assert {word for word in arguments if "=" not in word} <= TARGETS
        else:
            assert (ROOT / program).is_file()
