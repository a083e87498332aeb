"""A root key that has leaked is replaced while several processes sign users in and refresh their tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import many_users
import pytest
from command import World
from postgres_server import Host, PostgresServer
from provider_apart import ProviderApart
from stayfast.engine.errors import StorageError
from stayfast.storage.postgres import resealing

WORKERS, USERS = 3, 4


@pytest.fixture
def provider() -> Iterator[ProviderApart]:
    running = ProviderApart()
    yield running
    running.end()


def test_a_leaked_key_is_replaced_under_load(
    server: PostgresServer, database: str, tmp_path: Path, provider: ProviderApart, host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No login is lost, no refresh token is sent twice, and the key that leaked opens nothing."""
    monkeypatch.setattr(resealing, "BATCH", 2)
    place, leaked = tmp_path / "p", tmp_path / "leaked"
    for made in (place, leaked):
        made.mkdir(mode=0o700)
    World(place, provider).config.rename(place / "c")
    operator = host("operator", config_dir=str(place / "c"))
    operator.probe()
    (key,) = (place / "c").glob("*.key")
    (leaked / key.name).write_bytes(key.read_bytes())
    (leaked / key.name).chmod(0o600)
    workers = [
        subprocess.Popen(
            [sys.executable, many_users.__file__, server.url(database), str(place), f"host{number}",
             str(number * USERS), str((number + 1) * USERS)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
        )
        for number in range(WORKERS)
    ]  # fmt: skip
    changes = 0
    while any(worker.poll() is None for worker in workers):
        operator.rekey("keyfile")
        changes += 1
    assert [(worker.communicate(), worker.returncode)[1] for worker in workers] == [0] * WORKERS
    assert operator.about().epoch == changes + 1 > 2
    assert sorted(one.account for one in operator.summaries() if one.holds_tokens) == sorted(
        f"user{number}" for number in range(WORKERS * USERS)
    )
    assert operator.problems() == []
    assert operator.verify().findings == []
    assert provider.counts().get("refresh_reuse", 0) == 0
    with pytest.raises(StorageError):
        host("thief", config_dir=str(leaked)).summaries()
