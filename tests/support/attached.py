"""``strace`` attached to a process that runs: its calls from now on are listed, or go wrong."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from stayfast.testing.crash_driver import unavailable


def require() -> None:
    """Skip where no system call can be made to fail in a process that runs."""
    missing = unavailable()
    if missing is None and os.geteuid() != 0:
        missing = "only root can attach to a process that keeps its memory to itself"
    if missing and os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@contextmanager
def attached(pid: int, options: Sequence[str], *, follow: bool = True) -> Iterator[None]:
    """In the block, process ``pid`` is traced as ``options`` say.

    Args:
        pid: The process.
        options: Options of ``strace``.
        follow: Whether its threads and children are traced as well.
    """
    tracer = subprocess.Popen(
        ["strace", *["-f"][: int(follow)], *options, "-p", str(pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    for line in tracer.stderr:  # it must have hold of the process before anything else happens
        if "attached" in line:
            break
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def saver(state: Path, caller: int, login: str = "*") -> int:
    """The process that has the lock of ``login``, or of the only one: it is the one that will save."""
    (lock,) = (state / "locks").glob(f"{login}.lock")
    found = re.match(r"(\d+) ", lock.read_text())
    return int(found[1]) if found else caller
