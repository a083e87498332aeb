"""A list of a large vault: what an earlier one opened is kept sealed, and believed as far as the tree confirms it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from stayfast.engine import cbor
from stayfast.engine.record import Login
from stayfast.engine.summary import Identity, Summary
from stayfast.engine.table import State
from stayfast.storage import Vault
from stayfast.storage.keys.sealing import Keys
from stayfast.storage.keys.slots import KEYFILE
from stayfast.storage.vault import vault as vault_module
from stayfast.storage.vault.columns import decode_columns, encode_columns
from stayfast.storage.vault.kept_list import KeptList, Listing
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in

LOGINS = 120


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "MANY", 20)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Login]]:
    """A vault that nobody writes, and its logins."""
    place = tmp_path_factory.mktemp("made")
    place.chmod(0o700)
    logins = [finished(f"provider{number}") for number in range(LOGINS)]
    with closing(vault_in(str(place))) as vault:
        saved(vault, logins)
    return place, logins


@pytest.fixture
def place(made: tuple[Path, list[Login]], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def vault(place: Path) -> Iterator[Vault]:
    with closing(vault_in(str(place))) as opened:
        yield opened


@pytest.fixture
def logins(made: tuple[Path, list[Login]]) -> list[Login]:
    return list(made[1])


@pytest.fixture
def file(place: Path) -> Path:
    return place / "s" / "vault.list"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the logins whose summaries are opened, in order."""
    found: list[str] = []
    open_row = Keys.open_row

    def noted(self: Keys, kind: str, login: str, version: int, state: str, sealed: bytes) -> bytes:
        if kind == "meta":
            found.append(login)
        return open_row(self, kind, login, version, state, sealed)

    monkeypatch.setattr(Keys, "open_row", noted)
    return found


def shown(vault: Vault) -> list[Summary]:
    return list(vault.summaries())


def right(logins: list[Login]) -> list[Summary]:
    return sorted((one.summary() for one in logins), key=lambda one: (one.created_at, one.id))


def test_the_next_list_opens_what_has_changed_since(
    vault: Vault, logins: list[Login], opened: list[str]
) -> None:
    """And those that stand in the same leaf, no others; a change makes the list another at once."""
    assert shown(vault) == right(logins)
    assert len(opened) == LOGINS
    opened.clear()
    assert shown(vault) == right(logins)
    assert opened == []
    logins[7] = further(logins[7])
    saved(vault, [logins[7]])
    assert shown(vault) == right(logins)
    assert logins[7].id in opened
    assert {one[:3] for one in opened} == {logins[7].id[:3]}
    assert vault.damage is None


def test_another_process_has_the_use_of_it(
    place: Path, logins: list[Login], opened: list[str]
) -> None:
    """The file outlives the process that wrote it."""
    with closing(vault_in(str(place))) as first:
        shown(first)
    opened.clear()
    with closing(vault_in(str(place))) as second:
        assert shown(second) == right(logins)
    assert opened == []


def test_it_shows_nothing_to_who_has_no_key(vault: Vault, file: Path, logins: list[Login]) -> None:
    """It is sealed, and private."""
    shown(vault)
    octets = file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(one.id.encode() in octets or one.provider.encode() in octets for one in logins)


def test_a_small_vault_has_none(
    vault: Vault, file: Path, monkeypatch: pytest.MonkeyPatch, logins: list[Login]
) -> None:
    """Its rows are all read."""
    monkeypatch.setattr(vault_module, "MANY", LOGINS)
    assert shown(vault) == right(logins)
    assert not file.exists()


def test_few_changes_do_not_write_it_anew(vault: Vault, file: Path, logins: list[Login]) -> None:
    """To write it takes longer than to open a few logins again; where many changed it is the other way round."""
    shown(vault)
    first = file.stat().st_mtime_ns, file.stat().st_ino
    logins[0] = further(logins[0])
    saved(vault, [logins[0]])
    assert shown(vault) == right(logins)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == first
    logins = [further(one) for one in logins]
    saved(vault, logins)
    assert shown(vault) == right(logins)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) != first


# --- files that are not what was written ---


def flipped(octets: bytes) -> bytes:
    return octets[:-40] + bytes([octets[-40] ^ 1]) + octets[-39:]


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _octets: b"",
    "cut": lambda octets: octets[: len(octets) // 2],
    "one bit is another": flipped,
    "longer": lambda octets: octets + b"\0",
    "noise": lambda octets: bytes(len(octets)),
    "text": lambda _octets: b"[]",
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_torn_file_costs_time_alone(
    vault: Vault, file: Path, logins: list[Login], spoil: Callable[[bytes], bytes]
) -> None:
    """The list is right, nothing is said, and the file is made anew."""
    shown(vault)
    before = file.read_bytes()
    file.write_bytes(spoil(before))
    assert shown(vault) == right(logins)
    assert vault.damage is None
    assert len(file.read_bytes()) == len(before)


def test_an_older_file_is_no_older_list(vault: Vault, file: Path, logins: list[Login]) -> None:
    """A login that changed, ended or came since is shown as it is now."""
    shown(vault)
    older = file.read_bytes()
    logins[3:6] = [further(one) for one in logins[3:6]]
    logins[9] = further(logins[9], state=State.IDLE, tokens=None)
    saved(vault, [*logins[3:6], logins[9]])
    logins += [finished(f"later{number}") for number in range(30)]
    saved(vault, logins[LOGINS:])
    shown(vault)
    file.write_bytes(older)
    assert shown(vault) == right(logins)
    assert vault.damage is None


def test_the_file_of_another_vault_is_none(
    vault: Vault, file: Path, logins: list[Login], tmp_path: Path
) -> None:
    """It does not open here."""
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    with closing(vault_in(str(other))) as another:
        saved(another, [finished(f"theirs{number}") for number in range(LOGINS)])
        shown(another)
    shutil.copy(other / "s" / "vault.list", file)
    assert shown(vault) == right(logins)


def open_to_others(file: Path) -> None:
    file.chmod(0o644)


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


@pytest.mark.parametrize("put", [open_to_others, a_directory, a_link])
def test_what_is_no_private_file_is_not_read(
    vault: Vault, file: Path, logins: list[Login], opened: list[str], put: Callable[[Path], None]
) -> None:
    """Others may have written it; the list does without."""
    shown(vault)
    put(file)
    opened.clear()
    assert shown(vault) == right(logins)
    assert len(opened) == LOGINS


def test_a_place_that_cannot_be_written_has_lists(
    vault: Vault, file: Path, logins: list[Login], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the file they take longer."""

    def refused(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refused)
    assert shown(vault) == right(logins)
    assert [one.name for one in file.parent.glob("vault.list*")] == []


# --- rows that are not what was saved ---


def test_a_row_put_back_is_not_shown(
    vault: Vault, place: Path, logins: list[Login], opened: list[str]
) -> None:
    """The list has the login as it was last saved; whoever looks it up finds that its row is another."""
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        columns = "version, state, meta, secret"
        (older,) = database.execute(f"SELECT {columns} FROM login WHERE id = ?", (logins[2].id,))
        logins[2] = further(logins[2])
        saved(vault, [logins[2]])
        shown(vault)
        vault.summaries()
        database.execute(
            "UPDATE login SET (version, state, meta, secret) = (?, ?, ?, ?) WHERE id = ?",
            (*older, logins[2].id),
        )
    vault.close()
    assert logins[2].version in {one.version for one in shown(vault) if one.id == logins[2].id}
    assert vault.problems() != []


Tampering = Callable[[sqlite3.Connection, str], None]


def gone(database: sqlite3.Connection, login: str) -> None:
    database.execute("DELETE FROM login WHERE id = ?", (login,))


def edited(database: sqlite3.Connection, login: str) -> None:
    database.execute("UPDATE login SET meta = secret WHERE id = ?", (login,))


def planted(database: sqlite3.Connection, login: str) -> None:
    database.execute(
        "INSERT INTO login SELECT '-', version, fence, state, epoch, NULL, meta, secret"
        " FROM login WHERE id = ?",
        (login,),
    )


def torn(database: sqlite3.Connection, _login: str) -> None:
    database.execute("UPDATE tree SET body = zeroblob(8) WHERE place = 0")


@pytest.mark.parametrize("tamper", [gone, edited, planted, torn])
def test_the_first_list_compares_all_rows(
    vault: Vault, place: Path, file: Path, logins: list[Login], tamper: Tampering
) -> None:
    """What was changed without the key is noticed, nothing of it is shown, and nothing is kept of it."""
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        tamper(database, logins[5].id)
    lost = {logins[5].id} if tamper in {gone, edited} else set[str]()
    assert {one.id for one in shown(vault)} == {one.id for one in logins} - lost
    assert (vault.damage is None) == (tamper is torn)
    assert not file.exists()


def test_an_older_row_is_no_row_of_a_leaf_that_changed(
    vault: Vault, place: Path, logins: list[Login]
) -> None:
    """It opens, but the tree says that it is not the last that was saved."""
    shown(vault)
    columns = "version, state, idx, meta, secret"
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        login = logins[4].id
        (older,) = database.execute(f"SELECT {columns} FROM login WHERE id = ?", (login,))
        saved(vault, [further(logins[4])])
        marks = "?, ?, ?, ?, ?"
        database.execute(f"UPDATE login SET ({columns}) = ({marks}) WHERE id = ?", (*older, login))
    assert {one.id for one in shown(vault)} == {one.id for one in logins} - {login}
    assert vault.damage is not None


@pytest.mark.parametrize("tamper", [gone, edited])
def test_a_row_that_is_read_again_is_compared(
    vault: Vault, place: Path, logins: list[Login], tamper: Tampering
) -> None:
    """Where its leaf has changed, the list notices what was done to a row in it."""
    shown(vault)
    logins[5] = further(logins[5])
    saved(vault, [logins[5]])
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        tamper(database, logins[5].id)
    assert {one.id for one in shown(vault)} == {one.id for one in logins} - {logins[5].id}
    assert vault.damage is not None


def test_a_torn_page_of_the_tree_costs_no_list(
    vault: Vault, place: Path, logins: list[Login]
) -> None:
    """Without the tree all rows are read, and their integrity record is not in it."""
    shown(vault)
    vault.close()
    path = place / "s" / "vault.db"
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (page,) = database.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'tree'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    assert shown(vault) == right(logins)


# --- when it goes ---


def test_another_key_leaves_none_under_the_former(
    vault: Vault, file: Path, logins: list[Login]
) -> None:
    """Nor what a process that was killed has left of it."""
    shown(vault)
    file.with_name("vault.list.0123456789ab.new").write_bytes(file.read_bytes())
    vault.rekey(KEYFILE)
    assert list(file.parent.glob("vault.list*")) == []
    assert shown(vault) == right(logins)
    assert file.exists()


def test_logins_that_were_removed_are_in_no_list(
    vault: Vault, file: Path, logins: list[Login]
) -> None:
    """Neither in what is shown nor in what is kept."""
    over = [further(one, state=State.IDLE, tokens=None) for one in logins[:10]]
    saved(vault, over)
    shown(vault)
    assert vault.purge(2e9) == 10
    assert not file.exists()
    assert shown(vault) == right(logins[10:])


def test_a_vault_set_aside_takes_it_along(vault: Vault, file: Path, place: Path) -> None:
    """The next vault begins without one."""
    shown(vault)
    vault.close()
    database = place / "s" / "vault.db"
    database.write_bytes(b"no database at all" * 1000)
    with closing(vault_in(str(place))) as again:
        again.mend()
        assert not file.exists()


def test_a_list_that_ends_late_leaves_no_names_of_who_was_removed(
    vault: Vault, file: Path, logins: list[Login], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was read before they were removed, and is written afterwards."""
    over = [further(one, state=State.IDLE, tokens=None) for one in logins[:10]]
    saved(vault, over)
    keep = KeptList.keep

    def late(self: KeptList, keys: Keys, found: Listing) -> bool:
        vault.purge(2e9)
        return keep(self, keys, found)

    monkeypatch.setattr(KeptList, "keep", late)
    assert len(shown(vault)) == LOGINS
    assert not file.exists()


def test_few_that_were_removed_write_it_anew(vault: Vault, file: Path, logins: list[Login]) -> None:
    """However few changed, an older file that was put back does not keep their names."""
    over = [further(logins[0], state=State.IDLE, tokens=None)]
    saved(vault, over)
    shown(vault)
    older = file.read_bytes()
    assert vault.purge(2e9) == 1
    file.write_bytes(older)
    file.chmod(0o600)
    assert shown(vault) == right(logins[1:])
    assert file.read_bytes() != older


# --- beside those who write ---


def write(place: str, times: int) -> None:
    with closing(vault_in(place)) as vault:
        some = [vault.read(one.id) for one in list(vault.summaries())[:5]]
        for number in range(times):
            login = some[number % 5]
            assert login is not None
            some[number % 5] = further(login)
            saved(vault, [some[number % 5]])


def test_a_list_is_of_one_moment(place: Path, vault: Vault, logins: list[Login]) -> None:
    """While another process saves, no login is missing from it, and none goes back to what it was."""
    shown(vault)
    writer = get_context("fork").Process(target=write, args=(str(place), 150))
    writer.start()
    try:
        last: dict[str, int] = {}
        while writer.is_alive():
            seen = {one.id: one.version for one in shown(vault)}
            assert len(seen) == LOGINS
            assert all(version >= last.get(login, 0) for login, version in seen.items())
            last = seen
    finally:
        writer.join()
    assert writer.exitcode == 0
    assert sum(one.version for one in shown(vault)) == LOGINS + 150
    assert {one.id for one in shown(vault)} == {one.id for one in logins}


class Lists(RuleBasedStateMachine):
    """What a list shows is what was saved, whatever happens to the vault and to the file."""

    places: Path

    @initialize()
    def begin(self) -> None:
        self.place = self.places / os.urandom(6).hex()
        self.place.mkdir(mode=0o700, parents=True)
        self.vault = vault_in(str(self.place))
        self.logins = {one.id: one for one in (finished(f"p{n}") for n in range(40))}
        self.file = self.place / "s" / "vault.list"
        self.older: list[bytes] = []
        saved(self.vault, list(self.logins.values()))

    def _some(self, data: st.DataObject, most: int) -> list[Login]:
        ids = sorted(self.logins)
        chosen = data.draw(st.lists(st.sampled_from(ids), max_size=most, unique=True))
        return [self.logins[one] for one in chosen]

    def _save(self, logins: list[Login]) -> None:
        if logins:
            saved(self.vault, logins)
        self.logins |= {one.id: one for one in logins}

    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        self._save([further(one) for one in self._some(data, 12)])

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        some = [one for one in self._some(data, 4) if one.tokens is not None]
        self._save([further(one, state=State.IDLE, tokens=None) for one in some])

    @rule(many=st.integers(1, 12))
    def begin_some(self, many: int) -> None:
        self._save([finished(f"more{os.urandom(4).hex()}") for _ in range(many)])

    @rule()
    def purge(self) -> None:
        over = [one.id for one in self.logins.values() if one.state is State.IDLE]
        assert self.vault.purge(2e9) == len(over)
        for one in over:
            del self.logins[one]

    @rule()
    def another_key(self) -> None:
        self.vault.rekey(KEYFILE)

    @rule()
    def remember_the_file(self) -> None:
        if self.file.exists():
            self.older.append(self.file.read_bytes())

    @rule(data=st.data())
    def put_an_older_file_back(self, data: st.DataObject) -> None:
        if self.older:
            self.file.write_bytes(data.draw(st.sampled_from(self.older)))
            self.file.chmod(0o600)

    @rule()
    def open_anew(self) -> None:
        self.vault.close()
        self.vault = vault_in(str(self.place))

    @invariant()
    def a_list_shows_what_was_saved(self) -> None:
        found = {one.id: one for one in self.vault.summaries()}
        assert found == {one.id: one.summary() for one in self.logins.values()}
        assert self.vault.damage is None

    def teardown(self) -> None:
        self.vault.close()


def test_a_list_shows_what_was_saved(tmp_path: Path) -> None:
    """Whatever is saved, removed, sealed anew or put back meanwhile."""
    Lists.places = tmp_path
    Lists.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
    Lists.TestCase("runTest").runTest()


# --- the columns ---

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
FLOATS = st.floats(allow_nan=False).map(lambda one: one + 0.0)  # -0.0 is 0.0
MAYBE = st.none() | FLOATS | st.integers(0, 1 << 40)
SUMMARIES = st.builds(
    Summary,
    id=TEXTS,
    version=st.integers(1, 1 << 60),
    state=st.sampled_from(State),
    provider=TEXTS,
    account=TEXTS,
    created_at=FLOATS,
    changed_at=FLOATS | st.integers(0, 9),
    deadline=MAYBE,
    reason=st.none() | TEXTS,
    oauth_error=st.none() | TEXTS,
    transport=st.none() | TEXTS,
    issuer=st.none() | TEXTS,
    holds_tokens=st.booleans(),
    expires_at=MAYBE,
    scopes=st.lists(TEXTS, max_size=3).map(tuple),
    refreshable=st.booleans(),
    identity=st.none() | st.builds(Identity, subject=TEXTS, name=st.none() | TEXTS),
    issued_at=MAYBE,
    refresh_expires_at=MAYBE,
    plain=st.booleans(),
)


@given(st.lists(SUMMARIES, max_size=6), st.integers(0, 2))
@settings(deadline=None)
def test_columns_give_what_they_were_given(logins: list[Summary], many: int) -> None:
    """Every value, of the same type, whatever stands in a text."""
    logins = [
        one._replace(id=f"{one.id}{number}", scopes=(*one.scopes, str(number)))
        for number in range((0, 1, 90)[many] or 1)
        for one in logins
    ]
    found = decode_columns(encode_columns(logins))
    assert found == logins
    assert repr(found) == repr(logins)


def wrong_fields(members: dict[str, Any]) -> None:
    members["fields"].append("colour")


def one_column_short(members: dict[str, Any]) -> None:
    members["columns"].pop()


def one_value_short(members: dict[str, Any]) -> None:
    members["columns"][0][1] = members["columns"][0][1].rpartition(b"\n")[0]


def an_unknown_state(members: dict[str, Any]) -> None:
    members["columns"][2][1] = b'["asleep"]'


@pytest.mark.parametrize(
    "change", [wrong_fields, one_column_short, one_value_short, an_unknown_state]
)
def test_other_columns_are_refused(
    change: Callable[[dict[str, Any]], None], logins: list[Login]
) -> None:
    """Those of another version, and those that are not whole."""
    octets = encode_columns([one.summary() for one in logins] * 3)
    members: dict[str, Any] = cbor.decode_map(octets)
    change(members)
    octets = cbor.encode(members)
    with pytest.raises(ValueError, match=r"."):
        decode_columns(octets)
