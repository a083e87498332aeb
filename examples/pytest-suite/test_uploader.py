"""The program's own tests: a real server, a browser, an expiry, a refusal; no mock of any of them.

Needs ``pip install '.[testing]'``: the fixtures that begin with ``stayfast_`` are there then.
"""

from __future__ import annotations

import pytest
from stayfast import Failure, OAuthService, StayfastError
from stayfast.interfaces.pytest_plugin import ServiceMaker
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.scripted_browser import ScriptedBrowser
from uploader import Uploader  # type: ignore[import-not-found]  # pytest finds it here


@pytest.fixture
def service(stayfast_service_for: ServiceMaker) -> OAuthService:
    return stayfast_service_for("acme", app="uploader")


@pytest.fixture
def uploader(service: OAuthService, stayfast_server: AuthorizationServer) -> Uploader:
    return Uploader(service, stayfast_server.issuer)


def test_the_owner_is_who_signed_in(service: OAuthService, uploader: Uploader) -> None:
    service.authenticate("acme")
    assert uploader.owner() == "ada@demo.test"


def test_nobody_is_signed_in(uploader: Uploader) -> None:
    assert uploader.owner() is None


def test_a_user_who_declines(
    service: OAuthService, uploader: Uploader, stayfast_browser: ScriptedBrowser
) -> None:
    stayfast_browser.user = "declines"
    assert isinstance(service.authenticate("acme"), Failure)
    assert uploader.owner() is None


def test_an_expired_token_is_renewed(
    service: OAuthService, uploader: Uploader, stayfast_server: AuthorizationServer
) -> None:
    stayfast_server.change(token_lifetime=0.001)
    service.authenticate("acme")
    stayfast_server.change(token_lifetime=3600)
    assert uploader.owner() == "ada@demo.test"
    assert stayfast_server.counts["token:refresh_token"] == 1


def test_a_login_that_the_provider_ended(
    service: OAuthService, uploader: Uploader, stayfast_server: AuthorizationServer
) -> None:
    service.authenticate("acme")
    stayfast_server.state.tokens[-1].revoked = True
    refused = Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"})
    stayfast_server.misbehave("token", refused)
    with pytest.raises(StayfastError) as caught:
        uploader.owner()
    assert caught.value.code == "TOKEN_REFRESH_FAILED"
