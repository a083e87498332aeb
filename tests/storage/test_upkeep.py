"""A vault looked after: what does not open is set aside, keys are changed, room is kept."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from logins import fresh_login
from stayfast.engine.audit.events import EventKind, Recorded
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.errors import ConfigInvalid, Damaged, StorageError, StorageFull
from stayfast.engine.ports import Change
from stayfast.engine.record import Login
from stayfast.engine.summary import Identity, account_alias
from stayfast.engine.table import State, Trigger
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.keys.sources import KINDS
from stayfast.storage.migrating import import_tokens, ledger_over, migrate
from stayfast.storage.vault.integrity import read_head
from stayfast.storage.vault.rollback import RollbackMarker
from stayfast.testing.sample_logins import change, further, pending
from stayfast.testing.storage_contract import finished, saved


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, *lines: list[str], **environ: str) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"),
        config_dir=str(place / "c"),
        announce=lines[0].append if lines else None,
        environ=environ,
    )


def sql(place: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection, connection:
        connection.execute(statement, values)


# --- setting aside -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE login SET secret = zeroblob(100) WHERE id = ?",
        "UPDATE login SET version = 'nine' WHERE id = ?",
        "UPDATE login SET state = x'ff00' WHERE id = ?",
        "UPDATE login SET version = version + 1 WHERE id = ?",
    ],
)
def test_a_row_that_does_not_open_is_set_aside_whole(place: Path, deed: str) -> None:
    """It is kept and logged, and its account can sign in again; the other login goes on."""
    one, two = finished("one"), finished("two")
    saved(vault(place), [one, two])
    sql(place, deed, one.id)
    mended = vault(place)
    assert [m.login for m in mended.mend()] == [one.id]
    assert mended.problems() == []
    assert mended.find(account_alias("one", "default")) is None
    assert mended.find(account_alias("two", "default")) == two
    last = mended.events()[-1]
    assert (last.members["event"], last.members["detail"]) == ("storage.changed", "set_aside")
    assert last.members["login"] == one.id
    assert [why for _, why in mended.about().quarantined] == ["it does not open"]
    again = finished("one", token="again")
    saved(mended, [again])
    assert vault(place).find(account_alias("one", "default")) == again
    assert vault(place).mend() == []


def test_an_older_row_put_back_is_set_aside(place: Path) -> None:
    """It opens, but the log knows of a newer one."""
    one = finished("one")
    saved(vault(place), [one])
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection:
        row = connection.execute("SELECT version, state, meta, secret FROM login").fetchone()
    saved(vault(place), [further(one)])
    sql(place, "UPDATE login SET version = ?, state = ?, meta = ?, secret = ?", *row)
    mended = vault(place)
    with pytest.raises(Damaged):
        mended.read(one.id)
    assert len(mended.mend()) == 1
    assert mended.read(one.id) is None
    assert mended.about().quarantined[0][1] == "it is not the one that was last saved"


@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE login SET meta = zeroblob(100)",
        "UPDATE login SET idx = NULL",
        "UPDATE head SET mac = x'00'",
        "DELETE FROM head",
    ],
)
def test_what_can_be_made_again_is_made_again(place: Path, deed: str) -> None:
    """A list entry, an index and the integrity record follow from the records; nothing is set aside."""
    one = finished("one")
    saved(vault(place), [one])
    sql(place, deed)
    mended = vault(place)
    assert mended.mend()
    assert mended.problems() == []
    assert mended.find(account_alias("one", "default")) == one
    assert mended.about().quarantined == ()
    assert mended.events()[-1].members["event"] == EventKind.STORAGE_CHANGED


def test_damage_does_not_stop_a_new_login(place: Path) -> None:
    """The probe before a login sets aside what does not open, and says so."""
    one = finished("one")
    saved(vault(place), [one, finished("two")])
    sql(place, "UPDATE login SET secret = zeroblob(9) WHERE id = ?", one.id)
    lines: list[str] = []
    opened = vault(place, lines)
    opened.probe()
    assert len(lines) == 1
    saved(opened, [finished("one")])
    assert opened.problems() == []


def test_a_torn_integrity_record_does_not_stop_a_new_login(place: Path) -> None:
    """It follows from the rows and the log, so that the probe makes it again and says so."""
    one = finished("one")
    saved(vault(place), [one])
    sql(place, "UPDATE head SET body = zeroblob(20)")
    lines: list[str] = []
    opened = vault(place, lines)
    opened.probe()
    saved(opened, [finished("two")])
    assert opened.read(one.id) == one
    assert len(lines) == 1
    assert vault(place).problems() == []


def statements(opened: EncryptedFileStorage, work: Callable[[], None]) -> list[str]:
    """The statements by which ``opened`` does ``work``."""
    found: list[str] = []
    with opened._vault_connection.reading() as inside:
        assert inside is not None
        inside[0].set_trace_callback(found.append)
    work()
    inside[0].set_trace_callback(None)
    return found


@pytest.mark.parametrize("size", [1, 400])
def test_a_process_that_begins_many_logins_compares_the_others_seldom(
    place: Path, size: int
) -> None:
    """Whatever the size of the vault, it reads all rows once a second at most while nobody else writes."""
    opened = vault(place)
    saved(opened, [finished(f"p{number}") for number in range(size)])

    def begin_some() -> None:
        for number in range(12):
            opened.probe()
            saved(opened, [finished(f"new{number}")])

    start = time.monotonic()
    found = statements(opened, begin_some)
    of_all = [one for one in found if "FROM login" in one and "WHERE" not in one]
    assert 1 <= len(of_all) <= 1 + (time.monotonic() - start)


def test_a_process_that_begins_many_logins_sees_what_another_does_to_the_rows(place: Path) -> None:
    """A row that is torn between two probes is set aside at once, and then it is quiet again."""
    lines: list[str] = []
    names = ["one", "two", "three"]
    saved(vault(place), [finished(name) for name in names])
    opened = vault(place, lines)
    for mended, name in enumerate(names):
        opened.probe()
        assert len(lines) == mended
        sql(place, "UPDATE login SET secret = zeroblob(9) WHERE id ="
            " (SELECT id FROM login WHERE length(secret) > 9 LIMIT 1)")  # fmt: skip
        opened.probe()
        opened.probe()
        assert len(lines) == mended + 1, name
        saved(opened, [finished(f"new{name}")])


def test_a_vanished_row_is_told_of(place: Path) -> None:
    """Nothing is there to set aside, but the log says that the integrity record was put right."""
    one = finished("one")
    saved(vault(place), [one, finished("two")])
    sql(place, "DELETE FROM login WHERE id = ?", one.id)
    mended = vault(place)
    assert mended.mend()
    assert mended.problems() == []
    assert mended.events()[-1].members["detail"] == "gone"
    assert mended.mend() == []


def fingerprint(opened: EncryptedFileStorage) -> str:
    """The form of a value in the log."""
    with opened._vault_connection.reading() as found:
        assert found is not None
        return found[1].fingerprint("subject", "ada")


# --- keys ----------------------------------------------------------------------------------------

GIVEN = {
    "STAYFAST_KEY_COMMAND": f"{sys.executable} -c \"print('k' * 40)\"",
    "CREDENTIALS_DIRECTORY": "",
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "keyring"])
def test_everything_moves_under_a_new_key(place: Path, kind: str) -> None:
    """Logins, log and fingerprints go on; the old key file is gone and an old copy stays shut."""
    (place / "credentials").mkdir()
    (place / "credentials" / "stayfast").write_bytes(os.urandom(32))
    environ = {**GIVEN, "CREDENTIALS_DIRECTORY": str(place / "credentials")}
    one, two = finished("one"), pending("two")
    opened = vault(place, **environ)
    other = vault(place, **environ, STAYFAST_PASSPHRASE="correct horse")
    saved(vault(place), [one, two])
    assert other.read(one.id) == one
    old_keys = {path.name: path.read_bytes() for path in (place / "c").glob("*.key")}
    before, fingerprinted = opened.events(), fingerprint(vault(place))

    opened.rekey(kind, "correct horse" if kind == "passphrase" else None)

    assert opened.about().key == kind
    assert opened.about().epoch == 2
    # who had it open meanwhile goes on, with the key of another place
    for again in (opened, other, vault(place, **environ, STAYFAST_PASSPHRASE="correct horse")):
        assert again.read(one.id) == one
        assert again.find(account_alias("one", "default")) == one
        assert again.problems() == []
        assert [e.members for e in again.events()][: len(before)] == [e.members for e in before]
    saved(other, [further(one)])
    assert opened.read(one.id) == further(one)
    assert fingerprint(opened) == fingerprinted
    left = {path.name: path.read_bytes() for path in (place / "c").glob("*.key")}
    assert not old_keys.items() & left.items()
    assert len(left) == (1 if kind == "keyfile" else 0)


def test_the_old_key_opens_nothing(place: Path) -> None:
    """Whoever kept the old key file, or the old header, cannot open the vault of today."""
    saved(vault(place), [finished("one")])
    shutil.copytree(place / "c", place / "kept")
    header = (place / "s" / "vault.header").read_bytes()
    vault(place).rekey("keyfile")
    thief = EncryptedFileStorage(str(place / "s"), config_dir=str(place / "kept"), environ={})
    with pytest.raises(StorageError):
        list(thief.summaries())
    (place / "s" / "vault.header").write_bytes(header)
    with pytest.raises(StorageError):
        list(thief.summaries())
    assert len(list(vault(place).summaries())) == 1


def test_a_key_that_cannot_be_had_changes_nothing(place: Path) -> None:
    """Before anything depends on a new key it is asked for."""
    one = finished("one")
    saved(vault(place), [one])
    for kind, environ in (
        ("command", {"STAYFAST_KEY_COMMAND": "false"}),
        ("command", {"STAYFAST_KEY_COMMAND": "echo short"}),
        ("command", {}),
        ("systemd-creds", {"CREDENTIALS_DIRECTORY": str(place)}),
        ("keyring", {"STAYFAST_KEYRING": "no.such:Keyring"}),
    ):
        with pytest.raises(StorageError):
            vault(place, **environ).rekey(kind)
    with pytest.raises(ConfigInvalid):
        vault(place).rekey("passphrase")
    assert vault(place).read(one.id) == one
    assert vault(place).about().epoch == 1


def test_a_damaged_vault_is_mended_before_its_key_is_changed(place: Path) -> None:
    """A row that would not open afterwards either is not carried along in silence."""
    one = finished("one")
    saved(vault(place), [one, finished("two")])
    sql(place, "UPDATE login SET secret = zeroblob(9) WHERE id = ?", one.id)
    with pytest.raises(Damaged):
        vault(place).rekey("keyfile")
    vault(place).mend()
    vault(place).rekey("keyfile")
    assert vault(place).problems() == []


KILLED = """
import os, signal, sys
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.vault import vault
step, place = sys.argv[1:]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
if step == "sealing": vault.put_header = die
if step == "copying":
    import stayfast.storage.vault.connection as session
    session.write_copy = die
if step == "forgetting":
    from stayfast.storage.keys.sources import KeySources
    KeySources.tidy = die
EncryptedFileStorage(place + "/s", config_dir=place + "/c", environ={}).rekey("keyfile")
"""


@pytest.mark.parametrize("step", ["sealing", "copying", "forgetting"])
def test_a_change_of_keys_that_was_killed_is_all_or_nothing(place: Path, step: str) -> None:
    """Whenever it dies the vault opens with everything in it, and the change can be made again."""
    one = finished("one")
    saved(vault(place), [one])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, step, str(place)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode < 0
    assert vault(place).read(one.id) == one
    assert vault(place).problems() == []
    vault(place).rekey("keyfile")
    assert vault(place).read(one.id) == one
    assert len(list((place / "c").glob("*.key"))) == 1


# --- put back ------------------------------------------------------------------------------------


def test_a_whole_vault_put_back_is_said(place: Path) -> None:
    """It opens and its integrity record fits; the note beside the key knows better. Logins go on."""
    one = finished("one")
    saved(vault(place), [one])
    shutil.copytree(place / "s", place / "backup")
    for _ in range(3):
        one = further(one)
        saved(vault(place), [one])
    shutil.rmtree(place / "s")
    shutil.copytree(place / "backup", place / "s")
    lines: list[str] = []
    opened = vault(place, lines)
    saved(opened, [finished("two")])
    assert len(lines) == 1
    details = [event.members.get("detail") for event in opened.events()]
    assert details.count("rolled_back") == 1
    saved(vault(place, lines), [finished("three")])
    assert len(lines) == 1
    assert vault(place).problems() == []


def test_a_whole_vault_put_back_is_said_by_those_that_only_read(place: Path) -> None:
    """A login that was given up comes back with the vault: ``token`` leaves that to who can say so."""
    one = finished("one")
    assert one.tokens is not None
    one = replace(one, tokens=replace(one.tokens, issued_at=time.time()))
    environ = {"STAYFAST_STATE_DIR": str(place / "s"), "STAYFAST_CONFIG_DIR": str(place / "c")}
    saved(vault(place), [one])
    assert cached_token(["one"], environ) == "token"
    shutil.copytree(place / "s", place / "backup")
    saved(vault(place), [further(one, state=State.IDLE, tokens=None)])
    shutil.rmtree(place / "s")
    shutil.copytree(place / "backup", place / "s")
    assert cached_token(["one"], environ) is None
    said: list[str] = []
    opened = vault(place, said)
    assert [opened.read(one.id), opened.read(one.id)] == [one, one]
    assert len(said) == 1
    saved(opened, [finished("two")])
    assert [event.members.get("detail") for event in opened.events()].count("rolled_back") == 1
    assert cached_token(["one"], environ) == "token"


def codes(opened: EncryptedFileStorage) -> list[FindingCode]:
    return [found.code for found in opened.verify().findings]


_READERS: list[Callable[[EncryptedFileStorage], object]] = [
    lambda opened: list(opened.summaries()),
    lambda opened: list(opened.beginning("a")),
    lambda opened: opened.events(),
    lambda opened: opened.about(),
    lambda opened: opened.problems(),
    lambda opened: opened.verify(),
    lambda opened: opened.checkpoint(),
    lambda opened: opened.entries(),
]


@pytest.mark.parametrize("part", [".", "vault.db"])
def test_every_reader_notices_a_vault_that_was_put_back(place: Path, part: str) -> None:
    """Whatever a process reads first, one line says it; the check and the problems name it.

    Mending records it. After that there is nothing left to say.
    """
    one = finished("one")
    saved(vault(place), [one])
    shutil.copytree(place / "s", place / "backup")
    saved(vault(place), [further(one)])
    for read in _READERS:
        quiet: list[str] = []
        read(vault(place, quiet))
        assert quiet == []
    if part == "vault.db":
        shutil.copy(place / "backup" / part, place / "s" / part)
        for beside in ("-wal", "-shm"):
            (place / "s" / f"{part}{beside}").unlink(missing_ok=True)
    else:
        shutil.rmtree(place / "s")
        shutil.copytree(place / "backup", place / "s")
    for read in _READERS:
        said: list[str] = []
        opened = vault(place, said)
        read(opened)
        assert len(said) == 1
        assert FindingCode.ROLLED_BACK in codes(opened)
        assert len(opened.problems()) == 1
        assert len(said) == 1
    mended = vault(place)
    assert len(mended.mend()) == 1
    assert (mended.mend(), mended.problems()) == ([], [])
    assert FindingCode.ROLLED_BACK not in codes(mended)
    assert [event.members.get("detail") for event in mended.events()].count("rolled_back") == 1
    again: list[str] = []
    assert (vault(place, again).problems(), again) == ([], [])


# --- room ----------------------------------------------------------------------------------------


class FullDisk:
    """SQLite runs out of pages at the first ``times`` commits of what is asked for."""

    def __init__(self, opened: EncryptedFileStorage, times: int) -> None:
        self._inner = opened._commit
        self._times = times
        opened._commit = self  # type: ignore[method-assign]  # the disk fails below it

    def __call__(self, changes: Sequence[Change]) -> list[Recorded]:
        self._times -= 1
        if self._times >= 0:
            raise StorageFull("no space", hint="df -h")
        return self._inner(changes)


def arrival(opened: EncryptedFileStorage) -> tuple[Login, Change]:
    """A login that waits in the vault, as it is when its tokens have come, and how that is saved."""
    login = finished("one")
    saved(opened, [replace(pending("one"), id=login.id)])
    login = further(login)
    made = change(login)
    return login, replace(made, event=replace(made.event, trigger="accept_tokens"))


def test_the_reserve_makes_room_for_tokens(place: Path) -> None:
    """What was kept free is given up for what cannot be had again, and kept free anew later."""
    opened = vault(place)
    opened.probe()
    reserve = place / "s" / "vault.reserve"
    assert reserve.stat().st_size == 64 * 1024
    login, saving = arrival(opened)
    FullDisk(opened, 1)
    opened.commit([saving])
    assert opened.read(login.id) == login
    assert reserve.stat().st_size == 0
    opened.probe()
    assert reserve.stat().st_size == 64 * 1024


def test_nothing_else_takes_the_reserve(place: Path) -> None:
    """A login that has only begun can be begun again."""
    opened = vault(place)
    opened.probe()
    FullDisk(opened, 1)
    with pytest.raises(StorageFull):
        opened.commit([change(pending("one"))])
    assert (place / "s" / "vault.reserve").stat().st_size == 64 * 1024


def test_tokens_without_room_wait_in_memory_and_are_saved_by_whoever_comes_next(
    place: Path,
) -> None:
    """Sealed, in the runtime directory; the next to take the lease commits them, event and all."""
    run = place / "run"
    run.mkdir(mode=0o700)
    opened = vault(place, XDG_RUNTIME_DIR=str(run))
    saved(opened, [finished("two")])
    login, saving = arrival(opened)
    FullDisk(opened, 2)
    with pytest.raises(StorageFull) as caught:
        opened.commit([saving])
    assert caught.value.kept == str(run / "stayfast")
    (spilled,) = (run / "stayfast").iterdir()
    assert spilled.stat().st_mode & 0o077 == 0
    assert b"token" not in spilled.read_bytes()
    assert opened.read(login.id) == login  # as it will be
    assert opened.find(account_alias("one", "default")) == login

    later = vault(place, XDG_RUNTIME_DIR=str(run))
    with later.lease(login.id, wait=0):
        assert later.read(login.id) == login
    assert later.events()[-1].members["trigger"] == "accept_tokens"
    assert not spilled.exists()
    assert later.problems() == []


def test_kept_tokens_outlive_the_key_of_the_vault(place: Path) -> None:
    """Those that wait where the change of the key did not look are brought in under the new key."""
    run = place / "run"
    run.mkdir(mode=0o700)
    opened = vault(place, XDG_RUNTIME_DIR=str(run))
    login, saving = arrival(opened)
    FullDisk(opened, 2)
    with pytest.raises(StorageFull):
        opened.commit([saving])
    vault(place, XDG_RUNTIME_DIR=str(place / "other")).rekey("keyfile")
    vault(place, XDG_RUNTIME_DIR=str(place / "other")).rekey("keyfile")
    later = vault(place, XDG_RUNTIME_DIR=str(run))
    assert later.read(login.id) == login
    assert vault(place).read(login.id) == login
    assert list((run / "stayfast").iterdir()) == []


def test_kept_tokens_do_not_write_over_a_newer_login(place: Path) -> None:
    """If the login went on without them they are dropped."""
    run = place / "run"
    run.mkdir(mode=0o700)
    opened = vault(place, XDG_RUNTIME_DIR=str(run))
    login, saving = arrival(opened)
    saved(opened, [finished("two")])
    FullDisk(opened, 2)
    with pytest.raises(StorageFull):
        opened.commit([saving])
    later = vault(place, XDG_RUNTIME_DIR=str(run))
    newer = replace(login, account="other")
    saved(later, [newer])
    with later.lease(login.id, wait=0):
        assert later.read(login.id) == newer
    assert list((run / "stayfast").iterdir()) == []


# --- moving --------------------------------------------------------------------------------------


def test_logins_move_to_another_storage_and_end_in_the_first(place: Path) -> None:
    """What is finished moves with its tokens and its owner; what waits for its user stays."""
    alice = Identity(subject="1", name="alice@x.test")
    one, two = replace(finished("one"), identity=alice), pending("two")
    here, there = vault(place), EncryptedFileStorage(str(place / "t"), config_dir=str(place / "u"))
    saved(here, [one, two])
    moved, left = migrate(here, there)
    assert [login.provider for login in moved] == ["one"]
    assert [login.id for login in left] == [two.id]
    found = there.find(account_alias("one", "default"))
    assert found is not None
    assert (found.tokens, found.identity) == (one.tokens, alice)
    assert here.find(account_alias("one", "default")) is None
    moved = here.events()[-1].members
    assert (moved["trigger"], moved["reason"]) == ("logout", "moved")
    assert moved["detail"] == f"to={there.directory}"
    assert migrate(here, there)[0] == []


def test_a_move_that_was_interrupted_is_finished(place: Path) -> None:
    """A login that is in both is ended in the first, and not written again in the second."""
    one = finished("one")
    here, there = vault(place), EncryptedFileStorage(str(place / "t"), config_dir=str(place / "u"))
    saved(here, [one])
    assert one.tokens is not None
    import_tokens(there, one.config, one.tokens, one.account)
    version = len(there.events())
    migrate(here, there)
    assert len(there.events()) == version
    assert here.find(account_alias("one", "default")) is None


def test_the_log_agrees_with_a_vault_that_was_mended(place: Path) -> None:
    """What was set aside or was gone is logged, and is no longer a finding."""
    opened = vault(place)
    ledger = ledger_over(opened)
    begun = [
        ledger.advance(replace(fresh_login(number), account=f"a{number}"), Trigger.BEGIN)
        for number in range(3)
    ]
    sql(place, "UPDATE login SET secret = zeroblob(9) WHERE id = ?", begun[0].id)
    sql(place, "DELETE FROM login WHERE id = ?", begun[1].id)
    assert [found.code.value for found in vault(place).verify().findings] == ["vanished"]
    mended = vault(place)
    assert len(mended.mend()) == 2
    assert list(mended.verify().findings) == []


def test_a_commit_while_a_login_is_read_is_no_rollback(place: Path) -> None:
    """A reader that a commit overtakes between the marker and the vault reports no rollback."""
    login = finished()
    saved(vault(place), [login])
    reader, writer, said = vault(place), vault(place), list[str]()
    marker = RollbackMarker(str(place / "c"), said.append)
    with reader._vault_connection.reading() as opened:
        assert opened is not None

        def overtaken() -> int:
            found = read_head(*opened).generation
            saved(writer, [further(login)])
            return found

        marker.compare(opened[1], overtaken)
    assert (said, marker.problems) == ([], [])
