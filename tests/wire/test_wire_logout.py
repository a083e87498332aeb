"""Logout that ends the browser's session, too, against a certified authorization server."""

from __future__ import annotations

import socket
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from command import World
from stayfast import MemoryStorage, OAuthConfig, OAuthService, Success
from stayfast.testing.user_agent import UserAgent

pytestmark = pytest.mark.wire


@pytest.fixture
def way_back() -> str:
    """An address on a port that is free now: the server compares it to the letter."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}/signed-out"


@pytest.fixture
def client(issuer: str, way_back: str) -> str:
    """A client that may send browsers to the end of their session (RFC 7591 §3.1)."""
    answer = requests.post(
        f"{issuer}/reg",
        json={
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "redirect_uris": ["http://127.0.0.1/callback"],
            "post_logout_redirect_uris": [way_back],
            "grant_types": ["authorization_code", "refresh_token"],
        },
        timeout=20,
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["client_id"]


def test_the_command_sends_the_browser_and_it_comes_back(
    world: World, client: str, way_back: str
) -> None:
    """OpenID Connect RP-Initiated Logout §2 and §3: with the ``state`` it was sent with."""
    edited = world.run(
        "provider", "edit", "wire", "--client-id", client, "--post-logout-redirect-uri", way_back
    )
    assert edited.code == 0, edited.err
    assert world.run("login", "wire", "--via", "loopback").code == 0
    done = world.run("logout", "wire", "--browser", "--json")
    (ended,) = done.json["logouts"]
    assert (done.code, ended["revoked"]) == (0, True), done.err
    assert ended["browser"] == {"returned": True, "problem": None}
    assert world.run("token", "wire").code == 4


def test_the_session_of_the_browser_ends(issuer: str, client: str, way_back: str) -> None:
    """The server knows the user of that browser before it, and nobody after it."""
    config = OAuthConfig(
        service_name="wire",
        issuer=issuer,
        client_id=client,
        scopes=("openid",),
        redirect_uri="http://127.0.0.1:0/callback",
    )
    service = OAuthService(storage=MemoryStorage(), providers={"wire": config})
    agent = UserAgent()

    def signed_in(*, by_the_user: bool) -> str | None:
        begun = service.begin("wire", prompt=None if by_the_user else "none").value
        landed = agent.walk(begun.address, approve=True)
        if isinstance(service.complete(landed), Success):
            return None
        return parse_qs(urlsplit(landed).query)["error"][0]

    assert signed_in(by_the_user=True) is None
    # the user is known, but the server asks them before each code for a native client
    assert signed_in(by_the_user=False) == "interaction_required"
    out = service.sign_out("wire", post_logout_redirect_uri=way_back).value
    assert out.browser is not None
    landed = agent.walk(out.browser.address, approve=True)
    assert landed.startswith(f"{way_back}?")
    assert parse_qs(urlsplit(landed).query)["state"] == [out.browser.state]
    assert signed_in(by_the_user=False) == "login_required"
