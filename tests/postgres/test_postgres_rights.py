"""What the database sees, and who may do what in it."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from logins import CANARY, CHALLENGE, TOKENS, login_in
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.events import Event, EventKind
from stayfast.engine.errors import Damaged, NewerFormat, StorageError
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.storage import open_storage
from stayfast.storage.migrating import forget_login, import_tokens
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.schema import STEPS
from stayfast.testing.sample_logins import ORIGIN
from stayfast.testing.storage_contract import (
    NOW,
    complete,
    finished,
    further,
    pending,
    records_of_logins,
    saved,
)


def test_the_database_sees_no_secret_and_no_name(
    storage: PostgresStorage, server: PostgresServer, database: str
) -> None:
    """Of tokens, secrets, providers and accounts, nothing is in any table in the clear."""
    login = replace(
        login_in(State.AUTHENTICATED, version=1, tokens=TOKENS, challenge=CHALLENGE),
        account="canary-account",
    )
    saved(storage, [login])
    with storage.lease(login.id, wait=0):
        pass
    tables = [name for (name,) in server.execute(
        database, "SELECT tablename FROM pg_tables WHERE schemaname = 'stayfast'"
    )]  # fmt: skip
    assert {"login", "audit", "head", "header", "lease"} <= set(tables)
    kept = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for table in tables
        for row in server.execute(database, f"SELECT * FROM {table}")
        for value in row
    )
    assert login.id.encode() in kept
    for word in (CANARY, login.provider, "example", "acme-cli"):
        assert word.encode() not in kept


def test_the_granted_rights_are_enough(
    host: Host, server: PostgresServer, database: str, user: str, tmp_path: Path
) -> None:
    """A role with the documented rights reads, writes, logs, and holds logins."""
    storage = PostgresStorage(
        server.url(database, user=user), config_dir=str(tmp_path / "config"),
        state_dir=str(tmp_path / "other"), environ={},
    )  # fmt: skip
    login = pending()
    storage.probe()
    with storage.lease(login.id, wait=0) as lease:
        saved(storage, [login, further(login)])
        lease.keep()
    assert [one.id for one in storage.summaries()] == [login.id]
    assert len(records_of_logins(host())) == 2
    assert storage.problems() == []
    storage.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = ''",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM login",
        "DELETE FROM head",
        "UPDATE header SET body = ''",
        "DROP TABLE lease",
        "ALTER TABLE login ADD COLUMN more TEXT",
    ],
)
def test_the_granted_rights_are_not_more(
    server: PostgresServer, database: str, user: str, statement: str
) -> None:
    """The same role can neither rewrite the log nor remove anything nor change a table."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.execute(database, statement, user=user)


def test_missing_rights_are_said(
    server: PostgresServer, database: str, tmp_path: Path, host: Host
) -> None:
    """A user without the right to make or write the tables gets an error, and no table is left half made."""
    server.execute(database, f"CREATE ROLE stranger_{database} LOGIN")
    settings = {"config_dir": str(tmp_path / "config"), "state_dir": str(tmp_path / "s")}
    stranger = PostgresStorage(
        server.url(database, user=f"stranger_{database}"), environ={}, **settings
    )
    with pytest.raises(StorageError):
        stranger.probe()
    host().probe()
    server.execute(database, f"GRANT USAGE ON SCHEMA stayfast TO stranger_{database}")
    with pytest.raises(StorageError) as caught:
        stranger.find("anybody")
    assert caught.value.exit_code == 7
    stranger.close()


def test_a_wrong_password_is_said_and_not_repeated(
    server: PostgresServer, database: str, host: Host, tmp_path: Path
) -> None:
    """The server's refusal of a password names neither it nor the right one."""
    server.execute(database, "DROP ROLE IF EXISTS keeper")
    server.execute(database, "CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'hunter2'")
    address = server.url(database, user="keeper", password="wrongone")
    wrong = PostgresStorage(address, config_dir=str(tmp_path / "config"), environ={})
    with pytest.raises(StorageError) as caught:
        wrong.probe()
    message = repr(caught.value) + str(caught.value.__cause__) + repr(wrong) + wrong.description
    assert "wrongone" not in message
    wrong.close()
    right = open_storage(
        server.url(database, user="keeper", password="hunter2"),
        config_dir=str(tmp_path / "config"), state_dir=str(tmp_path / "s"), environ={},
    )  # fmt: skip
    right.probe()
    assert "hunter2" not in right.description + repr(right)
    right.close()  # type: ignore[attr-defined]  # it is one of PostgreSQL


def test_newer_tables_are_refused(host: Host, server: PostgresServer, database: str) -> None:
    """Tables that a newer version has changed are neither read nor written."""
    saved(host(), [finished()])
    server.execute(database, f"INSERT INTO migration (version) VALUES ({len(STEPS) + 1})")
    with pytest.raises(NewerFormat):
        host().find(account_alias("acme", "default"))


def test_hosts_that_come_first_together_make_one_store(host: Host) -> None:
    """Of many that find no tables at the same moment, one makes them; all use its key."""
    storages = [host(f"h{number}") for number in range(8)]
    together = threading.Barrier(len(storages))
    problems: list[BaseException] = []

    def come(storage: PostgresStorage) -> None:
        try:
            together.wait()
            saved(storage, [pending(state=os.urandom(4).hex())])
        except BaseException as error:  # noqa: BLE001  shown below
            problems.append(error)

    threads = [threading.Thread(target=come, args=(storage,)) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(list(storages[0].summaries())) == len(storages)
    assert storages[0].problems() == []


def test_a_host_without_the_key_is_refused(host: Host, tmp_path: Path) -> None:
    """A host that lacks the key file, or has another passphrase, opens nothing and makes nothing."""
    saved(host(), [finished()])
    with pytest.raises(StorageError):
        host(config_dir=str(tmp_path / "elsewhere")).find(account_alias("acme", "default"))
    other = host(schema="apart", passphrase=lambda: "correct")
    saved(other, [finished()])
    assert host(schema="apart", passphrase=lambda: "correct").problems() == []
    with pytest.raises(StorageError):
        host(schema="apart", passphrase=lambda: "wrong").problems()


def test_schemas_are_stores_apart(host: Host, server: PostgresServer, database: str) -> None:
    """Two schemas of one database keep different logins; the address may name one."""
    saved(host(), [finished()])
    named = host(schema="second")
    assert list(named.summaries()) == []
    saved(named, [finished(), finished("other")])
    assert len(list(host(schema="second").summaries())) == 2


def test_tenants_of_one_database_see_nothing_of_each_other(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """Each role has a schema, a key and a rollback marker of its own, and no right in the other's schema."""

    def tenant(name: str, schema: str) -> PostgresStorage:
        url = server.url(database, user=f"{name}_{database}", more=f"&schema={schema}")
        settings = {"config_dir": str(tmp_path / "config"), "state_dir": str(tmp_path / "s")}
        return PostgresStorage(url, environ={}, **settings)

    for name in ("ann", "bob"):
        server.execute(database, f"CREATE ROLE {name}_{database} LOGIN")
        server.execute(database, f"CREATE SCHEMA {name} AUTHORIZATION {name}_{database}")
    ann, bob = tenant("ann", "ann"), tenant("bob", "bob")
    login = finished()
    saved(ann, [login, pending()])
    saved(bob, [finished()])
    ann.put_entry("client", b"of ann")
    assert bob.read(login.id) is None
    found = bob.find(login.alias or "")
    assert found is not None
    assert found.id != login.id
    assert (len(list(bob.summaries())), bob.entry("client")) == (1, None)
    assert len({path.name for path in (tmp_path / "config").glob("*.key")}) == 2
    assert len({path.name for path in (tmp_path / "config").glob("*.generation")}) == 2
    ann.rekey("keyfile")
    assert bob.about().epoch == 1
    with pytest.raises(StorageError):
        tenant("bob", "ann").summaries()
    for storage in (ann, bob):
        assert storage.problems() == []
        storage.close()


def test_an_older_row_put_back_is_refused(
    host: Host, server: PostgresServer, database: str
) -> None:
    """Whoever may write the tables cannot have an older refresh token believed."""
    login, other = finished(), pending()
    saved(host(), [login, other])
    server.execute(database, "CREATE TABLE kept AS SELECT * FROM login")
    saved(host(), [further(login)])
    server.execute(database, f"DELETE FROM login WHERE id = '{login.id}'")
    server.execute(database, f"INSERT INTO login SELECT * FROM kept WHERE id = '{login.id}'")
    storage = host()
    with pytest.raises(Damaged):
        storage.find(account_alias("acme", "default"))
    assert storage.read(other.id) == other
    with pytest.raises(Damaged):
        list(storage.summaries())


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM login WHERE state = 'awaiting_callback'",
        "UPDATE login SET version = version + 1",
        "UPDATE login SET secret = meta",
        "UPDATE audit SET body = body || '\\x00'::bytea WHERE seq = 1",
        "UPDATE audit SET mac = body WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "UPDATE head SET body = body || '\\x00'::bytea",
    ],
)
def test_what_is_changed_is_found(
    host: Host, server: PostgresServer, database: str, statement: str
) -> None:
    """Rows and events that were edited, added or removed in the database are named."""
    saved(host(), [complete(), pending(state="another")])
    server.execute(database, statement)
    try:
        assert host().problems() != []
    except Damaged:
        assert "head" in statement


def test_a_log_is_pruned_and_set_aside(host: Host, server: PostgresServer, database: str) -> None:
    """Old records go and the rest is still proved; a log whose end is damaged can be gone on from."""
    storage = host()
    config = OAuthConfig(service_name="acme", client_id="client")
    tokens = OAuthTokens(access_token="token", issued_at=NOW)
    import_tokens(storage, config, tokens, "here")
    forget_login(storage, import_tokens(storage, config, tokens, "gone"))
    last = storage.events()[-1].seq
    assert storage.prune(time.time() - 3600) is None
    done = storage.prune(time.time() + 1)
    assert done is not None
    assert (done.first, done.last, done.logins) == (1, last, 1)
    assert storage.verify().findings == []
    assert [event.seq for event in storage.events()] == [last + 1]
    server.execute(database, "INSERT INTO audit SELECT seq + 1, body, mac FROM audit")
    with pytest.raises(Damaged):
        import_tokens(storage, config, tokens, "late")
    assert storage.set_aside() is not None
    import_tokens(storage, config, tokens, "late")
    assert [one.account for one in host().summaries()] == ["here", "late"]


def test_hosts_write_one_chain(host: Host) -> None:
    """Events of threads on two hosts are one log, without a gap and each linked to the one before."""
    storages = [host("one"), host("two")]

    def write(storage: PostgresStorage) -> None:
        for number in range(10):
            event = Event(time=NOW, event=EventKind.REFUSED, origin=ORIGIN, reason=f"r{number}")
            storage.note(event)

    threads = [threading.Thread(target=write, args=(one,)) for one in storages * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records_of_logins(storages[0])) == 60
    assert storages[1].verify().findings == []


def test_a_removed_login_is_missed(host: Host, server: PostgresServer, database: str) -> None:
    """A login that vanished from the tables is damage, not somebody who never signed in."""
    saved(host(), [finished()])
    server.execute(database, "DELETE FROM login")
    with pytest.raises(Damaged):
        host().find(account_alias("acme", "default"))
