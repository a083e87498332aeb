"""Links, pipes and strangers in the way of the vault: refused, and nothing outside is touched."""

from __future__ import annotations

import ctypes
import mmap
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from stayfast.engine.errors import StayfastError
from stayfast.engine.record import Login
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import open_storage
from stayfast.testing.storage_contract import finished, saved
from transitions_of import vault_in

NOBODY = 65534
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
HOW_MANY = [pytest.param(200, id="some"), pytest.param(10_000, id="many", marks=pytest.mark.soak)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    (tmp_path / "outside").mkdir(mode=0o700)
    (tmp_path / "outside" / "file").write_bytes(b"precious")
    return tmp_path


def traces(outside: Path) -> dict[str, object]:
    """Everything that would show that somebody was there."""
    found: dict[str, object] = {}
    for path in [outside, *sorted(outside.rglob("*"))]:
        seen = path.lstat()
        octets = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (seen.st_mode, seen.st_uid, seen.st_mtime_ns, octets)
    return found


def use(place: Path, login: Login) -> Counter[str]:
    """Do everything one does with a vault; what was refused."""
    refused: Counter[str] = Counter()
    storage = vault_in(str(place))

    def lease() -> None:
        with storage.lease(login.id, wait=0):
            pass

    environ = {"STAYFAST_STATE_DIR": f"{place}/s", "STAYFAST_CONFIG_DIR": f"{place}/c"}
    deeds: tuple[Callable[[], object], ...] = (
        lambda: storage.read(login.id),
        lambda: saved(storage, [login]),
        lease,
        lambda: list(storage.summaries()),
        lambda: cached_token([login.provider], environ),
    )
    for deed in deeds:
        try:
            deed()
        except StayfastError as error:
            refused[error.code] += 1
    storage.close()
    return refused


def link(where: Path, outside: Path) -> None:
    where.symlink_to(outside / "file")


def link_to_nothing(where: Path, outside: Path) -> None:
    where.symlink_to(outside / "new")


def link_to_directory(where: Path, outside: Path) -> None:
    where.symlink_to(outside)
    if where.name in {"s", "c", "locks"}:  # one of this user's own would be followed
        os.lchown(where, NOBODY, -1)


def second_name(where: Path, outside: Path) -> None:
    os.link(outside / "file", where)


def pipe(where: Path, outside: Path) -> None:
    os.mkfifo(where, 0o600)


def stranger(where: Path, outside: Path) -> None:
    where.touch(mode=0o600)
    os.chown(where, NOBODY, -1)


PLACES = ["s", "s/vault.db", "s/vault.header", "s/vault.lock", "s/create.lock", "s/locks",
          "s/locks/ID.lock", "s/vault.db-journal", "s/vault.db-wal", "c"]  # fmt: skip
DEEDS = [link, link_to_nothing, link_to_directory, second_name, pipe, stranger]


@pytest.mark.parametrize("there", [False, True], ids=["before a vault is made", "later"])
@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("name", PLACES)
def test_what_lies_in_the_way_is_not_followed(
    place: Path, name: str, deed: Callable[[Path, Path], None], there: bool
) -> None:
    """Whatever is put in the place of a file or directory of ours, nothing outside changes."""
    if deed in {stranger, link_to_directory} and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    login, outside = finished(), place / "outside"
    if there:
        use(place, finished("another"))
    where = place / name.replace("ID", login.id)
    if name != "s":
        where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if where.exists():
        where.rename(place / "aside")
    deed(where, outside)
    before = traces(outside)
    use(place, login)
    assert traces(outside) == before


@contextmanager
def intruder(deed: Callable[[int], None]) -> Iterator[mmap.mmap]:
    """Somebody else, who does ``deed`` with the number they are shown, as fast as they can."""
    shown = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            while True:
                deed(int.from_bytes(shown[:8], "little"))
        finally:
            os._exit(1)
    try:
        yield shown
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the intruder gave up"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that everybody can reach; pytest's own cannot be entered by others."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else as well")
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        (Path(place) / "shared").mkdir()
        yield Path(place) / "shared"


@pytest.mark.parametrize("attempts", HOW_MANY)
def test_a_stranger_in_a_shared_directory_gets_nothing(
    place: Path, shared: Path, attempts: int
) -> None:
    """Somebody who plants links, directories and pipes while a vault is made: ours, or refused."""
    shared.chmod(0o1777)
    outside = place / "outside"
    place.chmod(0o711)
    before = traces(outside)

    def plant(number: int) -> None:
        for make in (
            lambda path: os.symlink(outside, path),
            lambda path: os.mkdir(path, 0o777),
            lambda path: os.mkfifo(path, 0o666),
            lambda path: os.symlink(outside / "new", path),
        ):
            where = f"{shared}/{number}"
            with suppress(OSError):
                make(where)
                time.sleep(0.0002)
            for undo in (os.unlink, os.rmdir):
                with suppress(OSError):
                    undo(where)

    ends: Counter[str] = Counter()
    with intruder(plant) as shown:
        for number in range(1, attempts + 1):
            shown[:8] = number.to_bytes(8, "little")
            own = shared / str(number)
            time.sleep(random.uniform(0, 0.002))  # sometimes the stranger is first
            storage = open_storage(
                "file", state_dir=str(own), config_dir=str(place / "c"), environ={}
            )
            try:
                saved(storage, [finished()])
            except StayfastError as error:
                ends[error.code] += 1
            else:
                ends["ours"] += 1
                found = own.lstat()
                assert (found.st_uid, found.st_mode & 0o7777) == (os.geteuid(), 0o700)
                assert (own / "vault.db").lstat().st_uid == os.geteuid()
            storage.close()  # type: ignore[attr-defined]  # a vault
    print(f"\n{attempts} attempts: {dict(ends)}")
    assert ends["ours"]
    assert ends["STORAGE_UNAVAILABLE"]
    assert traces(outside) == before


@pytest.mark.parametrize("attempts", HOW_MANY)
def test_a_directory_that_is_swapped_is_refused(place: Path, shared: Path, attempts: int) -> None:
    """Where a stranger can put a link in the directory's place, and does so, nothing is done."""
    shared.chmod(0o777)
    place.chmod(0o711)
    outside, trap = place / "outside", shared / "trap"
    use(shared.parent, finished())
    (shared.parent / "s").rename(shared / "s")
    (shared.parent / "c").rename(shared / "c")
    trap.symlink_to(outside)
    before = traces(outside)
    libc = ctypes.CDLL(None, use_errno=True)

    def swap(number: int) -> None:
        del number
        libc.renameat2(-100, bytes(shared / "s"), -100, bytes(trap), _EXCHANGE)

    ends: Counter[str] = Counter()
    with intruder(swap):
        for number in range(attempts // 5):
            ends.update(use(shared, finished(f"p{number}")))
    print(f"\n{sum(ends.values())} attempts: {dict(ends)}")
    assert set(ends) == {"STORAGE_UNAVAILABLE"}
    assert ends["STORAGE_UNAVAILABLE"] >= attempts // 5  # every saving, if nothing else
    assert traces(outside) == before
