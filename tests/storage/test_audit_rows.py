"""The audit log in the vault: nothing can be taken from it, moved in it or put into it unseen."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stayfast.engine.errors import Damaged
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.audit import rows
from stayfast.storage.keys.sealing import Keys
from stayfast.storage.vault.problems import problems_of
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in


def vault(place: Path) -> EncryptedFileStorage:
    return EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ={})


@pytest.mark.parametrize(
    "deed",
    [
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit",
        "UPDATE audit SET body = (SELECT body FROM audit WHERE seq = 2) WHERE seq = 4",
        "UPDATE audit SET seq = 6 WHERE seq = 5",
        "UPDATE audit SET body = zeroblob(length(body)) WHERE seq = 3",
    ],
)
def test_what_was_done_to_the_log_is_noticed(tmp_path: Path, deed: str) -> None:
    """A record removed, replaced, renumbered or emptied: reading says so, and so does a check."""
    tmp_path.chmod(0o700)
    login = finished()
    saved(vault(tmp_path), [login])
    while len(vault(tmp_path).events()) < 5:
        login = further(login)
        saved(vault(tmp_path), [login])
    assert (len(vault(tmp_path).events()), vault(tmp_path).problems()) == (5, [])
    with closing(sqlite3.connect(tmp_path / "s" / "vault.db")) as connection, connection:
        connection.execute(deed)
    with pytest.raises(Damaged):
        vault(tmp_path).events()
    assert vault(tmp_path).problems()
    assert vault(tmp_path).read(login.id) == login


@pytest.mark.parametrize("deed", ["UPDATE audit SET mac = x'00' WHERE seq = 1",
                                  "INSERT INTO audit SELECT max(seq) + 1, body, mac FROM audit"])  # fmt: skip
def test_a_check_follows_the_chain(tmp_path: Path, deed: str) -> None:
    """A link that was edited, and a record more than the integrity record knows, are found by a check."""
    tmp_path.chmod(0o700)
    login = finished()
    saved(vault(tmp_path), [login, further(login)])
    with closing(sqlite3.connect(tmp_path / "s" / "vault.db")) as connection, connection:
        connection.execute(deed)
    assert vault(tmp_path).problems()


def test_a_row_opens_only_as_what_it_is() -> None:
    """A sealed row does not open under another kind, login, version, state, epoch or vault."""
    root, store = b"r" * 32, b"s" * 16
    keys = Keys(root, store, 1)
    sealed = keys.seal_row("meta", "id", 3, "idle", b"plain")
    assert keys.open_row("meta", "id", 3, "idle", sealed) == b"plain"
    for names in (("secret", "id", 3, "idle"), ("meta", "ie", 3, "idle"), ("meta", "id", 2, "idle"),
                  ("meta", "id", 3, "expired")):  # fmt: skip
        with pytest.raises(Damaged):
            keys.open_row(*names, sealed)
    for others in (Keys(b"x" * 32, store, 1), Keys(root, b"t" * 16, 1), Keys(root, store, 2)):
        with pytest.raises(Damaged):
            others.open_row("meta", "id", 3, "idle", sealed)
    assert keys.seal_row("meta", "id", 3, "idle", b"plain") != sealed


class Interleaved:
    """The connection of a check; whenever no transaction is open, ``meanwhile`` is done."""

    def __init__(self, connection: sqlite3.Connection, meanwhile: Callable[[], None]) -> None:
        self._connection = connection
        self._meanwhile = meanwhile

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:
        if not self._connection.in_transaction:
            self._meanwhile()
        return self._connection.execute(sql, parameters)


@pytest.mark.parametrize("deed", ["save", "prune"])
def test_a_check_lets_writers_in_and_is_right_about_what_they_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """Between two pieces the log grows, or its beginning goes: no writer waits, nothing seems wrong."""
    monkeypatch.setattr(rows, "BATCH", 3)
    tmp_path.chmod(0o700)
    logins = [finished(f"p{number}") for number in range(12)]
    with closing(vault_in(str(tmp_path))) as writer, closing(vault_in(str(tmp_path))) as reader:
        saved(writer, logins)
        written: list[int] = []

        def meanwhile() -> None:
            if deed == "prune" and len(written) % 4 == 3:
                writer.prune(time.time() + 60)
            logins[0] = further(logins[0])
            saved(writer, [logins[0]])
            written.append(logins[0].version)

        with reader._vault_connection.reading() as opened:
            assert opened is not None
            connection, keys = opened
            connection.execute("PRAGMA journal_mode = TRUNCATE")  # where a reader stops a writer
            assert problems_of(Interleaved(connection, meanwhile), keys) == []
        assert len(written) >= (5 if deed == "save" else 4)
        connection = sqlite3.connect(tmp_path / "s" / "vault.db")
        with closing(connection), connection:
            last = connection.execute("SELECT max(seq) FROM audit").fetchone()
            connection.execute("UPDATE audit SET mac = x'00' WHERE seq = ?", last)
        assert any("audit log" in found for found in reader.problems())
