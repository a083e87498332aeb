"""The server goes away: in the middle of a login, of a commit, of a lease."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from command import until
from conductors import conductor_over
from cutting_proxy import CuttingProxy
from instant import InstantTransport
from postgres_server import SESSIONS, Host, PostgresServer
from stayfast.engine.errors import OutcomeUnknown, StorageError
from stayfast.engine.ports import Change
from stayfast.engine.record import Login, TokensNotSaved
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.postgres import PostgresStorage, connections
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.storage_contract import (
    change,
    finished,
    further,
    pending,
    records_of_logins,
    saved,
)


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[CuttingProxy]:
    place = server.directory / "proxy"
    place.mkdir(exist_ok=True)
    (place / ".s.PGSQL.5432").unlink(missing_ok=True)
    proxy = CuttingProxy(place, server.directory)
    yield proxy
    proxy.close()


@pytest.fixture
def cut_off(
    proxy: CuttingProxy, server: PostgresServer, database: str, tmp_path: Path
) -> Iterator[PostgresStorage]:
    """A storage that reaches the server through the proxy."""
    tmp_path.chmod(0o700)
    storage = PostgresStorage(
        server.url(database).replace(str(server.directory), str(proxy.directory)),
        config_dir=str(tmp_path / "config"),
        state_dir=str(tmp_path / "one"),
        patience=3,
        environ={},
    )
    yield storage
    storage.close()


def test_a_login_survives_a_restart(
    storage: PostgresStorage, server: PostgresServer, provider: AuthorizationServer
) -> None:
    """A server that crashes while the user is in the browser costs the login nothing."""

    def approve(address: str) -> list[str]:
        server.restart()
        return [user_agent.fetch_only(address)]

    login = conductor_over(storage).sign_in(provider.config(), InstantTransport(approve))
    assert login.state is State.AUTHENTICATED
    assert storage.read(login.id) == login
    assert storage.problems() == []


def test_a_lease_survives_a_restart(storage: PostgresStorage, server: PostgresServer) -> None:
    """What was held before a crash is held after it, by the same fence."""
    login = pending()
    with storage.lease(login.id, wait=0) as lease:
        saved(storage, [login])
        server.restart()
        lease.keep()
        saved(storage, [further(login)])
    with storage.lease(login.id, wait=0):
        pass


def test_readers_and_writers_wait_for_the_server(
    storage: PostgresStorage, server: PostgresServer
) -> None:
    """Who reads or writes while the server is away is answered when it is back."""
    login = finished()
    saved(storage, [login])
    server.stop(immediate=True)
    back = threading.Timer(0.5, server.start)
    back.start()
    assert storage.read(login.id) == login
    back.join()
    server.restart()
    saved(storage, [further(login)])
    assert len(records_of_logins(storage)) == 2


def test_a_server_that_stays_away_is_an_error(host: Host, server: PostgresServer) -> None:
    """Nobody waits for ever, and an unreachable server is named as such."""
    storage = host(patience=0.3)
    saved(storage, [finished()])
    server.stop()
    with pytest.raises(StorageError) as caught:
        list(storage.summaries())
    assert caught.value.exit_code == 7
    with pytest.raises(StorageError):
        saved(storage, [pending()])


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("crash", [False, True])
def test_a_commit_whose_answer_is_lost_is_made_once(
    cut_off: PostgresStorage,
    proxy: CuttingProxy,
    server: PostgresServer,
    *,
    answered: bool,
    crash: bool,
) -> None:
    """Whether the server had done it is found out, and it is done exactly once."""
    login = finished()
    saved(cut_off, [login])
    proxy.cut(answered=answered, then=server.restart if crash else bool)
    (recorded,) = cut_off.commit([change(further(login, reason="again"))])
    assert proxy.cuts == 1
    newest = cut_off.read(login.id)
    assert newest is not None
    assert (newest.version, newest.reason) == (2, "again")
    first, second = records_of_logins(cut_off)
    assert (second.seq, second.mac) == (recorded.seq, recorded.mac)
    assert recorded.seq == first.seq + 1
    assert cut_off.problems() == []


def test_a_commit_that_arrives_late_is_waited_for(
    cut_off: PostgresStorage, proxy: CuttingProxy
) -> None:
    """One that is still on its way when its client has given up is not taken for lost."""
    login = finished()
    saved(cut_off, [login])
    proxy.cut_and_deliver_late(0.5)
    (recorded,) = cut_off.commit([change(further(login))])
    assert [event.seq for event in records_of_logins(cut_off)] == [recorded.seq - 1, recorded.seq]


@pytest.mark.parametrize("answered", [False, True])
def test_an_outcome_that_cannot_be_found_out_is_said(
    cut_off: PostgresStorage, proxy: CuttingProxy, server: PostgresServer, *, answered: bool
) -> None:
    """A server that does not come back leaves an unknown outcome, never a false success."""
    login = finished()
    saved(cut_off, [login])
    cut_off._connections.patience = 0.5
    proxy.cut(answered=answered, then=lambda: server.stop(immediate=True))
    with pytest.raises(OutcomeUnknown):
        saved(cut_off, [further(login)])
    server.start()
    cut_off._connections.patience = 3
    newest = cut_off.read(login.id)
    assert newest is not None
    assert newest.version == (2 if answered else 1)
    assert cut_off.problems() == []


def test_a_frozen_server_is_not_waited_for(
    host: Host, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server process that stands still, with its line open, holds nobody up for long."""
    monkeypatch.setattr(connections, "_FROZEN", 0.5)
    storage = host(patience=0)
    saved(storage, [finished()])
    pids = [pid for (pid,) in server.execute(database, f"SELECT pid FROM {SESSIONS}")]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StorageError):
            storage.find("nobody")
        assert time.monotonic() - began < 15
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert storage.find("nobody") is None


def arrival(login: Login) -> Change:
    """The next version of ``login``, as if tokens had come."""
    made = change(further(login, reason="came"))
    return replace(made, event=replace(made.event, trigger="accept_tokens"))


@pytest.mark.parametrize("next_use", ["read", "find", "list", "lease"])
def test_tokens_that_find_no_server_are_kept_and_brought_in(
    host: Host, server: PostgresServer, tmp_path: Path, next_use: str
) -> None:
    """A server that is away costs no token: whatever uses the storage next saves what came."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(run)}
    login = finished()
    storage = host(patience=0.2, environ=environ)
    made = arrival(login)
    with storage.lease(login.id, wait=0) as lease:
        saved(storage, [login])
        made = replace(made, fence=lease.fence)
        server.stop(immediate=True)
        with pytest.raises(StorageError) as caught:
            storage.commit([made])
        assert caught.value.kept == str(run / "stayfast")
        server.start()
    later = host(environ=environ)
    if next_use == "read":
        assert later.read(login.id) == made.login
    elif next_use == "find":
        assert later.find(login.alias or "") == made.login
    elif next_use == "list":
        assert [one.version for one in later.summaries()] == [made.login.version]
    else:
        with later.lease(login.id, wait=1):
            assert later.read(login.id) == made.login
    assert list((run / "stayfast").iterdir()) == []
    assert host(environ={}).read(login.id) == made.login
    triggers = [one.members.get("trigger") for one in later.events()]
    assert triggers.count("accept_tokens") == 1
    assert later.problems() == []


def test_kept_tokens_give_way_to_newer_ones(
    host: Host, server: PostgresServer, tmp_path: Path
) -> None:
    """Where another host went on with the login meanwhile, its record stays."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(run)}
    login = finished()
    storage = host(patience=0.2, environ=environ)
    saved(storage, [login])
    server.stop(immediate=True)
    with pytest.raises(StorageError):
        storage.commit([arrival(login)])
    server.start()
    newer = further(login, reason="elsewhere")
    saved(host("two"), [newer])
    assert host(environ=environ).read(login.id) == newer
    assert list((run / "stayfast").iterdir()) == []


@pytest.mark.parametrize("courier", ["inline", "fork", "spawn"])
def test_a_refresh_whose_server_goes_away_hands_out_the_token(
    provider: AuthorizationServer,
    server: PostgresServer,
    database: str,
    tmp_path: Path,
    courier: str,
) -> None:
    """The caller has the access token at once, with a warning, and the next command has the login."""
    tmp_path.chmod(0o700)
    (tmp_path / "run").mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "STAYFAST_COURIER": courier}

    def assembly() -> Assembly:
        storage = PostgresStorage(
            server.url(database),
            config_dir=str(tmp_path / "config"),
            state_dir=str(tmp_path / "one"),
            patience=0.5,
            environ=environ,
        )
        return Assembly(storage, Catalogue(None), environ=environ)

    own = assembly()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", environ["XDG_RUNTIME_DIR"])  # what a worker gets
        login = own.conductor.sign_in(
            provider.config(), InstantTransport(lambda seen: [user_agent.fetch_only(seen)])
        )
        provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.5), times=1)
        before, reused = provider.counts["tokens"], provider.counts["refresh_reuse"]
        with ThreadPoolExecutor(1) as pool:
            refreshed = pool.submit(
                own.conductor.refresh.valid, login.provider, login.account, force=True
            )
            until(lambda: provider.counts["tokens"], lambda seen: seen > before)
            server.stop(immediate=True)
            with pytest.raises(TokensNotSaved) as caught:
                refreshed.result()
    assert caught.value.kept == str(tmp_path / "run" / "stayfast")
    server.start()
    later = assembly()
    found = until(
        lambda: later.storage.read(login.id), lambda one: one and one.tokens != login.tokens
    )
    assert found is not None
    assert found.tokens == caught.value.login.tokens
    assert later.conductor.refresh.valid(login.provider, login.account, force=True).tokens
    assert provider.counts["refresh_reuse"] == reused
    assert later.storage.problems() == []  # type: ignore[attr-defined]  # it is one of PostgreSQL
