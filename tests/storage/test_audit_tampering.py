"""Whatever is done to a log is detected, and the record it was done to is named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from stayfast.engine.audit.findings import CHAIN, FindingCode
from stayfast.engine.audit.verifier import Verification
from stayfast.storage import Vault
from stayfast.storage.audit import check
from stayfast.storage.audit.check import check_log
from transitions_of import vault_in
from wandering import Wanderer

LINES = 200
C = FindingCode
Deed = Callable[[sqlite3.Connection, int], None]


class Log:
    """A log of 200 records in a vault, and what a check says of it after a deed."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        with vault._vault_connection.reading() as opened:
            assert opened is not None
            _, self.keys = opened
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        with sqlite3.connect(Path(vault.directory) / "vault.db") as source:
            source.backup(self.connection)
        source.close()

    def after(self, deed: Deed, position: int, marks: Collection[int] = ()) -> Verification:
        """What a check finds after ``deed``, which is undone again."""
        saved = self.connection.serialize()
        try:
            deed(self.connection, position)
            return check_log(self.connection, self.keys, marks)
        finally:
            self.connection.deserialize(saved)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    place = tmp_path_factory.mktemp("log")
    place.chmod(0o700)
    vault = vault_in(str(place))
    Wanderer(vault, 9, 4).fill(LINES, at_once=20)
    log = Log(vault)
    yield log
    log.connection.close()


def run(connection: sqlite3.Connection, *statements: str, n: int) -> None:
    for statement in statements:
        connection.execute(statement.format(n=n, next=n + 1, far=n % LINES + 1, end=LINES))


def edit_body(c: sqlite3.Connection, n: int) -> None:
    (body,) = c.execute("SELECT body FROM audit WHERE seq = ?", (n,)).fetchone()
    at = n % len(body)
    c.execute("UPDATE audit SET body = ? WHERE seq = ?", (body[:at] + bytes((body[at] ^ 1,)) + body[at + 1:], n))  # fmt: skip


def edit_link(c: sqlite3.Connection, n: int) -> None:
    (mac,) = c.execute("SELECT mac FROM audit WHERE seq = ?", (n,)).fetchone()
    at = n % len(mac)
    c.execute("UPDATE audit SET mac = ? WHERE seq = ?", (mac[:at] + bytes((mac[at] ^ 1,)) + mac[at + 1:], n))  # fmt: skip


def make_room(c: sqlite3.Connection, n: int) -> None:
    """Number every record from ``n`` on one higher."""
    run(c, "UPDATE audit SET seq = -seq - 1 WHERE seq >= {n}", "UPDATE audit SET seq = -seq WHERE seq < 0", n=n)  # fmt: skip


def delete(c: sqlite3.Connection, n: int) -> None:
    run(c, "DELETE FROM audit WHERE seq = {n}", n=n)


def delete_and_close_up(c: sqlite3.Connection, n: int) -> None:
    delete(c, n)
    run(c, "UPDATE audit SET seq = -seq WHERE seq > {n}", "UPDATE audit SET seq = -seq - 1 WHERE seq < 0", n=n)  # fmt: skip


def insert_forged(c: sqlite3.Connection, n: int) -> None:
    make_room(c, n)
    c.execute("INSERT INTO audit VALUES (?, randomblob(300), randomblob(32))", (n,))


def swap(c: sqlite3.Connection, n: int) -> None:
    run(c, "UPDATE audit SET seq = -1 WHERE seq = {n}", "UPDATE audit SET seq = {n} WHERE seq = {far}",
        "UPDATE audit SET seq = {far} WHERE seq = -1", n=n)  # fmt: skip


def swap_far(c: sqlite3.Connection, n: int) -> None:
    other = (n + 99) % LINES + 1
    c.execute("UPDATE audit SET seq = -1 WHERE seq = ?", (n,))
    c.execute("UPDATE audit SET seq = ? WHERE seq = ?", (n, other))
    c.execute("UPDATE audit SET seq = ? WHERE seq = -1", (other,))


def duplicate_beside(c: sqlite3.Connection, n: int) -> None:
    make_room(c, n + 1)
    run(c, "INSERT INTO audit SELECT {next}, body, mac FROM audit WHERE seq = {n}", n=n)


def duplicate_at_the_end(c: sqlite3.Connection, n: int) -> None:
    run(c, "INSERT INTO audit SELECT {end} + 1, body, mac FROM audit WHERE seq = {n}", n=n)


def duplicate_over_another(c: sqlite3.Connection, n: int) -> None:
    run(c, "UPDATE audit SET (body, mac) = (SELECT body, mac FROM audit WHERE seq = {far}) WHERE seq = {n}", n=n)  # fmt: skip


def truncate(c: sqlite3.Connection, n: int) -> None:
    run(c, "DELETE FROM audit WHERE seq >= {n}", n=n)


def retype(c: sqlite3.Connection, n: int) -> None:
    run(c, "UPDATE audit SET body = 'text' WHERE seq = {n}", n=n)


def first_of(n: int) -> int:
    return n


DEEDS: dict[str, tuple[Deed, set[FindingCode], Callable[[int], int]]] = {
    "edit": (edit_body, {C.CHANGED}, first_of),
    "edit the link": (edit_link, {C.CHANGED}, first_of),
    "another type": (retype, {C.CHANGED}, first_of),
    "delete": (delete, {C.MISSING, C.TRUNCATED}, first_of),
    "delete and close up": (delete_and_close_up, {C.MOVED, C.TRUNCATED}, first_of),
    "insert": (insert_forged, {C.CHANGED}, first_of),
    "swap": (swap, {C.MOVED}, lambda n: min(n, n % LINES + 1)),
    "swap far": (swap_far, {C.MOVED}, lambda n: min(n, (n + 99) % LINES + 1)),
    "duplicate beside": (duplicate_beside, {C.COPIED}, lambda n: n + 1),
    "duplicate at the end": (duplicate_at_the_end, {C.COPIED}, lambda n: LINES + 1),
    "duplicate over": (duplicate_over_another, {C.COPIED}, first_of),
    "truncate": (truncate, {C.TRUNCATED}, first_of),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_every_deed_at_every_place_is_named(log: Log, deed: str) -> None:
    """Each of the deeds, at each of 200 records: the first record that cannot be trusted is named."""
    do, codes, first = DEEDS[deed]
    for position in range(1, LINES + 1):
        found = log.after(do, position)
        named = [one for one in found.findings if one.code in CHAIN]
        assert named, position
        assert (named[0].seq, named[0].code in codes) == (first(position), True), (position, named)
        assert found.intact == first(position) - 1
    assert log.after(lambda c, n: None, 0).findings == []


@pytest.mark.parametrize("deed", DEEDS)
def test_the_quick_check_finds_what_the_thorough_one_finds(
    log: Log, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many records are checked at once; the result is that of looking at each, wherever a fault is."""
    do, *_ = DEEDS[deed]
    marks = {1, 6, 7, 8, 100, LINES}
    places = [1, 7, 8, 100, LINES]

    def found() -> list[Verification]:
        untouched = log.after(lambda c, n: None, 0, marks)
        return [untouched, *(log.after(do, place, marks) for place in places)]

    monkeypatch.setattr(check, "BATCH", 7)
    quick = found()
    monkeypatch.setattr(check.LogKeys, "texts", lambda *_: None)
    assert quick == found()
