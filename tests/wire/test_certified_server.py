"""The command against a certified authorization server: PKCE required, rotation on."""

from __future__ import annotations

import socket
import sys
from contextlib import closing

import pytest
from command import World, events_of, states_of
from stayfast.engine.oauth.token_endpoint import refresh_request
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing import user_agent

pytestmark = pytest.mark.wire


def good(world: World) -> None:
    """The login is finished, and its ID token said whose it is."""
    login = world.logins()[-1]
    assert login.state is State.AUTHENTICATED
    assert login.identity is not None
    assert (login.identity.subject, login.identity.name) == ("ada", "ada@wire.test")


def test_by_loopback_on_any_port_and_all_that_follows(world: World) -> None:
    """Sign in, refresh with rotation, look, sign out with revocation."""
    assert world.run("login", "wire", "--via", "loopback").code == 0
    good(world)
    first = world.logins()[0].tokens
    token = world.run("token", "wire").out.strip()
    assert world.run("refresh", "wire").code == 0
    second = world.logins()[0].tokens
    assert first is not None
    assert second is not None
    assert second.refresh_token != first.refresh_token
    assert world.run("token", "wire").out.strip() != token
    out = world.run("logout", "wire", "--json")
    assert (out.code, out.json["logouts"][0]["revoked"]) == (0, True)
    assert states_of(events_of(world)) == [
        "begin", "present", "receive_callback", "accept_tokens",
        "refresh", "accept_tokens", "logout",
    ]  # fmt: skip


def test_by_loopback_on_a_fixed_port(world: World) -> None:
    """The registered port is the one that is listened on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    edited = world.run(
        "provider", "edit", "wire", "--redirect-uri", f"http://127.0.0.1:{port}/callback"
    )
    assert edited.code == 0
    done = world.run("login", "wire", "--via", "loopback", "--json")
    assert done.code == 0
    (asked,) = [one for one in done.lines if one["event"] == "login.action_required"]
    assert f"127.0.0.1%3A{port}%2Fcallback" in asked["url"]
    good(world)


def test_by_paste_in_two_processes(world: World) -> None:
    """The address is opened anywhere and pasted into another process."""
    started = world.run("login", "wire", "--start", "--json", "--via", "manual").json
    callback = user_agent.fetch_only(started["url"])
    done = world.run("resume", started["login"], "--callback-url", "-", stdin=callback)
    assert done.code == 0
    good(world)


def test_started_by_loopback_and_finished_by_paste(world: World) -> None:
    """The listener is gone; the address the user landed on still finishes the login."""
    waiting = world.start("login", "wire", "--via", "loopback", "--no-browser")
    (login,) = world.wait_for(lambda all_: all_[:1] and all_[0].state is State.AWAITING_CALLBACK)
    callback = user_agent.fetch_only(world.assembly.conductor.address(login))
    waiting.kill()
    waiting.communicate()
    done = world.run("resume", login.short_id, "--callback-url", "-", stdin=callback)
    assert done.code == 0
    good(world)


def test_by_device_code(world: World) -> None:
    """The code is entered elsewhere, while the command polls."""
    started = world.run("login", "wire", "--start", "--json", "--via", "device").json
    user_agent.decide_device(started["url"], started["user_code"])
    done = world.run("resume", started["login"], "--json")
    assert (done.code, done.json["state"]) == (0, "authenticated")
    good(world)


def test_denied(world: World) -> None:
    """The user's no at the provider's own page ends the login as a no."""
    no = f"{sys.executable} -m stayfast.testing.user_agent deny %s"
    done = world.run("login", "wire", "--via", "loopback", env={"BROWSER": no})
    assert done.code == 5
    assert (world.logins()[0].state, world.logins()[0].reason) == (State.IDLE, "access_denied")


def test_a_spent_refresh_token_is_told_as_one(world: World) -> None:
    """A refresh token that somebody else used ends in refresh_failed, exit 4."""
    assert world.run("login", "wire", "--via", "loopback").code == 0
    login = world.logins()[0]
    assert login.tokens is not None
    stolen = refresh_request(login.config, login.tokens.refresh_token or "")
    assert RequestsHttp().send(stolen).status == 200
    done = world.run("refresh", "wire", "--json")
    assert (done.code, done.json["code"]) == (4, "TOKEN_REFRESH_FAILED")
    assert world.logins()[0].state is State.REFRESH_FAILED


def test_a_confidential_client_with_an_odd_secret(world: World, issuer: str) -> None:
    """client_secret_basic is form-encoded first, as the certified server wants it."""
    secret = world.place / "secret"
    secret.write_text("a secret/with+odd=characters&\n")
    secret.chmod(0o600)
    added = world.run(
        "provider", "add", "web", "--issuer", issuer, "--client-id", "wire-web",
        "--client-secret-file", str(secret), "--scope", "openid email",
        "--redirect-uri", "https://app.example/callback",
    )  # fmt: skip
    assert added.code == 0
    started = world.run("login", "web", "--start", "--json", "--via", "manual").json
    callback = user_agent.fetch_only(started["url"])
    done = world.run("resume", started["login"], "--callback-url", "-", stdin=callback)
    assert done.code == 0
    good(world)
