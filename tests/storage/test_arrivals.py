"""Tokens that wait to be saved: newer ones are neither replaced by older ones, nor removed for them."""

from __future__ import annotations

import fcntl
import os
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from stayfast.engine.errors import Fenced, StorageConflict
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.storage import arrivals as waiting
from stayfast.storage.arrivals import Arrivals, Kept
from stayfast.storage.keys.sealing import Keys
from stayfast.testing.storage_contract import change, finished, further


@pytest.fixture
def keys() -> Keys:
    made = Keys(os.urandom(32), os.urandom(16), 1)
    made.take_audit_keys([(0, os.urandom(32)), (1, os.urandom(32))])
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def arrivals(place: Path) -> Arrivals:
    return at(place)


def at(place: Path) -> Arrivals:
    return Arrivals({"XDG_RUNTIME_DIR": str(place / "run")}, str(place / "state"))


def history(many: int) -> list[Change]:
    """The same login with newer tokens each time."""
    login, found = finished(), list[Change]()
    for _ in range(many):
        made = change(further(login))
        login = made.login
        found.append(replace(made, event=replace(made.event, trigger="accept_tokens")))
    return found


def version(arrivals: Arrivals, keys: Keys, login_id: str) -> int:
    kept = arrivals.kept(keys, login_id)
    return kept[-1][0].version if kept else 0


def test_the_newest_tokens_stay(arrivals: Arrivals, keys: Keys) -> None:
    """In whatever order they are kept."""
    older, newer = history(2)
    place = arrivals.keep(keys, [newer])
    assert place is not None
    assert arrivals.keep(keys, [older]) == place
    assert arrivals.login(keys, newer.login.id, None) == newer.login


def test_a_crowd_leaves_the_newest(place: Path, keys: Keys) -> None:
    """Whoever keeps tokens and whoever has saved older ones at the same time."""
    every = history(40)
    work: list[Callable[[], object]] = [
        *(lambda one=one: at(place).keep(keys, [one]) for one in every),
        *(lambda one=one: at(place).forget(keys, one.login) for one in every[:-1]),
    ]
    Random(1).shuffle(work)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result()
    assert version(at(place), keys, every[0].login.id) == every[-1].login.version


def test_who_looks_and_then_writes_has_a_turn(
    place: Path, arrivals: Arrivals, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes between another's look at what is kept and its write."""
    monkeypatch.setattr(waiting, "_TURN", 60.0)
    older, newer = history(2)
    kept = arrivals.keep(keys, [newer])
    assert kept is not None
    (file,) = Path(kept).iterdir()
    sealed = file.read_bytes()
    arrivals.forget(keys, newer.login)
    another = os.open(kept, os.O_RDONLY)
    fcntl.flock(another, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(at(place).keep, keys, [older])
        with pytest.raises(TimeoutError):
            late.result(timeout=0.3)
        file.write_bytes(sealed)
        file.chmod(0o600)
        os.close(another)
        assert late.result() == kept
    assert version(arrivals, keys, newer.login.id) == newer.login.version


def test_only_what_was_saved_is_removed(arrivals: Arrivals, keys: Keys) -> None:
    """Who was stopped between saving and removing finds tokens that came meanwhile."""
    older, newer = history(2)
    arrivals.keep(keys, [newer])
    arrivals.forget(keys, older.login)
    assert version(arrivals, keys, newer.login.id) == newer.login.version
    arrivals.forget(keys, newer.login)
    assert version(arrivals, keys, newer.login.id) == 0


def test_a_stopped_process_holds_up_nobody(place: Path, arrivals: Arrivals, keys: Keys) -> None:
    """The tokens of others are kept, be it a second later."""
    older, newer = history(2)
    kept = arrivals.keep(keys, [older])
    assert kept is not None
    stopped = os.open(kept, os.O_RDONLY)
    try:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        began = time.monotonic()
        assert arrivals.keep(keys, [newer]) == kept
        assert time.monotonic() - began < 30
    finally:
        os.close(stopped)
    assert version(at(place), keys, newer.login.id) == newer.login.version


def put_by(error: type[StorageConflict], tried: list[int]) -> Callable[[Sequence[Kept]], None]:
    def put(kept: Sequence[Kept]) -> None:
        tried.append(len(kept))
        raise error("refused")

    return put


def none(_name: str) -> Login | None:
    return None


def test_who_lost_the_lease_removes_nothing(arrivals: Arrivals, keys: Keys) -> None:
    """Whoever has it now may not have saved them yet."""
    (one,) = history(1)
    arrivals.keep(keys, [one])
    tried: list[int] = []
    with pytest.raises(Fenced):
        arrivals.bring_in(keys, one.login.id, put_by(Fenced, tried), none, none)
    assert tried == [1]
    assert version(arrivals, keys, one.login.id) == one.login.version


def test_a_conflict_with_another_login_removes_nothing(arrivals: Arrivals, keys: Keys) -> None:
    """As long as the login itself has not gone on, its tokens wait for the next who holds the lease."""
    first, second = history(2)
    arrivals.keep(keys, [second])
    put = put_by(StorageConflict, [])
    with pytest.raises(StorageConflict):
        arrivals.bring_in(keys, first.login.id, put, none, lambda _id: first.login)
    assert version(arrivals, keys, first.login.id) == second.login.version


def test_a_conflict_over_the_login_that_makes_room_removes_nothing(
    arrivals: Arrivals, keys: Keys
) -> None:
    """The older login of the account has changed twice meanwhile; the new one's tokens wait on."""
    first, second = history(2)
    older = history(8)[-1]
    arrivals.keep(keys, [older, second])
    tried: list[int] = []
    put = put_by(StorageConflict, tried)
    with pytest.raises(StorageConflict):
        arrivals.bring_in(keys, second.login.id, put, none, lambda _id: first.login)
    assert tried == [2, 1]
    assert version(arrivals, keys, second.login.id) == second.login.version


@pytest.mark.parametrize("spare", [1, 2, 3, 20])
def test_few_descriptors_are_enough(arrivals: Arrivals, keys: Keys, spare: int) -> None:
    """Tokens are kept, and newer ones stay, where hardly a file can be opened and no limit be raised."""
    older, newer, newest = history(3)
    assert arrivals.keep(keys, [newer])

    def with_few() -> int:
        limit = len(os.listdir("/proc/self/fd")) - 1 + spare
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        arrivals.forget(keys, older.login)
        if arrivals.keep(keys, [older]) is None:
            return 1
        return 0 if arrivals.keep(keys, [newest]) else 2

    child = os.fork()
    if not child:
        status = 3
        try:
            os.closerange(3, 1 << 10)
            status = with_few()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert version(arrivals, keys, newer.login.id) == newest.login.version


def test_what_cannot_be_read_is_replaced_last(arrivals: Arrivals, keys: Keys, place: Path) -> None:
    """It may be newer, and under a key that this process does not have yet: another place has room."""
    older, newer = history(2)
    others = Keys(os.urandom(32), keys.store, 2)
    others.take_audit_keys([(0, os.urandom(32)), (1, os.urandom(32))])
    first = arrivals.keep(others, [newer])
    second = arrivals.keep(keys, [older])
    assert first is not None
    assert second not in {None, first}
    assert version(arrivals, others, newer.login.id) == newer.login.version
    assert version(arrivals, keys, newer.login.id) == older.login.version


def test_of_one_version_the_later_lease_counts(arrivals: Arrivals, keys: Keys) -> None:
    """Who lost the lease and tries again does not replace what its present holder could not save."""
    (one,) = history(1)
    theirs = replace(one, fence=8, login=replace(one.login, reason="theirs"))
    arrivals.keep(keys, [theirs])
    arrivals.keep(keys, [replace(one, fence=7)])
    assert arrivals.login(keys, one.login.id, None) == theirs.login


@pytest.mark.parametrize("gone", [True, False])
def test_what_has_gone_on_needs_them_no_more(arrivals: Arrivals, keys: Keys, *, gone: bool) -> None:
    """A login that is newer than what was kept, or that is no longer there."""
    first, second = history(2)
    arrivals.keep(keys, [first])
    put = put_by(StorageConflict, [])
    row = None if gone else second.login
    arrivals.bring_in(keys, first.login.id, put, none, lambda _id: row)
    assert version(arrivals, keys, first.login.id) == 0
