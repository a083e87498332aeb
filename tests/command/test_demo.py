"""The demo shows the product: it runs by itself anywhere, and what it claims is what happened."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pexpect
import pytest
from command import STAYFAST

PATIENCE = 180
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINK = re.compile(r"\x1b\]8;[^\x1b]*\x1b\\")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An empty home, and choices for real logins that must not reach the demo's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "LANG": "C.UTF-8",
        "STAYFAST_STORE": "postgresql://nowhere.invalid/db",
        "STAYFAST_PASSPHRASE": "of real logins",
        "STAYFAST_JSON": "",
    }


def held(shown: str, home: Path) -> None:
    """Every part was seen, in 80 columns, and a report was kept and nothing else."""
    parts = [
        r"\^C",
        r"Paused\. Login \w{4} is saved",
        r"resume \w{4} --callback-url -",
        r"Signed in to demo as ada@demo\.test",
        r"8 answers, all the same; the server counted 1 refresh request\.",
        r"kill -9 \d+",
        r"Resuming login",
        r"Signed in to demo as ada@demo\.test",
        r"receive_callback",
        r"chain unbroken",
        r"file://\S+report\.html",
    ]
    at = 0
    for part in parts:
        found = re.compile(part).search(shown, at)
        assert found, part
        at = found.end()
    cut = [line for line in shown.splitlines() if line.rstrip().endswith(("authorize", "o…"))]
    assert all("://" in line for line in cut)  # an address is cut, not broken
    wide = [line for line in shown.splitlines() if len(line) > 80]
    assert [
        line for line in wide if "report.html" not in line
    ] == []  # a path that is as long as it is
    report = Path(unquote(urlsplit(re.findall(r"file://\S+", shown)[-1]).path))
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert {path for path in home.rglob("*") if path.is_file()} == {report}
    assert "eyJ" not in shown


def test_the_demo_runs_without_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    """In a pipe it is plain text, of the same parts."""
    done = subprocess.run(
        [STAYFAST, "demo"], env=environ, capture_output=True, text=True, check=False,
        timeout=PATIENCE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    held(done.stdout, tmp_path)


def test_the_demo_is_in_colour_at_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    """At 80 columns it has colours, and ends with 0."""
    child = pexpect.spawn(
        STAYFAST, ["demo"], env={**environ, "TERM": "xterm-256color"}, dimensions=(24, 80),
        timeout=PATIENCE, encoding="utf-8",
    )  # fmt: skip
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert child.before is not None
    assert COLOUR.search(child.before)
    held(COLOUR.sub("", LINK.sub("", child.before)).replace("\r\n", "\n"), tmp_path)
