"""Where the command begins: the cached token first, everything else after."""

from __future__ import annotations

import gc
import os
import sys

from ..process import forbid_core_dumps, limit_core_dumps

_UNCOLLECTED = 50_000  # containers; the modules of the whole command make about as many


def main() -> None:
    """Run ``stayfast``."""
    # modules leave no garbage behind, and to look for it takes a tenth of the time of loading them
    gc.set_threshold(_UNCOLLECTED)
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from ...storage.version import app_version  # noqa: PLC0415  only here

        if _written(f"stayfast {app_version()}\n"):
            os._exit(0)
    if arguments[:1] == ["completion"] and len(arguments) == 2:
        from .quick_completion import noted_scripts  # noqa: PLC0415  only here

        script = noted_scripts(os.environ).get(arguments[1])
        if script is not None and _written(script + "\n"):
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
    if arguments[:1] in (["status"], ["list"]) or arguments[:2] == ["provider", "list"]:
        from .plain import plain_call  # noqa: PLC0415  as above

        perform = plain_call(arguments, os.environ)
        if perform is not None:
            from .ending import leave_with, outcome  # noqa: PLC0415  as above

            leave_with(lambda: outcome(arguments, perform))
    from .main import main as whole_command  # noqa: PLC0415  click, rich, requests: 300 ms

    whole_command()


def _written(text: str) -> bool:
    """Whether standard output takes ``text``; else the whole command says what is wrong."""
    left = text.encode()
    try:
        while left:  # past the buffer: what it would keep could fail once more
            left = left[os.write(sys.stdout.fileno(), left) :]
    except (AttributeError, OSError, ValueError):
        return False
    return True
