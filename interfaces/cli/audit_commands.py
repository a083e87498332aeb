"""``audit``: what happened, as the vault recorded it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ...engine.errors import NotFound
from ...engine.login_id import normalise
from ..audit.lines import line_of
from .app import App, takes_app

if TYPE_CHECKING:
    from ...engine.events import Recorded
    from ...engine.ports import Storage

_DETAILS = ("reason", "transport", "oauth_error", "http_status", "expires_in", "detail")


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("show")
@click.option("--login", "login_id", default=None, help="Only this login.")
@takes_app
def show(app: App, *, login_id: str | None) -> None:
    """The log, one line per event."""
    wanted = normalise(login_id) if login_id else ""
    found = False
    for recorded in every_event(app.bench().storage):
        if not str(recorded.members.get("login", "")).startswith(wanted):
            continue
        found = True
        if app.terminal.json:
            line = line_of(recorded)
            del line["schema"]  # that of the record; the answer names its own
            app.terminal.answer_json("audit/1", line)
        else:
            app.terminal.tell(as_line(recorded))
    if wanted and not found:
        raise NotFound(f"the log knows no login {login_id!r}", hint="holdfast audit show")


def every_event(storage: Storage) -> Iterator[Recorded]:
    """Every event of ``storage``, in order."""
    after = 0
    while batch := storage.events(after=after):
        yield from batch
        after = batch[-1].seq


def as_line(recorded: Recorded) -> str:
    """An event as a person reads it."""
    line = line_of(recorded)
    when = str(line["time"])[:19].replace("T", " ")
    if "trigger" in line:
        what = f"{line['from']:<17} {line['trigger']:<16} {line['to']:<17}"
    else:
        what = f"{line['event']:<52}"
    details = " ".join(f"{name}={line[name]}" for name in _DETAILS if name in line)
    who = f"{str(line.get('login', ''))[:4]:<4} {line.get('provider', '')}"
    return f"{recorded.seq:>5}  {when}  {who:<14} {what} {details}".rstrip()
