"""The service for asyncio: a free loop, nothing lost by cancellation or a kill, one implementation."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import httpx
import pytest
from stayfast import (
    AsyncOAuthService,
    AuthStatus,
    ErrorCode,
    Failure,
    MemoryStorage,
    OAuthService,
    Success,
)
from stayfast.engine.ports import HttpRequest, HttpResponse, Notice
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.http import RequestsHttp
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer

PATIENCE = 180.0


class Gate(RequestsHttp):
    """Holds every refresh back until a test lets it through."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.opened = threading.Event()

    def send(self, request: HttpRequest) -> HttpResponse:
        if b"grant_type=refresh_token" in request.body:
            self.reached.set()
            assert self.opened.wait(PATIENCE), "nobody opened the gate: the loop was not free"
        return super().send(request)


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def service(server: AuthorizationServer, gate: Gate) -> OAuthService:
    """A service whose user is signed in."""
    catalogue = Catalogue(providers={"acme": server.config(service_name="acme")}, environ={})
    service = OAuthService(assembly=Assembly(MemoryStorage(), catalogue, http=gate))
    started = service.begin("acme").value
    callback = user_agent.fetch_only(started.address)
    assert isinstance(service.complete(callback, login_id=started.login.id), Success)
    return service


def token(service: OAuthService) -> str:
    tokens = service.get_tokens("acme").value
    return str(tokens.access_token)


async def ticks(gate: Gate) -> None:
    """Turn the loop a hundred times once the refresh is on its way, then let it through."""
    assert await asyncio.to_thread(gate.reached.wait, PATIENCE)
    for _ in range(100):
        await asyncio.sleep(0)
    gate.opened.set()


def test_every_call_of_the_service_can_be_awaited() -> None:
    """No call is missing, and each has the arguments and the words of the one it stands for."""
    own_objects = {"auth", "assembly", "words", "at_hand"}
    for name, method in inspect.getmembers(OAuthService):
        if name.startswith("_") or name in own_objects:
            continue
        awaited = getattr(AsyncOAuthService, name)
        assert inspect.signature(awaited).parameters.keys() == (
            inspect.signature(method).parameters.keys()
        )
        if name != "httpx_auth":
            assert inspect.iscoroutinefunction(awaited)
            assert inspect.getdoc(awaited) == inspect.getdoc(method)


def test_the_loop_is_free_while_a_refresh_waits(gate: Gate, service: OAuthService) -> None:
    """The loop turns while a refresh waits for the provider, however many await it."""

    async def main() -> list[Any]:
        async with AsyncOAuthService(service) as awaited:
            refreshes = [awaited.refresh_tokens("acme", rejected=token(service)) for _ in range(40)]
            *results, _ = await asyncio.gather(*refreshes, ticks(gate))
            return results

    results = asyncio.run(main())

    assert len({result.value.access_token for result in results}) == 1


@pytest.mark.parametrize("by", ["service", "httpx"])
def test_a_cancelled_refresh_loses_no_tokens(
    gate: Gate, server: AuthorizationServer, service: OAuthService, by: str
) -> None:
    """The task ends at once; the refresh it began is finished, and its tokens are there."""
    before = token(service)
    server.state.tokens[-1].expires_in = 0  # the resource refuses it from now on

    async def main() -> None:
        awaited = AsyncOAuthService(service)
        async with httpx.AsyncClient(auth=awaited.httpx_auth("acme"), trust_env=False) as client:
            calls = {
                "service": lambda: awaited.refresh_tokens("acme"),
                "httpx": lambda: client.get(f"{server.issuer}/me"),
            }
            task = asyncio.ensure_future(calls[by]())
            assert await asyncio.to_thread(gate.reached.wait, PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not gate.opened.is_set()
            gate.opened.set()
            again = await awaited.refresh_tokens("acme", rejected=before)
            assert again.value.access_token == token(service) != before
            await awaited.aclose()

    asyncio.run(main())

    assert server.counts["token:refresh_token"] == 1
    assert server.counts["refresh_reuse"] == 0


def test_a_call_that_no_thread_has_begun_is_not_made(
    gate: Gate, server: AuthorizationServer, service: OAuthService
) -> None:
    """Cancelled while all threads are busy, a call never happens."""

    async def main() -> AuthStatus:
        async with AsyncOAuthService(service, threads=1) as awaited:
            refresh = asyncio.ensure_future(awaited.refresh_tokens("acme"))
            assert await asyncio.to_thread(gate.reached.wait, PATIENCE)
            logout = asyncio.ensure_future(awaited.logout("acme"))
            await asyncio.sleep(0)
            logout.cancel()
            gate.opened.set()
            assert isinstance(await refresh, Success)
            status = await awaited.get_status("acme")
            assert isinstance(status, Success)
            return status.value

    assert asyncio.run(main()) is AuthStatus.AUTHENTICATED


class Hesitant:
    """A user whose browser shows the page, and who answers when asked to."""

    def __init__(self) -> None:
        self.addresses: Queue[str] = Queue()

    def open(self, url: str) -> str | None:
        self.addresses.put(url)
        return None

    def show(self, notice: Notice) -> None:
        """Read nothing."""


def test_a_user_who_hesitates_keeps_no_token_waiting(service: OAuthService) -> None:
    """A call that waits for a user has a thread of its own: others go on, even with one thread."""
    user = Hesitant()
    service = OAuthService(assembly=service.assembly, browser=user, conversation=user)

    async def main() -> None:
        async with AsyncOAuthService(service, threads=1) as awaited:
            login = asyncio.ensure_future(awaited.authenticate("acme", account="slow"))
            address = await asyncio.to_thread(user.addresses.get, timeout=PATIENCE)
            assert isinstance(await awaited.get_bearer_token("acme"), Success)
            assert not login.done()
            await asyncio.to_thread(user_agent.approve, address)
            assert isinstance(await login, Success)

    asyncio.run(main())


@pytest.mark.parametrize("by", ["task", "token"])
def test_a_login_ends_with_the_task_that_awaits_it(service: OAuthService, by: str) -> None:
    """Nobody waits for its user any more: the thread ends, and no login stays behind."""
    user = Hesitant()
    service = OAuthService(assembly=service.assembly, browser=user, conversation=user)
    own = threading.Event()

    async def main() -> None:
        awaited = AsyncOAuthService(service)
        login = asyncio.ensure_future(awaited.authenticate("acme", account="slow", cancel=own))
        await asyncio.to_thread(user.addresses.get, timeout=PATIENCE)
        if by == "token":
            own.set()
            assert (await login).code is ErrorCode.AUTH_CANCELLED
            return
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login

    asyncio.run(main())

    for thread in threading.enumerate():
        if thread.name == "stayfast-login":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert service.assembly.open_logins() == []
    assert isinstance(service.get_bearer_token("acme"), Success), "other logins are untouched"


def test_failures_are_values(service: OAuthService) -> None:
    """What fails answers as it does without `await`."""

    async def main() -> Any:
        async with AsyncOAuthService(service) as awaited:
            return await awaited.get_status("nobody")

    failure = asyncio.run(main())
    assert isinstance(failure, Failure)
    assert failure.code is ErrorCode.NOT_FOUND


def test_two_loops_share_a_service(service: OAuthService) -> None:
    """One event loop after the other can use it."""
    awaited = AsyncOAuthService(service)

    async def main() -> Any:
        return await awaited.get_bearer_token("acme")

    assert asyncio.run(main()) == asyncio.run(main())
    asyncio.run(awaited.aclose())


def test_a_token_in_memory_needs_no_thread(service: OAuthService) -> None:
    """A call is answered at once where memory has the token, even if all threads are busy."""
    assert service.get_bearer_token("acme") == service.get_bearer_token("acme")

    async def main() -> tuple[object, int]:
        async with AsyncOAuthService(service, threads=1) as awaited:
            free = threading.Event()
            awaited.threads.submit(free.wait, PATIENCE)
            found = await awaited.get_bearer_token("acme")
            transport = httpx.MockTransport(
                lambda request: httpx.Response(200 if request.headers["Authorization"] else 401)
            )
            async with httpx.AsyncClient(transport=transport) as client:
                auth = awaited.httpx_auth("acme")
                answer = await client.get("https://api.acme.example/", auth=auth)
            free.set()
            return found, answer.status_code

    assert asyncio.run(main()) == (Success(token(service)), 200)
