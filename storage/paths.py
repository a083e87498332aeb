"""Where a user's state and configuration live.

Our own few lines because this is on the path of ``stayfast token``; the tests hold them equal to
platformdirs. State is machine-bound and stays out of what gets synchronised between machines: two
machines with one rotating refresh token sign each other out.

Every path is absolute when it leaves here. A home directory that is not known, and a variable that
holds a relative path, are errors: the vault and its key would lie in the working directory.
"""

from __future__ import annotations

import os
import sys

from ..engine.storage_errors import StorageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

UNLOCK_WINDOW = "STAYFAST_UNLOCK_WINDOW"
"""The variable that says how long the kernel keeps what opened a vault: ``90s``, ``15m`` or ``8h``."""
THE_COMMAND = "stayfast"
"""The program that the command is. Others have directories of their own (:mod:`.program`)."""
_OF_A_PROGRAM = "logins"  # their own directory is theirs, and may be open to others
_HOME = "USERPROFILE" if sys.platform == "win32" else "HOME"


def state_dir(environ: Mapping[str, str] | None = None) -> str:
    """The directory of the vault, its locks and its audit file; ``STAYFAST_STATE_DIR`` wins.

    Raises:
        StorageError: No home directory is known.
    """
    return _directory("STAYFAST_STATE_DIR", "XDG_STATE_HOME", ".local/state", environ)


def config_dir(environ: Mapping[str, str] | None = None) -> str:
    """The directory of the provider file and of key files; ``STAYFAST_CONFIG_DIR`` wins.

    Raises:
        StorageError: No home directory is known.
    """
    return _directory("STAYFAST_CONFIG_DIR", "XDG_CONFIG_HOME", ".config", environ)


def leading_to(directory: str, environ: Mapping[str, str]) -> str | None:
    """The variable of ``environ`` that makes ``directory`` the configuration directory.

    ``None`` if the directory was given in another way.
    """
    for variable in ("STAYFAST_CONFIG_DIR", "XDG_CONFIG_HOME", _HOME):
        try:
            named = environ.get(variable)
            found = named and _config_dir_by(variable, named, environ)
        except StorageError:
            continue
        if found == directory:
            return variable
    return None


def _config_dir_by(variable: str, named: str, environ: Mapping[str, str]) -> str:
    """The configuration directory where ``variable`` alone is set."""
    alone = {variable: named}
    if variable == "STAYFAST_CONFIG_DIR":
        return config_dir(alone)
    return config_dir(alone).removesuffix(THE_COMMAND) + os.path.join(*_below(environ))


def absolute(
    path: str | os.PathLike[str],
    environ: Mapping[str, str] | None = None,
    variable: str = "STAYFAST_STATE_DIR",
) -> str:
    """``path`` as an absolute one; ``~`` is the home directory, also where no shell replaced it.

    Args:
        path: A path that a user or a program gave.
        environ: The environment.
        variable: The environment variable that would name such a path.

    Raises:
        StorageError: There is no such home directory, or no working directory.
    """
    given = os.fspath(path)
    if given == "~" or given.startswith(("~/", f"~{os.sep}")):
        given = _home(os.environ if environ is None else environ, variable) + given[1:]
    elif given.startswith("~"):
        expanded = os.path.expanduser(given)
        if expanded == given:
            user = given[1:].partition("/")[0]
            raise StorageError(
                f"there is no user {user!r}, so no home directory {given[: len(user) + 1]}",
                hint=f"export {variable}=/…",
            )
        given = expanded
    try:
        return os.path.abspath(given)
    except OSError as error:
        raise StorageError(
            "the working directory has gone, and a path is relative to it", hint="cd ~"
        ) from error


def named_directory(variable: str, environ: Mapping[str, str]) -> str | None:
    """The directory that ``variable`` of ``environ`` names; one of blanks is unset.

    Raises:
        StorageError: It is relative: every working directory would have a vault of its own.
    """
    given = environ.get(variable, "")
    if not given.strip():
        return None
    if not os.path.isabs(given) and not given.startswith("~"):
        raise StorageError(
            f"{variable} is not an absolute path ({given[:80]!r})", hint=f"export {variable}=/…"
        )
    return absolute(given, environ, variable)


def _directory(own: str, xdg: str, below_home: str, environ: Mapping[str, str] | None) -> str:
    env = os.environ if environ is None else environ
    named = named_directory(own, env)
    if named is not None:
        return named
    if sys.platform == "darwin":
        return os.path.join(_home(env, own), "Library", "Application Support", *_below(env))
    if sys.platform == "win32":
        local = env.get("LOCALAPPDATA") or os.path.join(_home(env, own), "AppData", "Local")
        return os.path.join(local, *_below(env))
    base = env.get(xdg, "")
    if not os.path.isabs(base):  # the specification: a relative path is to be ignored
        base = os.path.join(_home(env, own), *below_home.split("/"))
    return os.path.join(base, *_below(env))


def program_of(environ: Mapping[str, str]) -> str:
    """The program whose environment this is; a plain one is the command's."""
    return getattr(environ, "program", THE_COMMAND)


def _below(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The folders of the program of ``environ``, below the user's."""
    program = program_of(environ)
    return (program,) if program == THE_COMMAND else (program, _OF_A_PROGRAM)


def _home(env: Mapping[str, str], own: str) -> str:
    """The home directory: ``HOME`` of ``env`` or of the process, or else the account's."""
    home = env.get(_HOME) or os.environ.get(_HOME) or _home_of_the_account()
    if not os.path.isabs(home):
        what = f"{_HOME} is not absolute ({home!r})" if home else f"{_HOME} is not set"
        raise StorageError(
            f"no home directory is known: {what}", hint=f"export {_HOME}=/… (or {own}=/…)"
        )
    return home


def _home_of_the_account() -> str:
    if sys.platform == "win32":
        return os.path.expanduser("~")
    import pwd  # noqa: PLC0415  needed only where the environment names no home

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""
