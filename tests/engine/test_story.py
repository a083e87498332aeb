"""The stories of a log, replayed: what could not have happened is said, and where."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from stayfast.engine.audit.events import Step
from stayfast.engine.audit.findings import FindingCode
from stayfast.engine.audit.histories import Stories
from stayfast.engine.table import TABLE, State, Trigger

C = FindingCode
BEGUN = [("begin", "idle", "challenge"), ("present", "challenge", "awaiting_callback")]
SIGNED_IN = [
    *BEGUN,
    ("receive_callback", "awaiting_callback", "exchanging"),
    ("accept_tokens", "exchanging", "authenticated"),
]


def told(path: Sequence[tuple[str, str, str]], *, first: int = 1) -> list[tuple[FindingCode, int | None]]:  # fmt: skip
    """The findings of one login that takes ``path``."""
    stories = Stories()
    for number, (trigger, source, dest) in enumerate(path, 1):
        stories.take(number, Step("7F3K", first + number - 1, trigger, source, dest))
    return [(found.code, found.seq) for found in stories.findings]


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("source", State)
@pytest.mark.parametrize("dest", State)
def test_what_is_no_row_is_not_a_transition(trigger: Trigger, source: State, dest: State) -> None:
    """Of every trigger, source and destination there are, exactly the rows of the table pass."""
    legal = any((row.trigger, row.source, row.dest) == (trigger, source, dest) for row in TABLE)
    found = told([(trigger.value, source.value, dest.value)])
    assert ((C.ILLEGAL_TRANSITION, 1) in found) != legal


def test_a_story_begins_at_the_beginning() -> None:
    """A first record in the middle, or of a later version, is said to be no beginning."""
    assert told(SIGNED_IN) == []
    assert told(SIGNED_IN[1:]) == [(C.NO_BEGINNING, 1)]
    assert told(SIGNED_IN, first=2) == [(C.NO_BEGINNING, 1)]


def test_a_step_starts_where_the_last_one_ended() -> None:
    """A step that was left out, told twice, or under another version breaks the story there."""
    assert told([*SIGNED_IN[:2], SIGNED_IN[3]]) == [(C.BROKEN_STORY, 3)]
    assert told([*SIGNED_IN[:2], *SIGNED_IN[1:]]) == [(C.BROKEN_STORY, 3)]
    stories = Stories()
    for seq, (version, step) in enumerate(zip((1, 2, 2), SIGNED_IN, strict=False), 1):
        stories.take(seq, Step("7F3K", version, *step))
    assert [(f.code, f.seq) for f in stories.findings] == [(C.BROKEN_STORY, 3)]


@pytest.mark.parametrize(
    ("path", "last"),
    [
        (SIGNED_IN[:3], ("postpone_refresh", "exchanging", "expired")),
        (SIGNED_IN[:3], ("reject_refresh", "exchanging", "refresh_failed")),
        ([*SIGNED_IN, ("refresh", "authenticated", "exchanging")], ("reject_code", "exchanging", "idle")),
        ([*SIGNED_IN, ("refresh", "authenticated", "exchanging")], ("cancel", "exchanging", "idle")),
    ],
)  # fmt: skip
def test_a_guard_is_a_matter_of_what_went_before(path, last) -> None:
    """A refresh is not refused where a code was sent, nor a code where a refresh token was."""
    assert told([*path, last]) == [(C.ILLEGAL_TRANSITION, len(path) + 1)]


def test_many_stories_are_told_at_once() -> None:
    """Random walks of many logins, interleaved, are all legal; one step of another login is not."""
    rng = random.Random(7)
    stories = Stories()
    at = {f"{n:026}": (0, "idle", "") for n in range(20)}
    for seq in range(1, 2000):
        login = rng.choice(list(at))
        version, state, led = at[login]
        row = rng.choice([
            r for r in TABLE
            if r.source == state and not (r.guard == "sends_code" and led != "receive_callback")
            and not (r.guard == "sends_refresh_token" and led != "refresh")
        ])  # fmt: skip
        stories.take(seq, Step(login, version + 1, row.trigger.value, state, row.dest.value))
        at[login] = (version + 1, row.dest.value, row.trigger.value)
    assert stories.findings == []
    present = {login: (version, state) for login, (version, state, _) in at.items()}
    stories.compare(present)
    assert stories.findings == []
    gone, older, strange, *_ = at
    del present[gone]
    present[older] = (present[older][0] - 1, present[older][1])
    present[strange] = (present[strange][0], "elsewhere")
    present["Z" * 26] = (3, "idle")
    stories.compare(present)
    assert {(f.code, f.login) for f in stories.findings} == {
        (C.VANISHED, gone),
        (C.VAULT_DIFFERS, older),
        (C.VAULT_DIFFERS, strange),
        (C.NO_STORY, "Z" * 26),
    }


def test_after_a_gap_a_story_only_goes_on() -> None:
    """Where records are missing a login may have moved, and it has not moved back."""
    stories = Stories()
    stories.take(1, Step("7F3K", 1, *SIGNED_IN[0]))
    stories.take(2, Step("9QX2", 1, *SIGNED_IN[0]))
    stories.interrupted(5)
    stories.take(6, Step("7F3K", 4, *SIGNED_IN[3]))
    stories.take(7, Step("NEW0", 9, *SIGNED_IN[3]))
    assert stories.findings == []
    stories.take(8, Step("9QX2", 1, *SIGNED_IN[1]))
    stories.take(9, Step("7F3K", 6, "expire", "authenticated", "expired"))
    assert [(f.code, f.seq) for f in stories.findings] == [(C.BROKEN_STORY, 8), (C.BROKEN_STORY, 9)]
