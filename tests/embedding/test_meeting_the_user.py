"""How a program's call finds the user: the way it chooses, and how another thread ends the wait."""

from __future__ import annotations

import builtins
import io
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from stayfast import (
    ErrorCode,
    Failure,
    MemoryStorage,
    OAuthConfig,
    OAuthService,
    Success,
    TransportUnavailable,
)
from stayfast.engine.ports import Notice, NoticeKind
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.transport_maker import LineConversation, TransportMaker
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.transports.choice import Environment, choose_to_wait
from stayfast.transports.loopback.page import Site, denied
from stayfast.transports.terminal.answers import StreamAnswers

QUICK = 4.5  # seconds; below the slices in which a login is waited for, and the interval of polls


class Screen:
    """Keeps what is shown."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.shown = threading.Event()

    def show(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.shown.set()


class Agent:
    """A browser whose user says yes."""

    def open(self, url: str) -> None:
        threading.Thread(target=user_agent.approve, args=(url,), daemon=True).start()


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def config(server: AuthorizationServer) -> OAuthConfig:
    return server.config(service_name="acme")


def service(config: OAuthConfig, **given: Any) -> OAuthService:
    environ = {"HOME": "/nowhere", **given.pop("environ", {})}
    return OAuthService(
        app="tool", providers={"acme": config}, storage=MemoryStorage(), environ=environ, **given
    )


@pytest.mark.parametrize(
    ("facts", "answers", "way"),
    [
        ({"variables": {"DISPLAY": ":0", "BROWSER": "firefox"}}, False, "loopback"),
        ({"variables": {"DISPLAY": ":0"}, "device": True}, False, "loopback"),
        ({}, False, "loopback"),
        ({"device": True}, False, "device"),
        ({"device": True, "variables": {"BROWSER": "open-it"}}, False, "loopback"),
        ({"variables": {"SSH_CONNECTION": "1"}}, False, "loopback"),
        ({"variables": {"SSH_CONNECTION": "1"}, "device": True}, False, "device"),
        ({"variables": {"SSH_CONNECTION": "1"}, "device": True}, True, "manual"),
        ({"files": frozenset({"/.dockerenv"}), "device": True}, False, "device"),
        ({"files": frozenset({"/.dockerenv"})}, False, "loopback"),
        ({"files": frozenset({"/.dockerenv"})}, True, "manual"),
        ({"variables": {"CI": "true"}, "platform": "darwin"}, False, "loopback"),
        ({"variables": {"CI": "true"}, "device": True}, False, "device"),
        ({"platform": "darwin", "device": True}, False, "loopback"),
        ({"authorization": False, "device": True, "platform": "win32"}, False, "device"),
        ({"via": "manual", "device": True}, False, "manual"),
        ({"via": "drop"}, False, "drop"),
    ],
)
def test_a_call_chooses_a_way_that_it_can_wait_by(
    facts: dict[str, Any], answers: bool, way: str
) -> None:
    """Nothing that can be pasted is waited for where nobody can paste; no call turns into two steps."""
    environment = Environment(**{"terminal": answers, **facts})

    assert choose_to_wait(environment, answers=answers) == way


def test_a_programs_browser_is_one_that_can_come_back(config: OAuthConfig) -> None:
    """With a browser of its own, a program in a container without a screen listens at a port."""
    signed_in = service(config, browser=Agent(), conversation=Screen()).authenticate("acme")

    assert isinstance(signed_in, Success)


@pytest.mark.parametrize(
    ("environ", "own", "kind"),
    [
        ({"TOOL_VIA": "device"}, "auto", NoticeKind.CODE),
        ({"STAYFAST_VIA": "device", "BROWSER": "true"}, "auto", NoticeKind.OPEN),
        ({"TOOL_VIA": "loopback"}, "device", NoticeKind.CODE),
    ],
)
def test_the_programs_setting_comes_before_its_variable_and_no_other_counts(
    config: OAuthConfig, environ: dict[str, str], own: str, kind: NoticeKind
) -> None:
    """The provider's own way wins; then the program's variable; the command's is not read."""
    screen = Screen()
    answer = service(replace(config, via=own), conversation=screen, environ=environ).authenticate(
        "acme", open_browser=False, timeout=0.2
    )

    assert isinstance(answer, Failure)
    assert screen.notices[0].kind is kind


@pytest.mark.parametrize("via", ["loopback", "device"])
def test_another_thread_ends_a_wait_at_once(config: OAuthConfig, via: Any) -> None:
    """Once the token is set the call is over, the login is ended, and the next one can begin."""
    screen, stop = Screen(), threading.Event()
    tool = service(config, conversation=screen)
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            tool.authenticate("acme", via=via, open_browser=False, cancel=stop)
        )
    )
    waiting.start()
    assert screen.shown.wait(10)
    began = time.monotonic()
    stop.set()
    waiting.join(10)

    assert time.monotonic() - began < QUICK
    assert isinstance(answers[0], Failure)
    assert answers[0].code is ErrorCode.AUTH_CANCELLED
    (login,) = tool.assembly.conductor.overview.summaries()
    assert (login.state, login.reason) == (State.IDLE, "user_cancelled")
    again = tool.authenticate("acme", via=via, cancel=stop)
    assert isinstance(again, Failure)
    assert (
        len(tool.assembly.conductor.overview.summaries()) == 1
    )  # a token that is set begins no login


def test_a_resumed_wait_ends_at_once_too(config: OAuthConfig) -> None:
    """A login that was begun elsewhere is ended by the token of whoever resumes it."""
    screen, stop = Screen(), threading.Event()
    tool = service(config, conversation=screen)
    begun = tool.begin("acme", via="device")
    assert isinstance(begun, Success)
    threading.Timer(0.2, stop.set).start()

    answer = tool.resume(begun.value.login_id, cancel=stop)

    assert isinstance(answer, Failure)
    assert answer.code is ErrorCode.AUTH_CANCELLED
    assert not tool.assembly.open_logins()


def test_a_token_that_is_not_set_changes_nothing(config: OAuthConfig) -> None:
    """A login that can be ended, and is not, ends with tokens."""
    tool = service(config, browser=Agent(), conversation=Screen())

    assert isinstance(tool.authenticate("acme", cancel=threading.Event()), Success)


class Box:
    """The input of a notebook: what its user enters, one after the other."""

    def __init__(self, screen: Screen, *entered: str) -> None:
        self.screen = screen
        self.entered = [*entered]

    def __call__(self, prompt: str = "") -> str:
        assert prompt
        if self.entered:
            return self.entered.pop(0)
        url = self.screen.notices[0].url
        assert url is not None
        return user_agent.fetch_only(url)


@pytest.mark.parametrize("via", ["manual", "auto"])
def test_a_notebook_asks_through_its_input(
    server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch, capsys: Any, via: Any
) -> None:
    """Without a terminal, a box of the kernel takes the address; an empty or wrong entry asks again."""
    config = replace(server.config(service_name="acme"), device_url=None)
    screen = Screen()
    tool = service(config, environ={"container": "1"})
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(builtins, "input", Box(screen, "", "what?"))
    monkeypatch.setattr("stayfast.interfaces.user_contact.LineConversation", lambda: screen)

    signed_in = tool.authenticate("acme", via=via)

    assert isinstance(signed_in, Success)
    assert screen.notices[0].kind is NoticeKind.PASTE


def test_a_notebook_without_a_user_is_said(
    config: OAuthConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that lets nobody enter anything gives a failure, and the login can be resumed."""

    class NoInput(NotImplementedError):
        pass

    def refuse(prompt: str = "") -> str:
        raise NoInput(prompt)

    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(builtins, "input", refuse)
    tool = service(config)

    answer = tool.authenticate("acme", via="manual")

    assert isinstance(answer, Failure)
    assert answer.code is ErrorCode.TRANSPORT_UNAVAILABLE
    assert len(tool.assembly.open_logins()) == 1


def test_the_pages_are_the_programs() -> None:
    """The page in the browser has the program's name, and no line of the command."""
    octets = Site("tool & die", command=False).respond(denied("Acme", "acme"))

    assert b"tool &amp; die" in octets
    assert b"tayfast" not in octets
    assert b"stayfast login acme" in Site().respond(denied("Acme", "acme"))


class Blocked:
    """A place that pasted addresses come from, where nobody enters anything."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()

    def fileno(self) -> None:
        """Nothing can be waited on."""

    def read(self, seconds: float) -> None:
        """Wait for the end of the test, however long."""
        del seconds
        self.asked.set()
        self.over.wait(60)

    def close(self) -> None:
        """Nothing is held."""


def ended_at_once(call: Callable[[Any], Any], ready: threading.Event) -> None:
    """Set the token of ``call`` once it is ``ready``, and see that it is over soon."""
    stop = threading.Event()
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(call(stop)))
    waiting.start()
    assert ready.wait(10)
    began = time.monotonic()
    stop.set()
    waiting.join(20)

    assert time.monotonic() - began < QUICK
    assert isinstance(answers[0], Failure)
    assert answers[0].code is ErrorCode.AUTH_CANCELLED


def test_a_wait_for_input_ends_at_once(config: OAuthConfig) -> None:
    """The program's own place of answers blocks; the token ends the call nevertheless."""
    blocked = Blocked()
    tool = service(config, conversation=Screen(), answers=lambda: blocked)
    try:
        ended_at_once(
            lambda stop: tool.authenticate("acme", via="manual", open_browser=False, cancel=stop),
            blocked.asked,
        )
        assert not tool.assembly.open_logins()
    finally:
        blocked.over.set()


def test_a_wait_for_a_server_that_describes_itself_ends_at_once() -> None:
    """It accepts the connection and says nothing: the token ends the call before its time-out."""
    accepted = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            kept.append(silent.accept())
            accepted.set()

        kept: list[Any] = []
        threading.Thread(target=accept, daemon=True).start()
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tool = service(
            OAuthConfig(service_name="acme", issuer=issuer, client_id="x"), conversation=Screen()
        )
        ended_at_once(lambda stop: tool.authenticate("acme", cancel=stop), accepted)
        for connection, _ in kept:
            connection.close()


def test_a_pipe_that_does_not_end_is_waited_for_by_the_deadline() -> None:
    """What came is kept for the next look, and the end of the pipe is the end of the answer."""
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb", buffering=0) as pipe:
        answers = StreamAnswers(stream)
        assert answers.read(0) is None
        pipe.write(b"http://127.0.0.1/?co")
        assert answers.read(0.05) is None
        pipe.write(b"de=x")
        pipe.close()
        text = answers.read(1)
        assert text is not None
        assert text.reveal() == "http://127.0.0.1/?code=x"
        with pytest.raises(TransportUnavailable):
            answers.read(0)


def test_lines_say_that_a_paste_is_possible_where_it_is() -> None:
    """Only a login that reads the terminal beside its port says so."""
    out = io.StringIO()
    conversation = LineConversation(out)
    shown = Notice(kind=NoticeKind.OPEN, url="https://acme.test/authorize")
    conversation.show(shown)
    assert "paste" not in out.getvalue()
    maker = TransportMaker(Assembly(MemoryStorage(), Catalogue(environ={})), conversation)
    maker.make("racing")
    conversation.show(shown)
    assert "paste" in out.getvalue()
