"""A log of many logins, walked at random through the machine; and one whose every word is hostile."""

from __future__ import annotations

import random
from typing import Any

from stayfast.engine.audit.events import Event, EventKind, Origin, Outcome
from stayfast.engine.reasons import Reason, Refusal
from stayfast.engine.table import TABLE, State, Trigger
from stayfast.storage import MemoryStorage

BEGAN = 1_772_355_600.0  # 1 March 2026, 9:00 UTC
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ENDS = {
    Trigger.DENY: (Reason.ACCESS_DENIED, "access_denied"),
    Trigger.TIME_OUT: (Reason.DEADLINE_PASSED, None),
    Trigger.CANCEL: (Reason.USER_CANCELLED, None),
    Trigger.REJECT_CODE: (Reason.CODE_REFUSED, "invalid_grant"),
    Trigger.FAIL: (Reason.TRANSPORT_UNAVAILABLE, None),
    Trigger.LOGOUT: (Reason.SIGNED_OUT, None),
    Trigger.SUPERSEDE: (Reason.NEWER_LOGIN, None),
    Trigger.POSTPONE_REFRESH: (Reason.NETWORK, None),
    Trigger.REJECT_REFRESH: (Reason.REFRESH_REFUSED, "invalid_grant"),
    Trigger.EXPIRE: (Reason.BUFFER_REACHED, None),
}
_FAILED = {
    Trigger.DENY, Trigger.TIME_OUT, Trigger.REJECT_CODE, Trigger.FAIL, Trigger.POSTPONE_REFRESH,
    Trigger.REJECT_REFRESH,
}  # fmt: skip
_LIKELY = {
    Trigger.PRESENT: 40, Trigger.RECEIVE_CALLBACK: 30, Trigger.ACCEPT_TOKENS: 60, Trigger.EXPIRE: 12,
    Trigger.REFRESH: 12, Trigger.REPLACE: 0, Trigger.RENAME: 0, Trigger.KEEP_ANSWER: 0,
    Trigger.REQUEST_TOKENS: 0, Trigger.REJECT_GRANT: 0, Trigger.RENEW: 0, Trigger.IDENTIFY: 0, Trigger.PUSH_AGAIN: 0, Trigger.FAIL: 0.3, Trigger.LOGOUT: 0.6, Trigger.SUPERSEDE: 0.3,
}  # fmt: skip
_PACE = {
    Trigger.PRESENT: (0.01, 0.3), Trigger.RECEIVE_CALLBACK: (6, 90), Trigger.ACCEPT_TOKENS: (0.06, 2.5),
    Trigger.EXPIRE: (2400, 3500), Trigger.REFRESH: (0.001, 900), Trigger.POSTPONE_REFRESH: (1, 30),
    Trigger.REJECT_REFRESH: (0.1, 0.6), Trigger.DENY: (5, 60), Trigger.TIME_OUT: (600, 600),
}  # fmt: skip
_FIRST = {"sends_code", "sends_grant", "gets_first_tokens"}
PEOPLE = [("ada", "lathe"), ("grace", "lathe"), ("linus", "build-07.internal"), ("ci", "runner-3")]


def walked(events: int, seed: int = 1, **words: Any) -> MemoryStorage:
    """A storage whose log has at least ``events`` events.

    Args:
        events: How many.
        seed: Another seed, another log.
        words: What stands in every event, such as ``provider``.
    """
    rng = random.Random(seed)
    storage = MemoryStorage()
    written, now = 0, BEGAN
    while written < events:
        now += rng.expovariate(1 / 9000)
        written += _login(storage, rng, now, words)
    return storage


def _login(storage: MemoryStorage, rng: random.Random, now: float, words: dict[str, Any]) -> int:
    provider = rng.choices(["github", "acme", "keycloak", "google"], [5, 4, 2, 1])[0]
    transport = rng.choices(["loopback", "manual", "device"], [6, 2, 2])[0]
    user, host = rng.choices(PEOPLE, [6, 4, 2, 3])[0]
    number = "".join(rng.choices(LETTERS, k=26))
    state, version, refreshing = State.IDLE, 0, False
    while version < 60:
        rows = [
            row
            for row in TABLE
            if (
                row.source is state
                and not (refreshing and row.guard and row.guard.value in _FIRST)
                and not (not refreshing and row.guard and row.guard.value == "renews_tokens")
                and (transport == "device")
                == (row.guard is not None and row.guard.value == "polls")
            )
            or (row.source is state and row.guard is None and state is not State.AWAITING_CALLBACK)
        ]
        if not rows or (version > 4 and rng.random() < 0.06):
            break
        row = rng.choices(rows, [_LIKELY.get(one.trigger, 1.0) for one in rows])[0]
        low, high = _PACE.get(row.trigger, (0.05, 20))
        took = low * (high / low) ** rng.random() if version else 0.0
        now += took
        version += 1
        reason, code = _ENDS.get(row.trigger, (None, None))
        if row.trigger is Trigger.POSTPONE_REFRESH and rng.random() < 0.4:
            reason = Reason.PROVIDER_BUSY
        refreshing = row.trigger in {Trigger.REFRESH, Trigger.RENEW}
        named: dict[str, Any] = {
            "provider": provider,
            "account": rng.choice(["default", "default", "work"]),
            "reason": reason and reason.value,
            "oauth_error": code,
            "transport": transport if version > 1 else None,
            **words,
        }
        origin = Origin(
            pid=4711,
            host=words.get("host", host),
            user=words.get("user", user),
            app_version="0.1.0",
        )
        named = {name: value for name, value in named.items() if name not in {"host", "user"}}
        storage.note(
            Event(
                time=now,
                event=EventKind.TRANSITION,
                origin=origin,
                login=number,
                trigger=row.trigger.value,
                source=row.source.value,
                dest=row.dest.value,
                outcome=Outcome.FAILURE if row.trigger in _FAILED else Outcome.SUCCESS,
                version=version,
                duration=took if version > 1 else None,
                **named,
            )
        )
        state = row.dest
        if state is State.AWAITING_CALLBACK and rng.random() < 0.05:
            refused = {**named, "reason": rng.choice(list(Refusal)).value, **words}
            refused = {
                name: value for name, value in refused.items() if name not in {"host", "user"}
            }
            storage.note(
                Event(
                    time=now, event=EventKind.REFUSED, origin=origin, login=number, version=version,
                    outcome=Outcome.FAILURE, **refused,
                )
            )  # fmt: skip
        if state is State.IDLE:
            break
    return version
