"""A value of a wrong type is one clear error of ours, wherever the library is called."""

from __future__ import annotations

import asyncio
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
from stayfast.engine.oauth.login_wishes import WISHES
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


def misspelt() -> list[tuple[str, str, str]]:
    """Each call of the service that finds its failures itself, with keywords that it does not know."""
    calls = [
        name for name, call in inspect.getmembers(OAuthService) if hasattr(call, "__wrapped__")
    ]
    found: list[tuple[str, str, str]] = []
    for call in calls:
        keywords = [
            one.name
            for one in inspect.signature(getattr(OAuthService, call)).parameters.values()
            if one.kind is one.KEYWORD_ONLY
        ]
        # doubling a letter keeps it near to its own name, and unlike every other one
        found += [(call, f"{name[:2]}{name[1:]}", name) for name in keywords]
    wishes = [
        (call, f"{wish}s", wish) for call in ("authenticate", "begin") for wish in sorted(WISHES)
    ]
    return [one for one in [*found, *wishes] if one[1] not in WISHES]


@pytest.mark.parametrize(("call", "typed", "meant"), misspelt())
def test_a_misspelt_keyword_is_a_mistake_of_the_program(call: str, typed: str, meant: str) -> None:
    """No login begins for another account than was meant: Python's error, with the nearest keyword."""
    values = {"service": "acme", "login_id": "x", "resource": "r", "method": "GET", "url": "u"}
    wanted = inspect.signature(getattr(OAuthService, call)).parameters
    given = {name: value for name, value in values.items() if name in wanted}
    kept = service()
    with pytest.raises(TypeError) as caught:
        getattr(kept, call)(**given, **{typed: None})
    assert repr(typed) in str(caught.value)
    assert repr(meant) in str(caught.value)
    assert not kept.logins().value  # type: ignore[union-attr]  # a memory can be read


def test_a_keyword_like_no_other_is_refused_too() -> None:
    """Where no keyword is near, the error names the one that the call does not know."""
    with pytest.raises(TypeError, match="'fax'"):
        service().begin("acme", fax="device")  # type: ignore[call-arg]  # a mistake
    with pytest.raises(TypeError, match="'client_id'"):
        service().assembly.config("acme", clientid="x")  # type: ignore[call-arg]  # a mistake


@pytest.mark.parametrize("call", ["authenticate", "begin", "resume", "ensure_valid_token"])
def test_the_service_that_is_awaited_knows_the_same_keywords(call: str) -> None:
    """A task gets the error of the call that it awaits."""

    async def called() -> None:
        async with AsyncOAuthService(service()) as awaited:
            await getattr(awaited, call)("acme", accout="work")

    with pytest.raises(TypeError, match="'accout'"):
        asyncio.run(called())
