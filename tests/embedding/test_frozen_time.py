"""A program's tests that stop or move the clock with freezegun."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from freezegun import freeze_time
from stayfast import AuthStatus, ErrorCode, Failure, MemoryStorage, OAuthService, Success
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer


class Agent:
    def open(self, url: str) -> None:
        threading.Thread(target=user_agent.approve, args=(url,), daemon=True).start()


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def service(server: AuthorizationServer) -> OAuthService:
    return OAuthService(
        app="tool",
        providers={"acme": server.config(service_name="acme")},
        storage=MemoryStorage(),
        environ={},
        browser=Agent(),
        audit="none",
    )


def status(service: OAuthService) -> AuthStatus:
    found = service.get_status("acme")
    assert isinstance(found, Success)
    return found.value


def test_a_token_runs_out_as_the_clock_is_moved(service: OAuthService) -> None:
    """Signed in while the clock moves on, a token is good for its lifetime, then refreshed once."""
    signed_in = service.authenticate("acme")
    assert isinstance(signed_in, Success)
    issued = signed_in.value.issued_at
    lifetime = signed_in.value.expires_in
    assert lifetime is not None

    assert status(service) is AuthStatus.AUTHENTICATED
    with freeze_time() as clock:
        clock.move_to(_at(issued + lifetime - 120))
        assert status(service) is AuthStatus.AUTHENTICATED
        clock.move_to(_at(issued + lifetime + 1))
        assert status(service) is AuthStatus.TOKEN_EXPIRED
        refreshed = service.ensure_valid_token("acme")

    assert isinstance(refreshed, Success)
    assert refreshed.value.access_token != signed_in.value.access_token


def test_a_wait_ends_while_the_clock_stands_still(service: OAuthService) -> None:
    """A login that nobody answers ends where the clock is moved past its deadline, in another thread too."""
    with freeze_time() as clock:
        begun = service.begin("acme", timeout=600)
        assert isinstance(begun, Success)
        clock.tick(601)
        late = service.complete(user_agent.fetch_only(begun.value.address))

    assert isinstance(late, Failure)
    assert late.code in {ErrorCode.TIMEOUT, ErrorCode.CALLBACK_REFUSED}


def _at(seconds: float) -> object:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
