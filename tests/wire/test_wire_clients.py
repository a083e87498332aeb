"""Against a certified server: how a client proves itself, and what a login asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests
from command import World
from stayfast.engine.oauth.id_token import claims_of
from stayfast.engine.table import State
from stayfast.testing import user_agent

pytestmark = pytest.mark.wire

KEY = Path(__file__).with_name("client-key.json")
API = "https://api.wire.test/files"


@pytest.fixture
def key(world: World) -> str:
    """The private key of the test clients, in a file of this user's own."""
    file = world.place / "key.json"
    file.write_text(KEY.read_text())
    file.chmod(0o600)
    return str(file)


def add(world: World, issuer: str, client: str, *more: str) -> None:
    """Add the certified server as ``it``, by discovery, with another client."""
    added = world.run(
        "provider", "add", "it", "--issuer", issuer, "--client-id", client,
        "--scope", "openid email offline_access", "--param", "prompt=consent",
        "--redirect-uri", "http://127.0.0.1:0/callback", *more,
    )  # fmt: skip
    assert added.code == 0, added.err


def whole(world: World, *more: str) -> None:
    """Sign in, refresh, sign out with revocation."""
    done = world.run("login", "it", "--via", "loopback", *more)
    assert done.code == 0, done.err
    (login,) = [one for one in world.logins() if one.state is State.AUTHENTICATED]
    assert login.identity is not None
    done = world.run("refresh", "it")
    assert done.code == 0, done.err
    out = world.run("logout", "it", "--json")
    assert (out.code, out.json["logouts"][0]["revoked"]) == (0, True)


def test_a_client_that_signs_with_its_key(world: World, issuer: str, key: str) -> None:
    """`private_key_jwt`, chosen because there is a key and the metadata offers it."""
    add(world, issuer, "wire-key", "--client-key", key)
    whole(world)


def test_a_key_that_is_named_at_login(world: World, issuer: str, key: str) -> None:
    """As an option of `login`, saved with the login: the refresh signs too."""
    add(world, issuer, "wire-key")
    whole(world, "--client-auth", "private_key_jwt", "--client-key", key)


def test_a_client_that_signs_with_its_secret(world: World, issuer: str) -> None:
    """`client_secret_jwt`."""
    secret = world.place / "secret"
    secret.write_text("a secret that is long enough to sign with")
    secret.chmod(0o600)
    add(
        world, issuer, "wire-jwt", "--client-secret-file", str(secret),
        "--client-auth", "client_secret_jwt",
    )  # fmt: skip
    whole(world)


def test_a_device_login_of_a_client_that_signs(world: World, issuer: str, key: str) -> None:
    """The device request and every poll carry an assertion of their own."""
    add(world, issuer, "wire-key", "--client-key", key)
    started = world.run("login", "it", "--start", "--json", "--via", "device").json
    user_agent.decide_device(started["url"], started["user_code"])
    done = world.run("resume", started["login"], "--json")
    assert (done.code, done.json["state"]) == (0, "authenticated")


def test_tokens_are_for_the_resource(world: World, issuer: str) -> None:
    """RFC 8707: the audience of the first token and of a refreshed one."""
    add(world, issuer, "wire", "--resource", API)
    assert world.run("login", "it", "--via", "loopback", "--scope", "read offline_access").code == 0
    audiences = [claims_of(world.run("token", "it").out)["aud"]]
    assert world.run("refresh", "it").code == 0
    audiences.append(claims_of(world.run("token", "it").out)["aud"])
    assert audiences == [API, API]


def test_a_resource_that_the_server_does_not_know(world: World, issuer: str) -> None:
    """`invalid_target` ends the login with the server's word."""
    add(world, issuer, "wire")
    done = world.run(
        "login", "it", "--via", "loopback", "--json", "--resource", "https://other.test/"
    )
    assert done.code != 0
    assert "invalid_target" in json.dumps(done.lines)


def test_the_sign_in_is_as_new_as_was_asked(world: World, issuer: str) -> None:
    """`max_age`: the ID token says when, and that is checked."""
    add(world, issuer, "wire")
    done = world.run("login", "it", "--via", "loopback", "--max-age", "600")
    assert done.code == 0, done.err


def test_a_client_whose_requests_must_be_pushed(world: World, issuer: str) -> None:
    """RFC 9126: the server refuses any other request of this client."""
    add(world, issuer, "wire-par", "--par", "required")
    whole(world)


def test_a_pushed_request_is_finished_in_another_process(world: World, issuer: str) -> None:
    """Begun, opened, pushed again by `resume`, and answered by what the user had opened before."""
    add(world, issuer, "wire-par")
    started = world.run(
        "login", "it", "--start", "--json", "--via", "manual", "--par", "required"
    ).json
    assert "request_uri=" in started["url"]
    assert "code_challenge" not in started["url"]
    callback = user_agent.fetch_only(started["url"])
    done = world.run("resume", started["login"], "--callback-url", "-", stdin=callback)
    assert done.code == 0, done.err


def test_a_request_that_must_be_pushed_and_is_not(world: World, issuer: str) -> None:
    """The server says so, and the login ends with its word."""
    add(world, issuer, "wire-par")
    done = world.run("login", "it", "--via", "loopback", "--json")
    assert done.code != 0
    assert "invalid_request" in json.dumps(done.lines)


@pytest.mark.parametrize("client", ["wire-dpop", "wire-fapi"])
def test_tokens_that_are_bound_to_a_key(world: World, issuer: str, key: str, client: str) -> None:
    """RFC 9449, with a nonce or without; of one client with pushed requests and a key of its own."""
    more = ("--client-key", key, "--par", "required") if client == "wire-fapi" else ()
    add(world, issuer, client, "--dpop", "required", *more)
    done = world.run("login", "it", "--via", "loopback")
    assert done.code == 0, done.err
    assert world.logins()[0].tokens.token_type == "DPoP"
    done = world.run("refresh", "it")
    assert done.code == 0, done.err
    plain = world.run("token", "it", "--json")
    assert (plain.code, plain.json["code"]) == (4, "AUTH_REQUIRED")
    for _ in range(2):  # the first answer of this server may want a nonce
        me = f"{issuer}/me"
        headers = dict(
            line.split(": ", 1)
            for line in world.run("token", "it", "--format", "dpop", "GET", me).out.splitlines()
        )
        answer = requests.get(me, headers=headers, timeout=10)
        nonce = answer.headers.get("DPoP-Nonce")
        if answer.status_code == 401 and nonce:
            line = world.run("token", "it", "--format", "dpop", "GET", me, "--nonce", nonce).out
            headers = dict(one.split(": ", 1) for one in line.splitlines())
            answer = requests.get(me, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.headers
    out = world.run("logout", "it", "--json")
    assert (out.code, out.json["logouts"][0]["revoked"]) == (0, True)


@pytest.mark.parametrize("par", ["off", "required"])
def test_a_client_whose_requests_must_be_signed(
    world: World, issuer: str, key: str, par: str
) -> None:
    """RFC 9101: in the address, or pushed; unsigned ones are refused."""
    add(world, issuer, "wire-jar", "--client-key", key, "--par", par)
    refused = world.run("login", "it", "--via", "loopback", "--json")
    assert refused.code != 0
    done = world.run("login", "it", "--via", "loopback", "--request-object", "required")
    assert done.code == 0, done.err
