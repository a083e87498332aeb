"""The command with all its subcommands; turns their errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from .app import App
from .command_line import Group, global_options
from .completion import complete_values
from .ending import leave_with, outcome
from .on_demand import CommandsOnDemand, name_variables

_FIRST_WORDS: Final = (
    ("login", "sign in"),
    ("status", "where things are"),
    ("resume", "continue a login"),
    ("token", "print a token"),
    ("whoami", "who you are"),
    ("logout", "sign out"),
    ("doctor", "why it does not work"),
    ("demo", "watch a whole login"),
)
COMMANDS: Final = {
    "account": (
        "commands.account:account",
        "The accounts that are signed in, and which one commands mean.",
    ),
    "audit": ("commands.audit:audit", "The audit log."),
    "cancel": ("commands.login:cancel", "Forget a saved login that is not finished."),
    "client-metadata": (
        "commands.mcp:client_metadata",
        "Print the client metadata document to be hosted at ADDRESS, which becomes the client id.",
    ),
    "credential": (
        "commands.credential:credential",
        "Answer git, kubectl, docker and Bazel with a token.",
    ),
    "demo": (
        "commands.demo:demo",
        "Show what the program does, against a test server on this machine.",
    ),
    "diagram": ("commands.diagram:diagram", "Draw the machine of a login."),
    "doctor": (
        "commands.doctor:doctor",
        "Look for what keeps logins from working: settings, keyring, clock, network, browser, vault.",
    ),
    "exec": ("commands.token:execute", "Run COMMAND with the token in its environment."),
    "help": (
        "help_topics:help_command",
        "Show a page on storage, transports, exit codes or another subject, on an error, or on a command.",
    ),
    "list": (
        "commands.status:list_logins",
        "Accounts and open logins, one line each; with --limit, a page of them.",
    ),
    "login": (
        "commands.login:login",
        "Sign in to PROVIDER, a name from `stayfast provider list`, or an address.",
    ),
    "logout": (
        "commands.logout:logout",
        "Revoke the tokens at the provider, then erase them here.",
    ),
    "mcp": ("commands.mcp:mcp", "Servers of the Model Context Protocol."),
    "provider": ("commands.provider:provider", "The providers: shipped ones, and your own."),
    "refresh": ("commands.token:refresh", "Refresh the token now, even if it is still valid."),
    "resume": ("commands.login:resume", "Continue a saved login."),
    "setup": (
        "commands.setup:setup",
        "Show the configuration that makes KIND ask for tokens: git, kubectl, docker or bazel.",
    ),
    "status": ("commands.status:status", "The state of one provider, or of all."),
    "store": ("commands.store:store", "Where logins are kept, and under which key."),
    "token": ("commands.token:token", "Print an access token, refreshed if necessary."),
    "whoami": (
        "commands.account:whoami",
        "Print who is signed in; the UserInfo endpoint of PROVIDER is asked, if it has one.",
    ),
}
"""Where each command is, and the first sentence of its help: to list them all loads none of them."""


def _show_version(context: click.Context, param: click.Parameter, value: object) -> None:
    """Print the version; click's own option reads it at every start."""
    del param
    if value and not context.resilient_parsing:
        from ...storage.version import app_version  # noqa: PLC0415  only here

        click.echo(f"stayfast {app_version()}")
        context.exit()


_on_demand: Final = CommandsOnDemand(COMMANDS, prefix="STAYFAST")


class _Root(Group):
    """The command itself, whose commands are on demand."""

    def invoke(self, ctx: click.Context) -> Any:
        """See :meth:`click.Group.invoke`; click would answer Ctrl-C with an empty line, also in a file."""
        try:
            return super().invoke(ctx)
        except (EOFError, KeyboardInterrupt) as stop:
            raise click.Abort from stop

    def about(self, ctx: click.Context, name: str) -> str | None:
        """See :meth:`Group.about`; none is loaded for it."""
        return _on_demand.about(name) or super().about(ctx, name)


@click.group(
    cls=_Root,
    commands=_on_demand,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-V", "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
@global_options
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """OAuth sign-in for command-line programs that survives Ctrl-C, SSH, crashes and crowds."""
    app = context.ensure_object(App)
    app.options.update({name: value for name, value in given.items() if value})
    if context.invoked_subcommand is None:
        terminal = app.terminal
        terminal.answer_words(
            "stayfast signs command-line programs in, and remembers exactly how.", 0
        )
        terminal.answer("")
        from importlib.util import find_spec  # noqa: PLC0415  the first screen alone needs it

        # the demo needs its authorization server, which an install need not have
        left_out = set[str]() if find_spec("authlib") else {"demo"}
        for word, about in _FIRST_WORDS:
            if word in left_out:
                continue
            terminal.answer_words(f"  stayfast {word:<8} {about}")
        terminal.answer("")
        terminal.answer_words("stayfast help     everything else")


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL. A line in your shell's start-up file loads it.

    For bash and zsh: `source <(stayfast completion bash)`, with the name of the shell. For fish:
    `stayfast completion fish | source`.
    """
    made = get_completion_class(shell)
    if made is not None:
        script = made(cli, {}, "stayfast", "_STAYFAST_COMPLETE").source()
        _note_words({shell: script})
        click.echo(script)


name_variables(cli, "STAYFAST")
complete_values(cli)


def _note_words(script: Mapping[str, str] | None = None) -> None:
    """Note all commands and options, so that a shell need not wait for them at every Tab."""
    from .completion_note import note_words  # noqa: PLC0415  it loads every command

    note_words(cli, os.environ, script)


def main() -> None:
    """Run the command and leave with its exit code."""
    if "_STAYFAST_COMPLETE" in os.environ:
        _note_words()
    leave_with(lambda: run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of ``stayfast`` with ``arguments``."""

    def perform(app: App) -> object:
        try:
            return cli.main(args=arguments, prog_name="stayfast", standalone_mode=False, obj=app)
        except click.UsageError as error:
            from .wrong_words import wrong_usage  # noqa: PLC0415  few calls have an error

            raise wrong_usage(error, arguments) from error
        except click.Abort:
            raise KeyboardInterrupt from None

    return outcome(arguments, perform)
