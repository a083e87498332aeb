"""Tokens bound to a key (DPoP, RFC 9449), from the first request to the last."""

from __future__ import annotations

import json
import pickle
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from joserfc import jws
from logins import CONFIG
from stayfast.engine.codec import decode_login, encode_login
from stayfast.engine.errors import AuthFailed, AuthRequired, ConfigInvalid, TokenRefreshFailed
from stayfast.engine.oauth.dpop import new_proof_key, nonce_in, proof, wants_nonce
from stayfast.engine.oauth.id_token import claims_of
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.request_proofs import Prover, resource_headers
from stayfast.engine.oauth.token_endpoint import access_token, bearer_token
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.interfaces.transport_maker import SilentConversation
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemRandomness
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.transports.device import DeviceTransport

API = "https://api.acme.example/files?page=2#part"


class World:
    """A server that binds every token, a storage, and a user who answers at once."""

    def __init__(self, server: AuthorizationServer, clock: ManualClock) -> None:
        self.server = server
        self.clock = clock
        self.storage = MemoryStorage()
        self.forget()
        self.transport = InstantTransport(lambda address: [user_agent.fetch_only(address)])

    def forget(self) -> None:
        """As another process: what was remembered in memory is gone."""
        self.http = RequestsHttp(clock=self.clock)
        self.conductor = conductor_over(self.storage, http=self.http, clock=self.clock)

    def config(self, **settings) -> OAuthConfig:
        return self.server.config(**{"dpop": "required", **settings})

    def sign_in(self, **settings) -> Login:
        return self.conductor.sign_in(self.config(**settings), self.transport)

    def refresh(self) -> Login:
        return self.conductor.refresh.valid("demo", "default", force=True)

    def ask(self, login: Login, *, nonce: str | None = None) -> HttpResponse:
        """A request to an API of the server."""
        url = f"{self.server.issuer}/me"
        headers = resource_headers(self.http.prover, login, "GET", url, nonce=nonce)
        return self.http.send(HttpRequest(method="GET", url=url, headers=headers))


@pytest.fixture
def world() -> Iterator[World]:
    clock = ManualClock()
    with AuthorizationServer(Settings(dpop="required"), now=clock.now) as server:
        yield World(server, clock)


@pytest.mark.parametrize("nonce", [False, True])
@pytest.mark.parametrize("par", ["off", "required"])
def test_every_request_of_a_login_is_signed(world, nonce, par):
    """Code, refresh, API, revocation; with the nonces of both kinds of server, each asked for once."""
    world.server.change(dpop_nonce=nonce)
    login = world.sign_in(par=par)
    assert login.tokens.token_type == "DPoP"
    assert world.server.counts["token"] == 1 + nonce
    assert world.ask(login).status == 200
    again = world.refresh()
    assert again.tokens.access_token != login.tokens.access_token
    assert world.server.counts["token:refresh_token"] == 1
    assert world.ask(again).status == 200
    assert world.conductor.logout.sign_out(again).revoked


def test_the_nonce_is_saved_with_the_login(world):
    """Another process need not ask for it: one request."""
    world.server.change(dpop_nonce=True)
    world.sign_in()
    world.forget()
    world.refresh()
    assert world.server.counts["token:refresh_token"] == 1


def test_a_nonce_that_was_replaced_costs_one_request(world):
    """And the refresh token is not spent by the refused one."""
    world.server.change(dpop_nonce=True)
    world.sign_in()
    world.server.state.nonce = "another"
    world.refresh()
    assert world.server.counts["token:refresh_token"] == 2
    assert world.server.counts["refresh_reuse"] == 0


def test_an_endless_wish_for_nonces_ends(world):
    """One more try, then the refresh is postponed; the refresh token is kept."""
    world.sign_in()
    fault = Fault(
        kind=FaultKind.ERROR,
        status=400,
        members={"error": "use_dpop_nonce"},
        headers={"DPoP-Nonce": "n"},
    )
    world.server.misbehave("token", fault, None)
    with pytest.raises(Exception, match="use_dpop_nonce"):
        world.refresh()
    assert world.server.counts["token:refresh_token"] == 2
    world.server.behave()
    assert world.refresh().state is State.AUTHENTICATED


def test_by_device_code(world):
    """Polls are signed; the key was made before anything was asked."""
    world.server.change(device_interval=1)
    transport = DeviceTransport(SilentConversation(), world.http, world.clock)
    started = world.conductor.start(world.config(), transport)
    assert started.login.proof_key is not None
    device = started.login.presentation.device
    user_agent.decide_device(device.verification_uri, device.user_code)
    login = world.conductor.resume(started.login.id, [transport])
    assert login.tokens.token_type == "DPoP"
    assert login.proof_key.key == started.login.proof_key.key


@pytest.mark.parametrize(
    ("dpop", "registered", "server", "type_"),
    [
        ("auto", False, "offered", "Bearer"),
        ("auto", True, "offered", "DPoP"),
        ("auto", True, "off", "Bearer"),
        ("off", True, "offered", "Bearer"),
        ("required", False, "offered", "DPoP"),
    ],
)
def test_the_setting_and_the_registration_decide(world, dpop, registered, server, type_):
    """`auto` follows the registration: that a server could bind tokens is no reason to."""
    world.server.change(dpop=server)
    login = world.sign_in(dpop=dpop, dpop_bound_access_tokens=registered)
    assert login.tokens.token_type == type_


def test_an_unbound_token_is_refused_where_a_bound_one_is_required(world):
    """With a reason of its own (§5)."""
    world.server.change(dpop="off")
    with pytest.raises(AuthFailed):
        world.sign_in()
    (login,) = world.storage.summaries()
    assert (login.state, login.reason) == (State.IDLE, "token_not_bound")


def test_a_refresh_that_loses_the_binding_is_refused(world):
    """As at the first token."""
    world.sign_in()
    fault = Fault(kind=FaultKind.MEMBERS, members={"token_type": "Bearer"})
    world.server.misbehave("token", fault)
    with pytest.raises(TokenRefreshFailed):
        world.refresh()
    (login,) = world.storage.summaries()
    assert login.reason == "token_not_bound"


def test_a_server_without_proofs_refuses(world):
    """A client that is not set up for it gets no token from one that binds them all."""
    with pytest.raises(AuthFailed):
        world.sign_in(dpop="off")


def test_a_stolen_token_is_of_no_use(world):
    """Without the key: not as a bearer token, not with another key, not with a proof of another request."""
    login = world.sign_in()
    url = f"{world.server.issuer}/me"
    other = replace(login, proof_key=new_proof_key(CONFIG))
    used = resource_headers(world.http.prover, login, "GET", url)
    for headers in (
        {"Authorization": f"Bearer {access_token(login)}"},
        {"Authorization": f"DPoP {access_token(login)}"},
        resource_headers(world.http.prover, other, "GET", url),
        resource_headers(world.http.prover, login, "POST", url),
        resource_headers(world.http.prover, login, "GET", f"{url}/other"),
    ):
        answer = world.http.send(HttpRequest(method="GET", url=url, headers=headers))
        assert answer.status == 401
    sent = HttpRequest(method="GET", url=url, headers=used)
    assert [world.http.send(sent).status for _ in range(2)] == [200, 401]  # a proof is good once


def test_a_bound_token_is_not_handed_out_as_a_bearer_token(world):
    """With a hint that can be followed; nor where its key is gone."""
    login = world.sign_in()
    with pytest.raises(AuthRequired) as caught:
        bearer_token(login)
    assert "--format dpop" in (caught.value.hint or "")
    with pytest.raises(AuthRequired):
        access_token(replace(login, proof_key=None))


def test_each_login_has_a_key_of_its_own_that_is_shown_nowhere(world):
    """It is sealed with the login, leaves with no report of it, and ends with it."""
    first, second = world.sign_in(), world.sign_in()
    secret = json.loads(first.proof_key.key.reveal())["d"]
    assert first.proof_key.key != second.proof_key.key
    assert decode_login(encode_login(first)[1]).proof_key == first.proof_key
    assert secret.encode() not in encode_login(first)[0]
    assert secret not in f"{first!r} {first.proof_key!r}"
    assert pickle.loads(pickle.dumps(first)).proof_key is None
    assert world.storage.read(first.id).proof_key is None  # superseded


@pytest.mark.parametrize(
    ("offered", "alg"),
    [((), "ES256"), (("PS256", "ES256"), "ES256"), (("ES384",), "ES384"), (("PS256",), "PS256"),
     (("EdDSA",), "EdDSA"), (("Ed25519",), "Ed25519")],
)  # fmt: skip
def test_the_key_fits_what_the_server_takes(offered, alg):
    """P-256 where it may be chosen."""
    assert new_proof_key(replace(CONFIG, dpop_algorithms=offered)).algorithm == alg


def test_a_server_that_takes_no_known_algorithm_is_refused():
    """Before the user is asked."""
    with pytest.raises(ConfigInvalid):
        new_proof_key(replace(CONFIG, dpop_algorithms=("XX256",)))


def test_a_proof_is_for_one_request():
    """RFC 9449 §4.2: method, address without query and fragment, time, number, token hash."""
    key = new_proof_key(CONFIG)
    made = proof(key, method="GET", url=API, number="n", now=5.5, nonce="x", token="t")
    header = jws.extract_compact(made.encode()).headers()
    assert (header["typ"], header["alg"], set(header["jwk"])) == (
        "dpop+jwt", "ES256", {"kty", "crv", "x", "y"},
    )  # fmt: skip
    assert claims_of(made) == {
        "htm": "GET", "htu": "https://api.acme.example/files", "iat": 5, "jti": "n", "nonce": "x",
        "ath": urlsafe_b64encode(sha256(b"t").digest()).decode().rstrip("="),
    }  # fmt: skip
    assert "ath" not in claims_of(proof(key, method="GET", url=API, number="n", now=5))


@pytest.mark.parametrize("nonce", ["", "a b", 'a"b', "a\\b", "a" * 5000, "é", "a\x01"])
def test_what_cannot_be_a_nonce_is_not_taken_for_one(nonce):
    """RFC 9449 §8.1; it would go into a signed statement of ours."""
    response = HttpResponse(
        status=400, headers={"dpop-nonce": nonce}, body=b'{"error":"use_dpop_nonce"}', received_at=0
    )
    assert nonce_in(response) is None
    assert not wants_nonce(response)


def test_a_proof_has_the_time_of_the_server():
    """A wrong clock here must not cost a login: the server's last word about it counts."""
    clock = ManualClock()
    prover = Prover(clock, SystemRandomness(), str)
    date = "Fri, 15 Jan 2027 10:00:00 GMT"  # two hours ahead
    prover.heard(
        API, HttpResponse(status=200, headers={"date": date}, body=b"", received_at=clock.now())
    )
    key = new_proof_key(CONFIG)
    assert claims_of(prover.proof(key, "GET", API))["iat"] == int(clock.now()) + 7200
    assert claims_of(prover.proof(key, "GET", "https://other.example"))["iat"] == int(clock.now())


@pytest.mark.parametrize(
    "url", ["api.example", "http://api.example/x", "https://", "", "ftp://x/y"]
)
def test_a_proof_is_made_for_an_address_only(world, url):
    """An error of ours otherwise."""
    login = world.sign_in()
    with pytest.raises(ConfigInvalid):
        resource_headers(world.http.prover, login, "GET", url)
