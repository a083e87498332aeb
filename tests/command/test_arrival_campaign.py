"""Tokens that arrive while the vault fails, in every way that a system call can: no login is lost.

The failure begins when the provider has rotated the refresh token, and ends when the caller has ended.
It meets whoever saves the answer, caller or courier, and only its calls to the files of the vault.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import attached
import pytest
import sending
import stampede
from caller_kills import approve, patiently
from command import World, until
from instant import InstantTransport
from stayfast.engine.errors import StayfastError
from stayfast.engine.record import Login
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

WRITES = "write,pwrite64,writev,pwritev,ftruncate,fallocate"
FAULTS = {
    "eio-on-fsync": "fsync,fdatasync:error=EIO",
    "enospc": f"{WRITES}:error=ENOSPC",
    "eio": f"{WRITES},fsync,fdatasync:error=EIO",
    "erofs": f"openat,{WRITES}:error=EROFS",
    "emfile": "openat,open:error=EMFILE",
    "busy-reader": "",
}
"""What strace injects; a busy reader is a program of its own."""

HELD = 30.0
"""Seconds after which the provider answers even if nobody releases it."""
QUICK = [
    ("eio-on-fsync", "fork", False, True),
    ("erofs", "spawn", True, True),
    ("emfile", "inline", False, True),
    ("enospc", "fork", True, False),
]
EVERY = [
    (fault, courier, killed, proc)
    for fault in FAULTS
    for courier in ("fork", "spawn", "inline")
    for killed in (False, True)
    for proc in (True, False)
    if not (killed and courier == "inline")  # nobody would be left to save anything
]


@pytest.fixture(autouse=True)
def traceable() -> None:
    attached.require()


@contextmanager
def failing(fault: str, state: Path, pid: int) -> Iterator[None]:
    """In the block, process ``pid`` meets ``fault`` at the files of the vault."""
    vault = state / "vault.db"
    if not FAULTS[fault]:
        with closing(sqlite3.connect(vault, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM login").fetchall()
            yield
        return
    calls = FAULTS[fault].partition(":")[0]
    paths = [f"-P{vault}{ending}" for ending in ("", "-journal", "-wal", "-shm")]
    options = ["-o", "/dev/null", *paths, "-e", f"trace={calls}", "-e", f"inject={FAULTS[fault]}"]
    with attached.attached(pid, options):
        yield


def lost(
    place: Path,
    server: AuthorizationServer,
    case: tuple[str, str, bool, bool],
    met: list[bool],
) -> str | None:
    """What is lost of a refresh in ``case``; ``None`` if nothing is. ``met`` is told if it bit."""
    fault, courier, killed, proc = case
    print(f"\n{place.name}: {fault}, {courier}, {killed=}, {proc=}", end="", flush=True)
    place.mkdir(mode=0o700)
    (place / "run").mkdir(mode=0o700)
    World(place, server).config.rename(place / "c")
    own = stampede.assembly(str(place))
    before = own.conductor.sign_in(own.config("demo"), InstantTransport(approve))
    own.storage.close()  # type: ignore[attr-defined]  # a vault
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=HELD), times=1)
    rotated, reused = server.counts["tokens"], server.counts["refresh_reuse"]
    argv = [sys.executable, str(sending.__file__), str(place)]
    if not proc:
        argv = ["unshare", "-m", "sh", "-c", 'umount -l /proc; exec "$@"', "sh", *argv]
    caller = subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
             "STAYFAST_COURIER": courier, "XDG_RUNTIME_DIR": str(place / "run")},
    )  # fmt: skip
    until(lambda: server.counts["tokens"], lambda seen: seen > rotated)
    with failing(fault, place / "s", attached.saver(place / "s", caller.pid)):
        if killed:
            caller.kill()
        server.release()  # the answer comes when everything is as the case wants it
        said = caller.communicate(timeout=180)[0].strip()
        kept = until(lambda: sealed_in(place) or later(place).tokens != before.tokens, bool)
    if not killed and said not in {"done", "refused STORAGE_TOKENS_NOT_SAVED"}:
        return f"{case}: the caller said {said!r}"
    met.append(kept is not True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(place / "run"))
        again = stampede.assembly(str(place))
        try:
            patiently(lambda: again.conductor.refresh.valid("demo", "default", force=True))
        except StayfastError as error:
            return f"{case}: {error}"
    if server.counts["refresh_reuse"] != reused:
        return f"{case}: a refresh token was sent twice"
    problems = again.storage.problems()  # type: ignore[attr-defined]  # a vault
    return f"{case}: {problems}" if problems else None


def sealed_in(place: Path) -> list[Path]:
    """The tokens that are kept outside of the vault."""
    return list((place / "run").glob("stayfast/*.sealed"))


def later(place: Path) -> Login:
    """The login as its row is, whatever is kept elsewhere: this process looks in other places."""
    login = stampede.assembly(str(place)).conductor.refresh.find("demo", "default")
    assert login is not None
    return login


def usable(case: tuple[str, str, bool, bool]) -> bool:
    """Whether this machine lets a process live without /proc, where ``case`` asks for that."""
    if case[3]:
        return True
    tried = subprocess.run(
        ["unshare", "-m", "umount", "-l", "/proc"], check=False, stderr=subprocess.DEVNULL
    )
    return tried.returncode == 0


@pytest.mark.parametrize(
    "cases",
    [
        *(pytest.param([case], id="-".join(map(str, case))) for case in QUICK),
        pytest.param(EVERY, id="everything", marks=pytest.mark.soak),
    ],
)
def test_no_failure_of_the_vault_loses_a_login(
    tmp_path: Path, server: AuthorizationServer, cases: list[tuple[str, str, bool, bool]]
) -> None:
    """Whatever fails, for caller or courier, living or killed: the next command has the new tokens."""
    tmp_path.chmod(0o700)
    if not all(map(usable, cases)):
        pytest.skip("a process cannot be started without /proc here")
    met: list[bool] = []
    found = [lost(tmp_path / str(number), server, case, met) for number, case in enumerate(cases)]
    gone = [one for one in found if one is not None]
    print(f"\n{len(cases)} failures of the vault while tokens came, {sum(met)} of them met by the "
          f"saving process: {len(gone)} logins lost")  # fmt: skip
    assert gone == []
    assert sum(met) > len(cases) // 2


@pytest.mark.parametrize("command", ["token", "refresh", "login"])
def test_tokens_that_no_place_takes_are_printed_and_the_exit_code_says_so(
    tmp_path: Path, server: AuthorizationServer, command: str
) -> None:
    """Neither the vault nor any directory takes them: an access token that is asked for is printed, exit 7."""
    place = tmp_path
    place.chmod(0o700)
    (place / "run").mkdir(mode=0o700)
    (place / "s").mkdir(mode=0o700)
    environ = World(place, server).environ
    (place / "config").rename(place / "c")
    if command != "login":
        own = stampede.assembly(str(place))
        own.conductor.sign_in(own.config("demo"), InstantTransport(approve))
        stampede.expire(own)
        own.storage.close()  # type: ignore[attr-defined]  # a vault
    for taken in (place / "run" / "stayfast", place / "s" / "arrivals", place / "stayfast-0"):
        taken.write_text("a file in the place of the directory")
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=HELD), times=1)
    rotated = server.counts["tokens"]
    more = ["--via", "loopback"] if command == "login" else []
    caller = subprocess.Popen(
        [sys.executable, "-m", "stayfast", command, "demo", *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
             "STAYFAST_COURIER": "inline", "STAYFAST_STORE": "file", "TMPDIR": str(place),
             "STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(place / "c"),
             "XDG_RUNTIME_DIR": str(place / "run")},
    )  # fmt: skip
    until(lambda: server.counts["tokens"], lambda seen: seen > rotated)
    with failing("eio", place / "s", attached.saver(place / "s", caller.pid)):
        server.release()
        out, said = caller.communicate(timeout=180)
    assert (caller.returncode, len(out.split())) == (7, 1 if command == "token" else 0), said
    assert "stayfast login demo" in said
    assert not sealed_in(place)
