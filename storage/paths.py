"""Where a user's state and configuration live.

Our own few lines because this is on the path of ``stayfast token``; the tests hold them equal to
platformdirs. State is machine-bound and stays out of what gets synchronised between machines: two
machines with one rotating refresh token sign each other out.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

APP = "stayfast"


def state_dir(environ: Mapping[str, str] | None = None) -> str:
    """The directory of the vault, its locks and its audit file; ``STAYFAST_STATE_DIR`` wins."""
    return _directory("STAYFAST_STATE_DIR", "XDG_STATE_HOME", ".local/state", environ)


def config_dir(environ: Mapping[str, str] | None = None) -> str:
    """The directory of the provider file and of key files; ``STAYFAST_CONFIG_DIR`` wins."""
    return _directory("STAYFAST_CONFIG_DIR", "XDG_CONFIG_HOME", ".config", environ)


def _directory(own: str, xdg: str, below_home: str, environ: Mapping[str, str] | None) -> str:
    env = os.environ if environ is None else environ
    if env.get(own):
        return os.path.abspath(os.path.expanduser(env[own]))
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support", APP)
    if sys.platform == "win32":
        return os.path.join(env.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"), APP)
    base = env.get(xdg, "")
    if not os.path.isabs(base):  # the specification: a relative path is to be ignored
        base = os.path.join(home, *below_home.split("/"))
    return os.path.join(base, APP)
