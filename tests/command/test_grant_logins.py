"""The command and the library with logins that need no user."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests
from command import PATIENCE, World, events_of, states_of
from stayfast import OAuthService, Success
from stayfast.engine.oauth.private_keys import new_private_key
from stayfast.engine.table import State, Trigger
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import Client

SECRET = "canary-client-secret"
KEY = new_private_key()


@pytest.fixture
def service(world: World, server: AuthorizationServer) -> World:
    """A world with the provider ``api``, whose client asks for itself, and ``demo`` for people."""
    assert KEY is not None
    server.add_client(Client("robot", SECRET, jwks={"keys": [KEY.public()]}))
    private(world, "secret", SECRET)
    world.provide(
        "api", client_id="robot", client_secret_file=str(world.place / "secret"),
        grant="client-credentials", scopes=["read"],
    )  # fmt: skip
    return world


def private(world: World, name: str, text: str) -> str:
    """A file of this user's own."""
    file = world.place / name
    file.touch(mode=0o600)
    file.write_text(text)
    return str(file)


def since(server: AuthorizationServer) -> dict[str, int]:
    """How many of each grant were made until now."""
    return {name: n for name, n in server.counts.items() if name.startswith("token:")}


def test_a_client_signs_in_for_itself(service: World) -> None:
    """No browser, no transport; then token, status, refresh, exec and logout as for any login."""
    done = service.run("login", "api")
    assert done.code == 0, done.err
    (login,) = service.logins()
    assert (login.state, login.presentation) == (State.AUTHENTICATED, None)
    token = service.run("token", "api").out.strip()
    assert requests.get(
        f"{service.server.issuer}/me", headers={"Authorization": f"Bearer {token}"}, timeout=10
    ).ok
    assert service.run("status", "api", "--json").json["logins"][0]["refreshable"] is True
    assert service.run("refresh", "api").code == 0
    assert service.run("token", "api").out.strip() != token
    assert service.run("exec", "api", "--", "true").code == 0
    assert service.run("logout", "api", "--json").json["logouts"][0]["revoked"] is True
    assert states_of(events_of(service)) == [
        "request_tokens", "accept_tokens", "renew", "accept_tokens", "logout",
    ]  # fmt: skip


def test_a_token_is_there_without_a_login(service: World) -> None:
    """A provider whose grant needs no user is asked by whoever needs its token."""
    assert service.run("token", "api").code == 0
    (login,) = service.logins()
    assert login.state is State.AUTHENTICATED


def test_many_processes_ask_once(service: World, server: AuthorizationServer) -> None:
    """The first tokens, and later ones: one request each, whoever comes."""
    before = since(server)
    for more in (1, 2):
        running = [service.start("token", "api") for _ in range(8)]
        tokens = {process.communicate(timeout=PATIENCE)[0].strip() for process in running}
        assert [process.returncode for process in running] == [0] * 8
        assert len(tokens) == 1
        made = since(server)["token:client_credentials"] - before.get("token:client_credentials", 0)
        assert made == more
        if more == 1:
            expire(service)


def expire(world: World) -> None:
    """Let the token of ``api`` be over."""
    ledger = world.assembly.conductor._dependencies.ledger
    (login,) = world.logins()
    tokens = replace(login.tokens, issued_at=login.tokens.issued_at - 7200)
    ledger.advance(login, Trigger.EXPIRE, tokens=tokens)


def test_a_program_has_its_token_by_itself(service: World, server: AuthorizationServer) -> None:
    """`service.auth` gets it, renews it, and shares it among threads; a secret may change."""
    one = OAuthService(assembly=service.assembly)
    before = since(server)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: one.get_bearer_token("api"), range(16)))
    assert all(isinstance(answer, Success) for answer in answers)
    assert len({answer.value for answer in answers}) == 1
    grant = "token:client_credentials"
    assert since(server)[grant] - before.get(grant, 0) == 1
    me = f"{server.issuer}/me"
    assert requests.get(me, auth=one.auth("api"), timeout=10).ok
    server.state.tokens[-1].revoked = True
    assert requests.get(me, auth=one.auth("api"), timeout=10).ok
    server.state.clients["robot"].client_secret = "another-secret"
    private(service, "secret", "another-secret")
    server.state.tokens[-1].revoked = True
    assert requests.get(me, auth=one.auth("api"), timeout=10).ok


@pytest.mark.parametrize("as_text", [False, True], ids=["login", "standard input"])
def test_a_token_is_exchanged(service: World, as_text: bool) -> None:
    """That of another login of ours by its name, or one that comes through a pipe, never as a word."""
    assert service.run("login", "demo", "--via", "loopback").code == 0
    if as_text:
        token = service.run("token", "demo").out
        words = ["--subject-token-file", "-"]
    else:
        token, words = "", ["--subject", "demo"]
    done = service.run(
        "login", "api", "--grant", "token-exchange", *words, "--subject-token-type", "access_token",
        "--audience", "acme", "--json", stdin=token,
    )  # fmt: skip
    assert done.code == 0, done.err
    (login,) = [one for one in service.logins() if one.provider == "api"]
    assert login.config.audience == "acme"
    assert login.summary().refreshable is not as_text
    assert service.run("refresh", "api").code == 0  # or asked anew, as the provider is configured


def test_an_assertion_is_signed_by_the_client(service: World) -> None:
    """With its key, anew for each request."""
    assert KEY is not None
    key = private(service, "key.json", KEY.private())
    done = service.run(
        "login", "api", "--grant", "jwt-bearer", "--client-key", key,
        "--client-auth", "client_secret_post", "--explain",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "jwt-bearer" in done.err
    assert SECRET not in done.err
    assert service.run("refresh", "api").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--grant", "token-exchange"],
        ["--grant", "token-exchange", "--subject-token-file", "-"],
        ["--grant", "token-exchange", "--subject-token-file", "/nowhere/token"],
        ["--grant", "token-exchange", "--subject", "nobody"],
        ["--grant", "token-exchange", "--subject", "api"],
        ["--grant", "token-exchange", "--subject", "demo", "--subject-token-type", "jot"],
        ["--grant", "jwt-bearer"],
        ["--grant", "client-credentials", "--client-auth", "none"],
        ["--grant", "client-credentials", "--requested-token-type", "jwt"],
        ["--start"],
        ["--assertion-subject", "x"],
        ["--subject", "demo"],
        ["--grant", "token-exchange", "--subject", "/x"],
        ["--grant", "authorization-code", "--subject", "demo"],
        ["--max-age", "5"],
        ["--prompt", "login"],
        ["--challenge", "-"],
        ["--challenge", 'Bearer error="insufficient_user_authentication", acr_values="x"'],
    ],
)
def test_a_mistake_has_one_error_and_one_hint(service: World, words: list[str]) -> None:
    """Nothing is sent, and no login is begun."""
    done = service.run("login", "api", *words)
    assert done.code != 0
    lines = [line.partition(":")[0] for line in done.err.splitlines()]
    assert (lines.count("error"), lines.count("hint")) == (1, 1), done.err
    assert "Traceback" not in done.err
    assert "resume" not in done.err  # no login has begun that could be resumed
    assert service.logins() == []


def test_settings_of_a_grant_are_checked_when_they_are_saved(service: World) -> None:
    """`provider add` and `edit` take them, and refuse what no request could be made with."""
    issuer = service.server.issuer
    done = service.run(
        "provider", "add", "jag", "--issuer", issuer, "--client-id", "robot", "--scope", "read",
        "--grant", "token-exchange", "--subject", "demo", "--subject-token-type", "id_token",
        "--requested-token-type", "id-jag", "--audience", issuer, "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["subject_login"] == "demo"
    both = ["--subject-token-file", "/x", "--subject", "demo"]
    for wrong in (["--subject-token-type", "jot"], both):
        refused = service.run("provider", "edit", "jag", *wrong)
        assert refused.code != 0, wrong
        assert "hint" in refused.err


def test_the_chain_of_an_enterprise(service: World, server: AuthorizationServer) -> None:
    """An ID token becomes an assertion, and the assertion the token of a resource, by settings alone."""
    secret = str(service.place / "secret")
    service.provide(
        "idp", client_id="robot", client_secret_file=secret, scopes=["openid", "offline_access"]
    )
    service.provide(
        "jag", client_id="robot", client_secret_file=secret, grant="token-exchange",
        subject_login="idp", subject_token_type="id_token", requested_token_type="id-jag",
        audience=server.issuer, scopes=["read"],
    )  # fmt: skip
    service.provide(
        "files", client_id="robot", client_secret_file=secret, grant="jwt-bearer",
        subject_login="jag", scopes=["read"],
    )  # fmt: skip
    assert service.run("login", "idp", "--via", "loopback").code == 0
    refused = service.run("token", "files")
    assert refused.code == 4
    assert "stayfast login jag" in refused.err
    assert service.run("login", "jag").code == 0
    assert service.run("token", "jag").code == 4  # it is no access token
    done = service.run("token", "files")
    assert done.code == 0, done.err
    assert requests.get(
        f"{server.issuer}/me", headers={"Authorization": f"Bearer {done.out.strip()}"}, timeout=10
    ).ok


def test_a_login_that_exists_is_not_asked_again_unless_it_differs(service: World, server) -> None:
    """Another subject or audience is another question."""
    assert service.run("login", "api").code == 0
    before = since(server)
    assert service.run("login", "api").code == 0
    assert since(server) == before
    assert service.run("login", "api", "--audience", "other").code == 0
    assert since(server) != before
    assert json.loads(service.run("status", "api", "--json").out)["logins"]


def test_a_wider_scope_is_said_with_its_names(service: World, server: AuthorizationServer) -> None:
    """`status` names what was granted and not asked for, until tokens come without it."""
    asked = service.run("login", "api")
    assert asked.code == 0
    before = service.run("status", "api")
    more = {"scope": "read write admin", "refresh_token": "canary"}
    server.misbehave("token", Fault(kind=FaultKind.MEMBERS, members=more))
    assert service.run("refresh", "api").code == 0
    shown = service.run("status", "api")
    assert shown.out == before.out
    assert len(shown.err.splitlines()) == len(before.err.splitlines()) + 1
    assert "admin write" in shown.err
    for words in (("status", "api"), ("list",)):
        (one,) = service.run(*words, "--json").json["logins"]
        assert one["scopes_unasked"] == ["admin", "write"]
    assert service.run("refresh", "api").code == 0
    (one,) = service.run("status", "--json").json["logins"]
    assert (one["scopes_unasked"], one["reason"]) == ([], None)


@pytest.mark.parametrize("setting", ["subject_token", "actor_token"])
def test_a_file_of_settings_holds_no_token(service: World, setting: str) -> None:
    """A token there would be read by nobody, and its owner would never know."""
    service.provide("odd", client_id="robot", grant="token-exchange", **{setting: "canary-token"})
    done = service.run("login", "odd")
    assert done.code == 1
    assert setting in done.err
    assert "canary-token" not in done.err


def test_a_login_is_announced_and_not_those_beside_it(service: World) -> None:
    """The login whose token it asks with is refreshed first, and has no share in the stream."""
    service.server.misbehave("token", Fault(kind=FaultKind.MEMBERS, members={"expires_in": 1}))
    assert service.run("login", "api").code == 0
    secret = str(service.place / "secret")
    service.provide(
        "chain", client_id="robot", client_secret_file=secret, scopes=["read"],
        grant="token-exchange", subject_login="api",
    )  # fmt: skip
    done = service.run("login", "chain", "--json")
    assert done.code == 0, done.err
    said = [json.loads(line) for line in done.out.splitlines()]
    assert {one["login"] for one in said} == {
        one.short_id for one in service.logins() if one.provider == "chain"
    }
    assert [one["event"] for one in said if "trigger" not in one] == [
        "login.started",
        "login.finished",
    ]


@pytest.mark.parametrize(
    "more",
    [
        "--grant client-credentials --audience https://api.test",
        "--grant=client-credentials --scope read --account robot",
        "--scope read --json",
    ],
)
def test_the_hint_of_a_refused_login_asks_for_the_same(service: World, more: str) -> None:
    """Its grant, audience, scopes and account stay; what only shapes the answer does not."""
    service.server.misbehave(
        "token", Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"})
    )
    done = service.run("login", "api", *more.split(), "--json")
    kept = set(more.replace("--json", "").split())
    assert done.lines[-1]["hint"].startswith("stayfast login api ")
    assert set(done.lines[-1]["hint"].split()[3:]) == kept
