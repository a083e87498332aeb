"""Words that are no words, numbers that are too long, owners that are not us."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from stayfast.engine import cbor
from stayfast.engine.codec import encode_login
from stayfast.engine.errors import NewerFormat, StorageError
from stayfast.engine.record import state_alias
from stayfast.engine.secret import Secret
from stayfast.engine.summary_codec import SCHEMA
from stayfast.interfaces.cli.fast import cached_token, seconds
from stayfast.storage import EncryptedFileStorage, MemoryStorage
from stayfast.storage.private_file import check_directory
from stayfast.storage.vault.header import FORMAT, decode_header
from stayfast.storage.vault.integrity import check_rows, keep_head, read_head
from stayfast.storage.vault.login_rows import put_logins
from stayfast.storage.vault.tree import leaves_of, tags_of
from stayfast.testing.storage_contract import change, finished, further, pending, saved

HALF = "\udc80"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, **options: object) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"), config_dir=str(place / "c"), environ={}, **options
    )


def environ(place: Path) -> dict[str, str]:
    return {"STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(place / "c")}


def test_half_a_character_is_wrong_and_no_more(place: Path) -> None:
    """A state or token with half a character in it is kept, found and missed like any other."""
    for storage in (vault(place), MemoryStorage()):
        login = pending(state=f"a{HALF}")
        token = finished("p", token=f"t{HALF}")
        storage.commit(
            [
                change(login),
                replace(change(token), event=replace(
                    change(token).event, fingerprints={"access_token": Secret(f"t{HALF}")}
                )),
            ]
        )  # fmt: skip
        assert storage.find(state_alias(Secret(f"a{HALF}"))) == login
        assert storage.find(state_alias(Secret(f"b{HALF}"))) is None
        assert storage.find("account\0p\0default") == token
        assert storage.find(f"account\0p{HALF}\0default") is None
    assert cached_token([f"q{HALF}"], environ(place)) is None


def test_a_token_nobody_can_spell_is_left_to_the_whole_command(place: Path) -> None:
    """The fast path prints what a token may be made of, and steps back from anything else."""
    login = finished("one", token=f"t{HALF}")
    assert login.tokens is not None
    saved(vault(place), [replace(login, tokens=replace(login.tokens, issued_at=time.time()))])
    assert cached_token(["one"], environ(place)) is None


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 5000 + "h", "1_0", "٣", "0x1", " 1", "1e3"])
def test_numbers_that_are_none(place: Path, text: str) -> None:
    """What is not a plain duration is left to the whole command to refuse."""
    assert seconds(text) is None
    assert cached_token(["one", "--min-ttl", text], environ(place)) is None


def test_a_passphrase_is_taken_as_the_environment_gives_it(place: Path) -> None:
    """Octets that are no UTF-8 are as good in a passphrase as any."""
    login = finished()
    saved(vault(place, passphrase=lambda: f"p{HALF}"), [login])
    assert vault(place, passphrase=lambda: f"p{HALF}").read(login.id) == login
    with pytest.raises(StorageError):
        vault(place, passphrase=lambda: "p").read(login.id)


def test_a_newer_login_is_refused_and_does_not_spoil_the_list(place: Path) -> None:
    """A record of a newer version is refused by itself; the others are listed and read."""
    one, two = finished("one"), finished("two")
    storage = vault(place)
    saved(storage, [one, two])
    newer = cbor.encode({**cbor.decode_map(encode_login(one)[0]), "schema": SCHEMA + 1})
    whole = cbor.encode({**cbor.decode_map(encode_login(one)[1]), "schema": SCHEMA + 1})
    later = further(one)
    with storage._vault_connection.writing() as (connection, keys):
        head = put_logins(connection, keys, read_head(connection, keys), [change(later)])
        names = (later.id, later.version, later.state.value)
        old = connection.execute(
            "SELECT idx, meta, secret FROM login WHERE id = ?", (one.id,)
        ).fetchone()
        sealed = (keys.seal_row("meta", *names, newer), keys.seal_row("secret", *names, whole))
        connection.execute("UPDATE login SET meta = ?, secret = ? WHERE id = ?", (*sealed, one.id))
        leaves = leaves_of(one.id, old[0])
        head = head.without_row(leaves, keys.row_digest(*names, tags_of(*old)))
        head = head.with_row(leaves, keys.row_digest(*names, tags_of(old[0], *sealed)))
        check_rows(connection, keys, keep_head(connection, keys, head))
    reopened = vault(place)
    with pytest.raises(NewerFormat):
        reopened.read(one.id)
    assert reopened.read(two.id) == two
    assert [summary.id for summary in reopened.summaries()] == [two.id]


def test_a_vault_for_newer_writers_may_still_be_read(place: Path) -> None:
    """A vault whose header asks for a newer writer is read, and not written."""
    login = finished()
    storage = vault(place)
    saved(storage, [login])
    header = storage._vault_connection.header
    assert header is not None
    header.min_writer = FORMAT + 1
    with storage._vault_connection.reading() as opened:
        assert opened is not None
        body, mac = header.encode(), opened[1].header_mac(header.encode())
    storage.close()
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("UPDATE header SET body = ?, mac = ?", (body, mac))
    assert decode_header(body).min_writer == FORMAT + 1
    reopened = vault(place)
    assert reopened.read(login.id) == login
    with pytest.raises(NewerFormat):
        saved(reopened, [further(login)])
    assert reopened.read(login.id) == login


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give directories away")
def test_a_directory_in_somebody_elses_hands_is_refused(place: Path) -> None:
    """A user can replace everything in a directory of theirs, also files of other owners."""
    theirs = place / "theirs"
    (theirs / "s").mkdir(parents=True, mode=0o700)
    check_directory(str(theirs / "s"))
    os.chown(theirs, 12345, -1)
    with pytest.raises(StorageError) as caught:
        check_directory(str(theirs / "s"))
    assert caught.value.exit_code == 7
    assert caught.value.hint
