"""A pooler between us and the database, which gives each transaction any session of the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PgBouncer, PostgresServer
from stayfast.engine.errors import ConfigInvalid
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.address import Address
from stayfast.testing.sample_logins import NOW
from stayfast.testing.storage_contract import StorageContract, finished, further, pending, saved


@pytest.fixture(scope="module", params=["", "ignore_startup_parameters = options"])
def pooler(cluster: PostgresServer, request: pytest.FixtureRequest) -> Iterator[PgBouncer]:
    """One that refuses what a session begins with, and one that drops it."""
    running = PgBouncer(cluster, more=request.param)
    yield running
    running.remove()


def opened(pooler: PgBouncer, database: str, place: Path) -> Iterator[PostgresStorage]:
    place.chmod(0o700)
    storage = PostgresStorage(
        pooler.url(database), config_dir=str(place / "c"), state_dir=str(place / "s"), environ={}
    )
    yield storage
    storage.close()


@pytest.fixture
def storage(
    pooler: PgBouncer, server: PostgresServer, database: str, tmp_path: Path
) -> Iterator[PostgresStorage]:
    yield from opened(pooler, database, tmp_path)


class TestThroughAPooler(StorageContract):
    """What every storage promises."""

    @pytest.fixture
    def storage(
        self, pooler: PgBouncer, server: PostgresServer, database: str, tmp_path: Path
    ) -> Iterator[PostgresStorage]:
        yield from opened(pooler, database, tmp_path)


def test_sessions_that_are_shared_mix_nothing_up(
    storage: PostgresStorage, pooler: PgBouncer, database: str, tmp_path: Path
) -> None:
    """Two schemas of one database, many threads and three sessions: each finds its own tables."""
    other = PostgresStorage(
        pooler.url(database), schema="second", config_dir=str(tmp_path / "c"),
        state_dir=str(tmp_path / "s"), environ={},
    )  # fmt: skip
    problems: list[BaseException] = []

    def work(own: PostgresStorage, number: int) -> None:
        try:
            login = finished(f"acme{number}")
            saved(own, [login])
            for _ in range(5):
                login = further(login)
                with own.lease(login.id, wait=10) as lease:
                    lease.keep()
                    saved(own, [login])
                assert own.read(login.id) == login
        except BaseException as error:  # noqa: BLE001  shown below
            problems.append(error)

    storage.probe()
    other.probe()
    threads = [
        threading.Thread(target=work, args=(own, number))
        for own in (storage, other)
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    for own in (storage, other):
        assert len(list(own.summaries())) == 6
        assert own.problems() == []
    other.close()


def test_upkeep_works_through_a_pooler(storage: PostgresStorage) -> None:
    """The key is changed, a look at everything is a look at one moment, and the log is cut."""
    login = finished()
    saved(storage, [login, pending()])
    storage.rekey("keyfile")
    assert storage.read(login.id) == login
    assert storage.about().logins == 2
    assert storage.problems() == []
    assert storage.prune(1.0) is None
    assert storage.purge(NOW) == 0


@pytest.mark.parametrize(
    ("more", "patience", "pool"), [("", None, None), ("?patience=3&pool=2&schema=x", 3, 2)]
)
def test_the_address_says_how_patient_it_is(
    more: str, patience: int | None, pool: int | None
) -> None:
    """Patience, pool and schema may stand in the address; libpq never sees them."""
    address = Address(f"postgresql://h/d{more}", environ={})
    assert (address.patience, address.pool) == (patience, pool)
    assert not {"patience", "pool", "schema"} & set(address.settings())


@pytest.mark.parametrize("more", ["patience=soon", "pool=0", "pool=-1", "patience=1e3", "pool="])
def test_a_number_in_the_address_that_is_none_is_refused(more: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigInvalid):
        Address(f"postgresql://h/d?{more}", environ={})
