"""What an operator does with a database of logins: look at it, change its key, mend it, clear it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CONFIG
from postgres_server import Host, PostgresServer
from stayfast.engine.audit.findings import CHAIN, Finding
from stayfast.engine.errors import Damaged, StorageConflict, StorageError
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State, Trigger
from stayfast.storage.postgres import PostgresStorage, key_change, resealing
from stayfast.storage.postgres.driver import GRANTS_TO_PURGE
from stayfast.storage.postgres.host_lock import hold_host_lock
from stayfast.storage.vault.header import decode_header
from stayfast.testing.storage_contract import change, finished, further, pending, saved


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


REFUSE_A_ROW = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF NEW.id = '{login}' THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON login FOR EACH ROW EXECUTE FUNCTION refuse();
"""
REFUSE_THE_HEADER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN IF (SELECT count(*) FROM login WHERE epoch = 2) {when}
    THEN RAISE EXCEPTION 'refused'; END IF; RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON header FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.fixture
def interrupted(
    host: Host, server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> list[Login]:
    """A database whose change of the key ended after some of its logins, which are in order of their ids."""
    monkeypatch.setattr(resealing, "BATCH", 2)
    logins = sorted([finished(f"acme{number}") for number in range(6)], key=lambda one: one.id)
    saved(host(), logins)
    server.execute(database, REFUSE_A_ROW.format(login=logins[4].id))
    with pytest.raises(StorageError):
        host("operator").rekey("keyfile")
    server.execute(database, "DROP FUNCTION refuse CASCADE")
    assert dict(server.execute(database, "SELECT epoch, count(*) FROM login GROUP BY epoch")) == {
        1: 2, 2: 4,
    }  # fmt: skip
    return logins


@pytest.mark.parametrize("finish", ["mend", "rekey"])
def test_an_interrupted_change_of_the_key_goes_on(
    host: Host, server: PostgresServer, database: str, interrupted: list[Login], finish: str
) -> None:
    """Until then every login is read, found and listed; afterwards the former key is forgotten."""
    program = host("program")
    for login in interrupted:
        assert program.read(login.id) == login
        assert program.find(login.alias or "") == login
    assert program.find(account_alias("nobody", "default")) is None
    assert {one.id for one in program.summaries()} == {one.id for one in interrupted}
    assert program.about().under_former_key == 2
    assert program.problems() == []
    operator = host("operator")
    if finish == "mend":
        assert operator.mend() == []
    else:
        operator.rekey("keyfile")
    ((body,),) = server.execute(database, "SELECT body FROM header")
    assert decode_header(body).former is None
    assert operator.about().under_former_key == 0
    for storage in (program, operator, host("late")):
        assert [storage.find(one.alias or "") for one in interrupted] == interrupted
        assert storage.problems() == []
    assert chain_problems(operator) == []


def test_a_process_changes_a_key_that_another_has_changed_meanwhile(host: Host) -> None:
    """Also where the database has had earlier keys: it begins with the key that is the present one."""
    login = finished("acme")
    one, two = host("one"), host("two")
    saved(one, [login])
    one.rekey("keyfile")
    assert two.read(login.id) == login
    one.rekey("keyfile")
    two.rekey("keyfile")
    assert two.about().epoch == 4
    assert one.read(login.id) == two.read(login.id) == login
    assert two.problems() == []


def test_two_changes_of_the_key_on_one_host_take_turns(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends with the removal of the key files that open nothing, such as the next one's new file."""
    monkeypatch.setattr(key_change, "_WAIT", 0.0)
    host().probe()
    with hold_host_lock(str(tmp_path / "one" / "locks"), "rekey", wait=0, what=""):
        with pytest.raises(StorageError) as raised:
            host().rekey("keyfile")
        assert raised.value.hint
    host().rekey("keyfile")
    assert host().about().epoch == 2


def test_mending_under_a_key_that_another_has_replaced_sets_nothing_aside(host: Host) -> None:
    """It notices the new key first, however short the time since: nothing opens under the former one."""
    login = finished("acme")
    one, two = host("one"), host("two")
    saved(one, [login])
    assert two.read(login.id) == login
    one.rekey("keyfile")
    assert two.mend() == []
    assert one.read(login.id) == two.read(login.id) == login
    assert one.problems() == two.problems() == []


def test_a_change_of_the_key_that_others_have_finished_finds_no_damage(
    host: Host, server: PostgresServer, database: str, interrupted: list[Login]
) -> None:
    """Its process was stopped, and the rows are under a key by now that it does not know."""
    stopped = host("stopped")
    assert stopped.about().under_former_key == 2
    server.execute(database, REFUSE_A_ROW.format(login=interrupted[0].id))
    host("operator").mend()
    with pytest.raises(StorageError):
        host("operator").rekey("keyfile")
    server.execute(database, "DROP FUNCTION refuse CASCADE")
    for one in interrupted[1:]:
        saved(host("program"), [further(one)])
    stopped.mend()
    assert stopped.about().under_former_key == 0
    assert stopped.problems() == []


def test_writers_seal_under_the_new_key_meanwhile(
    host: Host, server: PostgresServer, database: str, interrupted: list[Login]
) -> None:
    """A login that is changed goes over to it; a second login of an account is refused as ever."""
    program = host("program")
    old = interrupted[5]
    with pytest.raises(StorageConflict):
        saved(program, [finished(old.provider)])
    saved(program, [further(old)])
    assert program.find(old.alias or "") == further(old)
    assert program.about().under_former_key == 1
    with pytest.raises(StorageConflict):
        saved(program, [finished(old.provider)])
    host("operator").mend()
    assert program.find(old.alias or "") == further(old)
    assert program.problems() == []


def test_a_row_put_back_meanwhile_is_noticed(
    host: Host, server: PostgresServer, database: str, interrupted: list[Login]
) -> None:
    """Whoever has the former key cannot put a row back that was sealed under it."""
    login = interrupted[0]
    (before,) = server.execute(
        database,
        f"SELECT version, epoch, idx, meta, secret FROM login WHERE id = '{interrupted[5].id}'",
    )
    saved(host(), [further(interrupted[5])])
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(
            "UPDATE stayfast.login SET version = %s, epoch = %s, idx = %s, meta = %s, secret = %s"
            " WHERE id = %s",
            (*before, interrupted[5].id),
        )
    with pytest.raises(Damaged):
        host("program").read(interrupted[5].id)
    assert host("program").read(login.id) == login


@pytest.mark.parametrize("when", ["= 0", "> 0"], ids=["begin", "end"])
def test_a_change_of_the_key_that_the_server_refuses(
    host: Host, server: PostgresServer, database: str, when: str
) -> None:
    """At its beginning nothing has changed; at its end everything is under the new key already."""
    logins = [finished(f"acme{number}") for number in range(3)]
    saved(host(), logins)
    server.execute(database, REFUSE_THE_HEADER.format(when=when))
    with pytest.raises(StorageError):
        host("operator").rekey("keyfile")
    server.execute(database, "DROP FUNCTION refuse CASCADE")
    began = when != "= 0"
    storage = host("late")
    assert storage.about().epoch == (2 if began else 1)
    assert [storage.read(one.id) for one in logins] == logins
    host("operator").rekey("keyfile")
    assert host("last").about().epoch == (3 if began else 2)
    assert [storage.read(one.id) for one in logins] == logins


def test_tokens_kept_aside_on_another_host_outlive_the_key(
    host: Host, server: PostgresServer, tmp_path: Path
) -> None:
    """Tokens that came while the server was away are saved after two changes of the key."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    (tmp_path / "run").mkdir(mode=0o700)
    there = host("there", environ=environ, patience=0.0)
    login, saving = arrival(there)
    server.stop()
    with pytest.raises(StorageError) as caught:
        there.commit([saving])
    assert caught.value.kept is not None
    server.start()
    operator = host("operator", environ={"XDG_RUNTIME_DIR": str(tmp_path / "other")})
    operator.rekey("keyfile")
    operator.rekey("keyfile")
    later = host("there", environ=environ)
    assert later.read(login.id) == saving.login
    assert operator.read(login.id) == saving.login
    assert [*(tmp_path / "run").rglob("*.sealed")] == []


def arrival(storage: PostgresStorage) -> tuple[Login, Change]:
    """A saved login, and a change that brings new tokens."""
    login = finished()
    saved(storage, [login])
    made = change(further(login))
    return login, replace(made, event=replace(made.event, trigger=Trigger.ACCEPT_TOKENS))


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
