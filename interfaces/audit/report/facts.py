"""What a log comes to: counted in one pass, and bounded however long it is."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from ....diagrams import Step, steps_of
from ....engine.audit.events import EventKind
from ....engine.foreign_text import printable
from ....engine.table import State, Trigger
from ....storage.migrating import TRANSPORT as IMPORTED

if TYPE_CHECKING:
    from ....engine.audit.events import Recorded, Scalar

DRAWN: Final = 24
"""So many of the latest logins have their path in the report, and as many of those that failed."""
STEPS: Final = 40
"""So many steps of a login are listed; of a longer path, its beginning and its end."""

_SIGN_IN: Final = "sign-in"
_REFRESH: Final = "refresh"
_ANSWER: Final = "answer"
_LONGEST: Final = 120  # characters of a value that others have chosen


@dataclass(slots=True)
class LoginFacts:
    """One login, as far as the log has it.

    Attributes:
        id: Its full id.
        provider: Its provider.
        account: Its account.
        began: When it began; ``None`` if that was before what is reported, or in another storage.
        signed_in: When its first tokens came; ``None`` if they did not, or before, or came from
            another storage or program: nobody signed in then.
        last: When its last transition was.
        state: The state that one led to.
        reason: Why, if the log says so.
        transport: How the answer came back.
        failed: Whether it ended without ever having had tokens, or its refresh token was refused.
        steps: How many transitions it had.
        refreshing: Whether its refresh token, or its grant once more, is with the provider.
        had_tokens: Whether it ever had tokens.
    """

    id: str
    provider: str
    account: str
    began: float | None = None
    signed_in: float | None = None
    last: float = 0.0
    state: str = ""
    reason: str = ""
    transport: str = ""
    failed: bool = False
    steps: int = 0
    refreshing: bool = False
    had_tokens: bool = False

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state == State.IDLE

    @property
    def took(self) -> float | None:
        """Seconds from its beginning to its first tokens."""
        if self.began is None or self.signed_in is None:
            return None
        return max(0.0, self.signed_in - self.began)


@dataclass(slots=True)
class Share:
    """What one user of one host, one transport or one provider had a share in.

    Attributes:
        signed_in: How many logins came to tokens.
        failed: How many logins ended without.
        refreshed: How many refreshes brought tokens.
        refused: How many refreshes did not.
        last: When the last of it was.
    """

    signed_in: int = 0
    failed: int = 0
    refreshed: int = 0
    refused: int = 0
    last: float = -math.inf

    @property
    def total(self) -> int:
        """All of it."""
        return self.signed_in + self.failed + self.refreshed + self.refused


@dataclass(slots=True)
class Facts:
    """All that a report says.

    Attributes:
        events: How many events were read.
        since: The time of the earliest.
        until: The time of the latest.
        first: The number of the first.
        last: The number of the last.
        logins: Every login, by its id.
        failures: How often what failed for which reason: a ``sign-in``, a ``refresh``, or an
            ``answer`` that was refused while the login went on waiting.
        latencies: Seconds that each answered refresh took, by provider.
        people: Shares, by user and host.
        transports: Shares, by transport.
        providers: Shares, by provider.
        rows: How often each row of the table was taken, by trigger, source and destination.
        others: How many events were none of a login, by their kind.
        unreadable: The numbers of records that could not be read, as series.
        steps: The transitions of those logins whose path is shown, by id.
    """

    events: int = 0
    since: float = math.inf
    until: float = -math.inf
    first: int = 0
    last: int = 0
    logins: dict[str, LoginFacts] = field(default_factory=dict[str, LoginFacts])
    failures: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    latencies: dict[str, array[float]] = field(default_factory=dict[str, "array[float]"])
    people: dict[tuple[str, str], Share] = field(default_factory=dict[tuple[str, str], Share])
    transports: dict[str, Share] = field(default_factory=dict[str, Share])
    providers: dict[str, Share] = field(default_factory=dict[str, Share])
    rows: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    others: Counter[str] = field(default_factory=Counter[str])
    unreadable: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    steps: dict[str, list[Step]] = field(default_factory=dict[str, list[Step]])

    def take(self, recorded: Recorded) -> None:
        """Count one event."""
        members = recorded.members
        time = _number(members.get("time")) or 0.0
        self.events += 1
        self.first, self.last = self.first or recorded.seq, recorded.seq
        self.since, self.until = min(self.since, time), max(self.until, time)
        kind = members.get("event")
        if kind == EventKind.TRANSITION:
            self._transition(members, time)
        elif kind == EventKind.REFUSED:
            self.failures[_ANSWER, _why(members)] += 1
        else:
            self.others[str(kind)] += 1

    def _transition(self, members: Mapping[str, Scalar], time: float) -> None:
        trigger, source, dest = (_word(members, name) for name in ("trigger", "from", "to"))
        self.rows[trigger, source, dest] += 1
        login = self._login(members)
        had_tokens = login.had_tokens or source in _HAVE_TOKENS
        login.had_tokens = had_tokens or dest in _HAVE_TOKENS
        login.steps += 1
        login.last, login.state = time, dest
        login.reason = _why(members) if "reason" in members or "oauth_error" in members else ""
        login.transport = _word(members, "transport") or login.transport
        who = _word(members, "user"), _word(members, "host")
        shares = [
            self.people.setdefault(who, Share()),
            self.providers.setdefault(login.provider, Share()),
        ]
        if login.transport != IMPORTED:
            shares.append(self.transports.setdefault(login.transport or "unknown", Share()))
        if source == State.IDLE != dest:
            login.began = time
        elif source in _HAVE_TOKENS and dest == State.EXCHANGING:
            login.refreshing = True  # or its grant is asked again
        elif trigger == Trigger.ACCEPT_TOKENS and not login.refreshing and login.began is not None:
            if login.transport == IMPORTED:
                login.began = None
                return
            login.signed_in = login.signed_in or time
            _add(shares, "signed_in", time)
        elif trigger in _AFTER_REFRESH and (login.refreshing or login.began is None):
            login.refreshing = False
            login.failed = trigger == Trigger.REJECT_REFRESH
            taken = _number(members.get("duration"))
            if taken is not None:
                self.latencies.setdefault(login.provider, array("d")).append(taken)
            if trigger == Trigger.ACCEPT_TOKENS:
                _add(shares, "refreshed", time)
            else:
                self.failures[_REFRESH, _why(members)] += 1
                _add(shares, "refused", time)
        elif dest == State.IDLE and not had_tokens:
            login.failed = True
            self.failures[_SIGN_IN, _why(members)] += 1
            _add(shares, "failed", time)

    def _login(self, members: Mapping[str, Scalar]) -> LoginFacts:
        number = _word(members, "login")
        known = self.logins.get(number)
        if known is None:
            known = self.logins[number] = LoginFacts(number, "", "")
        # the latest names: an account may have been renamed
        known.provider, known.account = _word(members, "provider"), _word(members, "account")
        return known

    @property
    def shown(self) -> list[LoginFacts]:
        """The logins whose path is shown, the latest first: the last ones, and those that failed."""
        latest = sorted(self.logins.values(), key=attrgetter("last"), reverse=True)
        chosen = {one.id for one in latest[:DRAWN]}
        chosen |= {one.id for one in [one for one in latest if one.failed][:DRAWN]}
        return [one for one in latest if one.id in chosen]


def gather(
    read: Callable[[Callable[[int, int], None]], Iterable[Recorded]],
) -> Facts:
    """The facts of a log.

    The log is read twice: to count, and for the steps of the logins that are shown. So what is kept
    of a long log is a few words for each login.

    Args:
        read: Gives the events in order, and calls what it is given with the first and last number
            of each series of records that cannot be read.
    """
    facts = Facts()
    for recorded in read(lambda first, last: facts.unreadable.append((first, last))):
        facts.take(recorded)
    paths: dict[str, list[Step]] = {one.id: [] for one in facts.shown}
    for recorded in read(lambda first, last: None):  # noqa: ARG005  named in the first pass
        members = recorded.members
        login = _word(members, "login")
        if login in paths and members.get("event") == EventKind.TRANSITION:
            paths[login] += steps_of([recorded], str(members.get("login")))
    facts.steps = paths
    return facts


def quantile(values: Sequence[float], part: float) -> float:
    """The value that ``part`` of the sorted ``values`` do not exceed."""
    return values[max(0, math.ceil(part * len(values)) - 1)]


_HAVE_TOKENS: Final = {State.AUTHENTICATED, State.EXPIRED, State.REFRESH_FAILED}
_AFTER_REFRESH: Final = {Trigger.ACCEPT_TOKENS, Trigger.POSTPONE_REFRESH, Trigger.REJECT_REFRESH}


def _add(shares: Iterable[Share], what: str, time: float) -> None:
    for share in shares:
        setattr(share, what, getattr(share, what) + 1)
        share.last = max(share.last, time)


def _why(members: Mapping[str, Scalar]) -> str:
    """The reason of a failure, with the provider's own error code."""
    named = _word(members, "reason") or _word(members, "trigger") or "unknown"
    code = _word(members, "oauth_error")
    return f"{named} ({code})" if code and code != named else named


def _word(members: Mapping[str, Scalar], name: str) -> str:
    """A member as text that can be shown: of one line, without control characters, not long."""
    value = members.get(name)
    if value is None:
        return ""
    text = " ".join(printable(str(value)).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
