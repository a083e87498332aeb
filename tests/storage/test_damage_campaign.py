"""A vault that is torn, cut, shuffled and turned back, everywhere it can be."""

from __future__ import annotations

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import combinations
from pathlib import Path

import pytest
from stayfast.engine import cbor
from stayfast.engine.errors import Damaged, StayfastError
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.storage import Vault
from stayfast.storage.vault.file import row_by_id
from stayfast.testing.storage_contract import finished, further, saved
from transitions_of import vault_in

MANY = 10
HOW_MUCH = [pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.soak)]


class TenLogins:
    """A vault with ten logins, and what it looks like when nothing is wrong."""

    def __init__(self, place: Path) -> None:
        place.chmod(0o700)
        self.place = place
        self.database = place / "s" / "vault.db"
        self.logins: list[Login] = [finished(f"p{number}") for number in range(MANY)]
        self.save(self.logins)
        self.save([further(self.logins[0])])
        self.logins[0] = further(self.logins[0])
        self.octets = self.database.read_bytes()

    def save(self, logins: list[Login]) -> None:
        with closing(self.open()) as storage:
            saved(storage, logins)

    def open(self) -> Vault:
        return vault_in(str(self.place))

    def mend(self) -> None:
        """Everything as it was."""
        for beside in ("-journal", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.database}{beside}")
        self.database.write_bytes(self.octets)

    def write(self, statements: Iterable[tuple[str, tuple[object, ...]]]) -> None:
        """Do to the database what nobody with a key would do."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            for statement, values in statements:
                connection.execute(statement, values)
            connection.execute("COMMIT")

    def look(self) -> tuple[list[bool], bool]:
        """Which logins are read as they were saved; and whether anything is said to be wrong.

        Raises:
            AssertionError: One was read as something else, or is gone without a word.
        """
        storage = self.open()
        whole: list[bool] = []
        for login in self.logins:
            found: list[Login | None] = []
            for ask in (
                lambda one=login: storage.read(one.id),
                lambda one=login: storage.find(account_alias(one.provider, one.account)),
            ):
                with suppress(StayfastError):
                    found.append(ask())
            assert all(one == login for one in found), "wrong, or gone without a word"
            whole.append(len(found) == 2)
        said = True
        with suppress(StayfastError):
            said = bool(storage.problems())
        with suppress(StayfastError):
            known = {login.summary() for login in self.logins}
            assert set(storage.summaries()) <= known
        storage.close()
        return whole, said


@pytest.fixture
def ten(tmp_path: Path) -> TenLogins:
    return TenLogins(tmp_path)


def test_every_bit_of_a_sealed_record_counts(ten: TenLogins) -> None:
    """With any bit of it turned, cut short anywhere or with more behind it, a record does not open."""
    with ten.open()._vault_connection.reading() as opened:
        assert opened is not None
        connection, keys = opened
        row = row_by_id(connection, ten.logins[3].id)
        assert row is not None
        tried = 0
        for kind, sealed in (("meta", row[3]), ("secret", row[4])):
            keys.open_row(kind, *row[:3], sealed)
            torn = [
                sealed[:at] + bytes([sealed[at] ^ 1 << bit]) + sealed[at + 1 :]
                for at in range(len(sealed))
                for bit in range(8)
            ]
            cut = [sealed[:length] for length in range(len(sealed))]
            for wrong in (*torn, *cut, sealed + b"\0", sealed + sealed):
                tried += 1
                with pytest.raises(Damaged):
                    keys.open_row(kind, *row[:3], wrong)
    print(f"\n{tried} records, none opened")


@pytest.mark.parametrize("everything", HOW_MUCH)
def test_every_byte_of_a_vault_counts(ten: TenLogins, everything: bool) -> None:
    """Whatever byte is torn: no wrong login, none gone without a word, the others still served."""
    places = range(len(ten.octets))
    chosen = places if everything else sorted(random.Random(3).sample(places, 250))
    ends: Counter[str] = Counter()
    for position in chosen:
        torn = bytearray(ten.octets)
        torn[position] ^= 1 << position % 8
        ten.database.write_bytes(torn)
        whole, said = ten.look()
        assert said or all(whole), position
        lost = MANY - sum(whole)
        ends["none" if not lost else "one" if lost == 1 else "all" if lost == MANY else "some"] += 1
        ten.mend()
    print(f"\n{len(chosen)} bytes torn; logins that could not be read: {dict(ends)}")
    assert ten.look() == ([True] * MANY, False)
    assert ends["all"] + ends["some"] < len(chosen) / 20


@pytest.mark.parametrize("everything", HOW_MUCH)
def test_every_truncation_is_noticed(ten: TenLogins, everything: bool) -> None:
    """A vault that was cut short says so; it is not taken for one with fewer logins."""
    size = len(ten.octets)
    lengths = range(size) if everything else [*range(0, 130, 13), *range(130, size, 701), size - 1]
    for length in lengths:
        ten.database.write_bytes(ten.octets[:length])
        whole, said = ten.look()
        # what SQLite has wiped at the end reads as before without being there
        assert said or (all(whole) and not any(ten.octets[length:])), length
        assert not all(whole) or length > size - 4096, length
        ten.mend()
    print(f"\n{len(lengths)} lengths, each noticed")
    assert ten.look() == ([True] * MANY, False)


_SWAPS = ["meta", "secret", "idx", "meta, secret", "version, state, idx, meta, secret"]


def test_every_swap_of_two_rows_is_noticed(ten: TenLogins) -> None:
    """Two logins that were exchanged, in part or as a whole, are not given out for one another."""
    for columns in _SWAPS:
        names = columns.split(", ")
        for one, other in combinations(range(MANY), 2):
            ids = [ten.logins[number].id for number in (one, other)]
            with closing(sqlite3.connect(ten.database)) as connection:
                first, second = (
                    connection.execute(f"SELECT {columns} FROM login WHERE id = ?", (i,)).fetchone()
                    for i in ids
                )
            blank = ", ".join(f"{name} = ?" for name in names)
            update = f"UPDATE login SET {blank} WHERE id = ?"
            ten.write(
                [
                    ("UPDATE login SET idx = NULL WHERE id IN (?, ?)", (*ids,))
                    if "idx" in names
                    else ("SELECT 1", ()),
                    (update, (*second, ids[0])),
                    (update, (*first, ids[1])),
                ]
            )
            whole, said = ten.look()
            assert said, (columns, one, other)
            # an unlike index alone is no harm to who asks by id
            assert all(whole[number] for number in range(MANY) if number not in {one, other})
            ten.mend()
    print(f"\n{len(_SWAPS) * MANY * (MANY - 1) // 2} swaps, each noticed")


@pytest.mark.parametrize("everything", HOW_MUCH)
def test_every_older_row_is_noticed(ten: TenLogins, everything: bool) -> None:
    """A login that is put back as it was saved earlier is not given out; the others are."""
    read = "SELECT version, fence, state, epoch, idx, meta, secret FROM login WHERE id = ?"
    older = []
    for _ in range(50 if everything else 8):
        with closing(sqlite3.connect(ten.database)) as connection:
            older.append(connection.execute(read, (ten.logins[4].id,)).fetchone())
        ten.save([further(ten.logins[4])])
        ten.logins[4] = further(ten.logins[4])
    ten.octets = ten.database.read_bytes()
    put = (
        "UPDATE login SET version = ?, fence = ?, state = ?, epoch = ?, idx = ?, meta = ?,"
        " secret = ? WHERE id = ?"
    )
    for row in older:
        ten.write([(put, (*row, ten.logins[4].id))])
        whole, said = ten.look()
        assert said
        assert [number for number, fine in enumerate(whole) if not fine] == [4]
        with pytest.raises(Damaged):
            ten.open().read(ten.logins[4].id)
        ten.mend()
    print(f"\n{len(older)} older rows, each noticed")
    assert ten.look() == ([True] * MANY, False)


@pytest.mark.parametrize("name", ["count", "seq", "generation", "first", "root", "mac", "link"])
def test_every_member_of_the_integrity_record_counts(ten: TenLogins, name: str) -> None:
    """A record that decodes, and says something else than was sealed, is refused by every reader."""
    with closing(sqlite3.connect(ten.database)) as connection:
        (body,) = connection.execute("SELECT body FROM head").fetchone()
    members = dict(cbor.decode_map(body))
    value = members[name]
    members[name] = value + 1 if isinstance(value, int) else b"\x01" * 32
    ten.write([("UPDATE head SET body = ?", (cbor.encode(members),))])
    with closing(ten.open()) as storage:
        for ask in (
            lambda: storage.read(ten.logins[3].id),
            lambda: storage.find(account_alias("p3", "default")),
            lambda: list(storage.summaries()),
        ):
            with pytest.raises(Damaged, match="integrity record"):
                ask()
    ten.mend()
    assert ten.look() == ([True] * MANY, False)


def turned(octets: bytes, bit: int) -> bytes:
    torn = bytearray(octets)
    torn[bit // 8 % len(torn)] ^= 1 << bit % 8
    return bytes(torn)


@pytest.mark.parametrize("everything", HOW_MUCH)
def test_every_bit_of_both_headers_counts(ten: TenLogins, everything: bool) -> None:
    """With either header torn the other serves; with both torn nothing unproved is believed."""
    header = ten.place / "s" / "vault.header"
    beside = header.read_bytes()
    with closing(sqlite3.connect(ten.database)) as connection:
        (inside,) = connection.execute("SELECT body FROM header").fetchone()
    bits = range(0, max(len(beside), len(inside)) * 8, 1 if everything else 67)
    refused = 0
    for bit in bits:
        header.write_bytes(turned(beside, bit))
        assert ten.look()[0] == [True] * MANY, bit
        ten.write([("UPDATE header SET body = ?", (turned(inside, bit),))])
        whole, _ = ten.look()
        assert all(whole) or not any(whole), bit
        refused += not any(whole)
        header.write_bytes(beside)
        assert ten.look()[0] == [True] * MANY, bit
        ten.mend()
    print(f"\n{len(bits)} bits; with both headers torn {refused} vaults were refused")
    assert refused > len(bits) * 0.9
    assert ten.look() == ([True] * MANY, False)
