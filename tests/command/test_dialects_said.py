"""What the command says of a provider's own ways."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from command import World
from stayfast import Failure, OAuthService, Success
from stayfast.engine import cbor
from stayfast.engine.summary_codec import decode_summary, summary_members
from stayfast.testing.storage_contract import finished, saved


def test_a_login_without_pkce_is_loud_and_in_the_log(world: World) -> None:
    """A warning at each login by browser, the fact in its explanation, a member of each audit event.

    The device flow has no code in a browser's address, and nothing to warn of.
    """
    world.provide("bare", pkce="off")
    loud = world.run("login", "bare", "--via", "manual", "--start", "--explain")
    device = world.run("login", "bare", "--via", "device", "--start")
    usual = world.run("login", "demo", "--via", "manual", "--start", "--explain")

    assert loud.code == device.code == usual.code == 3
    assert loud.err.count("RFC 7636") > usual.err.count("RFC 7636")
    assert "code_challenge" not in loud.err + loud.out
    assert "RFC 7636" not in device.err
    assert "code_challenge" in usual.err + usual.out
    events = [json.loads(line) for line in world.run("audit", "show", "--json").out.splitlines()]
    said = {
        (one["provider"], one.get("transport"), one.get("pkce")) for one in events if "to" in one
    }
    assert ("bare", "manual", "off") in said
    assert ("bare", "device", None) in said
    assert not [one for one in said if one[0] == "demo" and one[2]]


def test_the_setting_is_shown_with_the_provider(world: World) -> None:
    """``provider show`` has whatever a provider's dialect is."""
    world.provide("bare", pkce="off", refresh_rotates="yes")
    shown = json.loads(world.run("provider", "show", "bare", "--json").out)

    assert (shown["pkce"], shown["refresh_rotates"]) == ("off", "yes")


def keep(world: World, **extra: object) -> None:
    """A login of demo, whose answer had these members, too."""
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    tokens = replace(login.tokens, issued_at=time.time(), extra=extra)
    config = replace(login.config, api_url_member="instance_url")
    saved(world.assembly.storage, [replace(login, tokens=tokens, config=config)])


ECHOES = ["--", "sh", "-c", 'echo "${TOKEN-none} ${API_URL-none}"']


def test_a_command_gets_the_address_of_the_api(world: World) -> None:
    """In the variable that ``--api-url-var`` names, and in none where it is not asked for."""
    keep(world, instance_url="https://api.example")
    asks = ("exec", "demo", "--var", "TOKEN")
    assert world.run(*asks, "--api-url-var", "API_URL", *ECHOES).out.split() == [
        "the-token", "https://api.example",
    ]  # fmt: skip
    assert world.run(*asks, *ECHOES).out.split() == ["the-token", "none"]
    assert world.run("token", "demo", "--json").json["api_url"] == "https://api.example"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, ["--api-url-var", "API_URL"]),
        ({"instance_url": "http://api.example"}, ["--api-url-var", "API_URL"]),
        ({"instance_url": "https://api.example"}, ["--api-url-var", "TOKEN"]),
        ({"instance_url": "https://api.example"}, ["--api-url-var", "1"]),
        ({"instance_url": "https://api.example"}, ["--api-url-var", ""]),
    ],
)
def test_a_command_is_not_run_without_the_address_it_wants(
    world: World, extra: dict[str, object], words: list[str]
) -> None:
    """No answer said one, a token may not go there, or the variable is none: nothing runs."""
    keep(world, **extra)
    done = world.run("exec", "demo", "--var", "TOKEN", *words, *ECHOES)
    assert (done.code, done.out) == (1, "")
    assert done.err.count("error: ") == done.err.count("hint: ") == 1


def test_a_token_of_the_environment_has_no_address(world: World) -> None:
    """Nothing is known of it but the token."""
    world.extra["STAYFAST_TOKEN"] = "t"
    done = world.run("exec", "demo", "--api-url-var", "API_URL", *ECHOES)
    assert (done.code, done.out) == (1, "")


def test_a_further_token_is_printed_by_the_name_of_its_resource(world: World) -> None:
    """In every form; the first token by its own name, too, and nothing for other names."""
    login = finished("demo", token="the-token")
    assert login.tokens is not None
    others = [
        {"resource_server": "transfer", "access_token": "t", "expires_in": 172800, "scope": "a b"},
        {"resource_server": "ended", "access_token": "e", "expires_in": 30},
    ]
    extra = {"resource_server": "auth", "other_tokens": others}
    tokens = replace(login.tokens, issued_at=time.time() - 60, extra=extra)
    config = replace(
        login.config, token_lists=("other_tokens",), token_resource_member="resource_server"
    )
    saved(world.assembly.storage, [replace(login, tokens=tokens, config=config)])

    def token(resource: str, *words: str) -> tuple[int, str]:
        done = world.run("token", "demo", "--resource", resource, *words)
        return done.code, done.out

    assert token("transfer") == (0, "t\n")
    assert token("transfer", "--format", "header") == (0, "Authorization: Bearer t\n")
    assert token("auth") == (0, "the-token\n")
    assert token("ended") == (4, "")
    assert token("groups")[1] == token("")[1] == ""
    shown = world.run("token", "demo", "--resource", "transfer", "--json").json
    assert (shown["access_token"], shown["scopes"]) == ("t", ["a", "b"])
    assert (
        world.run("token", "--format", "dpop", "GET", "https://a.test", "--resource", "t").code == 2
    )

    oauth = OAuthService(environ=world.environ)
    further = oauth.further_token("demo", "transfer")
    assert isinstance(further, Success)
    assert further.value.access_token == "t"
    for resource, account, code in (
        ("groups", "default", "NOT_FOUND"),
        ("ended", "default", "TOKEN_EXPIRED"),
        ("transfer", "other", "AUTH_REQUIRED"),
    ):
        refused = oauth.further_token("demo", resource, account=account)
        assert isinstance(refused, Failure)
        assert refused.code == code


@pytest.mark.parametrize(
    ("pkce", "extra", "plain"),
    [
        ("S256", {}, True),
        ("off", {}, False),
        ("S256", {"instance_url": "https://a.example"}, False),
        ("S256", {"callback": {"realm": "1"}}, False),
    ],
)
def test_a_summary_says_where_nothing_has_to_be_opened_for_more(
    pkce: str, extra: dict[str, object], plain: bool
) -> None:
    """It goes through the sealed part of a list; what an older version wrote does not say so."""
    login = finished("demo")
    assert login.tokens is not None
    tokens = replace(login.tokens, extra=extra)
    login = replace(login, tokens=tokens, config=replace(login.config, pkce=pkce))
    members = summary_members(login.summary())
    assert decode_summary(cbor.encode(members)).plain is plain
    members.pop("plain", None)
    assert decode_summary(cbor.encode(members)).plain is False
