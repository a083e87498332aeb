"""Looking for the next token while the present one serves, by clocks that may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from conductors import conductor_over
from instant import InstantTransport, ManualClock
from stayfast.engine.lifetime import clock_error, eagerness
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.http import RequestsHttp
from stayfast.storage import MemoryStorage
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind

LIFETIME = 3600


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        running.change(token_lifetime=LIFETIME)
        yield running


@pytest.fixture
def clock(login: Login) -> ManualClock:
    assert login.tokens is not None
    return ManualClock(login.tokens.issued_at)


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def login(server: AuthorizationServer, storage: MemoryStorage) -> Login:
    return conductor_over(storage).sign_in(
        server.config(), InstantTransport(lambda address: [user_agent.fetch_only(address)])
    )


def ask(login: Login, storage: MemoryStorage, clock: ManualClock) -> OAuthTokens:
    """The tokens a caller gets, whose clock shows that time."""
    conductor = conductor_over(storage, clock=clock, http=RequestsHttp(clock=clock))
    found = conductor.refresh.valid(login.provider, login.account)
    assert found.tokens is not None
    return found.tokens


def soon(login: Login) -> float:
    """Seconds after which a refresh is due, though the token serves for more than its buffer."""
    return LIFETIME - 60 - eagerness(login.id, LIFETIME) + 1


def test_a_token_is_replaced_before_it_must_be(
    login: Login, storage: MemoryStorage, clock: ManualClock
) -> None:
    """Shortly before its end the first who asks fetches the next token; before that nobody does."""
    clock.time += soon(login) - 5
    assert ask(login, storage, clock) == login.tokens
    clock.time += 5
    assert ask(login, storage, clock) != login.tokens


def test_who_does_not_refresh_is_not_kept_waiting(
    server: AuthorizationServer, login: Login, storage: MemoryStorage, clock: ManualClock
) -> None:
    """While somebody fetches the next token, the present one serves everybody else at once."""
    clock.time += soon(login)
    with storage.lease(login.id, wait=0):
        assert ask(login, storage, clock) == login.tokens
    assert server.counts["token:refresh_token"] == 0


def test_a_provider_that_is_down_is_asked_early_only_once(
    server: AuthorizationServer, login: Login, storage: MemoryStorage, clock: ManualClock
) -> None:
    """A network error leaves the present token to be used up."""
    server.misbehave("token", Fault(kind=FaultKind.BUSY_503))
    clock.time += soon(login)
    assert ask(login, storage, clock) == login.tokens
    assert ask(login, storage, clock) == login.tokens
    assert server.counts["token:refresh_token"] == 1
    kept = storage.read(login.id)
    assert kept is not None
    assert (kept.state, kept.reason) == (State.EXPIRED, "provider_busy")
    clock.time += eagerness(login.id, LIFETIME)
    assert ask(login, storage, clock) != login.tokens


def test_a_clock_put_back_is_noticed(
    server: AuthorizationServer, login: Login, storage: MemoryStorage, clock: ManualClock
) -> None:
    """A token that was issued in the future has an end nobody knows; a new one is fetched."""
    clock.time -= 3600
    assert ask(login, storage, clock) != login.tokens
    assert server.counts["token:refresh_token"] == 1


@pytest.mark.parametrize("off", [-7200, 7200])
def test_an_id_token_is_judged_by_the_clock_of_its_provider(
    server: AuthorizationServer, storage: MemoryStorage, off: float
) -> None:
    """A wrong clock here does not cost a login that succeeded, and is remembered with it."""
    import time  # noqa: PLC0415  the one test that needs the true time

    clock = ManualClock(time.time() + off)
    conductor = conductor_over(storage, clock=clock, http=RequestsHttp(clock=clock))
    config = replace(server.config(), scopes=("openid", *server.config().scopes))
    login = conductor.sign_in(
        config, InstantTransport(lambda address: [user_agent.fetch_only(address)])
    )
    assert login.identity is not None
    assert login.tokens is not None
    error = clock_error(login.tokens.issued_at, login.tokens.server_date)
    assert error == pytest.approx(off, abs=10)


def test_logins_of_one_moment_are_refreshed_at_different_ones() -> None:
    """They do not all send a request to the provider at once."""
    ids = [f"01J9ZK4Q0V7F3KTWX2A8B{number:05d}" for number in range(200)]
    moments = {eagerness(name, LIFETIME) for name in ids}
    assert len(moments) > 10
    assert all(60 <= moment <= 120 for moment in moments)
