"""The audit log in PostgreSQL proves itself like the one in the vault."""

from __future__ import annotations

import psycopg
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.events import EventKind
from stayfast.engine.audit.findings import FindingCode
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.storage_contract import change, pending, records_of_logins
from wandering import Wanderer


def test_it_verifies_and_names_what_was_done(
    host: Host, server: PostgresServer, database: str
) -> None:
    """What several hosts wrote follows; a record that the database's owner took out is named."""
    hosts: list[PostgresStorage] = [host(name) for name in ("one", "two")]
    for number, storage in enumerate(hosts):
        Wanderer(storage, 3, number).steps(20, at_once=5)
    found = hosts[0].verify()
    assert (found.findings, found.logins) == ([], 6)
    assert len(records_of_logins(hosts[1])) == 40
    with psycopg.connect(server.url(database), autocommit=True) as owner:
        owner.execute("DELETE FROM stayfast.audit WHERE seq = 7")
    named = hosts[1].verify().findings
    assert [(one.code, one.seq) for one in named] == [(FindingCode.MISSING, 7)]


def test_the_log_begins_with_the_making(host: Host, server: PostgresServer, database: str) -> None:
    """The tables and the record that says so are there together; it is given out once."""
    maker, other = host("one"), host("two")
    maker.probe()
    (created,) = other.events()
    assert (created.seq, created.members["event"]) == (1, EventKind.STORAGE_CREATED)
    assert created.members["detail"] == "key=keyfile"
    with psycopg.connect(server.url(database)) as owner:
        made = owner.execute(
            "SELECT count(DISTINCT xmin::text) FROM (SELECT xmin FROM stayfast.audit"
            " UNION ALL SELECT xmin FROM stayfast.migration) AS rows"
        ).fetchone()
    assert made == (1,)  # one transaction
    assert other.commit([change(pending(state="two"))])[0].seq == 2
    given = maker.commit([change(pending(state="one"))])
    assert [one.seq for one in given] == [1, 3]
    assert [one.seq for one in maker.commit([change(pending(state="more"))])] == [4]
