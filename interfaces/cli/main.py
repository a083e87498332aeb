"""The command with all its subcommands; turns their errors into messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from itertools import zip_longest
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from ...engine.errors import StayfastError
from ...engine.hints import Hint
from .app import App, Group, global_options
from .completion import complete_values
from .on_demand import CommandsOnDemand, name_variables
from .terminal.streams import AnswerNotWritten, drop_answers, prepare_streams

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
_COMMANDS: Final = {
    "account": "commands.account:account",
    "audit": "commands.audit:audit",
    "cancel": "commands.login:cancel",
    "client-metadata": "commands.mcp:client_metadata",
    "credential": "commands.credential:credential",
    "demo": "commands.demo:demo",
    "diagram": "commands.diagram:diagram",
    "doctor": "commands.doctor:doctor",
    "exec": "commands.token:execute",
    "help": "help_topics:help_command",
    "list": "commands.status:list_logins",
    "login": "commands.login:login",
    "logout": "commands.logout:logout",
    "mcp": "commands.mcp:mcp",
    "provider": "commands.provider:provider",
    "refresh": "commands.token:refresh",
    "resume": "commands.login:resume",
    "setup": "commands.setup:setup",
    "status": "commands.status:status",
    "store": "commands.store:store",
    "token": "commands.token:token",
    "whoami": "commands.account:whoami",
}


def _show_version(context: click.Context, param: click.Parameter, value: object) -> None:
    """Print the version; click's own option reads it at every start."""
    del param
    if value and not context.resilient_parsing:
        from ...storage.host import app_version  # noqa: PLC0415  importlib.metadata is slow to load

        click.echo(f"stayfast {app_version()}")
        context.exit()


@click.group(
    cls=Group,
    commands=CommandsOnDemand(_COMMANDS, prefix="STAYFAST"),
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
        for word, about in _FIRST_WORDS:
            terminal.answer_words(f"  stayfast {word:<8} {about}")
        terminal.answer("")
        terminal.answer_words("stayfast help     everything else")


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL. Add it to your shell's start-up file."""
    _note_words()
    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(cli, {}, "stayfast", "_STAYFAST_COMPLETE").source())


name_variables(cli, "STAYFAST")
complete_values(cli)


def _note_words() -> None:
    """Note all commands and options, so that a shell need not wait for them at every Tab."""
    from .completion_note import note_words  # noqa: PLC0415  it loads every command

    note_words(cli, os.environ)


def main() -> None:
    """Run the command and leave with its exit code."""
    if "_STAYFAST_COMPLETE" in os.environ:
        _note_words()
    try:
        code: object = run(sys.argv[1:])
    except SystemExit as left:  # of click, where the reader of a pipe is gone, and of our commands
        code = left.code
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 1
    # what is still held would fail once more, and be reported, when the interpreter closes the stream
    drop_answers()
    sys.exit(code if isinstance(code, int) else int(code is not None))


def run(arguments: list[str]) -> int:  # noqa: PLR0911  one for every way a command can end
    """The exit code of ``stayfast`` with ``arguments``."""
    app = App()
    was_open = prepare_streams()
    before_command = arguments[: arguments.index("--")] if "--" in arguments else arguments
    # read first: an error of usage is answered in JSON, too, and without colour
    if "--json" in before_command:
        app.options["as_json"] = True
    app.options["color"] = _color_of(before_command) or app.environ.get("STAYFAST_COLOR")
    try:
        outcome = cli.main(args=arguments, prog_name="stayfast", standalone_mode=False, obj=app)
    except StayfastError as error:
        app.terminal.error(_corrected(error, arguments))
        return error.exit_code
    except click.UsageError as error:
        app.terminal.error(_corrected(error, arguments))
        return 2
    except (click.Abort, KeyboardInterrupt):
        app.terminal.say("interrupted", mark="warn")
        return 130
    except AnswerNotWritten as error:
        drop_answers()
        if error.errno != errno.EPIPE:  # the reader closed the pipe, as `head` does
            app.terminal.error(_unwritten(error))
        return 1
    except Exception as error:  # noqa: BLE001  the last line of defence: words, not a traceback
        if int(app.options.get("verbose") or 0) > 1:
            traceback.print_exc()
        # the system's own words, if it gave some, help more than the name of a class
        said = error.strerror.lower() if isinstance(error, OSError) and error.strerror else None
        bug = _Unexpected(
            f"something unexpected went wrong: {said or type(error).__name__}",
            hint="run it again with -vv and report what it prints",
        )
        app.terminal.error(bug)
        return 1
    finally:
        app.pass_on()
        app.report_failed_sinks()
    if not was_open:  # the caller closed it: `>&-`
        app.terminal.error(_Unexpected("standard output is closed", hint=Hint("--help")))
        return 1
    return outcome if isinstance(outcome, int) else 0


def _color_of(arguments: list[str]) -> str | None:
    """The value of ``--color``, if it is among ``arguments``."""
    for word, after in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--color":
            return value if equals else after
    return None


def _corrected(error: StayfastError | click.UsageError, arguments: list[str]) -> StayfastError:
    """``error`` in our words, with the line that was probably meant where a word is misspelt."""
    from .wrong_words import right_name, wrong_usage  # noqa: PLC0415  most calls have no error

    if isinstance(error, click.UsageError):
        return wrong_usage(error, arguments)
    return right_name(error, arguments)


def _unwritten(error: AnswerNotWritten) -> StayfastError:
    """The answer that was lost on its way to the reader, with the system's reason."""
    why = (error.strerror or "it takes nothing").lower()
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return _Unexpected(
        f"the answer could not be written to standard output: {why}",
        hint="df -h" if full else "look where standard output goes",
    )


class _Unexpected(StayfastError):
    """A failure that no other error class describes."""

    code = "UNEXPECTED"
