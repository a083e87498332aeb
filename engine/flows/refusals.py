"""What was refused is logged, but nobody can fill the disk with it.

Anybody on this machine can send requests to the port of a login, and every line of the audit log is
a durable commit that other logins wait for. So the first refusals of a login are logged in full, and
the first for each reason; those after them are counted: one line a minute says how many there were,
and the last one is written when the wait ends. What belongs to no known login is counted apart; its
line is written when a minute is over, or when any wait ends.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..errors import StorageError
from ..reasons import Refusal

if TYPE_CHECKING:
    from ..ports import Clock
    from ..record import Login
    from .ledger import Ledger

IN_FULL: Final = 5
"""How many refusals of one login have a line each."""
EVERY: Final = 60.0
"""Seconds between two lines that count the others."""
_LOGINS: Final = 1000  # whose refusals are kept apart; a service may have more


@dataclass(slots=True)
class _Refused:
    login: Login | None
    transport: str | None
    said: Counter[Refusal] = field(default_factory=Counter[Refusal])
    said_at: float = 0.0
    unsaid: Counter[Refusal] = field(default_factory=Counter[Refusal])


class Refusals:
    """Logs refusals of many logins, within bounds.

    A line that cannot be written is left out: a hostile request at a moment when the disk is full
    must not end somebody's login.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        """Write by ``ledger``; ``clock`` measures the minute."""
        self._ledger = ledger
        self._clock = clock
        self._by_login: dict[str | None, _Refused] = {}

    def note(self, login: Login | None, refusal: Refusal, transport: str | None) -> None:
        """Log that an input was refused, or count it.

        Args:
            login: The login it was meant for, if that is known.
            refusal: Why.
            transport: What it came by.
        """
        key = login.id if login else None
        if key not in self._by_login and len(self._by_login) >= _LOGINS:
            self.finish(next(iter(self._by_login)))
        seen = self._by_login.setdefault(key, _Refused(login, transport))
        seen.login, seen.transport = login, transport
        now = self._clock.monotonic()
        if login is not None and (others := self._by_login.get(None)) is not None:
            self._count_if_due(others, now)
        if seen.said.total() < IN_FULL or refusal not in seen.said:
            seen.said[refusal] += 1
            seen.said_at = now
            with suppress(StorageError):
                self._ledger.refuse(login, refusal, transport=transport)
            return
        seen.unsaid[refusal] += 1
        self._count_if_due(seen, now)

    def finish(self, login_id: str | None) -> None:
        """Log what was only counted of a login, whose wait is over, and of no login."""
        seen = self._by_login.pop(login_id, None)
        if seen is not None:
            self._count(seen)
        others = self._by_login.get(None)  # kept: its first lines in full were written
        if others is not None:
            self._count(others)

    def _count_if_due(self, seen: _Refused, now: float) -> None:
        if now - seen.said_at >= EVERY:
            seen.said_at = now
            self._count(seen)

    def _count(self, seen: _Refused) -> None:
        """One line for all that had none; its reason is the most frequent one."""
        if not seen.unsaid:
            return
        frequent = seen.unsaid.most_common()
        named = " ".join(f"{refusal.value}={count}" for refusal, count in frequent)
        detail = f"count={seen.unsaid.total()} {named}"
        seen.unsaid.clear()
        with suppress(StorageError):
            self._ledger.refuse(seen.login, frequent[0][0], transport=seen.transport, detail=detail)
