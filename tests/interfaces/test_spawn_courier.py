"""The courier in a program of its own: what it brings home, what it holds, what it never shows."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import async_caller
import pytest
import stampede
import threaded_caller
from command import World, until
from instant import InstantTransport, ManualClock
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import ConfigInvalid, LoginBusy, NetworkError, TokenRefreshFailed
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.couriers import worker_courier
from stayfast.interfaces.couriers.channel import EventForwarder
from stayfast.interfaces.couriers.choice import choose_courier
from stayfast.interfaces.couriers.worker_courier import WorkerCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import EncryptedFileStorage, KeyringStorage, MemoryStorage, Vault
from stayfast.storage.host import CLOCK, SystemClock
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


class Keeper:
    """Records what it observes, with the process and the thread."""

    def __init__(self) -> None:
        self.observed: list[tuple[int, Login | None]] = []

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """See the port."""
        self.observed += [(one.seq, login) for one in recorded]


@pytest.fixture(scope="module")
def running() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as server:
        yield server


@pytest.fixture
def server(running: AuthorizationServer) -> Iterator[AuthorizationServer]:
    yield running
    running.behave()


@pytest.fixture
def place(tmp_path: Path, server: AuthorizationServer) -> Path:
    """A finished login in s, its provider in c."""
    tmp_path.chmod(0o700)
    World(tmp_path, server).config.rename(tmp_path / "c")
    own = assembly(tmp_path, "inline")
    own.conductor.sign_in(
        own.config("demo"), InstantTransport(lambda address: [user_agent.fetch_only(address)])
    )
    return tmp_path


def assembly(place: Path, courier: str = "spawn", keeper: Keeper | None = None) -> Assembly:
    return Assembly.open(
        state_dir=str(place / "s"),
        config_dir=str(place / "c"),
        store="file",
        observers=[keeper] if keeper else [],
        environ={"STAYFAST_COURIER": courier, "STAYFAST_AUDIT": "none"},
    )


def refresh(own: Assembly) -> Login:
    return own.conductor.refresh.valid("demo", "default", force=True)


def workers() -> dict[int, bytes]:
    """The workers of this process, and the command line of each."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if b"couriers.worker" in line and int(parent) == os.getpid():
                found[int(entry.name)] = line
    return found


def gone(pid: int) -> bool:
    """Whether that process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def holder(own: Assembly, login_id: str) -> int | None:
    """The process that has the login."""
    try:
        with own.storage.lease(login_id, wait=0):
            return None
    except LoginBusy as busy:
        found = re.search(r"process (\d+) ", busy.message)
        return int(found[1]) if found else None


@linux
def test_a_refresh_is_made_by_another_process_and_told_here(place: Path) -> None:
    """Its login comes home, its events reach the observers of the parent, and the worker is used again."""
    keeper = Keeper()
    own = assembly(place, keeper=keeper)
    before = own.conductor.refresh.find("demo", "default")
    first = refresh(own)
    assert first.tokens != before.tokens
    assert own.storage.read(first.id) == first
    assert (keeper.observed[-1][1], len(keeper.observed)) == (first, first.version - before.version)
    (worker,) = workers()
    assert refresh(own).version > first.version
    assert set(workers()) == {worker}


@linux
def test_a_worker_is_in_a_session_of_its_own(place: Path) -> None:
    """Ctrl-C, a hang-up and whatever ends the session or group of the program do not reach it."""
    own = assembly(place)
    refresh(own)
    (worker,) = workers()
    assert os.getsid(worker) == os.getpgid(worker) == worker


@linux
def test_a_worker_ends_with_its_courier_and_is_reaped(place: Path) -> None:
    """Nobody stays behind, not even as a zombie, once the program has forgotten its service."""
    own = assembly(place)
    refresh(own)
    assert len(workers()) == 1
    del own
    gc.collect()
    assert workers() == {}


def test_an_error_comes_home(place: Path, server: AuthorizationServer) -> None:
    """What the provider does wrong is raised where the refresh was asked for."""
    server.misbehave("token", Fault(kind=FaultKind.DROP_BEFORE), times=None)
    with pytest.raises(NetworkError):
        refresh(assembly(place))


@linux
def test_no_secret_can_be_seen_from_outside(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the arguments nor the environment of a worker hold the key, a token or a setting."""
    for name in ("STAYFAST_PASSPHRASE", "STAYFAST_TOKEN", "DEMO_CLIENT_SECRET", "SOME_API_KEY"):
        monkeypatch.setenv(name, "canary-in-the-environment")
    before = workers()
    own = assembly(place)
    login = refresh(own)
    assert login.tokens is not None
    assert isinstance(own.storage, Vault)
    handover = own.storage.handover()
    assert handover is not None
    assert repr(handover.root) not in repr(handover)
    ((worker, line),) = [one for one in workers().items() if one[0] not in before]
    shown = line + Path(f"/proc/{worker}/environ").read_bytes()
    assert b"PATH=" in shown
    for secret in (
        b"canary-in-the-environment",
        handover.root,
        handover.root.hex().encode(),
        str(login.tokens.access_token).encode(),
    ):
        assert secret not in shown


@linux
@pytest.mark.parametrize(
    ("courier", "program"),
    [("auto", threaded_caller), ("inline", threaded_caller), ("auto", async_caller)],
)
def test_a_killed_program_with_threads_loses_no_login(
    place: Path, server: AuthorizationServer, courier: str, program: ModuleType
) -> None:
    """The worker keeps the lock until the rotated token is saved; without one, the login is lost."""
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=1)
    rotated, reused = server.counts["tokens"], server.counts["refresh_reuse"]
    caller = subprocess.Popen(
        [sys.executable, str(program.__file__), str(place)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "STAYFAST_COURIER": courier,
        },
    )
    until(lambda: server.counts["tokens"], lambda seen: seen > rotated)
    caller.kill()
    caller.wait()
    own = assembly(place, "inline")
    login_id = own.storage.summaries()[0].id
    worker = holder(own, login_id)
    if courier == "inline":
        assert worker is None
        with pytest.raises(TokenRefreshFailed):
            refresh(own)
        return
    assert worker not in {None, caller.pid, os.getpid()}
    with own.storage.lease(login_id, wait=10):
        login = own.storage.read(login_id)
    assert login is not None
    assert login.state is State.AUTHENTICATED
    assert refresh(own).state is State.AUTHENTICATED
    assert server.counts["refresh_reuse"] == reused
    until(lambda: gone(worker or 0), bool)


@linux
def test_a_worker_killed_at_work_is_replaced(place: Path, server: AuthorizationServer) -> None:
    """What it may have sent is sent once more, by this process, which has kept the lock."""
    own = assembly(place)
    refresh(own)
    (worker,) = workers()
    sent = server.counts["token:refresh_token"]
    server.change(rotate=False)  # or the second sending would be a second use
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=1)
    try:
        with ThreadPoolExecutor(1) as pool:
            refreshed = pool.submit(refresh, own)
            until(lambda: server.counts["token:refresh_token"], lambda seen: seen > sent)
            os.kill(worker, signal.SIGKILL)
            assert refreshed.result().state is State.AUTHENTICATED
    finally:
        server.change(rotate=True)
    assert server.counts["token:refresh_token"] == sent + 2
    assert workers() == {}


@linux
def test_an_idle_worker_that_was_killed_costs_nothing(
    place: Path, server: AuthorizationServer
) -> None:
    """Nothing was sent, so another is started, and one request is made."""
    own = assembly(place)
    refresh(own)
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: gone(worker), bool)
    sent = server.counts["token:refresh_token"]
    refresh(own)
    assert server.counts["token:refresh_token"] == sent + 1
    assert len(workers()) == 1
    assert worker not in workers()


@linux
def test_many_threads_share_one_refresh(place: Path, server: AuthorizationServer) -> None:
    """Threads that all want a fresh token at once get that of one request, from one worker."""
    own = assembly(place)
    stampede.expire(own)
    sent = server.counts["token:refresh_token"]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: own.conductor.refresh.valid("demo", "default"), range(12)))
    assert len({login.tokens and login.tokens.access_token for login in found}) == 1
    assert server.counts["token:refresh_token"] == sent + 1
    assert len(workers()) == 1


def several(place: Path) -> tuple[Assembly, list[str]]:
    """An assembly with a worker, and the accounts of as many logins as there will be threads."""
    own = assembly(place, "inline")
    accounts = [f"a{number}" for number in range(6)]
    for account in accounts:
        transport = InstantTransport(lambda address: [user_agent.fetch_only(address)])
        own.conductor.sign_in(own.config("demo"), transport, account=account)
    own = assembly(place)
    refresh(own)
    return own, accounts


@linux
def test_one_worker_carries_the_jobs_of_all_threads_at_once(
    place: Path, server: AuthorizationServer
) -> None:
    """Logins that are refreshed together do not wait for each other, and no job starts a process."""
    own, accounts = several(place)
    (worker,) = workers()
    for _round in range(2):
        server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=len(accounts))
        began = CLOCK.monotonic()
        with ThreadPoolExecutor(len(accounts)) as pool:
            found = list(
                pool.map(
                    lambda account: own.conductor.refresh.valid("demo", account, force=True),
                    accounts,
                )
            )
        assert CLOCK.monotonic() - began < len(accounts)
        assert {login.state for login in found} == {State.AUTHENTICATED}
        assert [login.account for login in found] == accounts
        assert set(workers()) == {worker}


@linux
def test_a_worker_killed_at_work_for_many_threads_loses_none(
    place: Path, server: AuthorizationServer
) -> None:
    """Each of its senders goes on by itself, and the next job finds another worker."""
    own, accounts = several(place)
    (worker,) = workers()
    sent = server.counts["token:refresh_token"]
    server.change(rotate=False)  # or the second sending would be a second use
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=2.0), times=len(accounts))
    try:
        with ThreadPoolExecutor(len(accounts)) as pool:
            refreshed = [
                pool.submit(own.conductor.refresh.valid, "demo", account, force=True)
                for account in accounts
            ]
            until(
                lambda: server.counts["token:refresh_token"],
                lambda seen: seen >= sent + len(accounts),
            )
            os.kill(worker, signal.SIGKILL)
            assert {one.result().state for one in refreshed} == {State.AUTHENTICATED}
        assert workers() == {}
        refresh(own)
    finally:
        server.change(rotate=True)
    assert len(workers()) == 1
    assert worker not in workers()


@linux
@pytest.mark.parametrize("trouble", ["start", "version"])
def test_a_worker_that_cannot_start_is_done_without(
    place: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """Where no program can be started, or it is another version, jobs are run here, and the log says so."""
    own = assembly(place)
    if trouble == "start":
        monkeypatch.setattr(sys, "executable", str(place / "python-that-is-not-there"))
    else:
        monkeypatch.setattr(worker_courier, "app_version", lambda: "0.0.0-former")
    before = own.conductor.refresh.find("demo", "default")
    assert refresh(own).version > before.version
    assert workers() == {}
    last = own.storage.events(limit=1000)[-1].members
    assert (last["trigger"], last["detail"]) == ("accept_tokens", "no_courier")


@linux
def test_a_new_root_key_gets_a_new_worker(place: Path) -> None:
    """A worker that was handed the former key is not asked again."""
    own = assembly(place)
    refresh(own)
    (former,) = workers()
    assert isinstance(own.storage, Vault)
    own.storage.rekey("keyfile")
    refresh(own)
    assert len(workers()) == 1
    assert former not in workers()


@linux
def test_a_forked_child_leaves_the_worker_to_its_parent(place: Path) -> None:
    """A worker sees its program end, though a child that was forked meanwhile lives on."""
    own = assembly(place)
    refresh(own)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the server's thread stays behind
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        del own
        gc.collect()
        assert workers() == {}
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
    finally:
        os.close(writing)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)


def test_who_is_chosen(place: Path) -> None:
    """A worker for a vault over our own HTTP and clock; what only this process has is an error to ask for."""
    http, forwarder, vault = RequestsHttp(), EventForwarder(), assembly(place).storage
    spawn = {"STAYFAST_COURIER": "spawn"}

    class OwnHttp(RequestsHttp):
        """Another's."""

    assert isinstance(choose_courier(vault, http, forwarder, spawn, SystemClock()), WorkerCourier)

    class OwnVault(EncryptedFileStorage):
        """One that adds something no worker knows of."""

    for parts in (
        (MemoryStorage(), http, SystemClock()),
        (vault, OwnHttp(), SystemClock()),
        (vault, http, ManualClock()),
        (OwnVault(str(place / "o"), environ={}), http, SystemClock()),
    ):
        storage, client, clock = parts
        with pytest.raises(ConfigInvalid) as refused:
            choose_courier(storage, client, forwarder, spawn, clock)
        assert refused.value.hint == "unset STAYFAST_COURIER"
        choose_courier(storage, client, forwarder, {}, clock)


def test_who_asks_for_a_courier_that_is_not_to_be_had_hears_it(tmp_path: Path) -> None:
    """What cannot be shared with a child, or be started, is an error, and nothing is sent without it."""
    http, forwarder = RequestsHttp(), EventForwarder()
    for chosen in ("fork", "spawn"):
        with pytest.raises(ConfigInvalid):
            choose_courier(MemoryStorage(), http, forwarder, {"STAYFAST_COURIER": chosen})
    vault = EncryptedFileStorage(str(tmp_path / "s"), environ={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "frozen", True, raising=False)
        assert not isinstance(choose_courier(vault, http, forwarder, {}), WorkerCourier)
        with pytest.raises(ConfigInvalid):
            choose_courier(vault, http, forwarder, {"STAYFAST_COURIER": "spawn"})


@pytest.mark.parametrize("kind", [EncryptedFileStorage, KeyringStorage])
def test_the_storages_a_program_names_can_be_handed_over(
    tmp_path: Path, kind: type[EncryptedFileStorage | KeyringStorage]
) -> None:
    """They are vaults like that of the command, and their jobs outlive the program too."""
    storage = kind(str(tmp_path / "s"), environ={})
    spawn = {"STAYFAST_COURIER": "spawn"}
    assert isinstance(
        choose_courier(storage, RequestsHttp(), EventForwarder(), spawn), WorkerCourier
    )
