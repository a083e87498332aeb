"""Where the command begins: the cached token first, everything else after."""

from __future__ import annotations

import gc
import os
import sys

from ..process import forbid_core_dumps, limit_core_dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

_COMPLETION = "_STAYFAST_COMPLETE"
_INTERRUPTED = 130
_PATIENCE = 5.0  # seconds for a slow reader of standard error; then the text is dropped
_UNCOLLECTED = 50_000  # containers; the modules of the whole command make about as many


def main() -> None:
    """Run ``stayfast``."""
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:  # as modules load; or a second one, while the first is answered
        _end_interrupted()
    except RuntimeError as error:
        from ..couriers.signals import is_interrupt  # noqa: PLC0415  only here

        if not is_interrupt(error):
            raise
        _end_interrupted()


def _end_interrupted() -> NoReturn:
    # nothing may stand in a line that the shell completes
    if _COMPLETION not in os.environ:
        _remark("! interrupted\n")
    os._exit(_INTERRUPTED)


def _run(arguments: list[str]) -> None:
    # modules leave no garbage behind, and to look for it takes a tenth of the time of loading them
    gc.set_threshold(_UNCOLLECTED)
    if arguments in (["--version"], ["-V"]):
        from ...storage.version import app_version  # noqa: PLC0415  only here

        _answer(f"stayfast {app_version()}\n")
    if arguments[:1] == ["completion"] and len(arguments) == 2:
        from .quick_completion import noted_scripts  # noqa: PLC0415  only here

        script = noted_scripts(os.environ).get(arguments[1])
        if script is not None:
            _answer(script + "\n")
    if arguments[:1] in (["token"], ["exec"], ["credential"]):
        limit_core_dumps()
        from .fast import answer  # noqa: PLC0415  before anything heavy

        text = answer(arguments, os.environ)
        if text is not None:
            _answer(text, secret=arguments[0] == "token")
    if _COMPLETION in os.environ:
        from .quick_completion import completed  # noqa: PLC0415

        offered = completed(os.environ)
        if offered is not None:
            _answer(offered)
            os._exit(1)  # nobody reads it, and nothing may stand in the line of the shell
    forbid_core_dumps()
    if arguments[:1] in (["status"], ["list"], ["refresh"]) or arguments[:2] == [
        "provider",
        "list",
    ]:
        from .plain import plain_call  # noqa: PLC0415  as above

        perform = plain_call(arguments, os.environ)
        if perform is not None:
            from .ending import leave_with, outcome  # noqa: PLC0415  as above

            leave_with(lambda: outcome(arguments, perform))
    from .main import main as whole_command  # noqa: PLC0415  click, rich, requests: 300 ms

    whole_command()


def _answer(text: str, *, secret: bool = False) -> None:
    """Write ``text`` to standard output, and end the process: the interpreter's shutdown costs 3 ms.

    It returns where standard output does not take it; the whole command says why. Programs read the
    answer, so it is in UTF-8 in every locale, and what git or a shell sent comes back to the octet.
    At a terminal, a note about a ``secret`` follows on standard error.
    """
    try:
        _write(text, sys.stdout, None)
    except BrokenPipeError:  # its reader knows
        os._exit(1)
    # it was closed, and its number may be another file's; or it is none of the system's
    except (AttributeError, OSError, ValueError):
        return
    if secret and sys.stdout.isatty():
        from .token_forms import SCROLLBACK_NOTE  # noqa: PLC0415  most tokens go to a program

        _remark(SCROLLBACK_NOTE)
    os._exit(0)


def _remark(text: str) -> None:
    """Write ``text`` to standard error, if it takes it."""
    try:
        _write(text, sys.stderr, _PATIENCE)
    except (AttributeError, OSError, ValueError):
        return


def _write(text: str, stream: TextIO, patience: float | None) -> None:
    """Write ``text`` past the buffer of ``stream``: what that would keep could fail once more.

    Args:
        text: What is written.
        stream: A standard stream.
        patience: Seconds for a reader that is slower than we are, where another program has made
            the pipe non-blocking; ``None`` if it is waited for.
    """
    left = text.encode("utf-8", "surrogateescape")
    while left:
        try:
            left = left[os.write(stream.fileno(), left) :]
        except BlockingIOError:
            from select import select  # noqa: PLC0415  few pipes are

            if not select([], [stream], [], patience)[1]:
                raise
