"""``--set NAME=VALUE`` of ``provider add`` and ``provider edit``, for settings that have no option."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from command import World
from stayfast.engine.errors import ConfigInvalid
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
    "",
    "=x",
]


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
        assert set(settings_of({typed: text}, edit_provider.params, {})) == {name}


def test_the_hint_for_a_misspelt_table_keeps_its_member() -> None:
    """Without the member, what the hint says would be refused as well."""
    with pytest.raises(ConfigInvalid) as caught:
        settings_of({"paramter_names.scope": "scopes"}, (), {})
    assert caught.value.hint == "--set parameter_names.scope=…"
