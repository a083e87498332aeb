"""The command and the service over PostgreSQL, as their users call them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import PATIENCE, STAYFAST, World, kill, states_of, until
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CONFIG
from postgres_server import Host, PostgresServer
from stayfast.engine.result import Success
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.service import OAuthService
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing import user_agent


def test_the_command_works_whole(world: World, server: PostgresServer, database: str) -> None:
    """Login, status, refresh, audit show, logout and token; nothing is kept on this host."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    status = world.run("status", "demo", "--json").json["logins"][0]
    assert status["state"] == "authenticated"
    assert status["storage"].startswith("postgresql:")
    assert world.run("refresh", "demo").code == 0
    shown = world.run("audit", "show", "--json").lines
    assert states_of(shown)[:4] == [
        "begin", "present", "receive_callback", "accept_tokens",
    ]  # fmt: skip
    assert world.run("logout", "demo").code == 0
    assert world.run("token", "demo").code == 4
    assert not (world.state / "vault.db").exists()
    assert server.execute(database, "SELECT count(*) FROM lease WHERE until IS NOT NULL") == [(0,)]


def test_a_login_begun_on_one_host_is_finished_on_another(world: World) -> None:
    """What one host began and did not live to finish, another resumes."""
    here = {"STAYFAST_STATE_DIR": str(world.place / "here")}
    there = {"STAYFAST_STATE_DIR": str(world.place / "there")}
    started = world.run("login", "demo", "--start", "--via", "manual", "--json", env=here)
    assert started.code == 3
    landed = user_agent.fetch_only(started.json["url"])
    login = started.json["login"]
    done = world.run("resume", login, "--callback-url", "-", stdin=landed, env=there)
    assert done.code == 0, done.err
    assert world.run("token", "demo", env=here).code == 0


def test_abandoned_logins_are_ended_by_whoever_sees_them(
    storage: PostgresStorage, host: Host
) -> None:
    """On any host: those past their deadline end and stay ended; one that waits is left alone."""
    clock = ManualClock(time.time())
    begun = conductor_over(storage, clock=clock)
    for seconds in (10, 10, 600):
        begun.start(CONFIG, InstantTransport(lambda _address: []), timeout=seconds)
    clock.time += 11
    there = host("there")
    for seen in (conductor_over(there, clock=clock).overview.summaries(), storage.summaries()):
        assert sorted((one.state.value, one.reason) for one in seen) == [
            (State.AWAITING_CALLBACK.value, None),
            (State.IDLE.value, "deadline_passed"),
            (State.IDLE.value, "deadline_passed"),
        ]


def test_a_killed_login_is_resumed_at_once(world: World) -> None:
    """After kill -9 of a waiting login, the same host goes on with it without any wait."""
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser")
    assembly = assembly_of(world)
    (login,) = until(
        lambda: list(assembly.storage.summaries()),
        lambda found: [one.state for one in found] == ["awaiting_callback"],
    )
    kill(waiting)
    cancelled = world.run("cancel", login.short_id)
    assert cancelled.code == 0, cancelled.err


def test_the_service_works_on_it(world: World) -> None:
    """A program hands the storage to OAuthService and needs nothing else."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    assembly = assembly_of(world)
    service = OAuthService(storage=assembly.storage)
    assert isinstance(service.get_tokens("demo"), Success)
    answer = OAuthService(assembly=assembly).refresh_tokens("demo")
    assert isinstance(answer, Success)
    assert world.run("token", "demo").out.strip() == answer.value.access_token


def test_an_operator_looks_after_it_by_the_command(
    world: World, server: PostgresServer, database: str
) -> None:
    """`store info`, `store rekey`, `store mend` and `store purge` do on a database what they do on a vault."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    assert world.run("logout", "demo").code == 0
    assert world.run("login", "demo", "--via", "loopback").code == 0
    before = world.run("store", "info", "--json").json
    assert (before["key"], before["epoch"], before["problems"]) == ("keyfile", 1, [])
    assert before["states"] == {"authenticated": 1, "idle": 1}
    assert before["schema_version"] >= 3
    assert world.run("store", "rekey", "--json").json["epoch"] == 2
    assert world.run("token", "demo").code == 0
    removed = world.run("store", "purge", "--older-than", "0s", "--json").json["removed"]
    assert removed == 1
    server.execute(database, "UPDATE login SET secret = meta")
    assert world.run("store", "info").code == 8
    assert len(world.run("store", "mend", "--json").json["mended"]) == 1
    assert world.run("store", "info").code == 0


def assembly_of(world: World) -> Assembly:
    return Assembly.open(
        config_dir=str(world.config),
        environ={**world.extra, "STAYFAST_STATE_DIR": str(world.state)},
    )


def test_without_the_driver_one_command_is_named(world: World, tmp_path: Path) -> None:
    """Where psycopg is not installed, the hint is the command that installs it."""
    absent = tmp_path / "absent" / "psycopg"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('absent')")
    done = subprocess.run(
        [sys.executable, STAYFAST, "status", "--json"],
        env={**world.environ, "PYTHONPATH": str(absent.parent)},
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["code"] == "CONFIG_MISSING"
    assert "pip install '.[postgres]'" in document["hint"]


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://keeper:hunter2@/nowhere?host=/nowhere",
        "postgresql://keeper:hunter2@[/x",
        "postgresql://keeper:hunter2@/db?nonsense=1",
        "postgresql://keeper:hunter2 @/db",
    ],
)
def test_a_password_in_the_address_is_never_told(world: World, address: str) -> None:
    """Neither a wrong address nor an unreachable server has its password printed."""
    done = world.run("status", "-vv", env={"STAYFAST_STORE": address})
    assert done.code in {1, 7}
    assert "hunter2" not in done.out + done.err
    assert "Traceback" not in done.err
