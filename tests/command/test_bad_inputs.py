"""Every bad input has an answer of its own, and loses nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
from contextlib import closing

import pytest
from command import Done, World
from stayfast.engine.table import State
from stayfast.testing import user_agent
from stayfast.testing.misbehaviour import Fault, FaultKind


def answered(done: Done, exit_code: int, code: str) -> None:
    """The run failed as it should: this exit status, this code, a hint, and a sentence for people."""
    document = done.json
    assert (done.code, document["schema"], document["code"]) == (
        exit_code,
        "stayfast.error/1",
        code,
    )
    assert document["hint"]
    assert document["error"] in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def started(world: World) -> dict[str, str]:
    """A login that waits for its answer."""
    return world.run("login", "demo", "--start", "--json", "--via", "manual").json


def answer(world: World, started: dict[str, str], text: str) -> Done:
    return world.run("resume", started["login"], "--callback-url", "-", "--json", stdin=text)


def test_denied(world: World, started: dict[str, str]) -> None:
    """If the user declines, the login ends, and the error says so."""
    no = user_agent.fetch_only(started["url"], approve=False)
    answered(answer(world, started, no), 5, "AUTH_CANCELLED")
    assert (world.logins()[0].state, world.logins()[0].reason) == (State.IDLE, "access_denied")


def test_json_says_what_to_do_as_data(world: World) -> None:
    """Beside the sentence a program gets the action, the provider and the account."""
    document = world.run("token", "demo", "--account", "my work", "--json").json

    assert document["hint"] == "stayfast login demo --account 'my work'"
    assert document["advice"] == {"action": "login", "provider": "demo", "account": "my work"}


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (("--callback-url", "-"), ""),
        (("--callback-url", "-"), "hello"),
        (("--callback-url", "-"), "?error"),
        (("--via", "manual"), " \n"),
        (("--via", "manual"), "https://x.test/?"),
    ],
)
def test_what_is_no_answer_names_the_command_that_takes_one(
    world: World, started: dict[str, str], how: tuple[str, str], text: str
) -> None:
    """With the id of the login, which goes on waiting."""
    done = world.run("resume", *how, "--json", stdin=text)
    assert done.code == 1
    assert done.json["hint"] == f"stayfast resume {started['login']} --callback-url -"
    assert world.logins()[0].state is State.AWAITING_CALLBACK


def test_of_several_logins_that_wait_none_is_guessed(world: World, started: dict[str, str]) -> None:
    """They are named, and the hint shows them all."""
    second = world.run("login", "demo", "--start", "--json").json["login"]
    for words in (("resume",), ("cancel",), ("resume", "--callback-url", "-")):
        done = world.run(*words, "--json", stdin="x")
        answered(done, 1, "NOT_FOUND")
        assert {started["login"], second} <= set(done.json["error"].split())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda started, good: user_agent.tampered(good, state="somebody-elses"), "wrong_state"),
        (lambda started, good: user_agent.tampered(good, state=None), "truncated"),
        (lambda started, good: user_agent.tampered(good, iss="https://evil.test"), "wrong_issuer"),
        (lambda started, good: user_agent.tampered(good, iss=None), "missing_issuer"),
        (lambda started, good: user_agent.tampered(good, code=None, error="access_denied", state="x"), "wrong_state"),
        (lambda started, good: good + "&code=another", "duplicate_parameter"),
        (lambda started, good: good[:60], "truncated"),
        (lambda started, good: started["url"], "authorization_url"),
        (lambda started, good: "4/0AbCdEfGhIjKlMnOp", "bare_code"),
        (lambda started, good: "¿where? is it!", "not_a_callback"),
        (lambda started, good: good.replace(":8080", ":9999"), "wrong_address"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_wrong_answer_is_refused_and_the_right_one_still_counts(
    world: World, started: dict[str, str], spoil: object, reason: str
) -> None:
    """A wrong answer changes nothing but the log; the login goes on waiting for its own."""
    assert callable(spoil)
    good = user_agent.fetch_only(started["url"])
    before = world.logins()[0]

    refused = answer(world, started, spoil(started, good))

    document = refused.json
    assert (refused.code, document["code"]) == (1, "CALLBACK_REFUSED")
    assert world.logins()[0] == before
    last = world.assembly.storage.events(limit=100)[-1].members
    assert (last["event"], last["reason"]) == ("login.refused", reason)
    assert answer(world, started, good).code == 0


def test_expired(world: World) -> None:
    """A login whose deadline has passed says so, and is over."""
    started = world.run(
        "login", "demo", "--start", "--json", "--via", "manual", "--timeout", "1s"
    ).json
    good = user_agent.fetch_only(started["url"])
    deadline = world.logins()[0].deadline
    assert deadline is not None
    while world.assembly.clock.now() < deadline:
        world.assembly.clock.sleep(0.05)
    answered(answer(world, started, good), 6, "TIMEOUT")
    assert world.logins()[0].reason == "deadline_passed"
    answered(world.run("resume", started["login"], "--json"), 6, "TIMEOUT")


def test_unknown_names(world: World) -> None:
    """What does not exist is said not to exist."""
    answered(world.run("login", "nobody", "--json"), 1, "NOT_FOUND")
    answered(world.run("token", "demo", "--json"), 4, "AUTH_REQUIRED")
    answered(world.run("resume", "ZZZZ", "--json"), 1, "NOT_FOUND")
    answered(world.run("cancel", "--json"), 1, "NOT_FOUND")
    for command in ("status", "token", "refresh", "whoami", "logout"):
        answered(world.run(command, "nobody", "--json"), 4, "NOT_FOUND")
    answered(world.run("no-such-command", "--json"), 2, "USAGE")
    answered(world.run("login", "demo", "--timeout", "soon", "--json"), 2, "USAGE")


def test_missing_client_id(world: World) -> None:
    """A login without a client names the command that keeps its id, and the variable."""
    world.provide("acme", client_id=None)
    done = world.run("login", "acme", "--json")
    answered(done, 1, "CONFIG_MISSING")
    assert done.json["hint"] == "stayfast provider edit acme --client-id ID"
    assert "ACME_CLIENT_ID" in done.err
    assert world.server.config().redirect_uri.replace(":0/", "/") in done.err


def test_ports_taken(world: World) -> None:
    """When no registered port is free the login ends before anybody was asked."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        world.provide("fixed", redirect_uri=f"http://127.0.0.1:{port}/callback")
        done = world.run("login", "fixed", "--via", "loopback", "--json", "--start")
        assert done.code == 3  # a paste needs no port
        busy = world.run("login", "fixed", "--via", "loopback", "--new")
    assert busy.code == 1
    assert world.logins()[-1].reason == "transport_unavailable"


def test_no_network(world: World, started: dict[str, str]) -> None:
    """Without a network the code is kept, and sent when there is one again."""
    good = user_agent.fetch_only(started["url"])
    world.server.misbehave("token", Fault(kind=FaultKind.DROP_BEFORE), times=2)
    done = answer(world, started, good)
    answered(done, 1, "NETWORK_ERROR")
    assert done.json["hint"] == f"stayfast resume {started['login']}"
    assert world.logins()[0].state is State.EXCHANGING
    assert world.run("resume", started["login"]).code == 0


@pytest.mark.parametrize(
    "kind",
    [FaultKind.HTML, FaultKind.ERROR_500, FaultKind.BUSY_503, FaultKind.TOO_MANY_429,
     FaultKind.HUGE, FaultKind.EMPTY, FaultKind.MALFORMED, FaultKind.REDIRECT,
     FaultKind.DROP_AFTER],
)  # fmt: skip
def test_a_server_that_makes_no_sense_costs_nothing(world: World, kind: FaultKind) -> None:
    """A refresh that gets nonsense for an answer is postponed; the refresh token stays good."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    lost = kind is FaultKind.DROP_AFTER  # the provider acted, and the second sending is reuse
    world.server.misbehave("token", Fault(kind=kind), times=1 if lost else 2)
    done = world.run("refresh", "demo", "--json")
    answered(done, 4 if lost else 1, "TOKEN_REFRESH_FAILED" if lost else "NETWORK_ERROR")
    world.server.behave()
    state = world.logins()[0].state
    assert state is (State.REFRESH_FAILED if lost else State.EXPIRED)
    if not lost:
        assert world.run("token", "demo", "--min-ttl", "2h").code == 0


def test_directories_that_are_not_ours_alone(world: World) -> None:
    """An open or foreign state directory is refused with the command that mends it."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    world.state.chmod(0o755)
    done = world.run("token", "demo", "--json")
    answered(done, 7, "STORAGE_UNAVAILABLE")
    assert done.json["hint"].startswith("chmod 700")
    world.state.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(world.state, 12345, -1)
        answered(world.run("token", "demo", "--json"), 7, "STORAGE_UNAVAILABLE")
        os.chown(world.state, 0, -1)
    assert world.run("token", "demo").code == 0


def test_a_vault_of_a_newer_version(world: World) -> None:
    """What a newer version wrote is refused, untouched."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    with closing(sqlite3.connect(world.state / "vault.db")) as vault:
        vault.execute("PRAGMA user_version = 99")
    answered(world.run("token", "demo", "--json"), 7, "STORAGE_NEWER_FORMAT")
    with closing(sqlite3.connect(world.state / "vault.db")) as vault:
        vault.execute("PRAGMA user_version = 1")
    assert world.run("token", "demo").code == 0


def test_a_changed_vault_is_named(world: World) -> None:
    """A row that was edited is refused as damaged, with exit 8."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    with closing(sqlite3.connect(world.state / "vault.db")) as vault, vault:
        vault.execute("UPDATE login SET secret = zeroblob(length(secret))")
    answered(world.run("token", "demo", "--json"), 8, "STORAGE_DAMAGED")


def test_no_refresh_token(world: World) -> None:
    """An expired token that cannot be refreshed asks for a new login."""
    world.server.change(token_lifetime=0.001)
    world.server.state.clients["stayfast-demo"].refreshable = False
    try:
        assert world.run("login", "demo", "--via", "loopback").code == 0
    finally:
        world.server.state.clients["stayfast-demo"].refreshable = True
    answered(world.run("token", "demo", "--json"), 4, "TOKEN_EXPIRED")
    assert world.logins()[0].state is State.EXPIRED


def test_fewer_scopes_than_asked_for(world: World) -> None:
    """What was not granted is said, and the login counts."""
    world.server.misbehave("token", Fault(kind=FaultKind.MEMBERS, members={"scope": "openid"}))
    assert world.run("login", "demo", "--via", "loopback", "--scope", "openid write").code == 0
    assert world.run("status", "--json").json["logins"][0]["scopes"] == ["openid"]


def test_a_provider_that_cannot_revoke(world: World) -> None:
    """A logout erases the tokens here even when they cannot be revoked, and says so."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    world.server.misbehave("revoke", Fault(kind=FaultKind.BUSY_503))
    done = world.run("logout", "demo", "--json")
    (ended,) = done.json["logouts"]
    assert (done.code, ended["revoked"]) == (1, False)
    assert (ended["refresh_token_valid"], ended["access_token_valid"]) == (True, True)
    assert world.logins()[0].tokens is None
