from __future__ import annotations

from collections import Counter

import pytest
from logins import FULFILLED, VIOLATED
from stayfast.engine.machine import GUARDS
from stayfast.engine.table import PENDING, TABLE, Guard, Row, State, Trigger


def test_trigger_and_source_are_unique():
    """Of two rows with the same trigger and source the interpreter would follow the first."""
    counted = Counter((row.trigger, row.source) for row in TABLE)

    assert [pair for pair, count in counted.items() if count > 1] == []


def test_every_state_can_be_reached_from_idle():
    """No state is an island."""
    reached = {State.IDLE}
    while more := {row.dest for row in TABLE if row.source in reached} - reached:
        reached |= more

    assert reached == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_leads_back_to_idle(state):
    """No login is stuck: from every state some way leads to the end."""
    reached = {state}
    while more := {row.dest for row in TABLE if row.source in reached} - reached:
        reached |= more

    assert State.IDLE in reached


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("pending", [True, False])
def test_every_state_has_a_way_out_whatever_its_record_holds(state, pending):
    """The guards leave no record without a legal trigger."""
    ways = [row.guard for row in TABLE if row.source is state]
    if state is State.EXCHANGING:  # each kind of exchange has its own ways out
        own = Guard.GETS_FIRST_TOKENS if pending else Guard.RENEWS_TOKENS
        ways = [guard for guard in ways if guard in (None, own)]
        assert own in ways

    assert ways
    assert None in ways


def test_every_trigger_has_a_row():
    """The vocabulary holds no word that means nothing."""
    assert {row.trigger for row in TABLE} == set(Trigger)


def test_every_guard_is_used_and_has_its_condition():
    """A guard stands in a row, in the interpreter, and in the examples of the tests."""
    used = {row.guard for row in TABLE} - {None}

    assert used == set(Guard) == set(GUARDS) == set(VIOLATED)
    assert set(FULFILLED) == {None, *Guard}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source}-{row.trigger}")
def test_a_row_says_what_it_means(row: Row):
    """Each row has a clause for people, without a full stop, and cites a specification by section."""
    assert row.meaning
    assert row.meaning[0].islower()
    assert not row.meaning.endswith(".")
    assert row.rfc == "" or (row.rfc.startswith(("RFC ", "OpenID ")) and "§" in row.rfc)


def test_pending_states_are_those_between_begin_and_an_answer():
    """What a login passes through before its first tokens: reachable from begin without them."""
    reached = {State.CHALLENGE}
    holding = {State.AUTHENTICATED, State.EXPIRED, State.REFRESH_FAILED, State.IDLE}
    while more := {row.dest for row in TABLE if row.source in reached} - reached - holding:
        reached |= more

    assert reached == PENDING
