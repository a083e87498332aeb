"""`doctor`: what is wrong is found, named with what mends it, and shown without a secret."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import Done, World
from stayfast.engine.summary import Identity
from stayfast.engine.table import State
from stayfast.testing.storage_contract import finished, pending, saved

CANARY = "canary"


def checks(done: Done) -> dict[str, list[dict[str, Any]]]:
    """The checks by name; each has the four members and no other."""
    answer = done.json
    assert answer["schema"] == "stayfast.doctor/1"
    found: dict[str, list[dict[str, Any]]] = {}
    for one in answer["checks"]:
        assert set(one) == {"name", "result", "detail", "next"}
        assert one["result"] in {"ok", "warn", "fail", "skip"}
        found.setdefault(one["name"], []).append(one)
    return found


def results(found: dict[str, list[dict[str, Any]]], name: str) -> set[str]:
    return {one["result"] for one in found[name]}


def keep(world: World, **fields: Any) -> None:
    login = finished("demo", token=f"{CANARY}-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, refresh_token=f"{CANARY}-refresh", issued_at=time.time())
    named = Identity(subject=f"{CANARY}-subject", name=f"{CANARY}@demo.test")
    saved(
        world.assembly.storage, [replace(login, **{"tokens": tokens, "identity": named, **fields})]
    )


def test_a_machine_on_which_all_is_well(world: World) -> None:
    """Every subject is looked at, nothing fails, and nothing is changed."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    before = world.logins()
    done = world.run("doctor", "--json")
    found = checks(done)
    assert done.code == 0
    assert {
        "python", "config", "directories", "store", "keyring", "audit", "logins", "tls", "clock",
        "discovery", "issuer", "pkce", "transport", "browser", "ports",
    } <= set(found)  # fmt: skip
    for name in ("config", "store", "audit", "clock", "discovery", "pkce", "issuer", "ports"):
        assert results(found, name) == {"ok"}, found[name]
    assert results(found, "keyring") == {"skip"}
    assert world.logins() == before
    shown = world.run("doctor")
    assert (shown.code, shown.err) == (0, "")


def test_a_browser_that_is_not_needed_is_no_worry(world: World) -> None:
    """Where a code or a paste is used, nobody is told to change the way for want of a screen."""
    found = checks(world.run("doctor", "--json", env={"STAYFAST_VIA": "manual", "DISPLAY": ""}))
    (one,) = found["browser"]
    assert (one["result"], one["next"]) == ("skip", None)


def test_an_empty_home_has_no_fault(world: World, own_home: Path) -> None:
    """Before the first login, nothing is made by looking."""
    elsewhere = {
        "STAYFAST_STATE_DIR": str(own_home / "s"),
        "STAYFAST_CONFIG_DIR": str(own_home / "c"),
    }
    done = world.run("doctor", "--json", env=elsewhere)
    found = checks(done)
    assert done.code == 0
    assert results(found, "store") == {"skip"}
    assert results(found, "providers") == {"warn"}
    assert not (own_home / "s").exists()
    assert not (own_home / "c").exists()


def _readable_by_others(world: World) -> None:
    world.state.chmod(0o777)


def _damaged(world: World) -> None:
    keep(world)
    with closing(sqlite3.connect(world.state / "vault.db")) as connection, connection:
        connection.execute("UPDATE login SET secret = zeroblob(length(secret))")


def _no_toml(world: World) -> None:
    (world.config / "config.toml").write_text("[providers.demo\n")


def _no_client(world: World) -> None:
    (world.config / "config.toml").write_text('[providers.lab]\nissuer = "https://x.invalid"\n')


def _no_setting(world: World) -> None:
    world.provide("odd", unheard_of=1)


def _away(world: World) -> None:
    world.provide("away", issuer="http://127.0.0.1:1")


FAULTS: dict[str, tuple[Callable[[World], None], str]] = {
    "a directory that others can write": (_readable_by_others, "directories"),
    "a vault that was overwritten": (_damaged, "store"),
    "settings that are no TOML": (_no_toml, "config"),
    "a provider without a client": (_no_client, "client"),
    "a setting that is not known": (_no_setting, "config"),
    "a provider that gives no answer": (_away, "discovery"),
}


@pytest.mark.parametrize(("harm", "name"), FAULTS.values(), ids=FAULTS)
def test_a_fault_fails_its_check(world: World, harm: Callable[[World], None], name: str) -> None:
    """With the next step, and exit status 1; the other checks are made all the same."""
    world.state.mkdir(mode=0o700, exist_ok=True)
    harm(world)
    done = world.run("doctor", "--json")
    found = checks(done)
    assert done.code == 1
    assert "fail" in results(found, name), found[name]
    assert all(one["next"] for one in found[name] if one["result"] == "fail")
    assert {"python", "tls", "ports"} <= set(found)


CAUSES = {
    "a vault whose passphrase is not there": ({}, "store"),
    "an unlock window that is no duration": ({"STAYFAST_UNLOCK_WINDOW": "abc"}, "unlock window"),
    "an unlock window that is too long": ({"STAYFAST_UNLOCK_WINDOW": "48h"}, "unlock window"),
    "a kind of storage that does not exist": ({"STAYFAST_STORE": "no such store"}, "store"),
}


@pytest.mark.parametrize(("extra", "cause"), CAUSES.values(), ids=CAUSES)
def test_a_vault_that_cannot_be_opened_fails_one_check(
    world: World, extra: dict[str, str], cause: str
) -> None:
    """That of its cause; what hangs on it is not known, and no login is said to be absent."""
    env = {"STAYFAST_PASSPHRASE": "one two three"}
    assert world.run("login", "demo", "--via", "loopback", env=env).code == 0
    found = checks(world.run("doctor", "--json", "--offline", env=extra))
    assert [one["name"] for some in found.values() for one in some if one["result"] == "fail"] == [
        cause
    ]
    for name in {"keyring", "store", "audit", "logins"} - {cause}:
        assert results(found, name) == {"skip"}, found[name]


def test_the_logins_that_open_are_counted_beside_one_that_does_not(world: World) -> None:
    """A record that was changed does not hide the others."""
    keep(world)
    keep(world, account="work")
    with closing(sqlite3.connect(world.state / "vault.db")) as connection, connection:
        connection.execute(
            "UPDATE login SET secret = zeroblob(length(secret)) WHERE id ="
            " (SELECT max(id) FROM login)"
        )
    found = checks(world.run("doctor", "--json", "--offline"))
    assert results(found, "store") == {"fail"}
    assert "0 signed in" not in found["logins"][0]["detail"]


def test_every_detail_begins_in_one_column(world: World) -> None:
    """Also that of the longest name, and the command below it."""
    shown = world.run("doctor", "--offline", env={"STAYFAST_UNLOCK_WINDOW": "abc"}).out
    found = checks(
        world.run("doctor", "--json", "--offline", env={"STAYFAST_UNLOCK_WINDOW": "abc"})
    )
    lines = shown.splitlines()
    columns = {
        line.index(one["detail"])
        for some in found.values()
        for one in some
        for line in lines
        if one["detail"] in line and line[7:].startswith(one["name"])
    }
    assert columns == {next(line.index("→") for line in lines if "→" in line)}


@pytest.mark.parametrize(
    ("variable", "value", "name", "result"),
    [
        ("REQUESTS_CA_BUNDLE", "/nonexistent", "tls", "fail"),
        ("STAYFAST_TOKEN", CANARY, "environment", "warn"),
        ("STAYFAST_STORE", "no such store", "store", "fail"),
        ("STAYFAST_STORE", "keyring", "keyring", "fail"),
    ],
)
def test_a_variable_is_judged(
    world: World, variable: str, value: str, name: str, result: str
) -> None:
    """Where it is what keeps logins from working, or works instead of them."""
    extra = {"STAYFAST_KEYRING": "no.such:Class"} if value == "keyring" else {}
    done = world.run("doctor", "--json", "--offline", env={variable: value, **extra})
    assert result in results(checks(done), name)
    assert done.code == int(result == "fail")


def test_a_login_that_is_dead_is_named_with_what_to_do(world: World) -> None:
    """The account is kept in the command; open logins and those whose time is over are counted."""
    keep(world, state=State.REFRESH_FAILED, account="work", oauth_error="invalid_grant")
    late = replace(pending("demo"), deadline=time.time() - 60)
    saved(world.assembly.storage, [late])
    found = checks(world.run("doctor", "--json", "--offline"))
    dead = next(one for one in found["logins"] if one["result"] == "warn")
    assert dead["next"] == "stayfast login demo --account work"
    assert "0 open" in found["logins"][0]["detail"]
    assert len(world.logins()) == 2


def test_one_provider_is_looked_at_alone(world: World) -> None:
    """And one that is not there is an error of its own."""
    world.provide("away", issuer="http://127.0.0.1:1")
    assert world.run("doctor", "demo", "--json").code == 0
    done = world.run("doctor", "dmeo", "--json")
    assert done.code == 1
    assert "fail" in results(checks(done), "providers")


def test_a_port_that_is_taken_is_found(world: World) -> None:
    """The one that the redirect address needs; here another program listens on it."""
    port = world.server.issuer.rpartition(":")[2]
    world.provide("fixed", redirect_uri=f"http://127.0.0.1:{port}/callback")
    found = checks(world.run("doctor", "fixed", "--json"))
    taken = [one for one in found["ports"] if one["result"] != "ok"]
    assert [port in one["detail"] for one in taken] == [True]


def test_a_redirect_address_that_the_provider_refuses_is_named(world: World) -> None:
    """Its rule is known: Dex takes `localhost` alone."""
    world.provide("dex", redirect_hosts=["localhost"], redirect_uri="http://127.0.0.1:8000/cb")
    found = checks(world.run("doctor", "dex", "--json"))
    assert ["localhost" in one["detail"] for one in found["redirect"]] == [True]


@pytest.mark.parametrize("words", [(), ("--json",), ("-vv",)])
def test_nothing_secret_is_shown(world: World, own_home: Path, words: tuple[str, ...]) -> None:
    """Tokens, secrets of clients, passphrases, passwords of proxies, names of people, the home."""
    keep(world)
    world.provide("secretive", client_secret=f"{CANARY}-client")
    secret = {
        "STAYFAST_TOKEN": f"{CANARY}-given",
        "STAYFAST_PASSPHRASE": f"{CANARY}-passphrase",
        "STAYFAST_KEY_COMMAND": f"echo {CANARY}-key",
        "DEMO_CLIENT_SECRET": f"{CANARY}-secret",
        "HTTPS_PROXY": f"http://user:{CANARY}@127.0.0.1:9",
        "HTTP_PROXY": f"http://user:{CANARY}@127.0.0.1:9",
        "ALL_PROXY": f"socks5://user:{CANARY}@127.0.0.1:9",
    }
    world.provide("outside", issuer="https://idp.invalid")
    for place in (world.environ, {"STAYFAST_STATE_DIR": "", "STAYFAST_CONFIG_DIR": ""}):
        done = world.run("doctor", *words, env={**place, **secret, "HOME": str(own_home)})
        assert CANARY not in done.out + done.err
        assert str(own_home) not in done.out + done.err
    assert os.environ.get("STAYFAST_TOKEN") is None
