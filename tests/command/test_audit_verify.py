"""``stayfast audit verify`` as its user meets it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from command import World, events_of, until
from stayfast.engine.audit.events import Event, EventKind, Origin
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import Damaged
from stayfast.engine.table import State
from stayfast.storage.vault.rollback import ROLLED_BACK
from transitions_of import vault_in
from wandering import Wanderer


@pytest.fixture
def signed_in(world: World) -> World:
    assert world.run("login", "demo", "--via", "loopback").code == 0
    return world


def tamper(world: World, *deeds: str) -> None:
    with closing(sqlite3.connect(world.state / "vault.db")) as connection, connection:
        for deed in deeds:
            connection.execute(deed)


def last_of(world: World) -> int:
    """The number of the last record of the log."""
    return int(world.run("audit", "verify", "--json").json["last"])


def test_a_log_proves_itself(signed_in: World) -> None:
    """After a login the log verifies, in words and in JSON, from the vault and from its file."""
    done = signed_in.run("audit", "verify", "--json")
    assert done.code == 0
    answer = done.json
    assert (answer["schema"], answer["sound"], answer["findings"]) == (
        "stayfast.audit-verify/1",
        True,
        [],
    )
    assert answer["records"] == answer["last"] == answer["intact"] == len(events_of(signed_in))
    in_words = signed_in.run("audit", "verify")
    assert in_words.code == 0
    assert f"head {answer['last']} sha256:{answer['head']['mac']}" in in_words.out
    file = str(signed_in.state / "audit.jsonl")
    from_file = signed_in.run("audit", "verify", "--json", "--file", file)
    assert (from_file.code, from_file.json["head"], from_file.json["keyed"]) == (
        0,
        answer["head"],
        True,
    )
    elsewhere = signed_in.run(
        "audit", "verify", "--json", "--file", "-", "--state-dir", str(signed_in.place / "none"),
        stdin=Path(file).read_text(),
    )  # fmt: skip
    assert (elsewhere.code, elsewhere.json["keyed"]) == (0, False)


def test_nothing_recorded_is_nothing_wrong(world: World) -> None:
    """Without a vault there is an empty log, and none is made by asking."""
    done = world.run("audit", "verify", "--json")
    assert (done.code, done.json["records"]) == (0, 0)
    assert not (world.state / "vault.db").exists()


@pytest.mark.parametrize(
    ("deed", "code", "seq", "intact"),
    [
        ("UPDATE audit SET body = zeroblob(300) WHERE seq = 3", "changed", 3, 2),
        ("DELETE FROM audit WHERE seq = 2", "missing", 2, 1),
        ("DELETE FROM audit WHERE seq > 2", "truncated", 3, 2),
    ],
)
def test_what_was_done_is_named(signed_in: World, deed: str, code: str, seq: int, intact: int) -> None:  # fmt: skip
    """Whatever was done to the log ends in exit code 8 and names the record."""
    tamper(signed_in, deed)
    done = signed_in.run("audit", "verify", "--json")
    assert done.code == 8
    first = done.json["findings"][0]
    assert (first["code"], first["seq"], done.json["intact"]) == (code, seq, intact)
    if code == "changed":
        in_words = signed_in.run("audit", "verify")
        assert in_words.code == 8
        assert f"stayfast audit export --until {intact} " in in_words.out


@pytest.mark.parametrize(
    ("deed", "code", "behind"),
    [
        ("INSERT INTO audit SELECT max(seq) + 1, body, mac FROM audit", "copied", 1),
        ("UPDATE head SET mac = zeroblob(32)", "head", None),
        ("UPDATE login SET version = version - 1", "vault_differs", 0),
        ("DELETE FROM login", "vanished", 0),
    ],
)
def test_what_was_done_at_the_end_is_named(
    signed_in: World, deed: str, code: str, behind: int | None
) -> None:
    """A record behind the last one, and a vault that is not as the log says: the log is intact."""
    last = last_of(signed_in)
    tamper(signed_in, deed)
    done = signed_in.run("audit", "verify", "--json")
    assert done.code == 8
    first = done.json["findings"][0]
    assert (first["code"], first["seq"]) == (code, None if behind is None else last + behind)
    assert done.json["intact"] == last


def test_an_illegal_transition_is_found_behind_a_correct_chain(tmp_path: Path) -> None:
    """A record that was planted with the right key has a right link; the table shows that it is false."""
    tmp_path.chmod(0o700)
    vault = vault_in(str(tmp_path))
    wanderer = Wanderer(vault, 2, 5)
    wanderer.fill(40)
    for login in wanderer.logins:
        planted = Event(
            time=1.0, event=EventKind.TRANSITION, login=login.id, version=login.version + 1,
            origin=Origin(pid=1, host="h", user="u", app_version="1"),
            trigger="receive_callback", source=login.state.value, dest=State.AUTHENTICATED.value,
        )  # fmt: skip
        vault.note(planted)
    found = vault.verify()
    codes = [(one.code.value, one.seq) for one in found.findings]
    assert codes == [
        ("illegal_transition", 41), ("vault_differs", 41),
        ("illegal_transition", 42), ("vault_differs", 42),
    ]  # fmt: skip
    assert found.intact == 42


def test_damage_stops_no_refresh_and_is_said(signed_in: World) -> None:
    """The refresh succeeds; every check reports what was set aside, at once and until it is pruned."""
    tamper(signed_in, "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    done = signed_in.run("refresh", "demo")
    assert done.code == 0
    assert "stayfast audit verify" in done.err
    answer = signed_in.run("audit", "verify", "--json")
    assert (answer.code, [one["code"] for one in answer.json["findings"]]) == (8, ["set_aside"])
    pruned = signed_in.run("audit", "prune", "--before", "0s", "--json")
    assert (pruned.code, pruned.json["removed"]["first"]) == (0, 1)
    assert signed_in.run("audit", "verify").code == 0
    file = (signed_in.state / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in file] == ["audit.pruned"]
    last = last_of(signed_in)
    assert signed_in.run("audit", "set-aside", "--json").json["seq"] == last + 1
    assert signed_in.run("token", "demo").code == 0


def test_a_vault_that_was_put_back_is_reported_by_every_command_that_reads_it(
    signed_in: World,
) -> None:
    """The check of the log has a finding, and ``doctor`` a failing check; each reader says it once.

    After it was mended, the log has it, and no command says it any more.
    """
    shutil.copytree(signed_in.state, signed_in.place / "backup")
    assert signed_in.run("login", "demo", "--account", "two", "--via", "loopback").code == 0
    shutil.rmtree(signed_in.state)
    shutil.copytree(signed_in.place / "backup", signed_in.state)
    for command in (["status"], ["list"], ["store", "info"]):
        for more in ([], ["--json"]):
            done = signed_in.run(*command, *more)
            assert (done.code, done.err.count(ROLLED_BACK)) == (Damaged.exit_code, 1)
    assert signed_in.run("audit", "show").err.count(ROLLED_BACK) == 1
    verified = signed_in.run("audit", "verify", "--json")
    assert (verified.code, verified.json["sound"]) == (Damaged.exit_code, False)
    assert [one["code"] for one in verified.json["findings"]] == [FindingCode.ROLLED_BACK]
    failing = [
        one["name"]
        for one in signed_in.run("doctor", "--offline", "--json").json["checks"]
        if one["result"] == "fail"
    ]
    assert failing == ["store", "audit"]
    assert signed_in.run("store", "mend").code == 0
    after = signed_in.run("audit", "verify", "--json")
    assert (after.code, after.json["findings"]) == (0, [])
    after_all = signed_in.run("status")
    assert (after_all.code, after_all.err) == (0, "")


def test_a_look_that_commits_reports_the_older_vault_too(world: World) -> None:
    """Noting that a token has expired is a commit, which records the older copy; this look says so."""
    world.server.change(token_lifetime=2)
    assert world.run("login", "demo", "--via", "loopback").code == 0
    shutil.copytree(world.state, world.place / "backup")
    assert world.run("login", "demo", "--account", "two", "--via", "loopback").code == 0
    until(lambda: world.run("status").out, lambda shown: shown.count("expired") == 2)
    shutil.rmtree(world.state)
    shutil.copytree(world.place / "backup", world.state)
    looked = world.run("status", "demo")
    assert (looked.code, looked.err.count(ROLLED_BACK)) == (Damaged.exit_code, 1)
    assert "expired" in looked.out


def test_records_that_a_sink_has_and_the_log_lacks_are_a_finding(signed_in: World) -> None:
    """An older ``vault.db`` came back together with its marker: the audit file still has the rest."""
    kept = [signed_in.state / "vault.db", *signed_in.config.glob("vault-*.generation")]
    before = [path.read_bytes() for path in kept]
    end = last_of(signed_in)
    assert signed_in.run("login", "demo", "--account", "two", "--via", "loopback").code == 0
    later = last_of(signed_in)
    for path, octets in zip(kept, before, strict=True):
        path.write_bytes(octets)
    for beside in signed_in.state.glob("vault.db-*"):
        beside.unlink()
    done = signed_in.run("audit", "verify", "--json")
    assert done.code == Damaged.exit_code
    findings = [(one["code"], one["seq"], one["last"]) for one in done.json["findings"]]
    assert findings == [(FindingCode.ROLLED_BACK, end + 1, later)]
