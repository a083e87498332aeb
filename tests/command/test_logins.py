"""The command, from signing in to signing out."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from command import PATIENCE, World, events_of, states_of, until
from seat import Seat
from stayfast.engine.table import State
from stayfast.interfaces.audit.schema import schema
from stayfast.testing import grants, user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


def test_a_login_by_the_browser_and_all_that_follows(world: World) -> None:
    """Sign in, ask for tokens in every form, refresh, look, sign out: each says what it did."""
    signed_in = world.run("login", "demo", "--via", "loopback")
    assert (signed_in.code, signed_in.out) == (0, "")

    token = world.run("token", "demo").out.strip()
    assert world.run("token").out.strip() == token  # the slow path prints the same
    assert (
        world.run("token", "demo", "--format", "header").out == f"Authorization: Bearer {token}\n"
    )
    answer = world.run("token", "demo", "--json").json
    assert (answer["schema"], answer["access_token"]) == ("stayfast.token/1", token)
    ran = world.run("exec", "demo", "--", "sh", "-c", "printf %s $ACCESS_TOKEN")
    assert ran.out == token
    ours = {"STAYFAST_PASSPHRASE": "p", "STAYFAST_KEY_COMMAND": "k", "DEMO_CLIENT_SECRET": "s"}
    given = world.run("exec", "demo", "--", "env", env={**ours, "MINE": "x", "PGPASSWORD": "mine"})
    names = {line.partition("=")[0] for line in given.out.splitlines()}
    assert {"ACCESS_TOKEN", "MINE", "PGPASSWORD"} <= names  # the user's own are the user's
    assert not names & set(ours)

    assert world.run("refresh", "demo").code == 0
    assert world.run("token", "demo").out.strip() != token

    status = world.run("status", "--json")
    assert status.code == 0
    (login,) = status.json["logins"]
    assert (login["state"], login["identity"]) == ("authenticated", "ada@demo.test")
    assert login["next"] == "stayfast token demo"

    out = world.run("logout", "demo", "--json")
    (ended,) = out.json["logouts"]
    assert (out.code, ended["revoked"]) == (0, True)
    assert (ended["refresh_token_valid"], ended["access_token_valid"]) == (False, False)
    assert world.run("token", "demo").code == 4
    assert world.run("status").code == 4
    assert states_of(events_of(world)) == [
        "begin", "present", "receive_callback", "accept_tokens",
        "refresh", "accept_tokens", "logout",
    ]  # fmt: skip


def test_two_processes_finish_one_login(world: World) -> None:
    """A login that one process started is finished by the address piped into another."""
    started = world.run("login", "demo", "--start", "--json", "--via", "manual")
    assert started.code == 3
    answer = started.json
    assert (answer["schema"], answer["state"]) == ("stayfast.login/1", "awaiting_callback")
    assert answer["resume"] == ["stayfast", "resume", answer["login"], "--callback-url", "-"]

    callback = user_agent.fetch_only(answer["url"])
    done = world.run(*answer["resume"][1:], "--json", stdin=callback + "\n")

    assert (done.code, done.json["state"]) == (0, "authenticated")
    assert world.run("token", "demo").code == 0


def test_without_a_terminal_a_login_is_started_and_left(world: World) -> None:
    """Where nobody can wait, login prints what to do and exits 3; the device code can be polled."""
    started = world.run("login", "demo", "--json")
    assert (started.code, started.json["via"]) == (3, "device")
    code = started.json["user_code"]

    waiting = world.start("resume", started.json["login"], "--json")
    user_agent.decide_device(started.json["url"], code)
    out, _ = waiting.communicate(timeout=PATIENCE)

    assert waiting.returncode == 0
    assert '"state":"authenticated"' in out


def test_two_logins_of_one_provider_find_their_own_answers(world: World) -> None:
    """Of two pending logins, each takes the answer to its own question, in any order."""
    first = world.run("login", "demo", "--start", "--json", "--via", "manual").json
    second = world.run(
        "login", "demo", "--account", "work", "--start", "--json", "--via", "manual"
    ).json
    answers = {one["login"]: user_agent.fetch_only(one["url"]) for one in (first, second)}

    mixed_up = world.run("resume", first["login"], "--callback-url", answers[second["login"]])
    assert mixed_up.code == 1

    for one in (second, first):
        done = world.run("resume", one["login"], "--callback-url", "-", stdin=answers[one["login"]])
        assert done.code == 0
    accounts = {one["account"] for one in world.run("status", "--json").json["logins"]}
    assert accounts == {"default", "work"}


def test_the_event_stream_tells_every_transition(world: World) -> None:
    """Login --json prints one object per event, from started to finished."""
    done = world.run("login", "demo", "--via", "loopback", "--json")
    answer = done.lines
    assert done.code == 0
    assert answer[0]["event"] == "login.started"
    assert answer[-1] | {"login": ""} == {
        "schema": "stayfast.event/1", "event": "login.finished", "login": "",
        "state": "authenticated", "exit_code": 0,
    }  # fmt: skip
    assert [one["trigger"] for one in answer if one["event"] == "login.transition"] == [
        "begin", "present", "receive_callback", "accept_tokens",
    ]  # fmt: skip
    (asked,) = [one for one in answer if one["event"] == "login.action_required"]
    assert asked["action"] == "open_url"


def test_a_signal_pauses_a_login(world: World) -> None:
    """SIGTERM and a lost terminal save the login and leave with 130."""
    for number in ("SIGTERM", "SIGHUP", "SIGINT"):
        waiting = world.start("login", "demo", "--via", "loopback", "--no-browser", "--new")
        world.wait_for(lambda logins: bool(logins) and logins[-1].state is State.AWAITING_CALLBACK)
        waiting.send_signal(getattr(__import__("signal"), number))
        waiting.communicate(timeout=PATIENCE)
        login = world.logins()[-1]
        assert (number, waiting.returncode) == (number, 130)
        assert login.state is State.AWAITING_CALLBACK
        assert world.run("cancel", login.short_id).code == 0
    assert all(login.state is State.IDLE for login in world.logins())


def test_already_signed_in_is_said_and_nothing_is_asked(
    world: World, server: AuthorizationServer
) -> None:
    """A second login says that it is not needed."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    asked = server.counts["authorize"]

    again = world.run("login", "demo", "--via", "loopback")

    assert (again.code, server.counts["authorize"]) == (0, asked)


@pytest.fixture
def outlived(world: World, server: AuthorizationServer) -> World:
    """A world whose login has a token that has just ended, and renews itself."""
    server.change(token_lifetime=1)
    assert world.run("login", "demo", "--via", "loopback").code == 0
    world.wait_for(lambda logins: (logins[0].tokens.expires_at or 0) <= time.time())
    server.change(token_lifetime=3600)
    return world


def test_a_login_that_renews_itself_is_still_signed_in(outlived: World) -> None:
    """The user is not asked again because a token has ended: it is refreshed, once."""
    server = outlived.server
    asked = server.counts["authorize"]

    again = outlived.run("login", "demo", "--via", "loopback", "--json")

    assert (again.code, server.counts["authorize"]) == (0, asked)
    assert again.json["state"] == "authenticated"
    (login,) = outlived.logins()
    assert login.tokens is not None
    assert (login.tokens.expires_at or 0) > time.time()
    assert outlived.run("token", "demo").out.strip() == login.tokens.access_token


@pytest.mark.parametrize("refused", ["invalid_grant", "invalid_client"])
def test_a_login_whose_refresh_is_refused_signs_in(outlived: World, refused: str) -> None:
    """Where only the user can help, it is no use to say that somebody is signed in."""
    server = outlived.server
    server.misbehave("token", Fault(kind=FaultKind.ERROR, members={"error": refused}))
    asked = server.counts["authorize"]
    again = outlived.run("login", "demo", "--via", "loopback")
    assert again.code == 0
    assert server.counts["authorize"] > asked


@pytest.mark.parametrize("kind", [FaultKind.BUSY_503, FaultKind.DROP_BEFORE])
def test_a_login_that_cannot_be_refreshed_now_says_what_token_says(
    outlived: World, kind: FaultKind
) -> None:
    """No browser opens because the network is down: the refresh token is still good."""
    server = outlived.server
    server.misbehave("token", Fault(kind=kind), None)
    asked = server.counts["authorize"]
    again, said = (outlived.run(word, "demo", "--json") for word in ("login", "token"))
    assert (again.code, again.json["code"]) == (said.code, said.json["code"])
    assert again.json["code"] == "NETWORK_ERROR"
    assert server.counts["authorize"] == asked


def test_another_process_is_named(world: World) -> None:
    """A login that a living process waits for is not taken from it."""
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser")
    (login,) = world.wait_for(
        lambda logins: bool(logins) and logins[0].state is State.AWAITING_CALLBACK
    )
    taken = world.run("resume", login.short_id, "--json")
    waiting.kill()
    waiting.communicate(timeout=PATIENCE)

    assert (taken.code, taken.json["code"]) == (1, "LOGIN_BUSY")
    assert str(waiting.pid) in taken.json["error"]


def test_nothing_secret_is_written_outside_the_vault(world: World) -> None:
    """Of every secret of a login, no form is found in any file, and none was ever printed."""
    done = world.run("login", "demo", "--via", "loopback", "-v")
    (login,) = world.logins()
    assert login.tokens is not None
    secrets = [login.tokens.access_token, login.tokens.refresh_token, login.tokens.id_token]
    secrets += list(world.server.state.codes)
    written = (
        b"".join(path.read_bytes() for path in world.place.rglob("*") if path.is_file())
        + (done.out + done.err).encode()
    )
    for secret in secrets:
        assert secret is not None
        assert secret.encode() not in written
    modes = {oct(os.stat(path).st_mode & 0o077) for path in world.state.rglob("*")}
    assert modes == {"0o0"}


def test_help_and_first_contact_need_nothing(world: World) -> None:
    """What explains the command works anywhere, and leaves nothing behind."""
    for arguments in ([], ["--help"], ["help"], ["login", "--help"], ["help", "exit-codes"],
                      ["help", "machine"], ["diagram"], ["completion", "bash"],
                      ["provider", "list"], ["provider", "show", "github"], ["--version"]):  # fmt: skip
        done = world.run(*arguments)
        assert (arguments, done.code) == (arguments, 0)
        assert done.out
    assert not world.state.exists()


def test_a_login_is_visible_while_it_waits(world: World) -> None:
    """Status and list show a login under way with the command that goes on."""
    started = world.run("login", "demo", "--start", "--json", "--via", "manual").json
    status = world.run("status", "--json")
    (pending,) = status.json["pending"]
    assert (status.code, pending["next"]) == (4, f"stayfast resume {started['login']}")
    assert started["login"] in world.run("list").out
    drawn = world.run("diagram", "--login", started["login"])
    assert drawn.code == 0
    assert until(lambda: drawn.out, bool)


def test_the_provider_can_be_asked(world: World) -> None:
    """Status --check says what the provider says of the token, and exits by it."""
    world.provide("asked", introspection_url=f"{world.server.issuer}/introspect")
    assert world.run("login", "asked", "--via", "loopback").code == 0
    asked = world.run("status", "--check", "--json")
    assert (asked.code, asked.json["logins"][0]["active"]) == (0, True)
    world.server.state.revoke_family(world.server.state.tokens[-1].family)
    asked = world.run("status", "--check", "--json")
    assert (asked.code, asked.json["logins"][0]["active"]) == (4, False)


def test_the_audit_log_is_told_where_it_is_wanted(world: World) -> None:
    """Standard error holds one JSON line per event; each line is as its schema says."""
    jsonschema = pytest.importorskip("jsonschema")
    signed_in = world.run("login", "demo", "--via", "loopback", env={"STAYFAST_AUDIT": "stderr"})
    lines = [json.loads(line) for line in signed_in.err.splitlines() if line.startswith("{")]
    created, *steps = lines
    assert (created["event"], created["seq"]) == ("storage.created", 1)
    assert states_of(steps) == ["begin", "present", "receive_callback", "accept_tokens"]
    assert not (world.state / "audit.jsonl").exists()
    assert [line.get("attempt") for line in steps] == [None, None, 3, 3]
    world.run("refresh", "demo")
    answer = (world.state / "audit.jsonl").read_text().splitlines()
    assert len(answer) == len(events_of(world))
    for line in answer:
        jsonschema.validate(json.loads(line), schema())


def test_a_sink_that_is_not_there_fails_no_login(world: World) -> None:
    """Without a syslog daemon the login succeeds, and the command says what was not sent."""
    env = {"STAYFAST_AUDIT": f"syslog:{world.place}/nobody"}
    done = world.run("login", "demo", "--via", "loopback", env=env)
    assert done.code == 0
    assert "stayfast audit show" in done.err
    assert world.run("status", env={"STAYFAST_AUDIT": "smoke"}).code != 0


def test_another_person_is_kept_beside_the_first_or_replaces_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second login of an account that is another person's changes nothing of the first."""
    world.run("login", "demo", "--via", "loopback")
    monkeypatch.setattr(grants, "USER", "mallory")
    beside = world.run("login", "demo", "--via", "loopback", "--new", "--json")
    assert beside.code == 0
    accounts = {one["account"] for one in world.run("status", "--json").json["logins"]}
    assert accounts == {"default", "ada@demo.test"}

    assert world.run("login", "demo", "--via", "loopback", "--replace").code == 0
    assert len(world.run("status", "--json").json["logins"]) == 2


def test_a_refresh_says_that_its_id_token_is_not_kept(world: World) -> None:
    """The access token is fresh; the reason is in the answer for programs, too."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    fault = Fault(kind=FaultKind.ID_TOKEN, members={"aud": "another"}, grant="refresh_token")
    world.server.misbehave("token", fault, times=2)
    plain = world.run("refresh", "demo")
    assert (plain.code, "id token audience" in plain.err) == (0, True)
    assert world.run("refresh", "demo", "--json").json["reason"] == "id_token_audience"


def test_an_answer_that_cannot_be_read_is_shown_on_demand_only(world: World) -> None:
    """The tokens in it are printed by the command that the hint names, and by no other."""
    world.server.misbehave("token", Fault(kind=FaultKind.TEXT, before=b"!"))
    failed = world.run("login", "demo", "--via", "loopback")
    assert failed.code == 1
    token = world.server.state.tokens[-1].access_token
    sent = world.server.counts["token:authorization_code"]
    (waiting,) = world.run("status", "--json").json["pending"]
    resumed = world.run("resume")
    assert (resumed.code, resumed.out) == (1, "")
    for said in (failed, resumed, world.run("audit", "show"), world.run("status", "-v", "demo")):
        assert token not in said.out + said.err
    shown = world.run("status", "--show-answer", waiting["login"])
    assert (shown.code, shown.out[:1]) == (0, "!")
    assert json.loads(shown.out[1:])["access_token"] == token
    as_json = world.run("status", "--show-answer", waiting["login"], "--json")
    assert (as_json.json["status"], as_json.json["body"]) == (200, shown.out)
    assert world.server.counts["token:authorization_code"] == sent
    assert world.run("cancel").code == 0
    assert world.run("status", "--show-answer", waiting["login"]).code == 1


def test_the_log_says_that_an_answer_was_pasted(world: World) -> None:
    """Also where the login had been shown for a browser on this machine, whose port is gone."""
    seat = Seat(world)
    waiting = world.start("login", "demo", "--via", "loopback", "--no-browser")
    seat.waiting()
    answer = user_agent.fetch_only(seat.address)
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=PATIENCE)
    assert world.run("resume", "--callback-url", "-", stdin=answer).code == 0
    ways = {one["trigger"]: one.get("transport") for one in events_of(world) if "trigger" in one}
    assert (ways["present"], ways["receive_callback"]) == ("loopback", "manual")
