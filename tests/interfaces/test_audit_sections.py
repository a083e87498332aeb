"""A sink outside the vault gets every record, also after the vault was put back, made anew or shared."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stayfast.engine.audit.events import SECTION, Recorded, Scalar
from stayfast.interfaces.audit import file as audit_file
from stayfast.interfaces.audit import outbox as audit_outbox
from stayfast.interfaces.audit.cursor import Cursor, Position, held_cursor, read_cursor
from stayfast.interfaces.audit.file import AuditFile
from stayfast.interfaces.audit.outbox import Outbox
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.storage import EncryptedFileStorage, Vault
from stayfast.testing.storage_contract import change, finished
from transitions_of import vault_in


class Listener:
    """A sink that keeps what it takes, and takes nothing while it is broken."""

    name = "listener"

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Scalar]] = []
        self.broken = False

    def take(self, line: Mapping[str, Scalar]) -> None:
        if self.broken:
            raise OSError("refused")
        self.lines.append(line)


class Place:
    """A vault, its file of lines, and an outbox."""

    def __init__(self, place: Path) -> None:
        place.mkdir(mode=0o700, exist_ok=True)
        place.chmod(0o700)
        self.place = place
        self.path = place / "s" / "audit.jsonl"
        self.listener = Listener()

    def open(self) -> Vault:
        return vault_in(str(self.place))

    def save(self, name: str, path: Path | None = None) -> int:
        """Save a login as a process of its own does; gives the number of the last record."""
        with closing(self.open()) as storage:
            recorded = storage.commit([change(finished(name))])
            AuditFile(str(path or self.path), storage).observe(recorded, None)
            cursor = str(self.place / "s" / "audit.listener.cursor")
            Outbox(self.listener, storage, cursor).observe(recorded, None)
            return storage.events(after=recorded[-1].seq - 1)[-1].seq

    def records(self) -> list[tuple[int, str]]:
        """Number and link of every record in the vault."""
        with closing(self.open()) as storage:
            return [(one.seq, one.mac.hex()) for one in storage.events()]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def sections(found: list[Any]) -> list[list[tuple[int, str]]]:
    """The records of each section."""
    parts: list[list[tuple[int, str]]] = [[]]
    for line in found:
        if line["event"] == SECTION:
            parts.append([])
        else:
            parts[-1].append((line["seq"], line["mac"]))
    return parts


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "one")


def test_a_vault_that_was_put_back_is_sent_on(place: Place) -> None:
    """After an older copy came back the sinks get a new section with the notice and all records."""
    place.save("a")
    shutil.copy(place.place / "s" / "vault.db", place.place / "copy.db")
    for name in "bcd":
        place.save(name)
    sent = place.records()
    shutil.copy(place.place / "copy.db", place.place / "s" / "vault.db")
    for name in "ef":
        place.save(name)
    for found in (lines(place.path), place.listener.lines):
        before, after = sections(list(found))
        assert before == sent
        assert after == place.records()
        assert "rolled_back" in [line.get("detail") for line in found]


def test_a_vault_made_anew_in_the_same_place_is_sent_on(place: Place) -> None:
    """Its numbers begin again, and its records are not taken for ones that were sent."""
    for name in "abc":
        place.save(name)
    (place.place / "s" / "vault.db").unlink()
    (place.place / "s" / "vault.header").unlink()
    shutil.rmtree(place.place / "c")
    for name in "de":
        place.save(name)
    for found in (lines(place.path), place.listener.lines):
        assert sections(list(found))[-1] == place.records()


def test_two_vaults_may_share_a_file(place: Place, tmp_path: Path) -> None:
    """Each record of either stands there once, and each vault verifies its own."""
    other = Place(tmp_path / "two")
    for _ in range(3):
        for one in (place, other):
            one.save(f"p{len(one.listener.lines)}", place.path)
    written = place.path.read_bytes().splitlines()
    for one in (place, other):
        with closing(one.open()) as storage:
            store = storage.events(limit=1)[0].store
            own = [line for line in lines(place.path) if line["store"] == store]
            assert [(x["seq"], x["mac"]) for x in own if "seq" in x] == one.records()
            found = storage.verify_lines(written)
            assert (found.records, found.keyed) == (len(one.records()), True)
            assert not [x for x in found.findings if x.code in {"changed", "missing", "moved"}]


@pytest.mark.parametrize("way", ["renamed", "copied and emptied", "removed"])
def test_a_file_that_was_rotated_goes_on(place: Place, way: str) -> None:
    """The next process writes what is new, and not the whole log again."""
    for name in "abc":
        place.save(name)
    if way == "copied and emptied":
        place.path.write_bytes(b"")
    elif way == "renamed":
        place.path.rename(place.path.with_suffix(".jsonl.old"))
    else:
        place.path.unlink()
    last = place.save("d")
    assert [line["seq"] for line in lines(place.path)] == [last]


def stanza_for(path: Path, way: str) -> str:
    """What `stayfast help audit` shows for logrotate, for this file."""
    (found,) = re.findall(
        r"^    (\S+audit\.jsonl \{$.*?)^    \}$", TOPICS["audit"](), re.MULTILINE | re.DOTALL
    )
    _shown, _, settings = found.partition("{")
    return f"{path} {{{settings}}}\n".replace("nocreate", way)


@pytest.mark.parametrize("way", ["nocreate", "copytruncate", "create"])
def test_logrotate_as_help_describes_it_loses_no_line(place: Place, way: str) -> None:
    """The lines of both files are those of the log, once each, and both files are private."""
    logrotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if logrotate is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail("logrotate is not installed")
        pytest.skip("logrotate is not installed")
    for name in "abc":
        place.save(name)
    settings = place.place / "logrotate.conf"
    settings.write_text(stanza_for(place.path, way))
    settings.chmod(0o600)
    done = subprocess.run(
        [logrotate, "--force", "--state", str(place.place / "logrotate.status"), str(settings)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for name in "de":
        place.save(name)
    (old,) = place.path.parent.glob("audit.jsonl-*.gz")
    with gzip.open(old, "rt") as file:
        before = [json.loads(line) for line in file]
    assert [line["seq"] for line in before + lines(place.path)] == [
        seq for seq, _ in place.records()
    ]
    assert (old.stat().st_mode | place.path.stat().st_mode) & 0o077 == 0


def test_a_long_file_is_renamed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has grown too long makes room; between the two nothing is missing."""
    place.save("a")
    line = len(place.path.read_bytes().splitlines()[-1])
    monkeypatch.setattr(audit_file, "ROTATE_AT", place.path.stat().st_size + line * 3 // 2)
    for name in "bcd":  # the third of four is too long
        place.save(name)
    old = place.path.with_suffix(".jsonl.1")
    assert old.stat().st_mode & 0o077 == 0
    seqs = [line["seq"] for line in lines(old) + lines(place.path)]
    assert seqs == [seq for seq, _ in place.records()]


def test_a_long_log_does_not_hold_up_a_login(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What there is no time for is sent later; the cursor says since when, until it is."""
    with closing(place.open()) as storage:
        storage.commit([change(finished(f"p{number}")) for number in range(20)])
        written = AuditFile(str(place.path), storage)
        monkeypatch.setattr(audit_outbox, "BUDGET", 0.0)
        written.observe([], None)
        assert len(lines(place.path)) == 1
        noted = read_cursor(written.cursor)
        assert noted is not None
        assert noted.since is not None
        assert written.catch_up() == len(place.records()) - 1
        noted = read_cursor(written.cursor)
        assert noted is not None
        assert noted.since is None
    assert sections(lines(place.path)) == [place.records()]


def test_a_sink_that_takes_nothing_at_first_gets_what_it_missed(place: Place) -> None:
    """A sink that was away when it was first sent something begins there, and says since when."""
    place.listener.broken = True
    place.save("a")
    place.save("b")
    noted = read_cursor(str(place.place / "s" / "audit.listener.cursor"))
    assert noted is not None
    assert noted.problem == "refused"
    assert noted.since is not None
    place.listener.broken = False
    place.save("c")
    assert [line["seq"] for line in place.listener.lines] == [seq for seq, _ in place.records()]


def test_a_file_with_sections_verifies_as_the_present_log(place: Place) -> None:
    """The last section is checked against the vault; what stood before it is no damage."""
    place.save("a")
    shutil.copy(place.place / "s" / "vault.db", place.place / "copy.db")
    place.save("b")
    shutil.copy(place.place / "copy.db", place.place / "s" / "vault.db")
    place.save("c")
    with closing(place.open()) as storage:
        found = storage.verify_lines(place.path.read_bytes().splitlines())
    assert found.records == len(place.records())
    assert not [one for one in found.findings if one.code in {"changed", "missing", "moved"}]


@pytest.mark.parametrize(
    "octets", [b"", b"12", b"{}", b"[]", b'{"positions": {"a": 1}}', b"\xff" * 40]
)
def test_a_torn_cursor_is_an_empty_one(tmp_path: Path, octets: bytes) -> None:
    """What is not a cursor is read as one that knows nothing, and written over."""
    tmp_path.chmod(0o700)
    path = tmp_path / "cursor"
    path.write_bytes(octets)
    path.chmod(0o600)
    assert read_cursor(str(path)) == Cursor()
    for positions in (
        {"a": Position(1, "00")},
        {f"{n}": Position(n, "ff" * 32) for n in range(20)},
        {},
    ):
        with held_cursor(str(path), wait=1, what="it") as file:
            file.cursor.positions = positions
            file.write()
        assert read_cursor(str(path)) == Cursor(positions)


class Counting(EncryptedFileStorage):
    """Counts how often its log is read."""

    reads = 0

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        self.reads += 1
        return super().events(after=after, limit=limit)


def test_what_was_just_recorded_is_not_read_back(tmp_path: Path) -> None:
    """One look shows that nothing else is new, however long the file; its lines are those that are read."""
    tmp_path.chmod(0o700)
    storage = Counting(str(tmp_path / "s"), config_dir=str(tmp_path / "c"), environ={})
    told, read = (AuditFile(str(tmp_path / name), storage) for name in ("told", "read"))
    with closing(storage):
        told.observe(storage.commit([change(finished("first"))]), None)
        for number in range(5):
            recorded = storage.commit([change(finished(f"p{number}"))])
            storage.reads = 0
            told.observe(recorded, None)
            assert storage.reads == 1
        read.catch_up()
    assert (tmp_path / "told").read_bytes() == (tmp_path / "read").read_bytes()


def test_records_of_others_come_before_what_was_just_recorded(tmp_path: Path) -> None:
    """A process tells what another one recorded and did not tell, each record once and in order."""
    place = Place(tmp_path)
    with closing(place.open()) as ours, closing(place.open()) as theirs:
        audit = AuditFile(str(place.path), ours)
        audit.observe(ours.commit([change(finished("ours"))]), None)
        theirs.commit([change(finished("theirs"))])
        audit.observe(ours.commit([change(finished("again"))]), None)
    lines = [json.loads(line) for line in place.path.read_text().splitlines()]
    assert [(one["seq"], one["mac"]) for one in lines] == place.records()


def test_records_of_others_between_two_commits_are_told(tmp_path: Path) -> None:
    """Two commits are passed on together, and another process has saved between them."""
    place = Place(tmp_path)
    with closing(place.open()) as ours, closing(place.open()) as theirs:
        audit = AuditFile(str(place.path), ours)
        audit.observe(ours.commit([change(finished("ours"))]), None)
        before = ours.commit([change(finished("before"))])
        theirs.commit([change(finished("theirs"))])
        audit.observe([*before, *ours.commit([change(finished("after"))])], None)
    lines = [json.loads(line) for line in place.path.read_text().splitlines()]
    assert [(one["seq"], one["mac"]) for one in lines] == place.records()


@pytest.mark.parametrize(
    "torn", [b"", b"\n", b'{"seq": 9, "store": "a', b"[]\n", b'{"seq": "9"}\n']
)
def test_the_last_record_of_each_store_is_found_in_a_file_of_several(torn: bytes) -> None:
    """What is no record, or is torn, is passed over; a store without a line has no position."""
    lines = [
        {"seq": seq, "mac": f"{seq:02x}", "store": store}
        for seq, store in ((1, "a"), (2, "a"), (1, "b"))
    ]
    tail = b'"half"}\n' + b"".join(json.dumps(line).encode() + b"\n" for line in lines) + torn
    found = [audit_file.last_position(tail, store) for store in ("a", "b", "c")]
    assert found == [Position(2, "02"), Position(1, "01"), None]
