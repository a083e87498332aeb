"""The loopback listener: the right answer gets through, and nothing else matters."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import requests
from conductors import conductor_over
from stayfast.engine.errors import StayfastError, TransportUnavailable
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Asking, Notice, NoticeKind, Verdict, VerdictKind
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemClock
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.transports.loopback import page
from stayfast.transports.loopback.transport import LoopbackSession, LoopbackTransport


class Shown:
    """Remembers what a user was shown, and opens nothing."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.ready = threading.Event()

    def show(self, notice: Notice) -> None:
        self.notices.append(notice)
        if notice.kind is NoticeKind.OPEN:
            self.ready.set()

    def open(self, url: str) -> str | None:
        return None


class Waiting:
    """A real login that waits in a thread for its browser."""

    def __init__(self, server: AuthorizationServer, **settings: object) -> None:
        self.shown = Shown()
        self.storage = MemoryStorage()
        self.conductor = conductor_over(self.storage)
        self.login: Login | None = None
        self.error: StayfastError | None = None
        transport = LoopbackTransport(self.shown, self.shown, SystemClock())
        config = server.config(display_name="De<mo>", **settings)

        def run() -> None:
            try:
                self.login = self.conductor.sign_in(config, transport, timeout=30)
            except StayfastError as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert self.shown.ready.wait(10)

    @property
    def address(self) -> str:
        return self.shown.notices[0].url or ""

    @property
    def home(self) -> str:
        return (self.shown.notices[0].redirect_uri or "").rpartition("/")[0]

    @property
    def port(self) -> int:
        return int(self.home.rpartition(":")[2])

    def finish(self) -> Login:
        """The login, once the right answer has been delivered."""
        answered = user_agent.approve(self.address)
        assert answered.status_code == 200
        self.thread.join(10)
        assert self.login is not None
        assert self.login.state is State.AUTHENTICATED
        return self.login


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def waiting(server: AuthorizationServer) -> Iterator[Waiting]:
    made = Waiting(server)
    yield made
    if made.thread.is_alive():
        made.finish()


def raw(port: int, octets: bytes) -> bytes:
    """What comes back for ``octets``."""
    with closing(socket.create_connection(("127.0.0.1", port), 5)) as client:
        client.settimeout(5)
        answer = b""
        try:
            client.sendall(octets)  # too many, and the listener hangs up before it has all
            while piece := client.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def status(port: int, octets: bytes) -> int:
    words = raw(port, octets).split()
    return int(words[1]) if len(words) > 1 else 0


def test_strangers_are_answered_and_change_nothing(waiting: Waiting) -> None:
    """Wrong paths, methods, hosts and guesses get their status; the login goes on waiting."""
    home, port = waiting.home, waiting.port
    get = requests.get
    assert get(f"{home}/", timeout=5).status_code == 404
    assert get(f"{home}/favicon.ico", timeout=5).status_code == 404
    assert get(f"{home}/callback", timeout=5).status_code == 400
    assert get(f"{home}/callback?code=x&state=wrong", timeout=5).status_code == 400
    assert get(f"{home}/callback?error=access_denied&state=wrong", timeout=5).status_code == 400
    assert get(f"{home}/callback?code=x", timeout=5).status_code == 400
    assert requests.head(f"{home}/callback?code=x", timeout=5).status_code == 405
    assert requests.options(f"{home}/callback", timeout=5).status_code == 405
    assert requests.put(f"{home}/callback", timeout=5).status_code == 405
    ahead = {"Sec-Purpose": "prefetch"}
    assert get(f"{home}/callback?code=x&state=y", headers=ahead, timeout=5).status_code == 503
    rebound = {"Host": f"evil.test:{port}"}
    assert get(f"{home}/callback?code=x&state=y", headers=rebound, timeout=5).status_code == 400
    for name in ("localhost", "127.0.0.1", f"[::1]:{port}", f"127.0.0.1:{port + 1}"):
        assert (
            status(port, f"GET /callback?code=x HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()) == 400
        )
    for path in ("/", "/callback"):
        head = f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        assert raw(port, head).endswith(b"\r\n\r\n")
    for path in ("/callback/", "//callback", "/Callback", "/callback%2f", "/callback;x"):
        head = f"GET {path}?code=x&state=y HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        assert status(port, head.encode()) == 404
    assert waiting.login is None
    assert {login.state for login in waiting.storage.summaries()} == {State.AWAITING_CALLBACK}
    waiting.finish()


def test_nuisances_do_not_block_the_answer(waiting: Waiting) -> None:
    """Garbage, drips, floods and half-open connections; then the answer gets through."""
    port = waiting.port
    assert status(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == 400
    assert status(port, b"GET /callback HTTP/1.1\r\nX: " + b"a" * 1_000_000) in {0, 431}
    assert status(port, b"GET /callback HTTP/1.1\r\n\r\n") == 400  # no Host
    assert status(port, b"GET /callback HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400
    assert status(port, b"POST /callback HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n") == 400
    assert (
        status(port, b"POST /callback HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        == 400
    )
    crowd = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(200)]
    for number, client in enumerate(crowd):
        if number % 2:
            with suppress(OSError):  # the first of a crowd may have been let go
                client.sendall(b"GET /callback?code=slow HTTP/1.1\r\nHo")
    waiting.finish()
    for client in crowd:
        client.close()


def test_the_page_tells_the_truth_and_nothing_else(waiting: Waiting) -> None:
    """The last page is at an address without the code, names are escaped, nothing is fetched."""
    answered = user_agent.approve(waiting.address)
    waiting.thread.join(10)
    assert "code=" not in answered.url
    assert answered.history[0].status_code == 303
    assert "De&lt;mo&gt;" in answered.text
    assert "De<mo>" not in answered.text
    assert "<script" not in answered.text
    assert "http" not in answered.text.replace("http-equiv", "")
    headers = answered.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert 'class="good"' in answered.text


@pytest.mark.parametrize("no", ["denied", "failed"])
def test_a_bad_end_has_a_page_of_its_own(server: AuthorizationServer, no: str) -> None:
    """The page of a denial or a failed exchange says so, once it is known."""
    waiting = Waiting(server)
    if no == "failed":
        refused = Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"})
        server.misbehave("token", refused)
        answered = user_agent.approve(waiting.address)
    else:
        answered = user_agent.deny(waiting.address)
    waiting.thread.join(10)
    assert 'class="bad"' in answered.text
    assert waiting.error is not None
    assert waiting.error.exit_code == (5 if no == "denied" else 1)


def test_a_reload_is_harmless(server: AuthorizationServer) -> None:
    """A browser that calls twice ends on the same page, and one login."""
    waiting = Waiting(server)
    before = server.counts["token"]
    first, _ = user_agent.deliver_twice(waiting.address)
    waiting.thread.join(10)
    assert first.status_code == 200
    assert server.counts["token"] == before + 1


def test_a_posted_answer_is_an_answer(waiting: Waiting) -> None:
    """form_post reaches the login as a query does."""
    callback = user_agent.fetch_only(f"{waiting.address}&response_mode=form_post")
    place, _, form = callback.partition("?")
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert requests.post(place, data=form, headers=kind, timeout=10).status_code == 200
    waiting.thread.join(10)
    assert waiting.login is not None


def asking(redirect_uri: str, ports: tuple[int, ...] = ()) -> Asking:
    config = OAuthConfig(
        service_name="x", client_id="y", redirect_uri=redirect_uri, ports=ports or (1,)
    )
    return Asking(login_id="0" * 26, config=config, deadline=1e12)


def transport() -> LoopbackTransport:
    return LoopbackTransport(Shown(), Shown(), SystemClock())


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def test_ports_are_tried_in_order() -> None:
    """The first free port of the list is taken; when none is free the login cannot begin."""
    first, second = free_ports(2)
    with closing(socket.create_server(("127.0.0.1", first))):
        session = transport().prepare(asking("http://127.0.0.1/cb", (first, second)))
        assert session.presentation.redirect_uri == f"http://127.0.0.1:{second}/cb"
        with pytest.raises(TransportUnavailable):
            transport().prepare(asking("http://127.0.0.1/cb", (first, second)))
        session.close()
    again: LoopbackSession = transport().reopen(asking("http://127.0.0.1/cb"), session.presentation)
    assert again.presentation == session.presentation
    again.close()


def test_localhost_is_both_families_and_nothing_else() -> None:
    """A listener for `localhost` answers on 127.0.0.1 and, where there is one, on ::1."""
    session = transport().prepare(asking("http://localhost:0/cb"))
    port = int((session.presentation.redirect_uri or "").split(":")[2].partition("/")[0])
    families = ["127.0.0.1"] + (["::1"] if socket.has_ipv6 and _has_loopback6() else [])
    for address in families:
        socket.create_connection((address, port), 2).close()
    assert {one.getsockname()[0] for one in session._listener._sockets} <= {"127.0.0.1", "::1"}
    session.close()
    with pytest.raises(TransportUnavailable):
        transport().prepare(asking("https://app.example/cb"))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("taken", ["127.0.0.1", "::1", ""])
def test_a_port_must_be_free_in_every_family(taken: str) -> None:
    """A port that somebody has in one family, or for all addresses, is not half taken."""
    if not _has_loopback6():
        pytest.skip("no IPv6 loopback here")
    first, second = free_ports(2)
    family = socket.AF_INET6 if ":" in taken else socket.AF_INET
    with closing(socket.create_server((taken, first), family=family)):
        session = transport().prepare(asking("http://localhost/cb", (first, second)))
        assert session.presentation.redirect_uri == f"http://localhost:{second}/cb"
        assert {one.getsockname()[1] for one in session._listener._sockets} == {second}
        session.close()


def test_nobody_can_take_the_port_from_us_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """There SO_REUSEADDR would let others bind it too; the exclusive option is set instead."""
    monkeypatch.setattr("sys.platform", "win32")
    stand_in = socket.SO_KEEPALIVE  # an option this system has, and can be asked about
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", stand_in, raising=False)
    session = transport().prepare(asking("http://127.0.0.1:0/cb"))
    (listening,) = session._listener._sockets
    assert listening.getsockopt(socket.SOL_SOCKET, stand_in)
    assert not listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    session.close()


def _has_loopback6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_long_exchange_gets_an_honest_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser does not wait for ever: after a while its page points to the terminal."""
    monkeypatch.setattr("stayfast.transports.loopback.last_page.HOLD", 0.05)
    monkeypatch.setattr("stayfast.transports.loopback.last_page.LINGER", 60.0)
    session = transport().prepare(asking("http://127.0.0.1:0/cb"))
    pages: list[str] = []

    def browse() -> None:
        address = f"{session.presentation.redirect_uri}?code=a&state=b"
        pages.append(requests.get(address, timeout=10).text)

    browser = threading.Thread(target=browse)
    browser.start()
    assert session.receive(5) is not None
    session.reply(Verdict(kind=VerdictKind.ACCEPTED))
    browser.join(10)
    session.reply(Verdict(kind=VerdictKind.SIGNED_IN))
    session.close()
    assert page.finishing("x").title in pages[0]
    assert session._keeper is not None
    session._keeper._thread.join(10)  # nobody will come for another page
    assert not session._keeper._thread.is_alive()
