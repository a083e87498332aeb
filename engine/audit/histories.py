"""The histories of logins in a log, replayed through the table of the machine.

A right chain shows that the log is the one that was written. The replay shows that what was written
was possible: that each login took legal transitions, one version at a time, and ended where the
vault has it. So a log that a faulty or dishonest program wrote with the right key is noticed too.

Most transitions are legal, and a log may have millions. So :meth:`Histories.take` decides the usual
case with a few comparisons, and only the others are judged in detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ..summary import SHORT_ID
from ..table import TABLE, Guard, State, Trigger
from .findings import Finding, FindingCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from .events import Transition

_WITH_CODE: Final = frozenset({Trigger.RECEIVE_CALLBACK.value, Trigger.KEEP_ANSWER.value})
_WITH_GRANT: Final = frozenset({Trigger.REQUEST_TOKENS.value})
_ENTERED_BY: Final[Mapping[Guard | None, frozenset[str]]] = {
    Guard.SENDS_CODE: _WITH_CODE,
    Guard.SENDS_GRANT: _WITH_GRANT,
    Guard.GETS_FIRST_TOKENS: _WITH_CODE | _WITH_GRANT,
    Guard.RENEWS_TOKENS: frozenset({Trigger.REFRESH.value, Trigger.RENEW.value}),
}
"""The triggers that may have led into ``exchanging``, by guard.

A log has no record of the exchange that the guard looks at. The trigger before says the same.
"""
_LEGAL: Final = {(row.trigger.value, row.source.value, row.dest.value): row for row in TABLE}
_NEXT: Final = frozenset(
    (before.value, *arrow)
    for arrow, row in _LEGAL.items()
    for before in Trigger
    if row.guard not in _ENTERED_BY or before.value in _ENTERED_BY[row.guard]
)
"""The legal transitions, each after every trigger that may come before it."""


class LastTransition(NamedTuple):
    """The last transition of a login in the log.

    Attributes:
        version: The login's version after it.
        state: The state it led to.
        seq: The number of its record.
        trigger: Its trigger.
    """

    version: int
    state: str
    seq: int
    trigger: str


_last: Callable[[type[LastTransition], tuple[object, ...]], LastTransition] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
"""Makes a :class:`LastTransition` in a third of the time of its constructor: it runs once for each record."""


class Histories:
    """Follows all logins of a log at the same time.

    Attributes:
        findings: The transitions that were not possible, in the order of the log.
        logins: The last transition of each login, by its full id.
    """

    def __init__(self, *, from_the_start: bool = True) -> None:
        """Follow a log from its first record, or from a later one.

        Args:
            from_the_start: Whether the log has its first record. If it was pruned, a history may
                begin in the middle.
        """
        self.findings: list[Finding] = []
        self.logins: dict[str, LastTransition] = {}
        self._from_the_start = from_the_start
        self._gap = -1  # the last record that could not be read
        self._over: set[str] = set()  # logins that had ended when ended ones were removed

    def interrupted(self, seq: int) -> None:
        """Record ``seq`` is unreadable. It may be a transition of any login."""
        self._from_the_start = False
        self._gap = seq

    def end(self, login: str) -> None:
        """Forget ``login``: a record says that it left the vault."""
        self.logins.pop(login, None)

    def purged(self) -> None:
        """Logins that are over by now may have been removed: a record says so."""
        self._over.update(
            login for login, last in self.logins.items() if last.state == State.IDLE.value
        )

    def take(self, seq: int, transition: Transition) -> None:
        """Follow one transition, and add a finding if it was not possible."""
        login, version, trigger, source, dest = transition
        before = self.logins.get(login)
        self.logins[login] = _last(LastTransition, (version, dest, seq, trigger))
        if (
            before is not None
            and before.state == source
            and before.version + 1 == version
            and before.seq > self._gap
            and (before.trigger, trigger, source, dest) in _NEXT
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
            if entered is not None and before.trigger not in entered:
                self._say(
                    FindingCode.ILLEGAL_TRANSITION,
                    seq,
                    transition,
                    f"{arrow(transition)} is not a transition after {before.trigger}",
                )
        # After a gap the versions may have moved on, but never back.
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
        """Compare the last transition of each login with the vault.

        Args:
            present: Version and state of every login in the vault, by its full id.
        """
        for login, last in self.logins.items():
            held = present.get(login)
            if held is None and login in self._over and last.state == State.IDLE.value:
                continue
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
                message = f"login {login[:SHORT_ID]} is in the vault, and not in the log"
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
    """A transition in a form for people."""
    return f"{transition.source} ─ {transition.trigger} ─▶ {transition.dest}"


def _short(transition: Transition) -> str:
    return transition.login[:SHORT_ID]
