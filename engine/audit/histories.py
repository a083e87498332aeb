"""The stories of logins, replayed through the table: what a log tells must have been possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ..record import SHORT_ID
from ..table import TABLE, Guard, State, Trigger
from .findings import Finding, FindingCode

if TYPE_CHECKING:
    from .events import Step

_LEGAL: Final = {(row.trigger.value, row.source.value, row.dest.value): row for row in TABLE}
_FREE: Final = frozenset(
    arrow
    for arrow, row in _LEGAL.items()
    if row.guard not in {Guard.SENDS_CODE, Guard.SENDS_REFRESH_TOKEN}
)
_ENTERED_BY: Final = {
    Guard.SENDS_CODE: Trigger.RECEIVE_CALLBACK.value,
    Guard.SENDS_REFRESH_TOKEN: Trigger.REFRESH.value,
}
"""Which trigger must have led into ``exchanging`` for a guard to hold."""


class Chapter(NamedTuple):
    """How far a login has come.

    Attributes:
        version: Its version.
        state: Where it stands.
        seq: The record that said so.
        trigger: What led there.
    """

    version: int
    state: str
    seq: int
    trigger: str


class Stories:
    """Follows every login of a log at once.

    Attributes:
        findings: What was not possible, in the order of the log.
        logins: How far each login has come, by its full id.
    """

    def __init__(self, *, from_the_start: bool = True) -> None:
        """Nothing has been told yet.

        Args:
            from_the_start: Whether the log has its first record; if not, a story may begin in
                the middle.
        """
        self.findings: list[Finding] = []
        self.logins: dict[str, Chapter] = {}
        self._from_the_start = from_the_start
        self._gap = -1  # the last record that could not be told

    def interrupted(self, seq: int) -> None:
        """Record ``seq`` cannot be told: a story may go on anywhere after it, and only onward."""
        self._from_the_start = False
        self._gap = seq

    def end(self, login: str) -> None:
        """The log itself tells that ``login`` is no longer in the vault."""
        self.logins.pop(login, None)

    def take(self, seq: int, step: Step) -> None:
        """Follow one step, and keep in mind what is wrong with it."""
        login, version, trigger, source, dest = step
        before = self.logins.get(login)
        self.logins[login] = Chapter._make(
            (version, dest, seq, trigger)
        )  # quicker than by its names
        if (
            before is not None
            and before.state == source
            and before.version + 1 == version
            and before.seq > self._gap
            and (trigger, source, dest) in _FREE
        ):
            return
        self._judge(seq, step, before)

    def _judge(self, seq: int, step: Step, before: Chapter | None) -> None:
        row = _LEGAL.get((step.trigger, step.source, step.dest))
        if row is None:
            self._say(
                FindingCode.ILLEGAL_TRANSITION,
                seq,
                step,
                f"{arrow(step)} is not a transition of this machine",
            )
        if before is None:
            if (step.version, step.source) != (1, State.IDLE.value) and self._from_the_start:
                self._say(
                    FindingCode.NO_BEGINNING,
                    seq,
                    step,
                    f"login {_short(step)} begins at version {step.version} in {step.source}",
                )
            return
        whole = before.seq > self._gap
        if whole and before.state != step.source:
            self._say(
                FindingCode.BROKEN_STORY,
                seq,
                step,
                f"{arrow(step)}, and login {_short(step)} was in {before.state} "
                f"since record {before.seq}",
            )
        elif whole:
            entered = _ENTERED_BY.get(row.guard) if row and row.guard else None
            if entered is not None and before.trigger != entered:
                self._say(
                    FindingCode.ILLEGAL_TRANSITION,
                    seq,
                    step,
                    f"{arrow(step)} is not a transition after {before.trigger}",
                )
        onward = before.version < step.version
        if before.version + 1 != step.version and (whole or not onward):
            self._say(
                FindingCode.BROKEN_STORY,
                seq,
                step,
                f"login {_short(step)} is at version {step.version} and was at {before.version} "
                f"in record {before.seq}",
            )

    def _say(self, code: FindingCode, seq: int, step: Step, message: str) -> None:
        self.findings.append(
            Finding(
                code=code, message=f"record {seq}: {message}", seq=seq, last=seq, login=step.login
            )
        )

    def compare(self, present: Mapping[str, tuple[int, str]]) -> None:
        """Compare where the stories end with what the vault holds.

        Args:
            present: Version and state of every login in the vault, by its full id.
        """
        for login, chapter in self.logins.items():
            held = present.get(login)
            if held is None:
                self._differs(FindingCode.VANISHED, login, chapter, "is not in the vault")
            elif held != (chapter.version, chapter.state) and (
                chapter.seq > self._gap or held[0] < chapter.version
            ):
                self._differs(
                    FindingCode.VAULT_DIFFERS,
                    login,
                    chapter,
                    f"is {held[1]} at version {held[0]} in the vault",
                )
        if self._from_the_start:
            for login in present.keys() - self.logins.keys():
                message = f"login {login[:SHORT_ID]} is in the vault, and no record tells of it"
                self.findings.append(
                    Finding(code=FindingCode.NO_STORY, message=message, login=login)
                )

    def _differs(self, code: FindingCode, login: str, chapter: Chapter, how: str) -> None:
        message = (
            f"login {login[:SHORT_ID]} {how}, and {chapter.state} at version "
            f"{chapter.version} in record {chapter.seq}"
        )
        self.findings.append(
            Finding(code=code, message=message, seq=chapter.seq, last=chapter.seq, login=login)
        )


def arrow(step: Step) -> str:
    """A transition as a person reads it."""
    return f"{step.source} ─ {step.trigger} ─▶ {step.dest}"


def _short(step: Step) -> str:
    return step.login[:SHORT_ID]
