"""What the public boundary answers survives a process pool, and copying."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import pytest
import stayfast
from errors_at_hand import make_error
from logins import fresh_login
from stayfast.engine.errors import NetworkError, StayfastError
from stayfast.engine.flows.logins import Started
from stayfast.engine.oauth.end_session import EndSession
from stayfast.engine.oauth.token_status import Revocation, RevocationOutcome
from stayfast.engine.oauth.tokens import OAuthTokens
from stayfast.engine.oauth.userinfo import UserInfo
from stayfast.engine.record import (
    Challenge,
    DeviceGrant,
    Exchange,
    Login,
    Presentation,
    TokensNotSaved,
)
from stayfast.engine.result import ErrorCode, Failure, Success
from stayfast.engine.secret import Secret
from stayfast.engine.table import State
from stayfast.interfaces.auth_status import AuthStatus
from stayfast.interfaces.service import OAuthService
from stayfast.interfaces.signed_in import Health, SignedIn, SignedOut
from stayfast.testing.storage_contract import finished

CANARY = "canary-4711"
WAYS = {
    **{
        f"pickle-{n}": lambda value, n=n: pickle.loads(pickle.dumps(value, n))
        for n in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def every_error() -> set[type[StayfastError]]:
    """Every error class of the package, wherever it is defined."""
    for module in pkgutil.walk_packages(stayfast.__path__, "stayfast."):
        ours = module.name.split(".")[1] in {"engine", "transports", "storage", "interfaces"}
        if ours and "-" not in module.name:  # a hook is run by PyInstaller, under no name
            with suppress(ModuleNotFoundError):  # of an extra that is not installed
                importlib.import_module(module.name)
    found: set[type[StayfastError]] = {StayfastError}
    waiting = [StayfastError]
    while waiting:
        kinds = [k for k in waiting.pop().__subclasses__() if k.__module__.startswith("stayfast.")]
        found.update(kinds)
        waiting += kinds
    return found


def secretive() -> Login:
    """A login with a secret wherever one can be."""
    login = fresh_login()
    hidden = Secret(CANARY)
    device = DeviceGrant(
        device_code=hidden, user_code="AB-CD", verification_uri="https://p.test/d",
        verification_uri_complete=None, expires_at=9e9, interval=5.0,
    )  # fmt: skip
    return replace(
        login,
        state=State.AWAITING_CALLBACK,
        config=replace(login.config, client_secret=CANARY, extra_auth_params={"a": "b"}),
        challenge=Challenge(verifier=hidden, state=hidden, nonce=hidden),
        presentation=Presentation(transport="device", device=device),
        exchange=Exchange(kind="code", started_at=1.0, code=hidden),
    )


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same to a program."""
    if isinstance(one, StayfastError):
        return type(one) is type(other) and (str(one), one.args, vars(one)) == (
            str(other),
            other.args,
            vars(other),
        )
    return type(one) is type(other) and one == other


ERRORS = sorted(every_error(), key=lambda kind: kind.__name__)
VALUES: dict[Any, Any] = {
    bool: True,
    list: [finished("demo").summary()],
    stayfast.Summary: finished("demo").summary(),
    dict: {"Authorization": "DPoP token", "DPoP": "proof"},
    str: "token",
    tuple: ("client.pem", "client.key"),
    AuthStatus: AuthStatus.TOKEN_EXPIRED,
    Health: Health(storage="memory", seconds=0.1),
    SignedOut: SignedOut(
        signed_in=True,
        revocations=(
            Revocation(token="access_token", outcome=RevocationOutcome.REFUSED, http_status=400),
        ),
        problem=Failure.of(make_error(NetworkError)),
        browser=EndSession(address="https://login.acme.example/end", state="s"),
    ),
    UserInfo: UserInfo(subject="s", name="ada", claims={"sub": "s"}, agrees=True),
    stayfast.OAuthTokens: finished("demo").tokens,
    SignedIn: SignedIn.of(
        finished("demo"), finished("demo").tokens or OAuthTokens(access_token="t")
    ),
    Started: Started(login=finished("demo"), address="https://p.test/authorize?state=x"),
}
"""What the methods of the service answer."""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_and_its_failure_survive(kind: type[StayfastError], way: Any) -> None:
    """Class, sentence, hint, reason and every other member are those of the original."""
    error = make_error(kind, hint="stayfast list", login=finished("demo"))
    error.why = "because"
    error.add_note("a note")

    assert same(way(error), error)
    if kind.code in set(ErrorCode):  # those of the command alone have no failure
        failure = Failure.of(error)
        assert way(failure) == failure
        assert same(way(failure).cause, error)


def test_the_public_errors_are_among_them() -> None:
    """Nothing that the package names as an error was left out."""
    named = [getattr(stayfast, name) for name in stayfast.__all__]
    public = {kind for kind in named if inspect.isclass(kind) and issubclass(kind, Exception)}
    assert public <= set(ERRORS)


def test_every_kind_of_answer_has_a_sample() -> None:
    """Each type that a method of the service answers with is tested here."""
    methods = [
        m for name, m in inspect.getmembers(OAuthService, inspect.isfunction) if name[0] != "_"
    ]
    names = {inspect.signature(method).return_annotation for method in methods}
    names -= {"RequestsAuth", "HttpxAuth"}  # no answers: they ask the service of this process

    values = {name.removeprefix("Result[").removesuffix("]") for name in names}
    assert all(name.startswith("Result[") for name in names)
    assert {name.partition("[")[0] for name in values} == {kind.__name__ for kind in VALUES}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("value", VALUES.values(), ids=lambda value: type(value).__name__)
def test_every_success_survives(value: Any, way: Any) -> None:
    """The value is that of the original."""
    assert way(Success(value)) == Success(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_login_holds_no_secret_but_its_tokens(protocol: int) -> None:
    """Verifier, state, nonce, codes and the client's secret stay behind; what people see does not."""
    started = Started(login=secretive(), address="https://p.test/d")
    octets = pickle.dumps(Success(started), protocol)
    again = pickle.loads(octets).value

    assert CANARY.encode() not in octets
    assert (again.address, again.login.id) == (started.address, started.login.id)
    assert again.login.presentation.device.user_code == "AB-CD"
    assert copy.deepcopy(started) == copy.copy(started) == started


def test_tokens_that_could_not_be_saved_travel_with_their_error() -> None:
    """They are in the copy; only where they came from they can be saved again."""
    error = TokensNotSaved("no room", login=finished("demo", token="the-token"))
    error.save_again = lambda: error.login
    copied, pickled = copy.deepcopy(error), pickle.loads(pickle.dumps(Failure.of(error))).cause

    assert copied.login.tokens == pickled.login.tokens == error.login.tokens
    assert copied.save_again() is error.login
    with pytest.raises(TokensNotSaved) as again:
        pickled.save_again()
    assert again.value is pickled


def fail(kind: type[StayfastError]) -> None:
    raise make_error(kind)


def test_a_process_pool_reports_them() -> None:
    """An error raised in a worker arrives; the pool does not break or hang."""
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        for kind in (stayfast.CallbackRefused, TokensNotSaved, stayfast.ProviderError):
            with pytest.raises(kind):
                pool.submit(fail, kind).result(timeout=120)
