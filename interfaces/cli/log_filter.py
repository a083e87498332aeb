"""Which events of the log are wanted: the filters of ``audit show`` and ``audit export``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ...engine.login_id import normalise
from .wording import Duration

if TYPE_CHECKING:
    from ...engine.events import Recorded


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log: a number, a moment, or so long ago."""

    seq: int | None = None
    time: float | None = None
    ago: float | None = None

    def moment(self, now: float) -> float | None:
        """The moment, if it is not a number."""
        return now - self.ago if self.ago is not None else self.time


class MarkParam(click.ParamType[Mark]):
    """``730``, ``7d``, ``2026-03-04``, ``2026-03-04T14:00:00Z``."""

    name = "mark"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Mark:
        """A place in the log."""
        if isinstance(value, Mark):
            return value
        text = str(value).strip()
        if text.isascii() and text.isdigit():
            return Mark(seq=int(text[:18]))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return Mark(ago=Duration().convert(text, param, ctx))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return Mark(time=moment.timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What an event must be like to be wanted; what is not set lets all pass."""

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
        told = recorded.members
        return (
            str(told.get("login") or "").startswith(self.login)
            and (self.provider is None or told.get("provider") == self.provider)
            and (self.account is None or told.get("account") == self.account)
            and (self.event is None or self.event in {told.get("event"), told.get("trigger")})
            and (not self.failures or told.get("outcome") == "failure")
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
            click.option(
                "--since",
                type=MarkParam(),
                default=None,
                help="From this number, age or date on: 118, 7d, 2026-03-04.",
            ),
            click.option(
                "--until",
                type=MarkParam(),
                default=None,
                help="Up to this number, age or date.",
            ),
        )
    ):
        command = option(command)
    return command


def filter_of(**given: Any) -> Filter:
    """The filter that options ask for."""
    login = given.pop("login") or ""
    return Filter(login=normalise(login) if login else "", **given)
