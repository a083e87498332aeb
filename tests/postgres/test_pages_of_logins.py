"""A list of a large database reads each login once, and a page of it opens the logins of the page alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import World
from postgres_server import Host, PostgresServer
from stayfast.engine.errors import Damaged
from stayfast.engine.table import State
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.storage_contract import finished, further, saved

MANY = 2400  # more than are compared at a time
_READ = (
    "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
    " WHERE schemaname = 'stayfast' AND relname = 'login'"
)


def rows_read(server: PostgresServer, database: str) -> int:
    """How many rows of logins the server has read, by its own count."""
    return int(server.execute(database, _READ)[0][0])


def counted(host: Host, server: PostgresServer, database: str) -> int:
    """How many rows one list reads, in a process that has compared nothing yet."""
    before = rows_read(server, database)
    storage = host("counting")
    assert len(list(storage.summaries())) == MANY
    storage.close()  # the server adds up what a session did when it ends
    return rows_read(server, database) - before


def test_a_list_reads_every_login_once(
    storage: PostgresStorage, host: Host, server: PostgresServer, database: str
) -> None:
    """What is compared with the integrity record is what is shown."""
    saved(storage, [finished(f"p{number}") for number in range(MANY)])
    storage.close()
    assert counted(host, server, database) == MANY


def test_pages_are_the_logins_that_are_not_over(
    storage: PostgresStorage, server: PostgresServer, database: str
) -> None:
    """Each stands on one page, and those that are over stand on none."""
    logins = [finished(f"p{number}") for number in range(MANY)]
    saved(storage, logins)
    saved(storage, [further(logins[0], state=State.IDLE, tokens=None)])
    pages = [list(storage.page(start, 500)) for start in range(0, MANY, 500)]
    assert [len(page) for page in pages] == [500, 500, 500, 500, 399]
    listed = [one.id for page in pages for one in page]
    assert listed == [one.id for one in storage.page(0, None)]
    assert sorted(listed) == sorted(one.id for one in logins[1:])
    assert list(storage.page(MANY, 1)) == []


@pytest.mark.parametrize("damage", [
    "DELETE FROM stayfast.login WHERE id = '{}'",
    "UPDATE stayfast.login SET state = 'idle' WHERE id = '{}'",
    "UPDATE stayfast.login SET meta = '' WHERE id = '{}'",
    "UPDATE stayfast.login SET id = '0' || substr(id, 2) WHERE id = '{}'",
])  # fmt: skip
def test_a_page_is_not_short_in_silence(
    storage: PostgresStorage, host: Host, server: PostgresServer, database: str, damage: str
) -> None:
    """A login that was removed, hidden or changed on another page is noticed on each."""
    logins = sorted((finished(f"p{number}") for number in range(6)), key=lambda one: one.id)
    saved(storage, logins)
    assert len(list(storage.page(0, 2))) == 2
    server.execute(database, damage.format(logins[5].id))
    with pytest.raises(Damaged):
        host("two").page(0, 2)
    with pytest.raises(Damaged):
        list(host("three").summaries())


def test_the_command_pages_in_the_database(
    tmp_path: Path, server: PostgresServer, database: str
) -> None:
    """All pages together are the list, finished logins first, and a look at them writes nothing."""
    tmp_path.chmod(0o700)
    with AuthorizationServer() as provider:
        world = World(tmp_path, provider, {"STAYFAST_STORE": server.url(database)})
        for account in ("a", "b", "c"):
            assert world.run("login", "demo", "--account", account, "--via", "loopback").code == 0
        assert world.run("login", "demo", "--start", "--via", "manual").code == 3
    before = server.execute(database, "SELECT body FROM stayfast.head")
    every = [line.split() for line in world.run("list").out.splitlines()]
    assert len(every) == 4
    pages = [
        world.run("list", "--limit", "2", "--offset", str(start)).out.splitlines()
        for start in (0, 2, 4)
    ]
    assert [line.split() for page in pages for line in page] == every
    last = world.run("list", "--limit", "1", "--offset", "3", "--json").json
    assert (last["logins"], len(last["pending"])) == ([], 1)
    assert server.execute(database, "SELECT body FROM stayfast.head") == before
