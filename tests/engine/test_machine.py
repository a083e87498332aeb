from __future__ import annotations

import gc
import tracemalloc
from dataclasses import replace

import pytest
from logins import BY_DEVICE, CODE_EXCHANGE, FULFILLED, REFRESH_EXCHANGE, TOKENS, VIOLATED, login_in
from stayfast.engine import machine
from stayfast.engine.errors import IllegalTransition
from stayfast.engine.machine import next_state
from stayfast.engine.table import TABLE, State, Trigger

ROWS = {(row.source, row.trigger): row for row in TABLE}
EVERYTHING = {"presentation": BY_DEVICE, "exchange": CODE_EXCHANGE, "tokens": TOKENS}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_trigger_in_every_state(state, trigger):
    """A trigger leads where its row says; where there is no row it is refused."""
    row = ROWS.get((state, trigger))
    if row is not None:
        assert next_state(login_in(state, **FULFILLED[row.guard]), trigger) is row.dest
        return
    for fields in ({}, EVERYTHING, {**EVERYTHING, "exchange": REFRESH_EXCHANGE}):
        login = login_in(state, **fields)
        before = replace(login)
        with pytest.raises(IllegalTransition):
            next_state(login, trigger)
        assert login == before


GUARDED = [
    pytest.param(row, fields, id=f"{row.source}-{row.trigger}-{number}")
    for row in TABLE
    if row.guard
    for number, fields in enumerate(VIOLATED[row.guard])
]


@pytest.mark.parametrize(("row", "fields"), GUARDED)
def test_a_guard_that_says_no_refuses(row, fields):
    """Each guarded row is refused for records that do not satisfy its guard."""
    with pytest.raises(IllegalTransition):
        next_state(login_in(row.source, **fields), row.trigger)


def test_a_refusal_leaves_the_next_transition_as_it_was():
    """The machine carries nothing over from a refused trigger to the next login."""
    with pytest.raises(IllegalTransition):
        next_state(login_in(State.EXCHANGING), Trigger.REJECT_CODE)

    assert next_state(login_in(State.IDLE), Trigger.BEGIN) is State.CHALLENGE


def test_there_are_no_ways_around_the_table():
    """No `to_STATE()` jumps, no queue that answers yes to a guard that said no."""
    built = machine._machine()

    assert [name for name in built.events if name.startswith("to_")] == []
    assert set(built.events) == {str(trigger) for trigger in Trigger}
    assert set(built.states) == {str(state) for state in State}
    assert not built.has_queue
    assert not built.ignore_invalid_triggers


def test_the_machine_holds_the_rows_of_the_table_and_no_other():
    """What the interpreter was given is the table."""
    held = {
        (name, transition.source, transition.dest)
        for name, event in machine._machine().events.items()
        for transitions in event.transitions.values()
        for transition in transitions
    }

    assert held == {(str(row.trigger), str(row.source), str(row.dest)) for row in TABLE}


def test_the_machine_is_built_once():
    """One machine serves every login."""
    assert machine._machine() is machine._machine()


def test_ten_thousand_logins_leave_nothing_in_the_machine():
    """Logins pass through the machine without being kept by it."""
    built = machine._machine()
    next_state(login_in(State.IDLE), Trigger.BEGIN)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            next_state(login_in(State.IDLE), Trigger.BEGIN)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert built.models == []
    assert after - before < 20_000  # bytes; one kept record alone would be ten times that in all
