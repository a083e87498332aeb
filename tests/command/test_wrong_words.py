"""Words that are misspelt, or those of other tools: the hint is the whole line that was meant."""

from __future__ import annotations

import click
import pytest
from command import World
from stayfast.interfaces.cli.wrong_words import wrong_usage

MEANT = {
    "statsu": "status",
    "auth": "login PROVIDER",
    "auth login github": "login github",
    "auth status": "status",
    "auth switch github": "account use github",
    "oauth token github": "token github",
    "signin github": "login github",
    "version": "--version",
    "audit shwo --since 7d": "audit show --since 7d",
    "provider ad x": "provider add x",
    "--web": "login PROVIDER --via loopback",
    "login --web github": "login --via loopback github",
    "login github --device": "login github --via device",
    "login github --vai device": "login github --via device",
    "store info --jsn": "store info --json",
    "-v statsu": "-v status",
    "logout gihub": "logout github",
    "token gihub --account work": "token github --account work",
    "setup git --provider gihub": "setup git --provider github",
    "exec gihub -- ls": "exec github -- ls",
    "nothing-like-it": "--help",
    "logout --web": "logout --help",
    "setup": "setup --help",
    "account use": "account use --help",
}


@pytest.mark.parametrize("typed", MEANT)
def test_the_hint_is_the_line_that_was_meant(world: World, typed: str) -> None:
    """To the letter, with all that was typed beside the wrong word."""
    done = world.run("--json", *typed.split())
    assert done.json["hint"].replace("stayfast --json ", "stayfast ") == f"stayfast {MEANT[typed]}"
    assert done.json["error"][:1].islower()
    unknown = 1 if typed.startswith("setup") else 4  # which of them need a login
    assert done.code == (unknown if "gihub" in typed else 2)


@pytest.mark.parametrize(
    "typed",
    [
        ("resmue", "7F3K", "--callback-url", "canary"),
        ("resmue", "7F3K", "--callback-url=canary"),
        ("resmue", "http://127.0.0.1/?code=canary"),
        ("logni", "x", "--param", "canary"),
        ("statsu", "\x1b[31mcanary"),
        ("statsu", "canary" * 50),
        ("resume", "7F3K", "http://127.0.0.1:8080/callback?code=canary&state=canary"),
        ("resume", "http://127.0.0.1/?code=canary"),
        ("login", "github", "--via", "http://127.0.0.1/?code=canary"),
        ("login", "github", "--with-token", "gho_canary0123456789"),
        ("login", "github", "--with-tokne", "gho_canary0123456789"),
        ("logni", "github", "eyJhbGciOiJub25lIn0.canary0123456789abcdef"),
        ("token", "github", "--min-ttl", "canary-of-0123456789-"),
        ("provider", "add", "x", "--client-secret", "canary"),
        ("canary_of_0123456789_",),
    ],
)
def test_what_may_be_a_secret_is_not_said_again(world: World, typed: tuple[str, ...]) -> None:
    """The right command is named, without the rest of the line; in the error, it is hidden."""
    done = world.run(*typed)
    assert done.code in {1, 2}
    assert "canary" not in done.out + done.err
    assert "stayfast" in done.err


def test_a_click_without_a_class_for_unknown_commands_is_understood() -> None:
    """Before 8.4 it had words only."""
    group = click.Group("stayfast", commands={"status": click.Command("status")})
    context = click.Context(group, info_name="stayfast")
    error = click.UsageError("No such command 'statsu'.", context)
    assert wrong_usage(error, ["statsu"]).hint == "stayfast status"
