"""One login at a time is shown to be the last that was saved, in a vault of any size, by every reader."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from stayfast.engine.errors import Damaged
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import Vault
from stayfast.storage.vault.tree import (
    leaf_of_id,
    leaves_of,
    packed,
    read_tree,
    tags_of,
    tree_of,
    unpacked,
)
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in

SIZES = [
    1, 513,
    pytest.param(10_000, marks=pytest.mark.soak), pytest.param(100_000, marks=pytest.mark.soak),
]  # fmt: skip
READ = "SELECT * FROM login WHERE id = ?"
PUT = "INSERT OR REPLACE INTO login VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


SAVED_AT_ONCE = 5_000


class Crowd:
    """A vault of many logins, one of which is somebody's aim and one its neighbour."""

    def __init__(self, place: Path, size: int) -> None:
        place.chmod(0o700)
        self.size = size
        self.aim = lasting("aim")
        self.neighbour = replace(lasting("neighbour"), id=self.aim.id[:3] + "Z" * 23)
        self._be_at(place)
        self.save([self.aim, self.neighbour])
        for at in range(0, size - 1, SAVED_AT_ONCE):
            these = range(at, min(at + SAVED_AT_ONCE, size - 1))
            self.save([finished(f"p{number}") for number in these])

    def _be_at(self, place: Path) -> None:
        self.place = place
        self.environ = {
            "STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(place / "c"),
        }  # fmt: skip

    def copied(self, place: Path) -> Crowd:
        """The same vault with its key and its marker in another place, for one test."""
        place.chmod(0o700)
        shutil.copytree(self.place, place, dirs_exist_ok=True)
        other = copy(self)
        other._be_at(place)
        return other

    def save(self, logins: list[Login]) -> None:
        with closing(self.open()) as storage:
            saved(storage, logins)

    def open(self) -> Vault:
        return vault_in(str(self.place))

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Do what somebody without a key can do."""
        with closing(sqlite3.connect(self.place / "s" / "vault.db")) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def answers(self, login: Login) -> list[object]:
        """What every reader gives of ``login``: itself, ``None``, or ``Damaged``."""
        with closing(self.open()) as storage:
            listed = attempt(lambda: {one.id: one for one in storage.summaries()}.get(login.id))
        return [*self.found(login), listed, self.printed(login)]

    def found(self, login: Login) -> list[object]:
        """As :meth:`answers`, of those who look for this login alone: by its id, and by its name."""
        alias = account_alias(login.provider, login.account)
        with closing(self.open()) as storage:
            return [attempt(lambda: storage.read(login.id)), attempt(lambda: storage.find(alias))]

    def printed(self, login: Login) -> str | None:
        """What ``token`` prints without more ado."""
        return cached_token([login.provider], self.environ)

    def is_refused(self) -> bool:
        """Whether no reader gives the attacked login out or calls it absent, and the neighbour is read."""
        by_id, by_alias, listed, printed = self.answers(self.aim)
        neighbour = self.found(self.neighbour)
        return (by_id, by_alias, listed, printed, *neighbour) == (
            Damaged, Damaged, None, None, self.neighbour, self.neighbour,
        )  # fmt: skip


def attempt(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except Damaged:
        return Damaged


def lasting(provider: str) -> Login:
    login = finished(provider, token=f"{provider}-token")
    assert login.tokens is not None
    return replace(login, tokens=replace(login.tokens, issued_at=time.time()))


@pytest.fixture(params=SIZES, scope="module")
def saved_crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crowd]:
    """Saved once for all tests: a hundred thousand logins take minutes."""
    place = tmp_path_factory.mktemp("crowd")
    yield Crowd(place, request.param)
    shutil.rmtree(place)


@pytest.fixture
def crowd(saved_crowd: Crowd, tmp_path: Path) -> Iterator[Crowd]:
    yield saved_crowd.copied(tmp_path)
    shutil.rmtree(tmp_path / "s")


def test_all_readers_agree_where_nothing_is_wrong(crowd: Crowd) -> None:
    """Every reader finds the login, and none finds one that never was."""
    summary = crowd.aim.summary()
    assert crowd.answers(crowd.aim) == [crowd.aim, crowd.aim, summary, "aim-token"]
    assert crowd.answers(lasting("nobody")) == [None, None, None, None]


def test_a_row_put_back_after_logout_is_not_printed(crowd: Crowd) -> None:
    """The row of a token that was given up does not come back by being inserted again."""
    (old,) = crowd.sql(READ, crowd.aim.id)
    crowd.save([further(crowd.aim, state=State.IDLE, tokens=None)])
    crowd.sql(PUT, *old)
    assert crowd.is_refused()


def test_an_older_row_is_noticed(crowd: Crowd) -> None:
    """A login put back as it was before its last refresh is given out by nobody."""
    (old,) = crowd.sql(READ, crowd.aim.id)
    crowd.save([further(crowd.aim)])
    crowd.sql(PUT, *old)
    assert crowd.is_refused()


def test_a_branch_put_back_with_its_row_is_noticed(crowd: Crowd) -> None:
    """The older row does not pass with the nodes of the tree that fitted it."""
    (old,), branch = crowd.sql(READ, crowd.aim.id), crowd.sql("SELECT * FROM tree")
    crowd.save([further(crowd.aim)])
    crowd.sql(PUT, *old)
    for node in branch:
        crowd.sql("INSERT OR REPLACE INTO tree VALUES (?, ?)", *node)
    assert crowd.found(crowd.aim) == [Damaged, Damaged]
    assert crowd.printed(crowd.aim) is None


def test_a_row_that_vanished_is_noticed(crowd: Crowd) -> None:
    """A login whose row is gone is not said to have never been."""
    crowd.sql("DELETE FROM login WHERE id = ?", crowd.aim.id)
    assert crowd.is_refused()


@pytest.mark.parametrize("index", [None, b"x" * 16, b""], ids=["none", "another", "empty"])
def test_a_name_that_vanished_is_noticed(crowd: Crowd, index: bytes | None) -> None:
    """A row under another name is not found by its own, and that is not said to be nothing."""
    crowd.sql("UPDATE login SET idx = ? WHERE id = ?", index, crowd.aim.id)
    assert (crowd.found(crowd.aim)[1], crowd.printed(crowd.aim)) == (Damaged, None)


def test_what_was_exchanged_stays_visible_when_its_neighbours_are_saved(crowd: Crowd) -> None:
    """Commits in the same leaf do not make an older row, or an older branch, genuine."""
    (old,) = crowd.sql(READ, crowd.aim.id)
    branch = crowd.sql("SELECT * FROM tree")
    crowd.save([further(crowd.aim)])
    crowd.sql(PUT, *old)
    for node in branch[1:]:
        crowd.sql("INSERT OR REPLACE INTO tree VALUES (?, ?)", *node)
    for _ in range(2):
        crowd.neighbour = further(crowd.neighbour)
        crowd.save([crowd.neighbour])
    assert crowd.found(crowd.aim) == [Damaged, Damaged]
    assert crowd.printed(crowd.aim) is None


def test_a_torn_tree_costs_no_login_and_can_be_mended(crowd: Crowd) -> None:
    """With nodes torn, emptied or gone all rows are compared instead; ``mend`` grows the tree anew."""
    for harm in (
        "DELETE FROM tree", "UPDATE tree SET body = x'00'", "UPDATE tree SET body = zeroblob(40)",
        "UPDATE tree SET body = 'text'", "UPDATE tree SET place = place + 1000000",
    ):  # fmt: skip
        crowd.sql(harm)
        assert crowd.found(crowd.aim) == [crowd.aim, crowd.aim]
        with closing(crowd.open()) as storage:
            assert storage.mend()
            assert not storage.mend()
        assert crowd.printed(crowd.aim) == "aim-token"


def test_the_tree_grows_as_it_would_be_grown_anew(tmp_path: Path) -> None:
    """After any commits the nodes are those that one would make of all rows at once."""
    tmp_path.chmod(0o700)
    chance = random.Random(7)
    with closing(vault_in(str(tmp_path))) as storage:
        logins: list[Login] = []
        for number in range(60):
            if logins and chance.random() < 0.5:
                place = chance.randrange(len(logins))
                over = chance.random() < 0.3
                changed = {"state": State.IDLE, "tokens": None} if over else {}
                logins[place] = further(logins[place], **changed)
                saved(storage, [logins[place]])
            else:
                logins.append(finished(f"p{number}"))
                saved(storage, [logins[-1]])
        with storage._vault_connection.reading() as opened:
            assert opened is not None
            connection, keys = opened
            rows = [
                (
                    leaves_of(login, index),
                    keys.row_digest(login, version, state, tags_of(index, *seals)),
                )
                for login, version, state, index, *seals in connection.execute(
                    "SELECT id, version, state, idx, meta, secret FROM login"
                )
            ]
            assert read_tree(connection) == tree_of(keys, rows)


@pytest.mark.parametrize("wrong", ["", "01", "01j", "0_1X", "٠١٢3", " 01", "01-", "0\x001"])
def test_an_id_that_no_login_has_is_not_found(tmp_path: Path, wrong: str) -> None:
    """What a person types is never looked for in another's leaf."""
    with pytest.raises(ValueError, match="no login"):
        leaf_of_id(wrong)
    tmp_path.chmod(0o700)
    with closing(vault_in(str(tmp_path))) as storage:
        saved(storage, [finished()])
        assert storage.read(wrong) is None


def test_nodes_are_read_as_they_were_written() -> None:
    """Whatever its entries, a node unpacks to them; what is no node is refused."""
    for numbers in ((), (0,), (63,), (0, 5, 63), range(64)):
        entries = {number: os.urandom(32) for number in numbers}
        assert unpacked(packed(entries)) == entries
    for body in (b"x", bytes(8) + b"x", b"\xff" * 8, packed({1: bytes(32)})[:-1]):
        with pytest.raises(ValueError, match="no node"):
            unpacked(body)


def test_a_commit_of_many_logins_asks_for_few_values_at_a_time(tmp_path: Path) -> None:
    """Databases bound the values of one statement, so a commit of any size reads the tree in pieces."""
    tmp_path.chmod(0o700)
    logins = [finished(f"p{number}") for number in range(600)]
    with closing(vault_in(str(tmp_path))) as storage:
        saved(storage, [finished()])
        with storage._vault_connection.reading() as opened:
            assert opened is not None
            opened[0].setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        saved(storage, logins)
        assert storage.read(logins[-1].id) == logins[-1]
        assert storage.problems() == []
