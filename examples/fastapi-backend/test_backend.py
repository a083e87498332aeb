"""The backend's own tests: a visitor, and an attacker who wants the visitor to work in his account.

They need pytest, fastapi, httpx and the extras demo and postgres; then `pytest` in this folder. The logins
are in SHOP_STORE; with SHOP_STORE=memory nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest
from backend import LOGIN, SESSION, make_app  # type: ignore[import-not-found]  # pytest finds it here
from fastapi import FastAPI
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer
from stayfast.testing.server_state import Client
from stayfast.testing.user_agent import UserAgent

HERE = "https://shop.example.com"


class Browser:
    """One visitor's, with cookies of its own."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.cookies = httpx.Cookies()

    def send(self, method: str, address: str) -> httpx.Response:
        async def sent() -> httpx.Response:
            shop = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(
                transport=shop, base_url=HERE, cookies=self.cookies
            ) as client:
                answer = await client.request(method, address)
                self.cookies = client.cookies
                return answer

        return asyncio.run(sent())

    def get(self, address: str) -> httpx.Response:
        return self.send("GET", address)


@pytest.fixture
def provider() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        running.add_client(Client(CLIENT_ID, redirect_uris=(f"{HERE}/callback",)))
        yield running


@pytest.fixture
def browser(provider: AuthorizationServer) -> Callable[[], Browser]:
    """Browsers of visitors of one backend."""
    config = provider.config(redirect_uri=f"{HERE}/callback")
    app = make_app(config, f"{provider.issuer}/userinfo")
    return lambda: Browser(app)


def answer(browser: Browser, name: str) -> str:
    """Where the provider sends a browser back to, in which `name` signs in there."""
    page = browser.get("/login").headers["Location"]
    return UserAgent({"login": name}).walk(page, approve=True)


def test_a_visitor_signs_in_and_out(browser: Callable[[], Browser]) -> None:
    ada = browser()
    assert ada.get("/me").status_code == 401
    assert ada.get(answer(ada, "ada")).headers["Location"] == "/me"
    assert ada.get("/me").json()["sub"]
    assert LOGIN not in ada.cookies
    ada.send("POST", "/logout")
    assert ada.get("/me").status_code == 401


def test_visitors_have_logins_of_their_own(browser: Callable[[], Browser]) -> None:
    ada, bob = browser(), browser()
    ada.get(answer(ada, "ada"))
    bob.get(answer(bob, "bob"))
    assert ada.cookies[SESSION] != bob.cookies[SESSION]
    ada.send("POST", "/logout")
    assert ada.get("/me").status_code == 401
    assert bob.get("/me").status_code == 200


@pytest.mark.parametrize("victim_has_begun", [True, False])
def test_nobody_is_signed_in_as_the_attacker(
    browser: Callable[[], Browser], victim_has_begun: bool
) -> None:
    """The attacker stops at his answer, and has the victim open it."""
    attacker, victim = browser(), browser()
    trap = answer(attacker, "mallory")
    own = answer(victim, "ada") if victim_has_begun else None
    assert victim.get(trap).status_code == 403
    assert SESSION not in victim.cookies
    assert victim.get("/me").status_code == 401
    if own is not None:  # and her own login still serves
        assert victim.get(own).headers["Location"] == "/me"
        assert victim.get("/me").status_code == 200


def test_an_answer_serves_once(browser: Callable[[], Browser]) -> None:
    ada, thief = browser(), browser()
    own = answer(ada, "ada")
    ada.get(own)
    thief.cookies.update(ada.cookies)
    thief.cookies.delete(SESSION)
    assert thief.get(own).status_code == 403
    assert thief.get("/me").status_code == 401


def test_a_token_that_has_ended_is_renewed_unseen(
    browser: Callable[[], Browser], provider: AuthorizationServer
) -> None:
    ada = browser()
    ada.get(answer(ada, "ada"))
    for _ in range(3):
        for token in provider.state.tokens:
            token.issued_at -= 7200
        assert ada.get("/me").status_code == 200
    assert provider.counts["token:refresh_token"] == 3
