"""Whose tokens they are: at a login, at a second one of another person, and at every refresh."""

from __future__ import annotations

import json
from dataclasses import replace
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from logins import BY_DEVICE, CONFIG
from stayfast.engine.errors import AuthFailed, NetworkError, TokenRefreshFailed
from stayfast.engine.oauth.id_token import Identification
from stayfast.engine.oauth.signing_keys import IdTokenRefused
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.ports import HttpRequest, HttpResponse
from stayfast.engine.reasons import Reason
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.storage import MemoryStorage

CLIENT = replace(
    CONFIG,
    scopes=("openid",),
    jwks_url="https://login.acme.example/keys",
    redirect_uri="http://127.0.0.1:8080/callback",
)
KEY = ECKey.generate_key("P-256", parameters={"kid": "one"})
NONE = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
OTHER = ECKey.generate_key("P-256", parameters={"kid": "one"})


class Provider:
    """A provider of one user, who may become another; its parts fail when a test says so."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.subject = "alice"
        self.claims: dict[str, Any] = {}
        self.key: Any = KEY
        self.algorithm = "ES256"
        self.published = KEY
        self.keys_answer = 200
        self.shift = 0.0
        self.id_token: str | None = ""
        self.issuer = CLIENT.issuer
        self.nonce: str | None = None
        self.count = 0
        self.asked_for_keys = 0

    def answer(self, address: str) -> list[str]:
        """What the user does in a browser."""
        query = dict(parse_qsl(urlsplit(address).query))
        self.nonce = query.get("nonce")
        back = {"code": "c", "state": query["state"], "iss": self.issuer}
        return [f"{query['redirect_uri']}?{urlencode(back)}"]

    def send(self, request: HttpRequest) -> HttpResponse:
        """The ``Http`` of the conductor."""
        if request.url == CLIENT.jwks_url:
            self.asked_for_keys += 1
            if not self.keys_answer:
                raise NetworkError("out of reach")
            return self._answered(
                {"keys": [self.published.as_dict(private=False)]}, self.keys_answer
            )
        grant = parse_qs(request.body.decode())["grant_type"][0]
        self.count += 1
        members = {
            "access_token": f"at-{self.count}",
            "refresh_token": f"rt-{self.count}",
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self.signed(grant) if self.id_token == "" else self.id_token,
        }
        return self._answered({k: v for k, v in members.items() if v is not None})

    def signed(self, grant: str) -> str:
        """An ID token for the answer to ``grant``."""
        now = self.clock.now() + self.shift
        claims = {
            "iss": CLIENT.issuer,
            "aud": CLIENT.client_id,
            "sub": self.subject,
            "email": f"{self.subject}@x.test",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce if grant == "authorization_code" else None,
            **self.claims,
        }
        members = {name: value for name, value in claims.items() if value is not None}
        name = self.algorithm
        return jwt.encode({"alg": name, "kid": "one"}, members, self.key, algorithms=[name])

    def _answered(self, members: dict[str, Any], status: int = 200) -> HttpResponse:
        date = formatdate(self.clock.now() + self.shift, usegmt=True)
        return HttpResponse(
            status=status,
            headers={"date": date, "content-type": "application/json"},
            body=json.dumps(members).encode(),
            received_at=self.clock.now(),
        )


class World:
    """A provider, a storage and a conductor between them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.provider = Provider(self.clock)
        self.storage = MemoryStorage()
        self.conductor = conductor_over(self.storage, http=self.provider, clock=self.clock)

    def sign_in(self, config=CLIENT, *, issuer=CLIENT.issuer, **more: Any):
        """A whole login."""
        self.provider.issuer = issuer
        return self.conductor.sign_in(config, InstantTransport(self.provider.answer), **more)

    def refresh(self):
        """A refresh that is due."""
        self.clock.time += 4000
        return self.conductor.refresh.valid("acme", "default")

    def found(self, account="default"):
        """The finished login of ``account``."""
        return self.storage.find(account_alias("acme", account))

    def ended(self):
        """Why the only login that is over ended."""
        (reason,) = [one.reason for one in self.storage.summaries() if one.state is State.IDLE]
        return reason


@pytest.fixture
def world() -> World:
    return World()


def test_tokens_of_another_person_are_not_those_of_the_login(world):
    """A refresh that names another subject is refused, and what the login had stays."""
    before = world.sign_in()
    world.provider.subject = "mallory"
    with pytest.raises(TokenRefreshFailed):
        world.refresh()

    after = world.found()
    assert after.state is State.REFRESH_FAILED
    assert after.reason == Reason.ID_TOKEN_OTHER_SUBJECT
    assert after.identity == before.identity
    assert after.tokens.access_token == before.tokens.access_token


TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
OF_TENANTS = replace(
    CLIENT,
    issuer="https://login.acme.example/common/v2.0",
    issuer_template="https://login.acme.example/{tenantid}/v2.0",
)


def tenant(tid: str) -> dict[str, str]:
    """What an ID token of that tenant says."""
    return {"tid": tid, "iss": f"https://login.acme.example/{tid}/v2.0"}


def test_the_same_subject_of_another_tenant_is_another_person(world):
    """A subject is one person at one issuer (§12.2): the callback may name the tenant's, and a refresh no other."""
    world.provider.claims = tenant(TENANT)
    before = world.sign_in(OF_TENANTS, issuer=tenant(TENANT)["iss"])
    assert before.state is State.AUTHENTICATED
    world.refresh()
    world.provider.claims = tenant(TENANT.replace("7", "8"))
    with pytest.raises(TokenRefreshFailed):
        world.refresh()

    assert world.found().reason == Reason.ID_TOKEN_OTHER_SUBJECT


def test_another_person_is_refused_though_the_signature_cannot_be_checked(world):
    """The token endpoint itself has said so."""
    world.sign_in()
    world.provider.subject, world.provider.keys_answer = "mallory", 404
    with pytest.raises(TokenRefreshFailed):
        world.refresh()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"claims": {"aud": "another"}}, Reason.ID_TOKEN_AUDIENCE),
        ({"claims": {"iss": "https://evil.example"}}, Reason.ID_TOKEN_ISSUER),
        ({"claims": {"exp": 1000, "iat": 900}}, Reason.ID_TOKEN_EXPIRED),
        ({"claims": {"iat": 1_700_000_000}}, Reason.ID_TOKEN_TOO_OLD),
        ({"claims": {"nonce": "another"}}, Reason.ID_TOKEN_NONCE),
        ({"claims": {"sub": None}}, Reason.ID_TOKEN_NO_SUBJECT),
        ({"key": OTHER}, Reason.ID_TOKEN_SIGNATURE),
        ({"id_token": "garbage"}, Reason.ID_TOKEN_UNREADABLE),
        ({"id_token": "e30.W10.e30"}, Reason.ID_TOKEN_UNREADABLE),
        ({"id_token": f"{NONE}.e30."}, Reason.ID_TOKEN_ALGORITHM),
        ({"shift": 100_000.0}, Reason.ID_TOKEN_CLOCKS_APART),
    ],
)
def test_a_refreshed_id_token_that_does_not_hold_is_dropped(world, change, reason):
    """The access token that came with it is good; the log says why the ID token is not."""
    before = world.sign_in()
    for name, value in change.items():
        setattr(world.provider, name, value)
    after = world.refresh()

    assert after.tokens.access_token == "at-2"
    assert after.tokens.id_token == before.tokens.id_token
    assert after.identity == before.identity
    assert after.reason == reason


@pytest.mark.parametrize("keys", [0, 404, 500])
def test_a_refresh_needs_no_keys(world, keys):
    """The tokens are kept; the ID token, which cannot be checked, is not."""
    before = world.sign_in()
    fresh = conductor_over(world.storage, http=world.provider, clock=world.clock)
    world.conductor, world.provider.keys_answer = fresh, keys
    after = world.refresh()

    assert (after.tokens.access_token, after.tokens.id_token) == ("at-2", before.tokens.id_token)
    assert after.reason == Reason.ID_TOKEN_KEYS_UNAVAILABLE


def test_a_refreshed_id_token_that_holds_is_kept(world):
    """And names the person as they are called now; one that does not come leaves the old one."""
    before = world.sign_in()
    world.provider.claims = {"email": "alice@new.test"}
    after = world.refresh()
    assert after.identity.name == "alice@new.test"
    assert after.tokens.id_token != before.tokens.id_token
    assert after.reason is None

    world.provider.id_token = None
    last = world.refresh()
    assert (last.tokens.id_token, last.identity) == (after.tokens.id_token, after.identity)


def test_a_login_without_a_name_may_get_one_when_it_is_refreshed(world):
    """The first answer had no ID token; the second has."""
    world.provider.id_token = None
    assert world.sign_in().reason == Reason.ID_TOKEN_MISSING
    world.provider.id_token = ""
    assert world.refresh().identity.subject == "alice"


def test_the_login_of_another_person_is_kept_beside_the_first(world):
    """Under an account named after who it is; the first is untouched."""
    first = world.sign_in()
    world.provider.subject = "mallory"
    second = world.sign_in()
    assert second.account == "mallory@x.test"
    assert second.reason == Reason.OTHER_SUBJECT
    assert world.found() == first

    third = world.sign_in()  # mallory again: their own login is the one to make room
    assert third.account == "mallory@x.test"
    assert world.found("mallory@x.test") == third
    assert world.found() == first


def test_a_login_of_another_person_replaces_the_first_where_that_is_asked(world):
    """The account is the new person's from then on."""
    world.sign_in()
    world.provider.subject = "mallory"
    second = world.sign_in(replaces=True)
    assert (second.account, world.found()) == ("default", second)


def test_a_login_kept_beside_another_can_take_its_place(world):
    """By a transition of its own: the older login ends, and the account is the new person's."""
    first = world.sign_in()
    world.provider.subject = "mallory"
    beside = world.sign_in()
    moved = world.conductor.replace(beside.id, "default")
    assert (moved.account, moved.tokens) == ("default", beside.tokens)
    assert world.found() == moved
    assert world.found("mallory@x.test") is None
    assert world.storage.read(first.id).reason == Reason.NEWER_LOGIN
    assert world.conductor.replace(moved.id, "default") == moved


def test_a_login_at_another_server_is_kept_beside_the_first(world):
    """The name of a provider may be given to another server; the first server's login stays."""
    first = world.sign_in(replace(CLIENT, scopes=("x",)))
    moved = replace(CLIENT, scopes=("x",), issuer=f"{CLIENT.issuer}/other")
    second = world.sign_in(moved, issuer=moved.issuer)
    assert second.reason == Reason.OTHER_ISSUER
    assert second.account != first.account
    assert world.found() == first

    third = world.sign_in(moved, issuer=moved.issuer, replaces=True)
    assert (third.account, world.found()) == ("default", third)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"client_id": "another"}, Reason.OTHER_CLIENT),
        ({"resources": ("https://api.example/b",)}, Reason.OTHER_RESOURCE),
        ({"resources": ()}, Reason.OTHER_RESOURCE),
    ],
    ids=str,
)
def test_a_login_of_another_client_or_for_another_resource_is_kept_beside_the_first(
    world, change, reason
):
    """A login belongs to issuer, client, resource and account; an order of resources is none."""
    config = replace(CLIENT, scopes=("x",), resources=("https://api.example/a", "urn:b:c"))
    first = world.sign_in(config)
    turned = world.sign_in(replace(config, resources=config.resources[::-1]))
    assert (turned.account, world.found()) == (first.account, turned)

    second = world.sign_in(replace(config, **change))
    assert second.reason == reason
    assert second.account != turned.account
    assert world.found() == turned

    third = world.sign_in(replace(config, **change), replaces=True)
    assert (third.account, world.found()) == ("default", third)


def test_a_login_without_a_name_says_that_it_replaces_one_with_a_name(world):
    """It may be the same person, who is not locked out; the log has the doubt."""
    world.sign_in()
    second = world.sign_in(replace(CLIENT, scopes=("x",)))
    assert (second.account, second.identity) == ("default", None)
    assert second.reason == Reason.SUBJECT_UNKNOWN


def test_two_people_of_one_name_get_different_accounts(world):
    """Their subjects distinguish them; a name is made of what needs no quotes."""
    world.provider.claims = {"email": "a b;c"}
    accounts = []
    for world.provider.subject in ("alice", "bob", "carl", "dora"):
        accounts.append(world.sign_in().account)
    assert accounts == ["default", "a-b-c", "carl", "dora"]


@pytest.mark.parametrize(
    ("config", "keys", "reason"),
    [
        (replace(CLIENT, jwks_url=None), 200, Reason.ID_TOKEN_UNCHECKABLE),
        (replace(CLIENT, jwks_url="http://login.acme.example/k"), 200, Reason.ID_TOKEN_UNCHECKABLE),
        (CLIENT, 404, Reason.ID_TOKEN_KEYS_UNAVAILABLE),
    ],
)
def test_tokens_are_kept_without_a_name_where_no_key_can_be_had(world, config, keys, reason):
    """Nobody's name is shown, and the log says why."""
    world.provider.keys_answer = keys
    login = world.sign_in(config)
    assert login.tokens.access_token == "at-1"
    assert (login.tokens.id_token, login.identity, login.reason) == (None, None, reason)


def test_keys_out_of_reach_are_tried_twice_and_then_done_without(world):
    """The first try leaves a login that can be resumed; the second one finishes it."""
    world.provider.keys_answer = 0
    with pytest.raises(NetworkError):
        world.sign_in()
    (open_login,) = world.storage.summaries()
    login = world.conductor.resume(open_login.id, [InstantTransport(world.provider.answer)])
    assert (login.state, login.identity) == (State.AUTHENTICATED, None)
    assert login.reason == Reason.ID_TOKEN_KEYS_UNAVAILABLE


def test_a_new_key_under_an_old_name_is_fetched(world):
    """The keys at hand have that name, and have not signed."""
    world.sign_in()
    world.provider.key = world.provider.published = OTHER
    assert world.sign_in().identity.subject == "alice"
    assert world.provider.asked_for_keys == 2


@pytest.mark.parametrize(
    ("shift", "holds"), [(-7200, True), (86_000, True), (90_000, False), (-4e8, False)]
)
def test_clocks_are_corrected_up_to_a_day(world, shift, holds):
    """Beyond that nobody is signed in, and both clocks are named."""
    world.provider.shift = float(shift)
    if holds:
        assert world.sign_in().identity
    else:
        with pytest.raises(AuthFailed):
            world.sign_in()
        assert world.ended() == Reason.ID_TOKEN_CLOCKS_APART


@pytest.mark.parametrize(
    ("parameters", "claims", "reason"),
    [
        ({"max_age": "60"}, {}, Reason.ID_TOKEN_NO_AUTH_TIME),
        ({"max_age": "60"}, {"auth_time": 1_000}, Reason.ID_TOKEN_AUTH_TIME),
        ({"acr_values": "gold silver"}, {"acr": "tin"}, Reason.ID_TOKEN_ACR),
        (
            {"claims": '{"id_token": {"acr": {"essential": true, "values": ["gold"]}}}'},
            {},
            Reason.ID_TOKEN_ACR,
        ),
        (
            {"claims": '{"id_token": {"auth_time": {"essential": true}, "acr": null}}'},
            {},
            Reason.ID_TOKEN_NO_AUTH_TIME,
        ),
    ],
)
def test_what_the_request_asked_of_the_sign_in_is_checked(world, parameters, claims, reason):
    """An answer that does not keep to it ends the login, with a reason of its own."""
    world.provider.claims = claims
    with pytest.raises(AuthFailed):
        world.sign_in(replace(CLIENT, extra_auth_params=parameters))
    assert world.ended() == reason


@pytest.mark.parametrize("keys", [200, 404])
@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"auth_time": 1_000, "acr": "gold"}, Reason.ID_TOKEN_AUTH_TIME),
        ({"acr": "gold"}, Reason.ID_TOKEN_NO_AUTH_TIME),
        ({"auth_time": "now", "acr": "tin"}, Reason.ID_TOKEN_ACR),
        ({"auth_time": "now", "acr": "gold"}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["extra_auth_params", "extra_device_params"])
def test_a_promise_holds_by_either_way_and_without_a_key_too(world, kind, claims, reason, keys):
    """Where no key can be had, the word of the endpoint is held against what was asked."""
    world.provider.keys_answer = keys
    if claims.get("auth_time") == "now":
        claims = {**claims, "auth_time": world.clock.now()}
    world.provider.claims = claims
    config = replace(CLIENT, **{kind: {"max_age": "60", "acr_values": "gold"}})
    shown = BY_DEVICE if kind == "extra_device_params" else None
    login = replace(
        world.sign_in(), presentation=shown, config=config, created_at=world.clock.now()
    )
    tokens = OAuthTokens(
        access_token="at",
        id_token=world.provider.signed("device_code"),
        issued_at=world.clock.now(),
    )
    identification = Identification(world.provider, world.clock)
    if reason is None:
        assert identification.identify(login, tokens, None).tokens.access_token == "at"
    else:
        with pytest.raises(IdTokenRefused) as caught:
            identification.identify(login, tokens, None)
        assert caught.value.reason == reason


def test_a_promise_needs_an_id_token(world):
    """An answer without one does not say when its user signed in."""
    login = replace(world.sign_in(), config=replace(CLIENT, extra_auth_params={"max_age": "60"}))
    identification = Identification(world.provider, world.clock)
    with pytest.raises(IdTokenRefused) as caught:
        identification.identify(login, OAuthTokens(access_token="at"), None)
    assert caught.value.reason == Reason.ID_TOKEN_MISSING


@pytest.mark.parametrize(("age", "reason"), [(0, None), (120, Reason.ID_TOKEN_TOO_OLD)])
@pytest.mark.parametrize("shift", [0.0, 5000.0])
def test_an_id_token_of_the_device_flow_is_newer_than_its_login(world, age, reason, shift):
    """It has no nonce, so its time of issue ties it to the login, by the provider's clock."""
    world.provider.shift = shift
    now = world.clock.now()
    world.provider.claims = {"iat": now + shift - age}
    login = replace(world.sign_in(), presentation=BY_DEVICE, created_at=now)
    tokens = OAuthTokens(
        access_token="at",
        id_token=world.provider.signed("device_code"),
        issued_at=now,
        server_date=now + shift,
    )
    identification = Identification(world.provider, world.clock)
    if reason is None:
        assert identification.identify(login, tokens, None).identity.subject == "alice"
    else:
        with pytest.raises(IdTokenRefused) as caught:
            identification.identify(login, tokens, None)
        assert caught.value.reason == reason


def test_an_id_token_that_nobody_asked_for_is_not_kept(world):
    """No nonce was sent for it, so nothing ties it to the login."""
    identification = Identification(world.provider, world.clock)
    login = world.sign_in()
    silent = replace(login, config=replace(CLIENT, scopes=("read",)))
    identified = identification.identify(silent, login.tokens, None)
    assert (identified.tokens.id_token, identified.identity, identified.reason) == (None,) * 3


def test_a_shared_secret_needs_no_published_keys(world):
    """HS256, where it is configured, is checked with the client secret."""
    shared = replace(CLIENT, jwks_url=None, id_token_algorithms=("HS256",))
    world.provider.key = OctKey.import_key(CLIENT.client_secret)
    world.provider.algorithm = "HS256"
    assert world.sign_in(shared).identity.subject == "alice"
