"""A lease that another process has taken meanwhile: nothing is sent under it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conductors import conductor_over
from instant import InstantTransport
from stayfast.engine.errors import Fenced, NetworkError, StorageError
from stayfast.engine.ports import HttpRequest, HttpResponse, Lease
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


def approve(address: str) -> list[str]:
    return [user_agent.fetch_only(address)]


class LentStorage(MemoryStorage):
    """Its leases last for as long as ``lasting`` says; then ``error`` is how they end."""

    def __init__(self, error: type[StorageError], lasting: int) -> None:
        super().__init__()
        self.error = error
        self.lasting = lasting
        self.asked = 0

    def lease(self, login_id: str, **named: Any) -> Any:
        return self._lent(login_id, named)

    @contextmanager
    def _lent(self, login_id: str, named: dict[str, Any]) -> Generator[Lease]:
        storage = self

        class Lent(Lease):
            def keep(self) -> None:
                storage.asked += 1
                if storage.asked > storage.lasting:
                    raise storage.error("the lease has ended")

        with super().lease(login_id, **named):
            yield Lent(login_id, 1)


def lost_from(number: int, error: type[StorageError] = Fenced) -> LentStorage:
    return LentStorage(error, number - 1)


@pytest.mark.parametrize("error", [Fenced, StorageError])
def test_no_code_is_sent_under_a_lost_lease(
    server: AuthorizationServer, error: type[StorageError]
) -> None:
    """The code stays saved, for the process that holds the login now."""
    storage = lost_from(2, error)
    before = server.counts["token"]
    with pytest.raises(error):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    assert server.counts["token"] == before
    (waiting,) = storage.summaries()
    assert waiting.state is State.EXCHANGING


def test_no_refresh_token_is_sent_under_a_lost_lease(server: AuthorizationServer) -> None:
    """Of a login that another process goes on with, the refresh token is not sent a second time."""
    storage = lost_from(100)
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    storage.lasting = storage.asked
    before = server.counts["token"]
    with pytest.raises(Fenced):
        conductor_over(storage).refresh.valid(login.provider, login.account, force=True)
    assert server.counts["token"] == before


class DeafHttp(RequestsHttp):
    """No answer of the token endpoint arrives."""

    def send(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/token"):
            super().send(request)
            raise NetworkError("lost")
        return super().send(request)


def test_a_lease_is_made_sure_of_before_each_sending(server: AuthorizationServer) -> None:
    """Also before the second request, by which time the first may have used the lease up."""
    storage = lost_from(100)
    login = conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    storage.lasting = storage.asked + 1
    before = server.counts["token"]
    with pytest.raises(Fenced):
        conductor_over(storage, http=DeafHttp()).refresh.valid(
            login.provider, login.account, force=True
        )
    assert server.counts["token"] - before == 1


def test_a_storage_that_is_away_for_a_moment_ends_no_wait(server: AuthorizationServer) -> None:
    """While its user is waited for, a login needs nothing of its storage."""
    storage = lost_from(1, StorageError)

    def come_back(address: str) -> list[str]:
        storage.lasting = 1000
        return approve(address)

    login = conductor_over(storage).sign_in(server.config(), InstantTransport(come_back))
    assert login.state is State.AUTHENTICATED


def test_a_wait_ends_when_another_process_goes_on(server: AuthorizationServer) -> None:
    """Who has lost a login to another process does not wait for its answer."""
    storage = lost_from(1)
    with pytest.raises(Fenced):
        conductor_over(storage).sign_in(server.config(), InstantTransport(approve))
    (waiting,) = storage.summaries()
    assert waiting.state is State.AWAITING_CALLBACK
