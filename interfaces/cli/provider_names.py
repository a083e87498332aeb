"""What ``provider list`` answers: the providers there are, by name; no entry of the catalogue is read for it.

Nothing here knows how a command line is read: a plain call is read without click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...engine.errors import ConfigInvalid
from ...storage.paths import config_dir
from ..catalogue import index
from ..settings_files import provider_tables
from .provider_choice import fits, group_order
from .terminal.tables import Column, Row, Table

if TYPE_CHECKING:
    from .app import App

_NAMES: Final = Table((Column("provider"), Column("group"), Column("title", folds=True)))
OWN: Final = "yours"
"""The group of the providers in the user's file."""


class _Listed(NamedTuple):
    """A line of the list."""

    name: str
    title: str
    group: str
    members: dict[str, Any]


def show_providers(
    app: App, *, words: tuple[str, ...] = (), group: str | None = None, wide: bool = False
) -> None:
    """What ``stayfast provider list`` answers; its help says what each argument means."""
    found = [*_own(app, words), *_shipped(app, words)]
    found = [one for one in found if group in {None, one.group}]
    found.sort(key=lambda one: (one.group != OWN, group_order(one.group), one.name))
    if app.terminal.json:
        members = [
            {"name": one.name, "title": one.title, "group": one.group, **one.members}
            for one in found
        ]
        app.terminal.answer_json("providers/1", {"providers": members})
        return
    if not found:
        asked = " ".join([*words, *([f"--group {group}"] if group else [])])
        app.terminal.say(f"no provider fits {asked}", mark="warn")
        app.terminal.suggest("stayfast provider list")
        return
    _NAMES.show(app.terminal, (Row(_row(one)) for one in found), wide=wide)


def _row(one: _Listed) -> tuple[str, str, str]:
    asks = one.members.get("asks")
    kind = f" (asks for {' and '.join(asks)})" if asks else ""
    reason = one.members.get("impossible")
    return one.name, one.group, f"{one.title}: {reason}" if reason else f"{one.title}{kind}"


def _own(app: App, words: tuple[str, ...]) -> list[_Listed]:
    """The providers of the user's file."""
    found: list[_Listed] = []
    for name in provider_tables(config_dir(app.settings())):
        try:
            title = app.catalogue().title(name)
        except ConfigInvalid as error:  # the others can be used all the same
            app.terminal.say(f"{name[:40]}: {error.message}", mark="warn")
            continue
        if all(word.lower() in f"{name} {title} {OWN}".lower() for word in words):
            found.append(_Listed(name, title, OWN, {}))
    return found


def _shipped(app: App, words: tuple[str, ...]) -> list[_Listed]:
    """The entries of the catalogue, but for those that the user's file changes; none is read."""
    own = provider_tables(config_dir(app.settings()))
    return [
        _Listed(
            name,
            line["title"],
            line["group"],
            {key: value for key, value in line.items() if key in {"asks", "impossible"}},
        )
        for name, line in index().items()
        if fits(name, line, words) and (name not in own or line.get("asks"))
    ]
