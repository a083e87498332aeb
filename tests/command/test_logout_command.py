"""`logout`: what the provider confirmed is said of each token, and `--browser` ends its session."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from command import World, events_of, kill, states_of, until
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def world(tmp_path: Path, server: AuthorizationServer) -> World:
    tmp_path.chmod(0o700)
    server.change(end_session=True)
    made = World(tmp_path, server)
    made.provide(
        "home",
        end_session_url=server.config().end_session_url,
        post_logout_redirect_uri="http://127.0.0.1:0/signed-out",
    )
    assert made.run("login", "home", "--via", "loopback").code == 0
    return made


def test_each_token_has_its_outcome(world: World) -> None:
    """In JSON with status and code; the exit status says that not all was revoked."""
    passing = Fault(kind=FaultKind.MEMBERS)
    refused = Fault(kind=FaultKind.ERROR, status=400, members={"error": "invalid_client"})
    for fault in (passing, refused):
        world.server.misbehave("revoke", fault)
    done = world.run("logout", "home", "--json")
    (ended,) = done.json["logouts"]
    assert done.code == 1
    assert ended["tokens"] == [
        {"token": "refresh_token", "outcome": "revoked", "http_status": 200},
        {
            "token": "access_token",
            "outcome": "refused",
            "http_status": 400,
            "oauth_error": "invalid_client",
        },
    ]
    assert "browser" not in ended
    assert world.run("token", "home").code == 4


def test_the_browser_is_signed_out_too(world: World) -> None:
    """It is opened after the tokens are erased, and comes back."""
    before = world.server.counts["sessions_ended"]
    done = world.run("logout", "home", "--browser", "--json")
    (ended,) = done.json["logouts"]
    assert (done.code, ended["browser"]) == (0, {"returned": True, "problem": None})
    assert world.server.counts["sessions_ended"] == before + 1


def test_a_provider_without_sessions_to_end_is_said(world: World) -> None:
    """The tokens are gone, and the status says that not all was done."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    done = world.run("logout", "demo", "--browser", "--json")
    (ended,) = done.json["logouts"]
    assert (done.code, ended["revoked"]) == (1, True)
    assert ended["browser"] == {"returned": None, "problem": "CONFIG_MISSING"}


def test_the_browser_is_given_what_ends_the_session_and_no_token_is_left(
    world: World, tmp_path: Path
) -> None:
    """It is opened when the tokens are gone, with the client, the way back and a state; no token is in its address."""
    token = world.run("token", "home").out.strip()
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/address\n'
        f"{sys.executable} -m stayfast token home > {tmp_path}/token 2>&1\n"
        f"echo $? > {tmp_path}/status\n"
        f'exec {sys.executable} -m stayfast.testing.user_agent approve "$1"\n'
    )
    browser.chmod(0o700)
    done = world.run("logout", "home", "--browser", "--json", env={"BROWSER": f"{browser} %s"})
    (ended,) = done.json["logouts"]
    assert (done.code, ended["browser"]) == (0, {"returned": True, "problem": None})
    address = (tmp_path / "address").read_text()
    asked = dict(parse_qsl(urlsplit(address).query))
    assert address.startswith(f"{world.server.config().end_session_url}?")
    assert asked["state"]
    assert asked["post_logout_redirect_uri"].startswith("http://127.0.0.1:")
    assert token not in address
    assert (tmp_path / "status").read_text().strip() == "4"
    assert token not in (tmp_path / "token").read_text()


def test_a_logout_killed_while_its_browser_is_open_has_signed_out(
    world: World, tmp_path: Path
) -> None:
    """The browser comes last: the tokens were revoked and erased before it, and nothing is left to do."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    browser.chmod(0o700)
    revoked = world.server.counts["revoke"]
    waiting = world.start("logout", "home", "--browser", env={"BROWSER": f"{browser} %s"})
    until((tmp_path / "opened").exists, bool)
    kill(waiting)
    assert world.server.counts["revoke"] == revoked + 2
    assert world.run("token", "home").code == 4
    assert states_of(events_of(world))[-1] == "logout"
    assert world.run("audit", "verify").code == 0


def test_a_session_ends_where_nobody_can_come_back(world: World) -> None:
    """Its ID token is at hand only now: with a port that is taken the address is opened all the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/signed-out"
        world.provide(
            "busy",
            end_session_url=world.server.config().end_session_url,
            post_logout_redirect_uri=address,
        )
        assert world.run("login", "busy", "--via", "loopback").code == 0
        before = world.server.counts["sessions_ended"]
        done = world.run("logout", "busy", "--browser", "--json")
    (ended,) = done.json["logouts"]
    assert (done.code, ended["browser"]["problem"]) == (1, "TRANSPORT_UNAVAILABLE")
    until(lambda: world.server.counts["sessions_ended"], lambda ended: ended == before + 1)


def test_a_stray_return_is_in_the_log(world: World) -> None:
    """It is refused with its reason, and the wait goes on until the browser is back."""
    strayed = world.place / "strays.py"
    strayed.write_text(
        "import sys, requests\n"
        "from urllib.parse import parse_qs, urlsplit\n"
        "(back,) = parse_qs(urlsplit(sys.argv[1]).query)['post_logout_redirect_uri']\n"
        "assert requests.get(back, params={'state': 'x'}, timeout=10).status_code == 400\n"
        "requests.get(sys.argv[1], timeout=10)\n"
    )
    done = world.run(
        "logout", "home", "--browser", "--json",
        env={"BROWSER": f"{sys.executable} {strayed} %s"},
    )  # fmt: skip
    (ended,) = done.json["logouts"]
    assert (done.code, ended["browser"]) == (0, {"returned": True, "problem": None})
    last = events_of(world)[-1]
    assert (last["event"], last["reason"]) == ("login.refused", "wrong_state")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("demo", "status"),
        ("home --account homer", "status"),
        ("home --account defualt", "logout home"),
    ],
)
def test_nobody_who_signs_out_is_sent_to_sign_in(world: World, words: str, meant: str) -> None:
    """Where that account is not signed in, the hint shows who is, or signs out of the one meant."""
    done = world.run("logout", *words.split(), "--json")
    assert (done.code, done.json["code"]) == (4, "AUTH_REQUIRED")
    assert done.json["hint"] == f"stayfast {meant}"


def test_a_login_that_waits_is_cancelled_where_one_signs_out(world: World) -> None:
    """There is nothing to sign out of yet."""
    (waiting,) = world.run("login", "demo", "--start", "--via", "device", "--json").lines
    done = world.run("logout", "demo", "--json")
    assert done.code == 4
    assert done.json["hint"].startswith("stayfast cancel ")
    assert world.run(*done.json["hint"].split()[1:]).code == 0
    assert waiting["login"].startswith(done.json["hint"].split()[-1])
