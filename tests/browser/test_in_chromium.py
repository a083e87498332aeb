"""A real browser, from the provider's login page to ours: what it shows, and what it leaves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import chromium
import pytest
import requests
import wire_provider
from chromium import LOOKS, Chromium
from command import PATIENCE, World, kill, until
from stayfast.engine.errors import CallbackRefused
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.ports import Verdict, VerdictKind
from stayfast.engine.table import State
from stayfast.storage.host import SystemClock
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.transports.loopback import last_page
from stayfast.transports.loopback.transport import LoopbackSession, LoopbackTransport
from wire_talk import Background, NoBrowser, Notices, asking

pytestmark = pytest.mark.wire

NAME = "Kraków <i>Cloud</i> & Söhne"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with chromium.running(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def browser(window: Chromium) -> Chromium:
    """A browser without a past."""
    window.forget()
    return window


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with wire_provider.running() as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, issuer: str) -> World:
    """The certified server as ``wire``; as ``mistaken`` with a client secret that is wrong."""
    tmp_path.chmod(0o700)
    made = World(tmp_path, AuthorizationServer())
    for name, client, host, *more in (
        ("wire", "wire", "127.0.0.1"),
        ("mistaken", "wire-secret", "127.0.0.1"),
        ("posting", "wire", "localhost", "--param", "response_mode=form_post"),
    ):
        added = made.run(
            "provider", "add", name, "--issuer", issuer, "--client-id", client, *more,
            "--scope", "openid email", "--redirect-uri", f"http://{host}:0/callback",
        )  # fmt: skip
        assert added.code == 0
    made.extra["MISTAKEN_CLIENT_SECRET"] = "not the one the server knows"
    return made


class Login:
    """`stayfast login`, whose launcher passes the address to a browser that is open already."""

    def __init__(self, world: World, provider: str) -> None:
        pipe = world.place / f"{provider}.address"
        os.mkfifo(pipe)
        script = world.place / f"{provider}-launcher"
        script.write_text(
            f'#!{sys.executable}\nimport sys\nopen({str(pipe)!r}, "w").write(sys.argv[1])\n'
        )
        script.chmod(0o700)
        self._process = world.start(
            "login", provider, "--via", "loopback", env={"BROWSER": f"{script} %s"}
        )
        self.address = pipe.read_text()

    def kill(self) -> None:
        kill(self._process)

    def exit_code(self) -> int:
        self._process.communicate(timeout=PATIENCE)
        return self._process.returncode


def sign_in(browser: Chromium, address: str) -> None:
    """Fill in the provider's login page."""
    browser.open(address)
    browser.fill("input[name=login]", "ada")
    browser.fill("input[name=password]", "demo")
    browser.press("button[type=submit]")


def consent(browser: Chromium) -> None:
    """Say yes on the next page."""
    browser.wait_for("form[action] input[name=prompt][value=consent]")
    browser.press("button[type=submit]")


def judge(browser: Chromium, name: str) -> None:
    """Look at the page in every way, and find nothing wrong with it."""
    for look in LOOKS:
        browser.look(look)
        browser.photograph(f"{name}-{look}")
        assert browser.violations() == []
        assert browser.run("return document.scrollingElement.scrollWidth <= innerWidth")
    assert browser.run("return document.scripts.length") == 0
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run("return document.querySelectorAll('h1').length") == 1
    assert browser.run("return getComputedStyle(document.querySelector('main')).maxWidth") != "none"
    assert browser.complaints() == []


def no_code_left(browser: Chromium) -> bool:
    """Whether neither the address bar nor the back button knows anything of the answer."""
    seen = [browser.address, *browser.history()]
    return not any("/callback" in one for one in seen)


def mood(browser: Chromium) -> str:
    return browser.run("return document.querySelector('main').className")


def test_a_user_signs_in(browser: Chromium, world: World) -> None:
    """Through login and consent to a page that says who is signed in, at an address without code."""
    login = Login(world, "wire")
    sign_in(browser, login.address)
    consent(browser)
    browser.wait_for("main.good")
    assert login.exit_code() == 0
    assert world.logins()[-1].state is State.AUTHENTICATED
    assert "ada@wire.test" in browser.title
    assert no_code_left(browser)
    judge(browser, "signed-in")


def test_a_user_says_no(browser: Chromium, world: World) -> None:
    """Cancel at the provider ends on a page that says so, and how to try again."""
    login = Login(world, "wire")
    browser.open(login.address)
    browser.press("a[href$=abort]")
    browser.wait_for("main.bad")
    assert login.exit_code() == 5
    assert "stayfast login wire" in browser.run("return document.querySelector('code').innerText")
    assert no_code_left(browser)
    judge(browser, "denied")


def test_an_exchange_that_fails(browser: Chromium, world: World) -> None:
    """A code that the server does not take from us ends on a page that does not say it went well."""
    login = Login(world, "mistaken")
    sign_in(browser, login.address)
    consent(browser)
    browser.wait_for("main.bad")
    assert login.exit_code() == 1
    assert world.logins()[-1].state is not State.AUTHENTICATED
    assert no_code_left(browser)
    judge(browser, "failed")


def test_a_posted_answer_at_localhost(browser: Chromium, world: World) -> None:
    """form_post to a name that may be either address family ends as any other answer does."""
    login = Login(world, "posting")
    sign_in(browser, login.address)
    consent(browser)
    browser.wait_for("main.good")
    assert login.exit_code() == 0
    assert urlsplit(browser.address).hostname == "localhost"
    assert no_code_left(browser)


def test_a_command_that_was_killed_meanwhile(browser: Chromium, world: World) -> None:
    """The page that could not be loaded is reloaded once the login is resumed, and all is well."""
    login = Login(world, "wire")
    sign_in(browser, login.address)
    browser.wait_for("form[action] input[name=prompt][value=consent]")
    login.kill()
    browser.press("button[type=submit]")
    until(lambda: browser.address, lambda address: "/callback?code=" in address)
    assert world.logins()[-1].state is State.AWAITING_CALLBACK
    again = world.start("resume", world.logins()[-1].short_id, "--no-browser")
    until(lambda: reloaded(browser), lambda mood: mood == "good")
    again.communicate(timeout=PATIENCE)
    assert again.returncode == 0
    assert world.logins()[-1].state is State.AUTHENTICATED
    assert no_code_left(browser)


def reloaded(browser: Chromium) -> str | None:
    """What kind of page is there after a reload, if any."""
    browser.reload()
    return browser.run("return document.querySelector('main')?.className")


CONFIG = OAuthConfig(
    service_name="x", client_id="y", display_name=NAME, redirect_uri="http://127.0.0.1:0/callback"
)


@pytest.fixture
def session() -> Iterator[LoopbackSession]:
    opened = LoopbackTransport(Notices(), NoBrowser(), SystemClock()).prepare(asking(CONFIG))
    yield opened
    opened.close()


def served(session: LoopbackSession, work: Callable[[], object]) -> None:
    """Do ``work`` while the session answers strangers."""
    stranger = Background(work)
    while stranger.running:
        with suppress(CallbackRefused):  # it is logged, and was answered
            assert session.receive(0.05) is None
    stranger.result()


def home(session: LoopbackSession) -> str:
    return (session.presentation.redirect_uri or "").rpartition("/")[0]


def test_an_exchange_that_takes_long(
    browser: Chromium, session: LoopbackSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that has waited long enough gets a page that points to the terminal; names are inert."""
    monkeypatch.setattr(last_page, "HOLD", 0.2)
    visit = Background(lambda: browser.open(f"{home(session)}/callback?code=a&state=b"))
    assert session.receive(10) is not None
    session.reply(Verdict(kind=VerdictKind.ACCEPTED))
    visit.result()
    assert NAME in browser.run("return document.querySelector('main').innerText")
    assert no_code_left(browser)
    judge(browser, "finishing")


def test_an_answer_that_is_not_the_one(browser: Chromium, session: LoopbackSession) -> None:
    """The page for a wrong state names the mistake, and says that the wait goes on: nothing failed."""
    visit = Background(lambda: browser.open(f"{home(session)}/callback?code=a&state=b"))
    assert session.receive(10) is not None
    session.reply(Verdict(kind=VerdictKind.REFUSED, message="that answer is of another login"))
    visit.result()
    assert mood(browser) == ""
    judge(browser, "refused")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nothing", "/"),
        ("no-answer", "/callback"),
        ("over", f"{last_page.DONE_PATH}/of-another-login"),
    ],
)
def test_a_stray_visitor(browser: Chromium, session: LoopbackSession, name: str, path: str) -> None:
    """Whoever looks around sees a page that is in order, and no more than that."""
    served(session, lambda: browser.open(f"{home(session)}{path}"))
    judge(browser, name)


def test_a_method_that_is_not_allowed(browser: Chromium, session: LoopbackSession) -> None:
    """The body of a 405 is a page as the others are."""
    bodies: list[bytes] = []
    served(
        session,
        lambda: bodies.append(requests.put(f"{home(session)}/callback", timeout=10).content),
    )
    browser.show(bodies[0])
    judge(browser, "not-allowed")
