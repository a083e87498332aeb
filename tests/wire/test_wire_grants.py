"""Against a certified server: grants that need no user."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import World, events_of, states_of
from stayfast.engine.oauth.id_token import claims_of
from stayfast.engine.table import State

pytestmark = pytest.mark.wire

KEY = Path(__file__).with_name("client-key.json")
API = "https://api.wire.test/files"


def private(world: World, name: str, text: str) -> str:
    """A file of this user's own."""
    file = world.place / name
    file.write_text(text)
    file.chmod(0o600)
    return str(file)


def add(world: World, issuer: str, *more: str) -> None:
    """Add the certified server as ``robots``, by discovery, for clients without users."""
    added = world.run(
        "provider", "add", "robots", "--issuer", issuer, "--scope", "read",
        "--grant", "client-credentials", *more,
    )  # fmt: skip
    assert added.code == 0, added.err


@pytest.fixture
def secret(world: World) -> str:
    """The secret of the client that has one, in a file."""
    return private(world, "secret", "a secret/with+odd=characters&")


def test_a_client_asks_for_itself(world: World, issuer: str, secret: str) -> None:
    """With a resource: the token says so, and a later one too; there is no refresh token."""
    add(
        world,
        issuer,
        "--client-id",
        "wire-robot",
        "--client-secret-file",
        secret,
        "--resource",
        API,
    )
    first = world.run("token", "robots")
    assert first.code == 0, first.err
    assert claims_of(first.out.strip())["aud"] == API
    done = world.run("refresh", "robots")
    assert done.code == 0, done.err
    later = claims_of(world.run("token", "robots").out.strip())
    assert (later["aud"], later["sub"]) == (API, "wire-robot")
    assert states_of(events_of(world)) == [
        "request_tokens", "accept_tokens", "renew", "accept_tokens",
    ]  # fmt: skip


def test_a_client_with_a_key_and_bound_tokens(world: World, issuer: str) -> None:
    """`private_key_jwt` and DPoP, with no user in sight."""
    key = private(world, "key.json", KEY.read_text())
    add(world, issuer, "--client-id", "wire-robot-key", "--client-key", key, "--dpop", "required")
    done = world.run("login", "robots")
    assert done.code == 0, done.err
    (login,) = world.logins()
    assert login.state is State.AUTHENTICATED
    assert login.tokens is not None
    assert login.tokens.token_type == "DPoP"
    assert world.run("refresh", "robots").code == 0


def test_the_token_of_a_person_is_exchanged(world: World, issuer: str, secret: str) -> None:
    """RFC 8693 by the server's extension point; the person's login goes on as it was."""
    assert world.run("login", "wire", "--via", "loopback").code == 0
    add(world, issuer, "--client-id", "wire-robot", "--client-secret-file", secret)
    done = world.run("login", "robots", "--grant", "token-exchange", "--subject", "wire", "--json")
    assert done.code == 0, done.err
    assert world.run("refresh", "robots").code == 0
    assert world.run("token", "wire").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--resource", "https://other.test/"], "invalid_target"),
        (["--grant", "jwt-bearer", "--assertion-file", "-"], "unsupported_grant_type"),
    ],
)
def test_what_the_server_refuses_is_said(world, issuer, secret, words, code) -> None:
    """In its word, and the login is over."""
    add(world, issuer, "--client-id", "wire-robot", "--client-secret-file", secret)
    done = world.run("login", "robots", *words, stdin="a.b.c")
    assert done.code == 1
    assert code in done.err
    assert [one.state for one in world.logins()] == [State.IDLE]
