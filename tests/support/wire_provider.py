"""oidc-provider, a certified authorization server from npm, as a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "wire"


def require() -> str:
    """The path of node; skips, or fails where everything is required, saying what is missing."""
    node = shutil.which("node")
    missing = None
    if node is None:
        missing = "node is not installed"
    elif not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        missing = "oidc-provider is not installed: make wire"
    if missing is None:
        assert node is not None
        return node
    if os.environ.get("STAYFAST_REQUIRE_ALL"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def running() -> Iterator[str]:
    """The issuer of a server that runs for as long as the block."""
    process = subprocess.Popen(
        [require(), "server.mjs"],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["issuer"]
    finally:
        process.communicate()  # its end of input is its sign to go
