"""The audit log shown, filtered, exported and explained by the command."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing

import pytest
from command import PATIENCE, World, events_of, states_of
from stayfast.testing import user_agent


def seqs(world: World, *arguments: str) -> list[int]:
    """The numbers of the events that ``audit show`` finds."""
    return [line["seq"] for line in world.run("audit", "show", "--json", *arguments).lines]


@pytest.fixture
def logged(world: World) -> World:
    """A login, a wrong answer to another one, and its cancellation."""
    world.run("login", "demo", "--via", "loopback")
    started = world.run(
        "login", "demo", "--account", "work", "--start", "--json", "--via", "manual"
    )
    wrong = "http://127.0.0.1:8080/callback?code=canary-code&state=canary-state"
    login = started.json["login"]
    world.run("resume", login, "--callback-url", "-", stdin=wrong)
    world.run("cancel", login)
    return world


def test_the_log_is_shown_by_what_is_asked_of_it(logged: World) -> None:
    """Each filter leaves what it names, and they can be combined."""
    events = dict(enumerate(events_of(logged), 1))

    def where(**wanted: str) -> list[int]:
        return [n for n, m in events.items() if all(m.get(k) == v for k, v in wanted.items())]

    assert seqs(logged) == list(events)
    assert seqs(logged, "--account", "work") == where(account="work") != []
    assert seqs(logged, "--event", "login.refused") == where(event="login.refused") != []
    assert seqs(logged, "--trigger", "begin") == where(trigger="begin")
    assert seqs(logged, "--failures") == where(outcome="failure") != []
    assert seqs(logged, "--provider", "other") == []
    assert seqs(logged, "--since", "3", "--until", "4") == [3, 4]
    assert seqs(logged, "--since", "1h") == list(events)
    assert seqs(logged, "--until", "2020-01-01") == []
    assert seqs(logged, "--limit", "2") == list(events)[-2:]
    assert seqs(logged, "--account", "work", "--trigger", "cancel") == where(trigger="cancel")
    assert seqs(logged, "--since", "yesterday") == list(events)
    assert seqs(logged, "--until", "yesterday") == []


def test_one_login_is_told_with_its_durations(logged: World) -> None:
    """The story of a login has as many lines as events, each with how long it took to come."""
    login = str(next(m["login"] for m in events_of(logged) if m.get("trigger") == "accept_tokens"))
    shown = logged.run("audit", "show", "--login", login[:4])
    lines = shown.out.splitlines()
    assert shown.code == 0
    assert [line.split()[0] for line in lines] == [str(n) for n in seqs(logged, "--login", login)]
    assert all((" ms " in line or " s " in line) for line in lines[1:])
    assert logged.run("audit", "show", "--login", "ZZZZ").code != 0


@pytest.mark.parametrize("form", ["jsonl", "ecs", "ocsf", "otel"])
def test_every_event_is_exported(logged: World, form: str) -> None:
    """One object a line for each event, and no secret in it."""
    done = logged.run("audit", "export", "--format", form)
    assert done.code == 0
    assert len(done.lines) == len(events_of(logged))
    assert "canary" not in done.out


def test_an_export_of_a_part_begins_and_ends_there(logged: World) -> None:
    """``--until 4`` is what stands before a damaged fifth record."""
    assert [line["seq"] for line in logged.run("audit", "export", "--until", "4").lines] == [
        1,
        2,
        3,
        4,
    ]


def test_an_export_can_be_verified(logged: World) -> None:
    """The whole log as lines is what ``audit verify`` accepts."""
    whole = logged.place / "whole.jsonl"
    whole.write_text(logged.run("audit", "export").out)
    assert logged.run("audit", "verify", "--file", str(whole)).code == 0


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(logged: World) -> None:
    """Two damaged records in the middle: all others are shown and exported, and the code is 8."""
    count = len(events_of(logged))
    with closing(sqlite3.connect(logged.state / "vault.db")) as vault, vault:
        vault.execute("UPDATE audit SET body = x'00' WHERE seq IN (2, 3)")
    done = logged.run("audit", "export")
    assert done.code == 8
    assert [line["seq"] for line in done.lines] == [1, *range(4, count + 1)]
    assert "2-3" in done.err
    shown = logged.run("audit", "show")
    assert (shown.code, len(shown.out.splitlines())) == (8, count - 2)


def test_a_login_is_explained_step_by_step(world: World) -> None:
    """Each transition is a step with what was sent and checked; no secret is in it."""
    done = world.run("login", "demo", "--via", "loopback", "--explain")
    assert done.code == 0
    steps = [line for line in done.err.splitlines() if line[:4].strip().isdigit()]
    assert [line.split()[0] for line in steps] == ["1", "2", "3", "4"]
    for line, trigger in zip(steps, states_of(events_of(world)), strict=True):
        assert f" {trigger} " in line
    for said in (
        "code_challenge_method=S256",
        "grant_type=authorization_code",
        "token_type=Bearer",
    ):
        assert said in done.err
    login = world.logins()[0]
    assert login.tokens is not None
    for secret in (login.tokens.access_token, login.tokens.refresh_token, login.tokens.id_token):
        assert secret is not None
        assert secret not in done.err


def test_an_explanation_follows_a_login_into_another_process(world: World) -> None:
    """A manual login, resumed: what was refused and what was accepted is explained there."""
    started = world.run("login", "demo", "--start", "--json", "--via", "manual").json
    wrong = "http://127.0.0.1:8080/callback?code=canary-code&state=canary-state"
    resume = [*started["resume"][1:], "--explain"]
    refused = world.run(*resume, stdin=wrong)
    assert "missing_issuer" in refused.err
    assert "canary" not in refused.err
    callback = user_agent.fetch_only(started["url"])
    done = world.run(*resume, stdin=callback)
    assert done.code == 0
    assert "receive_callback" in done.err
    code = callback.partition("code=")[2].partition("&")[0]
    assert code not in done.err
    assert f"{len(code)} characters" in done.err


def test_every_parameter_that_was_sent_is_named(world: World) -> None:
    """With its value only where that is no secret and names nobody."""
    done = world.run(
        "login", "demo", "--via", "loopback", "--explain", "--prompt", "login",
        "--login-hint", "ada@canary.test", "--resource", "https://api.acme.test/",
    )  # fmt: skip
    assert done.code == 0, done.err
    sent = next(one for one in reversed(world.server.requests) if one.path == "/authorize")
    (line,) = [one for one in done.err.splitlines() if one.strip().startswith("with  ")][:1]
    said = dict(
        part.strip().partition("=")[::2] for part in line.strip().split("  ") if "=" in part
    )
    assert {*said} == {*sent.parameters} - {"decision"}  # which the page itself adds
    assert (said["prompt"], said["resource"]) == ("login", "https://api.acme.test/")
    assert {said[name] for name in ("state", "nonce", "code_challenge", "login_hint")} == {
        "(hidden)"
    }


def test_the_device_flow_is_explained(world: World) -> None:
    """A device login says how it polls and by which grant; its codes are not in it."""
    device = world.start("login", "demo", "--via", "device", "--explain", "--json")
    assert device.stdout is not None
    shown = json.loads(device.stdout.readline())
    while "user_code" not in shown:
        shown = json.loads(device.stdout.readline())
    url = shown.get("url") or shown["verification_uri"]
    user_agent.decide_device(url, shown["user_code"])
    _, err = device.communicate(timeout=PATIENCE)
    assert "grant_type=device_code" in err
    (checked,) = [line for line in err.splitlines() if line.split()[:1] == ["id_token"]]
    assert "nonce" not in checked  # a device authorization carries none
    assert shown["user_code"] not in "".join(
        line for line in err.splitlines(keepends=True) if line.startswith("    ")
    )


def test_a_failure_is_explained(world: World) -> None:
    """A user who says no: the last step is the denial, with its reason."""
    browser = f"{sys.executable} -m stayfast.testing.user_agent deny %s"
    done = world.run("login", "demo", "--via", "loopback", "--explain", env={"BROWSER": browser})
    assert done.code == 5
    steps = [line for line in done.err.splitlines() if line[:4].strip().isdigit()]
    assert " deny " in steps[-1]
    assert any(line.split() == ["reason", "access_denied"] for line in done.err.splitlines())


def test_the_path_of_a_login_is_drawn(logged: World) -> None:
    """As text, Mermaid and SVG, each with the transitions it took."""
    login = str(next(m["login"] for m in events_of(logged) if m.get("trigger") == "accept_tokens"))
    for form in ("text", "mermaid", "svg"):
        plain = logged.run("diagram", "--format", form).out
        drawn = logged.run("diagram", "--login", login, "--format", form)
        assert drawn.code == 0
        assert drawn.out != plain
        assert "receive_callback" in drawn.out
