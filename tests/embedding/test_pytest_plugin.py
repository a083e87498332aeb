"""The fixtures for programs that embed the library."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUITE = """\
import os
import requests
from freezegun import freeze_time
from stayfast import AuthStatus, Success

def test_nobody_is_signed_in_at_first(stayfast_service):
    assert stayfast_service.get_status("demo") == Success(AuthStatus.NOT_AUTHENTICATED)

def test_signed_in(stayfast_signed_in, stayfast_server):
    auth = stayfast_signed_in.auth("demo")
    assert requests.get(f"{stayfast_server.issuer}/me", auth=auth, timeout=30).ok

def test_a_code_on_another_device(stayfast_service_for, stayfast_server):
    stayfast_server.change(device_interval=1)
    service = stayfast_service_for("acme", client_secret=None)
    assert isinstance(service.authenticate("acme", via="device"), Success)

def test_the_time_is_stopped_and_set(stayfast_service, stayfast_server):
    with freeze_time("2031-05-01") as clock:
        assert isinstance(stayfast_service.authenticate("demo"), Success)
        auth, me = stayfast_service.auth("demo"), f"{stayfast_server.issuer}/me"
        for refreshes in (0, 1, 2):
            assert requests.get(me, auth=auth, timeout=30).ok
            assert stayfast_server.counts["token:refresh_token"] == refreshes
            clock.tick(3601)

def test_nothing_of_the_person_who_runs_it_was_touched():
    assert os.listdir(os.environ["HOME"]) == []
"""


def test_the_fixtures_are_enough_for_a_suite(tmp_path: Path) -> None:
    """A suite without an import of ours signs in, calls, and leaves the home of its user alone."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:stayfast",
            "-p", "stayfast.interfaces.pytest_plugin", "-c", os.devnull, "--rootdir", ".", "-W", "error",
            "test_suite.py",
        ],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "STAYFAST_STORE": "keyring",  # a setting of that person, which no test may see
            "STAYFAST_AUDIT": "nonsense",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_pytest_finds_them_where_the_package_is_installed() -> None:
    """The entry point names a module, and loading that costs a run of other tests next to nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (target,) = project["project"]["entry-points"]["pytest11"].values()
    import_module(target)
    listed = subprocess.run(
        [sys.executable, "-c", f"import sys, pytest; b = set(sys.modules); import {target}\nprint(*set(sys.modules) - b)"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip

    assert set(listed.stdout.split()) <= {"stayfast", "stayfast.interfaces", target}
