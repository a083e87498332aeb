"""An API that asks for a stronger login: one error that says what it wants, and a login that has it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import partial

import anyio
import httpx
import pytest
import requests
from plain_resource import Resource
from stayfast import AuthRequired, MemoryStorage, OAuthService, StepUpRequired, Success
from stayfast.engine.oauth.www_authenticate import challenge_for_token
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.resource_server import ResourceServer
from stayfast.testing.user_agent import UserAgent


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def resource(server: AuthorizationServer) -> Iterator[ResourceServer]:
    with ResourceServer(server, scopes=("openid",)) as running:
        yield running


@pytest.fixture
def service(server: AuthorizationServer) -> OAuthService:
    """A service whose user is signed in."""
    config = server.config(service_name="acme", scopes=("openid",))
    service = OAuthService(
        app="acme", providers={"acme": config}, storage=MemoryStorage(), environ={}
    )
    sign_in(service)
    return service


def sign_in(service: OAuthService, challenge: str | None = None) -> str:
    """The address that the user was sent to."""
    started = service.begin("acme", challenge=challenge).value
    callback = UserAgent().walk(started.address, approve=True)
    assert isinstance(service.complete(callback, login_id=started.login_id), Success)
    return str(started.address)


def by_requests(service: OAuthService, url: str) -> int:
    return requests.get(url, auth=service.auth("acme"), timeout=10).status_code


def by_httpx(service: OAuthService, url: str) -> int:
    return httpx.get(url, auth=service.httpx_auth("acme"), follow_redirects=True).status_code


def by_async_httpx(service: OAuthService, url: str) -> int:
    async def get() -> int:
        async with httpx.AsyncClient(auth=service.httpx_auth("acme")) as client:
            return (await client.get(url, follow_redirects=True)).status_code

    return anyio.run(get)


@pytest.fixture(params=[by_requests, by_httpx, by_async_httpx])
def get(request: pytest.FixtureRequest, service: OAuthService) -> Callable[[str], int]:
    return partial(request.param, service)


def test_more_scopes_are_one_line_away(
    server: AuthorizationServer,
    resource: ResourceServer,
    service: OAuthService,
    get: Callable[[str], int],
) -> None:
    """The error says which scopes; the login that answers it has those of before, too."""
    assert get(resource.address) == 200
    resource.scopes = ("openid", "write")
    with pytest.raises(StepUpRequired) as refused:
        get(resource.address)

    assert refused.value.scopes == ("openid", "write")
    assert server.counts["token:refresh_token"] == 0
    assert resource.counts["stepped_up"] == 1
    sign_in(service, refused.value.challenge)
    assert get(resource.address) == 200
    assert set(service.get_tokens("acme").value.scopes) >= {"openid", "write"}


def test_a_stronger_sign_in_is_asked_for_as_the_api_says(
    server: AuthorizationServer,
    resource: ResourceServer,
    service: OAuthService,
    get: Callable[[str], int],
) -> None:
    """The error has the data, costs no refresh, and leads to the login (RFC 9470 §4)."""
    wanted = 'error="insufficient_user_authentication", acr_values="urn:gold urn:silver", max_age=5'
    resource.stronger = f"Bearer {wanted}"
    with pytest.raises(StepUpRequired) as refused:
        get(resource.address)

    error = refused.value
    assert (error.acr_values, error.max_age) == (("urn:gold", "urn:silver"), 5)
    assert (error.code, error.exit_code) == (AuthRequired.code, AuthRequired.exit_code)
    assert server.counts["token:refresh_token"] == 0
    copied = pickle.loads(pickle.dumps(error))
    address = service.begin("acme", challenge=copied.challenge).value.address
    assert "acr_values=urn%3Agold+urn%3Asilver" in address.replace("%20", "+")
    assert "max_age=5" in address


def test_an_api_that_never_has_enough_gets_one_request_each(
    server: AuthorizationServer,
    resource: ResourceServer,
    service: OAuthService,
    get: Callable[[str], int],
) -> None:
    """Whatever it asks for, a call is one request and one error: nothing loops."""
    resource.stronger = 'Bearer error="insufficient_scope", scope="always-more"'
    for _ in range(3):
        with pytest.raises(StepUpRequired):
            get(resource.address)

    assert resource.counts["stepped_up"] == 3
    assert server.counts["token:refresh_token"] == 0


def test_a_step_up_after_a_refresh_is_told_apart_from_a_refused_token(
    server: AuthorizationServer,
    resource: ResourceServer,
    service: OAuthService,
    get: Callable[[str], int],
) -> None:
    """The old token is refused, the fresh one asks for more: one refresh, and the error."""
    server.state.tokens[-1].expires_in = 0
    resource.stronger = 'Bearer error="insufficient_user_authentication", acr_values="urn:gold"'
    with pytest.raises(StepUpRequired):
        get(resource.address)

    assert server.counts["token:refresh_token"] == 1


@pytest.mark.parametrize(
    ("status", "challenge"),
    [
        *((403, one) for one in ("", "Basic realm=x", 'Bearer error="invalid_request"')),
        *((status, 'Bearer error="insufficient_scope", scope="all"') for status in (200, 404, 500)),
    ],
)
def test_other_answers_are_the_program_s(
    get: Callable[[str], int], status: int, challenge: str
) -> None:
    """A 403 that asks for no other login, and an answer that is no refusal, arrive as they are."""
    other = Resource()
    other.handler.challenges["/"] = (status, challenge)
    try:
        assert get(f"{other.address}/") == status
    finally:
        other.stop()


def test_a_server_that_did_not_get_the_token_cannot_ask(get: Callable[[str], int]) -> None:
    """Where a redirect leaves the origin, the other server's challenge is not for our login."""
    here, other = Resource(), Resource()
    here.handler.elsewhere["/"] = f"{other.address}/x"
    other.handler.challenges["/x"] = (403, 'Bearer error="insufficient_scope", scope="all"')
    try:
        assert get(f"{here.address}/") == 403
    finally:
        here.stop()
        other.stop()


def test_the_hint_has_the_data_and_the_words_of_the_program(
    resource: ResourceServer, get: Callable[[str], int]
) -> None:
    """A program shows a button or a sentence; no line of the command is in it."""
    resource.stronger = 'Bearer error="insufficient_scope", scope="write", extra="\x1b[31m"'
    with pytest.raises(StepUpRequired) as refused:
        get(resource.address)

    hint = refused.value.hint
    assert hint is not None
    assert (hint.action, hint.provider) == ("login", "acme")
    assert "stayfast" not in hint
    assert hint.options == ("--challenge", refused.value.challenge)
    assert "extra" not in refused.value.challenge


@pytest.mark.parametrize(
    "header",
    [
        'Bearer error="insufficient_scope", scope="a b"',
        'DPoP error="insufficient_user_authentication", acr_values="urn:gold", max_age="0"',
        'Bearer resource_metadata="https://api.example/x", error="insufficient_scope"',
    ],
)
def test_a_reduced_challenge_says_the_same(header: str) -> None:
    """What a login reads of a challenge is what it reads of its short form."""
    challenge = challenge_for_token(header)
    assert challenge is not None
    again = challenge_for_token(challenge.header())
    assert again == challenge


def test_a_reduced_challenge_has_nothing_of_another_language() -> None:
    """No control character or quote of a server gets into a command's line."""
    challenge = challenge_for_token(
        'Bearer error="insufficient_scope", scope="a\\"b c", resource_metadata="https://x/\x9b31m"'
    )
    assert challenge is not None
    assert challenge.header() == 'Bearer error="insufficient_scope", scope="c"'
