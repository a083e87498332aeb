"""One server for all tests, a database for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import World
from postgres_server import Host, PostgresServer
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.driver import GRANTS
from stayfast.testing.authorization_server import AuthorizationServer


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(cluster: PostgresServer) -> Iterator[PostgresServer]:
    yield cluster
    if cluster._process is None:
        cluster.start()


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def world(
    tmp_path: Path, provider: AuthorizationServer, server: PostgresServer, database: str
) -> World:
    """The command, whose logins are in the database."""
    tmp_path.chmod(0o700)
    return World(tmp_path, provider, {"STAYFAST_STORE": server.url(database)})


@pytest.fixture
def database(server: PostgresServer) -> str:
    return server.new_database()


@pytest.fixture
def host(server: PostgresServer, database: str, tmp_path: Path) -> Iterator[Host]:
    """Makes the storage of a process on a host of that name; all have the key file in common."""
    tmp_path.chmod(0o700)
    made: list[PostgresStorage] = []

    def make(name: str = "one", **named: object) -> PostgresStorage:
        settings = {
            "config_dir": str(tmp_path / "config"),
            "state_dir": str(tmp_path / name),
            "environ": {},
            **named,
        }
        storage = PostgresStorage(server.url(database), **settings)
        made.append(storage)
        return storage

    yield make
    for storage in made:
        storage.close()


@pytest.fixture
def storage(host: Host) -> PostgresStorage:
    return host()


@pytest.fixture
def user(server: PostgresServer, database: str, storage: PostgresStorage) -> str:
    """A role that has only what the documented grants give it."""
    storage.probe()  # the tables are made, by their owner
    name = f"user_of_{database}"
    server.execute(database, f"CREATE ROLE {name} LOGIN")
    for grant in GRANTS.format(schema="stayfast", role=name).splitlines():
        server.execute(database, grant)
    return name
