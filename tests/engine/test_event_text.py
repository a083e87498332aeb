"""The text of an event: one for the same members, and found again from an exported line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stayfast.engine.audit.events import (
    Event,
    EventKind,
    NotAnEvent,
    Origin,
    Recorded,
    Transition,
    members_of_text,
    text_of,
    text_of_line,
    transition_in_text,
    transition_of,
)
from stayfast.interfaces.audit.lines import line_of, render

_TEXT = st.text(st.characters(), max_size=12)  # lone surrogates too
_EVENTS = st.builds(
    Event,
    time=st.floats(0, 4e9),
    event=st.sampled_from(EventKind),
    origin=st.builds(
        Origin, pid=st.integers(0, 1 << 30), host=_TEXT, user=_TEXT, app_version=_TEXT
    ),
    login=st.none() | _TEXT,
    provider=st.none() | _TEXT,
    trigger=st.none() | _TEXT,
    source=st.none() | _TEXT,
    dest=st.none() | _TEXT,
    detail=st.none() | _TEXT | st.just('",from":"idle","to":"\\'),
    scopes=st.none() | st.lists(_TEXT, max_size=3).map(tuple),
    expires_in=st.none() | st.floats(0, 1e12),
    duration=st.none() | st.floats(0, 1e9),
    version=st.none() | st.integers(0, 1 << 40),
)


@settings(max_examples=60, deadline=None)
@given(_EVENTS)
def test_a_line_leads_back_to_the_text(event: Event) -> None:
    """The line of any event gives back exactly the text that was linked."""
    members = event.members()
    text = text_of(members)
    assert members_of_text(text) == members
    line = render(None, "", line_of(Recorded(7, members, b"p", b"m")))
    assert text_of_line(json.loads(line)) == text


@settings(max_examples=60, deadline=None)
@given(_EVENTS)
def test_the_quick_reading_of_a_transition_agrees_with_the_thorough_one(event: Event) -> None:
    """The quick way to the path of a login and the thorough one agree, on every text."""
    members = event.members()
    expected: Transition | str | None
    try:
        expected = transition_of(members)
    except NotAnEvent:
        expected = "none"
    try:
        seen: Transition | str | None = transition_in_text(text_of(members))
    except NotAnEvent:
        seen = "none"
    assert seen == expected


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xa1\x01", b"null", b"{\xff}"])
def test_what_is_no_event_is_said_to_be_none(text: bytes) -> None:
    """Octets that are neither of the two encodings are refused."""
    with pytest.raises(NotAnEvent):
        members_of_text(text)
