"""A program with threads whose logins are in PostgreSQL: another process carries its jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import long_lived
import pytest
import threaded_caller
from caller_kills import approve
from command import World, until
from instant import InstantTransport
from postgres_server import PostgresServer
from stayfast.engine.errors import LoginBusy, TokenRefreshFailed
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.couriers.channel import EventForwarder
from stayfast.interfaces.couriers.choice import choose_courier
from stayfast.interfaces.couriers.worker_courier import WorkerCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, provider: AuthorizationServer) -> Path:
    """The settings of the provider in c."""
    tmp_path.chmod(0o700)
    World(tmp_path, provider).config.rename(tmp_path / "c")
    return tmp_path


def assembly(place: Path, url: str, courier: str = "inline") -> Assembly:
    return Assembly.open(
        state_dir=str(place / "s"),
        config_dir=str(place / "c"),
        store=url,
        environ={"STAYFAST_COURIER": courier, "STAYFAST_AUDIT": "none"},
    )


def signed_in(place: Path, url: str) -> Assembly:
    own = assembly(place, url)
    own.conductor.sign_in(own.config("demo"), InstantTransport(approve))
    return own


@linux
@pytest.mark.parametrize("courier", ["auto", "spawn", "inline"])
def test_a_killed_program_with_threads_loses_no_login(
    place: Path, provider: AuthorizationServer, server: PostgresServer, database: str, courier: str
) -> None:
    """The worker keeps the lease until the rotated token is saved; without one, the login is lost."""
    own = signed_in(place, server.url(database))
    login_id = next(iter(own.storage.summaries())).id
    provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=1)
    rotated, reused = provider.counts["tokens"], provider.counts["refresh_reuse"]
    caller = subprocess.Popen(
        [sys.executable, threaded_caller.__file__, str(place)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "STAYFAST_COURIER": courier,
            "STAYFAST_STORE": server.url(database),
        },
    )
    until(lambda: provider.counts["tokens"], lambda seen: seen > rotated)
    caller.kill()
    caller.wait()
    if courier == "inline":
        with pytest.raises(TokenRefreshFailed):
            own.conductor.refresh.valid("demo", "default", force=True)
        return
    with pytest.raises(LoginBusy), own.storage.lease(login_id, wait=0):
        pass
    with own.storage.lease(login_id, wait=10):
        login = own.storage.read(login_id)
    assert login is not None
    assert login.state is State.AUTHENTICATED
    assert own.conductor.refresh.valid("demo", "default", force=True).state is State.AUTHENTICATED
    assert provider.counts["refresh_reuse"] == reused


@linux
def test_nothing_of_the_database_is_shown_to_others(
    place: Path, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password and the address go through the private socket, as the root key does."""
    url = server.url(database, password="canary-in-the-address")
    monkeypatch.setenv("PGPASSWORD", "canary-in-the-environment")
    monkeypatch.setenv("PGAPPNAME", "a-name-of-ours")
    own = assembly(place, url, "spawn")
    own.conductor.sign_in(own.config("demo"), InstantTransport(approve))
    assert isinstance(own.storage, PostgresStorage)
    handover = own.storage.handover()
    assert handover is not None
    assert "canary" not in repr(handover)
    shown = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if b"couriers.worker" in line and int(parent) == os.getpid():
                shown += line + (entry / "environ").read_bytes()
    assert b"PATH=" in shown
    for secret in (b"canary", handover.root, handover.root.hex().encode(), b"PGPASSWORD"):
        assert secret not in shown


def test_a_worker_works_where_this_host_has_no_place_for_locks(
    place: Path, server: PostgresServer, database: str
) -> None:
    """The lease is a row, so a server without a home directory has couriers as well."""
    (place / "s").write_text("a file in the place of the directory")
    own = assembly(place, server.url(database), "spawn")
    login = own.conductor.sign_in(own.config("demo"), InstantTransport(approve))
    assert own.conductor.refresh.valid("demo", "default", force=True).version > login.version


@linux
@pytest.mark.parametrize("threads", [1, 4])
def test_no_refresh_opens_a_session(
    place: Path, server: PostgresServer, database: str, threads: int
) -> None:
    """A program that lives on keeps its sessions, and those of its one worker, for all refreshes."""
    own = signed_in(place, server.url(database))
    for number in range(threads):
        own.conductor.sign_in(own.config("demo"), InstantTransport(approve), account=f"a{number}")

    def backends() -> set[int]:
        found = server.execute(
            "postgres",
            f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}'",
        )
        return {pid for (pid,) in found}

    seen: list[set[int]] = []
    with subprocess.Popen(
        [sys.executable, long_lived.__file__, str(place), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "STAYFAST_STORE": server.url(database),
        },
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        for _ in range(5):
            program.stdin.write(b"\n")
            program.stdin.flush()
            assert program.stdout.readline() == b"done\n"
            seen.append(backends())
    assert program.returncode == 0
    assert seen[2] == seen[3] == seen[4]


def test_a_storage_that_somebody_derived_is_not_handed_over() -> None:
    """A worker knows nothing of what a class outside of this package adds."""

    class Own(PostgresStorage):
        """Another's."""

    http, forwarder = RequestsHttp(), EventForwarder()
    ours, theirs = PostgresStorage("postgresql://h/d"), Own("postgresql://h/d")
    spawn = {"STAYFAST_COURIER": "spawn"}
    assert isinstance(choose_courier(ours, http, forwarder, spawn), WorkerCourier)
    assert theirs.capabilities.sharing is None
