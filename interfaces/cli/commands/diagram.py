"""``diagram``: the machine, drawn from its table."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ....diagrams import FORMATS, check, draw, format_of, path, steps_of
from ....diagrams.drawing import ASCII
from ....engine.errors import ConfigInvalid
from ....engine.hints import Hint
from ...audit.reading import every_event
from ..app import App, takes_app


@click.command()
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=None, help="The format of the drawing."
)
@click.option("--login", "login_id", default=None, help="Draw the path of this login in bold.")
@click.option(
    "--check",
    "checked",
    type=click.Path(dir_okay=False),
    default=None,
    help="Compare a drawing made earlier with the machine.",
)
@takes_app
def diagram(app: App, *, form: str | None, login_id: str | None, checked: str | None) -> None:
    """Draw the machine of a login. Every arrow is a row of its table."""
    if checked is not None:
        _check(app, checked, form)
        return
    if login_id is None:
        _show(app, draw(form or "text"))
        return
    storage = app.assembly().storage
    chosen = app.assembly().conductor.named(login_id)
    steps = steps_of(every_event(storage), chosen.id)
    _show(app, path(steps, form or "text"))


def _show(app: App, drawing: str) -> None:
    if app.terminal.json:
        app.terminal.answer_json("diagram/1", {"drawing": drawing})
        return
    shown = drawing.rstrip("\n")
    app.terminal.answer(shown if app.terminal.unicode else shown.translate(ASCII))


def _check(app: App, name: str, form: str | None) -> None:
    drawn = form or format_of(name)
    if drawn is None:
        raise ConfigInvalid(
            f"the name {name} has no ending that names a format", hint="give it with --format"
        )
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigInvalid(
            f"{name} cannot be read", hint=Hint("diagram", None, "--help")
        ) from error
    differences = check(text, drawn)
    if app.terminal.json:
        members = {"file": name, "format": drawn, "differences": differences}
        app.terminal.answer_json("diagram-check/1", members)
    if not differences:
        app.terminal.say(f"{name} is up to date", mark="good")
        return
    app.terminal.say(f"{name} is out of date: {len(differences)} differences", mark="bad")
    for line in differences:
        app.terminal.say(f"    {line}")
    app.terminal.suggest(f"stayfast diagram --format {drawn} > {name}")
    sys.exit(1)
