"""The embedded authorization server is as strict as the real ones, and goes wrong on demand."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from instant import ManualClock
from stayfast.engine.oauth.metadata import discover
from stayfast.engine.oauth.setting_types import DEVICE_GRANT_TYPE as GRANT_TYPE
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import Client
from stayfast.testing.user_agent import decide_device, fetch_only

REDIRECT = "http://127.0.0.1:4711/callback"
VERIFIER = "a-verifier-that-is-long-enough-for-anybody-1234"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().strip("=")
Members = dict[str, Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time())


@pytest.fixture
def server(clock: ManualClock) -> Iterator[AuthorizationServer]:
    with AuthorizationServer(now=clock.now) as running:
        yield running


def post(server: AuthorizationServer, name: str, **members: Any) -> requests.Response:
    given = {"client_id": CLIENT_ID, **members}
    return requests.post(f"{server.issuer}/{name}", data=given, timeout=10)


def authorization_url(server: AuthorizationServer, **changes: Any) -> str:
    asked = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT,
        "scope": "openid offline_access",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return f"{server.issuer}/authorize?{urlencode(given)}"


def a_code(server: AuthorizationServer, **changes: Any) -> str:
    callback = fetch_only(authorization_url(server, **changes))
    return parse_qs(urlsplit(callback).query)["code"][0]


def send_code(server: AuthorizationServer, code: str, **changes: Any) -> requests.Response:
    given = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    return post(server, "token", **{n: v for n, v in given.items() if v is not None})


def signed_in(server: AuthorizationServer) -> Members:
    answer = send_code(server, a_code(server))
    assert answer.status_code == 200
    return answer.json()


def refresh(server: AuthorizationServer, token: str) -> requests.Response:
    return post(server, "token", grant_type="refresh_token", refresh_token=token)


def good(server: AuthorizationServer, token: str) -> bool:
    """Whether ``token`` opens a protected resource; introspection must say the same."""
    headers = {"Authorization": f"Bearer {token}"}
    status = requests.get(f"{server.issuer}/userinfo", headers=headers, timeout=10).status_code
    assert post(server, "introspect", token=token).json()["active"] is (status == 200)
    return status == 200


def test_discovery_is_what_the_library_reads(server: AuthorizationServer) -> None:
    """Both places publish the metadata, and they name every endpoint of the configuration."""
    metadata = discover(RequestsHttp(), server.issuer)
    config = server.config()
    assert metadata.issuer == config.issuer == server.issuer
    assert metadata.authorization_endpoint == config.auth_url
    assert metadata.token_endpoint == config.token_url
    assert metadata.device_authorization_endpoint == config.device_url
    assert metadata.jwks_uri == config.jwks_url
    assert metadata.pkce_methods == ("S256",)
    assert metadata.iss_supported
    other = requests.get(f"{server.issuer}/.well-known/oauth-authorization-server", timeout=10)
    assert other.json()["issuer"] == server.issuer


def test_pkce_is_required_and_checked(server: AuthorizationServer) -> None:
    """Without a challenge there is no code; without the right verifier there are no tokens."""
    for missing in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},  # plain is what that means (RFC 7636 §4.3)
        {"code_challenge_method": "plain"},
    ):
        bare = authorization_url(server, **missing)
        answer = requests.get(bare, timeout=10, allow_redirects=False)
        members = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert members["error"] == ["invalid_request"]
        assert members["state"] == ["a-state"]
        assert "code" not in members
    for wrong in (None, "", "b" * 43):
        assert send_code(server, a_code(server), code_verifier=wrong).status_code == 400
    assert server.counts["tokens"] == 0


def test_a_code_is_for_one_client_one_address_and_one_minute(
    server: AuthorizationServer, clock: ManualClock
) -> None:
    """Another client, another redirect address and a late exchange are refused."""
    server.add_client(Client("other"))
    assert send_code(server, a_code(server), client_id="other").status_code == 400
    other = "http://127.0.0.1:4712/callback"
    assert send_code(server, a_code(server), redirect_uri=other).status_code == 400
    code = a_code(server)
    clock.sleep(61)
    assert send_code(server, code).json()["error"] == "invalid_grant"


def test_a_code_used_twice_revokes_what_came_of_it(server: AuthorizationServer) -> None:
    """The second use is refused, and the tokens of the first are no good any more."""
    code = a_code(server)
    tokens = send_code(server, code).json()
    bystander = signed_in(server)
    assert good(server, tokens["access_token"])
    assert send_code(server, code).json()["error"] == "invalid_grant"
    assert not good(server, tokens["access_token"])
    assert refresh(server, tokens["refresh_token"]).status_code == 400
    assert server.counts["code_reuse"] == 1
    assert good(server, bystander["access_token"])


def test_a_refresh_token_used_twice_revokes_the_family(server: AuthorizationServer) -> None:
    """Rotation: the newer token works until the older one turns up again; then neither does."""
    first = signed_in(server)
    second = refresh(server, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert good(server, second["access_token"])
    assert refresh(server, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert server.counts["refresh_reuse"] == 1
    assert not good(server, second["access_token"])
    assert refresh(server, second["refresh_token"]).status_code == 400


def test_rotation_can_be_turned_off(server: AuthorizationServer) -> None:
    """A server that does not rotate answers the same refresh token again."""
    server.change(rotate=False)
    first = signed_in(server)
    assert [refresh(server, first["refresh_token"]).status_code for _ in range(2)] == [200, 200]


def test_revocation_ends_the_family(server: AuthorizationServer) -> None:
    """A revoked refresh token takes its access token along; an unknown one is no error."""
    tokens = signed_in(server)
    assert post(server, "revoke", token=tokens["refresh_token"]).status_code == 200
    assert not good(server, tokens["access_token"])
    assert refresh(server, tokens["refresh_token"]).status_code == 400
    assert post(server, "revoke", token="never-issued").status_code == 200


def test_tokens_end(server: AuthorizationServer, clock: ManualClock) -> None:
    """An access token is good for as long as was said, by the server's own clock."""
    server.change(token_lifetime=100)
    tokens = signed_in(server)
    assert tokens["expires_in"] == 100
    clock.sleep(99)
    assert good(server, tokens["access_token"])
    clock.sleep(2)
    assert not good(server, tokens["access_token"])


def test_nobody_is_sent_to_an_address_that_is_not_registered(server: AuthorizationServer) -> None:
    """An unknown client or redirect address gets an answer, not a redirect (RFC 6749 §4.1.2.1)."""
    for changes in ({"redirect_uri": "https://evil.test/callback"}, {"client_id": "nobody"}):
        url = authorization_url(server, **changes)
        answer = requests.get(url, timeout=10, allow_redirects=False)
        assert answer.status_code >= 400
        assert "Location" not in answer.headers


def test_loopback_ports_vary_unless_they_are_exact(server: AuthorizationServer) -> None:
    """Any port for a loopback address (RFC 8252 §7.3), or only the registered one."""
    server.add_client(Client("exact", redirect_uris=(REDIRECT,), exact_ports=True))
    for port, status in ((4711, 200), (4712, 400)):
        address = f"http://127.0.0.1:{port}/callback"
        url = authorization_url(server, client_id="exact", redirect_uri=address)
        assert requests.get(url, timeout=10, allow_redirects=False).status_code == status
        any_port = authorization_url(server, redirect_uri=address)
        assert requests.get(any_port, timeout=10, allow_redirects=False).status_code == 200


def test_a_confidential_client_must_prove_itself(server: AuthorizationServer) -> None:
    """With a secret registered, none and a wrong one are refused; the right one works."""
    server.add_client(Client("confidential", client_secret="s/e+c=r&t"))
    for secret, status in ((None, 401), ("wrong", 401), ("s/e+c=r&t", 200)):
        code = a_code(server, client_id="confidential")
        proof = {} if secret is None else {"client_secret": secret}
        answer = send_code(server, code, client_id="confidential", **proof)
        assert answer.status_code == status


def poll(server: AuthorizationServer, device_code: str) -> Members:
    return post(server, "token", grant_type=GRANT_TYPE, device_code=device_code).json()


def test_device_polls_too_early_are_slowed_down(
    server: AuthorizationServer, clock: ManualClock
) -> None:
    """A poll before the interval gets slow_down, and the interval is longer from then on."""
    device = post(server, "device_authorization", scope="openid").json()
    assert device["interval"] == 5
    code = device["device_code"]
    assert poll(server, code)["error"] == "authorization_pending"
    clock.sleep(4)
    assert poll(server, code)["error"] == "slow_down"
    clock.sleep(6)
    assert poll(server, code)["error"] == "slow_down"
    clock.sleep(15)
    assert poll(server, code)["error"] == "authorization_pending"
    assert decide_device(device["verification_uri"], device["user_code"]) == 200
    clock.sleep(15)
    assert "access_token" in poll(server, code)
    clock.sleep(15)
    assert "access_token" not in poll(server, code)


@pytest.mark.parametrize("end", ["denied", "expired"])
def test_device_codes_end(server: AuthorizationServer, clock: ManualClock, end: str) -> None:
    """A declined code and one that ran out say which they are."""
    server.change(device_lifetime=60, device_interval=7)
    device = post(server, "device_authorization", scope="openid").json()
    assert (device["expires_in"], device["interval"]) == (60, 7)
    if end == "denied":
        decide_device(device["verification_uri"], device["user_code"], approve=False)
        assert poll(server, device["device_code"])["error"] == "access_denied"
    else:
        clock.sleep(61)
        assert poll(server, device["device_code"])["error"] == "expired_token"
        assert decide_device(device["verification_uri"], device["user_code"]) == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (FaultKind.HTML, 200),
        (FaultKind.ERROR_500, 500),
        (FaultKind.BUSY_503, 503),
        (FaultKind.TOO_MANY_429, 429),
        (FaultKind.EMPTY, 200),
        (FaultKind.EMPTY_400, 400),
        (FaultKind.REDIRECT, 302),
        (FaultKind.MALFORMED, 200),
        (FaultKind.HUGE, 200),
    ],
)
def test_faults_stand_in_for_an_answer_once(
    server: AuthorizationServer, kind: FaultKind, status: int
) -> None:
    """Nothing is done, the fault is answered; the same request then works."""
    code = a_code(server)
    server.misbehave("token", Fault(kind=kind))
    given = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    spoilt = requests.post(
        f"{server.issuer}/token",
        data={"client_id": CLIENT_ID, "redirect_uri": REDIRECT, **given},
        allow_redirects=False,
        timeout=10,
    )
    assert spoilt.status_code == status
    assert b'"refresh_token"' not in spoilt.content
    assert server.counts["tokens"] == 0
    assert send_code(server, code).status_code == 200


def test_a_dropped_answer_was_acted_upon_or_not(server: AuthorizationServer) -> None:
    """Dropped before, the code is still good; dropped after, the refresh token is spent."""
    code = a_code(server)
    server.misbehave("token", Fault(kind=FaultKind.DROP_BEFORE))
    with pytest.raises(requests.ConnectionError):
        send_code(server, code)
    tokens = send_code(server, code).json()
    server.misbehave("token", Fault(kind=FaultKind.DROP_AFTER))
    with pytest.raises(requests.ConnectionError):
        refresh(server, tokens["refresh_token"])
    assert server.counts["tokens"] == 2
    assert refresh(server, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_faults_of_one_grant_leave_the_others_alone(server: AuthorizationServer) -> None:
    """A fault may be for one grant type, last for some requests, or until it is taken back."""
    fault = Fault(kind=FaultKind.ERROR, grant="refresh_token", members={"error": "invalid_grant"})
    server.misbehave("token", fault, None)
    tokens = signed_in(server)
    for _ in range(3):
        assert refresh(server, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    server.behave()
    server.misbehave("token", Fault(kind=FaultKind.EMPTY_400), 2)
    statuses = [refresh(server, tokens["refresh_token"]).status_code for _ in range(3)]
    assert statuses == [400, 400, 200]


def test_answers_and_callbacks_can_be_altered(server: AuthorizationServer) -> None:
    """Members are changed or removed in answers and in callbacks; answers may be forms."""
    server.misbehave(
        "callback", Fault(kind=FaultKind.CALLBACK, members={"iss": "x", "state": None})
    )
    members = parse_qs(urlsplit(fetch_only(authorization_url(server))).query)
    assert members["iss"] == ["x"]
    assert "state" not in members
    server.misbehave("token", Fault(kind=FaultKind.MEMBERS, members={"expires_in": None, "a": 1}))
    altered = send_code(server, members["code"][0]).json()
    assert "expires_in" not in altered
    assert altered["a"] == 1
    server.misbehave("token", Fault(kind=FaultKind.FORM))
    form = refresh(server, altered["refresh_token"])
    assert "access_token" in parse_qs(form.text)


def test_what_was_asked_is_told_without_values(server: AuthorizationServer) -> None:
    """Requests are remembered by the names of their parameters; no secret is kept in them."""
    tokens = signed_in(server)
    (seen,) = [one for one in server.requests if one.path == "/token"]
    assert seen.parameters == (
        "client_id", "code", "code_verifier", "grant_type", "redirect_uri",
    )  # fmt: skip
    shown = repr(server.requests)
    assert VERIFIER not in shown
    assert tokens["access_token"] not in shown
    assert server.counts["token:authorization_code"] == 1


def test_a_server_that_sends_no_iss_does_not_promise_it() -> None:
    """The metadata and the callbacks agree about ``iss`` (RFC 9207 §3)."""
    with AuthorizationServer(Settings(send_iss=False)) as server:
        assert not discover(RequestsHttp(), server.issuer).iss_supported
        assert "iss=" not in fetch_only(authorization_url(server))
        assert not server.config().iss_required


def test_a_stopped_server_is_gone() -> None:
    """Its port is closed; stopping twice is harmless."""
    server = AuthorizationServer()
    server.start()
    assert requests.get(f"{server.issuer}/jwks", timeout=10).ok
    server.stop()
    server.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.issuer}/jwks", timeout=10)
