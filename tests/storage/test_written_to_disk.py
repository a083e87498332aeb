"""What reaches the disk, in which order, and what is left there afterwards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.audit.events import Recorded
from stayfast.engine.errors import StorageError, StorageFull
from stayfast.engine.ports import Change
from stayfast.engine.table import State
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.private_file import check_private, open_private, read_private, write_private
from stayfast.storage.vault.header import decode_copy
from stayfast.storage.vault.repair import set_files_aside
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.crash_driver import unavailable
from stayfast.testing.storage_contract import finished, further, saved


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def vault(place: Path, passphrase: str | None = None) -> EncryptedFileStorage:
    return EncryptedFileStorage(
        str(place / "s"), config_dir=str(place / "c"), passphrase=lambda: passphrase, environ={}
    )


class Witness:
    """Records which files were synchronised and which names were replaced, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, object]] = []
        fsync, replace = os.fsync, os.replace

        def synchronise(descriptor: int) -> None:
            self.steps.append(("fsync", os.fstat(descriptor).st_ino))
            fsync(descriptor)

        def rename(source: str, target: str) -> None:
            self.steps.append(("replace", str(target)))
            replace(source, target)

        patch.setattr(os, "fsync", synchronise)
        patch.setattr(os, "replace", rename)

    def after(self, step: tuple[str, object]) -> list[tuple[str, object]]:
        return self.steps[self.steps.index(step) + 1 :]


def test_a_private_file_is_on_the_disk_before_it_has_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut there is the old file or the new one: never an empty one, never neither."""
    witness = Witness(monkeypatch)
    path = place / "file"
    write_private(str(path), b"octets")
    assert witness.steps == [
        ("fsync", path.stat().st_ino),
        ("replace", str(path)),
        ("fsync", place.stat().st_ino),
    ]


def test_a_new_vault_is_durable_under_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is synchronised after each name in it; else a power cut takes the vault."""
    witness = Witness(monkeypatch)
    with closing(vault(place)) as storage:
        saved(storage, [finished()])
    for name in ("vault.db", "vault.header"):
        after = witness.after(("replace", str(place / "s" / name)))
        assert after[0] == ("fsync", (place / "s").stat().st_ino), name


def test_a_vault_that_is_set_aside_is_durable_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new directory is synchronised before the old one: its files have a name at any moment."""
    with closing(vault(place)) as storage:
        saved(storage, [finished()])
    witness = Witness(monkeypatch)
    aside = Path(set_files_aside(str(place / "s")))
    assert witness.steps[-2:] == [
        ("fsync", aside.stat().st_ino),
        ("fsync", (place / "s").stat().st_ino),
    ]


every_use = pytest.mark.parametrize(
    "use",
    [
        open_private,
        lambda path: open_private(path, create=True),
        lambda path: open_private(path, append=True),
        lambda path: read_private(path, 100),
        check_private,
    ],
    ids=["open", "open or make", "append", "read", "check"],
)


@every_use
@pytest.mark.parametrize("others", [1, 2])
def test_a_file_with_a_second_name_is_not_used(
    place: Path, use: Callable[[str], object], others: int
) -> None:
    """Under its other name it may lie where somebody else reads or replaces it."""
    (place / "file").write_bytes(b"kept")
    (place / "file").chmod(0o600)
    for number in range(others):
        os.link(place / "file", place / f"other-{number}")
    with pytest.raises(StorageError, match="another name"):
        use(str(place / "file"))
    assert (place / "file").read_bytes() == b"kept"


@pytest.mark.skipif(os.name != "posix", reason="needs links and modes")
@every_use
@pytest.mark.parametrize("target", ["file", "nothing"])
def test_a_link_of_our_own_to_a_file_is_not_followed(
    place: Path, use: Callable[[str], object], target: str
) -> None:
    """Not even one that leads to a private file: its author chose what we would write to."""
    (place / "file").write_bytes(b"kept")
    (place / "file").chmod(0o600)
    (place / "link").symlink_to(target)
    with pytest.raises(StorageError, match="is a link"):
        use(str(place / "link"))
    assert (place / "file").read_bytes() == b"kept"
    assert not (place / "nothing").exists()


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(place: Path) -> None:
    """Writing puts a file in the place of the link; what it led to stays as it was."""
    (place / "file").write_bytes(b"kept")
    (place / "link").symlink_to("file")
    write_private(str(place / "link"), b"new")
    assert not (place / "link").is_symlink()
    assert ((place / "file").read_bytes(), (place / "link").read_bytes()) == (b"kept", b"new")


def test_a_passphrase_is_as_dear_to_guess_as_rfc_9106_asks(place: Path) -> None:
    """At least the second recommended option of RFC 9106 §4: 64 MiB, three passes, four lanes."""
    with closing(vault(place, "correct horse")) as storage:
        saved(storage, [finished()])
    header = decode_copy((place / "s" / "vault.header").read_bytes())[0]
    (slot,) = (slot.params for slot in header.slots)
    assert slot["memory_kib"] >= 64 * 1024
    assert slot["passes"] >= 3
    assert slot["lanes"] >= 4
    assert len(slot["salt"]) >= 16


def test_nothing_is_left_of_what_was_deleted(place: Path) -> None:
    """The sealed tokens of a login that signed out are in none of the files any more."""
    login = finished(token="t" * 20_000)  # on pages of its own, which nothing else would write over
    with closing(vault(place)) as storage:
        saved(storage, [login])
    (sealed,) = [octets for octets in columns(place) if len(octets) > 20_000]
    assert whole(place).count(sealed[-2_000:]) == 1
    with closing(vault(place)) as storage:
        saved(storage, [further(login, state=State.IDLE, tokens=None)])
    left = whole(place)
    for at in range(0, len(sealed) - 64, 1_000):
        assert sealed[at : at + 64] not in left


def columns(place: Path) -> list[bytes]:
    """Every sealed value of the logins."""
    with closing(sqlite3.connect(place / "s" / "vault.db")) as connection:
        return [one for (one,) in connection.execute("SELECT secret FROM login") if one]


def whole(place: Path) -> bytes:
    """All files of the vault, one after another."""
    return b"".join(
        path.read_bytes() for path in sorted((place / "s").rglob("*")) if path.is_file()
    )


def test_a_login_costs_one_commit_for_each_transition(place: Path) -> None:
    """The commit that begins it shows that it can be saved; nothing else is written to try that."""
    user = InstantTransport(lambda address: [user_agent.fetch_only(address)])
    with AuthorizationServer() as server, closing(vault(place)) as opened:
        conductor = conductor_over(opened)
        conductor.sign_in(server.config(), user)
        before = opened.about().generation
        login = conductor.sign_in(server.config(), user, account="another")
        assert opened.about().generation - before == login.version == 4


UNTRACEABLE = unavailable()
COMMITS = """
import os
import sys
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.vault import schema
from stayfast.testing.storage_contract import finished, further, saved
schema._WAL_SAFE = (0,) if sys.argv[2] == "wal" else (999,)
storage = EncryptedFileStorage(f"{sys.argv[1]}/s", config_dir=f"{sys.argv[1]}/c", environ={})
login = finished()
saved(storage, [login])
for _ in range(int(sys.argv[3])):
    login = further(login)
    saved(storage, [login])
os._exit(0)  # closing a vault with a write-ahead log synchronises as well
"""


def synchronisations(place: Path, journal: str, commits: int) -> int:
    """How often a process that saves a login so many times more waits for the disk."""
    place.mkdir(mode=0o700)
    calls = place / "calls"
    traced = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", str(calls)]
    own = [sys.executable, "-c", COMMITS, str(place), journal, str(commits)]
    subprocess.run([*traced, *own], check=True, timeout=180)
    return sum("sync(" in line for line in calls.read_text().splitlines())


@pytest.mark.skipif(UNTRACEABLE is not None, reason=str(UNTRACEABLE))
@pytest.mark.parametrize(("journal", "each"), [("wal", 1), ("rollback", 5)])
def test_a_saved_transition_waits_for_the_disk_as_often_as_its_journal_needs(
    place: Path, journal: str, each: int
) -> None:
    """A write-ahead log needs one; a rollback journal its pages, its name, its count, the database and its end."""
    few, more = (synchronisations(place / str(number), journal, number) for number in (2, 6))
    assert more - few == 4 * each


class Full(EncryptedFileStorage):
    """A vault on a disk that is full when a login begins."""

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        del changes
        raise StorageFull("no space is left on the disk")


def test_a_login_that_cannot_be_saved_is_shown_to_nobody(place: Path) -> None:
    """The storage refuses its beginning, before anybody is asked for anything."""
    vault(place).probe()
    user = InstantTransport(lambda address: [user_agent.fetch_only(address)])
    full = Full(str(place / "s"), config_dir=str(place / "c"), environ={})
    with AuthorizationServer() as server, closing(full), pytest.raises(StorageFull):
        conductor_over(full).sign_in(server.config(), user)
    assert user.addresses == []
