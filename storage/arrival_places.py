"""Where tokens are kept that arrived and could not be saved, and of which logins some are.

What they are is said in :mod:`.arrivals`. ``stayfast token`` looks here too: the login in the vault is not
the last one while some of its tokens wait. So this module loads nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SUFFIX = ".sealed"


def arrival_places(environ: Mapping[str, str], state_dir: str) -> list[str]:
    """The directories in which tokens may be kept, in the order in which they are tried."""
    places: list[str] = []
    runtime = environ.get("XDG_RUNTIME_DIR")
    if not runtime and hasattr(os, "getuid"):
        usual = f"/run/user/{os.getuid()}"
        runtime = usual if os.path.isdir(usual) else None
    if runtime:
        places.append(os.path.join(runtime, "stayfast"))
    places.append(os.path.join(state_dir, "arrivals"))
    whose = os.getuid() if hasattr(os, "getuid") else "user"
    temporary = environ.get("TMPDIR") or _temporary()
    if temporary:
        places.append(os.path.join(temporary, f"stayfast-{whose}"))
    return places


def _temporary() -> str:
    """Where temporary files are; empty if nowhere can be written.

    Python's own search writes a file into each candidate, at every start.
    """
    if os.name == "posix":
        return "/tmp"  # noqa: S108  no file is made in it: a private directory is, and checked
    import tempfile  # noqa: PLC0415  random and shutil, for the last of the places

    try:
        return tempfile.gettempdir()
    except OSError:
        return ""


def arrival_name(store: str, login_id: str) -> str:
    """The file for the tokens of a login.

    Args:
        store: The short name of the storage (``Keys.name``).
        login_id: The login.
    """
    return f"{store}-{login_id}{_SUFFIX}"


def logins_waiting(places: Sequence[str], store: str) -> list[str]:
    """The ids of the logins of a storage of which something is kept."""
    begins = f"{store}-"
    found: dict[str, None] = {}
    for place in places:
        try:
            names = os.listdir(place)
        except OSError:
            continue
        for name in names:
            if name.startswith(begins) and name.endswith(_SUFFIX):
                found[name.removeprefix(begins).removesuffix(_SUFFIX)] = None
    return list(found)
