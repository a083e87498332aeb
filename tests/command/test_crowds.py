"""Many processes, one login, one refresh."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from command import PATIENCE, World
from stayfast.engine.result import Success
from stayfast.interfaces.service import OAuthService
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def expired(world: World, server: AuthorizationServer) -> Iterator[World]:
    """A login whose token has run out, at a server that takes its time and forgives no reuse."""
    server.change(token_lifetime=0.001)
    assert world.run("login", "demo", "--via", "loopback").code == 0
    server.change(token_lifetime=3600)
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.1), times=None)
    yield world
    server.behave()


def test_processes_share_one_refresh(expired: World, server: AuthorizationServer) -> None:
    """Of twelve processes that find the token expired, one refreshes and all get its token."""
    before = server.counts.copy()
    running = [expired.start("token", "demo") for _ in range(12)]
    tokens = {process.communicate(timeout=PATIENCE)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0] * 12
    assert len(tokens) == 1
    assert server.counts["token:refresh_token"] - before["token:refresh_token"] == 1
    assert server.counts["refresh_reuse"] == before["refresh_reuse"]


def test_threads_share_one_refresh(expired: World, server: AuthorizationServer) -> None:
    """So do the threads of one process, through one service or several."""
    before = server.counts.copy()
    services = [OAuthService(assembly=expired.assembly) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(services[n % 4].get_bearer_token, "demo") for n in range(32)]
        answers = [one.result() for one in asked]
    tokens = {answer.value for answer in answers if isinstance(answer, Success)}
    assert len(tokens) == 1
    assert all(isinstance(answer, Success) for answer in answers)
    assert server.counts["token:refresh_token"] - before["token:refresh_token"] == 1
    assert server.counts["refresh_reuse"] == before["refresh_reuse"]


def test_a_forced_refresh_by_a_crowd_forgives_nothing(
    expired: World, server: AuthorizationServer
) -> None:
    """Processes that each insist on a refresh take turns; no refresh token is used twice."""
    before = server.counts.copy()
    running = [expired.start("refresh", "demo") for _ in range(6)]
    for process in running:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in running] == [0] * 6
    assert server.counts["refresh_reuse"] == before["refresh_reuse"]
