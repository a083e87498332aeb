"""Every command of ``stayfast`` with ``--json``, once, in this process: what it answers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from command import World
from stayfast.engine.errors import StayfastError
from stayfast.interfaces.cli.app import App
from stayfast.interfaces.cli.main import cli
from stayfast.interfaces.cli.main import run as run_command
from stayfast.testing import user_agent


@dataclass
class Answered:
    """What a command answered.

    Attributes:
        command: Its words.
        code: Its exit code.
        lines: The JSON objects it printed.
        text: What it printed.
    """

    command: str
    code: int
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    text: str = ""


def leaves(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that does something by itself."""
    if not isinstance(command, click.Group):
        yield " ".join(path)
        return
    for name, below in command.commands.items():
        yield from leaves(below, (*path, name))


def run(*words: str, stdin: str = "") -> Answered:
    """Run ``stayfast`` here, as :func:`stayfast.interfaces.cli.main.run` does."""
    app, out = App(), io.StringIO()
    app.options["as_json"] = "--json" in words
    named = [word for word in words if not word.startswith("-")]
    command = next(
        (
            one
            for one in sorted(leaves(), key=len, reverse=True)
            if named[: len(one.split())] == one.split()
        ),
        "",
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        code: object
        before = sys.stdin
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        try:
            code = cli.main(list(words), prog_name="stayfast", standalone_mode=False, obj=app)
        except StayfastError as error:
            app.terminal.error(error)
            code = error.exit_code
        except click.UsageError as error:
            print(error.format_message())
            code = 2
        except SystemExit as left:
            code = left.code
        finally:
            sys.stdin = before
    text = out.getvalue()
    lines = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                lines.append(found)
    return Answered(command, code if isinstance(code, int) else 0, lines, text)


def parse_only(words: list[str]) -> None:
    """Parse ``words`` as the command does; run nothing."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and not words[0].startswith("--"):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
        context = click.Context(command, parent=context)
    with command.make_context("stayfast", words, parent=context.parent):
        pass


NEIGHBOURS = """
status | status demo | status nosuch | status demo --account nosuch | list | list --limit 1
whoami | whoami demo | whoami nosuch | account list | account list demo | account use demo nosuch
account rename demo nosuch other | account rename demo home work | account rename demo home a/b
token | token demo | token demo --account nosuch | token nosuch | token demo --min-ttl 9d
token demo --format nosuch | refresh | refresh demo | refresh demo --account dead | logout
logout demo | logout nosuch | logout demo --account nosuch | resume | resume ZZZZ | resume !
cancel | cancel ZZZZ | login | login nosuch | login nosuch.example | login demo --via nosuch
login demo --scope '' --start | login demo --account '' --start | login demo --timeout x
login http://acme.test | login demo --with-token | login demo --grant client-credentials
provider show nosuch | provider remove nosuch | provider edit nosuch --scope x | provider list
provider add a/b --issuer https://acme.test | provider check nosuch | setup git | setup gti
setup git --undo | setup kubectl --url x | setup docker --provider nosuch --url x.test
audit show | audit show --login ZZZZ | audit show --since x | audit verify
audit verify --file nosuch | audit verify --checkpoint nosuch | audit checkpoint | audit report -o -
audit report --since x | audit prune --before 1d | audit set-aside | audit nosuch | store info
store mend | store lock | store purge | store purge --older-than 1d | store rekey --to nosuch
store migrate /dev/null/x | diagram --login ZZZZ | diagram --check nosuch | diagram --format x
doctor --offline | doctor --offline nosuch | exec demo | exec nosuch -- true | statsu | help statsu
client-metadata nosuch | mcp auth nosuch | status --show-answer ZZZZ | --nosuch | login --nosuch
"""
"""Command lines that meet an empty storage, several accounts, a dead one, and what is not there."""


def asked(*words: str) -> Answered:
    """Run ``stayfast`` here with ``--json``, its errors of usage included."""
    out = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(b""))
        try:
            code: object = run_command(["--json", *words])
        except SystemExit as left:
            code = left.code
        finally:
            sys.stdin = before
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return Answered(" ".join(words), code if isinstance(code, int) else 0, lines, out.getvalue())


def toured(world: World, monkeypatch: Any) -> list[Answered]:
    """Sign in, look around with every command, sign out."""
    for name in list(os.environ):
        if name.startswith(("STAYFAST_", "SSH_")):
            monkeypatch.delenv(name)
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.place)
    found: list[Answered] = []

    def go(*words: str, stdin: str = "") -> Answered:
        found.append(run(*words, stdin=stdin))
        return found[-1]

    go("whoami", "--json")
    go("status", "--json")
    go("login", "demo", "--via", "loopback", "--json")
    started = go(
        "login", "demo", "--start", "--via", "manual", "--account", "work", "--json"
    ).lines[-1]
    go("list", "--json")
    landed = user_agent.fetch_only(started["url"])
    go("resume", started["login"], "--callback-url", "-", "--json", stdin=landed)
    third = go("login", "demo", "--start", "--via", "device", "--account", "spare", "--json").lines[
        -1
    ]
    go("status", "--json")
    go("cancel", third["login"], "--json")
    go("status", "demo", "--account", "work", "--check", "--json")
    go("account", "list", "--json")
    go("account", "use", "demo", "work", "--json")
    go("account", "rename", "demo", "work", "home", "--json")
    go("whoami", "--json")
    go("token", "demo", "--account", "home", "--json")
    go("refresh", "demo", "--account", "home", "--json")
    go("doctor", "--offline", "--json")
    go("provider", "list", "--json")
    go("provider", "show", "demo", "--json")
    go(
        "provider",
        "add",
        "lab",
        "--auth-url",
        "https://l.test/a",
        "--token-url",
        "https://l.test/t",
        "--client-id",
        "x",
        "--json",
    )
    go("provider", "check", "demo", "--json")
    go("provider", "edit", "lab", "--scope", "a b", "--json")
    go("provider", "remove", "lab", "--json")
    go("setup", "git", "--provider", "demo", "--url", "https://git.acme.test", "--json")
    go("setup", "git", "--provider", "demo", "--url", "https://git.acme.test", "--write", "--json")
    go("setup", "git", "--provider", "demo", "--undo", "--json")
    go("client-metadata", "https://acme.test/client.json", "--name", "Acme", "--json")
    go("mcp", "auth", "demo", "--start", "--via", "manual", "--account", "robot", "--json")
    go("audit", "show", "--json")
    go("audit", "export", "--json")
    go("audit", "verify", "--json")
    go("audit", "checkpoint", "--json")
    go("audit", "report", "-o", "-", "--json")
    go("audit", "prune", "--before", "30d", "--json")
    go("audit", "set-aside", "--json")
    go("store", "lock", "--json")
    go("audit", "forward-secure", "--json")
    go("store", "info", "--json")
    go("store", "mend", "--json")
    go("store", "purge", "--older-than", "30d", "--json")
    go("store", "rekey", "--to", "keyfile", "--json")
    go("store", "migrate", str(world.place / "elsewhere"), "--json")
    go("diagram", "--json")
    Path("login.mmd").write_text(run("diagram", "--format", "mermaid").text)
    go("diagram", "--check", "login.mmd", "--json")
    go("logout", "--all", "--json")
    go("token", "demo", "--json")
    return found
