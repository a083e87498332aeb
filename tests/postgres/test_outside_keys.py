"""A database whose key is kept by a command or by the service manager, opened by processes of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import World
from postgres_server import PostgresServer
from stayfast.storage.keys.outside import KEY_COMMAND

KEY, ANOTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4


def keeper(place: Path, kind: str, key: str | None) -> dict[str, str]:
    """The environment of a process that has ``key`` from there; ``None`` if nothing keeps one."""
    if key is None:
        return {}
    if kind == "command":
        program = place / f"print-{key[:4]}"
        program.write_text(f"#!/bin/sh\necho {key}\n")
        program.chmod(0o700)
        return {KEY_COMMAND: str(program)}
    directory = place / f"credentials-{key[:4]}"
    directory.mkdir(exist_ok=True)
    (directory / "stayfast").write_text(key)
    return {"CREDENTIALS_DIRECTORY": str(directory)}


def snapshot(server: PostgresServer, database: str) -> list[tuple]:
    return server.execute(
        database,
        "SELECT (SELECT body FROM head), (SELECT body FROM header), (SELECT count(*) FROM audit),"
        " (SELECT count(*) FROM login), (SELECT count(*) FROM entry)",
    )


@pytest.mark.parametrize("kind", ["command", "systemd-creds"])
def test_two_hosts_share_a_key_that_is_kept_outside(
    world: World, server: PostgresServer, database: str, kind: str
) -> None:
    """Each opens it by its own keeper and no key file is left; with a wrong key, or none, nothing is written."""
    right = keeper(world.place, kind, KEY)
    assert world.run("login", "demo", "--via", "loopback").code == 0
    done = world.run("store", "rekey", "--to", kind, env=right)
    assert done.code == 0, done.err
    assert list(world.config.glob("*.key")) == []
    there = {
        **right,
        "STAYFAST_STATE_DIR": str(world.place / "there"),
        "STAYFAST_CONFIG_DIR": str(world.place / "there-config"),
    }
    (world.place / "there-config").mkdir(mode=0o700)
    (world.place / "there-config" / "config.toml").write_bytes(
        (world.config / "config.toml").read_bytes()
    )
    (world.place / "there-config" / "config.toml").chmod(0o600)
    assert world.run("refresh", "demo", env=there).code == 0
    assert world.run("token", "demo", env=right).out == world.run("token", "demo", env=there).out
    before = snapshot(server, database)
    for key, words in (
        (ANOTHER, ("refresh", "demo")),
        (ANOTHER, ("store", "rekey", "--to", kind)),
        (None, ("token", "demo")),
    ):
        refused = world.run(*words, env=keeper(world.place, kind, key))
        assert refused.code in {7, 8}
        assert refused.out == ""
        assert refused.err.count("error:") == refused.err.count("hint:") == 1
        assert "Traceback" not in refused.err
    assert snapshot(server, database) == before


def test_a_new_database_begins_with_the_key_of_the_command(
    world: World, server: PostgresServer, database: str
) -> None:
    """No key file is made where a command keeps the key."""
    right = keeper(world.place, "command", KEY)
    assert world.run("login", "demo", "--via", "loopback", env=right).code == 0
    assert world.run("store", "info", "--json", env=right).json["key"] == "command"
    assert list(world.config.glob("*.key")) == []


@pytest.mark.parametrize("kind", ["command", "systemd-creds"])
def test_a_new_key_that_the_same_secret_opens_is_said(world: World, kind: str) -> None:
    """The command warns in one line, and does what it was asked for."""
    one = keeper(world.place, kind, KEY)
    assert world.run("login", "demo", "--via", "loopback").code == 0
    first = world.run("store", "rekey", "--to", kind, env=one)
    again = world.run("store", "rekey", env=one)
    assert (first.code, again.code) == (0, 0)
    assert len(again.err.splitlines()) == len(first.err.splitlines()) + 1
    assert KEY not in again.err
    assert world.run("token", "demo", env=one).code == 0
