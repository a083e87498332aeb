"""How ``exec`` lets another program take the place of this one.

``stayfast exec`` runs through here also where it found the token without the whole command, so this
loads little.
"""

from __future__ import annotations

import os

from ..process import allow_core_dumps, limit_core_dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from typing import NoReturn
else:
    try:
        import _signal as signal  # its core, without enum, which takes a third of an idle Python
    except ImportError:  # a Python that calls it otherwise
        import signal

_OURS = frozenset({"STAYFAST_PASSPHRASE", "STAYFAST_KEY_COMMAND", "STAYFAST_TOKEN"})


def replace_process(
    command: Sequence[str], environ: Mapping[str, str], secrets: Mapping[str, str]
) -> NoReturn:
    """Let ``command`` take the place of this process.

    It gets ``secrets`` in its environment, and none of ours: no keys of the vault, client secrets or
    tokens. Signals and the limit of core dumps are as our caller left them.

    Raises:
        OSError: It cannot be run; this process goes on as before.
    """
    # Python ignores them, and a command inherits what is ignored: `yes | head` would report a
    # broken pipe. subprocess does the same.
    names = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = [(number, signal.signal(number, signal.SIG_DFL)) for number in numbers]
    allow_core_dumps()
    try:
        os.execvpe(command[0], list(command), {**_without_ours(environ), **secrets})  # noqa: S606
    finally:  # there is no such command, and we go on
        limit_core_dumps()
        for number, handler in before:
            signal.signal(number, handler)


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    store = environ.get("STAYFAST_STORE", "")
    # the address of a database, with its password
    hidden = _OURS | {"STAYFAST_STORE"} if "://" in store and "@" in store else _OURS
    return {
        name: value
        for name, value in environ.items()
        if name not in hidden and not name.endswith("_CLIENT_SECRET")
    }
