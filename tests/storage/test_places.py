"""Where a store lies: what cannot be looked at is never absent, and nobody else can replace it."""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import pytest
from stayfast.engine.errors import ConfigInvalid, StayfastError, StorageError
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.cli.fast import cached_token
from stayfast.storage import EncryptedFileStorage, FileTokenStorage, paths
from stayfast.storage.host import origin
from stayfast.storage.private_file import check_directory, ensure_directory
from stayfast.testing.storage_contract import finished, saved

T = TypeVar("T")
NOBODY, STRANGER = 65534, 12345
# The user without rights may not be able to read the files of what is imported at its first use.
importlib.import_module("grp")
origin()
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of a user without rights, in a place that everybody can reach."""
    made = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(made, NOBODY, NOBODY)
    yield made
    for path in (made, *made.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(made)


def as_that_user(deed: Callable[[], T]) -> T:
    """What ``deed`` gives, or raises, when the user without rights does it."""
    if os.geteuid() != 0:
        return deed()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        outcome: tuple[bool, object]
        os.umask(0o022)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            outcome = True, deed()
        except StayfastError as error:
            outcome = False, (error.exit_code, error.message, error.hint)
        except BaseException as error:  # noqa: BLE001  the parent fails by it
            outcome = False, repr(error)
        os.write(writing, pickle.dumps(outcome))
        os.kill(os.getpid(), signal.SIGKILL)  # nothing of the parent's is to be tidied up
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        good, value = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if good:
        return value
    assert isinstance(value, tuple), value
    code, message, hint = cast("tuple[int, str, str | None]", value)
    raised = StorageError(message, hint=hint)
    assert raised.exit_code == code
    raise raised


def vault_in(place: Path) -> EncryptedFileStorage:
    return EncryptedFileStorage(str(place / "a" / "s"), config_dir=str(place / "c"))


def mode_000(state: Path) -> None:
    state.chmod(0)


def parent_000(state: Path) -> None:
    state.parent.chmod(0)


def parent_of_root(state: Path) -> None:
    state.parent.chmod(0o700)
    os.chown(state.parent, 0, 0)


def dangling(state: Path) -> None:
    state.rename(f"{state}.away")
    state.symlink_to("not-there/s")


def dangling_above(state: Path) -> None:
    state.parent.rename(f"{state.parent}.away")
    state.parent.symlink_to("/not-there/s")


def circle(state: Path) -> None:
    state.rename(f"{state}.away")
    state.symlink_to(state)


def file_in_its_place(state: Path) -> None:
    state.rename(f"{state}.away")
    state.touch()


def file_above(state: Path) -> None:
    state.parent.rename(f"{state.parent}.away")
    state.parent.touch()


DEEDS = [
    mode_000, parent_000, pytest.param(parent_of_root, marks=root_only), dangling, dangling_above,
    circle, file_in_its_place, file_above,
]  # fmt: skip


@pytest.mark.parametrize("deed", DEEDS)
def test_a_store_that_cannot_be_read_is_not_an_empty_one(
    place: Path, deed: Callable[[Path], None]
) -> None:
    """Whatever hides the vault, every reader and writer says so with exit status 7 and the path."""
    login, state = finished(), place / "a" / "s"
    as_that_user(lambda: saved(vault_in(place), [login]) and None)
    deed(state)
    environ = {"STAYFAST_STATE_DIR": str(state), "STAYFAST_CONFIG_DIR": str(place / "c")}
    assert as_that_user(lambda: cached_token([login.provider], environ)) is None

    def lease() -> None:
        with vault_in(place).lease(login.id, wait=0):
            pass

    uses: tuple[Callable[[], object], ...] = (
        lambda: vault_in(place).read(login.id),
        lambda: list(vault_in(place).summaries()),
        lambda: vault_in(place).about(),
        lambda: vault_in(place).probe(),
        lease,
    )
    for use in uses:
        with pytest.raises(StorageError) as caught:
            as_that_user(use)
        assert caught.value.exit_code == 7
        assert str(state.parent) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("above", ["", "a"])
def test_what_does_not_exist_is_absent(place: Path, above: str) -> None:
    """A vault that was never made holds nothing, wherever the way to it ends."""
    if above:
        as_that_user((place / above).mkdir)
    assert as_that_user(lambda: vault_in(place).about().key) is None


@root_only
@pytest.mark.parametrize("there", [True, False])
def test_root_in_a_users_home_leaves_it_to_the_user(place: Path, there: bool) -> None:
    """The error names the owner to root, gives no hint to take it over, and makes nothing that shuts the user out."""
    if there:
        as_that_user(lambda: saved(vault_in(place), [finished()]) and None)
    before = sorted(place.rglob("*"))
    deeds: tuple[Callable[[], object], ...] = (
        lambda: vault_in(place).probe(),
        lambda: ensure_directory(str(place / "c")),
        lambda: ensure_directory(str(place / "new" / "c")),
    )
    for deed in deeds:
        with pytest.raises(StorageError) as caught:
            deed()
        assert "nobody" in str(caught.value.hint)
        assert "chown" not in str(caught.value.hint)
    assert sorted(place.rglob("*")) == before
    as_that_user(lambda: vault_in(place).probe())


@root_only
def test_no_hint_gives_a_store_away(place: Path) -> None:
    """The hint for a directory of root's is not to become its owner."""
    place.chmod(0o755)
    os.chown(place, 0, 0)
    (place / "s").mkdir(mode=0o700)
    with pytest.raises(StorageError) as caught:
        as_that_user(lambda: check_directory(str(place / "s")))
    assert "chown" not in str(caught.value.hint)


@pytest.mark.parametrize("which", ["s", "c"])
@pytest.mark.parametrize("twice", [False, True])
def test_a_link_of_ones_own_is_followed(place: Path, which: str, twice: bool) -> None:
    """Directories may be links to private directories, as those who keep dotfiles apart make them."""

    def use() -> bool:
        target = place / "dot" / which
        target.mkdir(mode=0o700, parents=True)
        link = place / "a" / "s" if which == "s" else place / "c"
        link.parent.mkdir(mode=0o700, exist_ok=True)
        if twice:
            (place / "mid").symlink_to(Path("dot") / which)
            target = place / "mid"
        link.symlink_to(target)
        login = finished()
        saved(vault_in(place), [login])
        return vault_in(place).read(login.id) == login and link.is_symlink()

    assert as_that_user(use)


def open_target(place: Path) -> None:
    (place / "target").chmod(0o755)


def target_in_an_open_place(place: Path) -> None:
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    (place / "target").rename(place / "open" / "target")
    (place / "link").unlink()
    (place / "link").symlink_to("open/target")


def link_in_an_open_place(place: Path) -> None:
    place.chmod(0o777)


def link_of_another(place: Path) -> None:
    os.lchown(place / "link", STRANGER, STRANGER)


def group_of_others(place: Path) -> None:
    os.chown(place, -1, STRANGER)
    place.chmod(0o770)


@pytest.mark.parametrize(
    "deed",
    [
        open_target, target_in_an_open_place, link_in_an_open_place,
        pytest.param(link_of_another, marks=root_only),
        pytest.param(group_of_others, marks=root_only),
    ],
)  # fmt: skip
def test_a_link_that_others_can_turn_is_refused(
    tmp_path: Path, deed: Callable[[Path], None]
) -> None:
    """A link, its directory and its target are as private as a directory without links."""
    tmp_path.chmod(0o700)
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("target")
    check_directory(str(tmp_path / "link"))
    deed(tmp_path)
    with pytest.raises(StorageError):
        check_directory(str(tmp_path / "link"))


@pytest.mark.parametrize("mode", [0o700, 0o710, 0o720, 0o740, 0o750, 0o701, 0o702, 0o704])
def test_no_other_user_may_use_the_directory_itself(tmp_path: Path, mode: int) -> None:
    """A right of the group, even of this user's own, and a right of everybody: each is refused."""
    ensure_directory(str(tmp_path / "s"))
    (tmp_path / "s").chmod(mode)
    for use in (check_directory, ensure_directory):
        if mode == 0o700:
            use(str(tmp_path / "s"))
            continue
        with pytest.raises(StorageError) as caught:
            use(str(tmp_path / "s"))
        assert caught.value.hint == f"chmod 700 {tmp_path / 's'}"


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(
    ("mode", "group", "good"),
    [
        (0o777, None, False),
        (0o757, None, False),
        (0o1777, None, True),
        (0o755, None, True),
        (0o775, None, True),
        pytest.param(0o775, STRANGER, False, marks=root_only),
        pytest.param(0o755, STRANGER, True, marks=root_only),
        pytest.param(0o1775, STRANGER, True, marks=root_only),
    ],
)
def test_who_can_write_above_a_directory_can_replace_it(
    tmp_path: Path, level: int, mode: int, group: int | None, good: bool
) -> None:
    """Every directory on the way counts, its group as well as everybody; a sticky one protects."""
    way = tmp_path / "a" / "b" / "c" / "s"
    ensure_directory(str(way))
    spoilt = way.parents[level]
    os.chown(spoilt, -1, os.getegid() if group is None else group)
    spoilt.chmod(mode)
    if good:
        check_directory(str(way))
    else:
        with pytest.raises(StorageError) as caught:
            check_directory(str(way))
        assert str(caught.value.hint).startswith("chmod ")
        assert str(spoilt) in str(caught.value.hint)


def test_what_is_above_the_home_directory_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can replace a whole home can do anything; a site with open directories there still works."""
    state = tmp_path / "open" / "home" / "s"
    ensure_directory(str(state))
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StorageError):
        check_directory(str(state))
    monkeypatch.setenv("HOME", str(tmp_path / "open" / "home"))
    check_directory(str(state))
    (tmp_path / "open" / "home").chmod(0o777)
    with pytest.raises(StorageError):
        check_directory(str(state))


@pytest.mark.parametrize("deed", ["directory", "above", "file", "group"])
def test_providers_that_others_can_write_are_refused(tmp_path: Path, deed: str) -> None:
    """Where another user could replace the provider file, no provider is read from it."""
    config = tmp_path / "x" / "c"
    ensure_directory(str(config))
    file = config / "config.toml"
    file.write_text('[providers.mine]\nissuer = "https://idp.test"\nclient_id = "c"\n')
    assert "mine" in Catalogue(str(config), environ={}).names()
    spoilt = {"directory": config, "above": config.parent, "file": file, "group": config}[deed]
    if deed == "group":
        if os.geteuid() != 0:
            pytest.skip("only root can give a directory to any group")
        os.chown(spoilt, -1, STRANGER)
        spoilt.chmod(0o770)
    else:
        spoilt.chmod(0o777)
    with pytest.raises(ConfigInvalid) as caught:
        Catalogue(str(config), environ={}).names()
    assert str(caught.value.hint).startswith("chmod ")


def test_providers_that_cannot_be_looked_at_are_not_absent(place: Path) -> None:
    """A configuration directory that leads nowhere is an error, not an empty catalogue."""
    as_that_user(lambda: (place / "c").symlink_to("/not-there/c"))
    with pytest.raises(ConfigInvalid):
        Catalogue(str(place / "c"), environ={}).names()


@pytest.mark.parametrize(
    ("deed", "good"),
    [("private", True), ("behind a private directory", True), ("open", False),
     ("writable", False), ("directory", False)],
)  # fmt: skip
def test_a_client_secret_is_read_from_a_file_that_is_not_open_to_others(
    place: Path, deed: str, good: bool
) -> None:
    """A secret file others can read, write or replace is refused with the command that mends it."""
    place.chmod(0o755)

    def use() -> str | None:
        ensure_directory(str(place / "c"))
        (place / "d").mkdir(mode=0o755)
        secret = place / "d" / "secret"
        secret.write_text("s3cret")
        secret.chmod({"private": 0o600, "writable": 0o622}.get(deed, 0o644))
        if deed == "directory":
            secret.chmod(0o600)
        modes = {"behind a private directory": 0o700, "directory": 0o777}
        (place / "d").chmod(modes.get(deed, 0o755))
        (place / "c" / "config.toml").write_text(
            f'[providers.mine]\nclient_id = "c"\nclient_secret_file = "{secret}"\n'
        )
        try:
            found = Catalogue(str(place / "c"), environ={}).lookup("mine").client_secret
        except ConfigInvalid as error:
            return error.hint
        return found

    found = as_that_user(use)
    assert (found == "s3cret") == good
    assert good or str(found).startswith("chmod ")


@pytest.mark.parametrize("home", [None, "", "relative", "."])
@pytest.mark.parametrize("call", [paths.state_dir, paths.config_dir])
def test_without_a_home_directory_nothing_lands_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, home: str | None, call: Callable[..., str]
) -> None:
    """A home that is not known, or relative, is refused with both variables that mend it."""

    def nobody(_: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("HOME", raising=False)
    environ = {} if home is None else {"HOME": home}
    with pytest.raises(StorageError) as caught:
        call(environ)
    assert "HOME" in str(caught.value.hint)
    assert "STAYFAST_" in str(caught.value.hint)
    whole = {
        **environ, "XDG_STATE_HOME": "/x", "XDG_CONFIG_HOME": "/x",
    }  # fmt: skip
    assert call(whole) == "/x/stayfast"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("~/x", "/home/me/x"), ("~", "/home/me"), ("/x/~", "/x/~"), ("x", "/work/x"), ("~root/x", None),
     ("~no-such-user/x", StorageError)],
)  # fmt: skip
def test_a_path_is_absolute_whoever_gave_it(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str | type[Exception] | None
) -> None:
    """``~`` is expanded where no shell did it; what cannot be expanded is refused."""
    monkeypatch.setattr(os, "getcwd", lambda: "/work")
    environ = {"HOME": "/home/me"}
    if expected is StorageError:
        with pytest.raises(StorageError):
            paths.absolute(given, environ)
    else:
        found = paths.absolute(given, environ)
        assert found == (expected or os.path.expanduser(given))
        if given != "x":
            assert paths.state_dir({"STAYFAST_STATE_DIR": given, **environ}) == found


@pytest.mark.parametrize("given", ["x", ".", "./x", "../x", " /x"])
@pytest.mark.parametrize("which", ["STATE", "CONFIG"])
def test_a_variable_with_a_relative_path_is_refused_by_its_name(which: str, given: str) -> None:
    """Each working directory would have a store of its own."""
    call = {"STATE": paths.state_dir, "CONFIG": paths.config_dir}[which]
    with pytest.raises(StorageError) as caught:
        call({f"STAYFAST_{which}_DIR": given, "HOME": "/home/me"})
    assert f"STAYFAST_{which}_DIR" in caught.value.message


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_variable_of_blanks_is_unset(blank: str) -> None:
    """The usual directories are taken."""
    given = {"STAYFAST_STATE_DIR": blank, "STAYFAST_CONFIG_DIR": blank, "HOME": "/home/me"}
    usual = {"HOME": "/home/me"}
    assert paths.state_dir(given) == paths.state_dir(usual)
    assert paths.config_dir(given) == paths.config_dir(usual)


@pytest.mark.parametrize("kind", ["pipe", "directory", "large"])
def test_a_secret_file_that_holds_no_secret_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe has no writer, and nobody waits for one."""
    tmp_path.chmod(0o700)
    secret = tmp_path / "secret"
    if kind == "pipe":
        os.mkfifo(secret, 0o600)
    elif kind == "directory":
        secret.mkdir(0o700)
    else:
        secret.write_bytes(b"s" * 5_000_000)
        secret.chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[providers.x]\nclient_id = "c"\ntoken_url = "https://x.example/t"\n'
        f'client_secret_file = "{secret}"\n'
    )
    config.chmod(0o600)
    with pytest.raises(ConfigInvalid) as caught:
        Catalogue(str(tmp_path), environ={}).lookup("x")
    assert str(secret) in caught.value.message


def test_settings_in_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    """As with a secret: nobody waits for a writer."""
    tmp_path.chmod(0o700)
    os.mkfifo(tmp_path / "config.toml", 0o600)
    with pytest.raises(ConfigInvalid):
        Catalogue(str(tmp_path), environ={}).names()


def test_programs_may_write_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The storages a program names take ``~`` for its user's home, and a relative path for good."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    named = EncryptedFileStorage("~/x", config_dir="~/c")
    saved(named, [finished()])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["c", "x"]
    relative = EncryptedFileStorage("y", config_dir="c")
    monkeypatch.chdir("/")
    assert relative.directory == str(tmp_path / "y")
    view = FileTokenStorage("~/x").storage
    assert isinstance(view, EncryptedFileStorage | type(view))
    assert os.path.isabs(getattr(view, "directory", ""))


@root_only
def test_reading_needs_no_right_to_write(place: Path) -> None:
    """A key file of mode 0400 opens the vault."""
    login = finished()
    as_that_user(lambda: saved(vault_in(place), [login]) and None)
    for key in (place / "c").glob("*.key"):
        key.chmod(0o400)
    assert as_that_user(lambda: vault_in(place).read(login.id)) == login
