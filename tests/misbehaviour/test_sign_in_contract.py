"""The sign-in contract: the library holds it, the example shows it, and carelessness breaks it."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from command import STAYFAST, World
from instant import ManualClock
from stayfast import OAUTH_PROVIDERS, Failure, MemoryStorage, OAuthService
from stayfast.engine.ports import Notice
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.testing.authorization_server import CLIENT_ID, AuthorizationServer
from stayfast.testing.misbehaviour.provider import (
    DEVICE,
    METADATA,
    REFRESH,
    SIGN_IN,
    Expected,
    Trial,
)
from stayfast.testing.misbehaviour.surroundings import SURROUNDINGS, by_name, run
from stayfast.testing.sign_in_contract import (
    Command,
    DeviceContract,
    Program,
    SignInContract,
    SurroundingsContract,
)
from stayfast.testing.user_agent import decide_device, fetch_only

EXAMPLE = Path(__file__).parents[2] / "examples" / "hostile-provider"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture(autouse=True)
def _the_providers_of_before() -> Iterator[None]:
    """What the example registers is its program's; here other tests live in the same process."""
    before = dict(OAUTH_PROVIDERS)
    yield
    OAUTH_PROVIDERS.clear()
    OAUTH_PROVIDERS.update(before)


def of_the_example(name: str) -> Any:
    """The module ``name`` of the example, which imports its neighbour by name."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


of_the_example("my_sign_in")


class TestTheExample(of_the_example("test_my_sign_in").TestMySignIn):
    """An ordinary program with the library holds every rule."""


class TestTheDeviceFlow(DeviceContract):
    """The library's device flow holds every rule; time passes only where something sleeps."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(time.time())

    @pytest.fixture
    def server(self, clock: ManualClock) -> Iterator[AuthorizationServer]:
        with AuthorizationServer(now=clock.now) as running:
            yield running

    @pytest.fixture
    def program(self, server: AuthorizationServer, clock: ManualClock) -> Program:
        assembly = Assembly(
            MemoryStorage(),
            Catalogue(providers={"demo": server.config()}),
            clock=clock,
            environ={"STAYFAST_COURIER": "inline"},
        )
        service = OAuthService(assembly=assembly, conversation=Approving(server))

        def sign_in() -> str | None:
            done = service.authenticate("demo", via="device")
            return None if isinstance(done, Failure) else done.value.access_token

        def usable() -> str | None:
            found = service.get_bearer_token("demo")
            return None if isinstance(found, Failure) else found.value

        return Program(sign_in=sign_in, refresh=usable, usable=usable)


class Approving:
    """A user who enters the code as soon as it is shown, and approves."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server

    def show(self, notice: Notice) -> None:
        if notice.user_code:
            decide_device(f"{self.server.issuer}/device", notice.user_code)


class Careless:
    """A client as many are written: it reads strict JSON, checks nothing, and gives up at once."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.tokens: dict[str, Any] = {}

    def sign_in(self) -> str | None:
        asked = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": "http://127.0.0.1:7/callback",
            "scope": "openid offline_access",
            "state": "always the same",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        found = requests.get(f"{self.server.issuer}/.well-known/openid-configuration", timeout=10)
        page = found.json().get("authorization_endpoint", "")
        callback = dict(parse_qsl(urlsplit(fetch_only(f"{page}?{urlencode(asked)}")).query))
        return self._ask(
            grant_type="authorization_code",
            code=callback["code"],
            redirect_uri=asked["redirect_uri"],
            code_verifier=VERIFIER,
        )

    def refresh(self) -> str | None:
        return self._ask(grant_type="refresh_token", refresh_token=self.tokens["refresh_token"])

    def usable(self) -> str | None:
        return self.tokens.get("access_token")

    def id_token(self) -> str | None:
        return self.tokens.get("id_token")

    def _ask(self, **form: str) -> str | None:
        answer = requests.post(
            f"{self.server.issuer}/token", data={"client_id": CLIENT_ID, **form}, timeout=10
        )
        if not answer.ok:
            self.tokens = {}
            return None
        self.tokens = json.loads(answer.content)
        return self.tokens["access_token"]


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def careless(server: AuthorizationServer) -> Program:
    program = Careless(server)
    return Program(sign_in=program.sign_in, refresh=program.refresh, usable=program.usable)


BELIEVED = [
    trial
    for trial in SIGN_IN
    if trial.expected is Expected.REFUSED and trial.name != "callback-with-another-code"
]
GIVEN_UP = [
    trial
    for trial in REFRESH
    if trial.expected is Expected.TROUBLE and trial.fault.status >= 400 and not trial.pause
    if trial.fault.kind == "answer"
]


@pytest.mark.parametrize("trial", BELIEVED, ids=str)
def test_who_believes_a_false_sign_in_fails(
    server: AuthorizationServer, careless: Program, trial: Trial
) -> None:
    """A program that takes the token of a false answer breaks the contract."""
    with pytest.raises(AssertionError):
        SignInContract().test_a_sign_in_withstands(server, careless, trial)


@pytest.mark.parametrize("trial", GIVEN_UP, ids=str)
def test_who_gives_up_for_passing_trouble_fails(
    server: AuthorizationServer, careless: Program, trial: Trial
) -> None:
    """A program that forgets its tokens when a gateway answers breaks the contract."""
    with pytest.raises(AssertionError):
        SignInContract().test_a_refresh_withstands(server, careless, trial)


def test_who_takes_a_refresh_of_another_person_fails(
    server: AuthorizationServer, careless: Program
) -> None:
    """A program that does not look whose tokens a refresh brings breaks the contract."""
    (trial,) = [one for one in REFRESH if one.name == "refreshed-as-another"]
    with pytest.raises(AssertionError):
        SignInContract().test_a_refresh_withstands(server, careless, trial)


def test_trials_have_names_of_their_own() -> None:
    """A failing test is found by the name of its trial, in each list."""
    for trials in (SIGN_IN, DEVICE, REFRESH, METADATA, SURROUNDINGS):
        names = [str(one) for one in trials]
        assert sorted(names) == sorted(set(names))
        assert all(one.why for one in trials)


@pytest.fixture(scope="module", params=["status", "token"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Command]:
    with AuthorizationServer() as provider:
        place = tmp_path_factory.mktemp("odd")
        place.chmod(0o700)
        world = World(place, provider)
        if request.param == "token":
            assert world.run("login", "demo", "--via", "loopback").code == 0
        yield Command([STAYFAST, request.param, "demo"], world.environ)


class TestTheCommand(SurroundingsContract):
    """The command holds the rules of odd surroundings, with nobody and with somebody signed in."""

    @pytest.fixture
    def command(self, installed: Command) -> Command:
        return installed


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("standard-input-closed", "import sys; sys.stdin.read()"),
        ("errors-closed", "import sys; sys.stderr.write('careless')"),
        ("columns-are-a-word", "import os; print('=' * int(os.environ.get('COLUMNS', 80)))"),
        ("columns-0", "import os; print('=' * int(os.environ.get('COLUMNS', 80)))"),
        ("working-folder-removed", "import os; os.getcwd()"),
        ("posix-locale", "print('\\u00e9')"),
        ("no-home", "import os; os.environ['HOME']"),
    ],
)
def test_a_careless_command_fails(name: str, program: str) -> None:
    """A command that takes its surroundings for granted breaks the contract."""
    command = Command([sys.executable, "-c", program])
    with pytest.raises(AssertionError):
        SurroundingsContract().test_a_command_withstands(command, by_name(name))


def test_surroundings_are_as_they_say() -> None:
    """A command sees what its surroundings declare: variables, streams, signals, limits."""
    look = [sys.executable, "-c", "import os, sys; print(os.environ.get('COLUMNS'), sys.stdin)"]
    assert run(look, by_name("columns-0")).stdout.startswith(b"0 ")
    assert run(look, by_name("standard-input-closed")).stdout.rstrip().endswith(b"None")
    assert run(["/bin/sh", "-c", "ulimit -n"], by_name("few-files")).stdout == b"24\n"
    assert run(["/bin/sh", "-c", "umask"], by_name("closed-to-all")).stdout == b"0777\n"
    echo = ["/bin/sh", "-c", "echo x || exit 9"]
    assert run(echo, by_name("output-full")).returncode == 9
    assert run(echo, by_name("output-unread")).returncode < 0
    assert run(echo, by_name("output-unread-and-no-signal")).returncode == 9
