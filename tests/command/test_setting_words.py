"""``--set NAME=VALUE`` of ``provider add`` and ``provider edit``, for settings that have no option."""

from __future__ import annotations

import json
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from command import World
from stayfast.engine.errors import ConfigInvalid
from stayfast.engine.hints import Hint
from stayfast.engine.oauth.provider import OAuthProvider
from stayfast.engine.oauth.setting_types import form_of
from stayfast.interfaces.cli.commands.provider_edit import edit_provider
from stayfast.interfaces.cli.setting_words import settings_of

OWN = ("--auth-url", "https://a.test/auth", "--token-url", "https://a.test/token")
CLIENT = ("--client-id", "cid", "--scope", "x")
SETS = {
    "refresh_rotates=yes": {"refresh_rotates": "yes"},
    "refresh_lifetime=86400": {"refresh_lifetime": 86400},
    "sends_scope=no": {"sends_scope": False},
    "refresh_lifetime_slides=TRUE": {"refresh_lifetime_slides": True},
    "ports=8765 8766": {"ports": [8765, 8766]},
    "repeats_scope=poll refresh": {"repeats_scope": ["poll", "refresh"]},
    "api_url_member=instance_url": {"api_url_member": "instance_url"},
    "parameter_names.scope=scopes": {"parameter_names": {"scope": "scopes"}},
    "member_names.error=error.code": {"member_names": {"error": "error.code"}},
    "error_codes.1349174=authorization_pending": {
        "error_codes": {"1349174": "authorization_pending"}
    },
    "refresh_url=https://a.test/again?x=y": {"refresh_url": "https://a.test/again?x=y"},
}
WRONG = [
    "refresh_rotate=yes",  # misspelt
    "realm=main",  # of another kind
    "refresh_rotates=maybe",
    "sends_scope=2",
    "refresh_lifetime=1d",
    "refresh_lifetime=-1",
    "repeats_scope=poll everything",
    "repeats_scope.poll=1",
    "parameter_names=scopes",
    "parameter_names.state=condition",  # the checks of an answer rest on it
    "parameter_names.scope=client_id",  # two of one name
    "client_secret=s3cret",
    "client_secret_for_device=s3cret",
    "client_secret_for_device_file=/nonexistent/secret",
    "subject_token=s3cret",
    "client_id=cid",  # has an option
    "issuer=https://b.test",
    "extra_auth_params.a=b",
    "kind=okta",
    "template.domain=a.test",
    "service_name=x",
    "refresh_url=http://a.test/again",
    "refresh_url=https://{domain}/again",
    "iss_required=false",
    "iss_required=",
    "",
    "=x",
]


def again(setting: str, /, *words: str) -> Hint:
    """The whole line, where nothing else was typed."""
    del setting
    return Hint("provider edit", "demo", *words)


def table(world: World, name: str) -> dict[str, Any]:
    """What the user's file says of a provider."""
    file = Path(world.environ["STAYFAST_CONFIG_DIR"]) / "config.toml"
    found: dict[str, Any] = tomllib.loads(file.read_text())["providers"].get(name, {})
    return found


@pytest.mark.parametrize("typed", SETS)
def test_a_setting_is_added_and_edited_by_its_name(world: World, typed: str) -> None:
    """Of a provider of one's own and of a kind; an empty value takes it out, and others stay."""
    assert world.run("provider", "add", "own", *OWN, *CLIENT, "--set", typed).code == 0
    assert SETS[typed].items() <= table(world, "own").items()
    kind = ("github", "hub", "--client-id", "cid")
    added = world.run("provider", "add", *kind, "--set", typed)
    if "scope" not in typed:  # its own settings say something else of scopes
        assert added.code == 0
        assert SETS[typed].items() <= table(world, "hub").items()

    assert world.run("provider", "edit", "demo", "--set", typed).code == 0
    assert SETS[typed].items() <= table(world, "demo").items()
    name = typed.partition("=")[0]
    assert world.run("provider", "edit", "demo", "--set", f"{name}=").code == 0
    assert not table(world, "demo").get(name.partition(".")[0])
    assert "client_id" in table(world, "demo")


def test_a_member_of_a_table_joins_the_others(world: World) -> None:
    """Those of the file, and those that the kind has."""
    for typed in ("a=slow_down", "c=expired_token"):
        assert world.run("provider", "edit", "demo", "--set", f"error_codes.{typed}").code == 0
    assert table(world, "demo")["error_codes"] == {"a": "slow_down", "c": "expired_token"}
    assert world.run("provider", "edit", "demo", "--set", "error_codes.a=").code == 0
    assert table(world, "demo")["error_codes"] == {"c": "expired_token"}


@pytest.mark.parametrize("typed", WRONG)
def test_a_setting_that_cannot_be_right_is_refused(world: World, typed: str) -> None:
    """By one error with one hint, before anything is asked or saved; no secret is repeated."""
    before = table(world, "demo")
    for words in (
        ("edit", "demo"),
        ("add", "own", *OWN, *CLIENT),
        ("add", "github", "hub", "--client-id", "cid"),
    ):
        done = world.run("provider", *words, "--set", typed)
        assert done.code in {1, 2}
        assert done.out == ""
        assert done.err.count("error: ") == done.err.count("hint: ") == 1
        assert "s3cret" not in done.err
    assert table(world, "demo") == before
    assert (table(world, "own"), table(world, "hub")) == ({}, {})


def test_every_setting_of_a_provider_can_be_typed() -> None:
    """By an option or by ``--set``; secrets are typed by neither."""
    options = {one.name for one in edit_provider.params}
    names = {one.name for one in fields(OAuthProvider)} - options - {"service_name"}
    assert {"refresh_rotates", "parameter_names", "token_lists"} <= names
    for name in names:
        form = form_of(name)
        text = {"switch": "yes", "seconds": "7"}.get(getattr(form, "value", ""), "x")
        if isinstance(form, tuple):
            text = next(one for one in form if one)
        typed = f"{name}.x" if getattr(form, "value", "") == "table" else name
        assert set(settings_of({typed: text}, edit_provider.params, {}, again)) == {name}


def test_the_hint_for_a_misspelt_table_keeps_its_member() -> None:
    """Without the member, what the hint says would be refused as well."""
    with pytest.raises(ConfigInvalid) as caught:
        settings_of({"paramter_names.scope": "scopes"}, (), {}, again)
    assert caught.value.hint == Hint(
        "provider edit", "demo", "--set", "parameter_names.scope=scopes"
    )


MEANT = {
    "scopess=openid": ["--scope", "openid"],
    "scope=openid email": ["--scope", "openid email"],
    "client_id=abc": ["--client-id", "abc"],
    "client-id=abc": ["--client-id", "abc"],
    "client_id_in_body=no": ["--client-id-in-header"],
    "dpop=of": ["--dpop", "off"],
    "dpop=maybe": ["--dpop", "auto"],
    "token_endpoint_auth_method=none": ["--client-auth", "none"],
    "redirect_uri=x": ["--redirect-uri", "http://127.0.0.1:8765/callback"],
    "extra_token_params.a=b": ["--token-param", "a=b"],
    "refresh_rotate=yes": ["--set", "refresh_rotates=yes"],
    "refresh_lifetime=1d": ["--set", "refresh_lifetime=86400"],
    "refresh_rotates=maybe": ["--set", "refresh_rotates=yes"],
    "sends_scope=2": ["--set", "sends_scope=true"],
}


@pytest.mark.parametrize("typed", MEANT)
def test_the_line_that_is_meant_works_when_it_is_pasted(world: World, typed: str) -> None:
    """It is whole, keeps what else was typed, and has the option of a setting that has one."""
    done = world.run("provider", "edit", "demo", "--set", typed, "--display-name", "A B", "--json")
    line = ["provider", "edit", "demo", "--display-name", "A B", *MEANT[typed]]
    words = shlex.split(json.loads(done.out)["hint"])
    assert (done.code, words) == (1, ["stayfast", *line])
    assert world.run(*words[1:]).code == 0


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["--set", "client_id"], ["--client-id", "ID"]),
        (["--set", "refresh_rotates"], ["--set", "refresh_rotates=yes"]),
        (["--set", "client_secrt=s3cret"], ["--client-secret-file", "FILE"]),
        (
            ["--set", "extra_token_params.device_secret=s3cret"],
            ["--token-param", "device_secret=…"],
        ),
        (["--set", "issuer="], ["--issuer", "https://…"]),
        (["--token-param", "x"], ["--token-param", "NAME=VALUE"]),
        (["--auth-url", ""], ["--auth-url", "https://…"]),
        (["--client-secret-file", "/nonexistent"], ["--client-secret-file", "FILE"]),
    ],
    ids=" ".join,
)
def test_what_only_the_reader_knows_is_left_for_him(
    world: World, typed: list[str], meant: list[str]
) -> None:
    """The line is whole all the same, about the provider that was named, and holds no secret."""
    done = world.run("provider", "edit", "demo", *typed, "--json")
    words = shlex.split(json.loads(done.out)["hint"])
    assert words == ["stayfast", "provider", "edit", "demo", *meant]


def test_a_blank_that_is_misspelt_is_set_by_its_name(world: World) -> None:
    """What a kind asks for counts among the names that were probably meant."""
    words = ("provider", "add", "okta", "work", "--client-id", "cid")
    done = world.run(*words, "--set", "domian=acme.okta.com", "--json")
    hint = shlex.split(json.loads(done.out)["hint"])
    assert hint == ["stayfast", *words, "--set", "domain=acme.okta.com"]


@pytest.mark.parametrize("typed", ["domain=a b", "domain=", "tenant=x", "domain"])
def test_a_blank_that_does_not_fit_comes_with_an_example(world: World, typed: str) -> None:
    """In a line that is whole."""
    words = ("provider", "add", "okta", "work", "--client-id", "cid")
    hint = shlex.split(world.run(*words, "--set", typed, "--json").json["hint"])
    assert hint[:-1] == ["stayfast", *words, "--set"]
    assert hint[-1].startswith("domain=")


def test_a_setting_that_has_an_option_is_taken_out_by_an_empty_value(world: World) -> None:
    """No option could say that it is gone."""
    assert world.run("provider", "edit", "demo", "--audience", "api").code == 0
    assert table(world, "demo")["audience"] == "api"
    assert world.run("provider", "edit", "demo", "--set", "audience=").code == 0
    assert "audience" not in table(world, "demo")
