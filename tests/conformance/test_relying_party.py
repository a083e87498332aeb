"""The relying-party tests of the OpenID Foundation's conformance suite, by name, against the embedded server.

Each row has the suite's name, what is right, and the reason that our audit log has for a refusal. A test
that cannot concern a native client with the code flow stands here, too, with the reason why. The
suite's own OPs are not needed: the embedded server does what each test does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from embedded import Embedded
from instant import InstantTransport, ManualClock
from joserfc.jwk import ECKey
from stayfast.engine.errors import AuthCancelled, CallbackRefused, ProviderError, StayfastError
from stayfast.engine.oauth.client_authentication import endpoint
from stayfast.engine.oauth.end_session import end_session, validate_return
from stayfast.engine.oauth.metadata import apply_metadata, discover
from stayfast.engine.oauth.registration import (
    client_members,
    registration_request,
)
from stayfast.engine.reasons import Reason, Refusal
from stayfast.engine.record import Login
from stayfast.engine.secret import Secret
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind, Signature
from stayfast.testing.server_state import EMAIL, USER, Client

SECRET = "a-secret-of-this-client-that-is-long-enough"
FAPI = "fapi2-security-profile-final-client-test-"
ID2 = "fapi2-security-profile-id2-client-test-"


class World(Embedded):
    """The embedded server with one row's settings, and our side of it."""

    def __init__(self, server: AuthorizationServer, clock: ManualClock, row: Row) -> None:
        super().__init__(server, clock)
        self.config: dict[str, Any] = dict(row.config)
        if row.fapi:
            key = ECKey.generate_key("P-256", {"alg": "ES256", "kid": "client-1"})
            public = {"keys": [key.as_dict(private=False)]}
            server.add_client(Client("fapi", auth_method="private_key_jwt", jwks=public))
            self.config |= {
                "client_id": "fapi",
                "client_key": json.dumps(key.as_dict(private=True)),
                "token_endpoint_auth_method": "private_key_jwt",
                "dpop": "required",
                "par_required": True,
                "id_token_azp_required": True,
                **row.config,
            }

    def log_in(self, **more: Any) -> Login:
        return self.sign_in(**{**self.config, **more})

    def answered(self, **settings: Any) -> None:
        """A login whose answer is refused goes on waiting."""
        started = self.start(**settings)
        callback = user_agent.fetch_only(started[1])
        with pytest.raises(CallbackRefused):
            self.conductor.complete(parse_qsl(urlsplit(callback).query), login_id=started[0].id)
        kept = self.storage.read(started[0].id)
        assert kept is not None
        assert kept.state is State.AWAITING_CALLBACK

    def start(self, **settings: Any) -> tuple[Login, str]:
        waits = InstantTransport(lambda _: [])
        login = self.conductor.start(self.server.config(**{**self.config, **settings}), waits).login
        return login, waits.addresses[0]


Act = Callable[[World], None]


@dataclass(frozen=True)
class Row:
    """One test of the suite.

    Attributes:
        act: What happens; it asserts what is right. ``None`` where the test does not apply.
        reason: The reason in our audit log, where something is refused; or why it does not apply.
        algorithm: What the server signs ID tokens with.
        settings: The server's.
        config: The client's.
        fapi: Whether the client is one of FAPI 2.0: PAR, DPoP, private_key_jwt.
    """

    act: Act | None
    reason: str | None = None
    algorithm: str = "ES256"
    settings: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    fapi: bool = False


# --- what happens -------------------------------------------------------------------------------


def accepts(*faults: tuple[str, Fault]) -> Act:
    """A login that ends well although the server does something unusual."""

    def act(world: World) -> None:
        for where, fault in faults:
            world.server.misbehave(where, fault, times=None)
        login = world.log_in()
        assert login.state is State.AUTHENTICATED
        assert login.identity is not None
        assert login.identity.subject == USER

    return act


def refuses(*faults: tuple[str, Fault]) -> Act:
    """The ID token is refused; no token is kept or used."""

    def act(world: World) -> None:
        for where, fault in faults:
            world.server.misbehave(where, fault, times=None)
        with pytest.raises(StayfastError):
            world.log_in()
        assert world.last("trigger", "to") == ("reject_code", "idle")
        assert world.server.counts["userinfo"] == 0

    return act


def claims(**members: Any) -> tuple[str, Fault]:
    return "token", Fault(kind=FaultKind.ID_TOKEN, members=members)


def header(**members: Any) -> tuple[str, Fault]:
    return "token", Fault(kind=FaultKind.ID_TOKEN, header=members)


def signature(how: Signature) -> tuple[str, Fault]:
    return "token", Fault(kind=FaultKind.ID_TOKEN, signature=how)


def keys(**how: Any) -> tuple[str, Fault]:
    return "jwks", Fault(kind=FaultKind.KEYS, **how)


def token(**members: Any) -> tuple[str, Fault]:
    return "token", Fault(kind=FaultKind.MEMBERS, members=members)


def callback(**members: Any) -> Act:
    """The answer in the browser is refused, and the login goes on waiting."""

    def act(world: World) -> None:
        world.server.misbehave("callback", Fault(kind=FaultKind.CALLBACK, members=members))
        world.answered()
        assert world.last("event", "outcome") == ("login.refused", "failure")
        assert world.server.counts["token"] == 0

    return act


def signed_response(fault: tuple[str, Fault]) -> Act:
    """A signed answer that does not hold is refused, and the login goes on waiting (JARM §2.4)."""

    def act(world: World) -> None:
        world.server.misbehave("callback", fault[1])
        world.answered()
        assert world.server.counts["token"] == 0

    return act


def refreshed(**members: Any) -> Act:
    """An ID token of a refresh that does not hold: of another person it is refused, else dropped."""

    def act(world: World) -> None:
        login = world.log_in()
        fault = Fault(kind=FaultKind.ID_TOKEN, members=members, grant="refresh_token")
        world.server.misbehave("token", fault)
        refused = "sub" in members
        try:
            after = world.conductor.refresh.valid(login.provider, login.account, force=True)
        except StayfastError:
            assert refused
        else:
            assert not refused
            assert after.tokens is not None
            assert login.tokens is not None
            assert (after.identity, after.tokens.id_token) == (
                login.identity,
                login.tokens.id_token,
            )
            assert after.tokens.access_token != login.tokens.access_token

    return act


def userinfo(*, settings: Mapping[str, Any] | None = None, **members: Any) -> Act:
    """The user is asked for at the UserInfo endpoint; other claims there are ignored."""

    def act(world: World) -> None:
        world.server.change(**(settings or {}))
        if members:
            fault = Fault(kind=FaultKind.MEMBERS, members=members)
            world.server.misbehave("userinfo", fault, times=None)
        login = world.log_in()
        said = world.conductor.identify.ask(login)
        assert (said.subject, said.name, said.agrees) == (USER, EMAIL, True)
        asked = next(one for one in world.server.requests if one.path == "/userinfo")
        assert (asked.method, asked.authorization, asked.parameters) == ("GET", True, ())

    return act


def other_userinfo(world: World) -> None:
    fault = Fault(kind=FaultKind.MEMBERS, members={"sub": "mallory"})
    world.server.misbehave("userinfo", fault)
    login = world.log_in()
    with pytest.raises(ProviderError):
        world.conductor.identify.ask(login)
    assert world.storage.read(login.id) == login


def asks_for(**expected: str) -> Act:
    """The authorization request has what the test wants to see, and the login ends well."""

    def act(world: World) -> None:
        world.log_in()
        query = dict(parse_qsl(urlsplit(world.transport.addresses[0]).query))
        for name, value in expected.items():
            assert query[name] == value if value else query[name]

    return act


def form_post_error(world: World) -> None:
    world.transport = InstantTransport(
        lambda address: [user_agent.fetch_only(address, approve=False)], world.clock
    )
    with pytest.raises(AuthCancelled):
        world.log_in(extra_auth_params={"response_mode": "form_post"})


def finds_metadata(world: World) -> None:
    found = discover(RequestsHttp(clock=world.clock), world.server.issuer)
    assert found.token_endpoint == f"{world.server.issuer}/token"
    assert found.jwks_uri == f"{world.server.issuer}/jwks"


def finds_keys(world: World) -> None:
    found = discover(RequestsHttp(clock=world.clock), world.server.issuer)
    config = apply_metadata(world.server.config(jwks_url=None), found)
    login = world.conductor.sign_in(config, world.transport)
    assert login.identity is not None
    assert world.server.counts["jwks"] == 1


def other_metadata(world: World) -> None:
    fault = Fault(kind=FaultKind.MEMBERS, members={"issuer": "https://other.example"})
    world.server.misbehave("metadata", fault, times=None)
    with pytest.raises(ProviderError):
        discover(RequestsHttp(clock=world.clock), world.server.issuer)


def registers(world: World) -> None:
    http = RequestsHttp(clock=world.clock)
    found = discover(http, world.server.issuer)
    assert found.registration_endpoint is not None
    asked = client_members(found, ("http://127.0.0.1/callback",), ("openid",))
    answer = http.send(registration_request(found.registration_endpoint, asked))
    assert answer.status == 201


def rotates(world: World) -> None:
    assert world.log_in().identity is not None
    world.server.rotate_key()
    assert world.log_in().identity is not None
    assert world.server.counts["jwks"] == 2


def rotates_before_signing(world: World) -> None:
    started, address = world.start()
    answer = user_agent.fetch_only(address)
    world.server.rotate_key()
    assert world.conductor.answer(answer, login_id=started.id).identity is not None


def odd_keys(world: World) -> None:
    odd: list[dict[str, Any]] = [
        {"kty": "AKP", "kid": "pq", "alg": "ML-DSA-99", "pub": "AA"},
        {"kty": "made-up", "kid": "new"},
    ]
    published = {"keys": [*odd, *world.server.published_keys()["keys"]]}
    world.server.misbehave("jwks", Fault(kind=FaultKind.MEMBERS, members=published))
    assert world.log_in().identity is not None


def refreshes(world: World) -> None:
    login = world.log_in()
    after = world.conductor.refresh.valid(login.provider, login.account, force=True)
    assert after.identity == login.identity
    assert world.last("trigger", "outcome") == ("accept_tokens", "success")


def signs_out(**changed: Any) -> Act:
    """The browser is sent to end its session; a return without the right state is refused."""

    def act(world: World) -> None:
        login = world.log_in()
        ended = world.conductor.logout.sign_out(login)
        back = "http://127.0.0.1:4711/signed-out"
        ending = end_session(
            login.config, ended.id_token, state=Secret("a-state"), redirect_uri=back
        )
        assert ending is not None
        if changed:
            fault = Fault(kind=FaultKind.CALLBACK, members=changed)
            world.server.misbehave("logout_return", fault)
        landed = user_agent.fetch_only(ending.address)
        assert landed.startswith(back)
        parameters = parse_qsl(urlsplit(landed).query)
        if not changed:
            validate_return(parameters, ending)
            return
        with pytest.raises(CallbackRefused) as refused:
            validate_return(parameters, ending)
        expected = Refusal.MISSING_STATE if changed["state"] is None else Refusal.WRONG_STATE
        assert refused.value.reason == expected.value

    return act


def uses_aliases(world: World) -> None:
    alias = "https://mtls.example/token"
    config = world.server.config(
        client_certificate_file="/c.pem", mtls_endpoint_aliases={"token_url": alias}
    )
    assert endpoint(config, config.token_url) == alias


def fapi_login(world: World) -> None:
    """PAR, DPoP with whatever nonce the server wants, and private_key_jwt, end to end."""
    login = world.log_in()
    assert login.proof_key is not None
    assert world.server.state.tokens[-1].thumbprint is not None
    pushed = next(one for one in world.server.requests if one.path == "/par")
    assert {"client_assertion", "code_challenge", "state"} <= set(pushed.parameters)
    query = dict(parse_qsl(urlsplit(world.transport.addresses[0]).query))
    assert set(query) == {"client_id", "request_uri"}
    assert world.conductor.identify.ask(login).subject == USER


def no_lifetime(world: World) -> None:
    world.server.misbehave(*token(expires_in=None))
    login = world.log_in()
    assert login.tokens is not None
    assert login.tokens.expires_at is None


WEEK = 7 * 86400
CODE_FLOW = "the response type is code: an ID token never comes with the authorization response"
NO_SERVER = "a native client has no address that a provider could call"
R, F = Reason, Refusal

OIDC: Mapping[str, Row] = {
    "": Row(accepts()),
    "-invalid-iss": Row(refuses(claims(iss="https://other.example")), R.ID_TOKEN_ISSUER),
    "-missing-sub": Row(refuses(claims(sub=None)), R.ID_TOKEN_NO_SUBJECT),
    "-invalid-aud": Row(refuses(claims(aud="another")), R.ID_TOKEN_AUDIENCE),
    "-missing-aud": Row(refuses(claims(aud=None)), R.ID_TOKEN_AUDIENCE),
    "-missing-iat": Row(refuses(claims(iat=None)), R.ID_TOKEN_NO_TIMES),
    "-kid-absent-single-jwks": Row(accepts(header(kid=None), keys(members={"kid": None}))),
    "-kid-absent-multiple-jwks": Row(
        accepts(header(kid=None), keys(members={"kid": None}, impostor=True))
    ),
    "-idtoken-sig-rs256": Row(accepts(), algorithm="RS256"),
    "-idtoken-sig-none": Row(refuses(signature(Signature.NONE)), R.ID_TOKEN_ALGORITHM),
    "-invalid-sig-rs256": Row(
        refuses(signature(Signature.SPOILED)), R.ID_TOKEN_SIGNATURE, algorithm="RS256"
    ),
    "-invalid-sig-es256": Row(refuses(signature(Signature.SPOILED)), R.ID_TOKEN_SIGNATURE),
    "-invalid-sig-hs256": Row(
        refuses(signature(Signature.PUBLIC_KEY_AS_SECRET)),
        R.ID_TOKEN_SIGNATURE,
        config={
            "client_id": "confidential",
            "client_secret": SECRET,
            "id_token_algorithms": ("HS256",),
        },
    ),
    "-ignores-unparseable-key-in-jwks": Row(odd_keys),
    "-userinfo-invalid-sub": Row(other_userinfo, F.USERINFO_OTHER_SUBJECT),
    "-userinfo-signed": Row(userinfo(settings={"userinfo_signed": True})),
    "-userinfo-bearer-header": Row(userinfo()),
    "-userinfo-bearer-body": Row(
        None, "the token goes in the header, as every server must take it (RFC 6750 §2.1)"
    ),
    "-scope-userinfo-claims": Row(
        userinfo(), config={"scopes": ("openid", "profile", "email", "address", "phone")}
    ),
    "-aggregated-claims": Row(
        userinfo(_claim_names={"a": "s"}, _claim_sources={"s": {"JWT": "e30.e30."}})
    ),
    "-distributed-claims": Row(
        userinfo(_claim_names={"a": "s"}, _claim_sources={"s": {"endpoint": "https://x.test"}})
    ),
    "-nonce-invalid": Row(refuses(claims(nonce="another")), R.ID_TOKEN_NONCE),
    "-nonce-unless-code-flow": Row(asks_for(response_type="code", nonce="")),
    "-client-secret-basic": Row(
        accepts(),
        config={
            "client_id": "confidential",
            "client_secret": SECRET,
            "token_endpoint_auth_method": "client_secret_basic",
        },
    ),
    "-invalid-athash": Row(refuses(claims(at_hash="AAAA")), R.ID_TOKEN_ACCESS_TOKEN),
    "-missing-athash": Row(None, f"{CODE_FLOW}; beside an access token at_hash is optional"),
    "-invalid-chash": Row(None, CODE_FLOW),
    "-missing-chash": Row(None, CODE_FLOW),
    "-form-post-error": Row(form_post_error, R.ACCESS_DENIED),
    "-mtls-endpoint-aliases": Row(uses_aliases),
    "-discovery-openid-config": Row(finds_metadata),
    "-discovery-jwks-uri-keys": Row(finds_keys),
    "-discovery-issuer-mismatch": Row(other_metadata),
    "-discovery-webfinger-acct": Row(None, "the user names a provider, and not an account"),
    "-discovery-webfinger-url": Row(None, "the user names the issuer itself"),
    "-dynamic-registration": Row(registers, settings={"registration": True}),
    "-request-uri-signed-rs256": Row(
        None, f"{NO_SERVER}: a signed request is pushed or sent by value (RFC 9126, RFC 9101)"
    ),
    "-request-uri-signed-none": Row(None, f"{NO_SERVER}, and no request is signed with none"),
    "-signing-key-rotation": Row(rotates),
    "-signing-key-rotation-just-before-signing": Row(rotates_before_signing),
    "-refresh-token": Row(refreshes),
    "-refresh-token-invalid-issuer": Row(refreshed(iss="https://other.example"), R.ID_TOKEN_ISSUER),
    "-refresh-token-invalid-sub": Row(refreshed(sub="mallory"), R.ID_TOKEN_OTHER_SUBJECT),
    "-refresh-token-invalid-aud": Row(refreshed(aud="another"), R.ID_TOKEN_AUDIENCE),
    "-refresh-token-invalid-azp": Row(refreshed(azp="another"), R.ID_TOKEN_AUTHORIZED_PARTY),
    "-rp-init-logout": Row(signs_out(), R.SIGNED_OUT, settings={"end_session": True}),
    "-rp-init-logout-other-state": Row(
        signs_out(state="another"), R.SIGNED_OUT, settings={"end_session": True}
    ),
    "-rp-init-logout-no-state": Row(
        signs_out(state=None), R.SIGNED_OUT, settings={"end_session": True}
    ),
    **{
        f"-rp-backchannel-rpinitlogout{name}": Row(None, NO_SERVER)
        for name in (
            *("", "-alg-none", "-no-event", "-with-nonce"),
            *("-wrong-alg", "-wrong-aud", "-wrong-event", "-wrong-iss"),
        )
    },
    "-rp-frontchannel-rpinitlogout": Row(None, NO_SERVER),
    "-rp-frontchannel-opinitlogout": Row(None, NO_SERVER),
    "-session-management": Row(None, "it needs a page of the client that stays open in a browser"),
    "-3rd-party-init-login": Row(None, f"{NO_SERVER}: only its user begins a login"),
}
NO_WEB_PROFILE = "it belongs to a national profile, or to grant management, which are not offered"
PROFILE: Mapping[str, Row] = {
    "happy-path": Row(fapi_login, settings={"dpop": "required", "dpop_nonce": True}),
    "happy-path-no-dpop-nonce": Row(fapi_login),
    "happy-path-no-mtls-endpoint-aliases": Row(fapi_login),
    "discovery-issuer-mismatch": Row(other_metadata),
    "invalid-iss": Row(refuses(claims(iss="https://other.example")), R.ID_TOKEN_ISSUER),
    "invalid-missing-iss": Row(refuses(claims(iss=None)), R.ID_TOKEN_ISSUER),
    "invalid-aud": Row(refuses(claims(aud="another")), R.ID_TOKEN_AUDIENCE),
    "invalid-missing-aud": Row(refuses(claims(aud=None)), R.ID_TOKEN_AUDIENCE),
    "invalid-secondary-aud": Row(
        refuses(claims(aud=["fapi", "another"])), R.ID_TOKEN_AUTHORIZED_PARTY
    ),
    "valid-aud-as-array": Row(accepts(claims(aud=["fapi"]))),
    "invalid-null-alg": Row(refuses(signature(Signature.NONE)), R.ID_TOKEN_ALGORITHM),
    "invalid-alternate-alg": Row(
        refuses(),
        R.ID_TOKEN_ALGORITHM,
        algorithm="RS256",
        config={"id_token_algorithms": ("PS256",)},
    ),
    "invalid-expired-exp": Row(
        refuses(("token", Fault(kind=FaultKind.ID_TOKEN, shifted={"exp": -WEEK}))),
        R.ID_TOKEN_EXPIRED,
    ),
    "invalid-missing-exp": Row(refuses(claims(exp=None)), R.ID_TOKEN_NO_TIMES),
    "iat-is-week-in-past": Row(
        accepts(("token", Fault(kind=FaultKind.ID_TOKEN, shifted={"iat": -WEEK})))
    ),
    "invalid-nonce": Row(refuses(claims(nonce="another")), R.ID_TOKEN_NONCE),
    "invalid-missing-nonce": Row(refuses(claims(nonce=None)), R.ID_TOKEN_NONCE),
    "invalid-authorization-response-iss": Row(
        callback(iss="https://other.example"), F.WRONG_ISSUER
    ),
    "remove-authorization-response-iss": Row(callback(iss=None), F.MISSING_ISSUER),
    "ensure-authorization-response-with-invalid-state-fails": Row(
        callback(state="another"), F.WRONG_STATE
    ),
    "ensure-authorization-response-with-invalid-missing-state-fails": Row(
        callback(state=None), F.MISSING_STATE
    ),
    "token-endpoint-response-without-expires_in": Row(no_lifetime),
    "token-type-case-insensitivity": Row(accepts(token(token_type="dPoP"))),
    "rs-dpop-auth-scheme-case-insensitivity": Row(
        fapi_login, settings={"dpop": "required", "dpop_nonce": True}
    ),
    **{
        f"ensure-jarm-{name}": Row(signed_response(fault), reason, config={"response_mode": "jwt"})
        for name, fault, reason in (
            ("without-iss-fails", claims(iss=None), F.MISSING_ISSUER),
            ("with-invalid-iss-fails", claims(iss="https://other.example"), F.WRONG_ISSUER),
            ("without-aud-fails", claims(aud=None), F.RESPONSE_AUDIENCE),
            ("with-invalid-aud-fails", claims(aud="another"), F.RESPONSE_AUDIENCE),
            ("without-exp-fails", claims(exp=None), F.RESPONSE_EXPIRED),
            ("with-expired-exp-fails", claims(exp=1), F.RESPONSE_EXPIRED),
            ("with-invalid-sig-fails", signature(Signature.SPOILED), F.RESPONSE_SIGNATURE),
            ("signature-is-not-none", signature(Signature.NONE), F.RESPONSE_SIGNATURE),
        )
    },
    "grant-management-happy-path": Row(None, NO_WEB_PROFILE),
    "grant-management-query-and-revoke": Row(None, NO_WEB_PROFILE),
    "grant-management-invalid-grant-id-fails": Row(None, NO_WEB_PROFILE),
}
_NEW = frozenset(
    {"happy-path-no-mtls-endpoint-aliases", "rs-dpop-auth-scheme-case-insensitivity"}
    | {name for name in PROFILE if name.startswith("grant-management")}
)
"""Not in the second implementer's draft, whose other tests are the same ones."""
TABLE: Mapping[str, Row] = {
    **{f"oidcc-client-test{name}": row for name, row in OIDC.items()},
    **{f"{FAPI}{name}": row for name, row in PROFILE.items()},
    **{f"{ID2}{name}": Row(None, f"as {FAPI}{name}") for name in PROFILE if name not in _NEW},
    "fapi2-security-profile-final-client-refresh-token-test": Row(None, NO_WEB_PROFILE),
}


@pytest.mark.parametrize(
    ("name", "row"), [pytest.param(name, row, id=name) for name, row in TABLE.items() if row.act]
)
def test_of_the_suite(name: str, row: Row) -> None:
    """Accepted or refused as the suite wants it; a refusal is in the audit log with its reason."""
    fapi = name.startswith("fapi2")
    clock = ManualClock()
    settings = Settings(
        **{"par_required": fapi, "dpop": "required" if fapi else "off", **row.settings}
    )
    row = Row(row.act, row.reason, row.algorithm, row.settings, row.config, fapi)
    with AuthorizationServer(settings, now=clock.now, algorithm=row.algorithm) as server:
        server.add_client(Client("confidential", SECRET))
        world = World(server, clock, row)
        assert row.act is not None
        row.act(world)
        logged = [one.members.get("reason") for one in world.storage.events()]
    if row.reason is not None:
        assert row.reason in logged


def test_what_does_not_apply_has_a_reason() -> None:
    """Each name of the suite's lists is a row, and a row without a test says why."""
    assert all(row.reason for row in TABLE.values() if row.act is None)
    assert sum(row.act is not None for row in TABLE.values()) >= 60
