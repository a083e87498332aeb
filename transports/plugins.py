"""Transports of third parties, found by entry point.

A package offers one in the group ``stayfast.transports``, under the name by which users ask for it::

    [project.entry-points."stayfast.transports"]
    drop = "stayfast_drop:DropTransport"

What is named is called with the :class:`TransportParts` of this process, and gives a
:class:`~stayfast.engine.ports.Transport` of the same ``name``: one lower-case word, and none of
:data:`RESERVED`. From then on ``--via NAME``, ``STAYFAST_VIA``, the provider setting ``via``,
``stayfast resume``, the library, help and shell completion know it. It never sees a token and never
changes a state; what it tells its user goes through ``parts.conversation``, of
:attr:`~stayfast.engine.ports.NoticeKind.ASK` kind where it asks for something of its own. Its
author runs :class:`stayfast.testing.transport_contract.TransportContract` against it.

Nothing of third parties is imported before its name is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine.errors import ConfigInvalid

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ..engine.ports import Answers, Browser, Clock, Conversation, Http, Transport

GROUP: Final = "stayfast.transports"
"""The group of the entry points."""
BUILT_IN: Final = ("loopback", "manual", "device")
"""The transports of this package."""
ALIASES: Final = {"paste": "manual"}
"""Other names that users may give."""
RESERVED: Final = frozenset({*BUILT_IN, *ALIASES, "auto", "racing"})
"""Names that no third party can take."""
_HINT: Final = "stayfast help transports"


@dataclass(frozen=True, kw_only=True)
class TransportParts:
    """What a transport may work with.

    Attributes:
        conversation: Where its notices to the user go.
        browser: Starts a browser; does nothing where none is wanted.
        http: Sends requests to providers.
        clock: What time it is.
        answers: Opens the place where a person's typed answers come from.
    """

    conversation: Conversation
    browser: Browser
    http: Http
    clock: Clock
    answers: Callable[[], Answers]


@dataclass(frozen=True)
class Plugin:
    """An installed transport that has not been loaded.

    Attributes:
        name: What users call it.
        package: What they installed, with its version.
        summary: What its package says of itself.
    """

    name: str
    package: str
    summary: str


def installed() -> list[Plugin]:
    """The transports that are installed, by name."""
    found = [
        Plugin(entry.name, _package(entry), _metadata(entry, "Summary"))
        for entry in _entry_points()
        if entry.name not in RESERVED
    ]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.package))


def make(name: str, parts: TransportParts) -> Transport:
    """The installed transport ``name``, at work with ``parts``.

    Raises:
        ConfigInvalid: None of that name is installed, several are, or it does not load.
    """
    entries = [entry for entry in _entry_points() if entry.name == name and name not in RESERVED]
    if not entries:
        raise ConfigInvalid(f"there is no transport {name[:40]!r}", hint=_HINT)
    packages = sorted({_package(entry) for entry in entries})
    if len(packages) > 1:
        raise ConfigInvalid(
            f"several packages offer a transport {name!r}: {', '.join(packages)}",
            hint=f"pip uninstall {packages[-1].split()[0]}",
        )
    try:
        made = entries[0].load()(parts)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise _unusable(name, packages[0], "does not load", problem) from error
    if getattr(made, "name", None) != name or not _is_transport(made):
        raise _unusable(name, packages[0], f"is no transport of that name: {type(made).__name__}")
    return cast("Transport", made)


def _unusable(name: str, package: str, what: str, why: str | None = None) -> ConfigInvalid:
    told = f"the transport {name!r} of {package} {what}"
    hint = f"pip install --upgrade {package.split(maxsplit=1)[0]}"
    return ConfigInvalid(told, hint=hint, why=why)


def _is_transport(made: object) -> bool:
    return callable(getattr(made, "prepare", None)) and callable(getattr(made, "reopen", None))


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415  15 ms, for those who ask by name

    return list(entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return (
        f"{_metadata(entry, 'Name') or 'an unknown package'} {_metadata(entry, 'Version')}".strip()
    )


def _metadata(entry: EntryPoint, field: str) -> str:
    told: Any = entry.dist.metadata if entry.dist is not None else {}
    return str(told.get(field) or "")
