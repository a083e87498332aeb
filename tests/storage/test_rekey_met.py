"""A change of the root key, met by other processes, damage, kills and failing disks."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from stayfast.engine.audit.events import EventKind
from stayfast.engine.errors import Damaged
from stayfast.engine.summary import account_alias
from stayfast.storage import Vault, open_storage
from stayfast.storage.vault.header import Header
from stayfast.testing.crash_driver import EIO, ENOSPC, KILL, CrashDriver
from stayfast.testing.sample_logins import finished, further, pending
from stayfast.testing.storage_contract import saved

REKEY = """
import sys
from stayfast.storage import open_storage
place = sys.argv[1]
vault = open_storage("file", state_dir=place + "/s", config_dir=place + "/c", environ={})
vault.rekey("keyfile")
print("done")
"""
ACME = account_alias("acme", "default")


def vault(place: Path) -> Vault:
    opened = open_storage(
        "file", state_dir=str(place / "s"), config_dir=str(place / "c"), environ={}
    )
    assert isinstance(opened, Vault)
    return opened


def recorded(storage: Vault) -> list[str]:
    """What verifying finds; the sample logins have no history, and it says no more than that."""
    return [finding.code for finding in storage.verify().findings]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_who_has_it_open_goes_on(place: Path) -> None:
    """Another process reads, lists and writes as before: it notices the new key by itself."""
    login = finished()
    other, mine = vault(place), vault(place)
    saved(other, [login])
    mine.rekey("keyfile")
    assert other.find(ACME) == login
    mine.rekey("keyfile")
    assert [one.id for one in other.summaries()] == [login.id]
    mine.rekey("keyfile")
    after = further(login, reason="written")
    saved(other, [after])
    assert mine.read(login.id) == after
    assert mine.problems() == []


def test_a_key_that_changes_under_a_readers_eyes_is_no_damage(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding the keys and reading the row: the reader looks again."""
    login = finished()
    mine, other = vault(place), vault(place)
    saved(mine, [login])
    for look in (
        lambda: mine.read(login.id),
        lambda: mine.find(ACME),
        lambda: mine.read(next(iter(mine.summaries())).id),
    ):
        watch, once = mine._tamper_check.look, iter([True])

        def slow(*given: object, watch=watch, once=once) -> None:
            watch(*given)
            if next(once, False):
                other.rekey("keyfile")

        with monkeypatch.context() as patched:
            patched.setattr(mine._tamper_check, "look", slow)
            assert look() == login


def test_a_lost_key_of_the_log_stops_it(place: Path) -> None:
    """What does not open cannot be sealed again: nothing is changed, and nothing is left out."""
    login = finished()
    saved(vault(place), [login])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("UPDATE audit_key SET sealed = zeroblob(60) WHERE first_seq = 0")
    with pytest.raises(Damaged):
        vault(place).rekey("keyfile")
    assert vault(place).about().epoch == 1
    assert vault(place).read(login.id) == login


def test_a_vault_that_holds_nothing_gets_another_key(place: Path) -> None:
    """It was made by a login that went no further than the probe."""
    vault(place).probe()
    vault(place).rekey("keyfile")
    login = finished()
    saved(vault(place), [login])
    assert vault(place).about().epoch == 2
    assert vault(place).problems() == []


@pytest.mark.parametrize(
    ("wrong", "every"),
    [("killed", 8), ("failed", 2), pytest.param("killed", 1, marks=pytest.mark.soak)],
)
def test_killed_or_failed_at_every_call(traced_place: Path, wrong: str, every: int) -> None:
    """Either the old vault or the new one, whole, whose key is there; and it can be done again."""
    login = finished()
    template, numbers = traced_place / "t", count()
    template.mkdir(mode=0o700)
    storage = vault(template)
    saved(storage, [login, pending("other")])
    found = recorded(storage)
    storage.close()
    (traced_place / "rekey.py").write_text(REKEY)

    def prepare() -> list[str]:
        copy = traced_place / str(next(numbers))
        shutil.copytree(template, copy)
        copy.chmod(0o700)
        return [sys.executable, "-S", str(traced_place / "rekey.py"), str(copy)]

    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    driver = CrashDriver(prepare, environ=environ, workers=2)
    epochs: Counter[int] = Counter()
    points = driver.points()
    if wrong == "failed":  # each kind of call once or twice: every one of them takes a while
        points = [point for point in points if point.occurrence <= 2]
    points = points[::every]
    for outcome in driver.inflict([KILL] if wrong == "killed" else [ENOSPC, EIO], points):
        copy = Path(outcome.argv[3])
        again = vault(copy)
        assert again.problems() == [], outcome
        assert again.find(ACME) == login, outcome
        assert recorded(again) == found, outcome
        epoch = again.about().epoch or 0
        epochs[epoch] += 1
        assert outcome.stdout != "done\n" or epoch == 2, outcome
        kinds = [one.members["event"] for one in again.events()]
        assert kinds.count(EventKind.STORAGE_CHANGED) == epoch - 1, outcome
        again.rekey("keyfile")
        assert vault(copy).find(ACME) == login, outcome
        again.close()
        shutil.rmtree(copy)
    print(f"\nrekey {wrong} at {len(points)} points: {dict(epochs)}")
    assert len(points) > 6
    assert set(epochs) == {1, 2}


def test_a_crowd_that_changes_the_key_leaves_one_that_opens(place: Path) -> None:
    """Who tidies up does not take away the key that another is just about to seal with."""
    login = finished()
    saved(vault(place), [login])
    script = REKEY.replace('vault.rekey("keyfile")', 'for _ in range(6): vault.rekey("keyfile")')
    crowd = [
        subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    assert [one.wait(timeout=180) for one in crowd] == [0] * 4
    again = vault(place)
    assert again.read(login.id) == login
    assert again.about().epoch == 25
    assert len(list((place / "c").glob("*.key"))) == 1


def test_keys_are_taken_away_where_nobody_makes_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old key files go while the vault is locked: a new one may be there that nothing names yet."""
    mine, alone = vault(place), []
    saved(mine, [finished()])
    tidy = mine._key_sources.tidy

    def watched(before: Header, header: Header) -> None:
        with (place / "s" / "vault.lock").open("rb+") as line:
            try:
                fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                alone.append(True)
        tidy(before, header)

    monkeypatch.setattr(mine._key_sources, "tidy", watched)
    mine.rekey("keyfile")
    assert alone == [True]
