"""The library against a certified authorization server: discovery, every transport, rotation."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from conductors import conductor_over
from stayfast.engine.audit.events import EventKind
from stayfast.engine.errors import (
    AuthCancelled,
    LoginTimedOut,
    StayfastError,
    TokenRefreshFailed,
)
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.device import device_request
from stayfast.engine.oauth.login_wishes import LoginWishes, wishing
from stayfast.engine.oauth.metadata import apply_metadata, discover
from stayfast.engine.oauth.provider import OAuthConfig, OAuthProvider
from stayfast.engine.oauth.token_endpoint import refresh_request
from stayfast.engine.oauth.token_status import introspection_request, judge_introspection
from stayfast.engine.ports import HttpRequest, HttpResponse, NoticeKind
from stayfast.engine.record import Login
from stayfast.engine.summary import DEFAULT_ACCOUNT
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.host import SystemClock
from stayfast.testing.user_agent import UserAgent, decide_device, fetch_only, tampered
from stayfast.transports.device import DeviceTransport
from stayfast.transports.loopback.transport import LoopbackTransport
from stayfast.transports.manual import ManualTransport
from wire_talk import BackgroundBrowser, NoBrowser, Notices, QuickClock, typing

pytestmark = pytest.mark.wire


@pytest.fixture
def storage(tmp_path: Path) -> EncryptedFileStorage:
    return vault(tmp_path)


@pytest.fixture
def conductor(storage: EncryptedFileStorage) -> Conductor:
    return conductor_over(storage)


def vault(place: Path) -> EncryptedFileStorage:
    place.chmod(0o700)
    return EncryptedFileStorage(str(place / "state"), config_dir=str(place / "config"), environ={})


def config_of(issuer: str, redirect_uri: str = "http://127.0.0.1:0/callback") -> OAuthConfig:
    """What is known of the server once its metadata have been read."""
    provider = OAuthProvider(
        service_name="wire",
        scopes=("openid", "email", "offline_access"),
        redirect_uri=redirect_uri,
        extra_auth_params={"prompt": "consent"},
    )
    return apply_metadata(provider, discover(RequestsHttp(), issuer)).to_config("wire")


def by_browser(browser: Any) -> LoopbackTransport:
    return LoopbackTransport(Notices(), browser, SystemClock())


def approve(url: str) -> requests.Response:
    agent = UserAgent()
    return agent.deliver(agent.walk(url, approve=True))


def sign_in(conductor: Conductor, config: OAuthConfig) -> Login:
    browser = BackgroundBrowser(approve)
    login = conductor.sign_in(config, by_browser(browser))
    assert browser.result().status_code == 200
    return login


def is_ada(login: Login) -> bool:
    """Whether it is finished, and its ID token said whose it is."""
    assert login.state is State.AUTHENTICATED
    assert login.identity is not None
    return (login.identity.subject, login.identity.name) == ("ada", "ada@wire.test")


def tokens_of(login: Login) -> Any:
    assert login.tokens is not None
    return login.tokens


def active(config: OAuthConfig, token: str, hint: str) -> bool:
    """What the server itself says of ``token``."""
    request = introspection_request(config, token, hint)
    assert request is not None
    return judge_introspection(config, RequestsHttp().send(request)).active


def refusals(storage: EncryptedFileStorage) -> list[str]:
    refused = [one.members for one in storage.events() if one.members["event"] == EventKind.REFUSED]
    return [members["reason"] for members in refused]


def test_discovery_finds_every_endpoint(issuer: str) -> None:
    """A certified server's metadata name all that is used, and promise iss in callbacks."""
    config = config_of(issuer)
    endpoints = (
        config.auth_url, config.token_url, config.device_url, config.revocation_url,
        config.introspection_url, config.jwks_url,
    )  # fmt: skip
    assert all(address and address.startswith(f"{issuer}/") for address in endpoints)
    assert config.iss_required
    assert config.issuer == issuer


def test_loopback_on_any_port(issuer: str, conductor: Conductor) -> None:
    """A browser walks in, the port is any free one, and the tokens work."""
    login = sign_in(conductor, config_of(issuer))
    assert is_ada(login)
    assert active(login.config, tokens_of(login).access_token, "access_token")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_on_a_fixed_port(issuer: str, conductor: Conductor, host: str) -> None:
    """A redirect address with a port in it is used to the letter."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    address = f"http://{host}:{port}/callback"
    login = sign_in(conductor, config_of(issuer, address))
    assert is_ada(login)
    assert login.config.redirect_uri == address


def test_an_error_and_a_wrong_state_first(
    issuer: str, conductor: Conductor, storage: EncryptedFileStorage
) -> None:
    """What anybody could send to the port is refused; the real answer still finishes the login."""

    def walk(url: str) -> list[int]:
        agent = UserAgent()
        callback = agent.walk(url, approve=True)
        wrong = tampered(callback, state="of-another-login")
        bogus = tampered(callback, state="x", code=None, error="access_denied")
        mixed_up = tampered(callback, iss="https://attacker.example")
        anonymous = tampered(callback, iss=None)
        tried = [wrong, bogus, mixed_up, anonymous, callback]
        return [agent.deliver(one).status_code for one in tried]

    browser = BackgroundBrowser(walk)
    login = conductor.sign_in(config_of(issuer), by_browser(browser))
    assert is_ada(login)
    assert browser.result() == [400, 400, 400, 400, 200]
    assert refusals(storage) == ["wrong_state", "wrong_state", "wrong_issuer", "missing_issuer"]


def test_denied(issuer: str, conductor: Conductor) -> None:
    """No at the provider is no here, and nothing is stored."""
    agent = UserAgent()
    browser = BackgroundBrowser(lambda url: agent.deliver(agent.walk(url, approve=False)))
    with pytest.raises(AuthCancelled):
        conductor.sign_in(config_of(issuer), by_browser(browser))
    assert browser.result().status_code == 200


def test_manual_paste_at_a_terminal(
    issuer: str, conductor: Conductor, storage: EncryptedFileStorage
) -> None:
    """Mistakes are refused one by one; the right address, pasted at last, signs in."""
    with typing() as (keys, answers):

        def paste(notice: Any) -> None:
            callback = fetch_only(notice.url)
            keys.paste(notice.url)
            keys.paste(tampered(callback, state="of-another-login"))
            keys.paste(f"  '{callback}'  ")

        notices = Notices({NoticeKind.PASTE: paste})
        transport = ManualTransport(notices, lambda: answers)
        login = conductor.sign_in(config_of(issuer), transport)
    assert is_ada(login)
    assert refusals(storage) == ["authorization_url", "wrong_state"]
    assert notices.kinds().count(NoticeKind.MISTAKE) == 2


def test_begun_here_and_finished_by_another_process(issuer: str, tmp_path: Path) -> None:
    """A login begun at a port is finished by a paste, over the same vault opened anew."""
    config = config_of(issuer)
    started = conductor_over(vault(tmp_path)).start(config, by_browser(NoBrowser()))
    with typing() as (keys, answers):
        notices = Notices({NoticeKind.PASTE: lambda notice: keys.paste(fetch_only(notice.url))})
        later = conductor_over(vault(tmp_path))
        login = later.resume(started.login.id, [ManualTransport(notices, lambda: answers)])
    assert is_ada(login)


def test_a_pushed_request_that_has_expired_is_pushed_again(issuer: str, tmp_path: Path) -> None:
    """RFC 9126 §2.2: the server forgets it within seconds; whoever resumes gets an address that works."""
    config = replace(config_of(issuer), client_id="wire-par-brief", par="required")
    notices = Notices({})
    with typing() as (_, answers):
        started = conductor_over(vault(tmp_path)).start(
            config, ManualTransport(notices, lambda: answers)
        )
    before = started.address or ""
    assert "request_uri=" in before
    while requests.get(before, timeout=10).status_code < 400:  # by the server's own clock
        pass
    with typing() as (keys, answers):

        def paste(notice: Any) -> None:
            assert notice.url != before
            keys.paste(fetch_only(notice.url))

        notices = Notices({NoticeKind.PASTE: paste})
        later = conductor_over(vault(tmp_path))
        login = later.resume(started.login.id, [ManualTransport(notices, lambda: answers)])
    assert is_ada(login)


API = "https://api.wire.test/files"
DETAILS = [{"type": "files", "actions": ["read"]}]


def asking(issuer: str, **wishes: Any) -> OAuthConfig:
    """The configuration of a login that asks for ``wishes`` of the API."""
    return wishing(config_of(issuer), LoginWishes(**{"resources": API, **wishes}))  # type: ignore[typeddict-item]  # the names are a test's


def test_what_exactly_is_asked_for_comes_back(issuer: str, conductor: Conductor) -> None:
    """RFC 9396: the details go with the request, and come with the first token and a refreshed one."""
    login = sign_in(conductor, asking(issuer, authorization_details=DETAILS))
    again = conductor.refresh.valid("wire", DEFAULT_ACCOUNT, force=True)
    for one in (login, again):
        assert tokens_of(one).extra["authorization_details"] == DETAILS


def test_several_resources_stand_in_one_request(issuer: str, conductor: Conductor) -> None:
    """RFC 8707 §2: repeated, in the authorization request, the token request and the refresh."""
    both = (API, f"{API}/more")
    login = sign_in(conductor, asking(issuer, resources=both))
    assert login.config.resources == both
    assert conductor.refresh.valid("wire", DEFAULT_ACCOUNT, force=True).tokens != login.tokens


@pytest.mark.parametrize(
    ("wishes", "code"),
    [
        # RFC 9396 §5
        ({"authorization_details": [{"type": "files"}]}, "invalid_authorization_details"),
        ({"authorization_details": [{"type": "unknown"}]}, "invalid_authorization_details"),
        ({"resources": (API, "https://other.test/")}, "invalid_target"),  # RFC 8707 §2
    ],
)
def test_a_wish_that_the_server_refuses(
    issuer: str, conductor: Conductor, storage: EncryptedFileStorage, wishes: Any, code: str
) -> None:
    """Its own error code ends the login, and is in the log."""
    with pytest.raises(StayfastError):
        sign_in(conductor, asking(issuer, **wishes))
    assert list(storage.events())[-1].members["oauth_error"] == code


def test_device_code(issuer: str, conductor: Conductor) -> None:
    """The code is entered elsewhere; the answers to earlier polls say to wait."""
    config = config_of(issuer)
    notices = Notices({NoticeKind.CODE: lambda n: decide_device(n.url, n.user_code)})
    clock = QuickClock(SystemClock(), 25)
    login = conductor.sign_in(config, DeviceTransport(notices, RequestsHttp(), clock))
    assert is_ada(login)
    assert device_request(config).url == config.device_url


def test_device_code_denied_after_pending_polls(issuer: str, conductor: Conductor) -> None:
    """A no that comes after some waiting ends the login as a no."""
    waits: list[float] = []

    def late_no(notice: Any) -> None:
        waits.append(notice.seconds)
        if len(waits) == 8:  # a tick a second: the first poll was at five
            code = notices.wait_for(NoticeKind.CODE)
            decide_device(code.url or "", code.user_code or "", approve=False)

    notices = Notices({NoticeKind.WAITING: late_no})
    clock = QuickClock(SystemClock(), 25)
    with pytest.raises(AuthCancelled):
        conductor.sign_in(config_of(issuer), DeviceTransport(notices, RequestsHttp(), clock))
    assert len(waits) >= 8


def test_device_code_expired_at_the_provider(
    issuer: str, conductor: Conductor, storage: EncryptedFileStorage
) -> None:
    """Where our own clock is late, the provider's word for an expired code ends the login."""

    class Late(QuickClock):
        def now(self) -> float:
            return super().now() - 60

    config = replace(config_of(issuer), client_id="wire-brief")
    clock = Late(SystemClock(), 25)
    with pytest.raises(LoginTimedOut):
        conductor_over(storage, clock=clock).sign_in(
            config, DeviceTransport(Notices(), RequestsHttp(), clock)
        )
    last = list(storage.events())[-1].members
    assert (last["reason"], last["oauth_error"]) == ("device_code_expired", "expired_token")


def test_device_code_left_between_polls_and_gone_on_with(issuer: str, tmp_path: Path) -> None:
    """Stopped after a poll; approved; the next process goes on with the same code."""
    clock = QuickClock(SystemClock(), 25)
    polls: list[str] = []

    class Counting(RequestsHttp):
        def send(self, request: HttpRequest) -> HttpResponse:
            polls.append(request.url)
            return super().send(request)

    def leave(notice: Any) -> None:
        if any(url.endswith("/token") for url in polls):  # one poll has been answered
            raise KeyboardInterrupt

    config = config_of(issuer)
    notices = Notices({NoticeKind.WAITING: leave})
    first = conductor_over(vault(tmp_path), http=Counting(), clock=clock)
    with pytest.raises(KeyboardInterrupt):
        first.sign_in(config, DeviceTransport(notices, RequestsHttp(), clock))
    code = notices.wait_for(NoticeKind.CODE)
    decide_device(code.url or "", code.user_code or "")
    later = vault(tmp_path)
    (left,) = later.summaries()
    login = conductor_over(later, clock=clock).resume(
        left.id, [DeviceTransport(Notices(), RequestsHttp(), clock)]
    )
    assert is_ada(login)


def test_a_refresh_rotates_and_the_old_token_is_refused(issuer: str, conductor: Conductor) -> None:
    """New tokens replace both old ones; the old refresh token is spent, and using it costs all."""
    config = config_of(issuer)
    before = tokens_of(sign_in(conductor, config))
    after = tokens_of(conductor.refresh.valid("wire", DEFAULT_ACCOUNT, force=True))
    assert after.refresh_token != before.refresh_token
    assert after.access_token != before.access_token
    assert active(config, after.access_token, "access_token")

    answer = RequestsHttp().send(refresh_request(config, before.refresh_token))
    assert answer.status == 400
    assert b"invalid_grant" in answer.body
    with pytest.raises(TokenRefreshFailed):  # the server saw a theft and ended the family
        conductor.refresh.valid("wire", DEFAULT_ACCOUNT, force=True)
    assert conductor.refresh.find("wire", DEFAULT_ACCOUNT).state is State.REFRESH_FAILED


def test_signing_out_revokes(issuer: str, conductor: Conductor) -> None:
    """After signing out the server itself says that the tokens are no good."""
    login = sign_in(conductor, config_of(issuer))
    held = tokens_of(login)
    ended = conductor.logout.sign_out(login)
    assert (ended.revoked, ended.problem) == (True, None)
    assert ended.login.state is State.IDLE
    assert ended.login.tokens is None
    assert not active(login.config, held.access_token, "access_token")
    assert not active(login.config, held.refresh_token, "refresh_token")
