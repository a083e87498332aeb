"""``stayfast login https://host/mcp`` and what goes with it, by command."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from command import World, kill, until
from stayfast.engine.table import State
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.resource_server import ResourceServer

DOCUMENT = "https://app.example/client.json"


@pytest.fixture(autouse=True)
def _no_provider(world: World) -> None:
    """The user has configured none: a client of theirs at the same issuer would come first."""
    (world.config / "config.toml").write_text("")


@pytest.fixture
def resource(server: AuthorizationServer) -> Iterator[ResourceServer]:
    server.change(registration=True)
    with ResourceServer(server, scopes=("mcp:read",)) as running:
        yield running
    server.change(registration=False)


@pytest.fixture
def registered(server: AuthorizationServer):
    """How many clients were registered in this test."""
    before = server.counts["register"]
    return lambda: server.counts["register"] - before


def test_an_address_is_all_that_the_command_needs(world: World, resource, registered) -> None:
    """Sign in, use the token, refresh, sign out; another spelling of the address means the same."""
    done = world.run("login", resource.address, "--via", "loopback")
    assert done.code == 0, done.err
    token = world.run("token", resource.address)
    assert (token.code, bool(token.out.strip())) == (0, True)
    spelt = resource.address.replace("http://", "HTTP://")
    assert world.run("token", spelt).out == token.out
    assert world.run("status", spelt, "--json").code == 0
    again = world.run("login", spelt)
    assert (again.code, registered()) == (0, 1)
    assert world.run("refresh", spelt).code == 0
    assert world.run("logout", spelt).code == 0
    assert world.run("token", resource.address).code == 4


def test_mcp_auth_takes_an_address_or_a_name(world: World, resource, registered) -> None:
    """The options are those of login; an address must be that of a resource."""
    assert world.run("mcp", "auth", resource.address, "--via", "loopback").code == 0
    world.provide("demo")
    assert world.run("mcp", "auth", "demo", "--via", "loopback").code == 0
    (world.config / "config.toml").write_text("")
    resource.pages.clear()
    other = f"{resource.origin}/nothing"
    refused = world.run("mcp", "auth", other)
    assert (refused.code, registered()) == (1, 1)
    assert refused.err.count("error:") == refused.err.count("hint:") == 1


@pytest.mark.parametrize("by", ["argument", "standard input"])
def test_a_challenge_of_the_api_leads_to_a_login_for_more(world: World, resource, by) -> None:
    """The union of the scopes, and how the user must sign in (RFC 9470), in one new login."""
    assert world.run("login", resource.address, "--via", "loopback").code == 0
    header = 'Bearer error="insufficient_scope", scope="mcp:write", acr_values="urn:gold"'
    if by == "argument":
        done = world.run("login", resource.address, "--start", "--json", "--challenge", header)
    else:
        line = f"WWW-Authenticate: {header}\n"
        done = world.run(
            "login", resource.address, "--start", "--json", "--challenge", "-", stdin=line
        )
    assert done.code == 3, done.err
    (waiting,) = [one for one in world.logins() if one.state is State.AWAITING_CALLBACK]
    assert waiting.config.scopes == ("mcp:read", "mcp:write")
    assert waiting.config.extra_auth_params["acr_values"] == "urn:gold"


def test_a_header_without_a_challenge_for_a_token_is_refused(world: World, resource) -> None:
    """One error and one hint; nothing is asked."""
    asked = resource.counts["refused"]
    done = world.run("login", resource.address, "--challenge", 'Basic realm="x"')
    assert (done.code, resource.counts["refused"]) == (1, asked)


@pytest.mark.parametrize("moment", [FaultKind.HANG, FaultKind.SLOW])
def test_killed_while_it_registers(
    world: World, server: AuthorizationServer, resource, registered, moment
) -> None:
    """The next process registers; from then on there is one, and no login is in the way."""
    server.misbehave("register", Fault(kind=moment, seconds=2))
    starting = world.start("login", resource.address, "--start")
    until(registered, bool)
    kill(starting)
    for _ in range(2):
        assert world.run("login", resource.address, "--start", "--json").code == 3
    assert registered() == 2
    assert len(world.logins()) == 2


def test_killed_after_it_registered(world: World, resource, registered) -> None:
    """What was registered is kept before the user is asked, and serves the next process."""
    waiting = world.start("login", resource.address, "--via", "loopback", "--no-browser")
    world.wait_for(lambda logins: logins[:1] and logins[0].state is State.AWAITING_CALLBACK)
    kill(waiting)
    assert world.run("login", resource.address, "--via", "loopback").code == 0
    assert registered() == 1


def test_a_refused_registration_is_in_the_log(world: World, server, resource) -> None:
    """The server's word and status; and one hint, that names the client to give."""
    refusal = Fault(kind=FaultKind.ERROR, status=400, members={"error": "invalid_redirect_uri"})
    server.misbehave("register", refusal)
    done = world.run("login", resource.address, "--start")
    assert done.code == 1
    log = world.run("audit", "show", "--json", "--event", "client.registered")
    (line,) = [json.loads(one) for one in log.out.splitlines()]
    assert (line["outcome"], line["oauth_error"], line["http_status"]) == (
        "failure",
        "invalid_redirect_uri",
        400,
    )


def test_the_document_to_host_is_printed(world: World) -> None:
    """Its client id is its address, and its redirect addresses are those that are used."""
    done = world.run("client-metadata", DOCUMENT, "--scope", "a b")
    document = json.loads(done.out)
    assert document["client_id"] == DOCUMENT
    assert document["scope"] == "a b"
    assert "http://127.0.0.1:8080/callback" in document["redirect_uris"]
    assert world.run("client-metadata", "https://app.example").code == 1


def test_settings_are_shown_with_their_origin(world: World, server) -> None:
    """Of the user's file, or as the issuer published it when it was last asked."""
    server.change(metadata_lifetime=600)
    try:
        world.provide("short", auth_url=None, token_url=None, device_url=None, revocation_url=None)
        assert world.run("login", "short", "--via", "loopback").code == 0
        shown = world.run("provider", "show", "short", "--json").json
        assert shown["origins"]["issuer"] == "your file"
        assert shown["token_url"] == f"{server.issuer}/token"
        assert server.issuer in shown["origins"]["token_url"]
    finally:
        server.change(metadata_lifetime=None)
