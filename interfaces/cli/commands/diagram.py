"""``diagram``: the machine, drawn from its table."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import click

from ....diagrams import FORMATS, check, draw, format_of, path, steps_of
from ....diagrams.drawing import ASCII
from ....engine.errors import ConfigInvalid
from ....engine.hints import Hint
from ....transports.browser import SystemBrowser
from ...audit.reading import every_event
from ..app import App
from ..command_line import takes_app


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
@click.option("--open", "opens", is_flag=True, help="Show the drawing (SVG) in a browser.")
@takes_app
def diagram(
    app: App, *, form: str | None, login_id: str | None, checked: str | None, opens: bool
) -> None:
    """Draw the machine of a login. Every arrow is a row of its table."""
    if checked is not None:
        _check(app, checked, form)
        return
    if opens and form not in {None, "svg"}:
        raise click.UsageError("--open shows an SVG, and no other format")
    form = form or ("svg" if opens else "text")
    if login_id is None:
        drawing = draw(form)
    else:
        storage = app.assembly().storage
        chosen = app.assembly().overview.named(login_id)
        drawing = path(steps_of(every_event(storage), chosen.id), form)
    if opens:
        _open(app, drawing)
    else:
        _show(app, drawing if form != "text" else _narrowed(drawing, app.terminal.columns))


def _open(app: App, drawing: str) -> None:
    """Show ``drawing`` in a browser, by a file of this user alone that outlives the command."""
    place = os.path.join(tempfile.mkdtemp(prefix="stayfast-"), "login.svg")
    Path(place).write_text(drawing, encoding="utf-8")
    why_not = SystemBrowser(app.environ).open_file(place)
    if app.terminal.json:
        app.terminal.answer_json("diagram/1", {"file": place, "opened": why_not is None})
    if why_not is not None:
        app.terminal.say(f"could not start a browser ({why_not})", mark="warn")
    app.terminal.say(f"the drawing is in {place}", mark="good")


def _narrowed(drawing: str, columns: int | None) -> str:
    """A tree whose arrows take two lines where the terminal is narrow."""
    lines: list[str] = []
    for line in drawing.splitlines():
        branch = re.match(r"( +(?:├|└))─ (.+?) ─+▶ (.+)", line)
        if columns is None or len(line) <= columns or branch is None:
            lines.append(line)
            continue
        before, words, rest = branch.groups()
        follows = before.replace("└", " ").replace("├", "│")
        lines += [f"{before}─ {words}", f"{follows}    ─▶ {rest}"]
    return "\n".join(lines)


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
