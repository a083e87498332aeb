"""The auth object and the token storage for programs that use the ``mcp`` package."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import anyio
import pytest
from stayfast import AuthRequired, MemoryStorage, OAuthService, StayfastError, Success
from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.table import Trigger
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.host import SystemClock, origin
from stayfast.testing.authorization_server import AuthorizationServer, Settings
from stayfast.testing.resource_server import ResourceServer
from stayfast.testing.user_agent import UserAgent

pytest.importorskip("mcp.client.auth")

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from stayfast.interfaces.auth import mcp as of_package

library: Any = __import__(OAuthClientProvider.__mro__[-2].__module__.partition(".")[0])


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer(Settings(registration=True)) as running:
        yield running


@pytest.fixture
def resource(server: AuthorizationServer) -> Iterator[ResourceServer]:
    with ResourceServer(server, scopes=("mcp:read",)) as running:
        yield running


def service_over(storage: MemoryStorage) -> OAuthService:
    assembly = Assembly(storage, Catalogue(environ={}), environ={"STAYFAST_COURIER": "inline"})
    return OAuthService(assembly=assembly)


def approving(service: OAuthService, seen: list[str | None]) -> Any:
    def sign_in(address: str, challenge: str | None, account: str) -> Any:
        seen.append(challenge)
        begun = service.begin(address, challenge=challenge, account=account, replace=True)
        return service.complete(UserAgent().walk(begun.value.address, approve=True))

    return sign_in


def post(auth: Any, address: str) -> Any:
    with library.Client(auth=auth, trust_env=False, timeout=30) as client:
        return client.post(address, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})


def test_a_request_signs_in_once_and_then_carries_the_token(server, resource):
    """The first request has no login; the second has."""
    seen: list[str | None] = []
    service = service_over(MemoryStorage())
    auth = of_package.McpAuth(service, resource.address, sign_in=approving(service, seen))
    assert post(auth, resource.address).status_code == 200
    assert post(auth, resource.address).status_code == 200
    assert seen == [None]
    assert resource.counts["accepted"] == 2


def test_two_agents_share_one_refresh(server, resource):
    """Both find their token refused at the same time; the server sees one refresh."""
    storage = MemoryStorage()
    first = service_over(storage)
    auth = of_package.McpAuth(first, resource.address, sign_in=approving(first, []))
    assert post(auth, resource.address).status_code == 200
    for issued in server.state.tokens:
        issued.expires_in = -1
    agents = [of_package.McpAuth(service_over(storage), resource.address) for _ in range(2)] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda agent: post(agent, resource.address), agents))
    assert [one.status_code for one in answers] == [200] * 8
    assert server.counts["token:refresh_token"] == 1


def test_a_step_up_asks_for_all_that_was_asked_before_and_more(server, resource):
    """One more sign-in, with the union of the scopes; the request then goes on by itself."""
    seen: list[str | None] = []
    service = service_over(MemoryStorage())
    auth = of_package.McpAuth(service, resource.address, sign_in=approving(service, seen))
    assert post(auth, resource.address).status_code == 200
    resource.scopes = ("mcp:write",)
    assert post(auth, resource.address).status_code == 200
    assert len(seen) == 2
    login = service.assembly.resource_logins.login(resource.address)
    assert set(login.config.scopes) == {"mcp:read", "mcp:write"}


def test_a_stronger_sign_in_is_asked_for_as_the_resource_says(server, resource):
    """``acr_values`` and ``max_age`` of the challenge stand in the authorization request (RFC 9470)."""
    service = service_over(MemoryStorage())
    challenge = (
        'Bearer error="insufficient_user_authentication", acr_values="urn:gold", max_age="5"'
    )
    begun = service.begin(resource.address, challenge=challenge).value
    assert "acr_values=urn%3Agold" in begun.address
    assert "max_age=5" in begun.address


def test_a_resource_that_never_has_enough_ends_with_an_error(server, resource):
    """Two more sign-ins, then a clear end, whatever it asks for next."""
    seen: list[str | None] = []
    service = service_over(MemoryStorage())
    auth = of_package.McpAuth(service, resource.address, sign_in=approving(service, seen))
    resource.stronger = 'Bearer error="insufficient_scope", scope="always-more"'
    for _ in range(2):
        with pytest.raises(AuthRequired, match="asks for more"):
            post(auth, resource.address)
    assert len(seen) == of_package.MOST_SIGN_INS


def test_without_a_way_to_sign_in_the_error_says_what_to_run(server, resource):
    """The hint is the command, with the challenge."""
    service = service_over(MemoryStorage())
    with pytest.raises(AuthRequired) as refused:
        post(of_package.McpAuth(service, resource.address), resource.address)
    assert refused.value.hint is not None
    assert resource.counts["accepted"] == 0


def test_the_token_goes_to_the_resource_alone(server, resource):
    """A redirect or another address of the client gets a request without it."""
    service = service_over(MemoryStorage())
    auth = of_package.McpAuth(service, resource.address, sign_in=approving(service, []))
    assert post(auth, resource.address).status_code == 200
    with ResourceServer(server, scopes=("mcp:read",)) as other:
        assert post(auth, other.address).status_code == 401
        assert other.counts["refused"] == 1


def test_the_packages_own_provider_gets_a_good_token_and_no_refresh_token(server, resource):
    """So two of its providers cannot use one refresh token twice."""
    service = service_over(MemoryStorage())
    storage = of_package.McpTokenStorage(service, resource.address)
    assert anyio.run(storage.get_tokens) is None
    post(
        of_package.McpAuth(service, resource.address, sign_in=approving(service, [])),
        resource.address,
    )
    given = anyio.run(storage.get_tokens)
    assert given is not None
    assert given.refresh_token is None
    assert server.state.by_access_token(given.access_token) is not None
    client = anyio.run(storage.get_client_info)
    assert client is not None
    assert (
        client.client_id
        == service.assembly.resource_logins.login(resource.address).config.client_id
    )


def expire(storage: MemoryStorage, address: str, server: AuthorizationServer) -> None:
    """Let the token of the login end, here and at the server."""
    login = service_over(storage).assembly.resource_logins.login(address)
    assert login is not None
    assert login.tokens is not None
    older = replace(login.tokens, issued_at=login.tokens.issued_at - 7200)
    Ledger(storage, SystemClock(), origin()).advance(login, Trigger.EXPIRE, tokens=older)
    for issued in server.state.tokens:
        issued.expires_in = -1


@pytest.mark.parametrize("lives_on", [True, False])
def test_agents_with_the_packages_own_client_share_one_refresh(server, resource, lives_on):
    """Whether each is made anew for the request, or has had a token that has ended since."""
    storage, address = MemoryStorage(), resource.address
    first = service_over(storage)
    post(of_package.McpAuth(first, address, sign_in=approving(first, [])), address)
    kind = of_package.McpProvider if lives_on else OAuthClientProvider
    about = OAuthClientMetadata.model_validate({"redirect_uris": ["http://127.0.0.1/callback"]})

    def agent() -> Any:
        kept = of_package.McpTokenStorage(service_over(storage), address)
        return kind(address, about, kept, None, None)  # nobody is asked

    async def ask(agents: list[Any]) -> list[int]:
        statuses: list[int] = []

        async def one(auth: Any) -> None:
            async with library.AsyncClient(auth=auth, trust_env=False, timeout=30) as client:
                answer = await client.post(
                    address, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}
                )
                statuses.append(answer.status_code)

        async with anyio.create_task_group() as group:
            for auth in agents:
                group.start_soon(one, auth)
        return statuses

    async def story() -> list[int]:
        agents = [agent() for _ in range(4)]
        before = await ask(agents)
        expire(storage, address, server)
        return before + await ask(agents if lives_on else [agent() for _ in range(4)])

    assert anyio.run(story) == [200] * 8
    assert server.counts["token:refresh_token"] == 1
    assert server.counts["authorize"] == 2  # the page of the one sign-in, and its button


def test_what_the_package_obtains_is_kept_sealed(server, resource):
    """Its registration has its place, and its tokens are a login that is refreshed here."""
    service = service_over(MemoryStorage())
    storage = of_package.McpTokenStorage(service, resource.address)
    info = OAuthClientInformationFull.model_validate(
        {"client_id": "stayfast-demo", "redirect_uris": ["http://127.0.0.1/callback"]}
    )
    anyio.run(storage.set_client_info, info)
    assert anyio.run(storage.get_client_info) == info
    package = service_over(MemoryStorage())
    begun = package.begin(resource.address, client_id="stayfast-demo").value
    tokens = package.complete(UserAgent().walk(begun.address, approve=True)).value
    obtained = OAuthToken(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=3600,
        scope="mcp:read",
    )
    anyio.run(storage.set_tokens, obtained)
    kept = anyio.run(storage.get_tokens)
    assert kept is not None
    assert kept.access_token == tokens.access_token
    refreshed = service.refresh_tokens(resource.address, rejected=kept.access_token)
    assert isinstance(refreshed, Success), refreshed
    fresh = refreshed.value
    given = anyio.run(storage.get_tokens)
    assert given is not None
    assert given.access_token == fresh.access_token != tokens.access_token
    assert server.counts["token:refresh_token"] == 1


def test_a_failing_sign_in_is_the_requests_error(server, resource):
    """Nothing hangs, and nothing is sent without a token."""
    service = service_over(MemoryStorage())

    def declined(address: str, challenge: str | None, account: str) -> Any:
        return service.complete("https://nowhere.example/?code=x&state=y")

    with pytest.raises(StayfastError):
        post(of_package.McpAuth(service, resource.address, sign_in=declined), resource.address)
    assert resource.counts["accepted"] == 0
