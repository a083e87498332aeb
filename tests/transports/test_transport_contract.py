"""The transports of this package hold the contract that third parties' must hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Asking, Notice, NoticeKind, ReceivedCallback, Session
from stayfast.engine.record import Presentation
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage.host import SystemClock
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.transport_contract import TransportCase, TransportContract
from stayfast.transports.device import DeviceTransport
from stayfast.transports.loopback.transport import LoopbackTransport
from stayfast.transports.manual import ManualSession, ManualTransport
from stayfast.transports.racing import RacingTransport
from stayfast.transports.terminal.answers import TerminalAnswers
from wire_talk import Background, Keyboard, NoBrowser, keyboard

CONFIG = OAuthConfig(service_name="x", client_id="y", redirect_uri="http://127.0.0.1:0/callback")

Parameters = Sequence[tuple[str, str]]


def call(session: Session, parameters: Parameters) -> None:
    """A browser that comes back, and waits for its page in a thread."""
    address = f"{session.presentation.redirect_uri}?{urlencode(parameters)}"
    Background(lambda: requests.get(address, timeout=15))


def paste_at(keys: Keyboard, session: Session, parameters: Parameters) -> None:
    keys.paste(f"{session.presentation.redirect_uri}?{urlencode(parameters)}")


@pytest.fixture
def keys() -> Iterator[Keyboard]:
    with keyboard() as opened:
        yield opened


class TestLoopback(TransportContract):
    @pytest.fixture
    def case(self) -> TransportCase:
        return TransportCase(
            make=lambda talk: LoopbackTransport(talk, NoBrowser(), SystemClock()),
            config=CONFIG,
            answer=call,
        )


class TestManual(TransportContract):
    @pytest.fixture
    def case(self, keys: Keyboard) -> TransportCase:
        return TransportCase(
            make=lambda talk: ManualTransport(talk, lambda: TerminalAnswers(keys.slave)),
            config=CONFIG,
            answer=lambda session, parameters: paste_at(keys, session, parameters),
        )


class Racing(TransportContract):
    @pytest.fixture
    def case(self, keys: Keyboard) -> TransportCase:
        return TransportCase(
            make=lambda talk: RacingTransport(
                LoopbackTransport(talk, NoBrowser(), SystemClock()),
                ManualTransport(talk, lambda: TerminalAnswers(keys.slave)),
            ),
            config=CONFIG,
            answer=lambda session, parameters: self.answer(keys, session, parameters),
        )

    def answer(self, keys: Keyboard, session: Session, parameters: Parameters) -> None:
        raise TypeError("a subclass answers")


class TestRacingByPort(Racing):
    def answer(self, keys: Keyboard, session: Session, parameters: Parameters) -> None:
        call(session, parameters)


class TestRacingByPaste(Racing):
    def answer(self, keys: Keyboard, session: Session, parameters: Parameters) -> None:
        paste_at(keys, session, parameters)


class Skippable(SystemClock):
    """The clock of the system, which a test can put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    def skip(self, seconds: float) -> None:
        self.ahead += seconds


class TestDevice(TransportContract):
    @pytest.fixture
    def case(self) -> Iterator[TransportCase]:
        clock = Skippable()
        with AuthorizationServer() as server:
            yield TransportCase(
                make=lambda talk: DeviceTransport(talk, RequestsHttp(), clock),
                config=server.config(),
                answer=lambda session, parameters: clock.skip(5),
                polls=True,
            )


class Hasty(ManualTransport):
    """Shows something before it was saved."""

    def prepare(self, asking: Asking) -> ManualSession:
        self._conversation.show(Notice(kind=NoticeKind.PASTE))
        return super().prepare(asking)


class Forgetful(ManualTransport):
    """Takes any login for one it can go on with."""

    def reopen(self, asking: Asking, presentation: Presentation) -> ManualSession:
        return self.prepare(asking)


class Careless(ManualTransport):
    """Keeps one value for each name."""

    def prepare(self, asking: Asking) -> ManualSession:
        session = super().prepare(asking)
        whole = session.receive

        def receive(seconds: float) -> ReceivedCallback | None:
            arrival = whole(seconds)
            if arrival is None:
                return None
            return ReceivedCallback(parameters=list(dict(arrival.parameters).items()))

        session.receive = receive  # type: ignore[method-assign]  # to break it
        return session


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Hasty, TransportContract.test_nothing_is_shown_before_it_is_saved),
        (Forgetful, TransportContract.test_what_it_cannot_go_on_with_is_said),
        (Careless, TransportContract.test_an_answer_arrives_as_it_was_given),
    ],
)
def test_the_contract_notices(keys: Keyboard, broken: type[ManualTransport], rule: Any) -> None:
    """A transport that breaks a rule fails the test of that rule."""
    case = TransportCase(
        make=lambda talk: broken(talk, lambda: TerminalAnswers(keys.slave)),
        config=CONFIG,
        answer=lambda session, parameters: paste_at(keys, session, parameters),
    )
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(TransportContract(), case)
