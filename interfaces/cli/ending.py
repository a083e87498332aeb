"""How every command ends: its errors become messages and exit codes, whatever has read its command line."""

from __future__ import annotations

import errno
import gc
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import NoReturn

from ...engine.errors import StayfastError
from ...engine.hints import Hint
from .app import App
from .terminal.streams import AnswerNotWritten, drop_answers, prepare_streams


def leave_with(work: Callable[[], int]) -> NoReturn:
    """End the process with the exit code that ``work`` gives, or that it leaves with."""
    try:
        code: object = work()
    except SystemExit as left:  # of click, where the reader of a pipe is gone, and of our commands
        code = left.code
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 1
    # what is still held would fail once more, and be reported, when the interpreter closes the stream
    drop_answers()
    # An interrupt that came while Python evaluated a text, as it does to make a dataclass, would end
    # `python -m stayfast` by SIGINT in place of the exit code, answered or not. The next text takes that back.
    exec("")  # noqa: S102  our own
    # What is left goes with the process: the interpreter would search it all for garbage, several times. But
    # what belongs to a connection that broke off must be found before its library is taken down.
    if "_ssl" not in sys.modules:
        gc.freeze()
    sys.exit(code if isinstance(code, int) else int(code is not None))


def outcome(arguments: Sequence[str], perform: Callable[[App], object]) -> int:
    """The exit code of ``stayfast`` with ``arguments``, which ``perform`` does; its error is said.

    Raises:
        SystemExit: ``perform`` ends with another exit code than 0.
    """
    app = App()
    was_open = prepare_streams()
    before_command = arguments[: arguments.index("--")] if "--" in arguments else arguments
    # read first: an error of usage is answered in JSON, too, and without colour
    if "--json" in before_command:
        app.options["as_json"] = True
    app.options["color"] = _color_of(before_command) or app.environ.get("STAYFAST_COLOR")
    try:
        code = perform(app)
    except StayfastError as error:
        app.terminal.error(_corrected(error, arguments))
        return error.exit_code
    except KeyboardInterrupt:
        return _interrupted(app)
    except AnswerNotWritten as error:
        drop_answers()
        if error.errno != errno.EPIPE:  # the reader closed the pipe, as `head` does
            _report_lost(app, _unwritten(error))
        return 1
    except Exception as error:  # noqa: BLE001  the last line of defence: words, not a traceback
        return _unforeseen(app, error)
    finally:
        app.pass_on()
        app.report_failed_sinks()
    if not was_open:  # the caller closed it: `>&-`
        _report_lost(app, _Unexpected("standard output is closed", hint=Hint("--help")))
        return 1
    return code if isinstance(code, int) else 0


def _unforeseen(app: App, error: Exception) -> int:
    """The exit code after an error that nobody has provided for, which is said."""
    from ..couriers.signals import is_interrupt  # noqa: PLC0415  few errors come here

    if is_interrupt(error):
        return _interrupted(app)
    if int(app.options.get("verbose") or 0) > 1:
        import traceback  # noqa: PLC0415  only here

        traceback.print_exc()
    # the system's own words, if it gave some, help more than the name of a class
    said = error.strerror.lower() if isinstance(error, OSError) and error.strerror else None
    bug = _Unexpected(
        f"something unexpected went wrong: {said or type(error).__name__}",
        hint="run it again with -vv and report what it prints",
    )
    app.terminal.error(bug)
    return 1


def _interrupted(app: App) -> int:
    """The exit code after Ctrl-C, which is said."""
    if not _completes(app):
        app.terminal.end_line()
        app.terminal.say("interrupted", mark="warn")
    return 130


def _completes(app: App) -> bool:
    """Whether a shell completes a line, in which nothing of ours may stand."""
    return "_STAYFAST_COMPLETE" in app.environ


def _report_lost(app: App, error: StayfastError) -> None:
    """Say that the answer did not reach its reader."""
    if not _completes(app):
        app.terminal.error(error)


def _color_of(arguments: Sequence[str]) -> str | None:
    """The value of ``--color``, if it is among ``arguments``."""
    for word, after in zip_longest(arguments, arguments[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--color":
            return value if equals else after
    return None


def _corrected(error: StayfastError, arguments: Sequence[str]) -> StayfastError:
    """``error`` with the line that was probably meant where a word is misspelt."""
    from .wrong_words import (  # noqa: PLC0415  few calls have an error
        WrongUsage,
        right_client,
        right_name,
        same_login,
    )

    if isinstance(error, WrongUsage):  # it has one
        return error
    return right_client(same_login(right_name(error, arguments), arguments), arguments)


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
