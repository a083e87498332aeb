"""Transports of third parties, found by entry point.

A package offers one in the group ``stayfast.transports``, under the name by which users ask for it::

    [project.entry-points."stayfast.transports"]
    drop = "stayfast_drop:DropTransport"

The entry point is called with the :class:`TransportDependencies` of this process and returns a
:class:`~stayfast.engine.ports.Transport` of the same ``name``: one lower-case word that is not in
:data:`RESERVED`. Then ``--via NAME``, ``STAYFAST_VIA``, the provider setting ``via``, ``stayfast
resume``, the library, help and shell completion know it.

A transport whose ``prepare`` sends nothing may say so (:func:`stayfast.engine.ports.sends_nothing_first`):
the beginning of its logins then costs one commit less.

A transport never sees a token and never changes a state. It shows notices to its user through
``dependencies.conversation``; the kind :attr:`~stayfast.engine.ports.NoticeKind.ASK` is for an instruction
of its own. Its author runs :class:`stayfast.testing.transport_contract.TransportContract` on it.

No code of a third party is imported before a user names its transport: an installed package must
not slow down, break or watch the logins that do not use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine.errors import ConfigInvalid
from ..engine.hints import Hint

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ..engine.ports import Answers, Browser, Clock, Conversation, Http, Transport

GROUP: Final = "stayfast.transports"
"""The entry-point group."""
BUILT_IN: Final = ("loopback", "manual", "device")
"""The transports of this package."""
ALIASES: Final = {"paste": "manual"}
"""Other names that users may give."""
RESERVED: Final = frozenset({*BUILT_IN, *ALIASES, "auto", "racing"})
"""Names that no third party can take."""
_HINT: Final = Hint("help transports")


@dataclass(frozen=True, kw_only=True)
class TransportDependencies:
    """The effects that a transport may use.

    Attributes:
        conversation: Shows notices to the user.
        browser: Starts a browser, or does nothing if the user wants none.
        http: Sends requests to providers.
        clock: Gives the time.
        answers: Opens the place that typed answers come from.
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
        name: The name that users give.
        package: The installed package with its version.
        summary: The package's own one-line description.
    """

    name: str
    package: str
    summary: str


def installed() -> list[Plugin]:
    """The transports of installed packages, sorted by name."""
    found = [
        Plugin(entry.name, _package(entry), _metadata(entry, "Summary"))
        for entry in _entry_points()
        if entry.name not in RESERVED
    ]
    return sorted(found, key=lambda plugin: (plugin.name, plugin.package))


def make(name: str, dependencies: TransportDependencies) -> Transport:
    """The installed transport ``name``, made with ``dependencies``.

    Raises:
        ConfigInvalid: No package offers that name, several do, or it does not load.
    """
    entries = [entry for entry in _entry_points() if entry.name == name and name not in RESERVED]
    if not entries:
        raise ConfigInvalid(f"there is no transport {name[:40]!r}", hint=_HINT)
    packages = sorted({_package(entry) for entry in entries})
    # which of them is found first depends on the order of installation: the user must decide
    if len(packages) > 1:
        raise ConfigInvalid(
            f"several packages offer a transport {name!r}: {', '.join(packages)}",
            hint=f"pip uninstall {packages[-1].split()[0]}",
        )
    try:
        made = entries[0].load()(dependencies)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise _unusable(name, packages[0], "does not load", problem) from error
    if getattr(made, "name", None) != name or not _is_transport(made):
        raise _unusable(name, packages[0], f"is no transport of that name: {type(made).__name__}")
    return cast("Transport", made)


def _unusable(name: str, package: str, what: str, why: str | None = None) -> ConfigInvalid:
    message = f"the transport {name!r} of {package} {what}"
    hint = f"pip install --upgrade {package.split(maxsplit=1)[0]}"
    return ConfigInvalid(message, hint=hint, why=why)


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
    metadata: Any = entry.dist.metadata if entry.dist is not None else {}
    return str(metadata.get(field) or "")
