"""The device flow against a server with its own clock, and what a browser's launcher is given."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conductors import conductor_over
from instant import ManualClock
from stayfast.engine.errors import (
    AuthCancelled,
    AuthFailed,
    LoginTimedOut,
    ProviderError,
    TransportUnavailable,
)
from stayfast.engine.oauth.device import PollSchedule
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.setting_types import DEVICE_GRANT_TYPE as GRANT_TYPE
from stayfast.engine.ports import HttpRequest, HttpResponse, NoticeKind
from stayfast.engine.record import DeviceGrant, Presentation
from stayfast.engine.secret import Secret
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.user_agent import decide_device
from stayfast.transports.browser import SystemBrowser
from stayfast.transports.device import DeviceTransport
from stayfast.transports.loopback.redirect import parse_redirect
from wire_talk import Notices, asking


class SteppedClock(ManualClock):
    """A wall clock that a test sets, or that ran on while the machine was asleep."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self.step = 0.0

    def now(self) -> float:
        return self.time + self.step


class TimedHttp:
    """The real client; remembers when each poll was sent."""

    def __init__(self, clock: ManualClock) -> None:
        self._http = RequestsHttp()
        self._clock = clock
        self.polls: list[float] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/token"):
            self.polls.append(self._clock.time)
        return self._http.send(request)


class Flow:
    """A device login by a clock that only waiting moves, at a server with the same clock."""

    def __init__(self, server: AuthorizationServer, clock: SteppedClock) -> None:
        self.server = server
        self.clock = clock
        self.http = TimedHttp(clock)
        self.storage = MemoryStorage()
        self.conductor = conductor_over(self.storage, http=self.http, clock=clock)
        self.waits = 0
        self.decide: Callable[[int, Any], None] = lambda wait, notice: None
        self.notices = Notices({NoticeKind.WAITING: self._waiting})
        self.transport = DeviceTransport(self.notices, self.http, clock)

    def _waiting(self, notice: Any) -> None:
        self.waits += 1
        code = next(one for one in self.notices.shown if one.kind is NoticeKind.CODE)
        self.decide(self.waits, code)

    def sign_in(self, **settings: Any) -> Any:
        self.began = self.clock.time
        return self.conductor.sign_in(self.server.config(**settings), self.transport)

    @property
    def gaps(self) -> list[float]:
        """Seconds before each poll."""
        times = [self.began, *self.http.polls]
        return [round(after - before) for before, after in itertools.pairwise(times)]

    def goes_wrong(self, *faults: Fault) -> None:
        for fault in faults:
            self.server.misbehave("token", fault)


@pytest.fixture
def flow() -> Any:
    clock = SteppedClock(time.time())
    with AuthorizationServer(Settings(device_lifetime=900), now=clock.now) as server:
        yield Flow(server, clock)


def error(code: str, **members: Any) -> Fault:
    return Fault(kind=FaultKind.ERROR, members={"error": code, **members}, grant=GRANT_TYPE)


def approve_at(flow: Flow, poll: int) -> None:
    """Let the user approve once ``poll`` polls have been made."""

    def decide(wait: int, code: Any) -> None:
        if len(flow.http.polls) == poll:
            decide_device(code.url, code.user_code)

    flow.decide = decide


def test_polls_wait_as_they_are_told(flow: Flow) -> None:
    """A full interval before each poll, five more for good after slow_down, double after silence."""
    silence = Fault(kind=FaultKind.DROP_BEFORE, grant=GRANT_TYPE)
    pending = error("authorization_pending")
    flow.goes_wrong(pending, error("slow_down"), silence, silence, pending, error("slow_down"))
    approve_at(flow, 7)
    login = flow.sign_in()
    assert login.state is State.AUTHENTICATED
    # pending, slow_down, silence, silence, pending, slow_down, pending (the server's own), tokens
    assert flow.gaps == [5, 5, 10, 20, 40, 10, 15, 15]


def test_a_poll_whose_answer_cannot_be_read_is_the_last(flow: Flow) -> None:
    """The tokens may be in it: it is kept, and neither this process nor the next polls again."""
    flow.goes_wrong(Fault(kind=FaultKind.TEXT, before=b"!", grant=GRANT_TYPE))
    approve_at(flow, 0)
    with pytest.raises(ProviderError):
        flow.sign_in()
    (saved,) = flow.storage.summaries()
    login = flow.storage.read(saved.id)
    assert login is not None
    assert login.unread is not None
    assert flow.server.state.tokens[-1].access_token in login.unread.body.reveal()
    with pytest.raises(ProviderError):
        flow.conductor.resume(login.id, [flow.transport])
    assert (len(flow.http.polls), flow.storage.read(login.id)) == (1, login)


def test_a_page_at_a_poll_is_followed_by_the_next(flow: Flow) -> None:
    """A network's sign-in page with status 200 is no answer of the provider."""
    flow.goes_wrong(Fault(kind=FaultKind.HTML, grant=GRANT_TYPE))
    approve_at(flow, 0)
    assert flow.sign_in().state is State.AUTHENTICATED


def test_a_new_interval_is_obeyed(flow: Flow) -> None:
    """An interval that comes with slow_down is taken if it is longer; HTTP 429 counts as one."""
    flow.goes_wrong(
        error("slow_down", interval=60),
        error("slow_down", interval=1),
        Fault(kind=FaultKind.TOO_MANY_429, grant=GRANT_TYPE),
    )
    approve_at(flow, 3)
    flow.sign_in()
    assert flow.gaps == [5, 60, 65, 70]


def test_back_off_has_an_end() -> None:
    """Silence doubles the wait up to two minutes; an answer ends it at once."""
    schedule = PollSchedule(grant(interval=5), 0, 0)
    gaps = []
    for _ in range(8):
        schedule.unanswered(0, 0)
        gaps.append(schedule.left(0, 0))
    assert gaps == [10, 20, 40, 80, 120, 120, 120, 120]
    schedule.pending(0, 0)
    assert schedule.left(0, 0) == 5


def test_a_poll_waits_for_both_clocks() -> None:
    """A monotonic clock that runs ahead makes no poll early; a wall clock set back, one late."""
    schedule = PollSchedule(grant(interval=5), 100, 9_000)
    assert schedule.left(105, 9_005) == 0
    assert schedule.left(105, 9_003) == 2  # two of five seconds gained: those are waited for
    assert schedule.left(107, 9_004) == 1
    assert schedule.left(105, 5_400) == 5  # set back by an hour: one interval, not the hour
    assert schedule.left(110, 5_405) == 0
    assert schedule.left(103, 12_603) == 2  # set forward, or asleep: nothing is hurried


@pytest.mark.parametrize(
    ("said", "raised", "reason"),
    [
        ("access_denied", AuthCancelled, "access_denied"),
        ("expired_token", LoginTimedOut, "device_code_expired"),
        ("invalid_grant", AuthFailed, "provider_error"),
        ("unauthorized_client", AuthFailed, "provider_error"),
    ],
)
def test_any_other_error_ends_it(flow: Flow, said: str, raised: Any, reason: str) -> None:
    """The poll that is declined is the last one (RFC 8628 §3.5)."""
    flow.goes_wrong(error(said))
    with pytest.raises(raised):
        flow.sign_in()
    assert len(flow.http.polls) == 1
    (login,) = flow.storage.summaries()
    record = flow.storage.read(login.id)
    assert record is not None
    assert (record.state, record.reason) == (State.IDLE, reason)


@pytest.mark.parametrize(
    ("said", "raised", "reason"),
    [
        ("access_denied", AuthCancelled, "access_denied"),
        ("invalid_grant", AuthFailed, "provider_error"),
    ],
)
def test_a_policy_against_the_device_flow_offers_another_way(
    flow: Flow, said: str, raised: Any, reason: str
) -> None:
    """Conditional access ends the login with the command that may work, and the number alone."""
    described = "AADSTS53003: canary. Trace ID: canary"
    flow.goes_wrong(error(said, error_description=described))
    with pytest.raises(raised) as caught:
        flow.sign_in()
    assert caught.value.hint == "stayfast login demo --via loopback"
    assert "AADSTS53003" in caught.value.message
    assert "canary" not in caught.value.message
    (login,) = flow.storage.summaries()
    assert (login.state, login.reason, login.oauth_error) == (State.IDLE, reason, said)


def test_a_server_that_never_ends_it_is_ended_here(flow: Flow) -> None:
    """Pending for ever stops when the code runs out by our own clock, and not before."""
    flow.server.misbehave("token", error("authorization_pending"), None)
    with pytest.raises(LoginTimedOut):
        flow.conductor.sign_in(flow.server.config(), flow.transport, timeout=3600)
    assert 890 < flow.clock.time - flow.http.polls[0] + 5 <= 910


@pytest.mark.parametrize(
    ("lifetime", "timeout", "lasts", "reason"),
    [
        (900, 8, 8, "deadline_passed"),
        (20, 600, 20, "device_code_expired"),
        (0, 30, 30, "deadline_passed"),  # nobody knows when such a code ends
    ],
)
def test_what_ends_first_is_shown_and_named(
    flow: Flow, lifetime: int, timeout: float, lasts: float, reason: str
) -> None:
    """Of the code and of the time for the login, the sooner one is counted down, and is the reason."""
    flow.server.change(device_lifetime=lifetime)
    flow.server.misbehave("token", error("authorization_pending"), None)
    began = flow.clock.time
    started = flow.conductor.start(flow.server.config(), flow.transport, timeout=timeout)
    with pytest.raises(LoginTimedOut):
        flow.conductor.resume(started.login.id, [flow.transport])
    counted = [one.expires_at for one in flow.notices.shown if one.kind is NoticeKind.CODE]
    assert {round((end or 0) - began) for end in counted} == {lasts}
    (login,) = flow.storage.summaries()
    assert (login.state, login.reason) == (State.IDLE, reason)


def test_a_restart_goes_on_with_the_same_code(flow: Flow) -> None:
    """The code that was shown stays good in another process; no second one is asked for."""
    started = flow.conductor.start(flow.server.config(), flow.transport)
    shown = flow.storage.read(started.login.id)
    assert shown is not None
    assert shown.presentation is not None
    assert shown.presentation.device is not None
    decide_device(started.address, shown.presentation.device.user_code)
    login = flow.conductor.resume(started.login.id, [flow.transport])
    assert login.state is State.AUTHENTICATED
    assert flow.server.counts["device_authorization"] == 1


@pytest.mark.parametrize("asleep", [60.0, 400.0])
def test_a_machine_that_slept_goes_on_while_the_code_is_good(flow: Flow, asleep: float) -> None:
    """After a suspend the same wait goes on, no faster than before."""

    def sleep_then_approve(wait: int, code: Any) -> None:
        if wait == 7:
            flow.clock.step += asleep
        if len(flow.http.polls) == 2:
            decide_device(code.url, code.user_code)

    flow.decide = sleep_then_approve
    assert flow.sign_in().state is State.AUTHENTICATED
    assert flow.gaps == [5, 5, 5]


def test_a_machine_that_slept_too_long_says_so(flow: Flow) -> None:
    """A code that ran out meanwhile is not polled for again; the login has timed out."""

    def sleep(wait: int, code: Any) -> None:
        if wait == 7:
            flow.clock.step += 3600

    flow.decide = sleep
    with pytest.raises(LoginTimedOut):
        flow.sign_in()
    assert len(flow.http.polls) <= 2


def test_a_clock_that_is_set_back_stops_nothing(flow: Flow) -> None:
    """An hour back costs one interval, is said once, and the login is finished."""

    def set_back(wait: int, code: Any) -> None:
        if wait == 3:
            flow.clock.step -= 3600
        if len(flow.http.polls) == 2:
            decide_device(code.url, code.user_code)

    flow.decide = set_back
    assert flow.sign_in().state is State.AUTHENTICATED
    assert flow.gaps == [10, 5, 5]
    said = [one.message for one in flow.notices.shown if one.kind is NoticeKind.WAITING]
    assert len([one for one in said if one]) == 1


def test_a_restart_keeps_to_the_slower_interval(flow: Flow) -> None:
    """What slow_down demanded is in the record and the log: the next process polls no faster."""
    flow.goes_wrong(error("slow_down"), error("slow_down", interval=40))

    def leave(wait: int, code: Any) -> None:
        if len(flow.http.polls) == 2:
            raise KeyboardInterrupt

    flow.decide = leave
    with pytest.raises(KeyboardInterrupt):
        flow.sign_in()
    (left,) = flow.storage.summaries()

    flow.began, flow.http.polls[:] = flow.clock.time, []
    flow.waits = 0
    flow.decide = lambda wait, code: decide_device(code.url, code.user_code) if wait == 1 else None
    login = flow.conductor.resume(left.id, [flow.transport])

    assert login.state is State.AUTHENTICATED
    assert flow.gaps == [40]
    recorded = [one.members for one in flow.storage.events()]
    slowed = [(one["to"], one["detail"]) for one in recorded if one["trigger"] == "slow_down"]
    assert slowed == [("awaiting_callback", "interval=10"), ("awaiting_callback", "interval=40")]


def test_a_device_login_that_cannot_begin(flow: Flow) -> None:
    """A missing endpoint, or a server that gives no code, is an error before the user sees anything."""
    with pytest.raises(TransportUnavailable):
        flow.sign_in(device_url=None)
    refused = Fault(kind=FaultKind.ERROR, members={"error": "unauthorized_client"})
    flow.server.misbehave("device_authorization", refused)
    with pytest.raises(ProviderError):
        flow.sign_in()
    assert flow.notices.shown == []
    assert {one.state for one in flow.storage.summaries()} == {State.IDLE}


def grant(*, interval: float = 5, expires_at: float = 4e9) -> DeviceGrant:
    return DeviceGrant(
        device_code=Secret("secret-device-code"),
        user_code="WDJB-MJHT",
        verification_uri="https://x.test/device",
        verification_uri_complete=None,
        expires_at=expires_at,
        interval=interval,
    )


def test_an_expired_code_is_not_gone_on_with() -> None:
    """What has run out, or was never there, is refused at once."""
    clock = ManualClock()
    transport = DeviceTransport(Notices(), RequestsHttp(), clock)
    config = OAuthConfig(service_name="x", client_id="y")
    for device in (None, grant(expires_at=clock.time)):
        with pytest.raises(TransportUnavailable):
            transport.reopen(asking(config), Presentation(transport="device", device=device))


# --- the browser -----------------------------------------------------------------------------


def launcher(path: Path, script: str) -> str:
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o700)
    return str(path)


def test_a_launcher_gets_the_address_and_no_secret(tmp_path: Path) -> None:
    """It sees the environment it needs, without what opens the vault or proves the client."""
    noted = tmp_path / "noted"
    script = (
        "import os, sys\n"
        f"noted = open({str(noted)!r}, 'w')\n"
        "print(*sys.argv[1:], *sorted(os.environ), sep='\\n', file=noted)\n"
        "noted.close()"
    )
    environ = {
        "BROWSER": f"{launcher(tmp_path / 'launcher', script)} --new-window=%s --last",
        "PATH": os.environ["PATH"],
        "DISPLAY": ":0",
        "STAYFAST_PASSPHRASE": "secret",
        "STAYFAST_TOKEN": "secret",
        "DEMO_CLIENT_SECRET": "secret",
        "PGPASSWORD": "secret",
        "STAYFAST_STORE": "postgresql://u:secret@db/x",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "LC_ALL": "C.UTF-8",
        "MOZ_ENABLE_WAYLAND": "1",
    }
    address = "https://x.test/authorize?state=s&x=$(touch%20here);`id`"
    assert SystemBrowser(environ).open(address) is None
    seen = noted.read_text().splitlines()
    assert seen[:2] == [f"--new-window={address}", "--last"]
    needed = {"BROWSER", "DISPLAY", "PATH", "LC_ALL", "MOZ_ENABLE_WAYLAND"}
    given = set(seen[2:]) - {"LC_CTYPE"}  # which Python itself may add
    assert given == needed


def test_a_launcher_that_stays_is_not_waited_for(tmp_path: Path) -> None:
    """A browser that runs on in the foreground counts as started, and outlives the question."""
    go_on, lived = tmp_path / "go_on", tmp_path / "lived"
    os.mkfifo(go_on)
    os.mkfifo(lived)
    script = f"word = open({str(go_on)!r}).read()\nopen({str(lived)!r}, 'w').write(word)"
    browser = SystemBrowser({"BROWSER": launcher(tmp_path / "slow", script)})
    assert browser.open("https://x.test/") is None  # it is waiting for us, not we for it
    go_on.write_text("on")
    assert lived.read_text() == "on"


@pytest.mark.parametrize("name", ["lynx", "w3m", "links2", "elinks", "www-browser", "edbrowse"])
def test_text_browsers_are_refused(tmp_path: Path, name: str) -> None:
    """One that is installed and works is refused all the same; the next that is named is taken."""
    ran = tmp_path / "ran"
    text = launcher(tmp_path / name, f"open({str(ran)!r}, 'w').close()")
    assert SystemBrowser({"BROWSER": f"{text} %s"}).open("https://x.test/")
    other = launcher(tmp_path / "other", "")
    assert SystemBrowser({"BROWSER": f"{text}{os.pathsep}{other}"}).open("https://x.test/") is None
    assert not ran.exists()


def test_a_machine_without_browsers_says_so(tmp_path: Path, monkeypatch: Any) -> None:
    """Where no launcher is installed the reason is given, not an exception."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert SystemBrowser({}).open("https://x.test/")


@pytest.mark.parametrize(
    ("address", "ports", "tried"),
    [
        ("http://127.0.0.1/cb", (8080, 3000), ["http://127.0.0.1:8080/cb", "http://127.0.0.1:3000/cb"]),
        ("http://localhost:7777/cb", (8080,), ["http://localhost:7777/cb"]),
        ("http://[::1]:0/", (8080,), ["http://[::1]:0/"]),
        ("http://127.0.0.1:80/cb", (), ["http://127.0.0.1:80/cb"]),
        ("https://app.example/cb?x=1", (8080,), ["https://app.example/cb?x=1"]),
        ("http://127.0.0.1", (), ["http://127.0.0.1:0"]),
    ],
)  # fmt: skip
def test_what_a_registration_leaves_open(
    address: str, ports: tuple[int, ...], tried: list[str]
) -> None:
    """Host and path are kept to the letter; only a port that is not named may vary."""
    redirect = parse_redirect(address, ports)
    assert [redirect.address(port) for port in redirect.ports] == tried
