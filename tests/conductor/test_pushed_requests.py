"""Pushed authorization requests (RFC 9126): pushed before the browser opens, and again on resume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from logins import CHALLENGE, CONFIG
from stayfast.engine.codec import decode_login, encode_login
from stayfast.engine.errors import (
    AuthFailed,
    ConfigMissing,
    NetworkError,
    ProviderError,
    TransportUnavailable,
)
from stayfast.engine.oauth.authorization_request import authorization_parameters
from stayfast.engine.oauth.pushed_request import judge_push, push_request
from stayfast.engine.ports import HttpResponse
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import Client

API = ("https://api.example/a", "https://api.example/b")


class World:
    """A server that takes pushed requests only, a storage, and a user who answers at once."""

    def __init__(self, server: AuthorizationServer, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock
        self.storage = MemoryStorage()
        self.conductor = conductor_over(
            self.storage, http=RequestsHttp(clock=self.clock), clock=self.clock
        )
        self.transport = InstantTransport(lambda address: [user_agent.fetch_only(address)])

    def sign_in(self, **settings) -> Login:
        return self.conductor.sign_in(self.server.config(**settings), self.transport)

    def start(self, **settings) -> Login:
        """A login that waits for its user."""
        waits = InstantTransport(lambda _: [])
        return self.conductor.start(self.server.config(**settings), waits).login

    def steps(self) -> list[object]:
        return [one.members.get("trigger") for one in self.storage.events()]

    def pushes(self) -> int:
        return self.server.counts["par"]


@pytest.fixture
def world() -> Iterator[World]:
    clock = ManualClock()
    with AuthorizationServer(Settings(par_required=True), now=clock.now) as server:
        yield World(server, clock)


def query(address):
    return parse_qs(urlsplit(address).query)


def test_the_browser_gets_a_name_and_nothing_else(world):
    """Client and `request_uri` alone (§4); everything asked for is known to the server."""
    login = world.sign_in(resources=API, extra_auth_params={"prompt": "consent"})

    assert login.state is State.AUTHENTICATED
    assert world.pushes() == 1
    assert set(query(world.transport.addresses[0])) == {"client_id", "request_uri"}
    assert world.server.state.tokens[-1].resource == " ".join(API)
    pushed = next(one for one in world.server.requests if one.path == "/par")
    assert {"code_challenge", "state", "redirect_uri", "prompt"} <= set(pushed.parameters)


@pytest.mark.parametrize(
    ("required", "par", "pushed"),
    [
        (True, "auto", True),
        (False, "auto", False),
        (False, "required", True),
        (False, "off", False),
    ],
)
def test_it_is_pushed_where_it_must_be_or_is_to_be(world, required, par, pushed):
    """By the server's promise, or by the setting."""
    world.server.change(par_required=required)
    assert world.sign_in(par=par).state is State.AUTHENTICATED
    assert bool(world.pushes()) is pushed


def test_a_server_that_takes_no_other_needs_it(world):
    """`off` cannot be kept to, and an endpoint that is not known cannot be used: nothing is asked."""
    with pytest.raises(TransportUnavailable):
        world.sign_in(par="off")
    with pytest.raises(TransportUnavailable):
        world.sign_in(par_url=None)
    world.server.change(par_required=False)
    with pytest.raises(ConfigMissing):
        world.sign_in(par="required", par_url=None)
    assert world.transport.addresses == []


@pytest.mark.parametrize("later", [30.0, 90.0])
def test_a_login_is_resumed_with_an_address_that_still_works(world, later):
    """A name is good once, and its user may have opened it: the request is pushed again."""
    login = world.start()
    world.clock.time += later
    done = world.conductor.resume(login.id, [world.transport])

    assert done.state is State.AUTHENTICATED
    assert world.pushes() == 2
    assert "push_again" in world.steps()


def test_a_name_that_has_not_ended_is_shown_where_no_other_can_be_had(world):
    """The user may not have opened it yet."""
    login = world.start()
    world.server.misbehave("par", Fault(kind=FaultKind.DROP_BEFORE))
    assert world.conductor.resume(login.id, [world.transport]).state is State.AUTHENTICATED
    assert "push_again" not in world.steps()


def test_an_answer_to_the_first_name_is_still_the_answer(world):
    """The same secrets are pushed again: nothing that the user did is lost."""
    login = world.start()
    opened = user_agent.fetch_only(world.conductor.address(login))
    world.clock.time += 30
    quiet = InstantTransport(lambda _: [opened])
    assert world.conductor.resume(login.id, [quiet]).state is State.AUTHENTICATED
    assert world.pushes() == 2


@pytest.mark.parametrize(
    "fault", [Fault(kind=FaultKind.DROP_BEFORE), Fault(kind=FaultKind.ERROR)], ids=["network", "no"]
)
def test_where_it_cannot_be_pushed_again_the_login_waits_as_before(world, fault):
    """And can be resumed."""
    login = world.start()
    world.clock.time += 90
    world.server.misbehave("par", fault)
    with pytest.raises((NetworkError, ProviderError)):
        world.conductor.resume(login.id, [world.transport])
    assert world.storage.read(login.id) == login
    assert world.conductor.resume(login.id, [world.transport]).state is State.AUTHENTICATED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(kind=FaultKind.ERROR, members={"error": "invalid_scope"}), "push_refused"),
        (Fault(kind=FaultKind.DROP_BEFORE), "network"),
        (Fault(kind=FaultKind.ANSWER, status=503, body="<html>"), "network"),
        (Fault(kind=FaultKind.ANSWER, status=201, body="{}"), "push_refused"),
    ],
    ids=["refused", "no answer", "trouble", "no name"],
)
def test_a_request_that_is_not_taken_ends_the_login_before_its_user_is_asked(world, fault, reason):
    """With a reason of its own in the log."""
    world.server.misbehave("par", fault, None)
    with pytest.raises((NetworkError, ProviderError, AuthFailed)):
        world.sign_in()
    (login,) = world.storage.summaries()

    assert (login.state, login.reason) == (State.IDLE, reason)
    assert world.transport.addresses == []
    assert world.steps() == ["begin", "fail"] or world.steps()[-2:] == ["begin", "fail"]


@pytest.mark.parametrize(
    "method", ["client_secret_basic", "client_secret_post", "client_secret_jwt"]
)
def test_the_client_proves_itself_when_it_pushes(world, method):
    """As at the token endpoint; the client id stands in the request once."""
    secret = "a-secret-that-is-long-enough-to-sign-with"
    known = None if method != "client_secret_jwt" else method
    world.server.add_client(Client("closed", client_secret=secret, auth_method=known))
    config = replace(
        CONFIG,
        client_id="closed",
        client_secret=secret,
        token_endpoint_auth_method=method,
        par_url="https://login.acme.example/par",
        token_request_format="json",
    )

    body = push_request(
        config, authorization_parameters(config, CHALLENGE, "http://127.0.0.1/callback")
    ).body.decode()
    assert parse_qs(body)["client_id"] == ["closed"]
    login = world.sign_in(
        client_id="closed", client_secret=secret, token_endpoint_auth_method=method
    )
    assert login.state is State.AUTHENTICATED


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"request_uri": ""},
        {"request_uri": 5},
        {"request_uri": "urn:a b"},
        {"request_uri": "urn:a\x1b[31m"},
        {"request_uri": "u" * 5000},
        {"request_uri": ["urn:a"]},
    ],
    ids=lambda members: str(members)[:40],
)
def test_a_name_that_cannot_be_shown_is_refused(members):
    """Whatever its type."""
    body = json.dumps({"expires_in": 60, **members}).encode()
    with pytest.raises(ProviderError):
        judge_push(CONFIG, HttpResponse(status=201, headers={}, body=body, received_at=0.0))


@pytest.mark.parametrize("expires", [None, 0, -5, "soon", "90", 1e300])
def test_a_name_has_an_end_whatever_the_server_says(expires):
    """A minute where it says nothing that can be read."""
    body = json.dumps({"request_uri": "urn:a", "expires_in": expires}).encode()
    pushed = judge_push(CONFIG, HttpResponse(status=201, headers={}, body=body, received_at=100.0))
    assert 160.0 <= pushed.expires_at < float("inf")


def test_the_name_is_saved_and_shown_nowhere(world):
    """It survives its way through a record, whose number older versions refuse; `repr` hides it."""
    login = world.start()
    read = decode_login(encode_login(login)[1])
    assert read == login
    assert read.presentation is not None
    assert read.presentation.pushed is not None
    assert read.presentation.pushed.request_uri.reveal() not in repr(login)
