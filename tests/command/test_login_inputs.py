"""A login by a token that the user has, and a provider that is chosen at the terminal."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pexpect
import pytest
from command import PATIENCE, STAYFAST, World
from stayfast.testing.__main__ import READY
from stayfast.testing.authorization_server import CLIENT_ID


@pytest.mark.parametrize(
    "text",
    [
        "the-token",
        "the-token\n",
        '{"access_token": "the-token", "token_type": "bearer"}',
        '  {"access_token": "the-token", "scope": "a b"}\n',
    ],
)
def test_a_token_on_standard_input_becomes_the_login(world: World, text: str) -> None:
    """It is kept like any other, and the log of it proves itself."""
    done = world.run("login", "demo", "--with-token", "--account", "work", stdin=text)
    assert (done.code, done.out) == (0, "")
    assert "the-token" not in done.err
    assert world.run("token", "demo", "--account", "work", "--min-ttl", "1s").out == "the-token\n"
    assert world.run("audit", "verify").code == 0


@pytest.mark.parametrize("text", ["", "\n", "a b", "x\ny", "{", '{"a": 1}', "\u2028", "tök"])
def test_what_is_no_token_is_not_kept(world: World, text: str) -> None:
    """One error, and nothing of what was piped is shown."""
    done = world.run("login", "demo", "--with-token", stdin=text)
    assert (done.code, done.out) == (1, "")
    assert world.logins() == []


def test_an_account_that_is_signed_in_keeps_its_login(world: World) -> None:
    """Unless the new one is to take its place."""
    assert world.run("login", "demo", "--with-token", stdin="first").code == 0
    assert world.run("login", "demo", "--with-token", stdin="second").code == 1
    assert world.run("token", "demo").out == "first\n"
    answer = world.run("login", "demo", "--with-token", "--replace", "--json", stdin="third").json
    assert (answer["schema"], answer["state"]) == ("stayfast.login/1", "authenticated")
    assert world.run("token", "demo").out == "third\n"
    assert world.run("login", "nosuch", "--with-token", stdin="x").code == 1


def test_without_a_terminal_the_provider_is_named(world: World) -> None:
    """It is an error of usage, and no login begins."""
    for words in (["login"], ["login", "--json"], ["login", "--with-token"]):
        done = world.run(*words, stdin="x")
        assert done.code == 2
        assert "Traceback" not in done.err
    assert world.logins() == []


@pytest.mark.parametrize("typed", ["2", "other"])
def test_a_terminal_offers_the_providers(world: World, typed: str) -> None:
    """Those that the user configured, by number or name; a wrong answer is asked again."""
    world.provide("other")
    command: Any = pexpect.spawn
    child = command(
        STAYFAST,
        ["login", "--via", "loopback"],
        env=world.environ,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    child.expect("Sign in to which")
    child.sendline("7")
    child.expect("Sign in to which")
    child.sendline(typed)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    (login,) = world.logins()
    assert login.provider == "other"


def test_advice_is_not_what_was_just_typed(world: World) -> None:
    """`exec` of a program that is not there."""
    assert world.run("login", "demo", "--with-token", stdin="first").code == 0
    done = world.run("exec", "demo", "--", "/nonexistent/x", "--json")
    assert done.code == 127
    assert "exec" not in done.err.splitlines()[-1]
    assert json.loads(world.run("status", "--json").out)["logins"]


def test_a_token_is_asked_for_at_a_terminal(world: World) -> None:
    """Once, with a word about it, and what is typed is not shown."""
    spawn: Any = pexpect.spawn
    words = ["login", "demo", "--with-token"]
    child = spawn(STAYFAST, words, env=world.environ, encoding="utf-8", timeout=PATIENCE)
    child.expect(":")
    child.sendline("the-token")
    shown = child.read()
    child.close()
    assert (child.exitstatus, "the-token" in shown) == (0, False)
    assert world.run("token", "demo").out == "the-token\n"


def test_a_token_that_a_terminal_has_cut_off_is_refused(world: World) -> None:
    """The system passes on the beginning of a long line only; no half of a token is kept."""
    spawn: Any = pexpect.spawn
    words = ["login", "demo", "--with-token"]
    child = spawn(STAYFAST, words, env=world.environ, encoding="utf-8", timeout=PATIENCE)
    child.expect(":")
    child.sendline("x" * 6000)
    child.read()
    child.close()
    assert child.exitstatus == 1
    assert world.logins() == []


def test_the_new_vault_names_the_way_to_a_passphrase_once(world: World) -> None:
    """As a line of its own, after the answer."""
    said = world.run("login", "demo", "--via", "loopback").err.splitlines()
    assert [line.split()[1:5] for line in said if "rekey" in line] == [
        ["stayfast", "store", "rekey", "--to"]
    ]


def test_an_empty_log_is_said_to_be_empty(world: World) -> None:
    """Of the log as of a choice from it; standard output stays empty for programs."""
    for words in ([], ["--provider", "demo"]):
        done = world.run("audit", "show", *words)
        assert (done.code, done.out, bool(done.err)) == (0, "", True)
    assert world.run("audit", "show", "--json").err == ""


def test_the_lines_that_the_test_server_prints_sign_in(world: World) -> None:
    """A provider of any name is added and signed in to as the server says it."""
    said = READY.format(issuer=world.server.issuer, client=CLIENT_ID).replace("\\\n", "")
    lines = [shlex.split(line) for line in said.splitlines() if line.startswith("  stayfast ")]
    assert [line[1] for line in lines] == ["provider", "login"]
    named = [[word.replace("demo", "tried") for word in line] for line in lines]
    named = [[CLIENT_ID if word == "stayfast-tried" else word for word in line] for line in named]
    assert world.run(*named[0][1:]).code == 0
    assert world.run(*named[1][1:], "--via", "loopback").code == 0


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ("--par required --via manual", "provider edit bare --par-url https://…"),
        ("--par required --via device", "login bare --via manual --par required"),
        ("--client-auth private_key_jwt", "provider edit bare --client-key FILE"),
        ("--client-auth tls_client_auth", "provider edit bare --client-cert FILE"),
        ("--request-object required --via manual", "provider edit bare --client-key FILE"),
    ],
)
def test_what_this_login_asks_for_in_vain_is_refused_before_it_begins(
    world: World, options: str, hint: str
) -> None:
    """With the setting that is missing; no login is left, not even one that has ended."""
    world.provide("bare", issuer=None)
    done = world.run("login", "bare", *options.split(), "--start", "--json")
    assert (done.code, done.json["hint"]) == (1, f"stayfast {hint}")
    assert world.logins() == []


@pytest.mark.parametrize("start", [["--start"], []])
def test_another_way_is_named_as_a_command(world: World, start: list[str]) -> None:
    """A provider without a device endpoint is signed in to by a browser, as the same account."""
    world.provide("bare", issuer=None, device_url=None)
    done = world.run("login", "bare", "--via", "device", "--account", "work", *start, "--json")
    assert done.code == 1
    assert done.lines[-1]["hint"] == "stayfast login bare --account work --via loopback"
