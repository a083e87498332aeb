"""Signing out: what the provider answered of each token, and the session of the browser there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from stayfast import OAuthService, SignedOut, Success
from stayfast.engine.errors import CallbackRefused
from stayfast.engine.oauth.end_session import EndSession, end_session, validate_return
from stayfast.engine.ports import Notice
from stayfast.engine.secret import Secret
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind

BACK = "http://127.0.0.1:0/signed-out"


class Browser:
    """Signs in at once; of a logout it remembers the address, and does what a test says."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.follows = True
        self.first: list[str] = []

    def show(self, notice: Notice) -> None:
        """Nobody looks."""

    def open(self, url: str) -> None:
        if "/end_session" not in url:
            threading.Thread(target=user_agent.approve, args=(url,), daemon=True).start()
            return
        self.sent.append(url)
        threading.Thread(target=self._return, args=(url,), daemon=True).start()

    def _return(self, url: str) -> None:
        back = parse_qs(urlsplit(url).query)["post_logout_redirect_uri"][0]
        for query in self.first:
            requests.get(f"{back}{query}", timeout=10)
        if self.follows:
            requests.get(url, timeout=10)


class World:
    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.browser = Browser()
        self.storage = MemoryStorage()

    def service(self, **settings: Any) -> OAuthService:
        provider = self.server.config(**settings)
        service = OAuthService(
            storage=self.storage,
            conversation=self.browser,
            browser=self.browser,
            providers={"demo": provider},
            app="acme",
            environ={},
        )
        assert isinstance(service.authenticate("demo", via="loopback"), Success)
        return service


@pytest.fixture
def world() -> Iterator[World]:
    with AuthorizationServer(Settings(end_session=True)) as server:
        yield World(server)


def ended(service: OAuthService, **how: Any) -> SignedOut:
    result = service.sign_out("demo", **how)
    assert isinstance(result, Success)
    return result.value


def fault(status: int, error: str | None = None, **headers: str) -> Fault:
    if error is not None:
        return Fault(kind=FaultKind.ERROR, status=status, members={"error": error}, headers=headers)
    return Fault(kind=FaultKind.ANSWER, status=status, body=b"", headers=headers)


ANSWERS: Mapping[str, tuple[list[Fault | None], list[str], bool]] = {
    "both": ([None, None], ["revoked", "revoked"], True),
    "refused": (
        [fault(400, "invalid_client"), fault(400, "invalid_client")],
        *(["refused", "refused"], False),
    ),
    "one refused": ([None, fault(403, "access_denied")], ["revoked", "refused"], False),
    "no access tokens": (
        [None, fault(400, "unsupported_token_type")],
        *(["revoked", "unsupported_token_type"], True),
    ),
    "no refresh tokens": (
        [fault(400, "unsupported_token_type"), None],
        *(["unsupported_token_type", "revoked"], False),
    ),
    "gone before": (
        [fault(400, "invalid_token"), fault(400, "invalid_token")],
        *(["already_invalid", "already_invalid"], True),
    ),
    "busy": ([fault(503, **{"Retry-After": "120"})], ["no_answer", "not_sent"], False),
    "accepted, and not done": ([fault(202)], ["no_answer", "not_sent"], False),
    "no content": ([fault(204)], ["no_answer", "not_sent"], False),
    "a page": ([fault(404)], ["no_answer", "not_sent"], False),
    "moved": ([fault(302, Location="https://x.example/")], ["no_answer", "not_sent"], False),
    "dropped": ([Fault(kind=FaultKind.DROP_BEFORE)], ["no_answer", "not_sent"], False),
}


@pytest.mark.parametrize(("faults", "outcomes", "confirmed"), ANSWERS.values(), ids=ANSWERS)
def test_nothing_is_claimed_that_was_not_answered(
    world: World, faults, outcomes, confirmed
) -> None:
    """Each token has its own outcome, as data and in the log; only a 200 revokes."""
    service = world.service()
    # a fault that lets the request pass, so that the next one is for the next token
    passing = Fault(kind=FaultKind.MEMBERS)
    for one in faults:
        world.server.misbehave("revoke", one or passing)

    said = ended(service)

    assert [one.outcome.value for one in said.revocations] == outcomes
    assert [one.token for one in said.revocations] == ["refresh_token", "access_token"]
    assert said.revoked is confirmed
    assert (said.problem is None) is confirmed
    assert said.refresh_token_valid is not said.revocations[0].ended
    assert said.access_token_valid is not said.revocations[1].ended
    last = list(world.storage.events())[-1].members
    pairs = zip(("refresh_token", "access_token"), outcomes, strict=True)
    assert last["detail"] == " ".join(f"{token}={outcome}" for token, outcome in pairs)
    assert service.get_status("demo").value == "not_authenticated"


def test_a_busy_server_says_how_to_go_on(world: World) -> None:
    """503 with Retry-After (RFC 7009 §2.2.1): the seconds are data."""
    service = world.service()
    world.server.misbehave("revoke", fault(503, **{"Retry-After": "120"}))
    said = ended(service)
    assert (said.revocations[0].retry_after, said.revocations[0].http_status) == (120.0, 503)
    assert said.problem is not None
    assert said.problem.hint is not None


@pytest.mark.parametrize(
    ("settings", "revoke", "outcome"),
    [({"revocation_url": None}, True, "not_supported"), ({}, False, "not_sent")],
)
def test_where_nothing_is_asked_nothing_is_said_to_be_revoked(
    world: World, settings, revoke, outcome
) -> None:
    """Without an endpoint, or by wish, both tokens may still be good."""
    said = ended(world.service(**settings), revoke=revoke)
    assert {one.outcome.value for one in said.revocations} == {outcome}
    assert (said.revoked, said.refresh_token_valid, said.access_token_valid) == (None, True, True)
    assert world.server.counts["revoke"] == 0


def test_the_browser_is_sent_only_if_asked_and_its_return_is_checked(world: World) -> None:
    """The address has the four parameters; requests with another state are refused meanwhile."""
    service = world.service(post_logout_redirect_uri=BACK)
    tokens = service.get_tokens("demo").value
    world.browser.first = ["?state=wrong", "", "?state=a&state=b", "/other?state=x"]

    said = ended(service, browser=True)

    assert said.returned is True
    (address,) = world.browser.sent
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert query["id_token_hint"] == tokens.id_token
    assert query["client_id"] == "stayfast-demo"
    assert query["post_logout_redirect_uri"].startswith("http://127.0.0.1:")
    assert len(query["state"]) >= 43
    assert world.server.counts["sessions_ended"] == 1
    assert tokens.id_token not in repr(said)


def test_a_logout_does_not_hang_on_a_browser(world: World) -> None:
    """Tokens are erased before it is opened; a browser that never returns costs the wait alone."""
    service = world.service(post_logout_redirect_uri=BACK)
    world.browser.follows = False
    said = ended(service, browser=True, timeout=0.2)
    assert (said.returned, said.revoked) == (False, True)
    assert service.get_status("demo").value == "not_authenticated"


def test_without_the_wish_no_browser_is_sent(world: World) -> None:
    """A web backend finds the address in the value, with its own address to come back to."""
    service = world.service()
    said = ended(service, post_logout_redirect_uri="https://app.example/bye")
    assert world.browser.sent == []
    assert said.browser is not None
    assert said.browser.state is not None
    query = parse_qs(urlsplit(said.browser.address).query)
    assert query["post_logout_redirect_uri"] == ["https://app.example/bye"]
    assert query["state"] == [said.browser.state]
    assert "eyJ" not in repr(said)


def test_a_provider_without_the_endpoint_has_no_address() -> None:
    """Neither has one whose endpoint is plain http, which would show the ID token to others."""
    with AuthorizationServer() as server:
        for url in (None, "http://login.example/end", "javascript:alert(1)", "file:///etc/passwd"):
            config = server.config(end_session_url=url)
            assert end_session(config, None, state=Secret("s")) is None


def test_an_endpoint_keeps_its_own_query() -> None:
    """Without a registered address neither it nor a state is sent; nothing of ours stands there twice."""
    with AuthorizationServer() as server:
        query = "tenant=a&state=theirs&id_token_hint=x&client_id=y&post_logout_redirect_uri=z"
        config = server.config(end_session_url=f"https://login.example/end?{query}#x")
        ending = end_session(config, None, state=Secret("s"))
        assert ending is not None
        assert ending.address == "https://login.example/end?tenant=a&client_id=stayfast-demo"
        assert ending.state is None


@pytest.mark.parametrize(
    "parameters",
    [[], [("state", "")], [("state", "S")], [("state", "s"), ("state", "s")], [("State", "s")]],
)
def test_a_return_needs_the_one_state(parameters) -> None:
    """Missing, another, twice, misspelt."""
    ending = EndSession(address="https://x", state="s", redirect_uri="http://127.0.0.1/x")
    with pytest.raises(CallbackRefused):
        validate_return(parameters, ending)
    validate_return([("state", "s"), ("more", "x")], ending)
