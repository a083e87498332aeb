"""Completion without the whole command: its words from a note, its values from file and vault.

A shell asks at every press of Tab, and the whole command takes half a second to load. So whoever has
loaded it notes its commands and options beside the logins (:mod:`.completion_note`), and this path reads
the note. As :mod:`.fast`, it handles success alone: whatever it does not know for certain (a note of
another version, a quoted word, a transport of another package) is left to the whole command.
"""

from __future__ import annotations

import json
import os
import sys
import time

from ...engine import cbor
from ...storage.paths import config_dir, state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    Item: TypeAlias = tuple[str, str, str]

NOTE = "completion"
"""The file of the note, in the state directory."""
_ASKED = "_STAYFAST_COMPLETE"
_ODD = frozenset("'\"\\$`\n\t")  # what only a parser of shell words understands
_PENDING = ("challenge", "awaiting_callback", "exchanging")
_LARGEST = 1 << 20
_VAULTS = frozenset({"auto", "file", "keyring"})
"""The choices of a storage that is read here."""


class _Unsure(Exception):
    """Only the whole command knows."""


def completed(environ: Mapping[str, str]) -> str | None:
    """What the shell is answered, or ``None`` if only the whole command knows."""
    shell, _, asked = environ.get(_ASKED, "").partition("_")
    if asked != "complete" or shell not in _FORMATS:
        return None
    try:
        line, place = environ["COMP_WORDS"], environ["COMP_CWORD"]
        if _ODD.intersection(line) or _ODD.intersection(place):
            return None
        words = line.split()
        if shell == "fish":
            before, typed = words[1:], place
            if typed and before and before[-1] == typed:
                before.pop()
        elif int(place) < 1:  # of the words of the command's own name
            return None
        else:
            before, typed = words[1 : int(place)], "".join(words[int(place) : int(place) + 1])
        items = list(_items(_noted(environ), before, typed, environ))
    except Exception:  # noqa: BLE001  in any doubt: the whole command knows, or says nothing
        return None
    return "".join(f"{_FORMATS[shell](*item)}\n" for item in items)


def noted_scripts(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The completion scripts that are noted, by the names of their shells.

    A start-up file of a shell asks for one (``eval "$(stayfast completion bash)"``).
    """
    try:
        found: Mapping[str, str] = _note(environ)["scripts"]
    except Exception:  # noqa: BLE001  as above
        return {}
    return found


def version_of_words() -> str:
    """What the note is of: this Python, click, and the modules that define commands and options.

    Raises:
        OSError: The modules are no files.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    parts = [sys.version]
    for folder in (here, os.path.join(here, "commands")):
        with os.scandir(folder) as found:
            for one in sorted(found, key=lambda one: one.name):
                if one.name.endswith(".py"):
                    status = one.stat()
                    parts.append(f"{one.name} {status.st_size} {status.st_mtime_ns}")
    for folder in sys.path:  # click writes the scripts
        try:
            status = os.stat(os.path.join(folder, "click", "shell_completion.py"))
        except OSError:
            continue
        parts.append(f"click {status.st_size} {status.st_mtime_ns}")
        break
    return "\n".join(parts)


def _noted(environ: Mapping[str, str]) -> Mapping[str, Any]:
    root: Mapping[str, Any] = _note(environ)["root"]
    return root


def _note(environ: Mapping[str, str]) -> Mapping[str, Any]:
    descriptor = os.open(os.path.join(state_dir(environ), NOTE), os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if os.name == "posix" and (status.st_mode & 0o022 or status.st_uid != os.geteuid()):
            raise _Unsure
        note: Any = json.loads(file.read(_LARGEST))
    if note["version"] != version_of_words():
        raise _Unsure
    found: Mapping[str, Any] = note
    return found


def _items(
    root: Mapping[str, Any], before: Sequence[str], typed: str, environ: Mapping[str, str]
) -> Iterator[Item]:
    """What fits behind the words ``before``, as far as ``typed`` goes."""
    node, given, here, param = _place(root, before)
    if typed.startswith("-"):
        if "=" in typed:
            raise _Unsure
        for name, option in node["options"].items():
            if name.startswith(typed) and (option["many"] or option["name"] not in here):
                yield "plain", name, option["help"]
    elif param is None:
        yield from _fitting([(n, one["help"]) for n, one in node["commands"].items()], typed)
    elif param["kind"] == "words":
        yield from _fitting(param["words"], typed)
    elif param["kind"] in {"file", "dir"}:
        yield param["kind"], typed, ""
    elif param["kind"] != "nothing":
        if "state_dir" in given or "config_dir" in given:
            raise _Unsure
        found = _VALUES[param["kind"]](param, given, environ)
        offered = found.items() if param["kind"] == "via" else sorted(found.items())
        yield from _fitting(offered, typed)


def _place(
    root: Mapping[str, Any], before: Sequence[str]
) -> tuple[Mapping[str, Any], dict[str, str], set[str], Mapping[str, Any] | None]:
    """Where the words ``before`` lead: the command, what was given, to itself alone, and what it wants next."""
    node, given, wanted = root, dict[str, str](), None
    here, place = set[str](), 0
    for word in before:
        if wanted is not None:
            given[wanted["name"]] = word
            here.add(wanted["name"])
            wanted = None
        elif word.startswith("-"):
            option = node["options"][word]  # not there: with "=", letters together, or unknown
            if option["unclear"]:
                raise _Unsure
            given[option["name"]] = ""
            wanted = option if option["takes"] else None
            here |= set[str]() if option["takes"] else {option["name"]}
        elif node["commands"]:
            node, here, place = node["commands"][word], set[str](), 0
        elif place < len(node["arguments"]):
            given[node["arguments"][place]["name"]] = word
            place += not node["arguments"][place]["many"]
    if node["odd"]:
        raise _Unsure
    arguments = node["arguments"]
    if wanted is None and place < len(arguments):
        wanted = arguments[place]
    return node, given, here, wanted


def _fitting(words: Iterable[tuple[str, str]], typed: str) -> Iterator[Item]:
    return (("plain", word, about) for word, about in words if word.startswith(typed))


def _providers(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    return dict(param["words"]) | _own(param, given, environ)


def _own(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    del param, given
    if not os.path.exists(os.path.join(config_dir(environ), "config.toml")):
        return {}
    from ..settings_files import provider_tables  # noqa: PLC0415  only with such a file

    return dict.fromkeys(provider_tables(config_dir(environ)), "")


def _signed_in(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    if environ.get("STAYFAST_KEY_COMMAND"):  # it may ask for a touch
        return _providers(param, given, environ)
    try:
        return {str(one["provider"]): "" for one in _summaries(environ) if one["holds_tokens"]}
    except Exception:  # nothing opens the vault without asking somebody
        if environ.get("STAYFAST_STORE", "auto") not in _VAULTS:
            raise  # the whole command asks the database
        return _providers(param, given, environ)


def _accounts(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    del param
    provider = given.get("provider")
    return {
        str(one["account"]): _who(one)
        for one in _summaries(environ)
        if one["holds_tokens"] and provider in {None, one["provider"]}
    }


def _who(one: Mapping[str, Any]) -> str:
    identity: Mapping[str, Any] = one.get("identity") or {}
    return str(identity.get("name") or identity.get("subject") or one["provider"])


def _open_logins(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    del param, given
    now = time.time()
    return {
        str(one["id"])[:4]: str(one["provider"])
        for one in _summaries(environ)
        if one["state"] in _PENDING
        and not one["holds_tokens"]
        and (one.get("deadline") or now + 1) > now
    }


def _summaries(environ: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The summaries in the vault; none where there is no vault."""
    from ...storage.vault.file import open_database  # noqa: PLC0415  SQLite and the ciphers: 30 ms
    from .fast import unlocked  # noqa: PLC0415

    store = environ.get("STAYFAST_STORE", "auto")
    if store not in _VAULTS:
        raise _Unsure
    connection = open_database(state_dir(environ))
    if connection is None:
        return []
    try:
        keys = unlocked(connection, state_dir(environ), store, environ)
        if keys is None:
            raise _Unsure
        rows = connection.execute("SELECT id, version, state, meta FROM login").fetchall()
        return [cbor.decode_map(keys.open_row("meta", *row)) for row in rows]
    finally:
        connection.close()


def _transports(
    param: Mapping[str, Any], given: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    from ...transports.plugins import installed  # noqa: PLC0415  it reads what is installed

    del given, environ
    return dict(param["words"]) | {one.name: one.summary for one in installed()}


_VALUES = {
    "via": _transports,
    "provider": _providers,
    "signed_in": _signed_in,
    "own": _own,
    "account": _accounts,
    "named": _accounts,
    "login_id": _open_logins,
}


def _for_bash(kind: str, value: str, about: str) -> str:
    del about
    return f"{kind},{value}"


def _for_zsh(kind: str, value: str, about: str) -> str:
    return f"{kind}\n{value.replace(':', chr(92) + ':') if about else value}\n{about or '_'}"


def _for_fish(kind: str, value: str, about: str) -> str:
    about = about.replace("\n", "\\n").replace("\t", " ")
    return f"{kind},{value}\t{about}" if about else f"{kind},{value}"


_FORMATS = {"bash": _for_bash, "zsh": _for_zsh, "fish": _for_fish}
