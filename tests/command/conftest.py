"""One server for all, a world for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import World
from stayfast.testing.authorization_server import AuthorizationServer, Settings


@pytest.fixture(scope="session")
def running_server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(device_interval=1)) as running:
        yield running


@pytest.fixture
def server(running_server: AuthorizationServer) -> Iterator[AuthorizationServer]:
    running_server.settings = Settings(device_interval=1)
    yield running_server
    running_server.behave()


@pytest.fixture
def world(tmp_path: Path, server: AuthorizationServer) -> World:
    tmp_path.chmod(0o700)
    return World(tmp_path, server)
