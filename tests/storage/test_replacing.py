"""A vault that does not open at all: said alike by everybody, set aside whole, and gone on from."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from stayfast.engine.errors import Damaged, StorageError
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.record import Login
from stayfast.engine.summary import Identity, account_alias
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.keys.slots import KeyMissing
from stayfast.storage.migrating import forget_login
from stayfast.storage.vault.header import decode_copy, encode_copy
from stayfast.testing.sample_logins import pending
from stayfast.testing.storage_contract import finished, saved

ALICE = Identity(subject="1", name="alice@x.test")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, passphrase: str | None = None) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"), config_dir=str(place / "c"), passphrase=lambda: passphrase, environ={}
    )


def database(place: Path) -> Path:
    return place / "s" / "vault.db"


def empty(place: Path) -> None:
    database(place).write_bytes(b"")


def garbage(place: Path) -> None:
    database(place).write_bytes(b"\x07garbage" * 900)


def only_its_head(place: Path) -> None:
    os.truncate(database(place), 4096)


def half(place: Path) -> None:
    os.truncate(database(place), database(place).stat().st_size // 2)


def of_another_program(place: Path) -> None:
    database(place).unlink()
    with closing(sqlite3.connect(database(place))) as theirs, theirs:
        theirs.execute("CREATE TABLE bookmarks (address TEXT)")
    database(place).chmod(0o600)


def of_another_vault(place: Path) -> None:
    other = EncryptedFileStorage(str(place / "o"), config_dir=str(place / "d"), environ={})
    saved(other, [finished()])
    other.close()
    for name in ("vault.db", "vault.header"):
        os.replace(place / "o" / name, place / "s" / name)


def without_its_key(place: Path) -> None:
    for key in (place / "c").glob("*.key"):
        key.rename(f"{key}.away")


def with_a_torn_key(place: Path) -> None:
    for key in (place / "c").glob("*.key"):
        key.write_bytes(b"torn")


def with_torn_headers(place: Path) -> None:
    (place / "s" / "vault.header").write_bytes(b"torn")
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("UPDATE header SET body = x'00'")


def without_headers(place: Path) -> None:
    (place / "s" / "vault.header").unlink()
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("DROP TABLE header")


def gone(place: Path) -> None:
    database(place).unlink()


DEEDS = [empty, garbage, only_its_head, of_another_program, with_a_torn_key, with_torn_headers,
         without_headers, gone]  # fmt: skip


def everything(place: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in (place / "s").rglob("vault.*")
        if path.suffix != ".lock"
    }


@pytest.mark.parametrize("deed", DEEDS)
def test_what_holds_no_vault_is_damage_to_everybody_and_mended_by_setting_it_aside(
    place: Path, deed: Callable[[Path], None]
) -> None:
    """One error for all; mending moves the files away whole, and a new login is kept again."""
    login = finished()
    saved(vault(place), [login])
    deed(place)
    before = everything(place)
    environ = {"STAYFAST_STATE_DIR": f"{place}/s", "STAYFAST_CONFIG_DIR": f"{place}/c"}
    assert cached_token([login.provider], environ) is None
    uses: tuple[Callable[[EncryptedFileStorage], object], ...] = (
        lambda opened: opened.read(login.id),
        lambda opened: list(opened.summaries()),
        lambda opened: opened.about(),
        lambda opened: opened.probe(),
        lambda opened: saved(opened, [finished("new")]),
    )
    for use in uses:
        with pytest.raises(Damaged) as caught:
            use(vault(place))
        assert caught.value.hint == "stayfast store mend"
        assert "sqlite" not in caught.value.message.lower()
        assert "no such table" not in caught.value.message
    (first, *_) = vault(place).mend()
    (aside,) = (place / "s").glob("set-aside-*")
    assert str(aside) in first.message
    assert {path.name: path.read_bytes() for path in aside.glob("vault.*")} == before
    assert vault(place).mend() == []
    assert vault(place).verify().findings == []
    saved(vault(place), [login])
    assert vault(place).read(login.id) == login


def without_a_table(place: Path) -> None:
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("DROP TABLE head")  # this alone is made again where it was
        connection.execute("DROP TABLE audit")


def without_a_log(place: Path) -> None:
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("DROP TABLE audit")


@pytest.mark.parametrize("deed", [without_a_table, without_a_log])
def test_logins_that_still_open_come_along(place: Path, deed: Callable[[Path], None]) -> None:
    """What opens in a vault that cannot be mended is finished in the new one, with its owner."""
    one, two = replace(finished("one"), identity=ALICE), finished("two")
    saved(vault(place), [one, two, pending("three")])
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("UPDATE login SET secret = zeroblob(50) WHERE id = ?", (two.id,))
    deed(place)
    done = vault(place).mend()
    kept = vault(place).find(account_alias("one", "default"))
    assert kept is not None
    assert (kept.tokens, kept.identity) == (one.tokens, ALICE)
    assert vault(place).find(account_alias("two", "default")) is None
    assert kept.id in {one.login for one in done}
    assert vault(place).problems() == []
    assert vault(place).verify().findings == []


def test_rows_behind_a_cut_are_lost_and_those_before_it_are_kept(place: Path) -> None:
    """Of a file that was cut off, every login whose page is left comes along."""
    logins = [finished(f"p{number}") for number in range(60)]
    saved(vault(place), logins)
    os.truncate(database(place), database(place).stat().st_size * 3 // 4)
    vault(place).mend()
    opened = vault(place)
    found = [opened.find(account_alias(login.provider, "default")) for login in logins]
    assert [one.tokens for one in found if one] == [
        login.tokens for login, one in zip(logins, found, strict=True) if one
    ]
    assert opened.problems() == []


def test_a_key_that_may_come_back_sets_nothing_aside(place: Path) -> None:
    """A vault whose passphrase was not given is left as it is."""
    login = finished()
    saved(vault(place, "right"), [login])
    before = everything(place)
    for given in (None, "wrong"):
        with pytest.raises(StorageError) as caught:
            vault(place, given).mend()
        assert caught.value.exit_code == 7
    assert everything(place) == before
    assert vault(place, "right").read(login.id) == login


def test_mending_nothing_makes_nothing(place: Path) -> None:
    """Where there is no vault there is nothing to mend, and none is made."""
    assert vault(place).mend() == []
    assert not database(place).exists()


def forged(place: Path, mac: bytes) -> None:
    """A copy of the header that somebody edited, and no header in the database."""
    path = place / "s" / "vault.header"
    header = decode_copy(path.read_bytes())[0]
    path.write_bytes(encode_copy(header.amended(reason="trust me").encode(), mac))


@pytest.mark.parametrize("table", ["there", "empty", "gone"])
@pytest.mark.parametrize("mac", [b"", b"\x01" * 32])
def test_an_edited_copy_of_the_header_is_never_believed(
    place: Path, table: str, mac: bytes
) -> None:
    """The copy serves with its seal only, whatever has become of the header in the database."""
    login = finished()
    saved(vault(place), [login])
    forged(place, mac)
    if table != "there":
        with closing(sqlite3.connect(database(place))) as connection, connection:
            connection.execute("DELETE FROM header" if table == "empty" else "DROP TABLE header")
    environ = {"STAYFAST_STATE_DIR": f"{place}/s", "STAYFAST_CONFIG_DIR": f"{place}/c"}
    if table == "there":
        assert vault(place).read(login.id) == login
        return
    assert cached_token([login.provider], environ) is None
    with pytest.raises(Damaged):
        vault(place).read(login.id)


@pytest.mark.parametrize(
    "deed",
    ["DELETE FROM header", "UPDATE header SET mac = x'00'", "UPDATE header SET body = x'00'"],
)
def test_a_header_that_is_torn_in_one_place_is_put_back_from_the_other(
    place: Path, deed: str
) -> None:
    """The sound one of the two serves, and mending writes it where the other was torn."""
    login: Login = finished()
    saved(vault(place), [login])
    with closing(sqlite3.connect(database(place))) as connection, connection:
        whole = connection.execute("SELECT body, mac FROM header").fetchone()
        connection.execute(deed)
    assert vault(place).read(login.id) == login
    assert vault(place).mend() != []
    assert vault(place).mend() == []
    with closing(sqlite3.connect(database(place))) as connection:
        assert connection.execute("SELECT body, mac FROM header").fetchone() == whole


def test_a_copy_without_its_seal_is_written_again(place: Path) -> None:
    """The next commit of another process brings a copy that was edited back to what it should be."""
    saved(vault(place), [finished()])
    before = (place / "s" / "vault.header").read_bytes()
    forged(place, b"")
    saved(vault(place), [finished("another")])
    assert (place / "s" / "vault.header").read_bytes() == before


def elsewhere(place: Path) -> EncryptedFileStorage:
    """The same vault under another configuration directory."""
    environ = {"STAYFAST_CONFIG_DIR": f"{place}/cron"}
    return EncryptedFileStorage(str(place / "s"), config_dir=str(place / "cron"), environ=environ)


def only_its_database_of_another_vault(place: Path) -> None:
    other = EncryptedFileStorage(str(place / "o"), config_dir=str(place / "d"), environ={})
    saved(other, [finished()])
    other.close()
    os.replace(place / "o" / "vault.db", database(place))


@pytest.mark.parametrize(
    "deed", [without_its_key, of_another_vault, only_its_database_of_another_vault]
)
def test_a_vault_whose_key_is_merely_missing_is_moved_only_on_explicit_wish(
    place: Path, deed: Callable[[Path], None]
) -> None:
    """The error of every use leads to the configuration directory, and mending moves nothing."""
    login = finished()
    saved(vault(place), [login])
    deed(place)
    before = everything(place)
    uses: tuple[Callable[[EncryptedFileStorage], object], ...] = (
        lambda opened: opened.read(login.id),
        lambda opened: opened.about(),
        lambda opened: opened.probe(),
        lambda opened: opened.mend(),
    )
    for use in uses:
        with pytest.raises(KeyMissing) as caught:
            use(vault(place))
        assert caught.value.exit_code == 8
        assert f"{place}/c/vault-" in caught.value.message
        assert "STAYFAST_CONFIG_DIR" in (caught.value.hint or "")
    assert everything(place) == before
    assert vault(place).mend(without_key=True)
    (aside,) = (place / "s").glob("set-aside-*")
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == before
    saved(vault(place), [login])
    assert vault(place).mend() == []
    assert vault(place).read(login.id) == login


@pytest.mark.parametrize("name", ["STAYFAST_CONFIG_DIR", "XDG_CONFIG_HOME", "HOME"])
def test_the_error_names_the_variable_that_leads_to_the_directory(place: Path, name: str) -> None:
    """Whichever variable decides where the key is looked for, the error names it."""
    saved(vault(place), [finished()])
    environ = {"HOME": f"{place}/home", name: f"{place}/other"}
    opened = EncryptedFileStorage(str(place / "s"), environ=environ)
    with pytest.raises(KeyMissing) as caught:
        opened.about()
    assert name in caught.value.message
    assert f"{place}/other" in caught.value.message


def test_a_vault_that_was_set_aside_is_taken_back_where_its_key_is(place: Path) -> None:
    """Each environment gets the vault whose key it has; no file of either is lost."""
    first, second = finished("first"), finished("second")
    saved(vault(place), [first])
    elsewhere(place).mend(without_key=True)
    saved(elsewhere(place), [second])
    for opened, login in ((vault, first), (elsewhere, second), (vault, first)):
        with pytest.raises(KeyMissing) as caught:
            opened(place).read(login.id)
        assert caught.value.hint == "stayfast store mend"
        assert opened(place).mend()
        assert opened(place).read(login.id) == login
        assert opened(place).problems() == []
        assert opened(place).mend() == []
        assert len(list((place / "s").glob("set-aside-*"))) == 1


def test_an_empty_vault_does_not_replace_one_whose_key_is_missing(place: Path) -> None:
    """A second vault without logins, set aside in turn, is nothing to go back to."""
    login = finished()
    saved(vault(place), [login])
    elsewhere(place).mend(without_key=True)
    vault(place).mend()
    with pytest.raises(KeyMissing):
        elsewhere(place).mend()
    assert vault(place).read(login.id) == login


def test_logins_of_a_vault_whose_key_has_come_back_join_the_present_ones(place: Path) -> None:
    """They come along once; a login of the same account in the present vault stays as it is."""
    old, same = finished("old"), finished("same")
    saved(vault(place), [old, same])
    without_its_key(place)
    vault(place).mend(without_key=True)
    newer = replace(finished("same"), tokens=replace(same_tokens(same), access_token="new"))
    saved(vault(place), [newer])
    for key in (place / "c").glob("*.away"):
        key.rename(str(key).removesuffix(".away"))
    assert len(vault(place).mend()) == 1
    found = vault(place).find(account_alias("old", "default"))
    assert found is not None
    assert found.tokens == old.tokens
    assert vault(place).find(account_alias("same", "default")) == newer
    forget_login(vault(place), found)
    assert vault(place).mend() == []
    assert vault(place).find(account_alias("old", "default")) is None


def same_tokens(login: Login) -> OAuthTokens:
    assert login.tokens is not None
    return login.tokens


def test_newer_logins_are_kept_beside_those_of_the_vault_that_is_taken_back(place: Path) -> None:
    """If both vaults have a login for one account, the newer one gets a free account name."""
    older = finished()
    saved(vault(place), [older])
    without_its_key(place)
    vault(place).mend(without_key=True)
    newer = replace(finished(), tokens=replace(same_tokens(older), access_token="new"))
    saved(vault(place), [newer])
    without_a_table(place)
    for key in (place / "c").glob("*.away"):
        key.rename(str(key).removesuffix(".away"))
    vault(place).mend()
    first, second = (
        vault(place).find(account_alias(older.provider, account))
        for account in ("default", "default-2")
    )
    assert first == older
    assert second is not None
    assert second.tokens == newer.tokens
    assert vault(place).mend() == []


class _KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("deed", [without_a_table, empty, None])
def test_a_mend_that_was_killed_is_finished_by_the_next(
    place: Path, deed: Callable[[Path], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever move or commit the process ends, no login counts as never made, and none is lost."""
    original = place / "original"
    login, other = finished("one"), finished("two")
    saved(vault(place), [login, other])
    if deed is None:
        elsewhere(place).mend(without_key=True)  # then the next mend takes the first one back
    else:
        deed(place)
    shutil.copytree(place / "s", original)
    ended, last = True, -1
    while ended:
        last += 1
        shutil.rmtree(place / "s")
        shutil.copytree(original, place / "s")
        ended = False
        left = itertools.count(last, -1)

        def dying(deed: Callable[..., object]) -> Callable[..., object]:
            def step(*arguments: object) -> object:
                nonlocal ended
                if next(left) <= 0:  # noqa: B023  the one of this round
                    ended = True
                    raise _KilledError
                return deed(*arguments)

            return step

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", dying(os.replace))
            with suppress(_KilledError, StorageError):
                vault(place).mend()
        if ended and not database(place).exists():
            with pytest.raises(Damaged) as caught:
                vault(place).find("nobody")
            assert caught.value.hint == "stayfast store mend"
        vault(place).mend()
        if deed is not empty:
            for one in (login, other):
                found = vault(place).find(account_alias(one.provider, "default"))
                assert found is not None, last
                assert found.tokens == one.tokens
        assert vault(place).problems() == []
        assert vault(place).mend() == []
    assert last > 2


def test_a_vault_that_is_open_elsewhere_may_be_replaced(place: Path) -> None:
    """Whoever has it open goes on in the new one, reading and writing."""
    login = finished()
    elsewhere = vault(place)
    saved(elsewhere, [login])
    without_a_table(place)
    vault(place).mend()
    kept = elsewhere.find(account_alias(login.provider, "default"))
    assert kept is not None
    assert kept.tokens == login.tokens
    saved(elsewhere, [finished("another")])
    assert len(vault(place).summaries()) == 2


def test_a_missing_integrity_record_is_made_again_where_it_was(place: Path) -> None:
    """Many may mend at once: every login stays as it is, with its log, and nothing is set aside."""
    login, waiting = finished(), pending("waiting")
    saved(vault(place), [login, waiting])
    with closing(sqlite3.connect(database(place))) as connection, connection:
        connection.execute("DROP TABLE head")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(vault(place).mend) for _ in range(4)]:
            done.result()
    assert list((place / "s").glob("set-aside-*")) == []
    assert vault(place).read(login.id) == login
    assert vault(place).read(waiting.id) == waiting
    assert vault(place).problems() == []


def test_of_many_that_mend_at_once_one_replaces_the_vault(place: Path) -> None:
    """The others find the new vault, and leave it where it is."""
    login = finished()
    saved(vault(place), [login])
    without_a_table(place)
    everybody = threading.Barrier(4)

    def mend() -> None:
        opened = vault(place)
        everybody.wait(timeout=120)
        opened.mend()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(mend) for _ in range(4)]:
            done.result()
    assert len(list((place / "s").glob("set-aside-*"))) == 1
    kept = vault(place).find(account_alias(login.provider, "default"))
    assert kept is not None
    assert kept.tokens == login.tokens
