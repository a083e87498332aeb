"""The histories of a log, replayed: what could not have happened is said, and where."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from stayfast.engine.audit.events import Transition
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.audit.histories import Histories
from stayfast.engine.table import TABLE, Guard, State, Trigger

C = FindingCode
BEGUN = [("begin", "idle", "challenge"), ("present", "challenge", "awaiting_callback")]
SIGNED_IN = [
    *BEGUN,
    ("receive_callback", "awaiting_callback", "exchanging"),
    ("accept_tokens", "exchanging", "authenticated"),
]


BY_ITSELF = [("request_tokens", "idle", "exchanging")]
IN = ("accept_tokens", "exchanging", "authenticated")
_LED = {
    Guard.SENDS_CODE: {"receive_callback"},
    Guard.SENDS_GRANT: {"request_tokens"},
    Guard.GETS_FIRST_TOKENS: {"receive_callback", "request_tokens"},
    Guard.RENEWS_TOKENS: {"refresh", "renew"},
}
"""What led into ``exchanging`` where a row with this guard may lead out of it."""


def findings_of(path: Sequence[tuple[str, str, str]], *, first: int = 1) -> list[tuple[FindingCode, int | None]]:  # fmt: skip
    """The findings of one login that takes ``path``."""
    histories = Histories()
    for number, (trigger, source, dest) in enumerate(path, 1):
        histories.take(number, Transition("7F3K", first + number - 1, trigger, source, dest))
    return [(found.code, found.seq) for found in histories.findings]


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("source", State)
@pytest.mark.parametrize("dest", State)
def test_what_is_no_row_is_not_a_transition(trigger: Trigger, source: State, dest: State) -> None:
    """Of every trigger, source and destination there are, exactly the rows of the table pass."""
    legal = any((row.trigger, row.source, row.dest) == (trigger, source, dest) for row in TABLE)
    found = findings_of([(trigger.value, source.value, dest.value)])
    assert ((C.ILLEGAL_TRANSITION, 1) in found) != legal


def test_a_history_begins_at_the_beginning() -> None:
    """A first record in the middle, or of a later version, is said to be no beginning."""
    assert findings_of(SIGNED_IN) == []
    assert findings_of(SIGNED_IN[1:]) == [(C.NO_BEGINNING, 1)]
    assert findings_of(SIGNED_IN, first=2) == [(C.NO_BEGINNING, 1)]


def test_a_step_starts_where_the_last_one_ended() -> None:
    """A step that is missing, repeated, or under another version breaks the history there."""
    assert findings_of([*SIGNED_IN[:2], SIGNED_IN[3]]) == [(C.BROKEN_HISTORY, 3)]
    assert findings_of([*SIGNED_IN[:2], *SIGNED_IN[1:]]) == [(C.BROKEN_HISTORY, 3)]
    histories = Histories()
    for seq, (version, step) in enumerate(zip((1, 2, 2), SIGNED_IN, strict=False), 1):
        histories.take(seq, Transition("7F3K", version, *step))
    assert [(f.code, f.seq) for f in histories.findings] == [(C.BROKEN_HISTORY, 3)]


@pytest.mark.parametrize(
    ("path", "last"),
    [
        (SIGNED_IN[:3], ("fail", "exchanging", "idle")),
        (SIGNED_IN[:3], ("reject_grant", "exchanging", "idle")),
        (BY_ITSELF, ("reject_code", "exchanging", "idle")),
        (BY_ITSELF, ("postpone_refresh", "exchanging", "expired")),
        ([*BY_ITSELF, IN, ("renew", "authenticated", "exchanging")], ("reject_grant", "exchanging", "idle")),
        ([*BY_ITSELF, IN, ("renew", "authenticated", "exchanging")], ("time_out", "exchanging", "idle")),
        (SIGNED_IN[:3], ("postpone_refresh", "exchanging", "expired")),
        (SIGNED_IN[:3], ("reject_refresh", "exchanging", "refresh_failed")),
        ([*SIGNED_IN, ("refresh", "authenticated", "exchanging")], ("reject_code", "exchanging", "idle")),
        ([*SIGNED_IN, ("refresh", "authenticated", "exchanging")], ("cancel", "exchanging", "idle")),
    ],
)  # fmt: skip
def test_a_guard_is_a_matter_of_what_went_before(path, last) -> None:
    """A refresh is not refused where a code was sent, nor a code where a refresh token was."""
    assert findings_of([*path, last]) == [(C.ILLEGAL_TRANSITION, len(path) + 1)]


def test_many_stories_are_told_at_once() -> None:
    """Random walks of many logins, interleaved, are all legal; one step of another login is not."""
    rng = random.Random(7)
    histories = Histories()
    at = {f"{n:026}": (0, "idle", "") for n in range(20)}
    for seq in range(1, 2000):
        login = rng.choice(list(at))
        version, state, led = at[login]
        row = rng.choice([
            r for r in TABLE
            if r.source == state and led in _LED.get(r.guard, {led})
        ])  # fmt: skip
        histories.take(
            seq, Transition(login, version + 1, row.trigger.value, state, row.dest.value)
        )
        at[login] = (version + 1, row.dest.value, row.trigger.value)
    assert histories.findings == []
    present = {login: (version, state) for login, (version, state, _) in at.items()}
    histories.compare(present)
    assert histories.findings == []
    gone, older, strange, *_ = at
    del present[gone]
    present[older] = (present[older][0] - 1, present[older][1])
    present[strange] = (present[strange][0], "elsewhere")
    present["Z" * 26] = (3, "idle")
    histories.compare(present)
    assert {(f.code, f.login) for f in histories.findings} == {
        (C.VANISHED, gone),
        (C.VAULT_DIFFERS, older),
        (C.VAULT_DIFFERS, strange),
        (C.NO_HISTORY, "Z" * 26),
    }


def test_after_a_gap_a_history_only_goes_on() -> None:
    """Where records are missing a login may have moved, and it has not moved back."""
    histories = Histories()
    histories.take(1, Transition("7F3K", 1, *SIGNED_IN[0]))
    histories.take(2, Transition("9QX2", 1, *SIGNED_IN[0]))
    histories.interrupted(5)
    histories.take(6, Transition("7F3K", 4, *SIGNED_IN[3]))
    histories.take(7, Transition("NEW0", 9, *SIGNED_IN[3]))
    assert histories.findings == []
    histories.take(8, Transition("9QX2", 1, *SIGNED_IN[1]))
    histories.take(9, Transition("7F3K", 6, "expire", "authenticated", "expired"))
    assert [(f.code, f.seq) for f in histories.findings] == [
        (C.BROKEN_HISTORY, 8),
        (C.BROKEN_HISTORY, 9),
    ]
