"""Refreshing: read again under the lease, adopt what is newer, never wipe."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.errors import (
    NetworkError,
    ProviderError,
    StayfastError,
    TokenRefreshFailed,
)
from stayfast.engine.hints import Hint
from stayfast.engine.ports import HttpRequest, HttpResponse, Lease
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def expired(server: AuthorizationServer, storage: MemoryStorage) -> Login:
    """A login whose token is within the buffer from its first second."""
    server.change(token_lifetime=0.001)
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    server.change(token_lifetime=3600)
    return login


class SlowLease:
    """A storage in which another process refreshes while this one waits for its lease."""

    def __init__(self, behind: MemoryStorage, meanwhile: Any) -> None:
        self._behind = behind
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    @contextmanager
    def lease(self, login_id: str, **how: Any) -> Generator[Lease]:
        self._meanwhile()
        with self._behind.lease(login_id, **how) as lease:
            yield lease


def test_a_refresh_that_happened_while_waiting_is_used(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """Who gets the lease second reads again, and finds the work done."""
    first: list[Login] = []

    def meanwhile() -> None:
        other = conductor_over(storage).refresh
        first.append(other.valid(expired.provider, expired.account))

    waited = conductor_over(SlowLease(storage, meanwhile)).refresh
    found = waited.valid(expired.provider, expired.account)
    assert found == first[0]
    assert server.counts["token:refresh_token"] == 1


def test_a_newer_login_that_came_while_waiting_is_used(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """When the user signs in anew meanwhile, the new login's token is the answer."""

    def meanwhile() -> None:
        newer.append(conductor_over(storage).sign_in(server.config(), InstantTransport(approve)))

    newer: list[Login] = []
    waited = conductor_over(SlowLease(storage, meanwhile)).refresh
    assert waited.valid(expired.provider, expired.account).id == newer[0].id
    assert server.counts["token:refresh_token"] == 0


class Superseding(RequestsHttp):
    """While the refresh token is with the provider, the user signs in anew."""

    def __init__(self, meanwhile: Any) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def send(self, request: HttpRequest) -> HttpResponse:
        response = super().send(request)
        if b"grant_type=refresh_token" in request.body:
            self._meanwhile()
        return response


@pytest.mark.parametrize("refused", [False, True])
def test_nothing_newer_is_wiped_by_a_late_answer(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login, *, refused: bool
) -> None:
    """A refresh that ends after a newer login was saved leaves that login alone and returns it."""
    newer: list[Login] = []

    def meanwhile() -> None:
        newer.append(conductor_over(storage).sign_in(server.config(), InstantTransport(approve)))

    if refused:
        server.state.revoke_family(server.state.tokens[-1].family)
    late = conductor_over(storage, http=Superseding(meanwhile)).refresh
    found = late.valid(expired.provider, expired.account)
    assert found.id == newer[0].id
    assert storage.read(found.id) == newer[0]
    old = storage.read(expired.id)
    assert old is not None
    assert (old.state, old.reason) == (State.IDLE, "newer_login")


def test_a_refusal_is_remembered_until_the_user_insists(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """After a refusal the provider is not asked again, unless the user forces it."""
    server.state.revoke_family(server.state.tokens[-1].family)
    refresh = conductor_over(storage).refresh
    for _ in range(2):
        with pytest.raises(TokenRefreshFailed):
            refresh.valid(expired.provider, expired.account)
    assert server.counts["token:refresh_token"] == 1
    with pytest.raises(TokenRefreshFailed):
        refresh.valid(expired.provider, expired.account, force=True)
    assert server.counts["token:refresh_token"] == 2


def test_an_error_about_the_client_does_not_cost_the_token(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """invalid_client is about us: the refresh token is kept, and works when we are right again."""
    wrong = Fault(kind=FaultKind.ERROR, status=401, members={"error": "invalid_client"})
    server.misbehave("token", wrong)
    refresh = conductor_over(storage).refresh
    with pytest.raises(ProviderError) as caught:
        refresh.valid(expired.provider, expired.account)
    assert caught.value.hint == Hint("provider edit", expired.provider, "--client-id", "ID")
    kept = storage.read(expired.id)
    assert kept is not None
    assert (kept.state, kept.oauth_error) == (State.EXPIRED, "invalid_client")
    assert refresh.valid(expired.provider, expired.account).state is State.AUTHENTICATED


def test_an_answer_without_a_refresh_token_keeps_the_old_one(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """A refresh that brings no new refresh token leaves the one there is."""
    server.change(rotate=False)
    without = Fault(kind=FaultKind.MEMBERS, members={"refresh_token": None})
    server.misbehave("token", without)
    fresh = conductor_over(storage).refresh.valid(expired.provider, expired.account)
    assert fresh.tokens is not None
    assert expired.tokens is not None
    assert fresh.tokens.refresh_token == expired.tokens.refresh_token
    assert fresh.tokens.access_token != expired.tokens.access_token


def test_a_busy_provider_postpones(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login
) -> None:
    """503 leaves everything as good as it was, and says why."""
    server.misbehave("token", Fault(kind=FaultKind.BUSY_503))
    with pytest.raises(NetworkError):
        conductor_over(storage).refresh.valid(expired.provider, expired.account)
    kept = storage.read(expired.id)
    assert kept is not None
    assert (kept.state, kept.reason) == (State.EXPIRED, "provider_busy")


def test_a_short_lived_token_is_used_for_half_its_life(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """A token that lives no longer than the buffer is not refreshed at every use."""
    server.change(token_lifetime=60)
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    refresh = conductor_over(storage).refresh
    assert all(refresh.valid(login.provider, login.account) == login for _ in range(3))
    assert refresh.observe(login) == login
    assert server.counts["token:refresh_token"] == 0


@pytest.mark.parametrize(
    "code", ["invalid_grant", "invalid_scope", "invalid_target", "invalid_client", "anything_else"]
)
def test_a_valid_token_is_handed_out_whatever_the_refresh_said(
    server: AuthorizationServer, storage: MemoryStorage, code: str
) -> None:
    """After a forced refresh was refused, the access token serves until its end."""
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    server.misbehave("token", Fault(kind=FaultKind.ERROR, status=400, members={"error": code}))
    refresh = conductor_over(storage).refresh
    with pytest.raises((NetworkError, ProviderError, TokenRefreshFailed)):
        refresh.valid(login.provider, login.account, force=True)
    assert refresh.valid(login.provider, login.account).tokens == login.tokens
    assert server.counts["token:refresh_token"] == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"status": 401, "error": "Unauthorized", "path": "/token"}),
        (404, {"error": {"code": "DEPLOYMENT_NOT_FOUND"}}),
        (400, {"error": "ThrottlingException"}),
        (403, {"error": "quota_exceeded"}),
        (403, {"error": "access is blocked by the proxy"}),
    ],
)
def test_a_word_that_nobody_knows_ends_no_login(
    server: AuthorizationServer, expired: Login, storage: MemoryStorage, status: int, body: Any
) -> None:
    """However often a gateway says so, the refresh token is sent again when the provider is well."""
    refresh = conductor_over(storage).refresh
    for _ in range(3):
        server.misbehave("token", Fault(kind=FaultKind.ERROR, status=status, members=body))
        with pytest.raises(NetworkError):
            refresh.valid(expired.provider, expired.account)
    assert refresh.valid(expired.provider, expired.account).state is State.AUTHENTICATED


@pytest.mark.parametrize(
    "code", ["unauthorized_client", "incorrect_client_credentials", "bad_client_secret"]
)
def test_a_client_that_is_refused_costs_no_refresh_token_at_once(
    server: AuthorizationServer, expired: Login, storage: MemoryStorage, code: str
) -> None:
    """In whatever words: after the secret was put right the login goes on."""
    refresh = conductor_over(storage).refresh
    server.misbehave("token", Fault(kind=FaultKind.ERROR, status=401, members={"error": code}))
    with pytest.raises(ProviderError):
        refresh.valid(expired.provider, expired.account)
    assert refresh.valid(expired.provider, expired.account).state is State.AUTHENTICATED


@pytest.mark.parametrize("code", ["invalid_scope", "invalid_target"])
def test_what_was_asked_for_costs_no_refresh_token(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login, code: str
) -> None:
    """An error about the request leaves the refresh token good, however often it comes."""
    refresh = conductor_over(storage).refresh
    for _ in range(3):
        server.misbehave("token", Fault(kind=FaultKind.ERROR, status=400, members={"error": code}))
        with pytest.raises(ProviderError) as refused:
            refresh.valid(expired.provider, expired.account)
        assert refused.value.hint == Hint("provider show", expired.provider)
    assert refresh.valid(expired.provider, expired.account).state is State.AUTHENTICATED


def test_a_rejected_token_is_refreshed_once_by_all_who_report_it(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """Who reports a token that is not the stored one any more gets the stored one."""
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    assert login.tokens is not None
    refresh = conductor_over(storage).refresh
    found = {
        refresh.valid(
            login.provider, login.account, force=True, rejected=login.tokens.access_token
        ).version
        for _ in range(3)
    }
    assert len(found) == 1
    assert server.counts["token:refresh_token"] == 1


def answers(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> RequestsHttp:
    """A network on which every refresh is answered so."""

    class Answering(RequestsHttp):
        def send(self, request: HttpRequest) -> HttpResponse:
            asked.extend([request] if request.method == "POST" else [])
            return HttpResponse(
                status=status, headers=headers or {}, body=body, received_at=time.time()
            )

    asked: list[HttpRequest] = []
    http = Answering()
    http.asked = asked  # type: ignore[attr-defined]
    return http


@pytest.mark.parametrize("wait", ["600", "Thu, 26 Nov 2099 10:00:00 GMT", "9" * 400])
@pytest.mark.parametrize("status", [429, 503])
def test_a_provider_that_asks_to_wait_is_not_asked_again(
    storage: MemoryStorage, expired: Login, status: int, wait: str
) -> None:
    """Retry-After is kept with the login, and later calls are answered from it, for an hour at most."""
    http: Any = answers(status, {"retry-after": wait})
    for _ in range(3):
        with pytest.raises(NetworkError):
            conductor_over(storage, http=http).refresh.valid(expired.provider, expired.account)
    assert len(http.asked) == 1
    kept = storage.read(expired.id)
    assert kept is not None
    assert kept.setback is not None
    assert kept.setback.retry_at is not None
    assert kept.setback.retry_at <= time.time() + 3600


@pytest.mark.parametrize("wait", ["", "0", "-5", "soon", "Thu, 26 Nov 2015 10:00:00 GMT"])
def test_a_wait_that_is_none_is_ignored(storage: MemoryStorage, expired: Login, wait: str) -> None:
    """A Retry-After that cannot be read, or lies in the past, keeps nobody waiting."""
    http: Any = answers(503, {"retry-after": wait})
    for _ in range(2):
        with pytest.raises(NetworkError):
            conductor_over(storage, http=http).refresh.valid(expired.provider, expired.account)
    assert len(http.asked) == 2


def test_one_refused_try_serves_all_who_wait(storage: MemoryStorage, expired: Login) -> None:
    """A process that waited while another got a 503 sends no request of its own."""
    http: Any = answers(503)

    def meanwhile() -> None:
        with pytest.raises(NetworkError):
            conductor_over(storage, http=http).refresh.valid(expired.provider, expired.account)

    waited = conductor_over(SlowLease(storage, meanwhile), http=http).refresh
    with pytest.raises(NetworkError):
        waited.valid(expired.provider, expired.account)
    assert len(http.asked) == 1


@pytest.mark.parametrize("code", ["invalid_request", "invalid_client"])
def test_a_dead_token_that_is_said_otherwise_needs_a_new_login(
    storage: MemoryStorage, expired: Login, code: str
) -> None:
    """From the second such answer in a row the refresh token is given up, and the hint says login."""
    http: Any = answers(400, body=b'{"error": "%s"}' % code.encode())
    refresh = conductor_over(storage, http=http).refresh
    with pytest.raises(ProviderError):
        refresh.valid(expired.provider, expired.account)
    for _ in range(2):
        with pytest.raises(TokenRefreshFailed) as failed:
            refresh.valid(expired.provider, expired.account)
        assert failed.value.hint == f"stayfast login {expired.provider}"
    assert len(http.asked) == 2


def test_empty_refusals_postpone_and_name_the_way_out(
    storage: MemoryStorage, expired: Login
) -> None:
    """An empty 400 gives nothing up; from the second in a row a new sign-in is the hint."""
    refresh = conductor_over(storage, http=answers(400)).refresh
    hints: list[str | None] = []
    for _ in range(2):
        with pytest.raises(NetworkError) as postponed:
            refresh.valid(expired.provider, expired.account)
        hints.append(postponed.value.hint)
    assert [hint == f"stayfast login {expired.provider}" for hint in hints] == [False, True]


def test_an_empty_400_refuses_where_the_provider_declares_it(
    server: AuthorizationServer, storage: MemoryStorage
) -> None:
    """Glewlwyd refuses a refresh token in this way; its entry says so, and a new login is needed."""
    server.change(token_lifetime=0.001)
    config = server.config(empty_400_refuses=True)
    login = conductor_over(storage).sign_in(config, InstantTransport(approve))
    with pytest.raises(TokenRefreshFailed):
        conductor_over(storage, http=answers(400)).refresh.valid(login.provider, login.account)
    refused = storage.read(login.id)
    assert refused is not None
    assert (refused.state, refused.reason) == (State.REFRESH_FAILED, "refresh_refused")


@pytest.mark.parametrize("between", [b"", b"<html>"])
def test_trouble_does_not_restart_the_count_of_doubts(
    storage: MemoryStorage, expired: Login, between: bytes
) -> None:
    """Between two answers that may mean a dead token, an answer of another kind says nothing."""
    said = b'{"error": "invalid_request"}'
    kinds = [(said, ProviderError), (between, NetworkError), (said, TokenRefreshFailed)]
    for body, kind in kinds:
        http = Fixed(400 if body is said else 503, body)
        with pytest.raises(kind):
            conductor_over(storage, http=http).refresh.valid(expired.provider, expired.account)


class Fixed(RequestsHttp):
    """A provider with one answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self._answer = (status, body)

    def send(self, request: HttpRequest) -> HttpResponse:
        status, body = self._answer
        return HttpResponse(status=status, headers={}, body=body, received_at=time.time())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "invalid_scope"}', ProviderError),
        (400, b'{"error": "invalid_client"}', ProviderError),
        (400, b'{"error": "invalid_grant"}', TokenRefreshFailed),
        (503, b"", NetworkError),
        (200, b"access_token: x", NetworkError),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_who_waited_gets_the_same_error(
    storage: MemoryStorage,
    expired: Login,
    status: int,
    body: bytes,
    kind: type[StayfastError],
    *,
    force: bool,
) -> None:
    """A caller that waited for another process's refresh sends none, and is told the same."""
    first: list[StayfastError] = []

    def meanwhile() -> None:
        if not first:
            other = conductor_over(storage, http=Fixed(status, body)).refresh
            with pytest.raises(kind) as failed:
                other.valid(expired.provider, expired.account, force=force)
            first.append(failed.value)

    waited = conductor_over(SlowLease(storage, meanwhile), http=Unanswering(sent=True)).refresh
    with pytest.raises(kind) as same:
        waited.valid(expired.provider, expired.account, force=force)
    told, heard = first[0], same.value
    assert (heard.message, heard.hint) == (told.message, told.hint)
    assert getattr(heard, "oauth_error", None) == getattr(told, "oauth_error", None)


class Unanswering(RequestsHttp):
    """A network that loses every answer."""

    def __init__(self, *, sent: bool) -> None:
        super().__init__()
        self._sent = sent

    def send(self, request: HttpRequest) -> HttpResponse:
        error = NetworkError("lost")
        error.sent = self._sent
        raise error


@pytest.mark.parametrize(
    ("sent", "reason"), [(True, "outcome_unknown"), (False, "refresh_refused")]
)
def test_a_lost_answer_stays_unknown(
    server: AuthorizationServer, storage: MemoryStorage, expired: Login, *, sent: bool, reason: str
) -> None:
    """A refusal after an answer that was lost says so; where nothing was sent, nothing was lost."""
    for _ in range(2):
        with pytest.raises(NetworkError):
            conductor_over(storage, http=Unanswering(sent=sent)).refresh.valid(
                expired.provider, expired.account
            )
    server.state.revoke_family(server.state.tokens[-1].family)
    with pytest.raises(TokenRefreshFailed):
        conductor_over(storage).refresh.valid(expired.provider, expired.account)
    kept = storage.read(expired.id)
    assert kept is not None
    assert kept.reason == reason
