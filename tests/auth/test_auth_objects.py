"""Auth objects for requests and httpx: which request gets a token, which token, and how often it is renewed."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import pytest
import requests
from anyio.from_thread import start_blocking_portal
from plain_resource import Resource
from stayfast import (
    AuthRequired,
    ConfigInvalid,
    MemoryStorage,
    NetworkError,
    OAuthService,
    Success,
    TokenRefreshFailed,
)
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.auth.bearer import AllowedHost, Origin
from stayfast.interfaces.catalogue import Catalogue
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage.migrating import import_tokens
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

LIFETIME = 5.0


class Hands:
    """A clock whose hands a test moves; the server and the program read the same one."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def server(hands: Hands) -> Iterator[AuthorizationServer]:
    with AuthorizationServer(now=hands.now) as running:
        running.change(token_lifetime=LIFETIME)
        yield running


@pytest.fixture
def service(server: AuthorizationServer, hands: Hands) -> OAuthService:
    """A service whose user is signed in."""
    catalogue = Catalogue(providers={"acme": server.config(service_name="acme")}, environ={})
    http = RequestsHttp(clock=hands)
    service = OAuthService(assembly=Assembly(MemoryStorage(), catalogue, http=http, clock=hands))
    started = service.begin("acme").value
    callback = user_agent.fetch_only(started.address)
    assert isinstance(service.complete(callback, login_id=started.login.id), Success)
    return service


class WithRequests:
    """Sends with requests."""

    def __init__(self, service: OAuthService, **how: Any) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = service.auth("acme", **how)

    def __call__(self, url: str, body: Any = None, **how: Any) -> tuple[int, str]:
        method = "POST" if body or how else "GET"
        answer = self._session.request(method, url, data=body, timeout=180, **how)
        return answer.status_code, answer.text

    def close(self) -> None:
        self._session.close()


class WithHttpx:
    """Sends with httpx."""

    def __init__(self, service: OAuthService, **how: Any) -> None:
        self._client = httpx.Client(
            auth=service.httpx_auth("acme", **how),
            trust_env=False,
            follow_redirects=True,
            timeout=180,
        )

    def __call__(self, url: str, body: Any = None, **how: Any) -> tuple[int, str]:
        method = "POST" if body or how else "GET"
        answer = self._client.request(method, url, content=body, **how)
        return answer.status_code, answer.text

    def close(self) -> None:
        self._client.close()


class WithAsyncHttpx:
    """Sends with httpx in an event loop; the threads that call it become its tasks."""

    def __init__(self, service: OAuthService, **how: Any) -> None:
        self._ending = ExitStack()
        self._portal = self._ending.enter_context(start_blocking_portal(self.loop))
        client = httpx.AsyncClient(
            auth=service.httpx_auth("acme", **how),
            trust_env=False,
            follow_redirects=True,
            timeout=180,
        )
        self._client = self._ending.enter_context(self._portal.wrap_async_context_manager(client))

    loop = "asyncio"

    def __call__(self, url: str, body: Any = None, **how: Any) -> tuple[int, str]:
        return self._portal.call(partial(self._call, url, body, **how))

    async def _call(self, url: str, body: Any, **how: Any) -> tuple[int, str]:
        method = "POST" if body or how else "GET"
        answer = await self._client.request(method, url, content=body, **how)
        return answer.status_code, answer.text

    def close(self) -> None:
        self._ending.close()


class WithTrio(WithAsyncHttpx):
    """Likewise, on Trio."""

    loop = "trio"


Program = Callable[..., Any]
every_library = pytest.mark.parametrize(
    "program", [WithRequests, WithHttpx, WithAsyncHttpx, WithTrio], indirect=True
)


@pytest.fixture
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    """A program of the given kind, whose connections end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **how: stack.enter_context(closing(request.param(*args, **how)))


@every_library
def test_a_thousand_calls_over_three_expiries(
    server: AuthorizationServer, service: OAuthService, hands: Hands, program: Program
) -> None:
    """No call of a thousand in 16 threads is refused, and each expiry costs one refresh."""
    call = program(service)
    me = f"{server.issuer}/me"
    statuses: list[int] = []
    with ThreadPoolExecutor(16) as pool:
        for _ in range(4):
            statuses += [status for status, _ in pool.map(call, [me] * 250)]
            hands.sleep(LIFETIME)

    assert statuses == [200] * 1000
    assert server.counts["me"] == 1000, "no call was refused and sent again"
    assert server.counts["token:refresh_token"] == 3


@every_library
def test_a_token_refused_before_its_time_costs_one_refresh(
    server: AuthorizationServer, service: OAuthService, program: Program
) -> None:
    """A token that the server refuses before its time is renewed once for all that were refused."""
    call = program(service)
    server.state.tokens[-1].expires_in = 0
    gate = threading.Barrier(16)

    def at_once(url: str) -> tuple[int, str]:
        gate.wait(60)
        answer: tuple[int, str] = call(url)
        return answer

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(at_once, [f"{server.issuer}/me"] * 16))

    assert {status for status, _ in answers} == {200}
    assert server.counts["token:refresh_token"] == 1
    assert server.counts["refresh_reuse"] == 0


@every_library
def test_a_resource_that_refuses_every_token_costs_one_refresh(
    server: AuthorizationServer, service: OAuthService, program: Program
) -> None:
    """When the fresh token is refused too, the 401 is the program's, and refreshing ends there."""
    server.misbehave("me", Fault(kind=FaultKind.ANSWER, status=401, body=b"no"), times=None)
    call = program(service)

    assert [call(f"{server.issuer}/me") for _ in range(5)] == [(401, "no")] * 5
    assert server.counts["token:refresh_token"] == 1
    assert server.counts["me"] == 6


def test_an_auth_object_for_each_call_costs_one_refresh_too(
    server: AuthorizationServer, service: OAuthService
) -> None:
    """What a server refused is known to every auth object of the service, and not to another's."""
    server.misbehave("me", Fault(kind=FaultKind.ANSWER, status=401, body=b"no"), times=None)
    address = f"{server.issuer}/me"

    answers = [requests.get(address, auth=service.auth("acme"), timeout=5) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert server.counts["token:refresh_token"] == 1


@every_library
def test_without_a_refresh_token_a_401_is_the_program_s(
    server: AuthorizationServer, service: OAuthService, program: Program
) -> None:
    """Nothing can be renewed, so the resource server's own answer arrives."""
    login = service.assembly.conductor.refresh.find("acme", "default")
    assert login.tokens is not None
    import_tokens(service.assembly.storage, login.config, replace(login.tokens, refresh_token=None))
    server.state.tokens[-1].expires_in = 0

    assert program(service)(f"{server.issuer}/me")[0] == 401


@every_library
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"}), TokenRefreshFailed),
        (Fault(kind=FaultKind.BUSY_503), NetworkError),
    ],
)
def test_a_refresh_that_fails_says_so(
    server: AuthorizationServer,
    service: OAuthService,
    program: Program,
    fault: Fault,
    expected: type[Exception],
) -> None:
    """A program learns why it has no token, not only that the resource refused the old one."""
    server.state.tokens[-1].expires_in = 0
    server.misbehave("token", fault, times=None)

    with pytest.raises(expected):
        program(service)(f"{server.issuer}/me")


@every_library
def test_nobody_is_signed_in(
    server: AuthorizationServer, service: OAuthService, program: Program
) -> None:
    """Without a login nothing is sent."""
    service.logout("acme")

    with pytest.raises(AuthRequired) as refused:
        program(service)(f"{server.issuer}/me")
    assert server.counts["me"] == 0
    assert refused.value.__notes__ == [f"hint: {refused.value.hint}"], "a traceback shows it"


# --- bodies ------------------------------------------------------------------------------------------


def present_header(service: OAuthService) -> str:
    return f"Bearer {service.get_tokens('acme').value.access_token}"


def unread(octets: bytes) -> Iterator[bytes]:
    yield octets


async def unread_async(octets: bytes) -> Any:
    yield octets


def file(octets: bytes) -> io.BytesIO:
    return io.BytesIO(octets)


@pytest.mark.parametrize(
    ("program", "body", "twice"),
    [
        (WithRequests, lambda: b"order", True),
        (WithRequests, lambda: file(b"order"), True),
        (WithRequests, lambda: unread(b"order"), False),
        (WithHttpx, lambda: b"order", True),
        (WithHttpx, lambda: unread(b"order"), False),
        (WithHttpx, lambda: file(b"order"), False),
        (WithAsyncHttpx, lambda: b"order", True),
        (WithAsyncHttpx, lambda: unread_async(b"order"), False),
    ],
    indirect=["program"],
)
def test_a_body_that_can_be_read_once_is_sent_once(
    service: OAuthService,
    resources: tuple[Resource, Resource],
    program: Program,
    body: Callable[[], Any],
    *,
    twice: bool,
) -> None:
    """What is sent again is sent whole; what cannot be read again is the program's to send again."""
    resource, _ = resources
    old = present_header(service)
    resource.handler.refused.add(old)
    call = program(service)

    status, _ = call(resource.address, body())

    assert status == (200 if twice else 401)
    assert resource.bodies == [b"order"] * (2 if twice else 1)
    assert call(resource.address, body())[0] == 200, "the next request has the new token"
    assert resource.tokens[-1] == present_header(service) != old


class OnePass(io.BytesIO):
    """A file that can be read once, such as a pipe."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


@every_library
@pytest.mark.parametrize("kind", [io.BytesIO, OnePass, bytes])
def test_a_form_with_files_is_sent_again_whole_or_not_at_all(
    service: OAuthService, resources: tuple[Resource, Resource], program: Program, kind: Any
) -> None:
    """After a 401 the fields and files of a form arrive once more; a pipe's form is not sent again."""
    resource, _ = resources
    resource.handler.refused.add(present_header(service))

    status, _ = program(service)(resource.address, files={"cargo": ("a.txt", kind(b"order"))})

    assert status == 200 or kind is OnePass
    assert len(resource.bodies) == (2 if status == 200 else 1)
    assert len(set(resource.bodies)) == 1
    assert b"order" in resource.bodies[0]


# --- hosts -------------------------------------------------------------------------------------------


@every_library
def test_a_redirect_to_another_host_carries_no_token(
    service: OAuthService, resources: tuple[Resource, Resource], program: Program
) -> None:
    """Neither the redirected request nor its 401 brings the token to another host."""
    here, other = resources
    here.handler.elsewhere["/"] = f"{other.address}/stolen"
    other.handler.refused.add(None)

    assert program(service)(f"{here.address}/")[0] == 401
    assert here.tokens == [present_header(service)]
    assert other.tokens == [None]


@every_library
def test_a_redirect_on_one_host_is_renewed_where_it_was_refused(
    service: OAuthService, resources: tuple[Resource, Resource], program: Program
) -> None:
    """After a redirect only the refused request is sent again, not what was done before it."""
    here, _ = resources
    here.handler.elsewhere["/order"] = "/receipt"
    old = present_header(service)
    here.handler.refused.add(old)

    assert program(service)(f"{here.address}/order", b"order")[0] == 200
    assert [path for path, _, _ in here.handler.seen] == ["/order", "/receipt", "/receipt"]


@every_library
def test_other_hosts_get_no_token(
    service: OAuthService, resources: tuple[Resource, Resource], program: Program
) -> None:
    """An auth object that was made for one host attaches nothing elsewhere, even after a 401."""
    here, other = resources
    other.handler.refused.update({None, "Bearer of-another-program"})
    call = program(service, hosts=[here.address])

    assert call(here.address)[0] == 200
    assert call(other.address)[0] == 401
    assert here.tokens == [present_header(service)]
    assert other.tokens == [None]


def test_a_foreign_token_is_not_replaced_by_ours(
    service: OAuthService, resources: tuple[Resource, Resource]
) -> None:
    """A request to another host with a token of its own keeps it, whatever the host answers."""
    here, other = resources
    foreign = {"Authorization": "Bearer of-another-program"}
    other.handler.refused.add(foreign["Authorization"])
    hosts = [here.address]

    requests.get(
        other.address, headers=foreign, auth=service.auth("acme", hosts=hosts), timeout=180
    )
    with httpx.Client(auth=service.httpx_auth("acme", hosts=hosts), trust_env=False) as client:
        client.get(other.address, headers=foreign)

    assert set(other.tokens) == {foreign["Authorization"]}


@every_library
@pytest.mark.parametrize("hosts", [(), ("api.acme.example",), "api.acme.example other.example"])
def test_plain_http_to_another_machine_is_refused(
    service: OAuthService, program: Program, hosts: Any
) -> None:
    """Nothing is sent, and the error says what to do (RFC 6750 §5.3)."""
    with pytest.raises(ConfigInvalid) as caught:
        program(service, hosts=hosts)("http://api.acme.example/me")

    assert "https" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("named", "address", "covered"),
    [
        ("api.acme.example", "https://api.acme.example/", True),
        ("API.acme.example", "https://api.ACME.example:8443/", True),
        ("api.acme.example:8443", "https://api.acme.example/", False),
        ("https://api.acme.example", "https://api.acme.example:443/", True),
        ("https://api.acme.example/", "https://api.acme.example/", True),
        ("https://api.acme.example", "https://api.acme.example:8443/", False),
        ("https://api.acme.example", "http://api.acme.example:443/", False),
        ("http://api.acme.example", "http://api.acme.example/", True),
        ("acme.example", "https://api.acme.example/", False),
        ("api.acme.example", "https://api.acme.example.evil.example/", False),
        ("api.acme.example", "https://api.acme.example@evil.example/", False),
        ("[::1]:8080", "http://[::1]:8080/", True),
    ],
)
def test_what_a_named_host_covers(named: str, address: str, *, covered: bool) -> None:
    """A name stands for that host alone, a port and a scheme only where they are written."""
    assert AllowedHost.of(named).covers(Origin.of(address)) is covered


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "https://",
        "https://a/path",
        "ftp://a",
        "a@b",
        "a:port",
        "a/b",
        "bücher.example",
        "a?b",
    ],
)
def test_what_is_no_host_is_refused_when_the_object_is_made(
    service: OAuthService, text: str
) -> None:
    """A mistake in `hosts` shows at once, not as a request without a token."""
    for make in (service.auth, service.httpx_auth):
        with pytest.raises(ConfigInvalid):
            make("acme", hosts=[text])


def test_the_token_is_not_in_the_repr(service: OAuthService) -> None:
    """An auth object in a log line says nothing of its token."""
    token = service.get_tokens("acme").value.access_token
    auth = service.auth("acme")
    assert token not in repr(auth) + repr(service.httpx_auth("acme")) + repr(vars(auth))
