"""The definitions of a vault's tables, torn or changed: said, and put right with every login where it was."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from copy import copy
from pathlib import Path

import pytest
from stayfast.engine.errors import Damaged
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.storage import Vault
from stayfast.storage.vault.definitions import differences
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in

ENTRY = ("entry", b"kept")
TABLES = ("header", "login", "audit", "head", "tree", "audit_key", "quarantine", "entry")
TORN = {
    **{f"keyword of {name}": (b"CREATE TABLE %s" % name.encode(), 3) for name in TABLES},
    **{f"name in text of {name}": (b"CREATE TABLE %s" % name.encode(), 14) for name in TABLES},
    **{f"name of {name}": (b"table" + name.encode() * 2, 6) for name in TABLES},
    **{f"table of {name}": (b"table" + name.encode() * 2, 6 + len(name)) for name in TABLES},
    **{f"type of {name}": (b"table" + name.encode() * 2, 1) for name in TABLES},
    **{
        f"{what} of {name}": (b"table" + name.encode() * 2, offset)
        for name in TABLES
        for what, offset in (
            ("number", -7),
            ("form", -6),
            ("length of name", -4),
            ("length of text", -1),
            ("first page", 5 + 2 * len(name)),
        )
    },
    "first page of the index": (b"sqlite_autoindex_login_2login", 29),
    "name of the index": (b"sqlite_autoindex_login_2", 18),
    "prefix of the index": (b"sqlite_autoindex_login_2", 2),
    "table of the index": (b"sqlite_autoindex_login_2login", 25),
    "type of the index": (b"indexsqlite_autoindex", 1),
    **{
        f"{column.decode()} of {text.decode()}": (text, text.rindex(column))
        for text, columns in (
            (b"tree (place INTEGER PRIMARY KEY, body BLOB", (b"place", b"KEY", b"body", b"BLOB")),
            (b"header (one INTEGER PRIMARY KEY CHECK (one = 1), body", (b"one", b"CHECK", b"body")),
            (b"login (\n  id TEXT PRIMARY KEY, version INTEGER", (b"id", b"version", b"TEXT")),
            (b"NOT NULL, idx BLOB UNIQUE,\n  meta BLOB NOT", (b"idx", b"UNIQUE", b"meta", b"NOT")),
            (b"secret BLOB NOT NULL\n) WITHOUT ROWID", (b"secret", b"WITHOUT", b"ROWID")),
            (b"audit (seq INTEGER PRIMARY KEY, body", (b"seq", b"INTEGER", b"body")),
            (b"head (one INTEGER PRIMARY KEY CHECK (one = 1), body", (b"one", b"1", b"body")),
            (b"audit_key (first_seq INTEGER PRIMARY KEY, sealed", (b"first", b"sealed")),
            (b"quarantine (\n  number INTEGER PRIMARY KEY, since", (b"number", b"since")),
            (b"entry (\n  idx BLOB PRIMARY KEY, epoch INTEGER", (b"idx", b"epoch")),
        )
        for column in columns
    },
}


class Torn:
    """A vault of two logins and one entry, whose octets are known."""

    def __init__(self, place: Path) -> None:
        self._be_at(place)
        self.logins: list[Login] = [finished("one"), finished("two")]
        with closing(self.open()) as storage:
            storage.put_entry(*ENTRY)
            saved(storage, self.logins)
            # what this test writes as histories is none, and that must be all that is found later
            self.findings = {one.code for one in storage.verify().findings}

    def _be_at(self, place: Path) -> None:
        place.chmod(0o700)
        self.place = place
        self.database = place / "s" / "vault.db"

    def copied(self, place: Path) -> Torn:
        """The same vault in another place, for one test."""
        shutil.copytree(self.place, place, dirs_exist_ok=True)
        other = copy(self)
        other.logins = [*self.logins]
        other._be_at(place)
        return other

    def open(self) -> Vault:
        return vault_in(str(self.place))

    def tear(self, text: bytes, offset: int) -> None:
        """Turn a bit of the definition that holds ``text``."""
        octets = bytearray(self.database.read_bytes())
        octets[octets.index(text) + offset] ^= 0x04
        self.database.write_bytes(octets)

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def all_read(self) -> bool:
        """Whether every login is read as it was saved, under its id and its name."""
        with closing(self.open()) as storage:
            return all(
                [storage.read(one.id), storage.find(account_alias(one.provider, one.account))]
                == [one, one]
                for one in self.logins
            )

    def is_mended(self) -> bool:
        """Whether ``mend`` has something to do and leaves a vault that is whole, its log included."""
        with closing(self.open()) as storage:
            assert storage.mend()
            assert storage.mend() == []
            assert storage.problems() == []
            assert {one.code for one in storage.verify().findings} == self.findings
            assert storage.entry(ENTRY[0]) == ENTRY[1]
            assert storage.events()[-1].members["detail"] in {"definitions", "integrity record"}
            self.logins[0] = further(self.logins[0])
            saved(storage, [self.logins[0]])
        return self.all_read() and not self.aside()

    def aside(self) -> list[Path]:
        """The vaults that were set aside."""
        return list((self.place / "s").glob("set-aside-*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    return Torn(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def torn(whole: Torn, tmp_path: Path) -> Torn:
    return whole.copied(tmp_path)


def is_said(torn: Torn) -> bool:
    """Whether the vault says that something is wrong: in a list, or as an error."""
    with closing(torn.open()) as storage:
        try:
            return bool(storage.problems())
        except Damaged:
            return True


@pytest.mark.parametrize("where", TORN)
def test_a_torn_definition_is_said_and_costs_no_login(torn: Torn, where: str) -> None:
    """Whichever word is torn, it is noticed, and mending keeps every login, the entries and the log."""
    torn.tear(*TORN[where])
    assert is_said(torn)
    assert torn.is_mended()


@pytest.mark.soak
def test_every_byte_of_the_definitions_is_mended(whole: Torn, tmp_path: Path) -> None:
    """Wherever the page of the definitions is torn, every login stays where it was."""
    octets = whole.database.read_bytes()
    beginning = octets.index(b"tableentryentry") - 9
    for position in range(beginning, 4096):
        torn = whole.copied(tmp_path / str(position))
        changed = bytearray(octets)
        changed[position] ^= 1 << position % 8
        torn.database.write_bytes(changed)
        with closing(torn.open()) as storage:
            storage.mend()
            assert storage.problems() == [], position
        assert torn.all_read(), position
        assert not torn.aside(), position
        shutil.rmtree(torn.place)


@pytest.mark.parametrize("column", ["place", "body"])
def test_a_tree_that_cannot_be_asked_costs_no_reader(torn: Torn, column: str) -> None:
    """All rows are compared instead, as with a torn node."""
    torn.sql(f"ALTER TABLE tree RENAME COLUMN {column} TO other")
    assert torn.all_read()
    assert is_said(torn)
    assert torn.is_mended()


@pytest.mark.parametrize(
    "deed",
    [
        "CREATE TRIGGER t AFTER UPDATE ON login BEGIN DELETE FROM audit WHERE seq = new.version; END",
        "CREATE TRIGGER t BEFORE UPDATE ON head BEGIN SELECT RAISE(IGNORE); END",
        'CREATE UNIQUE INDEX "an ""index" ON login (epoch + 0 * fence) WHERE version > 5',
        "ALTER TABLE login ADD COLUMN more",
        "ALTER TABLE audit RENAME TO log",
        "ALTER TABLE quarantine RENAME COLUMN why TO how",
        "DROP TABLE tree",
        "DROP TABLE quarantine",
    ],
)
def test_a_changed_definition_is_said_and_costs_no_login(torn: Torn, deed: str) -> None:
    """What somebody has added to our tables goes; what follows from the rest is made again."""
    torn.sql(deed)
    assert is_said(torn)
    assert torn.is_mended()


def test_two_torn_definitions_are_told_apart(torn: Torn) -> None:
    """Each table gets its own definition back, although both are torn in several words."""
    for where in ("name of head", "one of head (one INTEGER PRIMARY KEY CHECK (one = 1), body",
                  "name of header", "keyword of header"):  # fmt: skip
        torn.tear(*TORN[where])
    assert is_said(torn)
    assert torn.is_mended()


def test_tables_of_another_program_are_left_alone(torn: Torn) -> None:
    """A program that copies the file keeps its notes in it, and SQLite its statistics."""
    torn.sql("CREATE TABLE _seq (id INTEGER)", "CREATE INDEX _i ON _seq (id)", "ANALYZE")
    with closing(torn.open()) as storage:
        assert (storage.problems(), storage.mend()) == ([], [])
    with closing(sqlite3.connect(torn.database)) as connection:
        assert not any(differences(connection))


def test_a_torn_tree_does_not_stop_a_new_login(torn: Torn) -> None:
    """The probe before a login puts the definition right; another process that has it open goes on."""
    other = torn.open()
    assert other.read(torn.logins[0].id) == torn.logins[0]
    torn.sql("ALTER TABLE tree RENAME COLUMN place TO other")
    with closing(torn.open()) as storage:
        storage.probe()
        saved(storage, [finished("three")])
        assert storage.problems() == []
    assert other.read(torn.logins[0].id) == torn.logins[0]
    other.close()


def test_a_table_of_logins_that_is_gone_is_not_made_again(torn: Torn) -> None:
    """An empty table in its place would hide what was lost: the file is set aside as a whole."""
    torn.sql("DROP TABLE login")
    assert is_said(torn)
    with closing(torn.open()) as storage:
        assert storage.mend()
        assert list(storage.summaries()) == []
        assert storage.events()[-1].members["detail"] == "vault_set_aside"
    assert len(torn.aside()) == 1


def test_a_tree_unlike_its_rows_is_said(torn: Torn) -> None:
    """A node that nobody has asked for yet is compared, too."""
    torn.sql("UPDATE tree SET body = x'00' WHERE place = (SELECT max(place) FROM tree)")
    assert is_said(torn)
    assert torn.is_mended()
