"""Logins that need no user: client credentials, token exchange, JWT bearer, and the ID-JAG chain."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from instant import InstantTransport, ManualClock
from joserfc import jwt
from stayfast.engine.errors import (
    AuthFailed,
    AuthRequired,
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    TokenExpired,
    TokenRefreshFailed,
)
from stayfast.engine.flows.dependencies import Dependencies
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.flows.logins import Conductor
from stayfast.engine.oauth.grant_request import GRANT_TYPES
from stayfast.engine.oauth.private_keys import new_private_key
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.engine.oauth.token_endpoint import access_token
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.record import Login
from stayfast.engine.table import State, Trigger
from stayfast.interfaces.client_files import token_of
from stayfast.interfaces.couriers.saving import InlineCourier
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.storage.host import SystemRandomness, origin
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import Client

URN = "urn:ietf:params:oauth:token-type:"
SECRET = "canary-client-secret"
KEY = new_private_key()
assert KEY is not None


class Http:
    """The real client, which notes what is sent."""

    def __init__(self, clock: ManualClock) -> None:
        self.real = RequestsHttp(clock=clock)
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        return self.real.send(request)

    @property
    def form(self) -> dict[str, str]:
        """The last request."""
        return dict(parse_qsl(self.sent[-1].body.decode()))


class World:
    """A server with a confidential client, and a storage."""

    def __init__(self, server: AuthorizationServer, clock: ManualClock) -> None:
        self.server, self.clock = server, clock
        server.add_client(Client("robot", SECRET))
        jwks = {"keys": [KEY.public()]}
        server.add_client(Client("signer", auth_method="private_key_jwt", jwks=jwks))
        self.storage = MemoryStorage()
        self.http = Http(clock)
        self.conductor = self.another()

    def another(self) -> Conductor:
        """The conductor of another process."""
        return Conductor(
            Dependencies(
                storage=self.storage,
                ledger=Ledger(self.storage, self.clock, origin()),
                http=self.http,
                clock=self.clock,
                randomness=SystemRandomness(),
                courier=InlineCourier(),
                read_token=token_of,
            )
        )

    def config(self, grant: str = "client-credentials", **settings) -> OAuthConfig:
        usual = {
            "grant": grant, "client_id": "robot", "client_secret": SECRET, "scopes": ("read",),
        }  # fmt: skip
        return self.server.config(**{**usual, **settings})

    def ask(
        self, grant: str = "client-credentials", *, account: str = "default", **settings
    ) -> Login:
        return self.conductor.userless.ask(self.config(grant, **settings), account=account)

    def valid(self, provider: str = "demo", **how) -> Login:
        return self.conductor.refresh.valid(provider, "default", **how)

    def person(self, name: str = "people", **settings) -> Login:
        """Somebody who signed in with a browser, at a provider of that name."""
        config = self.server.config(
            service_name=name, client_id="robot", client_secret=SECRET, **settings
        )
        transport = InstantTransport(lambda address: [user_agent.fetch_only(address)])
        return self.conductor.sign_in(config, transport)

    def steps(self) -> list[tuple[str, str, str | None]]:
        return [
            (e.members["trigger"], e.members["to"], e.members.get("reason"))
            for e in self.storage.events(limit=200)
        ]


@pytest.fixture
def world() -> Iterator[World]:
    clock = ManualClock()
    with AuthorizationServer(now=clock.now) as server:
        yield World(server, clock)


def changed(**members) -> Fault:
    """The answer with other members."""
    return Fault(kind=FaultKind.MEMBERS, members=members)


def refused(code: str) -> Fault:
    return Fault(kind=FaultKind.ERROR, members={"error": code})


# --- client credentials ------------------------------------------------------------------------------


def test_a_client_asks_for_itself(world):
    """One request, no user; saved before it is sent, and kept as any login is."""
    login = world.ask()
    assert world.server.counts["token:client_credentials"] == 1
    assert set(world.http.form) == {"grant_type", "scope"}
    assert world.steps() == [
        ("request_tokens", "exchanging", None),
        ("accept_tokens", "authenticated", None),
    ]
    assert world.storage.read(login.id) == login == world.valid()
    assert login.summary().refreshable
    assert login.exchange is login.presentation is login.identity is login.deadline is None


def test_a_grant_is_asked_again_instead_of_refreshed(world):
    """An expired token is renewed under the same lease, with no refresh token and no user."""
    first = world.ask()
    world.clock.time += 3700
    again = world.valid()
    assert again.id == first.id
    assert again.tokens.access_token != first.tokens.access_token
    assert world.server.counts["token:client_credentials"] == 2
    assert [step for step, _, _ in world.steps()][2:] == ["renew", "accept_tokens"]


def test_a_client_without_credentials_is_refused_before_anything_is_sent(world):
    """Only a client that can prove itself has credentials (RFC 6749 §4.4)."""
    with pytest.raises(ConfigMissing) as refusal:
        world.ask(client_id="stayfast-demo", client_secret=None)
    assert refusal.value.hint is not None
    assert world.http.sent == []
    assert world.steps() == []


def test_nobody_is_asked_where_no_user_is_needed(world):
    """A whole login has no transport; a login in two halves has no second one, and is refused."""
    transport = InstantTransport(lambda address: [])
    assert world.conductor.sign_in(world.config(), transport).presentation is None
    with pytest.raises(ConfigInvalid) as refusal:
        world.conductor.start(world.config(), transport, account="other")
    assert refusal.value.hint is not None
    assert len(world.storage.summaries()) == 1


def test_a_refused_grant_ends_the_login(world):
    """The provider's word is in the log, and the next login begins anew."""
    world.server.misbehave("token", refused("invalid_scope"))
    with pytest.raises(AuthFailed) as refusal:
        world.ask()
    assert "invalid_scope" in str(refusal.value)
    assert world.steps()[-1] == ("reject_grant", "idle", "grant_refused")
    assert world.ask().state is State.AUTHENTICATED


def test_no_answer_ends_the_first_request_and_keeps_later_ones(world):
    """Nobody waits for a first request, so it begins anew; a login that had tokens is kept."""
    world.server.misbehave("token", Fault(kind=FaultKind.ERROR_500), times=None)
    with pytest.raises(NetworkError):
        world.ask()
    assert world.steps()[-1] == ("fail", "idle", "provider_busy")
    world.server.behave()
    world.ask()
    world.clock.time += 3700
    world.server.misbehave("token", Fault(kind=FaultKind.ERROR_500), times=None)
    with pytest.raises(NetworkError):
        world.valid()
    assert world.steps()[-1] == ("postpone_refresh", "expired", "provider_busy")
    world.server.behave()
    assert world.valid().state is State.AUTHENTICATED


def test_a_grant_that_is_refused_later_says_so(world):
    """The login is kept; asking once more is up to the user, or to a program with other settings."""
    world.ask()
    world.clock.time += 3700
    world.server.misbehave("token", refused("invalid_grant"))
    with pytest.raises(TokenRefreshFailed):
        world.valid()
    assert world.steps()[-1] == ("reject_refresh", "refresh_failed", "grant_refused")
    with pytest.raises(TokenRefreshFailed):
        world.valid()
    assert world.valid(force=True).state is State.AUTHENTICATED


def test_a_newer_login_of_the_account_takes_the_place(world):
    """As with other logins: one an account."""
    first, second = world.ask(), world.ask()
    assert world.storage.read(first.id).state is State.IDLE
    assert world.valid() == second


@pytest.mark.parametrize(
    ("other", "reason"),
    [({"audience": "other"}, "other_resource"), ({"grant": "authorization-code"}, "other_grant")],
)
def test_a_login_of_another_kind_is_kept_beside(world, other, reason):
    """The tokens of a person, or for another audience, do not make room for those of a program."""
    first = world.person("demo") if "grant" in other else world.ask(**other)
    second = world.ask()
    assert world.storage.read(first.id) == first
    assert second.account != first.account
    assert (second.reason, world.steps()[-1][2]) == (reason, reason)
    assert world.conductor.userless.ask(world.config(), replaces=True).account == "default"


def test_a_process_that_obtains_finds_what_another_has_obtained(world):
    """Whoever has no token begins the login, and the next one uses it."""
    config = world.config()
    assert world.conductor.userless.obtain(config) == world.another().userless.obtain(config)
    assert world.server.counts["token:client_credentials"] == 1


def test_who_gets_the_lease_last_asks_nobody(world, monkeypatch):
    """Another process can obtain the login between our look and our lease, without our waiting for it."""
    config, another = world.config(), world.another()
    plain = world.storage.lease

    def overtaken(name, **named):
        monkeypatch.setattr(world.storage, "lease", plain)
        another.userless.obtain(config)
        return plain(name, **named)

    monkeypatch.setattr(world.storage, "lease", overtaken)
    assert world.conductor.userless.obtain(config) == another.userless.obtain(config)
    assert world.server.counts["token:client_credentials"] == 1


@pytest.mark.parametrize("grant", ["client-credentials", "token-exchange", "jwt-bearer"])
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
@pytest.mark.parametrize("bound", [False, True], ids=["bearer", "dpop"])
def test_every_grant_goes_with_every_proof_of_the_client(grant, method, bound, tmp_path, world):
    """Client authentication, proofs of a key, resources and further parameters combine with each."""
    world.server.change(dpop="required" if bound else "off", dpop_nonce=bound)
    client = (
        {"client_id": "signer", "client_secret": None, "client_key": KEY.private()}
        if method == "private_key_jwt"
        else {"token_endpoint_auth_method": method}
    )
    if grant == "token-exchange":
        world.server.change(dpop="off")
        client["subject_login"] = "source"
        world.conductor.userless.ask(world.config(service_name="source"))
        world.server.change(dpop="required" if bound else "off")
    if grant == "jwt-bearer" and method != "private_key_jwt":
        client["client_key"] = KEY.private()
        world.server.state.clients["robot"].jwks = {"keys": [KEY.public()]}
        client["token_endpoint_auth_method"] = method
    login = world.ask(
        grant,
        dpop="required" if bound else "off",
        resources=("https://api.acme.example/",),
        audience="acme",
        extra_token_params={"tenant": "7"},
        **client,
    )
    sent = world.http.form
    assert sent["grant_type"] == GRANT_TYPES[grant]
    assert sent["resource"] == "https://api.acme.example/"
    assert (sent["audience"], sent["tenant"], sent["scope"]) == ("acme", "7", "read")
    assert login.tokens.token_type == ("DPoP" if bound else "Bearer")
    assert world.server.state.tokens[-1].thumbprint is not None or not bound
    again = world.valid(force=True)
    assert again.tokens.access_token != login.tokens.access_token


# --- token exchange ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access_token", "id_token", f"{URN}access_token"])
def test_the_token_of_another_login_is_exchanged(world, kind):
    """Its owner signed in once; the exchange has their token and its type."""
    person = world.person()
    login = world.ask("token-exchange", subject_login="people", subject_token_type=kind)
    sent = world.http.form
    meant = person.tokens.id_token if kind == "id_token" else person.tokens.access_token
    assert sent["subject_token"] == meant
    assert sent["subject_token_type"] == (kind if kind.startswith("urn:") else URN + kind)
    assert login.tokens.extra["issued_token_type"] == f"{URN}access_token"


def test_the_other_login_is_refreshed_when_the_exchange_is_made_again(world):
    """One expired token leads to the next: each is renewed under its own lease."""
    world.person()
    world.ask("token-exchange", subject_login="people")
    world.clock.time += 3700
    assert world.valid().state is State.AUTHENTICATED
    assert world.server.counts["token:refresh_token"] == 1
    assert world.server.counts["token:token-exchange"] == 2


def test_an_id_token_that_has_ended_is_renewed_before_it_is_exchanged(world):
    """The access token beside it may live longer."""
    world.server.change(token_lifetime=90_000)
    world.person()
    world.clock.time += 7200
    login = world.ask("token-exchange", subject_login="people", subject_token_type="id_token")
    assert login.state is State.AUTHENTICATED
    assert world.server.counts["token:refresh_token"] == 1


def test_an_actor_acts_for_a_subject(world, tmp_path):
    """Both tokens are sent with their types (RFC 8693 §2.1), and a file is read at each request."""
    world.person()
    robot = world.conductor.userless.ask(world.config(service_name="robots"))
    file = tmp_path / "actor"
    file.write_text(robot.tokens.access_token + "\n")
    world.ask(
        "token-exchange",
        subject_login="people",
        actor_token_file=str(file),
        actor_token_type="access_token",
    )
    assert world.http.form["actor_token"] == robot.tokens.access_token
    assert world.http.form["actor_token_type"] == f"{URN}access_token"
    other = world.conductor.userless.ask(world.config(service_name="robots"))
    file.write_text(other.tokens.access_token)
    world.valid(force=True)
    assert world.http.form["actor_token"] == other.tokens.access_token


def test_logins_that_ask_each_other_are_refused(world):
    """A circle has no beginning; neither waits for the other for ever."""
    first = world.conductor.userless.ask(world.config(service_name="one"))
    world.conductor.userless.ask(
        world.config("token-exchange", service_name="two", subject_login="one")
    )
    looped = replace(first.config, grant="token-exchange", subject_login="two")
    Ledger(world.storage, world.clock, origin()).advance(first, Trigger.RENAME, config=looped)
    world.clock.time += 3700
    with pytest.raises(ConfigInvalid, match="itself"):
        world.valid("one")


def test_a_login_that_is_not_there_cannot_be_exchanged(world):
    """Whom to sign in is said, and nothing is begun."""
    with pytest.raises(AuthRequired) as missing:
        world.ask("token-exchange", subject_login="people/work")
    assert str(missing.value.hint) == "stayfast login people --account work"
    assert world.steps() == []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"grant": "jwt-bearer"},
        {"grant": "jwt-bearer", "subject_token": ""},
    ],
)
def test_a_grant_without_what_it_is_about_is_refused(world, settings):
    """Neither a subject nor an assertion nor a key: there is nothing to ask with."""
    with pytest.raises(ConfigMissing) as missing:
        world.ask(**{"grant": "token-exchange", **settings})
    assert missing.value.hint is not None
    assert world.http.sent == []


@pytest.mark.parametrize("grant", ["client-credentials", "jwt-bearer"])
@pytest.mark.parametrize("extra", [{"actor_login": "a"}, {"requested_token_type": "jwt"}])
def test_an_actor_belongs_to_an_exchange(world, grant, extra):
    """Settings that no request of this grant would carry are no silent loss."""
    with pytest.raises(ConfigInvalid):
        world.ask(grant, client_key=KEY.private(), **extra)


def test_a_token_that_was_given_serves_once(world):
    """It is erased when it was used, and the login cannot be renewed without another one."""
    person = world.person()
    token = person.tokens.access_token
    login = world.ask("token-exchange", subject_token=token)
    assert login.config.subject_token == ""
    assert not login.summary().refreshable
    world.clock.time += 3700
    with pytest.raises(TokenExpired):
        world.valid()
    assert world.server.counts["token:token-exchange"] == 1


HOSTILE = [
    ("access_token", {"issued_token_type": f"{URN}refresh_token"}, "issued_token_type"),
    ("jwt", {"issued_token_type": f"{URN}id_token"}, "issued_token_type"),
    ("jwt", {"issued_token_type": 7}, "issued_token_type"),
    ("id_token", {"issued_token_type": f"{URN}access_token"}, "issued_token_type"),
    ("access_token", {"token_type": "N_A"}, "not_access_token"),
    ("access_token", {"token_type": "n_a"}, "not_access_token"),
    ("access_token", {"token_type": "mac"}, "token_type_unknown"),
    ("access_token", {"resource": "https://other.example/"}, "token_other_resource"),
    ("access_token", {"resource": ["https://api.example/", "https://b.example"]}, "token_other_resource"),
    ("access_token", {"resource": 5}, "token_other_resource"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "members", "reason"), HOSTILE)
@pytest.mark.parametrize("later", [False, True], ids=["first", "renewed"])
def test_what_was_not_asked_for_is_refused(world, asked, members, reason, later):
    """Each with a reason of its own, at the first request and at any later one; nothing is kept."""
    world.conductor.userless.ask(world.config(service_name="source"))
    settings = {
        "subject_login": "source", "requested_token_type": asked,
        "resources": ("https://api.example",),
    }  # fmt: skip
    before = world.ask("token-exchange", **settings) if later else None
    world.server.misbehave("token", changed(**members))
    with pytest.raises((AuthFailed, TokenRefreshFailed)):
        world.valid(force=True) if later else world.ask("token-exchange", **settings)
    step = (
        ("reject_refresh", "refresh_failed", reason) if later else ("reject_grant", "idle", reason)
    )
    assert world.steps()[-1] == step
    if before is not None:
        assert world.storage.read(before.id).tokens == before.tokens


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"scope": "read write admin"}, "scope_wider"),
        ({"refresh_token": "canary-refresh"}, "refresh_token_unasked"),
    ],
)
def test_more_than_was_asked_for_is_said(world, members, reason):
    """The token serves, the log has the reason, and a refresh token that is of no use is not kept."""
    world.server.misbehave("token", changed(**members))
    login = world.ask()
    assert world.steps()[-1] == ("accept_tokens", "authenticated", reason)
    assert login.reason == reason
    assert login.tokens.refresh_token is None


def test_an_answer_may_leave_out_what_is_usual(world):
    """Without issued_token_type an access token is meant; with jwt for access_token, too."""
    world.conductor.userless.ask(world.config(service_name="source"))
    for member in (None, f"{URN}jwt"):
        world.server.misbehave("token", changed(issued_token_type=member))
        assert world.ask("token-exchange", subject_login="source").state is State.AUTHENTICATED


def test_what_is_no_access_token_is_not_handed_out_as_one(world):
    """A token for another purpose has its login, and no request to an API carries it."""
    world.person()
    login = world.ask(
        "token-exchange",
        subject_login="people",
        subject_token_type="id_token",
        requested_token_type="id-jag",
        audience="https://as.example",
    )
    assert login.tokens.token_type == "N_A"
    with pytest.raises(AuthRequired):
        access_token(login)


# --- JWT bearer --------------------------------------------------------------------------------------


def test_a_client_signs_its_own_assertion(world):
    """iss, sub, aud, exp and a jti that is new each time (RFC 7523 §3)."""
    world.server.state.clients["robot"].jwks = {"keys": [KEY.public()]}
    login = world.ask(
        "jwt-bearer",
        client_key=KEY.private(),
        token_endpoint_auth_method="client_secret_basic",
        assertion_subject="ada",
    )
    assert login.state is State.AUTHENTICATED
    again = world.valid(force=True)
    assert again.tokens.access_token != login.tokens.access_token
    assert len(world.server.state.spent) == 2


def test_an_assertion_of_somebody_else_is_read_at_each_request(world, tmp_path):
    """The file that a platform renews is the assertion of the moment."""
    file = tmp_path / "assertion"
    with AuthorizationServer(now=world.clock.now) as platform:
        world.server.trust(platform)
        file.write_text(_assertion(world, platform, "1"))
        world.ask("jwt-bearer", subject_token_file=str(file))
        file.write_text(_assertion(world, platform, "2"))
        assert world.valid(force=True).state is State.AUTHENTICATED
        with pytest.raises(TokenRefreshFailed):  # the same one once more
            world.valid(force=True)


def _assertion(world: World, platform: AuthorizationServer, number: str) -> str:
    now = int(world.clock.time)
    claims = {"iss": platform.issuer, "sub": "pod", "aud": world.server.issuer, "exp": now + 300}
    key = platform._key
    return jwt.encode({"alg": "ES256", "kid": key.kid}, {**claims, "jti": number}, key)


def test_an_enterprise_signs_in_once_and_every_resource_follows(world):
    """The ID-JAG chain: an ID token, exchanged for an assertion, that brings the resource's token."""
    with AuthorizationServer(now=world.clock.now) as resource:
        resource.add_client(Client("robot", SECRET))
        resource.trust(world.server)
        world.person("idp")
        world.conductor.userless.ask(
            world.config(
                "token-exchange",
                service_name="jag",
                subject_login="idp",
                subject_token_type="id_token",
                requested_token_type="id-jag",
                audience=resource.issuer,
                resources=("https://api.acme.example",),
            )
        )
        config = resource.config(
            service_name="api", grant="jwt-bearer", subject_login="jag",
            client_id="robot", client_secret=SECRET, scopes=("files",),
        )  # fmt: skip
        login = world.conductor.userless.ask(config)
        assert resource.state.by_access_token(login.tokens.access_token) is not None
        world.clock.time += 3700
        again = world.valid("api")
        assert again.tokens.access_token != login.tokens.access_token
        # the assertion had ended too: the person's ID token was refreshed and exchanged again
        assert world.server.counts["id_jags"] == 2
        assert world.server.counts["token:refresh_token"] == 1


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://evil.example"}, "token_other_audience"),
        ({"aud": ["https://as.example", "https://evil.example"]}, "token_other_audience"),
        ({"aud": "https://as.example", "resource": "https://evil.example"}, "token_other_resource"),
        (None, "token_malformed"),
    ],
)
def test_an_identity_assertion_for_somebody_else_is_not_taken(world, claims, reason):
    """It would be handed to the server of the resource, so whom it is for is read before."""
    world.person()
    token = "no.jwt" if claims is None else _unsigned(claims)
    world.server.misbehave("token", changed(access_token=token))
    with pytest.raises(AuthFailed):
        world.ask(
            "token-exchange",
            subject_login="people",
            subject_token_type="id_token",
            requested_token_type="id-jag",
            audience="https://as.example",
            resources=("https://api.acme.example",),
        )
    assert world.steps()[-1] == ("reject_grant", "idle", reason)


def _unsigned(claims: dict) -> str:
    body = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


# --- stopped in between ------------------------------------------------------------------------------


class Stopped(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("later", [False, True], ids=["first", "renewed"])
@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_process_that_stops_while_it_asks_is_resumed(world, later, answered):
    """The request is made once more, legally, and the login ends with tokens."""
    if later:
        login = world.ask()
        world.clock.time += 3700
    real = world.http.real.send

    def stop(request):
        if answered:
            real(request)
        raise Stopped

    world.http.send = stop
    with pytest.raises(Stopped):
        world.valid() if later else world.ask()
    del world.http.send
    (left,) = [one for one in world.storage.summaries() if one.state is State.EXCHANGING]
    assert left.pending != later
    if later:
        assert world.valid().id == login.id
    else:
        assert world.another().resume(left.id, []).state is State.AUTHENTICATED


def test_a_login_that_was_left_asking_ends_by_itself(world):
    """Its deadline is applied as to any other, and what it was given is erased."""
    person = world.person()

    def stop(request):
        raise Stopped

    world.http.send = stop
    with pytest.raises(Stopped):
        world.ask("token-exchange", subject_token=person.tokens.access_token)
    del world.http.send
    world.clock.time += 700
    (left,) = [one for one in world.conductor.overview.summaries() if one.provider == "demo"]
    assert (left.state, left.reason) == (State.IDLE, "deadline_passed")
    assert world.storage.read(left.id).config.subject_token == ""


def test_a_login_that_asks_can_be_cancelled(world):
    """As any pending login."""

    def stop(request):
        raise Stopped

    world.http.send = stop
    with pytest.raises(Stopped):
        world.ask()
    (left,) = world.conductor.overview.summaries()
    assert world.conductor.cancel(left.id).state is State.IDLE


def test_signing_out_revokes_and_erases(world):
    """A logout is that of any login."""
    login = world.ask()
    assert world.conductor.logout.sign_out(login).revoked
    assert world.storage.read(login.id).tokens is None
    with pytest.raises(AuthRequired):
        world.valid()


def test_a_key_file_that_is_gone_costs_nothing(world, tmp_path):
    """Nothing is sent, the login waits as after any postponed refresh, and the file brings it back."""
    file = tmp_path / "key.json"
    file.write_text(KEY.private())
    file.chmod(0o600)
    login = world.ask(
        client_id="signer", client_secret=None,
        token_endpoint_auth_method="private_key_jwt", client_key_file=str(file),
    )  # fmt: skip
    file.rename(tmp_path / "away")
    with pytest.raises(ConfigMissing):
        world.valid(force=True)
    assert world.server.counts["token:client_credentials"] == 1
    assert world.steps()[-1] == ("postpone_refresh", "expired", "client_unproven")
    assert world.storage.read(login.id).tokens == login.tokens
    (tmp_path / "away").rename(file)
    assert world.valid(force=True).state is State.AUTHENTICATED


def test_a_key_file_that_goes_as_a_login_begins_ends_it(world, tmp_path):
    """The first request of a grant has nobody to wait for: the login ends, and the log says why."""
    with pytest.raises(ConfigMissing):
        world.ask(
            client_id="signer", client_secret=None,
            token_endpoint_auth_method="private_key_jwt", client_key_file=str(tmp_path / "key"),
        )  # fmt: skip
    assert world.steps()[-1] == ("fail", "idle", "client_unproven")
