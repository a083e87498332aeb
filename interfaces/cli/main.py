"""The whole command: its commands, and how their errors become words and exit codes."""

from __future__ import annotations

import io
import os
import sys
import traceback
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from ...engine.errors import StayfastError
from ...storage.host import app_version
from .app import App, global_options
from .commands.audit import audit
from .commands.demo import demo
from .commands.diagram import diagram
from .commands.login import cancel, login, resume
from .commands.provider import provider
from .commands.segments import forward_secure, prune, set_aside
from .commands.status import list_logins, status
from .commands.store import store
from .commands.token import execute, logout, refresh, token
from .commands.verify import checkpoint, verify
from .help_topics import help_command

_FIRST_CONTACT: Final = """\
stayfast signs command-line programs in, and remembers exactly how.

  stayfast login      sign in              stayfast token     print a token
  stayfast status     where things are     stayfast demo      watch a whole login
  stayfast resume     continue a login     stayfast logout    sign out

stayfast help for everything else"""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "STAYFAST"},
)
@click.version_option(app_version(), "--version", message="stayfast %(version)s")
@global_options
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """OAuth sign-in for command-line programs that survives Ctrl-C, SSH, crashes and crowds."""
    app = context.ensure_object(App)
    app.options.update({name: value for name, value in given.items() if value})
    if context.invoked_subcommand is None:
        app.terminal.answer(_FIRST_CONTACT)


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL. Add it to your shell's start-up file."""
    made = get_completion_class(shell)
    if made is not None:
        click.echo(made(cli, {}, "stayfast", "_STAYFAST_COMPLETE").source())


audit.add_command(verify)
audit.add_command(checkpoint)
audit.add_command(prune)
audit.add_command(set_aside)
audit.add_command(forward_secure)
for _command in (
    login,
    resume,
    cancel,
    status,
    list_logins,
    token,
    refresh,
    logout,
    execute,
    provider,
    audit,
    store,
    diagram,
    demo,
    help_command,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:  # noqa: PLR0911  one for every way a command can end
    """The exit code of ``stayfast`` with ``arguments``."""
    app = App()
    problem = _open_streams()
    before_command = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in before_command:  # so that even a wrong usage is answered in JSON
        app.options["as_json"] = True
    try:
        outcome = cli.main(args=arguments, prog_name="stayfast", standalone_mode=False, obj=app)
    except StayfastError as error:
        app.terminal.error(error)
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "stayfast"
        app.terminal.error(_Usage(error.format_message().rstrip("."), hint=f"{path} --help"))
        return 2
    except (click.Abort, KeyboardInterrupt):
        app.terminal.say("interrupted", mark="warn")
        return 130
    except BrokenPipeError:  # the reader of the answer closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        why = (error.strerror or type(error).__name__).lower()
        app.terminal.error(_Unexpected(f"the answer could not be given: {why}", hint="df -h"))
        return 1
    except Exception as error:  # noqa: BLE001  the last line of defence: words, not a traceback
        if int(app.options.get("verbose") or 0) > 1:
            traceback.print_exc()
        bug = _Unexpected(
            f"something unexpected went wrong: {type(error).__name__}",
            hint="run it again with -vv and report what it prints",
        )
        app.terminal.error(bug)
        return 1
    finally:
        app.report_failed_sinks()
    if problem is not None:
        app.terminal.error(problem)
        return 1
    return outcome if isinstance(outcome, int) else 0


def _open_streams() -> StayfastError | None:
    """Give every command streams it can write to; what is wrong with them, if anything."""
    problem: StayfastError | None = None
    if sys.stdout is None:  # closed by the caller: `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as we live
        problem = _Unexpected("standard output is closed", hint="stayfast --help")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as we live
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name in Cyrillic must not end a command
            stream.reconfigure(errors="replace")
    return problem


class _Unexpected(StayfastError):
    """A failure that no other error class describes."""

    code = "UNEXPECTED"


class _Usage(StayfastError):
    """The command was called wrongly."""

    code = "USAGE"
    exit_code = 2
