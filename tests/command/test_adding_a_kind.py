"""`provider add` of the kinds that the catalogue knows, by a script and at a terminal."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Done, World
from internet import Internet, internet, metadata
from seat import Seat
from transcripts import compare

ENTRA = "https://login.microsoftonline.com"
KINDS = {
    "okta": ["domain=acme.okta.com"],
    "auth0": ["domain=acme.eu.auth0.com"],
    "keycloak": ["host=sso.acme.test", "realm=main"],
    "entra": ["tenant=common"],
    "mastodon": ["host=social.acme.test"],
}
"""What each kind is asked for, in order."""
PUBLISHED = {
    "acme.okta.com": {"/.well-known/openid-configuration": metadata("https://acme.okta.com")},
    "acme.eu.auth0.com": {
        "/.well-known/openid-configuration": metadata("https://acme.eu.auth0.com/")
    },
    "sso.acme.test": {
        "/realms/main/.well-known/openid-configuration": metadata(
            "https://sso.acme.test/realms/main"
        )
    },
    "login.microsoftonline.com": {
        "/common/v2.0/.well-known/openid-configuration": metadata(
            f"{ENTRA}/{{tenantid}}/v2.0",
            authorization_endpoint=f"{ENTRA}/common/oauth2/v2.0/authorize",
            token_endpoint=f"{ENTRA}/common/oauth2/v2.0/token",
            device_authorization_endpoint=f"{ENTRA}/common/oauth2/v2.0/devicecode",
            jwks_uri=f"{ENTRA}/common/discovery/v2.0/keys",
        )
    },
    "social.acme.test": {
        "/.well-known/oauth-authorization-server": metadata("https://social.acme.test/")
    },
    "empty.acme.test": {},
    "half.acme.test": {
        "/.well-known/openid-configuration": {"issuer": "https://half.acme.test"},
    },
}


@pytest.fixture
def net(world: World, tmp_path: Path) -> Iterator[Internet]:
    """The hosts of those providers, for the command of this world."""
    folder = tmp_path / "net"
    folder.mkdir()
    with internet(folder, PUBLISHED) as opened:
        world.extra |= opened.environ
        yield opened


def saved(world: World) -> dict[str, Any]:
    """The providers in the user's file, but the one that the world has by itself."""
    tables = tomllib.loads((world.config / "config.toml").read_text())["providers"]
    return {name: table for name, table in tables.items() if name != "demo"}


def refused(done: Done) -> Done:
    """A run that ended with one error and one hint."""
    lines = done.err.splitlines()
    assert done.code != 0
    assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], done.err
    assert sum(line.startswith("error:") for line in lines) == 1
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_adds_a_kind_by_options_alone(world: World, net: Internet, kind: str) -> None:
    """What was asked for is kept, no blank is left in an address, and a login can begin."""
    blanks = [word for one in KINDS[kind] for word in ("--set", one)]
    done = world.run("provider", "add", kind, "work", *blanks, "--client-id", "cid", "--json")

    assert done.code == 0, done.err
    assert saved(world)["work"] == {
        "kind": kind,
        "template": dict(one.split("=") for one in KINDS[kind]),
        "client_id": "cid",
    }
    assert "{" not in json.dumps(done.json["issuer"]).replace("{tenantid}", "")
    assert done.json["register"].startswith("http://")
    assert "https://" in done.err  # the page to register a client on
    secret = {"WORK_CLIENT_SECRET": "s3cret"}
    begun = world.run("login", "work", "--via", "manual", "--start", "--json", env=secret)
    assert begun.json["action"] == "open_url", begun.err
    assert net.asked


def test_the_hint_of_a_server_that_cannot_be_asked_keeps_the_name_and_the_command(
    world: World, net: Internet
) -> None:
    """Whoever follows it adds, or edits, what they meant to, and no other provider."""
    wrong = ["--set", "domain=acme.okta.invalid"]
    added = refused(world.run("provider", "add", "okta", "work", *wrong, "--client-id", "cid"))
    assert added.err.endswith("stayfast provider add okta work --set domain=…\n")
    right = ["--set", "domain=acme.okta.com"]
    world.run("provider", "add", "okta", "work", *right, "--client-id", "cid")
    edited = refused(world.run("provider", "edit", "work", *wrong))
    assert edited.err.endswith("stayfast provider edit work --set domain=…\n")
    assert net.asked


@pytest.mark.usefixtures("net")
def test_an_answer_is_named_with_an_error_that_does_not_name_it(world: World) -> None:
    """As it stands in the address: a whole address that was pasted is not named twice."""
    pasted = ["okta", "--set", "domain=https://acme.okta.invalid/", "--client-id", "cid"]
    assert "domain=" not in refused(world.run("provider", "add", *pasted, "--json")).json["error"]
    typed = ["--set", "host=https://sso.acme.invalid/", "--set", "realm=main"]
    words = ["keycloak", *typed, "--client-id", "cid", "--json"]
    assert "realm=main" in refused(world.run("provider", "add", *words)).json["error"]


@pytest.mark.parametrize(
    "words",
    [
        ["okta", "--client-id", "cid"],  # nothing is said, and nobody can be asked
        ["keycloak", "--set", "host=sso.acme.test", "--client-id", "cid"],
        ["okta", "--set", "domain=acme.okta.com"],  # no client id
        ["okta", "--set", "domain=a b", "--client-id", "cid"],
        ["okta", "--set", "domain=acme.okta.com/../x?y", "--client-id", "cid"],
        ["okta", "--set", "domain=user@acme.okta.com", "--client-id", "cid"],
        ["okta", "--set", "domain={domain}", "--client-id", "cid"],
        ["okta", "--set", "domain=", "--client-id", "cid"],
        ["okta", "--set", "tenant=acme", "--client-id", "cid"],
        ["okta", "--set", "domain", "--client-id", "cid"],
        ["okta", "--set", "domain=a.test", "--set", "domain=b.test", "--client-id", "cid"],
        ["okta", "--set", "domain=acme.okta.invalid", "--client-id", "cid"],  # is not found
        ["okta", "--set", "domain=empty.acme.test", "--client-id", "cid"],  # publishes nothing
        ["okta", "--set", "domain=half.acme.test", "--client-id", "cid"],  # names no endpoints
        ["okta", "--set", "domain=acme.eu.auth0.com", "--client-id", "cid"],  # another's, by a slash
        ["keycloak", "--set", "host=sso.acme.test", "--set", "realm=other", "--client-id", "cid"],
        ["github", "--set", "host=x.test", "--client-id", "cid"],
        ["okta", "work", "--issuer", "https://acme.okta.com", "--client-id", "cid"],
        ["oktaa", "--client-id", "cid"],
        ["nothing-like-it", "--client-id", "cid"],
        ["apple", "--client-id", "cid"],
        ["okta", "a/b", "--set", "domain=acme.okta.com", "--client-id", "cid"],
        ["okta", "--set", "domain=acme.okta.com", "--client-id", "cid", "--redirect-uri", "x"],
        ["okta", "demo", "--set", "domain=acme.okta.com", "--client-id", "cid"],  # is there already
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_added_ends_with_one_error_and_leaves_nothing(
    world: World, net: Internet, words: list[str]
) -> None:
    """One error, one hint, nothing half saved."""
    before = (world.config / "config.toml").read_text()
    refused(world.run("provider", "add", *words))

    assert (world.config / "config.toml").read_text() == before
    assert {path.name for path in world.config.iterdir()} <= {"config.toml", "config.toml.lock"}
    assert net.asked == [] or "--set" in words


def test_a_fixed_provider_needs_a_client_id_alone(world: World) -> None:
    """It is kept by its name; under another name, with its kind."""
    for words in (["github"], ["github", "work"]):
        done = world.run("provider", "add", *words, "--client-id", "cid")
        assert done.code == 0, done.err
        assert "https://github.com/settings/developers" in done.err

    assert saved(world) == {
        "github": {"client_id": "cid"},
        "work": {"kind": "github", "client_id": "cid"},
    }
    again = refused(world.run("provider", "add", "github", "--client-id", "other"))
    assert "provider edit github" in again.err
    secret = {"WORK_CLIENT_SECRET": "s3cret"}
    begun = world.run("login", "work", "--via", "manual", "--start", "--json", env=secret)
    assert "https://github.com/login/oauth/authorize" in begun.out


@pytest.mark.parametrize("name", ["apple", "intercom"])
def test_an_impossible_provider_says_why(world: World, name: str) -> None:
    """To sign in, to add and to show it: all give the reason, without a traceback or a dead end."""
    added = refused(world.run("provider", "add", name))
    login = refused(world.run("login", name))
    shown = world.run("provider", "show", name)
    listed = world.run("provider", "list", name, "--json").json["providers"]

    (reason,) = [one["impossible"] for one in listed]
    assert reason in added.err
    assert reason in login.err
    assert reason.split()[0] in shown.out
    assert shown.code == 0


def test_a_login_to_a_kind_names_the_command_that_adds_it(world: World) -> None:
    """A kind is nothing to sign in to before its server is known."""
    assert "stayfast provider add okta" in refused(world.run("login", "okta")).err


@pytest.mark.parametrize("name", ["github", "linear", "mine"])
def test_a_login_without_a_client_id_says_how_to_get_one(world: World, name: str) -> None:
    """The redirect address, the page, how, and the command that keeps the id."""
    if name == "mine":
        world.provide("mine", client_id=None)
    done = refused(world.run("login", name))

    assert "Register" in done.err
    assert "http://" in done.err
    command = "edit" if name == "mine" else "add"
    assert f"stayfast provider {command} {name} --client-id" in done.err
    shipped = {"github": "github.com/settings/developers", "linear": "linear.app/settings"}
    assert shipped.get(name, "") in done.err


def test_the_list_finds_and_groups(world: World) -> None:
    """By words in name, title and group; by group; the user's own come first."""
    every = world.run("provider", "list", "--json").json["providers"]
    found = world.run("provider", "list", "entra", "microsoft", "--json").json["providers"]
    code = world.run("provider", "list", "--group", "code", "--json").json["providers"]
    own = world.run("provider", "list", "--group", "yours", "--json").json["providers"]
    none = world.run("provider", "list", "no-such-words-anywhere")

    assert [one["name"] for one in found] == ["entra"]
    assert {one["group"] for one in code} == {"code"}
    assert [one["name"] for one in own] == ["demo"]
    assert every[0]["name"] == "demo"
    assert {"okta", "github", "apple"} <= {one["name"] for one in every}
    assert (none.code, none.out) == (0, "")
    assert [one["asks"] for one in every if one["name"] == "keycloak"] == [["host", "realm"]]


def test_what_is_shown_of_a_kind_has_its_source_and_its_date(world: World, net: Internet) -> None:
    """Before it is added, with its blanks; afterwards, without."""
    kind = world.run("provider", "show", "okta", "--json").json
    world.run("provider", "add", "okta", "--set", "domain=acme.okta.com", "--client-id", "cid")
    added = world.run("provider", "show", "okta", "--json").json

    assert (kind["issuer"], added["issuer"]) == ("https://{domain}", "https://acme.okta.com")
    assert kind["about"] == added["about"]
    assert added["about"]["source"]
    assert len(added["about"]["checked"]) == len("2026-11-26")
    assert net.asked


@pytest.mark.parametrize(
    ("settings", "code", "results"),
    [
        ({}, 0, {"token_url": "same", "jwks_url": "same"}),
        ({"token_url": "https://acme.okta.com/old"}, 1, {"token_url": "differs"}),
        ({"jwks_url": None}, 0, {"jwks_url": "added"}),
        ({"revocation_url": "https://acme.okta.com/r"}, 0, {"revocation_url": "unpublished"}),
    ],
)
def test_a_check_says_what_the_provider_publishes_differently(
    world: World, net: Internet, settings: dict[str, Any], code: int, results: dict[str, str]
) -> None:
    """Setting by setting; exit status 1 if one of them differs."""
    issuer = "https://acme.okta.com"
    world.provide("lab", **{"issuer": issuer, "auth_url": f"{issuer}/authorize",
                  "token_url": f"{issuer}/token", "device_url": None, "revocation_url": None,
                  "jwks_url": f"{issuer}/keys", **settings})  # fmt: skip
    done = world.run("provider", "check", "lab", "--json")

    assert done.code == code
    assert done.json["differs"] == bool(code)
    found = {one["setting"]: one["result"] for one in done.json["settings"]}
    assert results.items() <= found.items()
    assert net.asked
    people = world.run("provider", "check", "lab")
    assert people.code == code
    assert all(name in people.out for name in results)


def test_a_check_of_what_publishes_nothing_says_so(world: World, net: Internet) -> None:
    """Without an issuer there is nothing to compare; one that cannot be reached is an error as well."""
    world.provide("gone", issuer="https://gone.acme.invalid")
    for name in ("github", "gone"):
        refused(world.run("provider", "check", name))
    assert net.asked == []


def test_another_server_of_the_kind_is_asked_before_it_is_kept(world: World, net: Internet) -> None:
    """`provider edit --set` changes what it was asked; what does not work changes nothing."""
    words = ["keycloak", "--set", "host=sso.acme.test", "--set", "realm=main"]
    world.run("provider", "add", *words, "--client-id", "cid")
    before = saved(world)
    for wrong in ("realm=other", "realm=a b", "tenant=x", "host=gone.acme.invalid"):
        refused(world.run("provider", "edit", "keycloak", "--set", wrong))
        assert saved(world) == before
    refused(world.run("provider", "edit", "demo", "--set", "realm=main"))
    world.run("provider", "add", "okta", "--set", "domain=acme.okta.com", "--client-id", "cid")
    changed = world.run("provider", "edit", "okta", "--set", "domain=https://acme.okta.com/")
    assert changed.code == 0, changed.err
    assert saved(world)["okta"]["template"] == {"domain": "acme.okta.com"}
    assert net.asked


# --- at a terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_adding_a_kind_at_a_terminal(world: World, net: Internet, kind: str) -> None:
    """Each value is asked for once; page, sentence and redirect address; the login is offered."""
    with Seat(world).opens(rows=30) as opened:
        opened.type(f"stayfast provider add {kind}")
        for one in KINDS[kind]:
            opened.seen(r"(\)|\]): ?$")
            opened.type(one.partition("=")[2])
        opened.seen("client id .*: ?$")
        opened.type("0oa1client")
        if kind == "mastodon":
            opened.seen("client secret .*: ?$")
            opened.type("s3cret")
        opened.seen(r"now\? \[Y/n\]: ?$")
        opened.type("n")
        shown = opened.prompted(0)
    compare(f"add-{kind}", "7F3K", shown)
    assert saved(world)[kind]["client_id"] == "0oa1client"
    assert "s3cret" not in shown
    assert net.asked


def test_a_choice_of_kinds_at_a_terminal(world: World) -> None:
    """Without a name: the groups, a search that finds several, one that is none, and the one that is meant."""
    with Seat(world).opens(rows=50) as opened:
        opened.type("stayfast provider add")
        opened.seen("provider: ?$")
        opened.type("gitlab")
        opened.seen("client id .*: ?$")
        opened.press("C-c")
        opened.prompted(130)
        opened.type("stayfast provider add")
        opened.seen(r"(?s)Which.*Which.*provider: ?$")
        for typed in ("no-such-provider", "github-"):
            opened.type(typed)
            opened.seen(rf"provider: {typed}\n(.*\n)+  provider: ?$")
        opened.press("C-c")
        shown = opened.prompted(130, times=2)
    assert "github-enterprise" in shown
    assert "none is called so" in shown
    assert saved(world) == {}


BAD_ENDS = {
    "wrong-domain": ("okta", ["nope domain", "acme.okta.invalid"]),
    "no-metadata": ("keycloak", ["sso.acme.test", "other"]),
    "other-issuer": ("okta", ["acme.eu.auth0.com"]),
}


@pytest.mark.parametrize("end", BAD_ENDS)
def test_bad_ends_at_a_terminal(world: World, net: Internet, end: str) -> None:
    """A value that cannot be one is asked for again; what is not there ends with what to do."""
    kind, answers = BAD_ENDS[end]
    with Seat(world).opens() as opened:
        opened.type(f"stayfast provider add {kind}")
        for number, one in enumerate(answers, 1):
            opened.seen(rf"(?s)(\): .*){{{number}}}$|(\): ?$)")
            opened.seen(r"\): ?$")
            opened.type(one)
        shown = opened.prompted(1)
    compare(f"add-{end}", "7F3K", shown)
    assert saved(world) == {}
    assert not any("acme.okta" in one for one in net.asked)


def test_a_login_without_a_client_at_a_terminal(world: World) -> None:
    """What to register, and the command that asks for the rest."""
    with Seat(world).opens() as opened:
        opened.type("stayfast login github")
        shown = opened.prompted(1)
    compare("no-client", "7F3K", shown)


def test_a_secret_that_is_typed_is_kept_in_a_file_of_its_own(world: World, net: Internet) -> None:
    """Readable by its user alone; the table names it."""
    with Seat(world).opens(rows=30) as opened:
        opened.type("stayfast provider add mastodon")
        for typed, asked in (
            ("social.acme.test", r"\): ?$"), ("cid", "client id .*: ?$"), ("s3cret", "secret .*: ?$"), ("n", r"n\]: ?$"),
        ):  # fmt: skip
            opened.seen(asked)
            opened.type(typed)
        opened.prompted(0)
    path = world.config / "mastodon.secret"
    assert path.read_text() == "s3cret\n"
    assert path.stat().st_mode & 0o077 == 0
    assert saved(world)["mastodon"]["client_secret_file"] == "mastodon.secret"
    assert net.asked
