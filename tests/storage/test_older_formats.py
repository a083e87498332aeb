"""Vaults of every format that was ever written open, and become of the present one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from holdfast.engine.record import Summary
from holdfast.storage import open_storage
from holdfast.storage.header import FORMAT
from holdfast.storage.vault import Vault
from holdfast.testing.sample_logins import change, further, pending

VAULTS = Path(__file__).parent / "vaults"
FORMATS = sorted(VAULTS.iterdir())


@pytest.fixture(params=FORMATS, ids=lambda path: path.name)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(request.param, tmp_path / "v")
    for path in (tmp_path / "v").rglob("*"):  # what a checkout does not keep
        path.chmod(0o700 if path.is_dir() else 0o600)
    return tmp_path / "v"


def opened(place: Path) -> Vault:
    vault = open_storage(
        "file", state_dir=str(place / "state"), config_dir=str(place / "config"), environ={}
    )
    assert isinstance(vault, Vault)
    return vault


def layout(place: Path) -> int:
    with closing(sqlite3.connect(place / "state" / "vault.db")) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def told(logins: Iterable[Summary]) -> list[tuple[str, int, str]]:
    return [(login.id[-1], login.version, login.state.value) for login in logins]


def test_it_is_read_as_it_is(place: Path) -> None:
    """Reading changes nothing, and finds the logins and the whole log."""
    before = layout(place)
    vault = opened(place)
    assert told(vault.summaries()) == [("1", 2, "awaiting_callback"), ("2", 4, "authenticated")]
    events = vault.events()
    assert [event.seq for event in events] == list(range(1, 8))
    assert [event.members.get("trigger") for event in events][:3] == ["begin", "present", "begin"]
    assert vault.problems() == []
    assert layout(place) == before


def test_the_first_write_brings_it_up_to_date(place: Path) -> None:
    """Its logins, its log and its fingerprints go on; both copies of the header are new."""
    vault = opened(place)
    old = vault.events()
    vault.commit([change(pending("new"))])
    assert layout(place) == FORMAT
    for again in (vault, opened(place)):
        assert again.problems() == []
        assert [e.members for e in again.events()][: len(old)] == [e.members for e in old]
        assert len(list(again.summaries())) == 3
    (place / "state" / "vault.header").rename(place / "state" / "away")
    vault = opened(place)
    login = next(iter(vault.summaries()))
    found = vault.read(login.id)
    assert found is not None
    vault.commit([change(further(found))])
    assert (place / "state" / "vault.header").exists()


def test_a_torn_header_of_the_new_format_is_read_from_its_copy(place: Path) -> None:
    """What claims to be of the future and has a copy of today is torn, and the copy serves."""
    opened(place).commit([change(pending("new"))])
    with closing(sqlite3.connect(place / "state" / "vault.db")) as connection, connection:
        (body,) = connection.execute("SELECT body FROM header").fetchone()
        where = body.index(b"min_reader") + len(b"min_reader")
        torn = body[:where] + bytes([body[where] + 1]) + body[where + 1 :]
        connection.execute("UPDATE header SET body = ?", (torn,))
    assert len(list(opened(place).summaries())) == 3
