"""A crowd of processes at every expiry, at a server that ends the login when a token is reused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import stampede
from caller_kills import approve
from command import World
from instant import InstantTransport
from stayfast.engine.table import State
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.mark.parametrize(
    ("processes", "expiries"),
    [
        (64, 20),
        pytest.param(64, 100, marks=pytest.mark.soak),
        pytest.param(256, 100, marks=pytest.mark.soak),
    ],
)
def test_a_stampede_is_one_request_per_expiry(
    tmp_path: Path, server: AuthorizationServer, processes: int, expiries: int
) -> None:
    """However many find the token expired at once, the provider is asked once; all get the answer."""
    tmp_path.chmod(0o700)
    World(tmp_path, server).config.rename(tmp_path / "c")
    assembly = stampede.assembly(str(tmp_path))
    assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.05), times=None)
    before = server.counts.copy()
    done = subprocess.run(
        [sys.executable, str(stampede.__file__), str(tmp_path), str(processes), str(expiries)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=180 + expiries * processes / 10,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    requests = server.counts["token:refresh_token"] - before["token:refresh_token"]
    reuse = server.counts["refresh_reuse"] - before["refresh_reuse"]
    print(f"\n{processes} processes: {requests} requests for {expiries} expiries, {reuse} reuses, "
          f"longest wait {figures['longest_wait_ms']} ms")  # fmt: skip
    assert (requests, reuse) == (expiries, 0)
    login = assembly.conductor.refresh.find("demo", "default")
    assert login.state is State.AUTHENTICATED
    assert assembly.storage.problems() == []  # type: ignore[attr-defined]  # a vault
