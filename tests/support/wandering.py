"""Logins that wander through the table at random, each step saved as the conductor saves it.

Run as a program, one of many at once: ``wandering.py PLACE STEPS SEED``.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from logins import (
    BY_BROWSER,
    BY_DEVICE,
    CONFIG,
    GRANT_EXCHANGE,
    NO_USER,
    NOW,
    TOKENS,
    login_in,
)
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.machine import allows
from stayfast.engine.ports import Change, Observer, Storage
from stayfast.engine.record import Challenge, Exchange, Login, PushedRequest
from stayfast.engine.secret import Secret
from stayfast.engine.table import TABLE, State, Trigger
from stayfast.storage.host import SystemClock, origin
from transitions_of import vault_in

_OVER = {"challenge": None, "presentation": None, "exchange": None}

_ONWARD = {Trigger.PRESENT, Trigger.RECEIVE_CALLBACK, Trigger.REQUEST_TOKENS}
_ONWARD |= {Trigger.REFRESH, Trigger.RENEW, Trigger.REJECT_REFRESH}
"""What is chosen more often than what ends a login, so that the far rows are reached too."""


class Wanderer:
    """Takes ``count`` logins through random legal transitions."""

    def __init__(self, storage: Storage, count: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger(storage, SystemClock(), origin())
        self.logins = [self._fresh(number) for number in range(count)]

    def _fresh(self, number: int) -> Login:
        name = f"{self.random.getrandbits(120):026X}"
        config = NO_USER if number % 3 == 2 else CONFIG
        login = login_in(State.IDLE, version=0)
        return replace(login, id=name, account=f"{name}/{number}", config=config)

    def observed(self, observers: Sequence[Observer], *, seed: int) -> None:
        """Go on differently, and notify ``observers``."""
        self.random.seed(seed)
        self.ledger = Ledger(self.ledger.storage, SystemClock(), origin(), observers)

    def draft(self) -> Change:
        """One step of one login, not saved yet."""
        number = self.random.randrange(len(self.logins))
        login = self.logins[number]
        rows = [r for r in TABLE if r.source is login.state and allows(r.guard, login)]
        weights = [4 if r.trigger in _ONWARD else 1 for r in rows]
        (row,) = self.random.choices(rows, weights)
        change = self.ledger.draft(login, row.trigger, **self._sets(login, row.trigger))
        self.logins[number] = change.login
        return change

    def steps(self, count: int, *, at_once: int = 1) -> None:
        """Save ``count`` steps."""
        for _ in range(count // at_once):
            self.ledger.commit([self.draft() for _ in range(at_once)])

    def fill(self, last: int, *, at_once: int = 10) -> None:
        """Save steps until the log ends with record ``last``, whatever the storage records of itself."""
        storage = self.ledger.storage
        storage.probe()  # makes it
        left = last - len(storage.events(limit=last))
        while left > 0:
            self.ledger.commit([self.draft() for _ in range(min(left, at_once))])
            left -= at_once

    def _sets(self, login: Login, trigger: Trigger) -> dict[str, Any]:
        fresh = Challenge(
            verifier=Secret("v"), state=Secret(f"{login.id}{login.version}"), nonce=Secret("n")
        )
        pushed = PushedRequest(request_uri=Secret("urn:pushed"), expires_at=NOW + 60)
        shown = self.random.choice([replace(BY_BROWSER, pushed=pushed), BY_DEVICE])
        sets: dict[Trigger, dict[str, Any]] = {
            Trigger.BEGIN: {"challenge": fresh, "deadline": NOW + 600},
            Trigger.RECHALLENGE: {"challenge": fresh},
            Trigger.PRESENT: {"presentation": shown},
            Trigger.RECEIVE_CALLBACK: {"exchange": Exchange(kind="code", started_at=NOW)},
            Trigger.REQUEST_TOKENS: {"exchange": GRANT_EXCHANGE, "deadline": NOW + 600},
            Trigger.REFRESH: {"exchange": Exchange(kind="refresh", started_at=NOW)},
            Trigger.RENEW: {"exchange": GRANT_EXCHANGE},
            Trigger.ACCEPT_TOKENS: {"tokens": TOKENS, **_OVER},
            Trigger.POSTPONE_REFRESH: {"exchange": None},
            Trigger.REJECT_REFRESH: {"exchange": None},
        }
        return sets.get(trigger, {})


if __name__ == "__main__":
    place, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    Wanderer(vault_in(place), 4, seed).steps(count)
