"""Words that are misspelt, or those of other tools: the hint is the whole line that was meant."""

from __future__ import annotations

import click
import pytest
from command import World
from stayfast.interfaces.cli.wrong_words import wrong_usage

MEANT = {
    "statsu": "status",
    "auth": "login",
    "auth login github": "login github",
    "auth status": "status",
    "auth switch github": "account use github",
    "oauth token github": "token github",
    "signin github": "login github",
    "version": "--version",
    "audit shwo --since 7d": "audit show --since 7d",
    "provider ad x": "provider add x",
    "--web": "login --via loopback",
    "login --web github": "login --via loopback github",
    "login github --device": "login github --via device",
    "login github --vai=device": "login github --via=device",
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
    "setup gti": "setup git",
    "setup kubctl --provider demo": "setup kubectl --provider demo",
    "setup nothing-like-it": "setup --help",
    "completion bsh": "completion bash",
    "diagram --format=mermiad": "diagram --format=mermaid",
    "login demo --via devcie": "login demo --via device",
    "login demo --grant client-credential": "login demo --grant client-credentials",
    "--color nevr status": "--color never status",
    "--acount x token": "token --account x",
    "--account=x token demo": "token --account=x demo",
    "--account x exec demo -- env": "exec --account x demo -- env",
    "-v --since 7d audit show": "-v audit show --since 7d",
    "--wide list": "list --wide",
    "--account token": "--help",
    "help statsu": "help status",
    "help audit shwo": "help audit show",
    "help audit nothing-like-it": "help audit",
    "help enviroment": "help environment",
    "help nothing-like-it": "help",
    "login nosuch.example": "login https://nosuch.example",
    "login localhost:8080/realms/x": "login http://localhost:8080/realms/x",
    "login 127.0.0.1:1": "login http://127.0.0.1:1",
    "token nosuch.example": "login https://nosuch.example",
    "setup git --provider nosuch.example": "login https://nosuch.example",
    "login nosuch": "provider list",
    "login no..example": "provider list",
    "account use": "account use --help",
    "acme login": "login acme",
    "acme signin --via device": "login acme --via device",
    "github token": "token github",
    "statsu token": "status token",
    "show acme": "provider show acme",
    "show provider acme": "provider show acme",
    "show --since 7d": "audit show --since 7d",
    "edit acme --dpop auto": "provider edit acme --dpop auto",
    "edit provider acme": "provider edit acme",
    "add github": "provider add github",
    "remove acme": "provider remove acme",
    "use work": "account use work",
    "rekey": "store rekey",
    "report": "audit report",
    "list providers": "provider list",
    "list provider": "provider list",
    "list accounts": "account list",
    "ls providers": "provider list",
    "show providers": "provider list",
    "list nothing-like-it": "list --help",
    "show": "audit show",
}


@pytest.mark.parametrize("typed", MEANT)
def test_the_hint_is_the_line_that_was_meant(world: World, typed: str) -> None:
    """To the letter, with all that was typed beside the wrong word."""
    done = world.run("--json", *typed.split())
    assert done.json["hint"].replace("stayfast --json ", "stayfast ") == f"stayfast {MEANT[typed]}"
    assert done.json["error"][:1].islower()
    failed = 4 if typed.startswith(("token", "logout", "exec")) else 1  # which of them need a login
    assert done.code == (2 if done.json["code"] == "USAGE" else failed)


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
        ("provider", "add", "x", "--client-secert=canary"),
        ("provider", "add", "x", "--client-secrt-file=canary"),
        ("--callback-ulr=canary", "resume"),
        ("--callback-ulr", "canary", "resume"),
        ("login", "github", "--challange=canary"),
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
