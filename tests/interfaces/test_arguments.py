"""A value of a wrong type is one clear error of ours, wherever the library is called."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import pytest
from stayfast import (
    AsyncOAuthService,
    ConfigInvalid,
    ErrorCode,
    Failure,
    MemoryStorage,
    OAuthConfig,
    OAuthService,
    OAuthTokens,
    commands,
    create_client,
    import_tokens,
    typer_commands,
)
from stayfast.interfaces.arguments import OF_CALLS, OF_SERVICE

CONFIG = OAuthConfig(
    service_name="acme", client_id="x", auth_url="https://a.test/a", token_url="https://a.test/t"
)
TOKENS = OAuthTokens(access_token="x")
CALLS = (
    *("get_status", "get_tokens", "authenticate", "begin", "ensure_valid_token", "identity"),
    *("get_bearer_token", "refresh_tokens", "logout", "sign_out"),
)
"""Those whose first argument is a provider."""


def service() -> OAuthService:
    return OAuthService(app="tool", providers={"acme": CONFIG}, storage=MemoryStorage(), environ={})


def mistakes() -> list[tuple[str, str, object]]:
    """Each parameter of those calls that the table knows, with values that do not fit it."""
    return [
        (call, name, value)
        for call in CALLS
        for name in inspect.signature(getattr(OAuthService, call)).parameters
        if name in OF_CALLS
        for value in (5, 2.5j, object(), b"x", [5])
        if not OF_CALLS[name].fits(value)
    ]


@pytest.mark.parametrize(("call", "name", "value"), mistakes())
def test_an_argument_of_a_wrong_type_is_named(call: str, name: str, value: Any) -> None:
    """The error names the parameter and what it may be; nothing is raised from somewhere deep."""
    given = {"service": "acme", name: value}

    refused = getattr(service(), call)(**given)

    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.CONFIG_INVALID
    assert refused.error.startswith(name)
    assert refused.hint


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1, True, "5", None])
def test_what_is_no_time_is_refused(seconds: Any) -> None:
    """A wait without an end that can be saved, or of no length, is a mistake of the caller."""
    refused = service().begin("acme", timeout=seconds)
    assert isinstance(refused, Failure)
    assert refused.error.startswith("timeout")


def test_a_first_argument_without_its_name_is_judged_too() -> None:
    """Whoever passes values in their order gets the same error."""
    refused = service().get_status(None)  # type: ignore[arg-type]  # a mistake
    assert isinstance(refused, Failure)
    assert refused.error.startswith("service")


@pytest.mark.parametrize("name", OF_SERVICE)
def test_the_service_judges_its_own_arguments(name: str) -> None:
    """At once, and not at the first use."""
    with pytest.raises(ConfigInvalid, match=f"^{name} is"):
        OAuthService(**{name: 5})  # type: ignore[arg-type]  # a mistake


@pytest.mark.parametrize(
    "call",
    [
        lambda: service().auth(5),  # type: ignore[arg-type]
        lambda: service().auth("acme", account=5),  # type: ignore[arg-type]
        lambda: service().httpx_auth("acme", hosts=5),  # type: ignore[arg-type]
        lambda: service().auth("acme", hosts=[5]),  # type: ignore[list-item]
        lambda: create_client(5),  # type: ignore[arg-type]
        lambda: AsyncOAuthService(5),  # type: ignore[arg-type]
        lambda: AsyncOAuthService(threads=0),
        lambda: AsyncOAuthService(threads="2"),  # type: ignore[arg-type]
        lambda: commands(5),  # type: ignore[arg-type]
        lambda: commands(service(), provider=5),  # type: ignore[arg-type]
        lambda: typer_commands(service(), name=5),  # type: ignore[arg-type]
    ],
)
def test_what_makes_an_object_raises(call: Callable[[], Any]) -> None:
    """There is no result that could say it."""
    with pytest.raises(ConfigInvalid) as refused:
        call()
    assert refused.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"service": 5},
        {"provider": 5},
        {"account": 5},
        {"account": None},
        {"user": 5},
        {"replace": "yes"},
        {"source": 5},
    ],
)
def test_an_import_judges_its_arguments(given: dict[str, Any]) -> None:
    """A number is no user, account, provider or source."""
    whole: dict[str, Any] = {"service": service(), "provider": "acme", "source": TOKENS, **given}
    refused = import_tokens(
        whole.pop("service"), whole.pop("provider"), whole.pop("source"), **whole
    )
    assert isinstance(refused, Failure)
    assert refused.code is ErrorCode.CONFIG_INVALID
