"""``audit show`` and ``audit export``: what happened, as the vault recorded it, and which of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import click

from ....engine.audit.events import EventKind
from ....engine.audit.findings import records
from ....engine.errors import Damaged, NotFound
from ....engine.hints import Hint
from ....engine.login_id import normalise
from ....engine.table import Trigger
from ...audit.lines import line_of, render
from ...audit.mappings import MAPPINGS
from ...audit.reading import every_event
from ..app import App
from ..command_line import HelpfulGroup, takes_app, wide_option
from ..marks import MARKS, MarkParam
from ..on_demand import CommandsOnDemand
from ..terminal.formatting import day_of, span
from ..terminal.tables import Column, Row, Table

if TYPE_CHECKING:
    from ....engine.audit.events import Recorded
    from ..marks import Mark

_EVENTS: Final = sorted({*(one.value for one in EventKind), *(one.value for one in Trigger)})
_DETAILS: Final = ("reason", "transport", "oauth_error", "http_status", "expires_in", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are wanted; a member that is not set lets all pass."""

    login: str = ""
    provider: str | None = None
    account: str | None = None
    event: str | None = None
    failures: bool = False
    since: Mark | None = None
    until: Mark | None = None

    def after(self) -> int:
        """The number behind which to begin reading."""
        return self.since.seq - 1 if self.since is not None and self.since.seq else 0

    def takes(self, recorded: Recorded, now: float) -> bool:
        """Whether ``recorded`` is wanted, at the time ``now``."""
        members = recorded.members
        return (
            str(members.get("login") or "").startswith(self.login)
            and (self.provider is None or members.get("provider") == self.provider)
            and (self.account is None or members.get("account") == self.account)
            and (self.event is None or self.event in {members.get("event"), members.get("trigger")})
            and (not self.failures or members.get("outcome") == "failure")
            and (self.since is None or _place(recorded, self.since, now) >= 0)
            and (self.until is None or _place(recorded, self.until, now) <= 0)
        )


def _place(recorded: Recorded, mark: Mark, now: float) -> float:
    """Where an event lies as seen from ``mark``: negative before it."""
    if mark.seq is not None:
        return recorded.seq - mark.seq
    time = recorded.members.get("time")
    return (time if isinstance(time, int | float) else 0.0) - (mark.moment(now) or 0.0)


def filtering(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a :class:`Filter`."""
    for option in reversed(
        (
            click.option("--login", default="", help="Only this login."),
            click.option("--provider", default=None, help="Only this provider."),
            click.option("--account", default=None, help="Only this account."),
            click.option("--event", "--trigger", default=None, help="Only this event or trigger."),
            click.option("--failures", is_flag=True, help="Only what failed or was refused."),
            click.option("--since", type=MarkParam(), default=None, help=f"From this {MARKS}."),
            click.option(
                "--until",
                type=MarkParam(),
                default=None,
                help="Up to this number, age, day or date.",
            ),
        )
    ):
        command = option(command)
    return command


def filter_of(**given: Any) -> Filter:
    """The filter that options ask for."""
    login = given.pop("login") or ""
    event: str | None = given.get("event")
    if event is not None and event not in _EVENTS:
        similar = get_close_matches(str(event), _EVENTS, n=1)
        raise click.BadParameter(
            f"there is no event or trigger {event[:40]!r}"
            + (f"; did you mean {similar[0]}?" if similar else f" (one of {', '.join(_EVENTS)})"),
            param_hint="'--event'",
        )
    return Filter(login=normalise(login) if login else "", **given)


_BELOW: Final = {
    "checkpoint": ("commands.verify:checkpoint", ""),
    "forward-secure": ("commands.segments:forward_secure", ""),
    "prune": ("commands.segments:prune", ""),
    "report": ("commands.report:report", ""),
    "set-aside": ("commands.segments:set_aside", ""),
    "verify": ("commands.verify:verify", ""),
}


@click.group(cls=HelpfulGroup, commands=CommandsOnDemand(_BELOW, prefix="STAYFAST_AUDIT"))
def audit() -> None:
    """The audit log."""


@audit.command("show")
@filtering
@click.option(
    "--limit", type=click.IntRange(1), default=None, help="Only that many of the last events."
)
@wide_option
@takes_app
def show(app: App, /, *, limit: int | None, wide: bool, **given: Any) -> None:
    """Show the log, event by event. For one login, its whole history with durations.

    In a narrow terminal an event takes several lines, and no word is broken. What all events have in
    common is said once. A record that cannot be read is named, the rest is shown, and the exit code
    is 8.
    """
    wanted = filter_of(**given)
    reader = _Reader(app, wanted)
    events: Iterable[Recorded] = reader.events()
    if limit is not None:
        events = deque(events, maxlen=limit)
    found: list[Recorded] = []  # the first and the last, for the time between them

    def noted() -> Iterator[Recorded]:
        for recorded in events:
            if not found or wanted.login:
                found.append(recorded)
            yield recorded

    if app.terminal.json:
        for recorded in noted():
            line = line_of(recorded)
            del line["schema"]  # that of the record; the answer names its own
            app.terminal.answer_json("audit/1", line)
    else:
        arrow, timed = app.terminal.symbol("next"), bool(wanted.login)
        rows = (event_row(recorded, arrow, timed=timed) for recorded in noted())
        EVENTS.show(app.terminal, rows, wide=wide)
        if not found and not wanted.login:
            narrowed = any(given.values())
            app.terminal.say("no event matches" if narrowed else "the log has no events yet")
    if wanted.login and not found:
        raise NotFound(f"the log knows no login {given['login']!r}", hint=Hint("audit show"))
    if wanted.login and not app.terminal.json:
        took = _time_of(found[-1]) - _time_of(found[0])
        app.terminal.say(f"{len(found)} events in {span(took)}")
    reader.finish()


@audit.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(MAPPINGS)),
    default="jsonl",
    show_default=True,
    help="The records as they are, or in the schema of ECS, OCSF or OpenTelemetry.",
)
@filtering
@takes_app
def export(app: App, /, *, form: str, **given: Any) -> None:
    """Export the log, one JSON object a line.

    `stayfast audit verify --file` checks the format jsonl. A record that cannot be read is named on
    standard error, the rest is exported, and the exit code is 8.
    """
    reader = _Reader(app, filter_of(**given))
    mapped = MAPPINGS[form]
    seen = app.terminal.columns is not None  # the records themselves show how far it is
    with nullcontext() if seen else app.terminal.working("exporting the audit log"):
        for recorded in reader.events():
            app.terminal.answer_document(render(None, "", mapped(line_of(recorded))).decode())
    reader.finish()


class _Reader:
    """Reads what is wanted, and remembers what could not be read."""

    def __init__(self, app: App, wanted: Filter) -> None:
        self._app = app
        self._wanted = wanted
        self._gaps: list[tuple[int, int]] = []

    def events(self) -> Iterator[Recorded]:
        """The events that are wanted, in order."""
        assembly = self._app.assembly()
        now = assembly.clock.now()
        for recorded in every_event(
            assembly.storage, after=self._wanted.after(), unreadable=self._unreadable
        ):
            if self._wanted.takes(recorded, now):
                yield recorded

    def _unreadable(self, first: int, last: int) -> None:
        self._gaps.append((first, last))
        self._app.terminal.say(f"{records(first, last)} cannot be read", mark="bad")

    def finish(self) -> None:
        """Make sure that everything could be read.

        Raises:
            Damaged: A record could not.
        """
        if self._gaps:
            count = sum(last - first + 1 for first, last in self._gaps)
            raise Damaged(
                f"{count} of the audit log's records cannot be read", hint=Hint("audit verify")
            )


EVENTS: Final = Table(
    (
        Column("seq", right=True),
        Column("date", right=True, once=True),
        Column("time UTC"),
        Column("after", right=True),
        Column("login", once=True),
        Column("provider", once=True),
        Column("event"),
        Column("from", spare=True),
        Column("to"),
        Column("detail", folds=True),
    ),
    heads=6,
)
"""The audit log as people read it; :func:`event_row` makes its rows."""


def event_row(recorded: Recorded, arrow: str, *, timed: bool = False) -> Row:
    """An event as a row of :data:`EVENTS`.

    Args:
        recorded: The event.
        arrow: What stands between two states.
        timed: Whether to say how long the login had been in its state.
    """
    line = line_of(recorded)
    date, _, clock = str(line["time"])[:19].partition("T")
    day = day_of(datetime.fromisoformat(date))
    states = [str(line.get(name) or "") for name in ("from", "to")]
    event = str(line.get("trigger") or line.get("event") or "")
    details = " ".join(_detail(name, line[name]) for name in _DETAILS if name in line)
    path = f"{f' {arrow} '.join(states)}  ({event})" if "trigger" in line else event
    return Row(
        (
            str(recorded.seq),
            day,
            clock,
            _lasted(line.get("duration")) if timed else "",
            str(line.get("login") or "")[:4],
            str(line.get("provider") or ""),
            event,
            *states,
            details,
        ),
        style="yellow" if line.get("outcome") == "failure" else "",
        styled=6,
        narrow=(path, details),
    )


def _detail(name: str, value: object) -> str:
    """A member as ``name=value``; a detail that has a name of its own, such as ``key=file``, as it is."""
    text = str(_plainly(value))
    return text if name == "detail" and "=" in text else f"{name}={text}"


def _plainly(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _lasted(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    if 0 <= seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if 0 <= seconds < 90 else span(seconds)


def _time_of(recorded: Recorded) -> float:
    time = recorded.members.get("time")
    return time if isinstance(time, int | float) else 0.0
