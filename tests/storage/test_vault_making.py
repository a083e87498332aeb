"""The making of a vault: by a crowd, by the killed, and by somebody with other ideas."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from stayfast.engine import cbor
from stayfast.engine.audit.events import EventKind
from stayfast.engine.errors import Damaged, LoginBusy, NewerFormat
from stayfast.engine.ports import Storage
from stayfast.engine.summary import account_alias
from stayfast.interfaces.audit.lines import line_of
from stayfast.interfaces.audit.schema import schema
from stayfast.storage import EncryptedFileStorage, MemoryStorage, open_storage
from stayfast.storage.capabilities import capabilities_of
from stayfast.storage.vault.header import FORMAT, Header, decode_copy, encode_copy
from stayfast.testing.storage_contract import (
    change,
    finished,
    pending,
    records_of_logins,
    saved,
)

_SAVE = """
import sys
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import pending, saved
v = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
sys.stdin.read(1)
saved(v, [pending(state=sys.argv[2])])
print("saved", flush=True)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, **options: object) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"), config_dir=str(place / "c"), environ={}, **options
    )


def test_a_crowd_makes_one_vault(place: Path) -> None:
    """Of processes that find no vault at the same time, one makes it and all use it."""
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", _SAVE, str(place), str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(6)
    ]  # fmt: skip
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate()[0].strip() for process in crowd] == ["saved"] * 6
    assert len(list(vault(place).summaries())) == 6
    assert len(list((place / "c").glob("*.key"))) == 1
    assert vault(place).problems() == []
    assert created_in(vault(place)) == [1]


def created_in(storage: Storage) -> list[int]:
    """The numbers of the records which say that the storage was created."""
    kinds = [(one.seq, one.members["event"]) for one in storage.events()]
    return [seq for seq, kind in kinds if kind == EventKind.STORAGE_CREATED]


KINDS = {
    "keyfile": {},
    "passphrase": {"passphrase": lambda: "canary one and two"},
    "command": {
        "environ": {"STAYFAST_KEY_COMMAND": "echo canary-0123456789abcdef0123456789abcdef"}
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_begins_with_the_making(place: Path, kind: str) -> None:
    """The first record says that the storage was created, with which kind of key, and nothing else."""
    options = {"state_dir": str(place / "s"), "config_dir": str(place / "c"), "environ": {}}
    storage = open_storage("file", **{**options, **KINDS[kind]})
    assert (list(storage.events()), (place / "s").exists()) == ([], False)  # asking makes nothing
    storage.probe()
    (created,) = storage.events()
    assert created.seq == 1
    assert created.members["event"] == EventKind.STORAGE_CREATED
    assert created.members["detail"] == f"key={kind}"
    line = line_of(created)
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(json.dumps(line)), schema())
    assert str(place) not in str(line)
    assert "canary" not in str(line)
    log = capabilities_of(storage).log
    assert log is not None
    assert log.verify().findings == []


def test_observers_get_the_making_once_and_before_the_first_login(place: Path) -> None:
    """Whoever makes the storage gives that record out with its first commit, and nobody gives it again."""
    first, second = vault(place), vault(place)
    first.probe()
    recorded = first.commit([change(finished("one"))])
    assert [one.members["event"] for one in recorded] == ["storage.created", "login.transition"]
    assert recorded == list(first.events())
    for storage in (first, second, vault(place)):
        given = storage.commit([change(pending(state=str(id(storage))))])
        assert [one.members["event"] for one in given] == ["login.transition"]
    assert created_in(first) == [1]


def test_a_memory_storage_records_logins_alone() -> None:
    """It is made with its process and ends with it, so its making is nothing to prove."""
    storage = MemoryStorage()
    storage.probe()
    saved(storage, [pending()])
    assert (created_in(storage), len(storage.events())) == ([], 1)


def traced(place: Path, what: list[str], number: int) -> subprocess.CompletedProcess[str]:
    """``_SAVE`` under strace, with ``what`` done to it; its environment keeps Python quiet."""
    return subprocess.run(
        ["strace", "-f", "-qq", "-o", str(place / "trace"), *what,
         sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{_SAVE}",
         str(place), str(number)],
        input="\n", capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


_CALLS = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "ftruncate")


def points(place: Path) -> list[tuple[str, int]]:
    """Every call by which making a vault and saving in it changes the disk, and which it is."""
    if not shutil.which("strace"):
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    (place / "first").mkdir(mode=0o700)
    recorded = traced(place / "first", ["-e", f"trace={','.join(_CALLS)}"], 0)
    assert recorded.stdout.strip() == "saved", recorded.stderr
    lines = (place / "first" / "trace").read_text().splitlines()
    calls = [line.split()[1].partition("(")[0] for line in lines]
    ours = [
        (name, calls[: at + 1].count(name))
        for at, (line, name) in enumerate(zip(lines, calls, strict=True))
        if name in _CALLS and (name != "openat" or "O_CREAT" in line) and "saved" not in line
    ]
    assert len(ours) > 30
    return ours


def go_wrong(place: Path, effect: str, name: str, occurrence: int) -> str:
    """Let one call go wrong, and see that the vault is whole and goes on; gives what was said."""
    place.mkdir(mode=0o700)
    done = traced(place, ["-e", f"inject={name}:{effect}:when={occurrence}"], 0)
    opened = vault(place)
    before = len(list(opened.summaries()))
    assert before == 1 or done.stdout.strip() != "saved"
    saved(opened, [finished()])
    assert opened.find(account_alias("acme", "default")) is not None
    assert opened.problems() == []
    assert len(records_of_logins(opened)) == before + 1
    assert created_in(opened) == [1]
    return done.stdout.strip() or (done.stderr.strip().splitlines() or [""])[-1]


def every(places: list[tuple[str, int]], soak: bool) -> list[tuple[str, int]]:
    return places if soak else places[:: max(1, len(places) // 6)]


HOW_MANY = [pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.soak)]


@pytest.mark.parametrize("soak", HOW_MANY)
def test_whoever_is_killed_leaves_a_way_on(place: Path, soak: bool) -> None:
    """Killed at any call that changes the disk, making and saving leave nothing half-made."""
    for name, occurrence in every(points(place), soak):
        said = go_wrong(place / f"{name}{occurrence}", "signal=SIGKILL", name, occurrence)
        assert said != "saved", (name, occurrence)


@pytest.mark.parametrize("soak", HOW_MANY)
@pytest.mark.parametrize("errno", ["ENOSPC", "EIO"])
def test_a_failing_disk_is_never_taken_for_a_good_one(place: Path, errno: str, soak: bool) -> None:
    """Whichever call fails: it is saved, or an error of ours says that it is not."""
    for name, occurrence in every(points(place), soak):
        said = go_wrong(place / f"{name}{occurrence}", f"error={errno}", name, occurrence)
        assert said == "saved" or said.startswith("stayfast.engine."), (name, occurrence)


def test_the_busy_are_named(place: Path) -> None:
    """The error for a login that is taken names the process."""
    hold = _SAVE.partition("sys.stdin")[0] + (
        "with v.lease('0' * 26, wait=0): print('held', flush=True); sys.stdin.read()"
    )
    saved(vault(place), [finished()])
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LoginBusy) as caught, vault(place).lease("0" * 26, wait=0):
            pass
        assert str(holder.pid) in caught.value.message
        holder.kill()
        holder.wait()
        with vault(place).lease("0" * 26, wait=0):
            pass


def copied(place: Path) -> Header:
    """The header, from the copy beside the database."""
    return decode_copy((place / "s" / "vault.header").read_bytes())[0]


def amend(place: Path, **members: cbor.Plain) -> None:
    """Write other members into both copies of the header."""
    path = place / "s" / "vault.header"
    body = cbor.encode({**cbor.decode_map(copied(place).body), **members})
    path.write_bytes(encode_copy(body, b""))
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("UPDATE header SET body = ?", (body,))


def test_a_header_for_newer_readers_is_refused(place: Path) -> None:
    """A vault that says which reader it needs is left to that one."""
    saved(vault(place), [finished()])
    amend(place, min_reader=FORMAT + 1)
    with pytest.raises(NewerFormat) as caught:
        vault(place).read("x")
    assert caught.value.exit_code == 7


def test_a_header_that_was_torn_into_a_newer_one_is_read_from_its_copy(place: Path) -> None:
    """What claims to be of the future and has a copy of today is torn, and the copy serves."""
    login = finished()
    saved(vault(place), [login])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        (body,) = connection.execute("SELECT body FROM header").fetchone()
        where = body.index(b"min_reader") + len(b"min_reader")
        torn = body[:where] + bytes([body[where] + 1]) + body[where + 1 :]
        connection.execute("UPDATE header SET body = ?", (torn,))
    assert vault(place).read(login.id) == login


def test_a_copy_of_the_header_without_its_seal_is_refused(place: Path) -> None:
    """The copy serves only with what shows that it was not edited."""
    saved(vault(place), [finished()])
    (place / "s" / "vault.header").write_bytes(copied(place).body)
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("DELETE FROM header")
    with pytest.raises(Damaged):
        vault(place).read("x")


@pytest.mark.parametrize(
    "amended",
    [{"memory_kib": 1 << 40}, {"passes": 1 << 30}, {"lanes": 0}, {"salt": b""}, {"salt": None},
     {"memory_kib": -1}, {"lanes": 1 << 20}, {"passes": 1.5}],
)  # fmt: skip
def test_a_hostile_header_costs_nothing(place: Path, amended: dict[str, cbor.Plain]) -> None:
    """Parameters that would eat the machine are refused before they are used."""
    saved(vault(place, passphrase=lambda: "right"), [finished()])
    header = copied(place)
    slots = [
        {"kind": slot.kind, "params": {**slot.params, **amended},
         "wrapped": slot.wrapped, "commitment": slot.commitment}
        for slot in header.slots
    ]  # fmt: skip
    amend(place, slots=slots)  # type: ignore[arg-type]  # what a mapping infers is too narrow
    began = time.monotonic()
    with pytest.raises(Damaged):
        vault(place, passphrase=lambda: "right").read("x")
    assert time.monotonic() - began < 30


def test_a_thousand_slots_are_not_tried(place: Path) -> None:
    """A header cannot make us try more passphrases than a vault may have slots."""
    saved(vault(place), [finished()])
    slot = {"kind": "passphrase", "params": {}, "wrapped": b"", "commitment": b""}
    amend(place, slots=[slot] * 1000)  # type: ignore[list-item]  # as above
    assert len(copied(place).slots) <= 16
