"""Many write one log, and many of them die: it stays one chain, with one event per transition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import killed_before_observing
import pytest
import wandering
from stayfast.engine.audit.events import EventKind
from stayfast.engine.audit.verifier import check_lines
from stayfast.engine.table import TABLE
from stayfast.interfaces.audit.file import AuditFile
from stayfast.testing.storage_contract import records_of_logins
from transitions_of import vault_in


@pytest.mark.parametrize(
    ("processes", "steps"),
    [(8, 125), pytest.param(20, 500, id="many", marks=pytest.mark.soak)],
)
def test_what_a_crowd_wrote_verifies(tmp_path: Path, processes: int, steps: int) -> None:
    """Transitions of many processes at once: one chain, no number twice, every history legal."""
    tmp_path.chmod(0o700)
    vault = vault_in(str(tmp_path))
    vault.probe()
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            [sys.executable, wandering.__file__, str(tmp_path), str(steps), str(seed)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        for seed in range(processes)
    ]
    assert [process.wait(timeout=300) for process in running] == [0] * processes
    took = time.perf_counter() - began
    found = vault.verify()
    assert found.findings == []
    assert len(records_of_logins(vault)) == processes * steps
    assert found.logins == processes * 4
    print(f"\n{processes * steps} transitions of {processes} processes in {took:.1f} s")


def test_the_next_process_writes_the_lines_that_a_killed_one_did_not(tmp_path: Path) -> None:
    """Killed between vault and audit file, again and again: each transition is one event, and one line."""
    tmp_path.chmod(0o700)
    subprocess.run(
        [sys.executable, killed_before_observing.__file__, str(tmp_path), "200"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True, timeout=100,
    )  # fmt: skip
    vault = vault_in(str(tmp_path))
    path = tmp_path / "audit.jsonl"
    behind = vault.verify().last - json.loads(path.read_text().splitlines()[-1])["seq"]
    assert AuditFile(str(path), vault).catch_up() == behind > 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert check_lines(path.read_bytes().splitlines(), None).findings == []
    created, *lines = lines
    assert created["event"] == EventKind.STORAGE_CREATED
    assert max(Counter((line["login"], line["version"]) for line in lines).values()) == 1
    written = Counter(line["login"] for line in lines)
    assert {one.id: one.version for one in vault.summaries()} == written
    assert {(line["trigger"], line["from"]) for line in lines} == {
        (r.trigger, r.source) for r in TABLE
    }
    assert vault.verify().findings == []
