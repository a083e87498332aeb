"""``stayfast store``: where logins are, another key for them, what does not open."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from command import World


def signed_in(world: World) -> str:
    assert world.run("login", "demo", "--via", "loopback").code == 0
    return world.run("token", "demo").out


def test_info_of_nothing_and_of_a_vault(world: World) -> None:
    """`store info` says that there is no store before the first login, and describes it afterwards."""
    before = world.run("store", "info", "--json")
    assert (before.code, before.json["key"]) == (0, None)
    signed_in(world)
    done = world.run("store", "info", "--json")
    told = done.json
    assert (done.code, told["schema"], told["key"]) == (0, "stayfast.store/1", "keyfile")
    assert (told["logins"], told["epoch"], told["problems"], told["set_aside"]) == (1, 1, [], [])
    assert told["records"] == 4
    assert world.run("store", "info").code == 0


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
    told = world.run("store", "info", "--json").json
    assert (told["key"], told["epoch"], told["problems"]) == ("keyfile", 3, [])
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
