"""A name that nobody knows is said to be unknown, wherever a login of it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from stayfast import (
    AuthStatus,
    ErrorCode,
    Failure,
    MemoryStorage,
    NotFound,
    OAuthConfig,
    OAuthService,
    OAuthTokens,
    Success,
    import_tokens,
)

ACME = OAuthConfig(
    service_name="acme", client_id="x", auth_url="https://a.test/a", token_url="https://a.test/t"
)
CALLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("get_status", "get_tokens", "ensure_valid_token", "get_bearer_token"), ()),
    **dict.fromkeys(("refresh_tokens", "identity", "client_certificate", "logout", "sign_out"), ()),
    **dict.fromkeys(("authenticate", "begin"), ()),
    "further_token": ("transfer.api.example",),
    "request_headers": ("GET", "https://api.example/"),
}
"""The calls that take a provider, and what else they need."""


def service(storage: MemoryStorage | None = None, **providers: OAuthConfig) -> OAuthService:
    kept = MemoryStorage() if storage is None else storage
    return OAuthService(app="tool", providers=providers, storage=kept, environ={}, audit="none")


@pytest.mark.parametrize("call", CALLS)
def test_a_misspelt_provider_is_named_with_the_one_that_was_meant(call: str) -> None:
    """It is no use to sign in to a provider that nobody knows."""
    result = getattr(service(acme=ACME), call)("acem", *CALLS[call])
    assert isinstance(result, Failure)
    assert result.code is ErrorCode.NOT_FOUND
    assert result.hint is not None
    assert result.hint.provider == "acme"


def test_a_request_is_not_sent_for_a_provider_that_nobody_knows() -> None:
    """An auth object raises the same error before anything is sent."""
    with pytest.raises(NotFound):
        requests.get("https://api.invalid/", auth=service(acme=ACME).auth("acem"), timeout=5)


def test_a_login_outlives_the_settings_of_its_provider() -> None:
    """What is kept serves, and can be signed out of, though nobody can sign in there any more."""
    storage = MemoryStorage()
    first = service(storage, acme=ACME)
    assert isinstance(import_tokens(first, "acme", OAuthTokens(access_token="good")), Success)
    later = service(storage)

    def value(call: str, *arguments: Any) -> Any:
        result = getattr(later, call)("acme", *arguments)
        assert isinstance(result, Success), result
        return result.value

    assert value("get_status") is AuthStatus.AUTHENTICATED
    assert value("get_bearer_token") == "good"
    assert value("get_tokens").access_token == "good"
    assert value("request_headers", "GET", "https://a.test/")["Authorization"].endswith("good")
    assert value("logout") is True
    gone = later.get_bearer_token("acme")
    assert isinstance(gone, Failure)
    assert gone.code is ErrorCode.NOT_FOUND
