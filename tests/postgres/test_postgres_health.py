"""What a health check says: one answer in its time, whatever is wrong with the server or the rights."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest
from postgres_server import Host, PostgresServer
from stayfast import Failure, OAuthService, Success
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.driver import GRANTS
from stayfast.storage.postgres.schema import STEPS
from stayfast.testing.storage_contract import finished, saved

WITHIN = 1.0
SLACK = 6.0  # seconds that a busy machine may add; the bound of who names none is 10


class Place:
    """One database with tables, and the ways to it."""

    def __init__(self, server: PostgresServer, database: str, host: Host, place: Path) -> None:
        self.server, self.database, self.host, self._place = server, database, host, place
        self.role = f"role_of_{database}"
        host().probe()
        self.execute(f"CREATE ROLE {self.role} LOGIN CONNECTION LIMIT 1")

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.server.execute(self.database, statement)

    def grant(self) -> None:
        self.execute(*GRANTS.format(schema="stayfast", role=self.role).splitlines())

    def as_role(self, more: str = "") -> PostgresStorage:
        return PostgresStorage(
            self.server.url(self.database, user=self.role, more=more),
            config_dir=str(self._place / "config"), state_dir=str(self._place / "s"), environ={},
        )  # fmt: skip


Troubled = Callable[[Place], AbstractContextManager[PostgresStorage]]


@contextmanager
def no_rights(place: Place) -> Iterator[PostgresStorage]:
    yield place.as_role()


@contextmanager
def only_reading(place: Place) -> Iterator[PostgresStorage]:
    place.execute(
        f"GRANT USAGE ON SCHEMA stayfast TO {place.role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA stayfast TO {place.role}",
    )
    yield place.as_role()


@contextmanager
def wrong_schema(place: Place) -> Iterator[PostgresStorage]:
    place.grant()
    yield place.as_role(more="&schema=another")


@contextmanager
def no_database(place: Place) -> Iterator[PostgresStorage]:
    yield PostgresStorage(place.server.url("nowhere"), environ={})


@contextmanager
def standby(place: Place) -> Iterator[PostgresStorage]:
    place.server.execute(
        "postgres", f"ALTER DATABASE {place.database} SET default_transaction_read_only = on"
    )
    yield place.host("late")


@contextmanager
def pool_in_use(place: Place) -> Iterator[PostgresStorage]:
    storage = place.host("late", most_connections=1)
    storage.probe()
    with storage._connections.one():
        yield storage


@contextmanager
def no_more_connections(place: Place) -> Iterator[PostgresStorage]:
    place.grant()
    with psycopg.connect(place.server.url(place.database, user=place.role)):
        yield place.as_role()


@contextmanager
def another_writer(place: Place) -> Iterator[PostgresStorage]:
    with psycopg.connect(place.server.url(place.database)) as writer:
        writer.execute("SELECT one FROM stayfast.head FOR UPDATE")
        yield place.host("late")


@contextmanager
def frozen(place: Place, *, known: bool = True) -> Iterator[PostgresStorage]:
    storage = place.host("late")
    if known:
        storage.probe()
    assert place.server._process is not None
    main = place.server._process.pid
    children = subprocess.run(
        ["pgrep", "-P", str(main)], capture_output=True, text=True, check=True
    ).stdout.split()
    everybody = [main, *map(int, children)]
    for process in everybody:
        os.kill(process, signal.SIGSTOP)
    try:
        yield storage
    finally:
        for process in everybody:
            os.kill(process, signal.SIGCONT)


@contextmanager
def frozen_before(place: Place) -> Iterator[PostgresStorage]:
    with frozen(place, known=False) as storage:
        yield storage


@contextmanager
def stopped(place: Place) -> Iterator[PostgresStorage]:
    storage = place.host("late")
    storage.probe()
    place.server.stop()
    try:
        yield storage
    finally:
        place.server.start()


@contextmanager
def older_tables(place: Place) -> Iterator[PostgresStorage]:
    place.grant()
    place.execute(f"DELETE FROM migration WHERE version = {len(STEPS)}")
    yield place.as_role()


@contextmanager
def newer_tables(place: Place) -> Iterator[PostgresStorage]:
    place.execute(f"INSERT INTO migration (version) VALUES ({len(STEPS) + 1})")
    yield place.host("late")
    place.execute(f"DELETE FROM migration WHERE version > {len(STEPS)}")


@pytest.fixture
def place(server: PostgresServer, database: str, host: Host, tmp_path: Path) -> Place:
    return Place(server, database, host, tmp_path)


TROUBLES: list[Troubled] = [
    no_rights, only_reading, wrong_schema, no_database, standby, pool_in_use, no_more_connections,
    another_writer, frozen, frozen_before, stopped, older_tables, newer_tables,
]  # fmt: skip


@pytest.mark.parametrize("trouble", TROUBLES, ids=[one.__name__ for one in TROUBLES])
def test_the_check_answers_in_its_time(place: Place, trouble: Troubled) -> None:
    """It is a failure with a hint, and no exception."""
    with trouble(place) as storage:
        began = time.monotonic()
        answer = OAuthService(storage=storage).check(within=WITHIN)
        took = time.monotonic() - began
        storage.close()
    assert isinstance(answer, Failure)
    newer = trouble is newer_tables
    assert answer.code == ("STORAGE_NEWER_FORMAT" if newer else "STORAGE_UNAVAILABLE")
    assert answer.hint
    assert took < WITHIN + SLACK


def test_each_trouble_has_its_own_message(place: Place) -> None:
    """An operator can tell them apart by the message alone."""
    said = {}
    for trouble in (
        no_rights, no_database, only_reading, no_more_connections, wrong_schema, another_writer,
        newer_tables, older_tables, standby,
    ):  # fmt: skip
        with trouble(place) as storage:
            answer = OAuthService(storage=storage).check(within=WITHIN)
            storage.close()
        assert isinstance(answer, Failure)
        said[answer.error.replace("nowhere", place.database)] = trouble.__name__
    assert len(said) == 9, said


def test_the_check_is_good_again_afterwards(place: Place) -> None:
    """A pool whose connections were cut off in the middle of an answer is as new."""
    with another_writer(place) as storage:
        assert isinstance(OAuthService(storage=storage).check(within=0.2), Failure)
    service = OAuthService(storage=storage)
    assert isinstance(service.check(), Success)
    login = finished()
    saved(storage, [login])
    assert storage.read(login.id) == login
