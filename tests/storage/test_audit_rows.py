"""The audit log in the vault: nothing can be taken from it, moved in it or put into it unseen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from stayfast.engine.errors import Damaged
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.keys.sealing import Keys
from stayfast.testing.storage_contract import finished, further, saved


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
