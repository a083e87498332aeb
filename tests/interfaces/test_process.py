"""What is left of a process that had secrets: nothing on disk, and only its own in what it starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
LOOK = """
import os, resource, sys
def look():
    return resource.getrlimit(resource.RLIMIT_CORE)[0], os.stat("/proc/self/environ").st_uid
"""


def run_as_user(code: str) -> str:
    """Run ``code`` as a user who may write core dumps; only then /proc shows who may not be dumped."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    done = subprocess.run(
        [sys.executable, "-c", f"import os, resource, sys\nsys.path[:] = {sys.path!r}\n"
         "resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)\n"
         "import ctypes\nfrom stayfast.interfaces import process\nos.setuid(65534)\n"
         "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # setuid has cleared it\n"
         + LOOK + code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_process_with_secrets_leaves_no_core_dump() -> None:
    """Its limit is 0, and it is not dumpable, so that no reporter gets its memory either."""
    assert run_as_user("print(look())").endswith(", 65534)")
    assert run_as_user("process.forbid_core_dumps()\nprint(look())") == "(0, 0)"


def test_what_takes_its_place_has_the_limits_of_before() -> None:
    """The command of ``exec`` may be dumped as it could without us."""
    code = (
        "process.forbid_core_dumps()\n"
        "process.allow_core_dumps()\n"
        "os.execv('/bin/sh', ['sh', '-c', 'ulimit -c; stat -c %u /proc/self/environ'])\n"
    )
    assert run_as_user(code).split() == ["unlimited", "65534"]


def test_a_limit_can_be_forbidden_twice() -> None:
    """The second time changes nothing, and what was before is still known."""
    code = (
        "process.forbid_core_dumps()\nprocess.forbid_core_dumps()\n"
        "process.allow_core_dumps()\nprint(look()[0])\n"
        "process.limit_core_dumps()\nprint(look()[0])"
    )
    assert run_as_user(code).split() == ["-1", "0"]
