"""The audit log in PostgreSQL proves itself like the one in the vault."""

from __future__ import annotations

import psycopg
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.findings import FindingCode
from stayfast.storage.postgres import PostgresStorage
from wandering import Wanderer


def test_it_verifies_and_names_what_was_done(
    host: Host, server: PostgresServer, database: str
) -> None:
    """What several hosts wrote follows; a record that the database's owner took out is named."""
    hosts: list[PostgresStorage] = [host(name) for name in ("one", "two")]
    for number, storage in enumerate(hosts):
        Wanderer(storage, 3, number).steps(20, at_once=5)
    found = hosts[0].verify()
    assert (found.findings, found.records, found.logins) == ([], 40, 6)
    with psycopg.connect(server.url(database), autocommit=True) as owner:
        owner.execute("DELETE FROM stayfast.audit WHERE seq = 7")
    named = hosts[1].verify().findings
    assert [(one.code, one.seq) for one in named] == [(FindingCode.MISSING, 7)]
