"""The UserInfo endpoint: who signed in, in the provider's words, and never at the cost of a login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from embedded import Embedded, embedded
from stayfast.engine.errors import ConfigMissing, NetworkError, StayfastError
from stayfast.engine.oauth.userinfo import UserInfoRefused
from stayfast.engine.reasons import Refusal
from stayfast.engine.summary import account_alias
from stayfast.engine.table import State
from stayfast.testing.misbehaviour import Fault, FaultKind, Signature
from stayfast.testing.server_state import EMAIL, USER

JWT = {"Content-Type": "application/jwt"}
JSON = {"Content-Type": "application/json"}


def answer(body: bytes, status: int = 200, **headers: str) -> Fault:
    return Fault(kind=FaultKind.ANSWER, status=status, body=body, headers=headers or JSON)


def claims(**members: object) -> Fault:
    """Changes of a signed answer."""
    return Fault(kind=FaultKind.ID_TOKEN, members=members)


@pytest.fixture
def world() -> Iterator[Embedded]:
    server, clock = embedded()
    with server:
        yield Embedded(server, clock)


@pytest.mark.parametrize("signed", [False, True])
def test_a_subject_without_a_name_gets_one_at_the_login(world: Embedded, signed: bool) -> None:
    """The name is kept with the login, by a transition of its own, and so is its state."""
    world.server.change(userinfo_signed=signed)

    login = world.nameless()

    assert login.identity is not None
    assert (login.identity.subject, login.identity.name) == (USER, EMAIL)
    assert login.state is State.AUTHENTICATED
    assert world.storage.read(login.id) == login
    assert world.triggers()[-2:] == ["accept_tokens", "identify"]
    assert world.last("outcome", "login", "version") == ("success", login.id, login.version)


def test_a_name_that_is_known_is_not_asked_for(world: Embedded) -> None:
    """The ID token had it: a login costs no further request."""
    world.sign_in()
    assert world.server.counts["userinfo"] == 0


@pytest.mark.parametrize(
    "settings", [{"scopes": ("read",)}, {"userinfo_url": None}, {"userinfo_url": "http://x.test/u"}]
)
def test_an_endpoint_that_may_not_be_asked_is_not(world: Embedded, settings) -> None:
    """Without `openid`, without an address, and by plain `http` no token is sent anywhere."""
    login = world.nameless(**settings)
    with pytest.raises(ConfigMissing):
        world.conductor.identify.ask(login)
    assert world.server.counts["userinfo"] == 0


def test_a_name_outlives_a_refresh(world: Embedded) -> None:
    """An ID token of a refresh that has no name does not take the name away."""
    login = world.nameless()
    refreshed = world.conductor.refresh.valid(login.provider, login.account, force=True)
    assert refreshed.identity == login.identity


HOSTILE = {
    "other-subject": (answer(b'{"sub":"mallory","email":"m@x"}'), Refusal.USERINFO_OTHER_SUBJECT),
    "no-subject": (answer(b'{"email":"m@x"}'), Refusal.USERINFO_NO_SUBJECT),
    "subject-is-a-list": (answer(b'{"sub":["ada"]}'), Refusal.USERINFO_NO_SUBJECT),
    "long-subject": (answer(b'{"sub":"' + b"a" * 256 + b'"}'), Refusal.USERINFO_NO_SUBJECT),
    "array": (answer(b'[{"sub":"ada"}]'), Refusal.USERINFO_UNREADABLE),
    "form": (answer(b"sub=ada&email=x"), Refusal.USERINFO_UNREADABLE),
    "string": (answer(b'"ada"'), Refusal.USERINFO_UNREADABLE),
    "nothing": (answer(b""), Refusal.USERINFO_UNREADABLE),
    "half": (answer(b'{"sub":"ad'), Refusal.USERINFO_UNREADABLE),
    "page": (Fault(kind=FaultKind.HTML), Refusal.USERINFO_UNREADABLE),
    "redirect": (
        answer(b"", 302, Location="https://elsewhere.example/me"),
        Refusal.USERINFO_UNREADABLE,
    ),
    "created": (answer(b'{"sub":"ada","email":"x"}', 201), Refusal.USERINFO_UNREADABLE),
    "401": (answer(b'{"error":"invalid_token"}', 401), Refusal.USERINFO_TOKEN_REFUSED),
    "403": (answer(b"", 403), Refusal.USERINFO_TOKEN_REFUSED),
    "500": (Fault(kind=FaultKind.ERROR_500), None),
    "429": (Fault(kind=FaultKind.TOO_MANY_429), None),
    "huge": (answer(b'{"sub":"ada","email":"' + b"x" * 5_000_000 + b'"}'), None),
    "dropped": (Fault(kind=FaultKind.DROP_BEFORE), None),
    "deep": (answer(b'{"sub":"mallory","a":' + b"[" * 100_000), Refusal.USERINFO_UNREADABLE),
    "not-a-jwt": (answer(b"ada", **JWT), Refusal.USERINFO_SIGNATURE),
    "json-called-jwt": (answer(b'{"sub":"ada"}', **JWT), Refusal.USERINFO_SIGNATURE),
    "jwt-not-ascii": (answer("ädä.b.c".encode(), **JWT), Refusal.USERINFO_SIGNATURE),
    "encrypted": (answer(b"e30.e30.e30.e30.e30", **JWT), Refusal.USERINFO_SIGNATURE),
}
SIGNED = {
    "foreign-key": (
        Fault(kind=FaultKind.ID_TOKEN, signature=Signature.FOREIGN),
        Refusal.USERINFO_SIGNATURE,
    ),
    "spoiled": (
        Fault(kind=FaultKind.ID_TOKEN, signature=Signature.SPOILED),
        Refusal.USERINFO_SIGNATURE,
    ),
    "alg-none": (
        Fault(kind=FaultKind.ID_TOKEN, signature=Signature.NONE),
        Refusal.USERINFO_SIGNATURE,
    ),
    "other-issuer": (claims(iss="https://other.example"), Refusal.USERINFO_ISSUER),
    "no-issuer": (claims(iss=None), Refusal.USERINFO_ISSUER),
    "other-audience": (claims(aud="another"), Refusal.USERINFO_AUDIENCE),
    "no-audience": (claims(aud=None), Refusal.USERINFO_AUDIENCE),
    "ended": (claims(exp=1), Refusal.USERINFO_EXPIRED),
    "without-end": (claims(exp=10**400), Refusal.USERINFO_EXPIRED),
    "odd-end": (claims(exp="soon"), Refusal.USERINFO_EXPIRED),
    "other-subject-signed": (claims(sub="mallory"), Refusal.USERINFO_OTHER_SUBJECT),
}


@pytest.mark.parametrize(("fault", "refusal"), [*HOSTILE.values(), *SIGNED.values()],
                         ids=[*HOSTILE, *SIGNED])  # fmt: skip
def test_an_answer_that_does_not_hold_costs_nothing(world: Embedded, fault, refusal) -> None:
    """The login is kept as its ID token made it; what was refused is in the log with its reason."""
    world.server.change(userinfo_signed=fault.kind is FaultKind.ID_TOKEN)
    world.server.misbehave("userinfo", fault, times=None)

    login = world.nameless()

    assert login.identity is not None
    assert (login.state, login.identity.subject, login.identity.name) == (
        *(State.AUTHENTICATED, USER),
        None,
    )
    with pytest.raises(UserInfoRefused if refusal else NetworkError) as raised:
        world.conductor.identify.ask(login)
    assert world.storage.find(account_alias("demo", "default")) == login
    assert "mallory" not in str(raised.value)
    assert raised.value.hint is not None or refusal is not Refusal.USERINFO_TOKEN_REFUSED
    if refusal is not None:
        assert raised.value.reason == refusal.value
        expected = ("login.refused", refusal.value, "failure", login.id)
        assert world.last("event", "reason", "outcome", "login") == expected


def test_a_signed_answer_is_checked_with_a_key_that_is_new(world: Embedded) -> None:
    """Keys are read anew when none fits."""
    login = world.nameless()
    world.server.change(userinfo_signed=True)
    assert world.conductor.identify.ask(login).signed
    world.server.rotate_key()
    assert world.conductor.identify.ask(login).name == EMAIL


def test_what_no_id_token_vouches_for_is_told_and_not_kept(world: Embedded) -> None:
    """Without an ID token nothing ties the answer to the login."""
    fault = Fault(kind=FaultKind.MEMBERS, members={"id_token": None})
    world.server.misbehave("token", fault, times=None)
    login = world.sign_in()
    assert world.server.counts["userinfo"] == 0
    said = world.conductor.identify.ask(login)
    assert (said.subject, said.name, said.agrees) == (USER, EMAIL, False)
    assert world.conductor.identify.keep(login, said) == login


@pytest.mark.parametrize("state", [State.AUTHENTICATED, State.EXPIRED, State.REFRESH_FAILED])
def test_a_name_that_cannot_be_saved_is_no_error(world: Embedded, state: State) -> None:
    """Another process has changed the login meanwhile, or it is in a state that has no such row."""
    login = world.sign_in()
    said = world.conductor.identify.ask(login)
    old = replace(login, state=state, version=login.version - 1)
    assert world.conductor.identify.keep(old, replace(said, name="Ada")) == old


def test_a_bound_token_is_sent_with_a_proof_that_names_it(world: Embedded) -> None:
    """DPoP at the endpoint, with its nonce (RFC 9449 §7, §9)."""
    world.server.change(dpop="required", dpop_nonce=True)
    login = world.nameless(dpop="required")
    assert login.identity is not None
    assert login.identity.name == EMAIL


def test_no_answer_raises_what_is_not_ours(world: Embedded) -> None:
    """Odd bytes of every kind end in an error of the library."""
    login = world.nameless()
    for body in (b"\xff\xfe{", b"\x00", b'{"sub":\xff}', b"{" * 70_000, b'{"sub":"\\ud800"}'):
        for headers in (JSON, JWT):
            world.server.misbehave("userinfo", answer(body, **headers))
            with pytest.raises(StayfastError):
                world.conductor.identify.ask(login)
