"""`logout`: what the provider confirmed is said of each token, and `--browser` ends its session."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import World
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
