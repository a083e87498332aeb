"""What belongs to a provider and outlives a login, sealed beside the logins."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from stayfast.storage import MemoryStorage
from stayfast.storage.migrating import migrate
from stayfast.testing.storage_contract import pending, saved
from transitions_of import vault_in

NAME = "registration https://login.example"


def rows(place: Path) -> list[tuple[bytes, int, bytes]]:
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection:
        return connection.execute("SELECT idx, epoch, sealed FROM entry").fetchall()


def change(place: Path, sql: str, *parameters: object) -> None:
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute(sql, parameters)


def test_the_file_shows_neither_name_nor_value(tmp_path):
    """Whoever reads the file learns that there is an entry, and no more."""
    vault_in(str(tmp_path)).put_entry(NAME, b"client-secret")
    octets = (tmp_path / "s" / "vault.db").read_bytes()
    assert b"client-secret" not in octets
    assert b"login.example" not in octets
    assert vault_in(str(tmp_path)).entry(NAME) == b"client-secret"


def test_a_vault_of_an_earlier_version_gets_the_table_with_the_first_entry(tmp_path):
    """Reading asks for nothing that is not there."""
    vault = vault_in(str(tmp_path))
    saved(vault, [pending()])
    assert vault.entry(NAME) is None
    assert vault.entries() == []
    before = vault.verify().findings
    vault.put_entry(NAME, b"1")
    assert vault.entry(NAME) == b"1"
    assert vault.verify().findings == before
    assert vault.problems() == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET sealed = zeroblob(100)",
        "UPDATE entry SET sealed = 7",
        "UPDATE entry SET sealed = NULL || ''",
        "UPDATE entry SET idx = zeroblob(16)",
        # An UPDATE that reads its own table may see the row that it has just changed, and then undoes the swap.
        "REPLACE INTO entry SELECT a.idx, b.epoch, b.sealed FROM entry AS a JOIN entry AS b ON a.idx <> b.idx",
        "DELETE FROM entry",
    ],
)
def test_an_entry_that_does_not_open_is_none(tmp_path, damage):
    """Torn, swapped with another, or gone: it is fetched or registered anew, and no login fails."""
    vault = vault_in(str(tmp_path))
    vault.put_entry(NAME, b"1")
    vault.put_entry("another", b"2")
    try:
        change(tmp_path, damage)
    except sqlite3.IntegrityError:
        change(tmp_path, "DELETE FROM entry")
    assert vault.entry(NAME) is None
    vault.put_entry(NAME, b"3")
    assert vault.entry(NAME) == b"3"
    saved(vault, [pending()])


def test_another_root_key_seals_the_entries_anew(tmp_path):
    """What the old key sealed does not open any more, and what the new one sealed does."""
    vault = vault_in(str(tmp_path))
    vault.put_entry(NAME, b"1")
    vault.put_entry("torn", b"2")
    torn = vault._keys().entry_index("torn")
    change(tmp_path, "UPDATE entry SET sealed = zeroblob(60) WHERE idx = ?", torn)
    before = rows(tmp_path)
    vault.rekey("keyfile")
    after = rows(tmp_path)
    assert vault_in(str(tmp_path)).entries() == [(NAME, b"1")]
    assert {row[0] for row in before}.isdisjoint({row[0] for row in after})


def test_entries_move_with_the_logins(tmp_path):
    """What the other place has already stays as it is there."""
    source, destination = vault_in(str(tmp_path)), MemoryStorage()
    source.put_entry(NAME, b"1")
    source.put_entry("both", b"old")
    destination.put_entry("both", b"new")
    migrate(source, destination)
    assert dict(destination.entries()) == {NAME: b"1", "both": b"new"}
