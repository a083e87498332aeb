"""Auth objects with tokens that are bound to a key: a proof for each request, and the server's nonces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import anyio
import httpx
import pytest
import requests
from plain_resource import Resource
from stayfast import MemoryStorage, OAuthService, Success
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(dpop="required", dpop_nonce=True)) as running:
        yield running


@pytest.fixture
def service(server: AuthorizationServer) -> OAuthService:
    """A service whose user is signed in with a bound token."""
    config = server.config(service_name="acme", dpop="required")
    catalogue = Catalogue(providers={"acme": config}, environ={})
    service = OAuthService(assembly=Assembly(MemoryStorage(), catalogue, http=RequestsHttp()))
    started = service.begin("acme").value
    callback = user_agent.fetch_only(started.address)
    assert isinstance(service.complete(callback, login_id=started.login.id), Success)
    return service


def by_requests(service: OAuthService) -> Callable[[str], int]:
    auth = service.auth("acme")
    return lambda url: requests.get(url, auth=auth, timeout=10).status_code


def by_httpx(service: OAuthService) -> Callable[[str], int]:
    auth = service.httpx_auth("acme")
    return lambda url: httpx.get(url, auth=auth, follow_redirects=True).status_code


def by_async_httpx(service: OAuthService) -> Callable[[str], int]:
    auth = service.httpx_auth("acme")

    async def get(url: str) -> int:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True) as client:
            return (await client.get(url)).status_code

    return lambda url: anyio.run(partial(get, url))


@pytest.fixture(params=[by_requests, by_httpx, by_async_httpx])
def get(request: pytest.FixtureRequest, service: OAuthService) -> Callable[[str], int]:
    made: Callable[[str], int] = request.param(service)
    return made


def test_each_request_has_a_proof_of_its_own(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """A proof is good once; the nonce of the server is asked for once at most."""
    assert [get(f"{server.issuer}/me") for _ in range(3)] == [200] * 3
    assert server.counts["me"] <= 4
    assert server.counts["token:refresh_token"] == 0


def test_a_new_nonce_costs_a_request_and_no_refresh(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """A 401 about the proof is not one about the token."""
    assert get(f"{server.issuer}/me") == 200
    before = server.counts["me"]
    server.state.nonce = "another"
    assert get(f"{server.issuer}/me") == 200
    assert server.counts["me"] == before + 2
    assert server.counts["token:refresh_token"] == 0


def test_a_revoked_token_is_renewed_and_proved(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """The refreshed token is bound to the same key."""
    for token in server.state.tokens:
        token.expires_in = 0
    assert get(f"{server.issuer}/me") == 200
    assert server.counts["token:refresh_token"] >= 1


def test_a_refused_token_is_not_proved_once_more(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """A 401 that is not about the proof costs a refresh, and no request with the same token."""
    assert get(f"{server.issuer}/me") == 200
    before = server.counts["me"]
    for token in server.state.tokens:
        token.expires_in = 0
    assert get(f"{server.issuer}/me") == 200
    assert server.counts["me"] == before + 2


def test_a_nonce_that_is_none_takes_no_place(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """A text with quotes is not signed (RFC 9449 §8.1); the nonce of before serves on."""
    assert get(f"{server.issuer}/me") == 200
    odd = Fault(kind=FaultKind.ANSWER, status=200, headers={"DPoP-Nonce": 'a"b'})
    server.misbehave("me", odd)
    assert get(f"{server.issuer}/me") == 200
    before = server.counts["me"]
    assert get(f"{server.issuer}/me") == 200
    assert server.counts["me"] == before + 1


def test_a_redirect_to_another_origin_carries_neither_token_nor_proof(
    resources: tuple[Resource, Resource], get: Callable[[str], int]
) -> None:
    """A proof names an address that the other server is not to learn."""
    here, other = resources
    here.handler.elsewhere["/"] = f"{other.address}/stolen"

    assert get(f"{here.address}/") == 200
    assert len(here.handler.proofs) == 1
    assert here.handler.proofs[0]
    assert (other.tokens, other.handler.proofs) == ([None], [None])


def test_the_nonce_of_another_origin_is_not_taken(
    resources: tuple[Resource, Resource], get: Callable[[str], int]
) -> None:
    """A server that a redirect led to cannot choose what stands in later proofs for the first one."""
    here, other = resources
    here.handler.elsewhere["/"] = f"{other.address}/stolen"
    other.handler.challenges["/stolen"] = (401, 'DPoP error="use_dpop_nonce"')

    assert get(f"{here.address}/") == 401
    assert len(other.tokens) == 1


def test_a_redirect_within_the_origin_is_proved_for_its_own_address(
    server: AuthorizationServer, get: Callable[[str], int]
) -> None:
    """A proof holds for one address, so the request at the end of a redirect gets one of its own."""
    server.misbehave(
        "me", Fault(kind=FaultKind.ANSWER, status=307, headers={"Location": "/me?again"})
    )

    assert get(f"{server.issuer}/me") == 200


def test_headers_for_any_other_library(server: AuthorizationServer, service: OAuthService) -> None:
    """`request_headers` gives what one request needs."""
    url = f"{server.issuer}/me"
    headers = service.request_headers("acme", "GET", url, nonce=server.state.nonce).value
    assert set(headers) == {"Authorization", "DPoP"}
    assert requests.get(url, headers=headers, timeout=10).status_code == 200
    assert isinstance(service.ensure_valid_token("acme"), Success)
    assert not isinstance(service.get_bearer_token("acme"), Success)
