"""What an operator does with a database of logins: look at it, change its key, mend it, clear it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CONFIG
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.findings import CHAIN, Finding
from stayfast.engine.errors import Damaged, StorageError
from stayfast.engine.record import account_alias
from stayfast.engine.table import State
from stayfast.storage.postgres import PostgresStorage
from stayfast.storage.postgres.driver import GRANTS_TO_PURGE
from stayfast.testing.storage_contract import finished, further, pending, saved


def chain_problems(storage: PostgresStorage) -> list[Finding]:
    """What is wrong with the chain; the events of the samples tell no legal histories."""
    return [one for one in storage.verify().findings if one.code in CHAIN]


def test_an_operator_sees_what_is_there(host: Host, server: PostgresServer, database: str) -> None:
    """Counts by state, the key, the version of the tables, and which login has waited longest."""
    storage = host()
    first, second = pending(), pending(state="another")
    saved(storage, [first, second, finished(), finished("other"), finished("third")])
    with storage.lease(first.id, wait=0):
        info = storage.about()
    assert info.states == {
        State.AWAITING_CALLBACK.value: 2, State.AUTHENTICATED.value: 3,
    }  # fmt: skip
    assert info.logins == 5
    assert info.oldest_pending is not None
    assert info.oldest_pending.created_at == min(first.created_at, second.created_at)
    assert (info.key, info.keys, info.epoch) == ("keyfile", ("keyfile",), 1)
    assert info.leased == 1
    assert info.schema == "stayfast"
    assert info.records >= 6
    assert info.size > 0


@pytest.mark.parametrize("kind", ["keyfile", "passphrase"])
def test_programs_at_work_go_on_under_a_new_key(host: Host, kind: str) -> None:
    """A process that had the database open under the former key reads and writes, and notices nothing."""
    login, other = finished(), pending()
    at_work, operator = host("one", passphrase=lambda: "p"), host("two", passphrase=lambda: "p")
    saved(at_work, [login, other])
    at_work.put_entry("client", b"value")
    operator.rekey(kind, "p" if kind == "passphrase" else None)
    assert at_work.entry("client") == b"value"
    operator.rekey(kind, "p" if kind == "passphrase" else None)
    assert [one.id for one in at_work.beginning(login.id[:6])] == [login.id]
    operator.rekey(kind, "p" if kind == "passphrase" else None)
    saved(at_work, [further(login)])
    operator.rekey(kind, "p" if kind == "passphrase" else None)
    assert at_work.find(account_alias("acme", "default")) == further(login)
    operator.rekey(kind, "p" if kind == "passphrase" else None)
    assert {one.id for one in at_work.summaries()} == {login.id, other.id}
    assert operator.about().epoch == 6
    assert at_work.problems() == operator.problems() == []
    assert chain_problems(at_work) == []
    assert host("three", passphrase=lambda: "p").read(other.id) == other


def test_a_former_key_opens_nothing(host: Host, tmp_path: Path) -> None:
    """Whoever has only the key that leaked is refused."""
    saved(host(), [finished()])
    leaked = tmp_path / "leaked"
    leaked.mkdir(mode=0o700)
    (key,) = (tmp_path / "config").glob("*.key")
    copy = leaked / key.name
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    host().rekey("keyfile")
    with pytest.raises(StorageError):
        host(config_dir=str(leaked)).find(account_alias("acme", "default"))
    assert host().find(account_alias("acme", "default")) is not None


def test_a_key_is_changed_under_load(host: Host) -> None:
    """Writers on two hosts lose no commit while the key is changed again and again."""
    done: dict[int, int] = {}
    problems: list[BaseException] = []
    stop = threading.Event()

    def work(number: int) -> None:
        try:
            storage = host("one" if number % 2 else "two")
            login = finished(f"acme{number}")
            saved(storage, [login])
            while not stop.is_set():
                login = further(login)
                saved(storage, [login])
                assert storage.read(login.id) == login
            done[number] = login.version
        except BaseException as error:  # noqa: BLE001  shown below
            problems.append(error)

    host().probe()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        host("operator").rekey("keyfile")
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    storage = host("late")
    assert storage.problems() == []
    assert chain_problems(storage) == []
    assert {one.version for one in storage.summaries()} == set(done.values())


def test_what_does_not_open_is_set_aside(host: Host, server: PostgresServer, database: str) -> None:
    """A row that was changed, and one that vanished, no longer keep the others from being read."""
    torn, gone, sound = finished("torn"), finished("gone"), finished("sound")
    saved(host(), [torn, gone, sound])
    server.execute(database, f"UPDATE login SET secret = meta WHERE id = '{torn.id}'")
    server.execute(database, f"DELETE FROM login WHERE id = '{gone.id}'")
    storage = host()
    assert storage.problems() != []
    done = storage.mend()
    assert {one.login for one in done} >= {torn.id, gone.id}
    assert storage.problems() == []
    assert chain_problems(storage) == []
    assert [one.id for one in storage.summaries()] == [sound.id]
    assert len(storage.about().quarantined) == 1
    assert storage.mend() == []
    saved(storage, [finished("torn")])


def test_a_damaged_integrity_record_is_made_anew(
    host: Host, server: PostgresServer, database: str
) -> None:
    """The logins are as they were, and the log says so."""
    login = finished()
    saved(host(), [login])
    server.execute(database, "UPDATE head SET body = body || '\\x00'::bytea")
    storage = host()
    with pytest.raises(Damaged):
        storage.read(login.id)
    assert storage.mend() != []
    assert storage.read(login.id) == login


def test_the_key_and_the_tables_are_their_owners(
    host: Host, server: PostgresServer, database: str, user: str, tmp_path: Path
) -> None:
    """A role with the documented rights looks, and neither changes the key nor sets anything aside."""
    storage = PostgresStorage(
        server.url(database, user=user), config_dir=str(tmp_path / "config"),
        state_dir=str(tmp_path / "other"), environ={},
    )  # fmt: skip
    saved(storage, [finished()])
    assert storage.about().logins == 1
    before = sorted(path.name for path in (tmp_path / "config").glob("*.key"))
    with pytest.raises(StorageError):
        storage.rekey("keyfile")
    assert storage.find(account_alias("acme", "default")) is not None
    assert host().about().epoch == 1
    assert before[0] in [path.name for path in (tmp_path / "config").glob("*.key")]
    storage.close()


def test_logins_that_are_over_go(
    host: Host, user: str, server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """By the owner of the tables, or a role that was given that right; the log is still proved."""
    clock = ManualClock()
    conductor = conductor_over(host(), clock=clock)
    transport = InstantTransport(lambda _url: [])
    over, waiting = (conductor.start(CONFIG, transport).login_id for _ in range(2))
    conductor.cancel(over)
    clock.time += 100
    settings = {
        "config_dir": str(tmp_path / "config"),
        "state_dir": str(tmp_path / "o"),
        "environ": {},
    }
    restricted = PostgresStorage(server.url(database, user=user), **settings)
    with pytest.raises(StorageError):
        restricted.purge(clock.now())
    for grant in GRANTS_TO_PURGE.format(schema="stayfast", role=user).splitlines():
        server.execute(database, grant)
    assert restricted.purge(clock.now()) == 1
    assert restricted.purge(clock.now()) == 0
    restricted.close()
    storage = host()
    assert [one.id for one in storage.summaries()] == [waiting]
    assert storage.problems() == []
    assert storage.verify().findings == []
