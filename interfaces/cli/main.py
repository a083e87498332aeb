"""The command with all its subcommands; turns their errors into messages and exit codes."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from ...engine.errors import StayfastError
from ...engine.hints import Hint
from ...storage.host import app_version
from .app import App, global_options
from .commands.account import account, whoami
from .commands.audit import audit
from .commands.credential import credential
from .commands.demo import demo
from .commands.diagram import diagram
from .commands.doctor import doctor
from .commands.login import cancel, login, resume
from .commands.logout import logout
from .commands.mcp import client_metadata, mcp
from .commands.provider import provider
from .commands.report import report
from .commands.segments import forward_secure, prune, set_aside
from .commands.setup import setup
from .commands.status import list_logins, status
from .commands.store import store
from .commands.token import execute, refresh, token
from .commands.verify import checkpoint, verify
from .completion import complete_values
from .help_topics import help_command
from .terminal.streams import AnswerNotWritten, drop_answers, prepare_streams

_FIRST_CONTACT: Final = """\
stayfast signs command-line programs in, and remembers exactly how.

  stayfast login      sign in              stayfast token     print a token
  stayfast status     where things are     stayfast doctor    why it does not work
  stayfast resume     continue a login     stayfast logout    sign out
  stayfast whoami     who you are          stayfast demo      watch a whole login

stayfast help for everything else"""


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(app_version(), "-V", "--version", message="stayfast %(version)s")
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
audit.add_command(report)
audit.add_command(prune)
audit.add_command(set_aside)
audit.add_command(forward_secure)
for _command in (
    login,
    resume,
    cancel,
    status,
    list_logins,
    account,
    whoami,
    token,
    refresh,
    logout,
    execute,
    credential,
    setup,
    doctor,
    provider,
    mcp,
    client_metadata,
    audit,
    store,
    diagram,
    demo,
    help_command,
):
    cli.add_command(_command)


def _name_variables(command: click.Command, prefix: str) -> None:
    """Give every option of ``command``, and of the commands below it, a variable of its long name.

    click would take the names of our parameters, which nobody knows outside this program.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            own = _variable(prefix, next(name for name in option.opts if name.startswith("--")))
            shared = option.envvar or ()
            more = (shared,) if isinstance(shared, str) else tuple(shared)
            option.envvar = [own, *(name for name in more if name != own)]
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        _name_variables(below, _variable(prefix, name))


def _variable(prefix: str, name: str) -> str:
    return f"{prefix}_{name.strip('-').replace('-', '_').upper()}"


_name_variables(cli, "STAYFAST")
complete_values(cli)


def main() -> None:
    """Run the command and leave with its exit code."""
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
    if "--json" in before_command:  # read first: an error of usage is answered in JSON, too
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
        app.report_failed_sinks()
    if not was_open:  # the caller closed it: `>&-`
        app.terminal.error(_Unexpected("standard output is closed", hint=Hint("--help")))
        return 1
    return outcome if isinstance(outcome, int) else 0


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


class _Usage(StayfastError):
    """The command was called wrongly."""

    code = "USAGE"
    exit_code = 2
