"""The settings of providers, as the command reads, adds and edits them."""

from __future__ import annotations

import sys
import tomllib
from typing import Any

import pytest
from click.testing import CliRunner
from command import World
from stayfast.interfaces.cli.main import cli
from stayfast.testing.authorization_server import AuthorizationServer, Settings


def table(world: World, name: str) -> dict[str, Any]:
    """The members of the provider in the user's file."""
    return tomllib.loads((world.config / "config.toml").read_text())["providers"].get(name, {})


def test_a_new_issuer_brings_its_own_endpoints(world: World) -> None:
    """``edit --issuer`` writes what ``add --issuer`` would have written."""
    world.run("provider", "add", "moved", "--issuer", world.server.issuer, "--client-id", "cid")
    with AuthorizationServer(Settings()) as other:
        edited = world.run("provider", "edit", "moved", "--issuer", other.issuer)
        world.run("provider", "add", "fresh", "--issuer", other.issuer, "--client-id", "cid")

    assert edited.code == 0
    assert world.server.issuer in edited.err  # where its client is registered
    assert table(world, "moved") == table(world, "fresh")


def test_an_issuer_without_metadata_changes_nothing(world: World) -> None:
    """The settings are as they were."""
    before = table(world, "demo")
    refused = world.run("provider", "edit", "demo", "--issuer", f"{world.server.issuer}/other")

    assert refused.code != 0
    assert table(world, "demo") == before


@pytest.mark.parametrize("how", ["add", "edit"])
def test_an_endpoint_at_another_host_is_kept_and_named(world: World, how: str) -> None:
    """Whether it is given when the provider is added or later."""
    name = "other" if how == "add" else "demo"
    given = ["--issuer", world.server.issuer, "--token-url", "https://elsewhere.example/token"]
    done = world.run("provider", how, name, *given, "--client-id", "cid", "--scope", "a")

    assert (done.code, "elsewhere.example" in done.err) == (0, True)
    assert table(world, name)["token_url"] == "https://elsewhere.example/token"


def test_an_empty_endpoint_is_refused(world: World) -> None:
    """It would hide the shipped one."""
    assert world.run("provider", "edit", "demo", "--token-url", "").code != 0


def test_variables_of_options_count_for_a_cached_token(world: World) -> None:
    """The form that a variable asks for is the form of the answer, cached or not."""
    assert world.run("login", "demo", "--via", "loopback").code == 0
    raw = world.run("token", "demo").out.strip()
    header = world.run("token", "demo", env={"STAYFAST_TOKEN_FORMAT": "header"}).out.strip()
    as_json = world.run("token", "demo", env={"STAYFAST_JSON": "1"}).json

    assert header == f"Authorization: Bearer {raw}"
    assert as_json["access_token"] == raw


@pytest.mark.parametrize("variable", ["STAYFAST_STATE_DIR", "STAYFAST_CONFIG_DIR"])
def test_a_relative_directory_is_an_options_not_a_variables(world: World, variable: str) -> None:
    """An option is relative to the working directory; a variable outlives it, and is refused."""
    refused = world.run("list", "--json", env={variable: "rel"})
    option = f"--{variable.removeprefix('STAYFAST_').lower().replace('_', '-')}"
    taken = world.run("list", "--json", option, str(world.place / "other"))

    assert (refused.code, taken.code) == (7, 0)
    assert variable in refused.err


def test_no_setting_moves_the_cursor_of_a_terminal(world: World) -> None:
    """Neither the name of a provider nor a text of its entry reaches the terminal raw."""
    world.provide('"od\\u001b[31md"')
    world.provide("esc", display_name="A\x1b]0;x\x07B")
    world.provide("plain", display_name="A\u00a0B")
    for arguments in (["list"], ["show", "esc"], ["show", "plain"], ["show", "od\x1b[31md"]):
        done = world.run("provider", *arguments)
        assert (done.out + done.err).replace("\n", "").isprintable()
    assert "plain" in world.run("provider", "list").out


def test_each_setting_says_where_it_comes_from(world: World) -> None:
    """The user's file, the shipped catalogue, or what the issuer published, and when that was read."""
    world.server.change(metadata_lifetime=3600, response_modes=("jwt",))
    other = f"{world.server.issuer}/me"
    world.provide("asked", auth_url=None, token_url=None, device_url=None, userinfo_url=other)
    assert world.run("login", "asked", "--via", "loopback").code == 0  # it asks for signed answers
    shown = world.run("provider", "show", "asked", "--json").json
    origins = shown["origins"]
    assert shown["response_mode"] == "jwt"
    assert origins["response_mode"].startswith("published by")
    assert origins["token_url"].startswith("published by")
    assert origins["jwks_url"].startswith("your file; the same is published by")
    assert origins["userinfo_url"].startswith("your file; another value is published by")
    assert origins["scopes"] == "your file"
    assert "as shipped" in world.run("provider", "show", "github").out


def test_what_a_signed_answer_and_a_logout_need_can_be_set(world: World) -> None:
    """By options, into the user's file."""
    given = ["--response-mode", "query.jwt", "--post-logout-redirect-uri", "http://127.0.0.1/bye"]
    assert world.run("provider", "edit", "demo", *given).code == 0
    kept = table(world, "demo")
    assert (kept["response_mode"], kept["post_logout_redirect_uri"]) == (given[1], given[3])
    assert world.run("provider", "edit", "demo", "--response-mode", "fragment").code == 2


OWN = ("--auth-url", "https://a.test/auth", "--token-url", "https://a.test/token")
CLIENTS: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "none": ((), {}, "provider edit own --client-id ID"),
    "an option": (("--client-id", "cid"), {}, "login own"),
    "a variable": ((), {"OWN_CLIENT_ID": "cid"}, "login own"),
    "one that registers itself": (
        ("--set", "registration_url=https://a.test/clients"),
        {},
        "login own",
    ),
}


@pytest.mark.parametrize(("words", "env", "following"), CLIENTS.values(), ids=CLIENTS)
def test_the_next_step_after_adding_is_one_that_works(
    world: World, words: tuple[str, ...], env: dict[str, str], following: str
) -> None:
    """No login is suggested that would be refused for want of a client id."""
    added = world.run("provider", "add", "own", *OWN, *words, env=env)
    assert added.code == 0
    assert added.err.splitlines()[-1].endswith(f" stayfast {following}")


@pytest.mark.parametrize(
    "way", [("--via", "device"), ("--grant", "client-credentials"), ("--via", "manual", "--start")]
)
def test_a_client_that_the_provider_does_not_know_is_to_be_corrected(
    world: World, way: tuple[str, ...]
) -> None:
    """Whichever request says so, the hint is the command that sets the client id."""
    pushes = {"par": "required", "par_url": f"{world.server.issuer}/par"}
    secret = world.config / "secret"
    secret.write_text("s3cret")
    world.provide("lab", client_id="nobody", **pushes, client_secret_file=str(secret))
    done = world.run("login", "lab", *way, "--json")
    assert done.code != 0
    said = done.lines[-1]["advice"]
    assert (said["action"], said["provider"]) == ("provider edit", "lab")
    assert said["options"] == ["--client-id", "ID", "--client-secret-file", "FILE"]


@pytest.mark.parametrize(
    ("words", "env", "hint"),
    [
        ((), {"LAB_CLIENT_ID": "nobody"}, "export LAB_CLIENT_ID=ID"),
        (("--client-id", "nobody"), {}, "stayfast login lab --client-id ID"),
        (("--client-id=nobody",), {"LAB_CLIENT_ID": "x"}, "stayfast login lab --client-id ID"),
    ],
)
def test_a_client_is_corrected_where_it_was_taken_from(
    world: World, words: tuple[str, ...], env: dict[str, str], hint: str
) -> None:
    """The user's file would not be heeded."""
    world.provide("lab")
    done = world.run("login", "lab", "--via", "device", "--start", *words, "--json", env=env)
    assert done.json["hint"] == hint


def test_an_issuer_that_names_itself_with_a_slash_is_typed_so(world: World) -> None:
    """The hint is the whole line, with what else was given."""
    words = ("provider", "add", "own", "--issuer", f"{world.server.issuer}/", "--client-id", "cid")
    done = world.run(*words, "--json")
    line = f"stayfast provider add own --client-id cid --issuer {world.server.issuer}"
    assert done.json["hint"] == line
    world.provide("own", issuer=f"{world.server.issuer}/")
    line = f"stayfast provider edit own --issuer {world.server.issuer}"
    assert world.run("provider", "check", "own", "--json").json["hint"] == line
    checks = world.run("doctor", "own", "--json").json["checks"]
    assert [one["next"] for one in checks if one["name"] == "discovery"] == [line]


def test_a_provider_that_is_there_already_has_a_hint_to_follow(world: World) -> None:
    """It leads to that provider; for another of the same kind, to a name that is free."""
    for words in (["--client-id", "other"], ["--issuer", world.server.issuer]):
        again = world.run(
            "provider", "add", "demo", *words, "--token-url", "https://a.test", "--json"
        )
        assert (again.code, again.json["code"]) == (1, "CONFIG_INVALID")
        assert again.json["hint"].endswith(" ".join(words))
        assert world.run(*again.json["hint"].split()[1:]).code == 0
    assert table(world, "demo")["client_id"] == "other"
    world.provide("okta")
    world.provide("okta-2")
    other = world.run("provider", "add", "okta", "--json")
    assert other.json["hint"] == "stayfast provider add okta okta-3"


def test_a_group_that_there_is_not_is_an_error(world: World) -> None:
    """The groups are known, so the one that was meant is in the hint."""
    misspelt = world.run("provider", "list", "--group", "clod", "--json")
    assert (misspelt.code, misspelt.json["code"]) == (2, "USAGE")
    assert "--group cloud" in misspelt.json["hint"]


@pytest.mark.parametrize("there", [True, False])
def test_the_first_screen_offers_the_demo_where_its_server_is(
    monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    """Most installs have no authorization server to show it with."""
    if not there:
        monkeypatch.setitem(sys.modules, "authlib", None)
    shown = CliRunner().invoke(cli, []).output
    assert ("stayfast demo" in shown) is there
    assert "stayfast login" in shown


def test_the_client_says_where_it_comes_from(world: World) -> None:
    """The variable that names it, or the user's file; the same of its secret, and of the device flow's client."""
    variables = {
        "GITHUB_CLIENT_ID": "cid",
        "GITHUB_CLIENT_SECRET": "s3cret",
        "GITHUB_DEVICE_CLIENT_ID": "box",
    }
    shown = world.run("provider", "show", "github", "--json", env=variables).json
    named = {"client_id": "client_id", "client_id_for_device": "device_client_id"}
    assert (shown["client_id"], shown["client_id_for_device"]) == ("cid", "box")
    for member, variable in {**named, "client_secret": "client_secret"}.items():
        assert shown["origins"][member] == f"GITHUB_{variable.upper()}"
    text = world.run("provider", "show", "github", env=variables).out
    assert all(f"({name})" in text for name in variables)
    assert "s3cret" not in text

    assert (
        world.run("provider", "show", "demo", "--json").json["origins"]["client_id"] == "your file"
    )
    nobody = world.run("provider", "show", "github", "--json").json
    assert not {"client_id", "client_secret"} & set(nobody["origins"])
    foreign = world.run("provider", "show", "demo", "--json", env={"DEMO_CLIENT_SECRET": "s3cret"})
    assert foreign.json["origins"]["client_secret"] == "DEMO_CLIENT_SECRET"


def test_every_value_of_a_provider_begins_in_one_column(world: World) -> None:
    """Also that of the setting with the longest name."""
    named = ("client_assertion_algorithms", "request_object_algorithms", "par")
    world.provide("lab", **{one: ["RS256"] for one in named[:2]}, par="off")
    lines = world.run("provider", "show", "lab").out.splitlines()
    columns = {
        len(line) - len(line.partition(" ")[2].lstrip())
        for line in lines
        if line.partition(" ")[0] in named
    }
    assert len(columns) == 1
