"""What the arguments of public calls may be: one table, and one error for a value of a wrong type.

A caller without a type checker who passes a number for a name would get an ``AttributeError`` from
somewhere deep. The calls of the service ask here first, by the name of the parameter. A call that
collects keywords would take a misspelt one for a wish that nobody has, and sign in without it: so its
keywords are held against those that it knows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from inspect import signature
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from ..engine.errors import ConfigInvalid
from ..engine.oauth.tokens import OAuthTokens

if TYPE_CHECKING:
    from inspect import Signature


class Kind(NamedTuple):
    """What an argument may be.

    Attributes:
        fits: Whether a value is one; ``None`` fits where it is the default.
        what: The same for people.
    """

    fits: Callable[[object], bool]
    what: str


Kinds: TypeAlias = Mapping[str, Kind]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_seconds(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0


def _is_flag(value: object) -> bool:
    return isinstance(value, int) and value in {0, 1}


def _are_texts(value: object) -> bool:
    if not isinstance(value, Sequence | AbstractSet):
        return False
    return all(isinstance(one, str) for one in cast("Iterable[object]", value))


def _has(*names: str) -> Callable[[object], bool]:
    return lambda value: all(callable(getattr(value, name, None)) for name in names)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _are_tokens(value: object) -> bool:
    return isinstance(value, str | OAuthTokens)


def _are_observers(value: object) -> bool:
    each = cast("Iterable[object]", value)
    return isinstance(value, Iterable) and all(map(_has("observe"), each))


TEXT: Final = Kind(_is_text, "a text")
TEXTS: Final = Kind(_are_texts, "a text or a list of texts")
SECONDS: Final = Kind(_is_seconds, "a number of seconds that is not negative")
FLAG: Final = Kind(_is_flag, "True or False")
COUNT: Final = Kind(_is_count, "a number above 0")
PATH: Final = Kind(_is_path, "a path")
MAPPING: Final = Kind(_is_mapping, "a mapping")
CALLED: Final = Kind(callable, "a function")

OF_CALLS: Final[Kinds] = {
    **dict.fromkeys(("service", "provider", "account", "user", "client_id", "client_secret"), TEXT),
    **dict.fromkeys(("via", "redirect_uri", "challenge", "method", "url", "nonce"), TEXT),
    "post_logout_redirect_uri": TEXT,
    "scopes": TEXTS,
    "hosts": TEXTS,
    **dict.fromkeys(("timeout", "buffer_seconds"), SECONDS),
    **dict.fromkeys(("open_browser", "replace", "revoke", "browser"), FLAG),
    "cancel": Kind(_has("is_set"), "a threading.Event, or what has its is_set()"),
    "rejected": Kind(_are_tokens, "a token, or tokens"),
}
"""Of calls about logins, by the name of the parameter."""

OF_SERVICE: Final[Kinds] = {
    "app": TEXT,
    "audit": TEXT,
    "state_dir": PATH,
    "config_dir": PATH,
    "providers": MAPPING,
    "environ": MAPPING,
    "token_storage": Kind(
        _has("save_tokens", "load_tokens", "delete_tokens"),
        "a storage with save_tokens, load_tokens and delete_tokens",
    ),
    "storage": Kind(_has("read", "find", "commit"), "a Storage"),
    "conversation": Kind(_has("show"), "a Conversation, which has show()"),
    "browser": Kind(_has("open"), "a Browser, which has open()"),
    "answers": CALLED,
    "advice": CALLED,
    "observers": Kind(_are_observers, "a list of observers, which have observe()"),
}
"""Of the service itself."""


def require(kinds: Kinds, given: Iterable[tuple[str, object]], optional: Iterable[str]) -> None:
    """Make sure that arguments are of the types that they are documented to be.

    Args:
        kinds: What they may be. A name that is not there may be anything.
        given: The arguments, by the names of their parameters.
        optional: The parameters that ``None`` fits as well.

    Raises:
        ConfigInvalid: One of them is something else. Its value is not in the message.
    """
    for name, value in given:
        kind = kinds.get(name)
        if kind is None or (value is None and name in optional) or kind.fits(value):
            continue
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        found = "out of range" if numeric and kind is SECONDS else _named(value)
        held = ", and not all in it are texts" if kind is TEXTS and _has("__iter__")(value) else ""
        raise ConfigInvalid(f"{name} is {found}{held}", hint=f"give {kind.what} as {name}")


def _named(value: object) -> str:
    if value is None:
        return "None"
    return f"of type {type(value).__name__}"


def require_keywords(call: str, known: AbstractSet[str], given: Iterable[str]) -> None:
    """Make sure that a call which collects keywords knows each of those that are ``given``.

    Args:
        call: Its name, for people.
        known: The keywords that it takes.
        given: Those of the caller.

    Raises:
        TypeError: It does not know one, as Python says of a call that collects none. The message
            names the nearest one that it knows.
    """
    for name in given:
        if name in known:
            continue
        from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

        similar = get_close_matches(name, known, n=1)
        meant = f". Did you mean {similar[0]!r}?" if similar else ""
        msg = f"{call}() got an unexpected keyword argument {name!r}{meant}"
        raise TypeError(msg)


def keywords_of(call: Callable[..., object], collected: Iterable[str]) -> frozenset[str]:
    """The keywords of a method; those that are ``collected`` are among them if it collects any."""
    _, *parameters = signature(call).parameters.values()
    named = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    collects = len(named) < len(parameters)
    return frozenset([*named, *(collected if collects else ())])


def optional_of(shown: Signature) -> frozenset[str]:
    """The parameters of a call whose default is ``None``."""
    return frozenset(name for name, one in shown.parameters.items() if one.default is None)
