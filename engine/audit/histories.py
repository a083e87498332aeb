"""The histories of logins, replayed through the table: what a log tells must have been possible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ..record import SHORT_ID
from ..table import TABLE, Guard, State, Trigger
from .findings import Finding, FindingCode

if TYPE_CHECKING:
    from .events import Transition

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


class LastTransition(NamedTuple):
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


class Histories:
    """Follows every login of a log at once.

    Attributes:
        findings: What was not possible, in the order of the log.
        logins: How far each login has come, by its full id.
    """

    def __init__(self, *, from_the_start: bool = True) -> None:
        """Follow a log from its first record, or from a later one.

        Args:
            from_the_start: Whether the log has its first record; if not, a history may begin in
                the middle.
        """
        self.findings: list[Finding] = []
        self.logins: dict[str, LastTransition] = {}
        self._from_the_start = from_the_start
        self._gap = -1  # the last record that could not be read

    def interrupted(self, seq: int) -> None:
        """Record ``seq`` is unreadable: afterwards a login may be in any later version."""
        self._from_the_start = False
        self._gap = seq

    def end(self, login: str) -> None:
        """The log itself tells that ``login`` is no longer in the vault."""
        self.logins.pop(login, None)

    def take(self, seq: int, transition: Transition) -> None:
        """Follow one transition, and keep in mind what is wrong with it."""
        login, version, trigger, source, dest = transition
        before = self.logins.get(login)
        self.logins[login] = LastTransition._make(
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
        self._judge(seq, transition, before)

    def _judge(self, seq: int, transition: Transition, before: LastTransition | None) -> None:
        row = _LEGAL.get((transition.trigger, transition.source, transition.dest))
        if row is None:
            self._say(
                FindingCode.ILLEGAL_TRANSITION,
                seq,
                transition,
                f"{arrow(transition)} is not a transition of this machine",
            )
        if before is None:
            if (transition.version, transition.source) != (
                1,
                State.IDLE.value,
            ) and self._from_the_start:
                self._say(
                    FindingCode.NO_BEGINNING,
                    seq,
                    transition,
                    f"login {_short(transition)} begins at version {transition.version} in {transition.source}",
                )
            return
        whole = before.seq > self._gap
        if whole and before.state != transition.source:
            self._say(
                FindingCode.BROKEN_HISTORY,
                seq,
                transition,
                f"{arrow(transition)}, and login {_short(transition)} was in {before.state} "
                f"since record {before.seq}",
            )
        elif whole:
            entered = _ENTERED_BY.get(row.guard) if row and row.guard else None
            if entered is not None and before.trigger != entered:
                self._say(
                    FindingCode.ILLEGAL_TRANSITION,
                    seq,
                    transition,
                    f"{arrow(transition)} is not a transition after {before.trigger}",
                )
        onward = before.version < transition.version
        if before.version + 1 != transition.version and (whole or not onward):
            self._say(
                FindingCode.BROKEN_HISTORY,
                seq,
                transition,
                f"login {_short(transition)} is at version {transition.version} and was at {before.version} "
                f"in record {before.seq}",
            )

    def _say(self, code: FindingCode, seq: int, transition: Transition, message: str) -> None:
        self.findings.append(
            Finding(
                code=code,
                message=f"record {seq}: {message}",
                seq=seq,
                last=seq,
                login=transition.login,
            )
        )

    def compare(self, present: Mapping[str, tuple[int, str]]) -> None:
        """Compare where the histories end with what the vault holds.

        Args:
            present: Version and state of every login in the vault, by its full id.
        """
        for login, last in self.logins.items():
            held = present.get(login)
            if held is None:
                self._differs(FindingCode.VANISHED, login, last, "is not in the vault")
            elif held != (last.version, last.state) and (
                last.seq > self._gap or held[0] < last.version
            ):
                self._differs(
                    FindingCode.VAULT_DIFFERS,
                    login,
                    last,
                    f"is {held[1]} at version {held[0]} in the vault",
                )
        if self._from_the_start:
            for login in present.keys() - self.logins.keys():
                message = f"login {login[:SHORT_ID]} is in the vault, and no record tells of it"
                self.findings.append(
                    Finding(code=FindingCode.NO_HISTORY, message=message, login=login)
                )

    def _differs(self, code: FindingCode, login: str, last: LastTransition, how: str) -> None:
        message = (
            f"login {login[:SHORT_ID]} {how}, and {last.state} at version "
            f"{last.version} in record {last.seq}"
        )
        self.findings.append(
            Finding(code=code, message=message, seq=last.seq, last=last.seq, login=login)
        )


def arrow(transition: Transition) -> str:
    """A transition as a person reads it."""
    return f"{transition.source} ─ {transition.trigger} ─▶ {transition.dest}"


def _short(transition: Transition) -> str:
    return transition.login[:SHORT_ID]
