from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import get_type_hints

import pytest
from instant import ManualClock
from logins import (
    BY_BROWSER,
    BY_DEVICE,
    CANARY,
    CHALLENGE,
    CODE_EXCHANGE,
    CONFIG,
    FULFILLED,
    NOW,
    ORIGIN,
    REFRESH_EXCHANGE,
    TOKENS,
    VIOLATED,
    fresh_login,
    login_in,
)
from stayfast.engine.audit.events import Event, Origin, Recorded
from stayfast.engine.errors import IllegalTransition, StorageConflict
from stayfast.engine.flows.ledger import Amendment, Circumstances, Ledger
from stayfast.engine.ports import Change
from stayfast.engine.reasons import Reason, Refusal
from stayfast.engine.record import Login
from stayfast.engine.summary import Identity
from stayfast.engine.table import TABLE, State, Trigger
from stayfast.storage.memory import MemoryStorage

WRITTEN = {
    "schema", "time", "event", "login", "provider", "account", "trigger", "from", "to", "reason",
    "transport", "outcome", "http_status", "oauth_error", "issuer", "scopes", "expires_in",
    "version", "attempt", "duration", "detail", "pkce", "pid", "host", "user", "app_version",
    "access_token_fp", "refresh_token_fp", "client_fp", "subject_fp",
}  # fmt: skip
"""Every name that may stand in an audit line, ``seq`` aside."""

SECRETS = {
    "challenge": CHALLENGE,
    "presentation": BY_DEVICE,
    "exchange": CODE_EXCHANGE,
    "tokens": TOKENS,
    "deadline": NOW + 600,
}


class Listener:
    """Keeps what it observes."""

    def __init__(self) -> None:
        self.observed: list[tuple[list[Recorded], Login | None]] = []

    def observe(self, recorded, login):
        self.observed.append((list(recorded), login))


@pytest.fixture
def clock():
    """A clock that stands at NOW."""
    return ManualClock(NOW)


@pytest.fixture
def storage():
    """An empty memory storage."""
    return MemoryStorage()


@pytest.fixture
def listener():
    """An observer."""
    return Listener()


@pytest.fixture
def ledger(storage, clock, listener):
    """A ledger over them."""
    return Ledger(storage, clock, ORIGIN, [listener])


def saved_in(storage: MemoryStorage, state: State, **record) -> Login:
    """A login in ``state`` that the storage already holds."""
    login = login_in(state, version=1, **record)
    storage.commit([Change(login=login, event=Event(time=NOW, event="test", origin=ORIGIN))])
    return login


def legal(row):
    """A record that satisfies the guard of ``row``."""
    return dict(FULFILLED[row.guard])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source}-{row.trigger}")
def test_one_transition_is_one_event_and_one_version(row, storage, ledger, listener, clock):
    """Each row, walked once, saves one record a version further and writes one line."""
    before = saved_in(storage, row.source, **legal(row))
    clock.time += 2.5

    after = ledger.advance(before, row.trigger)

    assert (after.state, after.version, after.changed_at) == (row.dest, 2, NOW + 2.5)
    assert storage.read(before.id) == after
    _, event = storage.events()
    recorded = {
        name: event.members[name] for name in ("event", "trigger", "from", "to", "version", "login")
    }
    assert recorded == {
        "event": "login.transition",
        "trigger": row.trigger,
        "from": row.source,
        "to": row.dest,
        "version": 2,
        "login": before.id,
    }
    assert event.members["time"] == NOW + 2.5
    assert listener.observed == [([event], after)]


@pytest.mark.parametrize("row", [row for row in TABLE if row.dest is State.IDLE], ids=str)
def test_whatever_ends_is_erased(row, storage, ledger):
    """On the way to idle every secret leaves the record, and what is stored."""
    before = saved_in(storage, row.source, **{**SECRETS, **legal(row)})

    after = ledger.advance(before, row.trigger, reason=Reason.USER_CANCELLED)

    assert [getattr(after, name) for name in SECRETS] == [None] * len(SECRETS)
    assert storage.read(before.id) == after
    assert after.alias is None


def test_an_ending_erases_even_what_it_was_given(ledger, storage):
    """No amendment brings a secret into a login that is over."""
    before = saved_in(storage, State.AWAITING_CALLBACK)

    after = ledger.advance(before, Trigger.CANCEL, challenge=CHALLENGE, tokens=TOKENS)

    assert (after.challenge, after.tokens) == (None, None)


REFUSED = [
    pytest.param(state, trigger, {}, id=f"{state}-{trigger}")
    for state in State
    for trigger in Trigger
    if not any(row.source is state and row.trigger is trigger for row in TABLE)
] + [
    pytest.param(row.source, row.trigger, record, id=f"{row.source}-{row.trigger}-{number}")
    for row in TABLE
    if row.guard
    for number, record in enumerate(VIOLATED[row.guard])
]


@pytest.mark.parametrize(("state", "trigger", "record"), REFUSED)
def test_a_refused_trigger_saves_nothing(state, trigger, record, storage, ledger, listener):
    """A transition that is not in the table changes neither record nor log, and no observer sees it."""
    before = saved_in(storage, state, **record)

    with pytest.raises(IllegalTransition):
        ledger.advance(before, trigger, tokens=TOKENS, reason=Reason.NETWORK)

    assert storage.read(before.id) == before
    assert len(storage.events()) == 1
    assert listener.observed == []


def test_a_login_decided_upon_an_old_version_is_not_saved(storage, ledger, listener):
    """Never write over something newer: the second of two decisions is refused, and no observer sees it."""
    before = saved_in(storage, State.AUTHENTICATED, tokens=TOKENS)
    newer = ledger.advance(before, Trigger.EXPIRE)

    with pytest.raises(StorageConflict):
        ledger.advance(before, Trigger.LOGOUT)

    assert storage.read(before.id) == newer
    assert len(storage.events()) == 2
    assert len(listener.observed) == 1


def test_several_changes_are_saved_as_one_or_not_at_all(storage, ledger, listener):
    """If one of several changes conflicts, none of them is made."""
    mine = saved_in(storage, State.AUTHENTICATED, tokens=TOKENS)
    other = fresh_login(1)
    changes = [
        ledger.draft(other, Trigger.BEGIN),
        ledger.draft(replace(mine, version=5), Trigger.LOGOUT),
    ]

    with pytest.raises(StorageConflict):
        ledger.commit(changes)

    assert storage.read(other.id) is None
    assert len(storage.events()) == 1
    assert listener.observed == []

    ledger.commit([changes[0], ledger.draft(mine, Trigger.LOGOUT)])
    assert [event.members.get("trigger") for event in storage.events(after=1)] == [
        "begin",
        "logout",
    ]
    assert [len(recorded) for recorded, _ in listener.observed] == [2]


def test_observers_hear_after_it_is_saved(storage, clock):
    """Save, then report: when an observer gets a transition, it can be read back."""
    seen = []

    class Reader:
        def observe(self, recorded, login):
            seen.append((storage.read(login.id), storage.events()[-1:] == recorded))

    after = Ledger(storage, clock, ORIGIN, [Reader()]).advance(fresh_login(), Trigger.BEGIN)

    assert seen == [(after, True)]


def test_a_refused_input_is_one_line_and_no_change(storage, ledger, listener):
    """A wrong callback writes one line under the login's name; the login stays as it was."""
    before = saved_in(
        storage, State.AWAITING_CALLBACK, challenge=CHALLENGE, presentation=BY_BROWSER
    )

    ledger.refuse(before, Refusal.WRONG_STATE, transport="loopback")

    assert storage.read(before.id) == before
    _, event = storage.events()
    assert event.members == {
        "schema": 1,
        "time": NOW,
        "event": "login.refused",
        "login": before.id,
        "provider": "acme",
        "account": "default",
        "version": 1,
        "reason": "wrong_state",
        "transport": "loopback",
        "outcome": "failure",
        "pid": 4711,
        "host": "testhost",
        "user": "ada",
        "app_version": "1.2.3",
    }
    assert listener.observed == [([event], before)]


def test_an_input_nobody_waits_for_is_logged_without_a_login(storage, ledger):
    """A callback that finds no login is still logged."""
    ledger.refuse(None, Refusal.WRONG_STATE, transport=None)

    (event,) = storage.events()
    assert "login" not in event.members
    assert event.members["reason"] == "wrong_state"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source}-{row.trigger}")
def test_no_secret_reaches_the_log(row, storage, ledger):
    """Walked with every secret there is, each row writes allow-listed fields and no secret."""
    before = saved_in(storage, row.source, **{**SECRETS, **legal(row)})

    ledger.advance(
        before,
        row.trigger,
        reason=Reason.PROVIDER_ERROR,
        circumstances=Circumstances(
            http_status=400, oauth_error="invalid_grant", detail="port=8080"
        ),
        tokens=TOKENS,
        identity=Identity(subject="canary-subject", name="canary-name"),
    )

    line = storage.events()[-1].members
    assert set(line) <= WRITTEN
    assert CANARY not in json.dumps(line).lower()


def test_fingerprints_tie_events_together_without_telling(storage, ledger):
    """The same token has the same fingerprint in one storage and another one elsewhere."""
    before = saved_in(storage, State.AUTHENTICATED, tokens=TOKENS)
    expired = ledger.advance(before, Trigger.EXPIRE)
    ledger.advance(expired, Trigger.LOGOUT)
    first, second = storage.events(after=1)
    elsewhere = MemoryStorage()
    Ledger(elsewhere, ManualClock(NOW), ORIGIN).advance(
        saved_in(elsewhere, State.AUTHENTICATED, tokens=TOKENS), Trigger.EXPIRE
    )

    assert first.members["refresh_token_fp"] == second.members["refresh_token_fp"]
    assert first.members["access_token_fp"] != first.members["refresh_token_fp"]
    assert elsewhere.events()[-1].members["refresh_token_fp"] != first.members["refresh_token_fp"]


def test_the_allow_list_is_the_event():
    """Every field of an event is on the list above; there is no place for another."""
    names = {f.name for f in fields(Event)} - {"origin", "fingerprints", "source", "dest"}
    names |= {"from", "to", "schema"} | {f.name for f in fields(Origin)}

    assert names == {name for name in WRITTEN if not name.endswith("_fp")}


def test_an_amendment_names_fields_of_the_record():
    """What a transition may set is in the record, and never what the ledger itself decides."""
    names = set(Amendment.__annotations__)

    assert names < {f.name for f in fields(Login)}
    assert names.isdisjoint({"id", "version", "state", "changed_at", "reason", "oauth_error"})
    assert get_type_hints  # the annotations above are names, not evaluated


@pytest.mark.parametrize(
    ("trigger", "outcome"),
    [(Trigger.EXPIRE, "success"), (Trigger.LOGOUT, "success"), (Trigger.REFRESH, "success")],
)
def test_what_was_meant_to_happen_is_a_success(trigger, outcome, storage, ledger):
    """The outcome says whether the user wanted the transition."""
    ledger.advance(saved_in(storage, State.AUTHENTICATED, tokens=TOKENS), trigger)

    assert storage.events()[-1].members["outcome"] == outcome


def test_a_refresh_whose_answer_was_lost_is_no_failure(storage, ledger):
    """Nobody knows how it went, and the log says so; an answer that postpones is a failure."""
    exchanging = {"exchange": REFRESH_EXCHANGE, "tokens": TOKENS}
    for number, reason in enumerate([Reason.OUTCOME_UNKNOWN, Reason.PROVIDER_BUSY]):
        login = replace(
            fresh_login(number), account=reason.value, state=State.EXCHANGING, **exchanging
        )
        ledger.advance(login, Trigger.POSTPONE_REFRESH, reason=reason, exchange=None)

    recorded = [one.members["outcome"] for one in storage.events()]
    assert recorded == ["unknown", "failure"]


def test_granted_scopes_and_lifetime_are_told_when_tokens_arrive(storage, ledger):
    """The line of `accept_tokens` says what was granted and for how long; no other does."""
    before = saved_in(storage, State.EXCHANGING, exchange=CODE_EXCHANGE, presentation=BY_BROWSER)
    signed_in = ledger.advance(before, Trigger.ACCEPT_TOKENS, tokens=TOKENS, exchange=None)
    ledger.advance(signed_in, Trigger.EXPIRE)
    arrived, expired = storage.events(after=1)

    assert (arrived.members["scopes"], arrived.members["expires_in"]) == (("read", "write"), 3600.0)
    assert arrived.members["issuer"] == CONFIG.issuer
    assert not {"scopes", "expires_in"} & set(expired.members)


def test_a_reason_lasts_until_the_next_transition(storage, ledger):
    """A record says why it is where it is, not why it once was elsewhere."""
    before = saved_in(storage, State.EXCHANGING, **legal_refresh())
    postponed = ledger.advance(
        before,
        Trigger.POSTPONE_REFRESH,
        reason=Reason.NETWORK,
        circumstances=Circumstances(oauth_error="temporarily_unavailable"),
    )
    again = ledger.advance(postponed, Trigger.REFRESH)

    assert (postponed.reason, postponed.oauth_error) == ("network", "temporarily_unavailable")
    assert (again.reason, again.oauth_error) == (None, None)


def legal_refresh():
    """A record with a refresh under way."""
    return legal(next(row for row in TABLE if row.trigger is Trigger.POSTPONE_REFRESH))


def test_a_clock_that_was_set_back_gives_no_negative_duration(storage, ledger, clock):
    """The time since the last transition is never below zero, whatever the clock does."""
    before = saved_in(storage, State.AUTHENTICATED, tokens=TOKENS)
    clock.time -= 86_400

    ledger.advance(before, Trigger.EXPIRE)

    assert storage.events()[-1].members["duration"] == 0.0
