"""Random kills of many workers on a few logins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import killing_spree
import pytest

BETWEEN = 0.05
"""Seconds from one kill to the next."""


@pytest.mark.parametrize(
    "kills",
    [
        500,
        pytest.param(
            int(os.environ.get("STAYFAST_KILLS", "10000")), id="many", marks=pytest.mark.soak
        ),
    ],
)
def test_no_kill_loses_a_login(tmp_path: Path, kills: int) -> None:
    """Sixteen workers on eight logins, one killed every 50 ms: whatever was saved stays saved.

    The printed figures say how long anybody waited for what a killed holder had held.
    """
    tmp_path.chmod(0o700)
    done = subprocess.run(
        [sys.executable, str(killing_spree.__file__), str(tmp_path), str(kills), str(BETWEEN)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=180 + kills,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    print(f"\n{figures}")
    assert figures["kills"] == kills
