"""Random walks through the ledger, held against a dictionary made of the table."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from instant import ManualClock
from logins import (
    BY_BROWSER,
    BY_DEVICE,
    CHALLENGE,
    CODE_EXCHANGE,
    CONFIG,
    GIVEN_ONCE,
    GRANT_EXCHANGE,
    NO_USER,
    ORIGIN,
    REFRESH_EXCHANGE,
    TOKENS,
    fresh_login,
)
from stayfast.engine.errors import IllegalTransition, StorageConflict
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.machine import allows
from stayfast.engine.table import TABLE, State, Trigger
from stayfast.storage.memory import MemoryStorage

MODEL = {(str(row.source), str(row.trigger)): (str(row.dest), row.guard) for row in TABLE}
"""The table once more, as plain data."""

AMENDMENTS = st.fixed_dictionaries(
    {},
    optional={
        "challenge": st.sampled_from([None, CHALLENGE]),
        "presentation": st.sampled_from([None, BY_BROWSER, BY_DEVICE]),
        "exchange": st.sampled_from([None, CODE_EXCHANGE, REFRESH_EXCHANGE, GRANT_EXCHANGE]),
        "tokens": st.sampled_from([None, TOKENS, replace(TOKENS, refresh_token=None)]),
        "deadline": st.sampled_from([None, 1.0]),
    },
)


class Walk(RuleBasedStateMachine):
    """Any trigger at any login at any time, old copies of records included."""

    logins = Bundle("logins")

    def __init__(self) -> None:
        super().__init__()
        self.storage = MemoryStorage()
        self.clock = ManualClock()
        self.ledger = Ledger(self.storage, self.clock, ORIGIN)
        self.model: dict[str, tuple[str, int]] = {}
        self.expected: list[tuple[str, str, str, str, int]] = []
        self.count = 0

    @rule(target=logins)
    def meet(self):
        """Somebody wants to sign in."""
        config = (CONFIG, NO_USER, GIVEN_ONCE)[self.count % 3]
        login = replace(fresh_login(self.count), account=f"account-{self.count}", config=config)
        self.count += 1
        self.model[login.id] = ("idle", 0)
        return login.id, [login]

    @rule(
        known=logins,
        trigger=st.sampled_from(Trigger),
        amendment=AMENDMENTS,
        seconds=st.floats(-10, 1000),
        stale=st.integers(0, 20),
    )
    def try_any(self, known, trigger, amendment, seconds, stale):
        """Try one trigger on a login: the newest copy of its record, or now and then an old one."""
        login_id, copies = known
        login = copies[max(0, len(copies) - 1 - stale)] if stale < 4 else copies[-1]
        if "challenge" in amendment and amendment["challenge"] is not None:
            amendment["challenge"] = None  # two logins with one state have no business here
        self.clock.time += seconds
        dest, guard = MODEL.get((str(login.state), str(trigger)), (None, None))
        try:
            after = self.ledger.advance(login, trigger, **amendment)
        except IllegalTransition:
            assert dest is None or not allows(guard, login)
            return
        except StorageConflict:
            assert dest is not None
            assert self.model[login_id][1] != login.version
            return
        assert dest is not None
        assert allows(guard, login)
        assert self.model[login_id][1] == login.version
        copies.append(after)
        self.model[login_id] = (dest, login.version + 1)
        self.expected.append((login_id, str(trigger), str(login.state), dest, login.version + 1))
        if after.state is State.IDLE:
            assert (after.tokens, after.exchange, after.challenge, after.presentation) == (
                None,
            ) * 4
        else:
            assert all(getattr(after, name) == value for name, value in amendment.items())

    @invariant()
    def the_storage_holds_what_the_model_says(self):
        """Every login is in the state and version of the model."""
        for login_id, (state, version) in self.model.items():
            login = self.storage.read(login_id)
            if version == 0:
                assert login is None
            else:
                assert login is not None
                assert (str(login.state), login.version) == (state, version)

    @invariant()
    def the_log_tells_every_transition_once(self):
        """The log is the walk, in order, without gaps."""
        events = self.storage.events(limit=10_000)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [
            tuple(event.members[name] for name in ("login", "trigger", "from", "to", "version"))
            for event in events
        ] == self.expected


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
