"""Signing out: the provider is asked to revoke, and whatever it says the tokens are erased here."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


@pytest.mark.parametrize(
    ("revoke", "broken", "revoked"),
    [(True, False, True), (True, True, False), (False, False, None)],
    ids=["confirmed", "unconfirmed", "not asked"],
)
def test_tokens_are_erased_whatever_the_provider_says(
    server: AuthorizationServer, revoke: bool, broken: bool, revoked: bool | None
) -> None:
    """The result says what was revoked, and until when an access token lives that was not."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    login = conductor.sign_in(server.config(), InstantTransport(approve))
    assert login.tokens is not None
    if broken:
        server.misbehave("revoke", Fault(kind=FaultKind.BUSY_503), times=None)
    ended = conductor.logout.sign_out(login, revoke=revoke)
    assert ended.revoked is revoked
    assert (ended.problem is not None) is broken
    assert ended.valid_until == (None if revoked else login.tokens.expires_at)
    kept = storage.read(login.id)
    assert kept is not None
    assert (kept.state, kept.tokens, kept.reason) == (State.IDLE, None, "signed_out")


class Listening(RequestsHttp):
    """Records which tokens are sent to be revoked, and as what."""

    def __init__(self) -> None:
        super().__init__()
        self.revoked: list[tuple[str, str]] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/revoke"):
            form = dict(parse_qsl(request.body.decode()))
            self.revoked.append((form["token_type_hint"], form["token"]))
        return super().send(request)


def test_both_tokens_are_revoked(server: AuthorizationServer) -> None:
    """No provider is relied upon to end one with the other."""
    http = Listening()
    conductor = conductor_over(MemoryStorage(), http=http)
    login = conductor.sign_in(server.config(), InstantTransport(approve))
    assert login.tokens is not None
    assert login.tokens.refresh_token
    conductor.logout.sign_out(login)
    assert http.revoked == [
        ("refresh_token", login.tokens.refresh_token),
        ("access_token", login.tokens.access_token),
    ]


def test_the_log_says_the_status_and_the_code_of_one_answer(server: AuthorizationServer) -> None:
    """The refusal of the second token, and not with it the 200 of the first."""
    storage = MemoryStorage()
    conductor = conductor_over(storage)
    login = conductor.sign_in(server.config(), InstantTransport(approve))
    server.misbehave("revoke", Fault(kind=FaultKind.MEMBERS))  # passes
    refusal = Fault(kind=FaultKind.ERROR, status=403, members={"error": "access_denied"})
    server.misbehave("revoke", refusal)
    conductor.logout.sign_out(login)
    last = list(storage.events())[-1].members
    assert (last["http_status"], last["oauth_error"]) == (403, "access_denied")
