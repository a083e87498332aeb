"""What the owner of the database changed behind our back is noticed, whatever its size."""

from __future__ import annotations

from pathlib import Path

import pytest
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import Damaged
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.storage_contract import finished, further, saved

MANY = 600
TABLES = ("login", "tree", "head", "audit")


def keep(server: PostgresServer, database: str, *tables: str) -> None:
    for table in tables:
        server.execute(database, f"CREATE TABLE kept_{table} AS SELECT * FROM stayfast.{table}")


def put_back(server: PostgresServer, database: str, *tables: str) -> None:
    for table in tables:
        server.execute(database, f"DELETE FROM stayfast.{table}")
        server.execute(database, f"INSERT INTO stayfast.{table} SELECT * FROM kept_{table}")


@pytest.mark.parametrize("tables", [("login",), ("login", "tree")])
def test_an_older_row_among_many_is_noticed_by_every_reader(
    storage: PostgresStorage, host: Host, server: PostgresServer, database: str,
    tables: tuple[str, ...],
) -> None:  # fmt: skip
    """Rows of before a logout are not given out, with or without the branches that fitted them."""
    logins = [finished(f"p{number}") for number in range(MANY)]
    saved(storage, logins)
    keep(server, database, *tables)
    gone = logins[7]
    saved(storage, [further(gone, state=State.IDLE, tokens=None)])
    put_back(server, database, *tables)
    alias = account_alias(gone.provider, gone.account)
    for reader in (storage, host("two")):
        for ask in (lambda r=reader: r.read(gone.id), lambda r=reader: r.find(alias)):
            with pytest.raises(Damaged):
                ask()
        with pytest.raises(Damaged):
            list(reader.summaries())
        assert reader.read(logins[8].id) == logins[8]
    server.execute(database, f"DELETE FROM stayfast.login WHERE id = '{logins[9].id}'")
    with pytest.raises(Damaged):
        host("three").read(logins[9].id)


def test_a_row_edited_after_a_list_is_not_given_out(
    storage: PostgresStorage, server: PostgresServer, database: str
) -> None:
    """A process that has compared all rows before compares them again, though nobody has committed."""
    gone, stays = finished("gone"), finished("stays")
    saved(storage, [gone, stays])
    keep(server, database, "login")
    saved(storage, [further(gone, state=State.IDLE, tokens=None)])
    alias = account_alias(gone.provider, gone.account)
    for ask in (
        lambda: storage.read(gone.id),
        lambda: storage.find(alias),
        lambda: list(storage.summaries()),
    ):
        server.execute(database, "CREATE TABLE right_login AS SELECT * FROM stayfast.login")
        assert storage.page(0, None) != []
        put_back(server, database, "login")
        with pytest.raises(Damaged):
            ask()
        assert storage.read(stays.id) == stays
        server.execute(database, "DELETE FROM stayfast.login")
        server.execute(database, "INSERT INTO stayfast.login SELECT * FROM right_login")
        server.execute(database, "DROP TABLE right_login")


def test_a_whole_database_put_back_is_said(
    host: Host, server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Its rows, tree, log and head fit; the note beside this host's key knows better. Logins go on."""
    one = finished("one")
    saved(host("one"), [one])
    keep(server, database, *TABLES)
    for _ in range(3):
        one = further(one)
        saved(host("one"), [one])
    put_back(server, database, *TABLES)
    said: list[str] = []
    storage = host("one", announce=said.append)
    assert storage.events() != []
    assert len(said) == 1
    assert FindingCode.ROLLED_BACK in [found.code for found in storage.verify().findings]
    assert len(storage.problems()) == 1
    assert storage.read(one.id) is not None
    assert len(said) == 1
    saved(storage, [finished("two")])
    saved(host("one", announce=said.append), [finished("three")])
    assert len(said) == 1
    assert FindingCode.ROLLED_BACK not in [found.code for found in storage.verify().findings]
    assert storage.problems() == []
    details = [event.members.get("detail") for event in storage.events()]
    assert details.count("rolled_back") == 1
