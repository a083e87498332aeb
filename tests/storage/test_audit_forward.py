"""A forward-secure log: even with all of the vault, nobody can forge its past."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from insider import rewrite
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import ConfigInvalid
from stayfast.interfaces.audit.file import AuditFile
from stayfast.storage import Vault
from stayfast.storage.audit.forward_keys import parse_key
from stayfast.storage.vault.integrity import keep_head, read_head
from transitions_of import vault_in
from wandering import Wanderer

C = FindingCode
Key = tuple[int, bytes]


@pytest.fixture
def forward(tmp_path: Path) -> tuple[Vault, Wanderer, Key]:
    """A vault with 20 ordinary records, the one that turned the mode on, and 30 since."""
    tmp_path.chmod(0o700)
    vault = vault_in(str(tmp_path))
    wanderer = Wanderer(vault, 5, 8)
    wanderer.fill(20)
    key = parse_key(vault.go_forward_secure())
    wanderer.fill(51)
    return vault, wanderer, key


def codes(vault: Vault, key: Key | None = None) -> list[tuple[FindingCode, int | None]]:
    return [(one.code, one.seq) for one in vault.verify(forward=key).findings]


def test_it_verifies_with_its_key_and_says_what_it_could_not_check_without(forward) -> None:
    """All records follow; without the key those since then are counted as unchecked."""
    vault, wanderer, key = forward
    assert key[0] == 21
    whole = vault.verify(forward=key)
    assert (whole.findings, whole.unkeyed, whole.last) == ([], 0, 51)
    assert vault.verify().unkeyed == 31
    assert vault.verify().findings == []
    assert vault.problems() == []
    with pytest.raises(ConfigInvalid):
        vault.go_forward_secure()
    wanderer.steps(20)
    assert codes(vault, key) == []
    assert [one.seq for one in vault.events()] == list(range(1, 72))


def test_its_file_verifies_with_the_key(forward, tmp_path: Path) -> None:
    """An exported log is checked with the same key; one changed octet in it is named."""
    vault, _, key = forward
    AuditFile(str(tmp_path / "audit.jsonl"), vault).catch_up()
    lines = (tmp_path / "audit.jsonl").read_bytes().splitlines()
    assert vault.verify_lines(lines, forward=key).findings == []
    assert vault.verify_lines(lines).unkeyed == 31
    lines[40] = lines[40].replace(b'"user":"', b'"user":"x')
    named = vault.verify_lines(lines, forward=key).findings
    assert [(one.code, one.seq) for one in named] == [(C.CHANGED, 41)]


@pytest.mark.parametrize("change", [30, 51])
def test_who_has_the_root_key_cannot_rewrite_it(forward, change: int) -> None:
    """A record since then, written anew with every key there is, does not follow."""
    vault, _, key = forward
    rewrite(
        vault,
        lambda seq, members: {**members, "user": "mallory"} if seq == change else members,
        from_seq=change,
    )  # fmt: skip
    assert codes(vault, key)[0] == (C.CHANGED, change)


def test_who_has_the_root_key_cannot_cut_it(forward) -> None:
    """The end was cut and the integrity record agrees: the key the log goes on with comes too late."""
    vault, _, key = forward
    with vault._vault_connection.writing() as (connection, keys):
        connection.execute("DELETE FROM audit WHERE seq > 40")
        head = read_head(connection, keys)
        (mac,) = connection.execute("SELECT mac FROM audit WHERE seq = 40").fetchone()
        keep_head(connection, keys, head._replace(seq=40, mac=mac))
    assert (C.FORWARD_KEY, None) in codes(vault, key)


def test_who_has_the_root_key_cannot_begin_it_anew(forward) -> None:
    """To turn the mode off and link everything with a key that is there is noticed too."""
    vault, _, key = forward
    rewrite(vault, lambda seq, members: members)
    with vault._vault_connection.writing() as (connection, keys):
        keep_head(
            connection, keys, read_head(connection, keys)._replace(forward=0, forward_key=b"")
        )
    assert codes(vault) == []
    found = codes(vault, key)
    assert (C.FORWARD_KEY, None) in found
    assert (C.CHANGED, 21) in found


def test_no_old_key_is_left_in_the_vault(forward) -> None:
    """Nothing that is sealed in the file opens to the key of a record that was written."""
    vault, _, (first, key) = forward
    with vault._vault_connection.writing() as (connection, keys):
        from stayfast.storage.audit.forward_keys import present_key, step  # noqa: PLC0415  beside its use

        head = read_head(connection, keys)
        expected = key
        for _ in range(first, head.seq + 1):
            assert present_key(keys, head) != expected
            expected = step(expected)
        assert present_key(keys, head) == expected
        connection.execute("ROLLBACK")
    octets = (Path(vault.directory) / "vault.db").read_bytes()
    assert head.forward_key in octets
    before = read_forward_key(vault)
    Wanderer(vault, 1, 99).steps(1)
    assert before not in (Path(vault.directory) / "vault.db").read_bytes()


def read_forward_key(vault: Vault) -> bytes:
    with vault._vault_connection.reading() as opened:
        assert opened is not None
        return read_head(*opened).forward_key


def test_it_can_be_pruned_and_set_aside(forward) -> None:
    """Both leave a log that verifies with the key it began with."""
    vault, wanderer, key = forward
    cut = time.time()
    wanderer.steps(10)
    assert vault.prune(cut) is not None
    assert codes(vault, key) == []
    with closing(sqlite3.connect(Path(vault.directory) / "vault.db")) as connection, connection:
        connection.execute("DELETE FROM audit WHERE seq = 62")
        connection.execute("INSERT INTO audit VALUES (9000000000000000000, x'00', x'00')")
    wanderer.logins = [vault.read(one.id) or one for one in wanderer.logins]
    left = {one.id for one in vault.summaries()}
    wanderer.logins = [one for one in wanderer.logins if one.id in left]
    wanderer.steps(5)
    assert codes(vault, key) == [(C.SET_ASIDE, 1)]
    assert vault.verify().last == 68


@pytest.mark.parametrize(
    "odd", ["", "x", "stayfast-forward:1:00", "stayfast-forward:0:" + "00" * 32]
)
def test_what_is_no_key_is_refused(odd: str) -> None:
    """Text that is no verification key is not taken for one."""
    with pytest.raises(ConfigInvalid):
        parse_key(odd)
