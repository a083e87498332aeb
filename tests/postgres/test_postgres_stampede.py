"""Two hosts of processes at every expiry, at a server that ends the login when a token is reused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import two_hosts
from caller_kills import approve
from command import World
from instant import InstantTransport
from postgres_server import PostgresServer
from stayfast.engine.table import State
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.mark.parametrize(
    ("processes", "expiries"),
    [
        (8, 6),
        pytest.param(32, 100, marks=pytest.mark.soak),
    ],
)
def test_two_hosts_send_one_request_per_expiry(
    tmp_path: Path,
    provider: AuthorizationServer,
    server: PostgresServer,
    database: str,
    processes: int,
    expiries: int,
) -> None:
    """Many ask on both hosts and some are killed: the provider gets one request for each expiry."""
    tmp_path.chmod(0o700)
    World(tmp_path, provider).config.rename(tmp_path / "c")
    assembly = two_hosts.assembly(server.url(database), str(tmp_path), "one")
    assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))
    provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.1), times=None)
    before = provider.counts.copy()
    done = subprocess.run(
        [sys.executable, str(two_hosts.__file__), server.url(database), str(tmp_path),
         str(processes), str(expiries)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=False, timeout=180 + expiries * processes / 5,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    requests = provider.counts["token:refresh_token"] - before["token:refresh_token"]
    reuse = provider.counts["refresh_reuse"] - before["refresh_reuse"]
    print(f"\n{figures['processes']} processes on two hosts: {requests} requests for {expiries} "
          f"expiries, {reuse} reuses, {figures['kills']} holders killed, "
          f"p95 {figures['p95_ms']} ms, longest wait {figures['longest_wait_ms']} ms")  # fmt: skip
    assert (requests, reuse) == (expiries, 0)
    assert figures["kills"] >= expiries // 2
    login = assembly.conductor.refresh.find("demo", "default")
    assert login.state is State.AUTHENTICATED
    assert assembly.storage.problems() == []  # type: ignore[attr-defined]  # it is one of PostgreSQL
    assembly.storage.close()  # type: ignore[attr-defined]  # see above
