"""Thousands of users sign in through several workers on two hosts, whatever happens meanwhile.

The quick run is part of the suite. ``make soak`` runs it with 10,000 users, and prints the figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import many_users
import pytest
from command import World
from postgres_server import Host, PostgresServer
from provider_apart import ProviderApart
from stayfast.engine.table import State

WORKERS = 4


@pytest.fixture
def provider() -> Iterator[ProviderApart]:
    running = ProviderApart()
    yield running
    running.end()


@pytest.mark.parametrize(
    ("users", "rounds"),
    [
        pytest.param(12, 1, id="quick"),
        pytest.param(10_000, 20, id="long", marks=pytest.mark.soak),
    ],
)
def test_every_user_is_signed_in(
    server: PostgresServer, database: str, tmp_path: Path, provider: ProviderApart, host: Host,
    users: int, rounds: int,
) -> None:  # fmt: skip
    """While the database restarts, its key is changed, and a worker is killed: none is lost, or there twice."""
    place = tmp_path / "p"
    place.mkdir(mode=0o700)
    World(place, provider).config.rename(place / "c")
    operator = host("operator", config_dir=str(place / "c"), patience=60.0)
    operator.probe()
    share = users // WORKERS

    def started(number: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, many_users.__file__, server.url(database), str(place),
             ("one", "two")[number % 2], str(number * share), str((number + 1) * share)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "STAYFAST_COURIER": "spawn",
            },
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def signed_in() -> int:
        return operator.about().states.get(State.AUTHENTICATED.value, 0)

    began = time.monotonic()
    workers = [started(number) for number in range(WORKERS)]
    for number in range(rounds):
        # not by the clock: each thing happens in the middle of the sign-ins
        while signed_in() < users * (number + 0.3) / rounds:
            assert all(worker.poll() in {None, 0} for worker in workers)
            time.sleep(0.1)
        server.restart()
        operator.rekey("keyfile")
        victim = number % WORKERS
        workers[victim].kill()
        workers[victim].communicate()
        workers[victim] = started(victim)
    said = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    seconds = time.monotonic() - began
    finished = [one for one in operator.summaries() if one.holds_tokens]
    assert sorted(one.account for one in finished) == sorted(
        f"user{number}" for number in range(share * WORKERS)
    )
    assert operator.problems() == []
    assert operator.verify().findings == []
    assert provider.counts().get("refresh_reuse", 0) == 0
    each = [json.loads(line) for line in said]
    print(
        f"\n{users} users signed in and were refreshed through {WORKERS} workers on two hosts, "
        f"{users / seconds:.1f} /s, p95 {max(one['p95_s'] for one in each)} s, "
        f"longest {max(one['longest_s'] for one in each)} s; {rounds} restarts, changes of the key "
        f"and killed workers"
    )
