"""One certified server for all wire tests, and a user whose provider it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import wire_provider
from command import World
from stayfast.testing.authorization_server import AuthorizationServer


@pytest.fixture(scope="session")
def issuer() -> Iterator[str]:
    with wire_provider.running() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, issuer: str) -> World:
    """Directories with the certified server configured as ``wire``, by discovery."""
    tmp_path.chmod(0o700)
    made = World(tmp_path, AuthorizationServer())
    added = made.run(
        "provider", "add", "wire", "--issuer", issuer, "--client-id", "wire",
        "--scope", "openid email offline_access", "--param", "prompt=consent",
        "--redirect-uri", "http://127.0.0.1:0/callback",
    )  # fmt: skip
    assert added.code == 0
    return made
