"""The vault: sealed, private, atomic, and honest about what was done to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from freezegun import freeze_time
from stayfast.engine.errors import (
    Damaged,
    LoginBusy,
    NewerFormat,
    StorageError,
    StorageFull,
)
from stayfast.engine.summary import account_alias
from stayfast.storage import EncryptedFileStorage, open_storage
from stayfast.storage.vault.header import FORMAT
from stayfast.testing.storage_contract import (
    change,
    finished,
    further,
    pending,
    records_of_logins,
    saved,
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o700)
    before = os.umask(0)  # nothing may depend on it
    yield tmp_path
    os.umask(before)


def vault(place: Path, **options: object) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"), config_dir=str(place / "c"), environ={}, **options
    )


def sql(place: Path, *statements: str) -> None:
    """Do to the file what our code never would."""
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_everything_is_private_whatever_the_umask(place: Path) -> None:
    """Files are 0600 and directories 0700 from their first moment."""
    saved(vault(place), [pending()])
    with vault(place).lease("0" * 26, wait=0):
        pass
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.rglob("*")}
    assert {mode for name, mode in modes.items() if (place / "s" / name).is_file()} == {0o600}
    assert {modes["s"], modes["c"], modes["locks"]} == {0o700}


def test_nothing_readable_is_in_the_file(place: Path) -> None:
    """Provider, account, state and tokens are nowhere in the vault in clear."""
    saved(
        vault(place), [finished("some-provider", token="some-token"), pending(state="some-state")]
    )
    octets = b"".join(path.read_bytes() for path in (place / "s").iterdir() if path.is_file())
    for word in (b"some-provider", b"some-token", b"some-state", b"client", b"verifier"):
        assert word not in octets


@pytest.mark.parametrize("column", ["meta", "secret"])
def test_every_bit_of_a_sealed_row_counts(place: Path, column: str) -> None:
    """A flipped bit anywhere in a row is damage to that login and to no other."""
    one, two = finished("one"), finished("two")
    saved(vault(place), [one, two])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection:
        row = connection.execute(f"SELECT {column} FROM login WHERE id = ?", (one.id,)).fetchone()[
            0
        ]
    opened = vault(place)
    assert opened.read(one.id) == one
    keys = opened._vault_connection._keys
    assert keys is not None
    for bit in range(len(row) * 8):
        flipped = bytearray(row)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Damaged):
            keys.open_row(column, one.id, one.version, one.state.value, bytes(flipped))
    for length in range(len(row)):
        with pytest.raises(Damaged):
            keys.open_row(column, one.id, one.version, one.state.value, row[:length])


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE login SET secret = zeroblob(100)",
        "UPDATE login SET version = version + 1",
        "UPDATE login SET state = 'idle'",
        "DELETE FROM login",
        "UPDATE head SET body = zeroblob(40)",
        "DELETE FROM head",
    ],
)
def test_what_was_done_to_the_file_is_noticed(place: Path, deed: str) -> None:
    """An edited, moved or missing row is said; it is never read as if nothing had happened."""
    login = finished()
    saved(vault(place), [login])
    sql(place, deed)
    with pytest.raises(Damaged) as caught:
        vault(place).find(account_alias("acme", "default"))
    assert caught.value.exit_code == 8


def test_an_older_row_put_back_is_noticed(place: Path) -> None:
    """An older version of a login, perfectly sealed, is not taken for the newest."""
    login = finished(token="old")
    saved(vault(place), [login])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection:
        older = connection.execute("SELECT * FROM login").fetchone()
    saved(vault(place), [further(login)])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("DELETE FROM login")
        connection.execute(f"INSERT INTO login VALUES ({','.join('?' * len(older))})", older)
    with pytest.raises(Damaged):
        vault(place).read(login.id)


def test_two_rows_cannot_change_places(place: Path) -> None:
    """A row put under another login's id does not open there."""
    one, two = finished("one"), finished("two")
    saved(vault(place), [one, two])
    sql(
        place,
        f"UPDATE login SET secret = (SELECT secret FROM login WHERE id = '{two.id}'),"
        f" meta = (SELECT meta FROM login WHERE id = '{two.id}') WHERE id = '{one.id}'",
    )
    with pytest.raises(Damaged):
        vault(place).read(one.id)
    assert vault(place).problems()


def test_a_lost_header_is_read_from_its_copy(place: Path) -> None:
    """The header is kept twice; without either the vault is refused, not remade."""
    login = finished()
    saved(vault(place), [login])
    sql(place, "DELETE FROM header")
    assert vault(place).read(login.id) == login
    (place / "s" / "vault.header").unlink()
    with pytest.raises(Damaged):
        vault(place).read(login.id)


def test_a_newer_vault_is_refused(place: Path) -> None:
    """What a newer version wrote is not half-read."""
    saved(vault(place), [finished()])
    sql(place, f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(NewerFormat):
        vault(place).read("x")


def test_the_right_key_is_needed(place: Path) -> None:
    """A wrong passphrase, or a missing key file, is a clear error and changes nothing."""
    made = EncryptedFileStorage(str(place / "p"), passphrase=lambda: "right", environ={})
    login = finished()
    saved(made, [login])
    for wrong in ("wrong", None):
        other = EncryptedFileStorage(str(place / "p"), passphrase=lambda: wrong, environ={})  # noqa: B023
        with pytest.raises(StorageError) as caught:
            other.read(login.id)
        assert caught.value.exit_code == 7
    assert (
        EncryptedFileStorage(str(place / "p"), passphrase=lambda: "right", environ={}).read(
            login.id
        )
        == login
    )

    saved(vault(place), [login])
    (key,) = (place / "c").glob("*.key")
    key.unlink()
    with pytest.raises(StorageError):
        vault(place).read(login.id)


def open_directory(place: Path) -> None:
    (place / "s").chmod(0o755)


def open_file(place: Path) -> None:
    (place / "s" / "vault.db").chmod(0o644)


def link(place: Path) -> None:
    real = place / "s" / "vault.db"
    real.rename(place / "elsewhere")
    real.symlink_to(place / "elsewhere")


def hard_link(place: Path) -> None:
    os.link(place / "s" / "vault.db", place / "another-name")


def foreign(place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(place / "s" / "vault.db", 12345, -1)


def writable_parent(place: Path) -> None:
    place.chmod(0o777)


def open_key(place: Path) -> None:
    (key,) = (place / "c").glob("*.key")
    key.chmod(0o644)


@pytest.mark.parametrize(
    "deed", [open_directory, open_file, link, hard_link, foreign, writable_parent, open_key]
)
def test_what_others_could_touch_is_refused(place: Path, deed: object) -> None:
    """A directory or file that is not this user's alone is refused, with what mends it."""
    assert callable(deed)
    saved(vault(place), [finished()])
    deed(place)
    with pytest.raises(StorageError) as caught:
        vault(place).find(account_alias("acme", "default"))
    assert caught.value.hint
    with pytest.raises(StorageError):
        saved(vault(place), [pending()])


def test_the_choice_is_made_once_and_said(place: Path) -> None:
    """A vault says how its key is kept when it is made, and is opened that way from then on."""
    said: list[str] = []
    environ = {"STAYFAST_KEYRING": "nowhere:Nothing"}
    options = {
        "state_dir": str(place / "s"),
        "config_dir": str(place / "c"),
        "announce": said.append,
    }
    first = open_storage("auto", environ=environ, **options)
    saved(first, [finished()])  # type: ignore[arg-type]
    assert len(said) == 1
    again = open_storage("auto", environ=environ, **options)
    assert again.find(account_alias("acme", "default")) is not None
    assert len(said) == 1
    with pytest.raises(StorageError):
        open_storage("keyring", environ=environ, **options).find("x")
    with pytest.raises(StorageError):
        open_storage("keyring", environ=environ, state_dir=str(place / "k")).probe()


def test_looking_makes_nothing(place: Path) -> None:
    """Reading where there is no vault yet leaves no trace."""
    assert vault(place).find("account\0a\0b") is None
    assert list(vault(place).summaries()) == []
    assert list(place.iterdir()) == []


def test_a_full_disk_is_said_and_costs_nothing(place: Path) -> None:
    """When there is no space left the change is refused, and what was there is still there."""
    script = (
        "import resource, sys; sys.path[:0] = sys.argv[3:]\n"
        "from stayfast.storage import EncryptedFileStorage\n"
        "from stayfast.engine.errors import StorageError\n"
        "from stayfast.testing.storage_contract import saved, pending\n"
        "v = EncryptedFileStorage(sys.argv[1], config_dir=sys.argv[2], environ={})\n"
        "saved(v, [pending(state='first')])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (49152, 49152))\n"
        "for n in range(200):\n"
        "    try: saved(v, [pending(state=str(n))])\n"
        "    except StorageError as e: print(e.code); break\n"
        "print(len(list(v.summaries())), v.problems())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(place / "s"), str(place / "c")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0] in {
        StorageFull.code,
        StorageError.code,
        "STORAGE_OUTCOME_UNKNOWN",
    }
    assert done.stdout.splitlines()[1].endswith("[]")
    assert vault(place).problems() == []


_COUNTER = """
import sys
from stayfast.engine.errors import StorageConflict
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import change, further
v = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
done = 0
while done < 25:
    try: v.commit([change(further(v.read(sys.argv[2])))])
    except StorageConflict: continue
    done += 1
"""


def test_processes_never_lose_an_update(place: Path) -> None:
    """Four processes that count in one login end at the right number."""
    login = finished()
    saved(vault(place), [login])
    workers = [
        subprocess.Popen([sys.executable, "-c", _COUNTER, str(place), login.id]) for _ in range(4)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0, 0]
    counted = vault(place).read(login.id)
    assert counted is not None
    assert counted.version == 101
    assert len(records_of_logins(vault(place))) == 101


_WRITER = """
import sys
from stayfast.storage import EncryptedFileStorage
from stayfast.testing.storage_contract import change, further
v = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
login = v.read(sys.argv[2])
with v.lease(login.id, wait=5):
    while True:
        login = further(v.read(login.id))
        v.commit([change(login)])
        print(login.version, flush=True)
"""


def test_kill_9_at_any_moment_loses_nothing(place: Path) -> None:
    """After each of 25 kills the vault opens, with the last acknowledged version and its event."""
    login = finished()
    saved(vault(place), [login])
    for round_ in range(25):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(place), login.id], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline() for _ in range(1 + round_ % 7)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        last = int((rest.split() or acknowledged)[-1])
        opened = vault(place)
        found = opened.read(login.id)
        assert found is not None
        assert found.version in {last, last + 1}
        assert opened.problems() == []
        assert len(records_of_logins(opened)) == found.version
        with opened.lease(login.id, wait=0):
            pass


def test_a_frozen_clock_stops_no_deadline(place: Path) -> None:
    """Waiting for a lease ends although freezegun has stopped the time."""
    with vault(place).lease("0" * 26, wait=0), freeze_time("2030-01-01"):
        waiting = vault(place).lease("0" * 26, wait=0.05)
        with pytest.raises(LoginBusy), waiting:
            pass


def test_a_forked_child_uses_the_vault(place: Path) -> None:
    """After a fork both processes go on, each with a connection of its own."""
    login = finished()
    storage = vault(place)
    saved(storage, [login])
    child = os.fork()
    if child == 0:
        storage.commit([change(further(login))])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    found = storage.read(login.id)
    assert found is not None
    assert found.version == 2


@pytest.mark.parametrize("name", ["a?mode=memory", "b#c", "d%41", "é ü&x=1"])
def test_a_directory_may_have_signs_that_mean_something_to_sqlite(place: Path, name: str) -> None:
    """The name of the state directory is taken as it is; the vault is in no other place."""
    login = finished()
    where, key = place / name, place / "c"
    saved(EncryptedFileStorage(str(where), config_dir=str(key), environ={}), [login])
    assert EncryptedFileStorage(str(where), config_dir=str(key), environ={}).read(login.id) == login
    assert sorted(path.name for path in place.iterdir()) == sorted(["c", name])


def test_a_list_reads_every_login_with_one_statement(place: Path) -> None:
    """What is compared with the integrity record is what is shown, and nothing is written."""
    logins = [finished(f"p{number}") for number in range(20)]
    saved(vault(place), logins)
    reader = vault(place)
    assert reader.read(logins[0].id) == logins[0]
    connection = reader._vault_connection._connection
    assert connection is not None
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    assert len(list(reader.summaries())) == len(logins)
    assert len([one for one in statements if "FROM login" in one]) == 1
    assert not [one for one in statements if one.startswith(("INSERT", "UPDATE", "DELETE"))]
