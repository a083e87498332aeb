"""The vault among other connections, full disks, leftovers and torn bytes."""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from stayfast.engine.errors import Damaged, StayfastError, StorageError
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.engine.summary import account_alias
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.audit import check
from stayfast.storage.migrating import import_tokens
from stayfast.storage.private_file import ensure_directory, write_private
from stayfast.storage.vault import page_check
from stayfast.storage.vault.file import BUSY_MS
from stayfast.storage.vault.header import decode_copy, encode_copy
from stayfast.testing.storage_contract import (
    change,
    finished,
    further,
    pending,
    records_of_logins,
    saved,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, **environ: str) -> EncryptedFileStorage:
    return EncryptedFileStorage(str(place / "s"), config_dir=str(place / "c"), environ=environ)


def test_opening_takes_no_lock_away(place: Path) -> None:
    """Opening the vault again leaves the transaction of another connection of this process alone.

    POSIX locks belong to the process: closing any descriptor of the file would drop them all, and
    another process would take the journal of a living transaction for that of a dead one.
    """
    login = finished()
    saved(vault(place), [login])
    ask = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "try: c.execute('BEGIN IMMEDIATE'); print('free')\n"
        "except sqlite3.OperationalError: print('held')"
    )
    database = str(place / "s" / "vault.db")
    with vault(place)._vault_connection.writing() as (connection, _):
        assert connection.in_transaction
        assert vault(place).read(login.id) == login
        done = subprocess.run(
            [sys.executable, "-c", ask, database], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "held"


def impatient(storage: EncryptedFileStorage) -> EncryptedFileStorage:
    """``storage``, waiting 20 ms where it would wait for 5 s, with its journal beside it.

    A write-ahead log lets readers and writers pass each other; most vaults have none.
    """
    connection = storage._vault_connection._connection
    assert connection is not None
    connection.execute("PRAGMA busy_timeout = 20")
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    return storage


def test_a_refused_commit_leaves_no_transaction_open(place: Path) -> None:
    """When SQLite will not commit, the change is undone and the next one is not in its way."""
    login = finished()
    storage = vault(place)
    saved(storage, [login])
    with closing(reader(place)), pytest.raises(StorageError):
        saved(impatient(storage), [further(login, reason="refused")])
    assert storage.read(login.id) == login
    saved(storage, [further(login, reason="taken")])
    assert len(records_of_logins(storage)) == 2
    assert storage.problems() == []


def arriving(login: Login) -> Change:
    """The tokens of a refresh of ``login``, to be saved."""
    made = change(further(login, reason="came"))
    return replace(made, event=replace(made.event, trigger="accept_tokens"))


def reader(place: Path) -> sqlite3.Connection:
    """Another program that reads the vault in a transaction: a backup, a shell."""
    connection = sqlite3.connect(place / "s" / "vault.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM login").fetchall()
    return connection


def test_the_probe_meets_what_only_a_commit_would_meet(place: Path) -> None:
    """A program that reads the vault is met before a browser is opened, not when tokens come."""
    storage = vault(place)
    saved(storage, [finished()])
    impatient(storage).probe()
    with closing(reader(place)), pytest.raises(StorageError):
        storage.probe()
    storage.probe()
    assert storage.problems() == []


def test_tokens_that_meet_a_reader_are_kept_and_brought_in(place: Path) -> None:
    """Another program that reads the vault costs no token: the next process saves what came.

    Until then the login is read as it will be, and nobody can send what the tokens replaced.
    """
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    arrival = arriving(login)
    with closing(reader(place)):
        with pytest.raises(StorageError) as caught:
            impatient(storage).commit([arrival])
        assert caught.value.kept == str(run / "stayfast")
        assert storage.read(login.id) == arrival.login
        assert storage.find(account_alias(login.provider, "default")) == arrival.login
        assert [one.version for one in storage.summaries()] == [arrival.login.version]
        with pytest.raises(StorageError), storage.lease(login.id, wait=0):
            pytest.fail("the lease was given")
        assert len(records_of_logins(storage)) == 1
    later = vault(place, XDG_RUNTIME_DIR=str(run))
    assert later.read(login.id) == arrival.login
    assert [one.members.get("trigger") for one in records_of_logins(later)][1:] == ["accept_tokens"]
    assert list((run / "stayfast").iterdir()) == []
    assert later.problems() == []


def test_who_changes_a_login_brings_in_what_is_kept_of_it(place: Path) -> None:
    """A newer login of the account takes the place of one whose tokens only just wait to be saved."""
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    arrival = arriving(login)
    with closing(reader(place)), pytest.raises(StorageError):
        impatient(storage).commit([arrival])
    tokens = arrival.login.tokens
    assert tokens is not None
    newer = import_tokens(storage, login.config, tokens, login.account)
    assert storage.find(account_alias(login.provider, login.account)) == newer
    assert list((run / "stayfast").iterdir()) == []
    assert storage.problems() == []


def test_kept_tokens_that_are_older_than_the_row_are_not_read(place: Path) -> None:
    """A file of kept tokens that was put back, or could not be removed, hides no newer tokens."""
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    assert storage.read(login.id) == login
    arrival = arriving(login)
    with closing(reader(place)), pytest.raises(StorageError):
        impatient(storage).commit([arrival])
    (path,) = (run / "stayfast").iterdir()
    sealed = path.read_bytes()
    with storage.lease(login.id, wait=0):
        pass
    newer = further(arrival.login, reason="newer")
    saved(storage, [newer])
    write_private(str(path), sealed)
    assert storage.read(login.id) == newer
    assert storage.find(account_alias(login.provider, "default")) == newer
    assert [one.version for one in storage.summaries()] == [newer.version]
    later = vault(place, XDG_RUNTIME_DIR=str(run))
    assert later.read(login.id) == newer
    assert list((run / "stayfast").iterdir()) == []


def test_a_late_retry_does_not_replace_newer_tokens(place: Path) -> None:
    """Whoever could not save tokens tries again, and may fail when the next ones wait to be saved, too."""
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    first = arriving(login)
    with closing(reader(place)), pytest.raises(StorageError):
        impatient(storage).commit([first])
    with storage.lease(login.id, wait=0):  # brings them in
        exchanging = further(first.login, reason="exchanging")
        saved(storage, [exchanging])
    second = arriving(exchanging)
    with closing(reader(place)):
        with pytest.raises(StorageError):
            impatient(storage).commit([second])
        with pytest.raises(StorageError):
            impatient(storage).commit([first])
        assert storage.read(login.id) == second.login
    later = vault(place, XDG_RUNTIME_DIR=str(run))
    assert later.read(login.id) == second.login
    assert list((run / "stayfast").iterdir()) == []
    assert later.problems() == []


def test_an_import_that_fails_is_not_kept(place: Path) -> None:
    """Its source still has the tokens, and the error says to try again."""
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    assert login.tokens is not None
    with closing(reader(place)), pytest.raises(StorageError) as caught:
        import_tokens(impatient(storage), login.config, login.tokens, "another")
    assert caught.value.kept is None
    assert [one.account for one in storage.summaries()] == [login.account]


def test_tokens_that_wait_are_not_lost_by_a_new_root_key(place: Path) -> None:
    """The vault keeps the key that they are sealed with, so they are read and saved after the change."""
    run = place / "run"
    run.mkdir(mode=0o700)
    storage = vault(place, XDG_RUNTIME_DIR=str(run))
    login = finished()
    saved(storage, [login])
    arrival = arriving(login)
    other = vault(place, XDG_RUNTIME_DIR=str(run))
    # its holder may be about to save them, so nobody else can
    with storage.lease(login.id, wait=0):
        with closing(reader(place)), pytest.raises(StorageError):
            impatient(storage).commit([arrival])
        other.rekey("keyfile")
        assert other.read(login.id) == arrival.login
    assert vault(place, XDG_RUNTIME_DIR=str(run)).read(login.id) == arrival.login
    assert list((run / "stayfast").iterdir()) == []


class StopsTwice(set[int]):
    """Marks of a verification that stop their own process as records are compared with them."""

    left = 2

    def __iter__(self) -> Iterator[int]:
        if self.left:
            self.left -= 1
            os.kill(os.getpid(), signal.SIGSTOP)
        return iter(())


def test_a_verification_that_is_stopped_holds_up_nobody(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-Z in the middle of ``audit verify`` leaves no transaction open: others save at once.

    What they save is checked as well when it goes on.
    """
    monkeypatch.setattr(check, "BATCH", 2)  # records that are read at a time
    sample = finished()
    assert sample.tokens is not None
    storage = vault(place)
    first = import_tokens(storage, sample.config, sample.tokens, "first")
    import_tokens(storage, sample.config, sample.tokens, "second")
    impatient(storage)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            own = vault(place)
            assert own.read(first.id) == first
            status = 2 if impatient(own).verify(StopsTwice()).findings else 0
        finally:
            os._exit(status)
    stops = 0
    while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
        stops += 1
        import_tokens(storage, sample.config, sample.tokens, f"at stop {stops}")
        os.kill(child, signal.SIGCONT)
    assert (stops, os.waitstatus_to_exitcode(status)) == (2, 0)
    assert storage.verify().findings == []


@pytest.mark.parametrize("journal", ["TRUNCATE", "WAL"])
def test_the_pages_are_checked_in_no_writers_way(
    place: Path, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    """Between any two reads of SQLite's own check another process saves at once; the check comes to an end."""
    monkeypatch.setattr(page_check, "_PAGES", 3)
    storage = vault(place)
    saved(storage, [finished(f"p{number}") for number in range(20)])
    with (
        closing(sqlite3.connect(place / "s" / "vault.db", isolation_level=None)) as reader,
        closing(
            sqlite3.connect(place / "s" / "vault.db", isolation_level=None, timeout=0)
        ) as writer,
    ):
        writer.execute(f"PRAGMA journal_mode = {journal}")
        writes = 0

        def write() -> None:
            nonlocal writes
            writes += 1
            writer.execute("UPDATE login SET version = version + 1")

        with closing(page_check.copy_pages(reader, lambda: sqlite3.connect(""), write)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            versions = copy.execute("SELECT DISTINCT version FROM login").fetchall()
    assert writes > page_check._TIMES_ANEW
    assert versions == [(writes + 1,)]


def test_torn_pages_that_nobody_asks_for_are_found(place: Path) -> None:
    """A page that was overwritten is reported, and so is a file that was cut off."""
    storage = vault(place)
    saved(storage, [finished(f"p{number}") for number in range(50)])
    assert storage.problems() == []
    database = place / "s" / "vault.db"
    whole = database.read_bytes()
    storage.close()
    for torn in (whole[: 4096 * 9] + os.urandom(4096) + whole[4096 * 10 :], whole[:-4096]):
        database.write_bytes(torn)
        with closing(sqlite3.connect(database)) as connection:
            assert page_check.torn_pages(connection)
    database.write_bytes(whole)
    assert vault(place).problems() == []


BETWEEN = 0.02  # seconds between two commits: who never pauses keeps readers out
CHECKED = """
import sys
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.audit import check
own = EncryptedFileStorage(sys.argv[1] + "/s", config_dir=sys.argv[1] + "/c", environ={})
for _ in range(3):
    assert own.problems() == []
    own.verify()
"""


@pytest.mark.soak
def test_a_writer_gets_in_while_a_large_vault_is_checked(place: Path) -> None:
    """While all of a vault is checked again and again, every commit of another process is made in time."""
    storage = vault(place)
    for batch in range(10):
        saved(storage, [finished(f"p{batch}-{number}") for number in range(1_500)])
    database = place / "s" / "vault.db"
    with closing(sqlite3.connect(database)) as connection:
        began = time.monotonic()
        connection.execute("PRAGMA integrity_check(1)").fetchone()
        at_once = time.monotonic() - began
    login = finished()
    took: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-c", CHECKED, str(place)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as checks:
        while checks.returncode is None:
            began = time.monotonic()
            saved(storage, [login])
            took.append(time.monotonic() - began)
            login = further(login)
            with suppress(subprocess.TimeoutExpired):
                checks.wait(BETWEEN)
    assert checks.returncode == 0
    assert max(took) < BUSY_MS / 1000
    print(f"\n{database.stat().st_size / 1e6:.0f} MB checked three times while {len(took)} commits were "
          f"made: median {statistics.median(took) * 1e3:.0f} ms, longest {max(took) * 1e3:.0f} ms; SQLite's "
          f"check in one read takes {at_once * 1e3:.0f} ms")  # fmt: skip


def test_directories_on_the_way_are_private_too(place: Path) -> None:
    """Missing parents are made for this user alone, whatever the umask."""
    before = os.umask(0)
    try:
        ensure_directory(str(place / "a" / "b" / "c"))
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in place.rglob("*")}
    assert modes == {0o700}


def test_leftovers_of_the_dead_are_in_nobodys_way(place: Path) -> None:
    """What a killed process left half-written, under our own process id even, is passed by."""
    (place / "s").mkdir(mode=0o700)
    for name in ("vault.db", "vault.header"):
        for leftover in (f"{name}.{os.getpid()}.new", f"{name}.new"):
            path = place / "s" / leftover
            path.touch(mode=0o600)
            path.write_bytes(b"half")
    write_private(str(place / "s" / "vault.header"), b"whole")
    assert (place / "s" / "vault.header").read_bytes() == b"whole"
    login = finished()
    saved(vault(place), [login])
    assert vault(place).read(login.id) == login


@pytest.fixture
def small_disk(place: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    disk = place / "disk"
    disk.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", str(disk)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Fill ``disk`` so that ``leave`` bytes remain."""
    found = os.statvfs(disk)
    room = found.f_bavail * found.f_bsize - leave
    with (disk / "filler").open("ab") as file:
        file.write(b"\0" * max(0, room))


@pytest.mark.parametrize("leave", [0, 4096, 8192, 16384, 32768])
def test_a_full_disk_at_any_moment(small_disk: Path, leave: int) -> None:
    """With little or no space left a change is made or refused whole, and later all goes on."""
    login = finished()
    storage = vault(small_disk)
    saved(storage, [login])
    fill(small_disk, leave)
    newest = login
    for _ in range(200):
        try:
            saved(storage, [further(newest)])
        except StorageError:
            break
        newest = further(newest)
    else:
        pytest.fail("the disk was never full")
    (small_disk / "filler").unlink()
    for opened in (storage, vault(small_disk)):
        assert opened.read(login.id) == newest
        assert opened.problems() == []
    saved(storage, [further(newest)])
    assert len(records_of_logins(vault(small_disk))) == newest.version + 1


@pytest.mark.parametrize("leave", [0, 4096, 12288, 20480, 28672])
def test_a_vault_is_not_made_by_halves(small_disk: Path, leave: int) -> None:
    """Without room for a vault none is made, nothing is left lying about, and later one is."""
    fill(small_disk, leave)
    login = pending()
    with pytest.raises(StorageError):
        saved(vault(small_disk), [login])
    assert not (small_disk / "s" / "vault.db").exists()
    assert not list((small_disk / "s").glob("*.new*"))
    (small_disk / "filler").unlink()
    saved(vault(small_disk), [login])
    assert vault(small_disk).read(login.id) == login


def looked_at(place: Path) -> list[object]:
    """Everything that can be asked of a vault; each answer, or the kind of error instead."""
    opened = vault(place)
    alias = account_alias("one", "default")
    environ = {
        "STAYFAST_STATE_DIR": str(place / "s"),
        "STAYFAST_CONFIG_DIR": str(place / "c"),
    }
    answers: list[object] = []
    for ask in (
        lambda: opened.find(alias),
        lambda: list(opened.summaries()),
        opened.events,
        opened.problems,
        lambda: cached_token(["one"], environ),
    ):
        try:
            answers.append(ask())
        except StayfastError as error:
            answers.append(error.code)
    opened.close()
    return answers


@pytest.mark.parametrize("name", ["vault.db", "vault.header"])
def test_torn_bytes_are_never_believed(place: Path, name: str) -> None:
    """Whatever byte of the vault is torn: what is read is what was written, or an error of ours."""
    one, two = finished("one"), finished("two")
    saved(vault(place), [one, two])
    truth = looked_at(place)
    assert truth[3] == []
    path = place / "s" / name
    octets = path.read_bytes()
    # unused space of a page holds zeros; tearing what is written finds more
    written = [place for place, octet in enumerate(octets) if octet] if name == "vault.db" else []
    for position in written[:: max(1, len(written) // 300)] or range(len(octets)):
        torn = bytearray(octets)
        torn[position] ^= 1 << position % 8
        path.write_bytes(bytes(torn))
        for number, answer in enumerate(looked_at(place)):
            if number == 0:  # a damaged login says so; it is not simply gone
                assert answer is not None
            if number == 3:  # whatever is said of the whole
                continue
            if number == 1:  # a summary that does not open is left out
                assert isinstance(answer, str) or set(answer) <= set(truth[1])
            else:
                assert answer == truth[number] or isinstance(answer, str | None)
    path.write_bytes(octets)
    assert looked_at(place) == truth


def test_nobody_gets_the_token_of_another(place: Path) -> None:
    """A login filed under the name of another is not handed out as that one."""
    one, two = finished("one", token="of-one"), finished("two", token="of-two")
    saved(vault(place), [one, two])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        index = dict(connection.execute("SELECT id, idx FROM login").fetchall())
        connection.execute("UPDATE login SET idx = NULL")
        for login, other in ((one, two), (two, one)):
            connection.execute("UPDATE login SET idx = ? WHERE id = ?", (index[other.id], login.id))
    answers = looked_at(place)
    assert (answers[0], answers[-1]) == ("STORAGE_DAMAGED", None)


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE login SET {0} = {0} || x'00' WHERE id = '{1}'",
        "UPDATE login SET {0} = zeroblob(length({0})) WHERE id = '{1}'",
        "UPDATE login SET version = 9, {0} = {0} WHERE id = '{1}'",
        "DELETE FROM login WHERE id = '{1}' AND {0} IS NOT NULL",
    ],
)
@pytest.mark.parametrize("column", ["meta", "secret"])
def test_damage_to_one_login_spares_the_others(place: Path, deed: str, column: str) -> None:
    """What happened to one login is said when it is asked for; the others are served and go on."""
    one, two = finished("one"), finished("two")
    saved(vault(place), [one, two])
    two = further(two)
    saved(vault(place), [two])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute(deed.format(column, one.id))
    opened = vault(place)
    assert opened.find(account_alias("two", "default")) == two
    assert opened.read(two.id) == two
    for ask in (lambda: opened.read(one.id), lambda: opened.find(account_alias("one", "default"))):
        if column == "meta" and "SET meta" in deed.format(column, "") and "version" not in deed:
            with suppress(Damaged):  # what only a list shows is torn; the login may be whole
                assert ask() == one
        else:
            with pytest.raises(Damaged):
                ask()
    assert two.id in [summary.id for summary in opened.summaries()]
    assert opened.damage is not None
    assert opened.problems()
    saved(opened, [further(two)])
    assert vault(place).read(two.id) == further(two)
    assert len(records_of_logins(opened)) == 4


def test_every_bit_of_the_header_counts(place: Path) -> None:
    """A torn header opens nothing by mistake: the copy serves, or the vault is refused."""
    login = finished("one")
    saved(vault(place), [login])
    path = place / "s" / "vault.header"
    body = decode_copy(path.read_bytes())[0].body
    for copy in (True, False):
        for bit in range(0, len(body) * 8, 11):
            torn = bytearray(body)
            torn[bit // 8] ^= 1 << bit % 8
            if not copy:
                path.write_bytes(encode_copy(bytes(torn), b""))
            with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
                connection.execute("UPDATE header SET body = ?", (bytes(torn),))
            found = looked_at(place)
            # with both torn the same way nothing can be believed
            if copy:
                assert found[0] == login, bit
            else:
                assert isinstance(found[0], str), bit
            assert found[-1] in {"token", None}


@pytest.mark.parametrize("value", ["'text'", "NULL", "1.5", "-1", "x'00'", "9223372036854775807"])
@pytest.mark.parametrize(
    "column", ["login.version", "login.state", "login.meta", "login.secret", "login.idx",
               "head.body", "head.mac", "header.body", "header.mac", "audit.body", "audit.mac"],
)  # fmt: skip
def test_values_of_other_types_are_damage(place: Path, column: str, value: str) -> None:
    """SQLite keeps anything in any column; none of it gets past us as something else."""
    table, _, name = column.partition(".")
    login = finished("one")
    saved(vault(place), [login])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        try:
            connection.execute(f"UPDATE {table} SET {name} = {value}")
        except sqlite3.IntegrityError:
            return
    found, *_ = looked_at(place)
    assert found in (login, "STORAGE_DAMAGED")
    with suppress(StayfastError):
        saved(vault(place), [further(login)])


@pytest.fixture(params=["vault.db", "vault.lock"])
def immutable(request: pytest.FixtureRequest, place: Path) -> Iterator[Path]:
    """A vault one of whose files cannot be changed by anybody, root included."""
    saved(vault(place), [finished()])
    path = place / "s" / request.param
    made = subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True)
    if made.returncode:
        pytest.skip(f"no file can be made immutable here: {made.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_the_probe_meets_an_immutable_vault(immutable: Path, place: Path) -> None:
    """It can be read and not written: that is said before a browser opens, and not when tokens come."""
    assert immutable.exists()
    storage = vault(place)
    assert len(list(storage.summaries())) == 1
    with pytest.raises(StorageError) as caught:
        storage.probe()
    assert caught.value.exit_code == 7
    assert storage.problems() == []


WITHOUT_DESCRIPTORS = """
import os, resource, sys
from stayfast.engine.errors import StayfastError
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.audit import check
from stayfast.testing.storage_contract import finished, saved
place, when, what = sys.argv[1:]
logins = [finished(f"other{number}") for number in range(9)]
storage = EncryptedFileStorage(place + "/s", config_dir=place + "/c", environ={})
if when == "opened":
    list(storage.summaries())
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for spare in range(9):
    try:
        saved(storage, [logins[spare]]) if what == "save" else storage.probe()
    except StayfastError as error:
        print(error.exit_code, end=" ")
    else:
        print(0, end=" ")
    os.close(taken.pop())
"""


@pytest.mark.skipif(os.name != "posix", reason="limits the number of open files")
@pytest.mark.parametrize("what", ["probe", "save"])
@pytest.mark.parametrize("when", ["closed", "opened"])
def test_a_process_without_descriptors(place: Path, when: str, what: str) -> None:
    """With none left or too few for a commit it says so, exit 7; with enough of them it passes.

    Nothing that a commit takes is loaded too late: a module is read from a file, too.
    """
    saved(vault(place), [finished()])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DESCRIPTORS, str(place), when, what],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    codes = done.stdout.split()
    assert (codes[0], codes[-1]) == ("7", "0"), codes
    assert codes == sorted(codes, reverse=True)
    assert set(codes) == {"7", "0"}
    assert vault(place).problems() == []
