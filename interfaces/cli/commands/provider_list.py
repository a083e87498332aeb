"""``provider list``: the providers there are, by name; no entry of the catalogue is read for it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import click

from ....engine.errors import ConfigInvalid
from ....storage.paths import config_dir
from ...catalogue import index
from ...settings_files import provider_tables
from ..app import App, takes_app
from ..provider_choice import GROUPS, fits, group_order
from ..terminal.tables import Column, Row, Table, wide_option

_NAMES: Final = Table((Column("provider"), Column("group"), Column("title", folds=True)))
_OWN: Final = "yours"
"""The group of the providers in the user's file."""


class _Listed(NamedTuple):
    """A line of the list."""

    name: str
    title: str
    group: str
    members: dict[str, Any]


@click.command("list")
@click.argument("words", nargs=-1)
@click.option(
    "--group",
    default=None,
    help=f"Those of one group alone: {', '.join((_OWN, *GROUPS))}.",
)
@wide_option
@takes_app
def list_providers(app: App, *, words: tuple[str, ...], group: str | None, wide: bool) -> None:
    """List all providers, or those that every one of WORDS fits.

    A kind, such as okta, asks `provider add` for its domain or the like; the others can be signed in
    to with a client id. A sentence behind a title is why that one is none for a command line.
    """
    found = [*_own(app, words), *_shipped(app, words)]
    found = [one for one in found if group in {None, one.group}]
    found.sort(key=lambda one: (one.group != _OWN, group_order(one.group), one.name))
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
            title = app.assembly().catalogue.title(name)
        except ConfigInvalid as error:  # the others can be used all the same
            app.terminal.say(f"{name[:40]}: {error.message}", mark="warn")
            continue
        if all(word.lower() in f"{name} {title} {_OWN}".lower() for word in words):
            found.append(_Listed(name, title, _OWN, {}))
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
