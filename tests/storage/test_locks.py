"""Lock files come and go, and two holders never stand on two files of one name."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from stayfast.engine.errors import LoginBusy
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.locks import locked, sweep
from stayfast.testing.storage_contract import finished, saved

CROWD = """
import sys
from stayfast.storage.locks import locked
lock, counter, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
for _ in range(times):
    with locked(lock, wait=60, what='it', passing=True):
        with open(counter, 'r+') as file:
            number = int(file.read())
            file.seek(0)
            file.write(str(number + 1))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_a_lease_leaves_no_file_behind(place: Path) -> None:
    """However many logins there have been, no lock file stays; not of one that failed either."""
    vault = EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ={})
    logins = [finished(f"p{number}") for number in range(5)]
    saved(vault, logins)
    for login in logins:
        with suppress(RuntimeError), vault.lease(login.id, wait=0):
            assert len(list((place / "s" / "locks").iterdir())) == 1
            raise RuntimeError
    assert list((place / "s" / "locks").iterdir()) == []


def test_nobody_shares_a_lock_whose_file_comes_and_goes(place: Path) -> None:
    """Of many processes that take and remove one lock, one at a time is inside."""
    counter = place / "counter"
    counter.write_text("0")
    crowd = [
        subprocess.Popen([sys.executable, "-c", CROWD, str(place / "x.lock"), str(counter), "50"])
        for _ in range(6)
    ]
    assert [one.wait(timeout=100) for one in crowd] == [0] * 6
    assert counter.read_text() == "300"
    assert not (place / "x.lock").exists()


@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
def test_a_lock_file_that_another_hand_takes_away_is_made_again(place: Path, again: bool) -> None:
    """A waiter does not take the lock of a file without a name for the lock it waits for."""
    path = str(place / "x.lock")
    entered = threading.Event()

    def wait() -> None:
        with locked(path, wait=30, what="it", passing=True):
            entered.set()

    holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    import fcntl  # noqa: PLC0415  not on Windows

    fcntl.flock(holder, fcntl.LOCK_EX)
    waiter = threading.Thread(target=wait)
    waiter.start()
    while _opened(path) < 2:
        assert waiter.is_alive()
    os.unlink(path)
    if again:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    os.close(holder)
    waiter.join()
    assert entered.is_set()
    assert not os.path.exists(path)


def _opened(path: str) -> int:
    """How many descriptors of this process lead to ``path``."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}") == path
    return found


def test_what_was_left_behind_is_swept(place: Path) -> None:
    """Old files that nobody holds go; young ones, held ones and what is no lock stay."""
    old, young, held, other = (place / name for name in ("a.lock", "b.lock", "c.lock", "d.txt"))
    for path in (old, young, held, other):
        path.touch(mode=0o600)
    with locked(str(held), wait=0, what="it"):
        long_ago = time.time() - 3 * 24 * 3600
        for path in (old, held, other):
            os.utime(path, (long_ago, long_ago))
        sweep(str(place))
        assert {path.name for path in place.iterdir()} == {"b.lock", "c.lock", "d.txt"}
    sweep(str(place / "not-there"))


def test_a_busy_lock_is_left_alone(place: Path) -> None:
    """Who could not have the lock removes nothing."""
    path = place / "x.lock"
    with locked(str(path), wait=0, what="it"):
        with pytest.raises(LoginBusy), locked(str(path), wait=0, what="it", passing=True):
            pass
        assert path.exists()
