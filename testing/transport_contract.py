"""The contract of a transport, as tests that its author runs.

::

    class TestMine(TransportContract):
        @pytest.fixture
        def case(self):
            return TransportCase(
                make=lambda conversation: MyTransport(conversation),
                config=OAuthConfig(...),
                answer=lambda session, parameters: ...,
            )

A failing test names the rule that is broken in its first line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from ..engine.errors import TransportUnavailable
from ..engine.oauth.provider import OAuthConfig
from ..engine.ports import (
    Arrival,
    Asking,
    Conversation,
    Notice,
    PollDue,
    ReceivedCallback,
    Session,
    Transport,
    Verdict,
    VerdictKind,
)
from ..engine.reasons import Refusal
from ..engine.record import Presentation

Answer = Callable[[Session, Sequence[tuple[str, str]]], None]

ADDRESS = "https://provider.example/authorize?state=kept-to-ourselves"
"""The authorization URL that sessions present."""
PATIENCE = 10.0
"""Seconds within which an answer must have arrived."""
_SHORT = 0.05
_PARAMETERS = (("code", "a/b+c="), ("state", "s"), ("extra", ""), ("extra", "again"))


@dataclass(frozen=True, kw_only=True)
class TransportCase:
    """A transport, and a user for it.

    Attributes:
        make: Makes the transport with a conversation.
        config: A provider that it can work for.
        answer: Plays the user. It delivers the callback parameters in the way that the transport
            waits for, and must not wait until the session has taken them. For a device flow it
            lets the time of the next poll come, by every clock.
        polls: Whether it is a device flow, whose arrivals are polls.
    """

    make: Callable[[Conversation], Transport]
    config: OAuthConfig
    answer: Answer
    polls: bool = False

    @property
    def asking(self) -> Asking:
        """The login that the transport works for."""
        return Asking(login_id="0" * 26, config=self.config, deadline=time.time() + 600)

    @property
    def address(self) -> str | None:
        """The address that sessions present; ``None`` in a device flow."""
        return None if self.polls else ADDRESS


@dataclass
class Notices:
    """A conversation that collects its notices."""

    notices: list[Notice] = field(default_factory=list[Notice])

    def show(self, notice: Notice) -> None:
        """Remember ``notice``."""
        self.notices.append(notice)


@contextmanager
def opened(case: TransportCase, shown: Notices | None = None) -> Generator[Session]:
    """A session that has been prepared and presented."""
    session = case.make(shown or Notices()).prepare(case.asking)
    try:
        session.present(case.address)
        yield session
    finally:
        session.close()


def received(session: Session) -> Arrival:
    """The next arrival, within :data:`PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        arrival = session.receive(0.5)
        if arrival is not None:
            return arrival
    raise AssertionError("the answer has not arrived")


class TransportContract:
    """The rules; a subclass gives the fixture ``case``."""

    @pytest.fixture
    def case(self) -> TransportCase:
        """The transport under test."""
        raise TypeError("a subclass gives the case")

    def test_it_has_a_name_that_can_be_said(self, case: TransportCase) -> None:
        """The name is one lower-case word: it stands in commands, records and logs."""
        name = case.make(Notices()).name
        assert name
        assert name == name.strip().lower()
        assert name.replace("-", "").replace("_", "").isalnum()

    def test_nothing_is_shown_before_it_is_saved(self, case: TransportCase) -> None:
        """Preparing shows the user nothing: what it needs to go on is saved first."""
        shown = Notices()
        session = case.make(shown).prepare(case.asking)
        assert shown.notices == []
        session.close()

    def test_the_presentation_is_enough_to_go_on(self, case: TransportCase) -> None:
        """It names its transport, and a redirect address or a device code, from the start."""
        session = case.make(Notices()).prepare(case.asking)
        presentation = session.presentation
        session.close()
        assert presentation.transport == case.make(Notices()).name
        if case.polls:
            assert presentation.device is not None
        else:
            assert presentation.redirect_uri
            assert "://" in presentation.redirect_uri

    def test_the_user_is_shown_what_to_do(self, case: TransportCase) -> None:
        """Presenting says at least one thing, with the address or the code in it."""
        shown = Notices()
        with opened(case, shown):
            assert shown.notices
        if case.polls:
            assert any(notice.user_code for notice in shown.notices)
        else:
            assert any(notice.url == ADDRESS for notice in shown.notices)

    def test_a_wait_without_an_answer_ends(self, case: TransportCase) -> None:
        """Without an answer ``receive`` gives ``None``, within the time given."""
        with opened(case) as session:
            start = time.monotonic()
            assert session.receive(_SHORT) is None
            assert time.monotonic() - start < _SHORT + 2

    def test_an_answer_arrives_as_it_was_given(self, case: TransportCase) -> None:
        """Parameters arrive decoded, in order, empty ones and duplicates kept."""
        with opened(case) as session:
            case.answer(session, _PARAMETERS)
            arrival = received(session)
            if case.polls:
                assert isinstance(arrival, PollDue)
            else:
                assert isinstance(arrival, ReceivedCallback)
                assert list(arrival.parameters) == list(_PARAMETERS)
            session.reply(Verdict(kind=VerdictKind.FAILED, message="a test"))

    def test_the_wait_goes_on_after_a_refusal(self, case: TransportCase) -> None:
        """An answer that was refused, or a poll that was early, is followed by the next one."""
        no = VerdictKind.PENDING if case.polls else VerdictKind.REFUSED
        with opened(case) as session:
            for _ in range(3):
                case.answer(session, _PARAMETERS)
                received(session)
                session.reply(Verdict(kind=no, message="not this one", reason=Refusal.WRONG_STATE))
            case.answer(session, _PARAMETERS)
            received(session)

    @pytest.mark.parametrize("end", ["signed_in", "denied", "failed"])
    def test_every_end_can_be_shown(self, case: TransportCase, end: str) -> None:
        """After acceptance comes one last verdict; then the session is closed, twice if need be."""
        with opened(case) as session:
            case.answer(session, _PARAMETERS)
            received(session)
            if not case.polls:
                session.reply(Verdict(kind=VerdictKind.ACCEPTED))
            session.reply(Verdict(kind=VerdictKind(end), message="a test", who="ada"))
            session.close()
            session.close()

    def test_a_session_may_end_before_it_began(self, case: TransportCase) -> None:
        """Closing is harmless at any time, also before anything was presented."""
        session = case.make(Notices()).prepare(case.asking)
        session.close()
        session.close()

    def test_it_goes_on_after_a_restart(self, case: TransportCase) -> None:
        """From the saved presentation alone it waits for the same answer again."""
        with opened(case) as first:
            saved = first.presentation
        again = case.make(Notices()).reopen(case.asking, saved)
        try:
            assert again.presentation.redirect_uri == saved.redirect_uri
            assert again.presentation.device == saved.device
            again.present(case.address)
            case.answer(again, _PARAMETERS)
            received(again)
        finally:
            again.close()

    def test_what_it_cannot_go_on_with_is_said(self, case: TransportCase) -> None:
        """A login that was asked in another way is refused as unavailable, nothing else."""
        with pytest.raises(TransportUnavailable):
            case.make(Notices()).reopen(case.asking, Presentation(transport="another"))

    def test_nothing_secret_is_in_a_repr(self, case: TransportCase) -> None:
        """Neither the session nor what arrived shows codes or ``state`` when it is printed."""
        conversation = Notices()
        with opened(case, conversation) as session:
            case.answer(session, _PARAMETERS)
            arrival = received(session)
            shown = f"{session!r} {arrival!r} {conversation.notices!r} {session.presentation!r}"
            assert "kept-to-ourselves" not in shown
            assert "a/b+c=" not in shown
            device = session.presentation.device
            assert device is None or device.device_code.reveal() not in shown
