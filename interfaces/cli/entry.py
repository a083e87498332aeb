"""Where the command begins: the cached token first, everything else after."""

from __future__ import annotations

import gc
import os
import sys

_UNCOLLECTED = 50_000  # containers; the modules of the whole command make about as many


def main() -> None:
    """Run ``stayfast``."""
    # modules leave no garbage behind, and to look for it takes a tenth of the time of loading them
    gc.set_threshold(_UNCOLLECTED)
    arguments = sys.argv[1:]
    if arguments[:1] == ["token"]:
        _limit_core_dumps()
        from .fast import cached_token, print_and_leave  # noqa: PLC0415  before anything heavy

        text = cached_token(arguments[1:], os.environ)
        if text is not None:
            print_and_leave(text)
    if "_STAYFAST_COMPLETE" in os.environ:
        from .quick_completion import completed  # noqa: PLC0415

        answer = completed(os.environ)
        if answer is not None:
            sys.stdout.write(answer)
            sys.stdout.flush()
            os._exit(0)
    from ..process import forbid_core_dumps  # noqa: PLC0415

    forbid_core_dumps()
    from .main import main as whole_command  # noqa: PLC0415  click, rich, requests: 300 ms

    whole_command()


def _limit_core_dumps() -> None:
    """As :func:`stayfast.interfaces.process.forbid_core_dumps`, as far as 0.2 ms go."""
    try:
        import resource  # noqa: PLC0415  Unix only

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except Exception:  # noqa: BLE001, S110  no limits here: the token is printed all the same
        pass
