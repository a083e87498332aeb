"""A log that was pruned or damaged goes on, and what remains of it can still be proved."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from stayfast.engine.audit.checkpoint import compare_head, parse
from stayfast.engine.audit.events import EventKind, Recorded
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.audit.verifier import check_lines
from stayfast.engine.errors import Damaged
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.audit.file import AuditFile
from stayfast.storage import Vault
from transitions_of import vault_in
from wandering import Wanderer

C = FindingCode


class Grown:
    """A vault with a log of 100 records, 60 of them older than ``moment``."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.vault = vault_in(str(place))
        self.wanderer = Wanderer(self.vault, 30, 3)
        self.wanderer.fill(60, at_once=20)
        self.moment = time.time()
        self.wanderer.fill(100, at_once=20)
        self.file = AuditFile(str(place / "audit.jsonl"), self.vault)

    def do(self, *deeds: str) -> None:
        with closing(sqlite3.connect(self.place / "s" / "vault.db")) as connection, connection:
            for deed in deeds:
                connection.execute(deed)


@pytest.fixture
def grown(tmp_path: Path) -> Grown:
    tmp_path.chmod(0o700)
    return Grown(tmp_path)


def codes(vault: Vault) -> list[tuple[FindingCode, int | None]]:
    return [(one.code, one.seq) for one in vault.verify().findings]


def test_what_remains_after_pruning_is_proved(grown: Grown) -> None:
    """Old records go, with the logins that were over; the rest follows, and goes on."""
    states = {login.id: login.state for login in grown.wanderer.logins if login.version}
    marked = grown.vault.verify([30, 60, 80])
    done = grown.vault.prune(grown.moment)
    assert done is not None
    assert (done.first, done.last) == (1, 60)
    found = grown.vault.verify([30, 60, 80])
    assert (found.findings, found.first, found.last) == ([], 61, 101)
    assert grown.vault.problems() == []
    gone = states.keys() - {one.id for one in grown.vault.summaries()}
    assert len(gone) == done.logins > 0
    assert {states[login] for login in gone} == {State.IDLE}
    assert grown.vault.events()[0].seq == 61
    for size in (30, 60, 80):  # checkpoints made before are still compared, where that is possible
        assert compare_head(size, marked.marks[size], found) == []
    closing_note = parse(done.note).checkpoint
    assert (closing_note.size, closing_note.head) == (60, marked.marks[60])
    assert [one.code for one in compare_head(60, b"x" * 32, found)] == [C.CHECKPOINT_REWRITTEN]
    grown.wanderer.logins = [one for one in grown.wanderer.logins if one.id not in gone]
    grown.wanderer.steps(30, at_once=10)
    assert grown.vault.verify().findings == []
    again = grown.vault.prune(time.time())
    assert again is not None
    assert (again.first, again.last) == (61, 131)
    assert grown.vault.verify().findings == []
    assert grown.vault.problems() == []


def test_nothing_old_is_nothing_to_prune(grown: Grown) -> None:
    """No record is that old, and none is removed; nor is a vault made to look."""
    assert grown.vault.prune(1.0) is None
    assert grown.vault.verify().records == 100
    (grown.place / "none").mkdir(mode=0o700)
    assert vault_in(str(grown.place / "none")).prune(time.time()) is None
    assert list((grown.place / "none").iterdir()) == []


@pytest.mark.parametrize(
    ("deed", "code", "seq"),
    [
        ("DELETE FROM audit WHERE seq = 61", C.MISSING, 61),
        ("DELETE FROM audit WHERE seq = 80", C.MISSING, 80),
        ("UPDATE audit SET body = zeroblob(9) WHERE seq = 61", C.CHANGED, 61),
        ("UPDATE audit SET mac = zeroblob(32) WHERE seq = 61", C.CHANGED, 61),
        ("DELETE FROM audit WHERE seq > 70", C.TRUNCATED, 71),
        ("DELETE FROM audit", C.TRUNCATED, 61),
        ("INSERT INTO audit VALUES (60, x'00', x'00')", C.SET_ASIDE, 60),
    ],
)  # fmt: skip
def test_a_pruned_log_hides_nothing(grown: Grown, deed: str, code: FindingCode, seq: int) -> None:
    """What is done to the rest, its first record included, is found as before."""
    grown.vault.prune(grown.moment)
    grown.do(deed)
    assert codes(grown.vault)[0] == (code, seq)


@pytest.mark.parametrize("deed", ["DELETE FROM audit WHERE seq = 20", "UPDATE audit SET body = x'' WHERE seq = 60",
                                  "UPDATE audit SET mac = zeroblob(32) WHERE seq = 1"])  # fmt: skip
def test_damage_is_not_pruned_away(grown: Grown, deed: str) -> None:
    """Records that do not verify are evidence: they stay, and so does everything else."""
    grown.do(deed)
    before = codes(grown.vault)
    with pytest.raises(Damaged):
        grown.vault.prune(grown.moment)
    assert codes(grown.vault) == before != []


def test_the_audit_file_is_pruned_with_it(grown: Grown) -> None:
    """Its lines go, the others stay, and it goes on where it was."""
    grown.file.catch_up()
    grown.vault.prune(grown.moment)
    grown.file.forget(60)
    assert grown.file.catch_up() == 1
    found = check_lines((grown.place / "audit.jsonl").read_bytes().splitlines(), None)
    assert (found.findings, found.first, found.last) == ([], 61, 101)


DAMAGE = [
    "DELETE FROM audit WHERE seq > 90",
    "DELETE FROM audit",
    "UPDATE audit SET mac = zeroblob(32) WHERE seq = 100",
    "INSERT INTO audit VALUES (101, x'00', x'00')",
    "INSERT INTO audit SELECT 150, body, mac FROM audit WHERE seq = 3",
]


@pytest.mark.parametrize("deed", DAMAGE)
def test_a_damaged_end_stops_nobody(grown: Grown, deed: str) -> None:
    """The next transition is saved; a record says what was set aside, and verifying goes on saying it."""
    grown.do(deed)
    before = grown.vault.verify().findings
    assert before
    recorded = grown.wanderer.ledger.storage.commit([grown.wanderer.draft()])
    aside, saved = recorded
    assert aside.members["event"] == EventKind.AUDIT_SET_ASIDE
    assert saved.seq == aside.seq + 1
    grown.wanderer.steps(20, at_once=10)
    left = [] if deed == DAMAGE[1] else [(C.SET_ASIDE, 1)]
    found = grown.vault.verify()
    assert [(one.code, one.seq) for one in found.findings] == left
    assert (found.first, found.last) == (aside.seq, aside.seq + 21)
    grown.do(f"UPDATE audit SET body = zeroblob(300) WHERE seq = {saved.seq}")
    assert (C.CHANGED, saved.seq) in codes(grown.vault)


def test_damage_in_the_middle_is_set_aside_on_request(grown: Grown) -> None:
    """Nobody who only goes on meets it; what still opens of it can be read, and pruning clears it."""
    grown.file.catch_up()
    grown.do("UPDATE audit SET body = zeroblob(300) WHERE seq = 50")
    grown.wanderer.steps(10, at_once=10)
    assert codes(grown.vault) == [(C.CHANGED, 50)]
    recorded = grown.vault.set_aside()
    assert recorded is not None
    assert recorded.seq == 111
    numbers = [one.seq for one in grown.vault.events(limit=500)]
    assert numbers == [seq for seq in range(1, 111) if seq != 50]
    assert grown.vault.events(after=110)[0].seq == 111
    assert codes(grown.vault) == [(C.SET_ASIDE, 1)]
    grown.wanderer.steps(10, at_once=10)
    assert grown.vault.prune(time.time()) is not None
    assert codes(grown.vault) == []
    assert grown.vault.problems() == []


def test_damage_in_the_way_of_the_audit_file_is_set_aside(grown: Grown) -> None:
    """The log goes on behind it, the observers get that event, and only the first finder sets it aside."""
    observed: list[int] = []

    class Ears:
        def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
            observed.extend(one.seq for one in recorded)

    grown.do("UPDATE audit SET body = zeroblob(300) WHERE seq = 50")
    file = AuditFile(str(grown.place / "audit.jsonl"), grown.vault)
    file.others = [Ears()]
    file.observe([], None)
    assert (file.problem, observed) == (None, [101])
    assert grown.vault.set_aside(49) is None
    lines = [json.loads(line) for line in (grown.place / "audit.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [seq for seq in range(1, 102) if seq != 50]
    assert codes(grown.vault) == [(C.SET_ASIDE, 1)]
