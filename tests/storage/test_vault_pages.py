"""A page of a large vault: read without the other logins, and shown to be as it was saved."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.storage import Vault
from stayfast.storage.vault.integrity import released
from stayfast.storage.vault.pages import FEW
from stayfast.testing.storage_contract import finished, further, pending, saved
from transitions_of import vault_in

LIMIT = 250


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Login], list[Login]]:
    """A vault that nobody writes: its place, its finished logins and those that wait, by id."""
    place = tmp_path_factory.mktemp("made")
    place.chmod(0o700)
    logins = [finished(f"p{number}") for number in range(FEW + 100)]
    waiting = [pending("acme", state=f"s{number}") for number in range(5)]
    over = [finished(f"over{number}") for number in range(5)]
    with closing(vault_in(str(place))) as vault:
        saved(vault, [*logins, *waiting, *over])
        saved(vault, [further(one, state=State.IDLE, tokens=None) for one in over])
    return place, by_id(logins), by_id(waiting)


def by_id(logins: list[Login]) -> list[Login]:
    return sorted(logins, key=lambda one: one.id)


@pytest.fixture
def place(made: tuple[Path, list[Login], list[Login]], tmp_path: Path) -> Path:
    shutil.copytree(made[0], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def vault(place: Path) -> Iterator[Vault]:
    with closing(vault_in(str(place))) as opened:
        yield opened


def ids(vault: Vault, offset: int, limit: int = LIMIT) -> list[str]:
    found = vault.page(offset, limit)
    assert found is not None
    return [one.id for one in found]


def test_pages_are_the_list_in_its_parts(
    vault: Vault, made: tuple[Path, list[Login], list[Login]]
) -> None:
    """Every login is on one page, the finished ones first; those that are over are on none."""
    _, logins, waiting = made
    pages = [ids(vault, start) for start in range(0, FEW + 400, LIMIT)]
    assert [one for page in pages for one in page] == [one.id for one in [*logins, *waiting]]
    assert vault.damage is None


def test_a_page_is_of_the_present(
    vault: Vault, made: tuple[Path, list[Login], list[Login]]
) -> None:
    """What was just saved is on it, and what is over is not."""
    first, second, *_ = made[1]
    saved(vault, [further(first, state=State.IDLE, tokens=None), further(second)])
    page = vault.page(0, 2)
    assert page is not None
    assert (page[0].id, page[0].version) == (second.id, 2)


def test_a_short_list_has_no_pages(tmp_path: Path) -> None:
    """Its logins are listed by their names, which a page cannot do."""
    tmp_path.chmod(0o700)
    with closing(vault_in(str(tmp_path))) as vault:
        assert vault.page(0, 1) is None
        saved(vault, [finished(f"p{number}") for number in range(FEW)])
        assert vault.page(0, 1) is None
        saved(vault, [finished("one more")])
        assert vault.page(0, None) is None
        assert vault.page(0, 1) is not None


Tampering = Callable[[sqlite3.Connection, list[Login]], None]


def removed(at: int) -> Tampering:
    def tamper(database: sqlite3.Connection, logins: list[Login]) -> None:
        database.execute("DELETE FROM login WHERE id = ?", (logins[at].id,))

    return tamper


def amended(what: str, at: int) -> Tampering:
    def tamper(database: sqlite3.Connection, logins: list[Login]) -> None:
        database.execute(f"UPDATE login SET {what} WHERE id = ?", (logins[at].id,))

    return tamper


def planted(login_id: object) -> Tampering:
    def tamper(database: sqlite3.Connection, logins: list[Login]) -> None:
        columns = "version, fence, state, epoch, NULL, meta, secret"
        database.execute(
            f"INSERT INTO login SELECT ?, {columns} FROM login WHERE id = ?",
            (login_id, logins[3].id),
        )

    return tamper


def torn(where: str) -> Tampering:
    def tamper(database: sqlite3.Connection, logins: list[Login]) -> None:
        del logins
        database.execute(f"UPDATE tree SET body = zeroblob(8) WHERE {where}")

    return tamper


TAMPERINGS = {
    "the first login is gone": removed(0),
    "a login is gone": removed(7),
    "its version is another": amended("version = version + 1", 7),
    "it is over": amended("state = 'idle'", 7),
    "it waits": amended("state = 'challenge'", 7),
    "its account is another's": amended("idx = zeroblob(16)", 7),
    "its summary is another": amended("meta = secret", 7),
    "its tokens are others": amended("secret = meta", 7),
    "a login stands twice": planted("000AAAAAAAAAAAAAAAAAAAAAAA"),
    "no login has such an id": planted("-"),
}


@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_page_shows_what_was_done_to_its_logins(
    vault: Vault,
    place: Path,
    made: tuple[Path, list[Login], list[Login]],
    tamper: Tampering,
) -> None:
    """Whatever was changed without the key is noticed, and a login that was changed is not shown."""
    _, logins, _ = made
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        tamper(database, logins)
    shown = vault.page(0, 20)
    assert vault.damage is not None
    right = {one.id: one.version for one in logins}
    assert shown is not None
    assert all(right.get(one.id) == one.version for one in shown)


@pytest.mark.parametrize("where", ["place = 0", "place > 0"])
def test_a_torn_tree_costs_the_comparison_of_all_rows(
    vault: Vault, place: Path, made: tuple[Path, list[Login], list[Login]], where: str
) -> None:
    """Where the tree cannot show it, the integrity record shows that the logins are those that were saved."""
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        torn(where)(database, [])
    assert ids(vault, 20) == [one.id for one in made[1][20 : 20 + LIMIT]]
    assert vault.damage is None


def test_a_page_needs_no_other_login(
    vault: Vault, place: Path, made: tuple[Path, list[Login], list[Login]]
) -> None:
    """What was done to another page shows on that one, and in the whole list."""
    _, logins, _ = made
    with closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as database:
        removed(900)(database, logins)
    assert ids(vault, 0) == [one.id for one in logins[:LIMIT]]
    assert vault.damage is None
    vault.page(800, LIMIT)
    assert vault.damage is not None


def test_rows_are_let_go_of_in_their_order() -> None:
    """While a row is worked on, those before it are held no longer, and those after it still are."""
    rows = list(range(5))
    assert [(one, sorted(rows)) for one in released(rows)] == [
        (one, list(range(one + 1, 5))) for one in range(5)
    ]
