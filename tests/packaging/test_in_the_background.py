from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IGNORING = 'trap "" INT HUP; exec "$0" "$@"'


def test_the_tests_hold_below_a_shell_that_ignores_signals() -> None:
    """`nohup make test` and `make test &` run the tests of Ctrl-C as a terminal does."""
    done = subprocess.run(
        ["sh", "-c", IGNORING, str(Path(sys.executable).with_name("pytest")),
         "-q", "-p", "no:cacheprovider", "tests/interfaces/test_courier.py", "-k", "signal or ctrl_c"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
