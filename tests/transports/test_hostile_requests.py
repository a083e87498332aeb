"""Requests made to do harm, and moments made to catch the listener out."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from command import until
from conductors import conductor_over
from hypothesis import given, settings
from hypothesis import strategies as st
from stayfast.engine.errors import (
    AuthFailed,
    CallbackRefused,
    StorageFull,
    TransportUnavailable,
)
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Change, NoticeKind, Verdict, VerdictKind
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.user_agent import UserAgent, approve, fetch_only, tampered
from stayfast.transports.loopback import page
from stayfast.transports.loopback.http_message import Request, RequestReader
from stayfast.transports.loopback.last_page import DONE_PATH
from stayfast.transports.loopback.transport import LoopbackSession, LoopbackTransport
from wire_talk import Background, NoBrowser, Notices, asking

CONFIG = OAuthConfig(
    service_name="x", client_id="y", display_name="X", redirect_uri="http://127.0.0.1:0/callback"
)
HEAD = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def session() -> Iterator[LoopbackSession]:
    opened = LoopbackTransport(Notices(), NoBrowser(), SystemClock()).prepare(asking(CONFIG))
    yield opened
    opened.close()


def home(session: LoopbackSession) -> str:
    return (session.presentation.redirect_uri or "").rpartition("/")[0]


def port_of(address: str) -> int:
    return int(address.split(":")[2].partition("/")[0])


def answered(session: LoopbackSession, octets: bytes) -> int:
    """The status ``octets`` are answered with, while a login waits."""

    def send() -> int:
        with closing(socket.create_connection(("127.0.0.1", port_of(home(session))), 5)) as client:
            client.sendall(octets)
            words = client.recv(200).split()
            return int(words[1]) if words else 0

    stranger = Background(send)
    while stranger.running:
        with suppress(CallbackRefused):  # it is logged, and was answered
            assert session.receive(0.05) is None
    return stranger.result()


@pytest.mark.parametrize(
    ("length", "status"),
    [
        ("0" * 5000 + "1", 400),  # more digits than int() takes; no body, so no answer in it
        ("0" * 9 + "9999999999", 413),  # small at first sight
        ("9" * 5000, 413),
        ("65537", 413),
        ("+1", 400),
        ("1_0", 400),
        ("١", 400),
        ("", 400),
    ],
)
def test_no_length_of_a_body_does_harm(session: LoopbackSession, length: str, status: int) -> None:
    """A length that is absurd, or written absurdly, is refused; nothing is awaited for it."""
    head = b"POST /callback HTTP/1.1\r\n" + HEAD + b"Content-Length: "
    assert answered(session, head + length.encode() + b"\r\n\r\nx") == status


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET http://127.0.0.1/callback?code=a&state=b HTTP/1.1\r\nHost: evil.test\r\n\r\n", 400),
        (b"GET /callback?code=a HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /callback\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\x00" * 64, 400),
        (b"get /callback HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 32_760 + b"\r\nHost: x\r\n\r\n", 431),
        (b"GET /callback?code=a HTTP/1.1\r\nHost: x\r\n folded: line\r\n\r\n", 400),
        (b"GET /callback?code=a HTTP/1.1\nHost: x\n\r\n\r\n", 400),
        (b"GET /callback?code=a HTTP/1.1\r\nX: a\nHost: x\r\n\r\n", 400),
        (b"GET /callback?code=a HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /callback?code=a HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
    ],
)
def test_no_head_does_harm(session: LoopbackSession, octets: bytes, status: int) -> None:
    """A request that we do not answer is refused, and reaches no login."""
    assert answered(session, octets) == status


def test_a_body_of_unknown_length_is_not_read() -> None:
    """A chunked request is refused at its head; so is one without a single Host."""
    twice = b"Content-Length: 1\r\nContent-Length: 2"
    for lines in (
        b"Host: h\r\nTransfer-Encoding: chunked",
        b"Host: h\r\nHost: h",
        b"X: y",
        b"Host: h\r\n" + twice,
    ):
        whole = b"POST /callback HTTP/1.1\r\n" + lines + b"\r\n\r\n"
        assert RequestReader().feed(whole) is HTTPStatus.BAD_REQUEST


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.data())
@settings(deadline=None)
def test_how_octets_are_cut_makes_no_difference(pieces: list[bytes], data: st.DataObject) -> None:
    """The same octets are the same request however they arrive, and never an exception."""
    ways = [b"GET ", b"POST ", b"/callback", b" HTTP/1.1\r\n", b"Host: h\r\n", b"\r\n", b"?code=a"]
    ways += [b"Content-Length: 3\r\n", b"Content-Length: 0003\r\n", b"\r\n\r\n"]
    octets = b"".join(data.draw(st.sampled_from([piece, *ways])) for piece in pieces)
    whole = RequestReader().feed(octets)
    reader, outcome = RequestReader(), None
    for place in range(len(octets)):
        outcome = reader.feed(octets[place : place + 1])
        if outcome is not None:
            break
    if isinstance(whole, Request) or isinstance(outcome, Request) or whole is None:
        assert outcome == whole
    else:
        assert outcome is not None  # both refused; a bad start is noticed sooner octet by octet


def sent_on(session: LoopbackSession, verdict: VerdictKind = VerdictKind.ACCEPTED) -> str:
    """Where a browser is sent that brought the answer to ``session``."""
    address = f"{session.presentation.redirect_uri}?code=a&state=b"
    browser = Background(lambda: requests.get(address, timeout=5, allow_redirects=False))
    assert session.receive(5) is not None
    session.reply(Verdict(kind=verdict, who="ada@demo.test"))
    answer = browser.result()
    assert answer.status_code == 303
    return home(session) + answer.headers["Location"]


def test_the_last_page_is_for_the_browser_that_brought_the_answer(session: LoopbackSession) -> None:
    """Whoever has not seen the answer cannot see who signed in, nor take the page away."""
    where = sent_on(session)
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who="ada@demo.test"))
    get = requests.get
    rebound = {"Host": f"evil.test:{port_of(where)}"}
    assert get(where, headers=rebound, timeout=5).status_code == 400
    assert get(f"{home(session)}/callback?code=a&state=guess", timeout=5).status_code == 400
    assert get(f"{home(session)}/callback", timeout=5).status_code == 400
    assert requests.post(f"{home(session)}/callback", data="code=a", timeout=5).status_code == 400
    assert requests.head(where, timeout=5).status_code == 405
    assert get(f"{home(session)}/favicon.ico", timeout=5).status_code == 404
    for guess in (DONE_PATH, f"{DONE_PATH}/", f"{DONE_PATH}/AAAAAAAAAAAA", where[:-1]):
        assert "ada" not in get(f"{home(session)}{urlsplit(guess).path}", timeout=5).text
    reloaded = get(f"{home(session)}/callback?code=a&state=b", timeout=5)
    assert (reloaded.status_code, "ada@demo.test" in reloaded.text) == (200, True)
    assert reloaded.url == where


def test_a_browser_that_does_not_come_holds_nobody_up(session: LoopbackSession) -> None:
    """Closing returns at once; the port stays open a moment longer, and then closes by itself."""
    where = sent_on(session)
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who="ada"))
    session.close()
    assert sockets_on(port_of(where))
    until(lambda: sockets_on(port_of(where)), lambda left: left == [])
    session.close()


def test_where_no_thread_can_be_had_the_answer_still_counts(
    session: LoopbackSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser gets a page at once, which promises nothing; the login goes on to its end."""
    address = f"{session.presentation.redirect_uri}?code=a&state=b"
    browser = Background(lambda: requests.get(address, timeout=5))
    assert session.receive(5) is not None

    def limit(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", limit)
        session.reply(Verdict(kind=VerdictKind.ACCEPTED))
    answer = browser.result()
    assert (answer.status_code, answer.url) == (200, address)
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who="ada@demo.test"))
    session.close()
    assert sockets_on(port_of(address)) == []


def test_a_browser_that_comes_late_still_gets_its_page(session: LoopbackSession) -> None:
    """After the command has gone on, the page is there for the one who was sent to it."""
    where = sent_on(session, VerdictKind.DENIED)
    session.close()
    answer = requests.get(where, timeout=5)
    assert (answer.status_code, 'class="bad"' in answer.text) == (200, True)
    until(lambda: sockets_on(port_of(where)), lambda left: left == [])


def test_a_new_login_does_not_wait_for_the_browser_of_the_last(session: LoopbackSession) -> None:
    """The only registered port is free for the next login, even in the same breath."""
    where = sent_on(session)
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN))
    session.close()
    assert sockets_on(port_of(where))
    transport = LoopbackTransport(Notices(), NoBrowser(), SystemClock())
    again = transport.reopen(asking(CONFIG), session.presentation)
    assert again.presentation == session.presentation
    again.close()


def test_an_interrupted_exchange_lets_the_browser_go(session: LoopbackSession) -> None:
    """If the outcome is not known in time, the page points to the terminal."""
    where = sent_on(session)
    browser = Background(lambda: requests.get(where, timeout=5))
    until(lambda: session._keeper and session._keeper._held, bool)
    session.close()
    about = f"X, login {asking(CONFIG).login_id[:4]}"
    assert browser.result().text == replace(page.finishing("X"), login=about).render()


def test_the_last_page_says_which_login_it_is_about(session: LoopbackSession) -> None:
    """Provider, user, account and login, and the command that uses the tokens."""
    where = sent_on(session)
    verdict = Verdict(kind=VerdictKind.SIGNED_IN, who="ada", account="work")
    session.reply(verdict)
    text = requests.get(where, timeout=5).text
    named = [CONFIG.title, "ada", "work", asking(CONFIG).login_id[:4]]
    assert [one for one in named if one not in text] == []
    assert f"stayfast token {CONFIG.service_name} --account work" in text


HOSTILE = "<script>alert(1)</script>\"'&\u202e\x1b[2J"


@pytest.mark.parametrize(
    "shown",
    [
        page.signed_in(HOSTILE, HOSTILE),
        page.denied(HOSTILE, HOSTILE),
        page.failed(HOSTILE, HOSTILE),
        page.refused(HOSTILE),
        page.finishing(HOSTILE),
        page.over(),
    ],
    ids=["signed_in", "denied", "failed", "refused", "finishing", "over"],
)
def test_every_page_is_inert(shown: page.Page) -> None:
    """Whatever names and reasons say, a page has no script, no form, no address to fetch."""
    text = page.respond(shown).decode()
    head, _, body = text.partition("\r\n\r\n")
    for tag in ("<script", "<form", "<img", "<link", "<iframe", "src=", "href=", "url("):
        assert tag not in body
    assert "default-src 'none'" in head
    assert "form-action 'none'" in head
    assert "frame-ancestors 'none'" in head
    for header in ("no-store", "no-referrer", "nosniff", "DENY", "Connection: close"):
        assert header in head
    assert f"Content-Length: {len(body.encode())}" in head


def sign_in(server: AuthorizationServer, storage: MemoryStorage, **settings: Any) -> Any:
    """A login in the background, and the address its user opens."""
    notices = Notices()
    transport = LoopbackTransport(notices, NoBrowser(), SystemClock())
    config = server.config(**settings)
    work = Background(lambda: conductor_over(storage).sign_in(config, transport, timeout=30))
    asked = notices.wait_for(NoticeKind.OPEN)
    return work, asked.url, asked


def test_the_browser_is_held_until_the_tokens_are_saved(server: AuthorizationServer) -> None:
    """When the browser gets its answer the login is finished, however long the exchange took."""
    storage = MemoryStorage()
    work, url, _ = sign_in(server, storage)
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.3))
    callback = fetch_only(url)
    answer = requests.get(callback, timeout=10)
    assert [one.state for one in storage.summaries()] == [State.AUTHENTICATED]
    assert 'class="good"' in answer.text
    assert work.result().state is State.AUTHENTICATED


def test_errors_of_strangers_do_not_end_a_login(server: AuthorizationServer) -> None:
    """An error is believed only from the right issuer and with the right state."""
    storage = MemoryStorage()
    work, url, _ = sign_in(server, storage)
    callback = fetch_only(url)
    no = tampered(callback, code=None, error="access_denied")
    for wrong in (
        tampered(no, state="another"),
        tampered(no, state=None),
        tampered(no, iss="https://attacker.example"),
        tampered(no, error="\x1b[2J"),
        f"{callback}&state=again",
        f"{callback}&code=again",
    ):
        assert requests.get(wrong, timeout=5).status_code == 400
    agent = UserAgent()
    assert agent.deliver(callback).status_code == 200
    assert work.result().state is State.AUTHENTICATED
    refused = [e.members["reason"] for e in storage.events() if "trigger" not in e.members]
    assert refused == [
        "wrong_state", "missing_state", "wrong_issuer", "malformed_error",
        "duplicate_parameter", "duplicate_parameter",
    ]  # fmt: skip


def test_one_kept_connection_and_a_reload_while_the_code_is_exchanged(
    server: AuthorizationServer,
) -> None:
    """A browser with a spare connection that reloads meanwhile ends on the same page."""
    storage = MemoryStorage()
    before = server.counts["token"]
    work, url, asked = sign_in(server, storage)
    server.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=0.2))
    callback = fetch_only(url)
    spare = http.client.HTTPConnection("127.0.0.1", port_of(asked.redirect_uri), timeout=5)
    spare.connect()
    first = Background(lambda: requests.get(callback, timeout=10, allow_redirects=False))
    first.result()
    reloaded = requests.get(callback, timeout=10)
    spare.close()
    assert work.result().state is State.AUTHENTICATED
    assert (reloaded.status_code, "code=" in reloaded.url) == (200, False)
    assert server.counts["token"] == before + 1


class FullStorage:
    """A disk that has no room left once a code is there to be saved."""

    def __init__(self, behind: MemoryStorage) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def commit(self, changes: Any) -> Any:
        if any(isinstance(c, Change) and c.login.state is State.EXCHANGING for c in changes):
            raise StorageFull("no space left")
        return self._behind.commit(changes)


def test_a_code_that_could_not_be_saved_stays_in_the_address_bar(
    server: AuthorizationServer,
) -> None:
    """Where nothing was saved the browser keeps the address: it may be pasted later."""
    behind = MemoryStorage()
    work, url, _ = sign_in(server, FullStorage(behind))  # type: ignore[arg-type]  # a storage
    answer = approve(url)
    assert (answer.status_code, "code=" in answer.url) == (507, True)
    with pytest.raises(StorageFull):
        work.result()
    (waiting,) = behind.summaries()
    assert waiting.state is State.AWAITING_CALLBACK
    assert conductor_over(behind).answer(answer.url).state is State.AUTHENTICATED


def test_a_refused_code_is_told_in_the_browser(server: AuthorizationServer) -> None:
    """The page of a login that failed does not say that it went well."""
    work, url, _ = sign_in(server, MemoryStorage())
    server.misbehave("token", Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"}))
    answer = approve(url)
    with pytest.raises(AuthFailed):
        work.result()
    assert 'class="bad"' in answer.text
    assert 'class="good"' not in answer.text


def test_strangers_of_every_kind_at_once(server: AuthorizationServer) -> None:
    """Drips, half-open and silent clients, and 200 requests at once: the answer still arrives."""
    storage = MemoryStorage()
    work, url, asked = sign_in(server, storage)
    where = ("127.0.0.1", port_of(asked.redirect_uri))

    def guess(number: int) -> int:
        wrong = f"http://127.0.0.1:{where[1]}/callback?code=x&state={number}"
        with suppress(requests.ConnectionError):  # pushed out by others
            return requests.get(wrong, timeout=10).status_code
        return 0

    silent = [socket.create_connection(where, 5) for _ in range(40)]
    dripping = [socket.create_connection(where, 5) for _ in range(40)]
    guesses = [Background(lambda n=number: guess(n)) for number in range(200)]
    for octet in b"GET /callback?code=a&state=b HTT":
        for one in dripping:
            with suppress(OSError):
                one.send(bytes([octet]))
    statuses = {one.result() for one in guesses}
    assert statuses <= {0, 400}
    assert 400 in statuses
    assert approve(url).status_code == 200
    assert work.result().state is State.AUTHENTICATED
    for one in (*silent, *dripping):
        one.close()


def test_slow_clients_are_told_that_they_are_late(
    session: LoopbackSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is never finished ends after its time; it cannot be dragged out."""
    monkeypatch.setattr("stayfast.transports.loopback.listener._PATIENCE", 0.05)
    assert answered(session, b"GET /callback?code=a HTTP/1.1\r\nHo") == 408


def test_a_crowd_is_bounded_and_the_oldest_goes_first(
    session: LoopbackSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more silent clients than there is room for, the first are let go, after their moment."""
    grace = "stayfast.transports.loopback.listener._GRACE"
    monkeypatch.setattr(grace, 60.0)
    where = ("127.0.0.1", port_of(home(session)))
    with ExitStack() as crowd_of_sockets:
        crowd: list[socket.socket] = []
        for there in (65, 128):
            for _ in range(65):
                one = crowd_of_sockets.enter_context(socket.create_connection(where, 5))
                crowd.append(one)
            while len(session._listener._connections) < there:
                assert session.receive(0.01) is None
        assert session.receive(0.05) is None
        assert len(session._listener._connections) == 128
        for patient in (crowd[0], crowd[127], crowd[128]):  # nobody has been sent away yet
            patient.settimeout(0.01)
            with pytest.raises(TimeoutError):
                patient.recv(1)
            patient.settimeout(5)
        monkeypatch.setattr(grace, 0.0)
        assert session.receive(0.05) is None
        assert [one.recv(1) for one in crowd[:2]] == [b"", b""]
        crowd[2].settimeout(0.01)
        with pytest.raises(TimeoutError):
            crowd[2].recv(1)


class CountingBrowser(NoBrowser):
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def open(self, url: str) -> str:
        self.asked.append(url)
        return super().open(url)


def test_a_browser_is_opened_once_and_only_if_wanted() -> None:
    """The notice says whether a browser was started; a resumed login does not start another."""
    notices, browser = Notices(), CountingBrowser()
    transport = LoopbackTransport(notices, browser, SystemClock())
    first = transport.prepare(asking(CONFIG))
    first.present("https://x.test/")
    first.close()
    again = transport.reopen(asking(CONFIG), first.presentation)
    again.present("https://x.test/")
    again.close()
    quiet = LoopbackTransport(notices, browser, SystemClock(), open_browser=False)
    unasked = quiet.prepare(asking(CONFIG))
    unasked.present("https://x.test/")
    unasked.close()
    assert browser.asked == ["https://x.test/"]
    assert [notice.opened for notice in notices.shown] == [False, False, False]


def test_a_port_that_was_taken_meanwhile_is_said() -> None:
    """A resumed login needs its own port: another one would never be called."""
    transport = LoopbackTransport(Notices(), NoBrowser(), SystemClock())
    first = transport.prepare(asking(CONFIG))
    with pytest.raises(TransportUnavailable):
        transport.reopen(asking(CONFIG), first.presentation)
    first.close()
    again = transport.reopen(asking(CONFIG), first.presentation)
    assert again.presentation.redirect_uri == first.presentation.redirect_uri
    again.close()


def sockets_on(port: int) -> list[int]:
    """The descriptors of this process that are bound to ``port``."""
    found: list[int] = []
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the listing's own descriptor has gone by now
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as one:
                    address = one.getsockname()
                if isinstance(address, tuple) and address[1] == port:
                    found.append(int(name))
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are listed in /dev/fd")
def test_nothing_stays_open(server: AuthorizationServer) -> None:
    """After a login every socket of the listener is closed, also those of other connections."""
    work, url, asked = sign_in(server, MemoryStorage())
    port = port_of(asked.redirect_uri)
    assert sockets_on(port)
    with closing(socket.create_connection(("127.0.0.1", port), 5)) as silent:
        silent.sendall(b"GET /call")
        approve(url)
        work.result()
        until(lambda: sockets_on(port), lambda left: left == [])
