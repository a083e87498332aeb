"""Leases and connections, when processes fork, die and meet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from stayfast.engine.errors import LoginBusy, StorageError
from stayfast.storage import EncryptedFileStorage, forks
from stayfast.storage.locks import locked
from stayfast.testing.storage_contract import change, finished, further, saved

ID = "0" * 26
ASK = """
import sys
from stayfast.engine.errors import LoginBusy
from stayfast.storage import EncryptedFileStorage
v = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
try:
    with v.lease("0" * 26, wait=float(sys.argv[2])): print("free")
except LoginBusy as error: print(error.message)
"""
HOLD = """
import sys
from stayfast.storage import EncryptedFileStorage
v = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
with v.lease("0" * 26, wait=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path) -> EncryptedFileStorage:
    return EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ={})


def ask(place: Path, wait: float = 0) -> str:
    """The error that another process gets when it asks for the lease."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(place), str(wait)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_holder_that_is_killed_holds_nothing(place: Path) -> None:
    """A lease ends with its process, however that ends; before, the refusal names the process."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LoginBusy) as caught, vault(place).lease(ID, wait=0.05):
        pass
    assert f"process {holder.pid}" in caught.value.message
    holder.send_signal(signal.SIGKILL)  # and not waited for: a zombie holds nothing either
    with vault(place).lease(ID, wait=5):
        pass
    holder.communicate()
    assert list((place / "s" / "locks").iterdir()) == []


def test_a_child_cannot_give_away_its_parents_lease(place: Path) -> None:
    """A child that leaves the block in which it was forked takes no lock from its parent."""
    child = -1
    with suppress(SystemExit), vault(place).lease(ID, wait=0):
        child = os.fork()
        if child == 0:
            sys.exit()  # it leaves as an exception makes it leave
        assert os.waitpid(child, 0)[1] == 0
        assert ask(place) != "free"
    if child == 0:
        os._exit(0)
    assert ask(place) == "free"


def test_a_child_does_not_keep_its_parents_lease(place: Path) -> None:
    """A lease ends with its holder even if a child that was forked meanwhile lives on."""
    script = (
        "import os, sys\n"
        "from stayfast.storage import EncryptedFileStorage\n"
        "v = EncryptedFileStorage(sys.argv[1] + '/s', config_dir=sys.argv[1] + '/c', environ={})\n"
        "with v.lease('0' * 26, wait=0):\n"
        "    if os.fork() == 0: sys.stdin.read(); os._exit(0)\n"
        "    print('forked', flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "forked\n"
    assert holder.wait() == -signal.SIGKILL
    assert ask(place, wait=5) == "free"
    holder.stdin.close()
    holder.stdout.close()


def test_a_fork_in_the_middle_of_anothers_turn(place: Path) -> None:
    """A child is not stuck behind a thread that was reading when its process forked."""
    storage = vault(place)
    login = finished()
    saved(storage, [login])
    inside, leave = threading.Event(), threading.Event()

    def read() -> None:
        with storage._vault_connection.reading():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # if it is stuck after all
        storage.commit([change(further(login))])
        os._exit(0)
    leave.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    found = storage.read(login.id)
    assert found is not None
    assert found.version == 2


def test_a_child_can_write_though_a_thread_was_reading(place: Path) -> None:
    """A fork waits for the thread that is inside SQLite: its lock would bar the child for good."""
    storage = vault(place)
    login = finished()
    saved(storage, [login])
    inside = threading.Event()

    def read() -> None:
        with storage._vault_connection.reading() as opened:
            assert opened is not None
            rows = opened[0].execute("SELECT 1 FROM header UNION ALL SELECT 2 FROM header")
            rows.fetchone()  # the lock is held until the last row
            inside.set()
            threading.Event().wait(0.3)
            rows.close()

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # if it is stuck after all
        with suppress(StorageError):
            storage.commit([change(further(login))])
            os._exit(0)
        os._exit(1)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    found = storage.read(login.id)
    assert found is not None
    assert found.version == 2
    storage.commit([change(further(found))])  # and the parent goes on too


def test_a_fork_inside_ones_own_turn_waits_for_nobody(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that forks while it reads has its turn afterwards, and gives it back."""
    monkeypatch.setattr(forks, "_WAIT", 60.0)
    storage = vault(place)
    saved(storage, [finished()])
    began = time.monotonic()
    with storage._vault_connection.reading():
        child = os.fork()
        if child == 0:
            os._exit(0)
    assert time.monotonic() - began < 30
    assert os.waitpid(child, 0)[1] == 0
    other = threading.Thread(target=storage.summaries, daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()


def test_who_reads_does_not_wait_for_who_writes(place: Path) -> None:
    """While a writer stands in line for another process, its fellow threads go on reading."""
    storage = vault(place)
    login = finished()
    saved(storage, [login])
    started = threading.Event()

    def write() -> None:
        started.set()
        saved(storage, [further(login)])

    with locked(str(place / "s" / "vault.lock"), wait=0, what="the vault"):
        thread = threading.Thread(target=write)
        thread.start()
        started.wait()
        began = time.monotonic()
        while time.monotonic() - began < 0.2:  # long enough for the writer to be in line
            assert storage.read(login.id) == login
        assert thread.is_alive()
    thread.join()
    assert storage.read(login.id) == further(login)


def test_asking_twice_is_asking_another(place: Path) -> None:
    """A thread that asks for a lease it holds is refused like anybody else."""
    with (
        vault(place).lease(ID, wait=0),
        pytest.raises(LoginBusy) as caught,
        vault(place).lease(ID, wait=0),
    ):
        pass
    assert "this process" in caught.value.message


def test_a_lock_without_a_place_is_a_storage_error(place: Path) -> None:
    """Where a lock file cannot be made, that is said as an error of the storage."""
    with pytest.raises(StorageError), locked(str(place / "gone" / "x.lock"), wait=0, what="it"):
        pass
