"""A choice of the kinds of providers at a terminal, and what words and groups find of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..catalogue import index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..catalogue.entry import IndexLine
    from .app import App

GROUPS: Final = ("generic", "code", "cloud", "work", "social", "science")
"""The order in which groups are shown; others follow by their names."""
_NAMED: Final = 12
"""Kinds that are named where several fit."""


def group_order(group: str) -> tuple[int, str]:
    """What sorts groups: those of our list in its order, then the others."""
    return (GROUPS.index(group) if group in GROUPS else len(GROUPS), group)


def fits(name: str, line: IndexLine, words: Sequence[str]) -> bool:
    """Whether every word stands in the name, the title or the group of an entry."""
    text = f"{name} {line['title']} {line['group']}".lower()
    return all(word.lower() in text for word in words)


def offered_kind(app: App) -> str:
    """The kind that the user chooses at the terminal.

    Raises:
        click.UsageError: Nobody is at a terminal.
    """
    terminal = app.terminal
    if terminal.json or not terminal.interactive:
        import click  # noqa: PLC0415  for a mistake alone

        raise click.UsageError("the kind of provider is not named; see: stayfast provider list")
    terminal.say("Which provider? Type its name, or words to search for.")
    _show(app, {name: line for name, line in index().items() if "impossible" not in line})
    terminal.suggest("stayfast provider add NAME --issuer https://…", "another one")
    while True:
        typed = terminal.ask("  provider").strip()
        found = _meant(typed)
        if len(found) == 1:
            return found[0]
        if not found:
            terminal.say(f"none is called so: {typed[:40]}", mark="warn", indent=2)
        else:
            shown = ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
            terminal.say(f"{len(found)} fit: {shown}", mark="warn", indent=2)


def _meant(typed: str) -> list[str]:
    """The kinds that ``typed`` may mean: the one of that name or title, else those that it finds."""
    for name, line in index().items():
        if typed.lower() in {name, line["title"].lower()}:
            return [name]
    return [name for name, line in index().items() if fits(name, line, typed.split())]


def _show(app: App, kinds: dict[str, IndexLine]) -> None:
    """Show the names of ``kinds``, a group on each line."""
    terminal = app.terminal
    groups = sorted({line["group"] for line in kinds.values()}, key=group_order)
    width = max(map(len, groups), default=0)
    for group in groups:
        names = sorted(name for name, line in kinds.items() if line["group"] == group)
        terminal.say(f"  {group:<{width}}  {', '.join(names)}", hang=width + 4)
