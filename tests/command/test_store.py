"""``stayfast store``: where logins are, another key for them, what does not open."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from command import STAYFAST, World, events_of
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.migrating import import_tokens


def signed_in(world: World) -> str:
    assert world.run("login", "demo", "--via", "loopback").code == 0
    return world.run("token", "demo").out


@pytest.mark.parametrize(("passphrase", "seconds"), [(None, 0), ("correct horse", 900)])
def test_no_unlock_window_is_promised_to_a_key_file(
    world: World, passphrase: str | None, seconds: int
) -> None:
    """What opens such a vault is read each time, so nothing of it is kept."""
    world.extra |= {"STAYFAST_UNLOCK_WINDOW": "15m"}
    if passphrase is not None:
        world.extra |= {"STAYFAST_PASSPHRASE": passphrase}
    assert world.run("login", "demo", "--via", "loopback").code == 0
    assert world.run("store", "info", "--json").json["unlock_window"]["seconds"] == seconds


def test_info_of_nothing_and_of_a_vault(world: World) -> None:
    """`store info` says that there is no store before the first login, and describes it afterwards."""
    before = world.run("store", "info", "--json")
    assert (before.code, before.json["key"]) == (0, None)
    signed_in(world)
    done = world.run("store", "info", "--json")
    answer = done.json
    assert (done.code, answer["schema"], answer["key"]) == (0, "stayfast.store/1", "keyfile")
    assert (answer["logins"], answer["epoch"], answer["problems"], answer["set_aside"]) == (
        1,
        1,
        [],
        [],
    )
    assert answer["records"] == len(events_of(world))
    assert world.run("store", "info").code == 0


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="syslog is a Unix socket")
def test_info_says_which_sink_is_behind_since_when_and_why(world: World) -> None:
    """A place that does not get the audit log is named until it has caught up."""
    log, blocked = world.place / "log", world.place / "a-directory"
    blocked.mkdir(mode=0o700)
    world.extra["STAYFAST_AUDIT"] = f"file,syslog:{log},file:{blocked}"
    signed_in(world)
    done = world.run("store", "info", "--json")
    good, silent, closed = done.json["sinks"]
    assert (done.code, good["behind_since"], good["problem"]) == (0, None, None)
    assert silent["behind_since"] is not None
    assert silent["problem"] == "no such file or directory"
    assert closed["behind_since"] is not None
    assert closed["problem"]
    answer = world.run("store", "info", env={"TZ": "UTC"})
    assert silent["behind_since"][11:19] in answer.err
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(log))
        later = world.run("refresh", "demo")
        assert later.code == 0, later.err
        _, well, still = world.run("store", "info", "--json").json["sinks"]
    assert (well["behind_since"], well["problem"]) == (None, None)
    assert still["behind_since"] == closed["behind_since"]


def test_another_key_and_back(world: World) -> None:
    """The token is the same under each of them; the old key opens nothing."""
    token = signed_in(world)
    done = world.run(
        "store", "rekey", "--to", "passphrase", env={"STAYFAST_NEW_PASSPHRASE": "one and two"}
    )
    assert done.code == 0, done.err
    assert list(world.config.glob("*.key")) == []
    locked = world.run("token", "demo", "--json")
    assert (locked.code, locked.json["code"]) == (7, "STORAGE_UNAVAILABLE")
    world.extra["STAYFAST_PASSPHRASE"] = "one and two"
    assert world.run("token", "demo").out == token
    assert world.run("store", "rekey", "--to", "keyfile").code == 0
    del world.extra["STAYFAST_PASSPHRASE"]
    assert world.run("token", "demo").out == token
    answer = world.run("store", "info", "--json").json
    assert (answer["key"], answer["epoch"], answer["problems"]) == ("keyfile", 3, [])
    assert world.run("audit", "verify").code == 0


def test_a_new_passphrase_has_to_come_from_somewhere(world: World) -> None:
    """Without a terminal or the variable nothing is changed."""
    token = signed_in(world)
    done = world.run("store", "rekey", "--to", "passphrase", "--json")
    assert (done.code, done.json["code"]) == (1, "CONFIG_INVALID")
    assert world.run("token", "demo").out == token


def test_damage_is_said_and_mended(world: World) -> None:
    """A list is not short in silence; mending sets aside, and the account can sign in again."""
    signed_in(world)
    with closing(sqlite3.connect(world.state / "vault.db")) as vault, vault:
        vault.execute("UPDATE login SET secret = zeroblob(50)")
    assert world.run("list").code == 8
    assert world.run("status", "--json").code == 8
    info = world.run("store", "info", "--json")
    assert info.code == 8
    assert info.json["problems"]
    mended = world.run("store", "mend", "--json")
    assert (mended.code, len(mended.json["mended"])) == (0, 1)
    assert len(world.run("store", "info", "--json").json["set_aside"]) == 1
    assert world.run("audit", "verify").code == 0
    signed_in(world)
    assert world.run("store", "mend").code == 0


def test_a_login_mends_by_itself(world: World) -> None:
    """Who signs in again does not have to know of any command."""
    signed_in(world)
    with closing(sqlite3.connect(world.state / "vault.db")) as vault, vault:
        vault.execute("UPDATE login SET secret = zeroblob(50)")
    assert world.run("token", "demo").code == 8
    signed_in(world)
    assert world.run("store", "info").code == 0


def test_logins_move_to_another_directory(world: World) -> None:
    """They are there, and no longer here; a second run moves nothing."""
    token = signed_in(world)
    there = str(world.place / "elsewhere")
    done = world.run("store", "migrate", there, "--json")
    assert done.json["moved"] == [{"provider": "demo", "account": "default"}]
    assert done.json["destination"] == there
    assert there in world.run("store", "migrate", there).err
    assert world.run("token", "demo").code == 4
    assert world.run("token", "demo", env={"STAYFAST_STATE_DIR": there}).out == token
    assert world.run("store", "migrate", there, "--json").json["moved"] == []
    (world.place / "link").symlink_to(world.state)
    for itself in (world.state, world.state.parent / "x" / ".." / "state", world.place / "link"):
        same = world.run("store", "migrate", str(itself), "--json")
        assert (same.code, same.json["code"]) == (1, "CONFIG_INVALID")


def away(state: Path) -> None:
    state.rename(f"{state}.away")
    state.symlink_to("/not-there/vault")


def a_file(state: Path) -> None:
    state.rename(f"{state}.away")
    state.touch()


@pytest.mark.parametrize("deed", [away, a_file])
def test_a_store_that_cannot_be_read_stops_every_command(
    world: World, deed: Callable[[Path], None]
) -> None:
    """No command says that nobody is signed in; each command ends with 7, path and hint."""
    signed_in(world)
    deed(world.state)
    for words in (
        "token demo", "status", "refresh demo", "logout demo", "list", "store info", "store mend",
        "login demo --via loopback", "audit verify",
    ):  # fmt: skip
        done = world.run(*words.split(), "--json")
        assert done.code == 7, (words, done.out, done.err)
        assert str(world.state) in done.out + done.err, words
        assert done.json["hint"], words


@pytest.mark.parametrize("content", [b"", b"\x07garbage" * 900])
def test_a_vault_that_is_none_is_mended(world: World, content: bytes) -> None:
    """Every command names the way out with one exit status; after it, one can sign in again."""
    signed_in(world)
    (world.state / "vault.db").write_bytes(content)
    for words in ("token demo", "status", "list", "store info", "login demo --via loopback"):
        done = world.run(*words.split(), "--json")
        assert done.code == 8, (words, done.out, done.err)
        assert done.json["hint"] == "stayfast store mend", words
    mended = world.run("store", "mend", "--json")
    assert (mended.code, len(mended.json["mended"])) == (0, 1)
    (aside,) = world.state.glob("set-aside-*")
    assert (aside / "vault.db").read_bytes() == content
    signed_in(world)


def test_another_configuration_directory_moves_no_vault_away(world: World) -> None:
    """The way out of a missing key leads to the directory of the key, and back from a wrong way."""
    token = signed_in(world)
    cron = {"STAYFAST_CONFIG_DIR": str(world.place / "cron")}
    shutil.copytree(
        world.config, cron["STAYFAST_CONFIG_DIR"], ignore=shutil.ignore_patterns("*.key")
    )
    for words in ("token demo", "status", "list", "store info", "store mend",
                  "login demo --via loopback"):  # fmt: skip
        done = world.run(*words.split(), "--json", env=cron)
        assert done.code == 8, (words, done.out, done.err)
        assert cron["STAYFAST_CONFIG_DIR"] in done.out, words
        assert done.json["hint"].startswith("export STAYFAST_CONFIG_DIR="), words
    plain = world.run("store", "mend", env=cron)
    assert (plain.code, plain.err.count("error:")) == (8, 1)
    assert list(world.state.glob("set-aside-*")) == []
    assert world.run("token", "demo").out == token

    assert world.run("store", "mend", "--without-key", env=cron).code == 0
    assert world.run("token", "demo", env=cron).code == 4
    lost = world.run("token", "demo", "--json")
    assert (lost.code, lost.json["hint"]) == (8, "stayfast store mend")
    assert world.run("store", "mend").code == 0
    assert world.run("token", "demo").out == token
    assert world.run("audit", "verify").code == 0


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="only root can mount a home read-only"
)
def test_a_read_only_home_still_answers(world: World) -> None:
    """Reading needs no right to write: a cached token and the status come out of a read-only home."""
    token = signed_in(world)
    for words, expected in (("token demo", token), ("token demo --json", None), ("status", None)):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", f'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec {STAYFAST} {words}', world.place],
            env=world.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if "mount" in done.stderr:
            pytest.skip("mounting is not permitted here")
        assert done.returncode == 0, done.stderr
        assert expected in {None, done.stdout}


def test_logins_that_are_over_are_removed(world: World) -> None:
    """After the time that is said in the option, or once for all; else nothing goes."""
    started = world.run("login", "demo", "--start", "--via", "manual", "--json")
    assert world.run("cancel", started.json["login"]).code == 0
    unsaid = world.run("store", "purge")
    assert (unsaid.code, "--older-than" in unsaid.err) == (2, True) or unsaid.code == 1
    assert world.run("store", "purge", "--older-than", "1d", "--json").json["removed"] == 0
    done = world.run("store", "purge", "--json", env={"STAYFAST_RETENTION": "0s"})
    assert (done.json["ended"], done.json["removed"]) == (0, 1)
    assert world.run("audit", "verify").code == 0
    assert world.run("store", "info", "--json").json["logins"] == 0


def test_a_long_list_comes_in_pages(world: World) -> None:
    """All pages together are the list: the finished logins, and then those that wait."""
    for account in ("a", "b", "c"):
        done = world.run("login", "demo", "--account", account, "--via", "loopback")
        assert done.code == 0
    for _ in range(2):
        assert world.run("login", "demo", "--start", "--via", "manual").code == 3
    every = world.run("list").out.splitlines()
    assert len(every) == 5
    for size in (1, 2, 4, 9):
        pages = [
            world.run("list", "--limit", str(size), "--offset", str(start)).out.splitlines()
            for start in range(0, 6, size)
        ]
        # each page is as wide as its own columns; what is left of the time is another every minute
        listed = [line.split()[:4] for page in pages for line in page]
        assert listed == [one.split()[:4] for one in every]
        assert all(len(page) <= size for page in pages)


@pytest.mark.parametrize("many", [2, 25])
def test_a_look_at_expired_logins_writes_for_few(world: World, many: int) -> None:
    """All of them are shown as expired; a large store is not written for each."""
    storage = EncryptedFileStorage(str(world.state), config_dir=str(world.config), environ={})
    for number in range(many):
        tokens = OAuthTokens(access_token="t", refresh_token="r", expires_in=60, issued_at=1.0)
        import_tokens(storage, world.server.config(), tokens, f"a{number}")
    before = storage.about().generation
    shown = world.run("status", "--json").json["logins"]
    assert {one["state"] for one in shown} == {"expired"}
    assert len(shown) == many
    assert storage.about().generation - before == (many if many < 20 else 0)


def test_a_move_of_nothing_makes_nothing(world: World) -> None:
    """There is no directory, and no variable is to be set; a login that waits is named and stays."""
    there = world.place / "elsewhere"
    empty = world.run("store", "migrate", str(there))
    assert (empty.code, there.exists()) == (0, False)
    started = world.run("login", "demo", "--start", "--json", "--via", "manual")
    waiting = world.run("store", "migrate", str(there))
    assert (waiting.code, there.exists()) == (0, False)
    assert started.json["login"] in waiting.err
    assert [done.err.count("STAYFAST_STATE_DIR") for done in (empty, waiting)] == [0, 0]


@pytest.mark.parametrize(
    ("environ", "place", "told"),
    [
        ({}, "elsewhere", "export STAYFAST_STATE_DIR="),
        ({"STAYFAST_STATE_DIR": ""}, "elsewhere", "export STAYFAST_STATE_DIR="),
        ({"XDG_STATE_HOME": "{place}"}, "stayfast", "unset STAYFAST_STATE_DIR"),
        ({"XDG_STATE_HOME": "{place}", "STAYFAST_STATE_DIR": ""}, "stayfast", ""),
    ],
    ids=["another", "another, from the usual one", "the usual one", "where commands look"],
)
def test_what_a_shell_has_to_be_told_of_a_move(
    world: World, environ: dict[str, str], place: str, told: str
) -> None:
    """Only what leads there: no variable, where commands look into that directory without one."""
    signed_in(world)
    given = {name: value.format(place=world.place) for name, value in environ.items()}
    there = str(world.place / place)
    done = world.run("--state-dir", str(world.state), "store", "migrate", there, env=given)
    assert done.code == 0, done.err
    assert ("STAYFAST_STATE_DIR" in done.err) is bool(told)
    assert told in done.err


def test_the_old_place_knows_where_its_logins_went(world: World) -> None:
    """As long as nobody signs in there again; the place is named by `status` and by `list`."""
    signed_in(world)
    there = str(world.place / "elsewhere")
    assert world.run("store", "migrate", there).code == 0
    for command in ("status", "list", "store migrate /nowhere"):
        assert f"--state-dir {there}" in " ".join(world.run(*command.split()).err.split())
    for command in ("token", "refresh", "logout"):
        gone = world.run(command, "demo", "--json")
        assert (gone.code, gone.json["code"]) == (4, "AUTH_REQUIRED")
        assert gone.json["hint"] == f"stayfast status demo --state-dir {there}"
    assert "--state-dir" not in world.run("token", "github", "--json").json["hint"]
    assert world.run("status", "--state-dir", there).code == 0
    assert world.run("--state-dir", there, "store", "migrate", str(world.state)).code == 0
    assert world.run("logout", "demo").code == 0
    assert there not in world.run("status").err
