"""The worker of a program without threads: it begins as a fork, and lives on for the next jobs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import long_lived
import pytest
from command import World, until
from instant import InstantTransport
from stayfast.engine.errors import LoginBusy
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.couriers import worker
from stayfast.interfaces.couriers.worker_process import Forking
from stayfast.storage import Vault
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def running() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as server:
        yield server


@pytest.fixture
def server(running: AuthorizationServer) -> Iterator[AuthorizationServer]:
    yield running
    running.behave()
    running.change(rotate=True)


@pytest.fixture
def own(tmp_path: Path, server: AuthorizationServer) -> Assembly:
    """The vault of a finished login, seen by this process."""
    tmp_path.chmod(0o700)
    World(tmp_path, server).config.rename(tmp_path / "c")
    own = Assembly.open(
        state_dir=str(tmp_path / "s"),
        config_dir=str(tmp_path / "c"),
        store="file",
        environ={"STAYFAST_COURIER": "inline", "STAYFAST_AUDIT": "none"},
    )
    transport = InstantTransport(lambda address: [user_agent.fetch_only(address)])
    own.conductor.sign_in(own.config("demo"), transport, account="a0")
    return own


class Program:
    """A program without threads, which lives on and refreshes the login when it is asked to."""

    def __init__(self, place: Path, courier: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, long_lived.__file__, str(place), "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "STAYFAST_STORE": "file",
                "STAYFAST_COURIER": courier,
            },
        )

    def ask(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def answer(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"done\n"

    def refresh(self, times: int = 1) -> set[int]:
        """Refresh; gives the children that live then."""
        for _ in range(times):
            self.ask()
            self.answer()
        return children(self.process.pid)


@pytest.fixture
def program(tmp_path: Path, own: Assembly) -> Iterator[Program]:
    yield from _program(tmp_path, "auto")


def _program(place: Path, courier: str) -> Iterator[Program]:
    program = Program(place, courier)
    try:
        yield program
    finally:
        program.process.kill()
        program.process.communicate()


def children(parent: int) -> set[int]:
    """The children of ``parent`` that live."""
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def gone(pid: int) -> bool:
    """Whether that process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def login_of(own: Assembly) -> Login:
    login = own.storage.read(next(iter(own.storage.summaries())).id)
    assert login is not None
    return login


@pytest.mark.parametrize("courier", ["auto", "fork"])
def test_from_the_second_refresh_on_one_forked_worker_makes_them(
    tmp_path: Path, own: Assembly, courier: str
) -> None:
    """The child of the first one ends with it; the next child stays, and is no other program."""
    for program in _program(tmp_path, courier):
        before = login_of(own)
        assert program.refresh() == set()
        (forked,) = program.refresh()
        assert program.refresh(2) == {forked}
        assert login_of(own).version > before.version + 6
        command = Path(f"/proc/{forked}/cmdline").read_bytes()
        assert command == Path(f"/proc/{program.process.pid}/cmdline").read_bytes()


def test_it_has_a_session_of_its_own_and_no_file_of_its_program(program: Program) -> None:
    """Ctrl-C and a hang-up do not reach it; the pipes of the program close with the program."""
    (forked,) = program.refresh(2)
    assert os.getsid(forked) == os.getpgid(forked) == forked
    own = {os.readlink(f"/proc/{program.process.pid}/fd/{number}") for number in (0, 1)}
    held = {os.readlink(file) for file in Path(f"/proc/{forked}/fd").iterdir()}
    assert all(name.startswith("pipe:") for name in own)
    assert not own & held


@pytest.mark.parametrize("kill", [True, False])
def test_it_ends_with_its_program(program: Program, *, kill: bool) -> None:
    """However the program ends, nobody stays behind."""
    (forked,) = program.refresh(2)
    if kill:
        program.process.kill()
    else:
        program.process.communicate()
    program.process.wait()
    until(lambda: gone(forked), bool)


def test_a_killed_program_loses_no_login(
    program: Program, own: Assembly, server: AuthorizationServer
) -> None:
    """The worker keeps the lock until the rotated token is saved."""
    (forked,) = program.refresh(2)
    rotated, reused = server.counts["tokens"], server.counts["refresh_reuse"]
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=1)
    program.ask()
    until(lambda: server.counts["tokens"], lambda seen: seen > rotated)
    program.process.kill()
    program.process.wait()
    login_id = login_of(own).id
    with (
        pytest.raises(LoginBusy, match=f"process {forked} "),
        own.storage.lease(login_id, wait=0),
    ):
        pass
    with own.storage.lease(login_id, wait=10):
        assert login_of(own).state is State.AUTHENTICATED
    after = own.conductor.refresh.valid("demo", "a0", force=True)
    assert after.state is State.AUTHENTICATED
    assert server.counts["refresh_reuse"] == reused
    until(lambda: gone(forked), bool)


@pytest.mark.parametrize("at_work", [True, False])
def test_a_killed_worker_is_replaced(
    program: Program, own: Assembly, server: AuthorizationServer, *, at_work: bool
) -> None:
    """What it may have sent is sent once more by the program; the next job finds another worker."""
    (forked,) = program.refresh(2)
    sent = server.counts["token:refresh_token"]
    server.change(rotate=False)  # or the second sending would be a second use
    if at_work:
        server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=1.0), times=1)
        program.ask()
        until(lambda: server.counts["token:refresh_token"], lambda seen: seen > sent)
    os.kill(forked, signal.SIGKILL)
    until(lambda: gone(forked), bool)
    if at_work:
        program.answer()
        assert server.counts["token:refresh_token"] == sent + 2
    (other,) = program.refresh()
    assert other != forked
    assert server.counts["token:refresh_token"] == sent + 1 + 2 * at_work
    assert login_of(own).state is State.AUTHENTICATED


def test_a_new_root_key_gets_a_new_worker(program: Program, own: Assembly) -> None:
    """A worker that was forked from a process with the former key is not asked again."""
    (former,) = program.refresh(2)
    assert isinstance(own.storage, Vault)
    own.storage.rekey("keyfile")
    (forked,) = program.refresh()
    assert forked != former
    assert gone(former)


def test_a_fork_starts_as_a_worker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the settings that any worker has, ignores signals, and sees its parent end."""
    monkeypatch.setenv("SOME_API_KEY", "canary")
    let_go: list[int] = []
    ours, theirs = socket.socketpair()

    def serve(end: socket.socket) -> None:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        held = [os.readlink(file) for file in Path("/proc/self/fd").iterdir() if file.exists()]
        sockets = sum(name.startswith("socket:") for name in held)
        settings = [name in os.environ for name in ("PATH", "STAYFAST_KEYRING", "SOME_API_KEY")]
        end.sendall(f"{ignored} {sockets} {settings} {let_go}".encode())

    monkeypatch.setattr(worker, "serve", serve)
    begin = Forking(lambda: let_go.append(1), {"STAYFAST_KEYRING": "some.Class"})
    process = begin(ours, theirs)
    theirs.close()
    with ours:
        assert ours.recv(200) == b"True 1 [True, True, False] [1]"
        assert ours.recv(1) == b""
    process.wait()
    assert process.ended()
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, 0)
