"""A shell completes the values that a user would type: providers, accounts, logins, pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class
from command import STAYFAST, World
from stayfast.interfaces.cli.completion_note import note_words
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.cli.quick_completion import completed as completed_quickly
from stayfast.testing.storage_contract import finished, saved
from tmux import window


def completed(world: World, line: str) -> set[str]:
    """What bash is offered behind ``line``."""
    words = line.split(" ")
    asked = {
        "_STAYFAST_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = world.run(env=asked)
    assert done.err == ""
    return {one.partition(",")[2] for one in done.out.splitlines() if one}


@pytest.fixture
def known(world: World) -> World:
    """Two accounts, and an open login."""
    for account in ("home", "work"):
        login = replace(finished("demo"), account=account)
        assert login.tokens is not None
        tokens = replace(login.tokens, issued_at=time.time())
        saved(world.assembly.storage, [replace(login, tokens=tokens)])
    assert world.run("login", "demo", "--start").code == 3
    world.provide("mine")
    return world


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("stayfast provider add keyc", {"keycloak"}),
        ("stayfast provider show de", {"demo"}),
        ("stayfast token de", {"demo"}),
        ("stayfast token demo --account ", {"home", "work"}),
        ("stayfast account use demo w", {"work"}),
        ("stayfast account use other w", set[str]()),
        ("stayfast credential git --provider de", {"demo"}),
        ("stayfast logout ", {"demo"}),
        ("stayfast status ", {"demo"}),
        ("stayfast exec gi", set[str]()),
        ("stayfast provider remove ", {"demo", "mine"}),
        ("stayfast provider list --group c", {"code", "cloud"}),
        ("stayfast provider edit mine --set api_u", {"api_url_member="}),
        ("stayfast provider edit mine --set client_secret", {"client_secret_for_device_file="}),
        ("stayfast help cred", {"credential", "credentials"}),
    ],
)
def test_values_are_offered_where_they_fit(known: World, line: str, offered: set[str]) -> None:
    """Those of the provider that stands in the line, and only those that begin so."""
    assert completed(known, line) == offered


def test_a_vault_that_nobody_opens_hides_no_provider(known: World) -> None:
    """Without its passphrase, or where a command of the user would be asked for a key, all are offered."""
    signed_in = ("stayfast token ", {"demo"})
    assert completed(known, signed_in[0]) == signed_in[1]
    assert completed(known, "stayfast to") == {"token"}  # the words are noted
    known.extra["STAYFAST_KEY_COMMAND"] = "touch asked"
    assert {"demo", "mine", "github"} <= completed(known, "stayfast token ")
    del known.extra["STAYFAST_KEY_COMMAND"]
    sealed = {"STAYFAST_NEW_PASSPHRASE": "one two three four"}
    assert known.run("store", "rekey", "--to", "passphrase", env=sealed).code == 0
    assert {"demo", "mine", "github"} <= completed(known, "stayfast token ")


def every_line() -> list[tuple[list[str], str]]:
    """What somebody may have typed: each command, each option, and where each value begins."""
    lines: list[tuple[list[str], str]] = []

    def below(command: click.Command, path: list[str]) -> None:
        lines.extend([(path, ""), (path, "-"), (path, "--s"), ([*path, "word"], "")])
        lines.append((["--json", *path], "-"))
        for param in command.params:
            if isinstance(param, click.Option):
                lines.extend(([*path, name], "") for name in param.opts)
                lines.append(([*path, param.opts[-1]], "-"))
        for name, one in command.commands.items() if isinstance(command, click.Group) else ():
            below(one, [*path, name])

    below(cli, [])
    return lines


@pytest.fixture(autouse=True)
def as_at_first() -> None:
    """The option for help is kept by click as it was first asked for, and other tests ask without our names for it."""

    def forget(command: click.Command) -> None:
        vars(command)["_help_option"] = None
        for one in command.commands.values() if isinstance(command, click.Group) else ():
            forget(one)

    forget(cli)


def test_the_quick_way_offers_what_the_whole_command_does(
    known: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind every command and option; where it is not sure, it says nothing, and that is rare."""
    for name, value in known.environ.items():
        monkeypatch.setenv(name, value)
    note_words(cli, known.environ)
    made = get_completion_class("bash")
    assert made is not None
    whole = made(cli, {}, "stayfast", "_STAYFAST_COMPLETE")
    unsure = 0
    for before, typed in every_line():
        asked = {
            "_STAYFAST_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["stayfast", *before, typed]),
            "COMP_CWORD": str(len(before) + 1),
        }
        quick = completed_quickly({**known.environ, **asked})
        if quick is None:
            unsure += 1
            continue
        found = whole.get_completions(list(before), typed)
        assert quick.splitlines() == [f"{one.type},{one.value}" for one in found], (
            before,
            typed,
        )
    assert unsure < len(every_line()) / 10


def test_the_short_name_of_help_and_the_order_of_commands_are_noted(known: World) -> None:
    """As the whole command has them, before it has read any note."""
    asked = {"_STAYFAST_COMPLETE": "bash_complete", "COMP_CWORD": "1", "COMP_WORDS": "stayfast "}
    options = {**asked, "COMP_CWORD": "2", "COMP_WORDS": "stayfast token -"}
    note_words(cli, known.environ)
    noted = completed_quickly({**known.environ, **asked}) or ""
    with click.Context(cli) as context:
        assert noted.splitlines() == [
            f"plain,{name}" for name in cli.list_commands(context) if not cli.commands[name].hidden
        ]
    offered = completed_quickly({**known.environ, **options}) or ""
    assert {"plain,-h", "plain,--help"} <= set(offered.splitlines())


def test_a_note_of_other_words_is_not_used(known: World) -> None:
    """Another version, another Python, a file that others can write or that is torn: the whole command answers."""
    line = {
        "_STAYFAST_COMPLETE": "bash_complete",
        "COMP_WORDS": "stayfast st",
        "COMP_CWORD": "1",
        **known.environ,
    }
    note_words(cli, known.environ)
    assert completed_quickly(line) == "plain,status\nplain,store\n"
    note = known.state / "completion"
    good = note.read_bytes()
    note.chmod(0o666)
    assert completed_quickly(line) is None
    note.chmod(0o600)
    for bad in (b"", good[:99], b"[]", b"{}", good.replace(b'"version": "', b'"version": "x')):
        note.write_bytes(bad)
        assert completed_quickly(line) is None
    assert completed(known, "stayfast st") == {"status", "store"}
    assert completed_quickly(line) is not None  # whoever has loaded the whole command notes it


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_itself_completes(known: World, shell: str) -> None:
    """Tab in a real shell gives the value that is meant: provider, account and login."""
    if shutil.which(shell) is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL"):
            pytest.fail(f"{shell} is not installed")
        pytest.skip(f"{shell} is not installed")
    (waiting,) = [login for login in known.logins() if login.pending]
    lines = {
        "stayfast token de": "stayfast token demo",
        "stayfast token demo --account w": "stayfast token demo --account work",
        "stayfast resume ": f"stayfast resume {waiting.short_id}",
    }
    script = known.run("completion", shell).out
    (known.place / "script").write_text(script)
    if shell == "fish":
        for line, whole in lines.items():
            asked = f"source {known.place}/script; complete -C '{line}'"
            path = f"{Path(STAYFAST).parent}:{os.environ['PATH']}"
            environ = {**known.environ, "PATH": path, "HOME": str(known.place)}
            done = subprocess.run(
                ["fish", "--no-config", "-c", asked], env=environ, capture_output=True, text=True,
                timeout=180, check=True,
            )  # fmt: skip
            assert done.stdout.split()[0] == whole.split()[-1]
        return
    with window(known.place, known.environ) as opened:
        if shell == "zsh":
            opened.type("PS1='%% ' zsh -f")
            opened.type("autoload -Uz compinit; compinit -u -D; echo r''eady")
            opened.seen("ready")
        opened.type("source $HOME/script; echo sour''ced")
        opened.seen("sourced")
        for line, whole in lines.items():
            opened.command("send-keys", "-l", line)
            opened.press("Tab")
            opened.seen(f"(?m){whole}$")
            opened.press("C-u")


@pytest.mark.parametrize("command", ["resume", "cancel"])
def test_open_logins_are_offered(known: World, command: str) -> None:
    """By the id that a person types."""
    (waiting,) = [login for login in known.logins() if login.pending]
    assert completed(known, f"stayfast {command} ") == {waiting.short_id}


def test_what_cannot_be_read_completes_nothing(known: World) -> None:
    """And says nothing into the line of the shell."""
    (known.config / "config.toml").write_text("[")
    (known.state / "vault.db").write_bytes(b"nonsense")
    assert completed(known, "stayfast token de") == set()
    assert completed(known, "stayfast token demo --account ") == set()
