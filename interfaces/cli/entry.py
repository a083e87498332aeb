"""Where the command begins: the cached token first, everything else after."""

from __future__ import annotations

import gc
import os
import sys

from ..process import forbid_core_dumps, limit_core_dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_INTERRUPTED = 130
_UNCOLLECTED = 50_000  # containers; the modules of the whole command make about as many


def main() -> None:
    """Run ``stayfast``."""
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:  # as modules load; or a second one, while the first is answered
        # nothing may stand in a line that the shell completes
        if "_STAYFAST_COMPLETE" not in os.environ:
            _written("! interrupted\n", sys.stderr)
        os._exit(_INTERRUPTED)


def _run(arguments: list[str]) -> None:
    # modules leave no garbage behind, and to look for it takes a tenth of the time of loading them
    gc.set_threshold(_UNCOLLECTED)
    if arguments in (["--version"], ["-V"]):
        from ...storage.version import app_version  # noqa: PLC0415  only here

        if _written(f"stayfast {app_version()}\n", sys.stdout):
            os._exit(0)
    if arguments[:1] == ["completion"] and len(arguments) == 2:
        from .quick_completion import noted_scripts  # noqa: PLC0415  only here

        script = noted_scripts(os.environ).get(arguments[1])
        if script is not None and _written(script + "\n", sys.stdout):
            os._exit(0)
    if arguments[:1] in (["token"], ["exec"], ["credential"]):
        limit_core_dumps()
        from .fast import go  # noqa: PLC0415  before anything heavy

        go(arguments, os.environ)
    if "_STAYFAST_COMPLETE" in os.environ:
        from .quick_completion import completed  # noqa: PLC0415

        answer = completed(os.environ)
        if answer is not None:
            sys.stdout.write(answer)
            sys.stdout.flush()
            os._exit(0)
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


def _written(text: str, stream: TextIO) -> bool:
    """Whether ``stream`` takes ``text``; if standard output does not, the whole command says why."""
    left = text.encode()
    try:
        while left:  # past the buffer: what it would keep could fail once more
            left = left[os.write(stream.fileno(), left) :]
    except (
        AttributeError,
        OSError,
        ValueError,
    ):  # it was closed, and its number may be another file's
        return False
    return True
