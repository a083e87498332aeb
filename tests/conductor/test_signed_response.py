"""Signed authorization responses (JARM §2.4): what is signed is read, and nothing else ends a wait."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from embedded import Embedded, embedded
from instant import InstantTransport
from stayfast.engine.errors import AuthCancelled, CallbackRefused, ConfigMissing
from stayfast.engine.oauth.metadata import apply_metadata, discover
from stayfast.engine.oauth.signed_response import peeked, wants_signed_response
from stayfast.engine.reasons import Refusal
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing import user_agent
from stayfast.testing.misbehaviour import Fault, FaultKind, Signature


@pytest.fixture
def world() -> Iterator[Embedded]:
    server, clock = embedded()
    with server:
        yield Embedded(server, clock)


def start(world: Embedded, **settings: object) -> tuple[Login, str]:
    waits = InstantTransport(lambda _: [])
    config = world.server.config(**{"response_mode": "jwt", **settings})
    return world.conductor.start(config, waits).login, waits.addresses[0]


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
@pytest.mark.parametrize("scopes", [("openid",), ("read",)])
def test_a_signed_answer_finishes_the_login(world: Embedded, mode: str, scopes) -> None:
    """Also pasted, also without `openid`; its address shows no code and no state."""
    login, address = start(world, response_mode=mode, scopes=scopes)
    landed = user_agent.fetch_only(address)
    assert [name for name, _ in parse_qsl(urlsplit(landed).query)] == ["response"]
    done = world.conductor.answer(landed)
    assert (done.id, done.state) == (login.id, State.AUTHENTICATED)
    assert world.conductor.answer(landed, login_id=login.id) == done  # the page was reloaded


def test_a_signed_no_is_a_no(world: Embedded) -> None:
    """An error is inside, too."""
    login, address = start(world)
    landed = user_agent.fetch_only(address, approve=False)
    with pytest.raises(AuthCancelled):
        world.conductor.answer(landed, login_id=login.id)


def odd(**changes: object) -> Fault:
    return Fault(kind=FaultKind.ID_TOKEN, **changes)  # type: ignore[arg-type]  a test names fields


WRONG = {
    "no-issuer": (odd(members={"iss": None}), Refusal.MISSING_ISSUER),
    "other-issuer": (odd(members={"iss": "https://other.example"}), Refusal.WRONG_ISSUER),
    "issuer-is-a-list": (odd(members={"iss": ["https://other.example"]}), Refusal.WRONG_ISSUER),
    "no-audience": (odd(members={"aud": None}), Refusal.RESPONSE_AUDIENCE),
    "other-audience": (odd(members={"aud": "another"}), Refusal.RESPONSE_AUDIENCE),
    "no-end": (odd(members={"exp": None}), Refusal.RESPONSE_EXPIRED),
    "odd-end": (odd(members={"exp": "soon"}), Refusal.RESPONSE_EXPIRED),
    "ended": (odd(members={"exp": 1}), Refusal.RESPONSE_EXPIRED),
    "without-end": (odd(members={"exp": 10**400}), Refusal.RESPONSE_EXPIRED),
    "spoiled": (odd(signature=Signature.SPOILED), Refusal.RESPONSE_SIGNATURE),
    "foreign": (odd(signature=Signature.FOREIGN), Refusal.RESPONSE_SIGNATURE),
    "none": (odd(signature=Signature.NONE), Refusal.RESPONSE_SIGNATURE),
    "shared": (odd(signature=Signature.PUBLIC_KEY_AS_SECRET), Refusal.RESPONSE_SIGNATURE),
    "other-state": (odd(members={"state": "another"}), Refusal.WRONG_STATE),
    "no-state": (odd(members={"state": None}), Refusal.MISSING_STATE),
    "state-is-a-list": (odd(members={"state": ["x"]}), Refusal.MISSING_STATE),
    "no-code": (odd(members={"code": None}), Refusal.MISSING_CODE),
}


@pytest.mark.parametrize(("fault", "refusal"), WRONG.values(), ids=WRONG)
def test_what_does_not_hold_is_refused(world: Embedded, fault: Fault, refusal: Refusal) -> None:
    """Nothing is sent, the login waits on, and the right answer still finishes it."""
    world.server.misbehave("callback", fault)
    login, address = start(world)
    wrong = parse_qsl(urlsplit(user_agent.fetch_only(address)).query)
    with pytest.raises(CallbackRefused) as refused:
        world.conductor.complete(wrong, login_id=login.id)
    assert refused.value.reason == refusal.value
    assert world.last("event", "reason", "login") == ("login.refused", refusal.value, login.id)
    assert world.server.counts["token"] == 0
    right = user_agent.fetch_only(address)
    assert world.conductor.answer(right, login_id=login.id).state is State.AUTHENTICATED


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ("", Refusal.RESPONSE_UNSIGNED),
        ("&response=", Refusal.RESPONSE_SIGNATURE),
        ("&response=a.b.c", Refusal.RESPONSE_SIGNATURE),
        ("&response=%00", Refusal.RESPONSE_SIGNATURE),
        ("&response=" + "e30." * 10_000, Refusal.RESPONSE_SIGNATURE),
        ("&response=a&response=b", Refusal.DUPLICATE_PARAMETER),
    ],
)
def test_an_unsigned_answer_is_none(world: Embedded, more: str, refusal: Refusal) -> None:
    """The right code and state beside no signature, or beside rubbish, are not read."""
    login, address = start(world)
    inside = peeked(parse_qsl(urlsplit(user_agent.fetch_only(address)).query))
    plain = parse_qsl(urlencode(inside) + more, keep_blank_values=True)
    with pytest.raises(CallbackRefused) as refused:
        world.conductor.complete(plain, login_id=login.id)
    assert refused.value.reason == refusal.value
    assert world.server.counts["token"] == 0


def test_keys_that_are_new_or_out_of_reach(world: Embedded) -> None:
    """A new key is fetched; where none can be had, the page may be reloaded later."""
    login, address = start(world)
    landed = user_agent.fetch_only(address)
    world.server.misbehave("jwks", Fault(kind=FaultKind.ERROR_500), times=None)
    with pytest.raises(CallbackRefused) as refused:
        world.conductor.answer(landed, login_id=login.id)
    assert refused.value.reason == Refusal.RESPONSE_KEYS_UNAVAILABLE.value
    world.server.behave()
    assert world.conductor.answer(landed, login_id=login.id).state is State.AUTHENTICATED
    world.server.rotate_key()
    login, address = start(world, service_name="again")
    landed = user_agent.fetch_only(address)
    assert world.conductor.answer(landed, login_id=login.id).state is State.AUTHENTICATED


@pytest.mark.parametrize(
    ("offered", "mode", "signed"),
    [
        ((), "auto", False),
        (("query", "jwt"), "auto", False),
        (("query", "jwt"), "jwt", True),
        (("query.jwt", "jwt"), "auto", True),
        (("jwt",), "auto", True),
        (("fragment.jwt",), "auto", False),
    ],
)
def test_a_server_that_takes_nothing_else_is_asked_for_it(
    world: Embedded, offered, mode, signed
) -> None:
    """By its metadata (`response_modes_supported`), or by the setting."""
    world.server.change(response_modes=offered)
    found = discover(RequestsHttp(clock=world.clock), world.server.issuer)
    config = apply_metadata(world.server.config(response_mode=mode), found)
    assert wants_signed_response(config) is signed
    done = world.conductor.sign_in(config, world.transport)
    assert done.state is State.AUTHENTICATED
    assert ("response_mode=" in world.transport.addresses[0]) is signed


def test_a_signed_answer_to_another_question_is_no_answer(world: Embedded) -> None:
    """A login that asked for none does not read one."""
    login, _ = start(world, response_mode="auto")
    _, other = start(world, service_name="other")
    landed = parse_qsl(urlsplit(user_agent.fetch_only(other)).query)
    with pytest.raises(CallbackRefused):
        world.conductor.complete(landed, login_id=login.id)


@pytest.mark.parametrize("unknown", [{"issuer": None}, {"jwks_url": None}])
def test_nobody_is_sent_for_an_answer_that_could_not_be_checked(world: Embedded, unknown) -> None:
    """Where the issuer or its keys are not known, that is said before the browser opens."""
    waits = InstantTransport(lambda _: [])
    with pytest.raises(ConfigMissing) as refusal:
        world.conductor.start(world.server.config(response_mode="jwt", **unknown), waits)
    assert refusal.value.hint is not None
    assert waits.addresses == []
