"""The command with tokens that are bound to a key, pushed requests, and wishes for one login."""

from __future__ import annotations

import pytest
import requests
from command import World
from stayfast.engine.table import State


def test_a_bound_token_is_used_by_the_headers_of_each_request(world: World) -> None:
    """`token --format dpop` prints what curl reads; the plain token is not handed out."""
    world.server.change(dpop="offered", dpop_nonce=True)
    done = world.run("login", "demo", "--via", "loopback", "--dpop", "required")
    assert done.code == 0, done.err
    me = f"{world.server.issuer}/me"
    line = ("token", "demo", "--format", "dpop", "GET", me, "--nonce", world.server.state.nonce)
    printed = [world.run(*line).out for _ in range(2)]
    assert printed[0] != printed[1]
    headers = dict(one.split(": ", 1) for one in printed[0].splitlines())
    assert requests.get(me, headers=headers, timeout=10).status_code == 200
    assert world.run(*line, "--json").json["headers"].keys() == headers.keys()
    refused = world.run("token", "demo")
    assert (refused.code, refused.out) == (4, "")
    assert world.run("refresh", "demo").code == 0


def test_the_only_provider_need_not_be_named(world: World) -> None:
    """Two words are method and address then; a bearer token has one header."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    out = world.run("token", "--format", "dpop", "GET", "https://api.example/x").out
    assert out.startswith("Authorization: Bearer ")


@pytest.mark.parametrize(
    "words",
    [
        ["--format", "dpop"],
        ["--format", "dpop", "GET", "https://a.example", "more"],
        ["GET", "https://a.example"],
    ],
)
def test_a_proof_needs_a_request_and_nothing_else_takes_one(world: World, words: list[str]) -> None:
    """A mistake in the command's line, and nothing is read."""
    assert world.run("token", "demo", *words).code == 2


def test_the_wishes_of_a_login_are_saved_with_it(world: World) -> None:
    """`resume` in another process asks for the same."""
    started = world.run(
        "login", "demo", "--start", "--json", "--via", "manual", "--resource", "https://a.example/x",
        "--prompt", "login", "--max-age", "60", "--par", "required",
    ).json  # fmt: skip
    (login,) = world.logins()
    assert login.state is State.AWAITING_CALLBACK
    assert login.config.resources == ("https://a.example/x",)
    assert login.config.extra_auth_params == {"prompt": "login", "max_age": "60"}
    assert set(started["url"].partition("?")[2].replace("&", "=").split("=")[::2]) == {
        "client_id", "request_uri",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["--resource", "no-address"],
        ["--authorization-details", "{}"],
        ["--prompt", "none login"],
        ["--client-auth", "private_key_jwt"],
        ["--client-key", "/nowhere/key.pem"],
        ["--client-cert", "/nowhere/cert.pem"],
        ["--request-object", "required"],
    ],
)
def test_what_cannot_be_sent_is_said_before_anybody_is_asked(
    world: World, words: list[str]
) -> None:
    """One error and one hint; no login begins."""
    done = world.run("login", "demo", "--via", "loopback", *words)
    assert done.code == 1
    assert done.err.count("error:") == done.err.count("hint:") == 1
    assert world.logins() == []
