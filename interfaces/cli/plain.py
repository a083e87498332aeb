"""Plain calls of commands that show what is stored here or refresh it, read without click.

To load click takes longer than all that such a command does. What is read here means the same to both.
Everything else (an option with a value, a variable that stands for an option, a word that click would judge)
is left to the whole command.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .app import App

_FLAGS: Final = {"--json": "as_json", "--wide": "wide"}
_STEERING: Final = tuple(
    f"STAYFAST_{name}"
    for name in ("COLOR", "JSON", "LIST", "PROVIDER", "QUIET", "REFRESH", "STATUS", "VERBOSE")
)
"""What variables begin with that stand for options of these commands."""
_DIRECTORIES: Final = ("STAYFAST_CONFIG_DIR", "STAYFAST_STATE_DIR")


def plain_call(
    arguments: Sequence[str], environ: Mapping[str, str]
) -> Callable[[App], None] | None:
    """What does what ``arguments`` ask for; ``None`` if that is left to the whole command."""
    flags = [word for word in arguments if word in _FLAGS]
    words = [word for word in arguments if word not in _FLAGS]
    steered = any(name.startswith(_STEERING) for name in environ)
    placed = all(os.path.isabs(environ.get(name) or "/") for name in _DIRECTORIES)
    if steered or not placed or arguments[0] in _FLAGS:
        return None
    wide = "--wide" in flags
    if words == ["provider", "list"] and arguments[1] == "list":
        return partial(_providers, wide=wide)
    if words == ["list"]:
        return partial(_list, wide=wide)
    if words[0] == "refresh" and not wide and _is_named(words[1:]):
        return partial(_refresh, provider=words[1] if words[1:] else None)
    if words[0] == "status" and _is_named(words[1:]):
        return partial(_status, provider=words[1] if words[1:] else None, wide=wide)
    return None


# each loads its own, where a module that cannot be read is an error like others


def _providers(app: App, *, wide: bool) -> None:
    from .provider_names import show_providers  # noqa: PLC0415

    show_providers(app, wide=wide)


def _list(app: App, *, wide: bool) -> None:
    from .standing import show_list  # noqa: PLC0415

    show_list(app, wide=wide)


def _status(app: App, *, provider: str | None, wide: bool) -> None:
    from .standing import show_status  # noqa: PLC0415

    show_status(app, provider=provider, wide=wide)


def _refresh(app: App, *, provider: str | None) -> None:
    from .refreshing import show_refresh  # noqa: PLC0415

    show_refresh(app, provider=provider)


def _is_named(words: Sequence[str]) -> bool:
    """Whether ``words`` are one name, or none."""
    return len(words) <= 1 and all(map(_is_name, words))


def _is_name(word: str) -> bool:
    """Whether ``word`` is a name as it stands: no option, no address, nothing that the locale has changed."""
    return (
        word != ""
        and word.isascii()
        and word.isprintable()
        and not word.startswith("-")
        and "://" not in word
    )
