"""What every program that signs in must hold against a hostile provider and odd surroundings.

For programs that embed the library, and for any other client of an authorization server::

    class TestMySignIn(SignInContract):
        @pytest.fixture
        def program(self, server):
            mine = MyProgram(server.issuer, client_id=CLIENT_ID)
            return Program(sign_in=mine.sign_in, refresh=mine.refresh, usable=mine.token)


    class TestMyCommand(SurroundingsContract):
        @pytest.fixture
        def command(self):
            return Command([sys.executable, "-m", "mytool", "status"])

``examples/hostile-provider`` is a whole one. A failing test is named after the trial; the lists of
:mod:`stayfast.testing.misbehaviour` say of each who does such a thing, and what is right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pytest

from .authorization_server import AuthorizationServer
from .misbehaviour.provider import DEVICE, METADATA, REFRESH, SIGN_IN, Expected, Trial
from .misbehaviour.surroundings import SURROUNDINGS, Surroundings, run

TRACEBACK = b"Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that signs its user in at ``server``, and a user who approves.

    No callable raises for what the provider does: a program says what is wrong and goes on. An
    exception fails the test.

    Attributes:
        sign_in: Signs in anew, and gives the access token, or ``None`` if that failed.
        refresh: Refreshes now, even a token that is still good, and gives the access token to use
            afterwards, or ``None`` without one.
        usable: The access token that the program would send now, or ``None``.
        resume: Goes on with a sign-in whose code could not be exchanged, without the user; for
            programs that can.
        id_token: The ID token that the program would hand on now; for programs that keep it.
        wait: Lets so many seconds pass, by the program's clock.
        discovers: Whether the program reads the provider's metadata.
        openid: Whether the program asks for the scope ``openid`` and checks ID tokens.
    """

    sign_in: Callable[[], str | None]
    refresh: Callable[[], str | None]
    usable: Callable[[], str | None]
    resume: Callable[[], str | None] | None = None
    id_token: Callable[[], str | None] | None = None
    wait: Callable[[float], None] = time.sleep
    discovers: bool = True
    openid: bool = True


class _AtServer:
    """The fixtures of a program and its provider."""

    @pytest.fixture
    def server(self) -> Iterator[AuthorizationServer]:
        """The provider, well until a trial begins."""
        with AuthorizationServer() as running:
            yield running

    @pytest.fixture
    def program(self, server: AuthorizationServer) -> Program:
        """The program under test, without a login yet."""
        raise TypeError(f"a subclass gives the program that signs in at {server.issuer}")


class SignInContract(_AtServer):
    """The rules; a subclass gives the fixture ``program``."""

    @pytest.mark.parametrize("trial", SIGN_IN, ids=str)
    def test_a_sign_in_withstands(
        self, server: AuthorizationServer, program: Program, trial: Trial
    ) -> None:
        """An odd answer is read, a false one refused; trouble costs no more than a later try."""
        if trial.fault.kind == "id_token" or trial.endpoint == "jwks":
            _needs(program.openid, "the program checks no ID tokens")
        server.misbehave(trial.endpoint, trial.fault, times=None)
        token = program.sign_in()
        if trial.expected is Expected.READ:
            assert token is not None, trial.why
            assert token == _issued(server), trial.why
            assert server.counts["token:authorization_code"] == 1, "the code was sent again"
            return
        if trial.expected is not Expected.EITHER:
            assert token is None, trial.why
            assert program.usable() is None, trial.why
        server.behave()
        visits = server.counts["authorize"]
        if trial.expected is Expected.TROUBLE and program.resume is not None:
            program.wait(trial.pause)
            assert program.resume() is not None, "the code was given up"
            assert server.counts["authorize"] == visits, "the user was sent away again"
        else:
            assert program.sign_in() is not None, "the program cannot sign in any more"

    @pytest.mark.parametrize("trial", METADATA, ids=str)
    def test_discovery_withstands(
        self, server: AuthorizationServer, program: Program, trial: Trial
    ) -> None:
        """Odd metadata are read; with false ones the program opens no sign-in page."""
        _needs(program.discovers, "the program reads no metadata")
        server.misbehave(trial.endpoint, trial.fault, times=None)
        token = program.sign_in()
        if trial.expected is Expected.READ:
            assert token is not None, trial.why
            return
        assert token is None, trial.why
        assert server.counts["authorize"] == 0, "the user was sent to sign in"
        server.behave()
        assert program.sign_in() is not None, "the program cannot sign in any more"

    @pytest.mark.parametrize("trial", REFRESH, ids=str)
    def test_a_refresh_withstands(
        self, server: AuthorizationServer, program: Program, trial: Trial
    ) -> None:
        """An odd answer is read, a false one refused; trouble spends no token."""
        first = program.sign_in()
        assert first is not None
        earlier = program.id_token() if program.id_token else None
        server.misbehave(trial.endpoint, trial.fault, times=None)
        token = program.refresh()
        asked = server.counts["token:refresh_token"]
        server.behave()
        match trial.expected:
            case Expected.READ:
                assert token == _issued(server) != first, trial.why
                assert asked == 1, "the refresh token was sent again"
            case Expected.DROPPED:
                assert token in {None, first, _issued(server)}, trial.why
                assert program.id_token is None or program.id_token() in {None, earlier}, trial.why
            case Expected.REFUSED:
                assert token in {None, first}, trial.why
                assert program.usable() in {None, first}, trial.why
            case Expected.TROUBLE:
                assert token in {None, first}, trial.why
                assert program.usable() == first, "a good access token was given up"
                program.wait(trial.pause)
                assert program.refresh() == _issued(server) != first, (
                    "the refresh token was given up"
                )
            case Expected.EITHER:
                assert program.sign_in() is not None, "the program cannot sign in any more"


class DeviceContract(_AtServer):
    """The rules of a sign-in by device code; ``sign_in`` of the program uses one.

    Its user approves as soon as the code is shown. The program should wait by a clock that a test
    moves: the provider's interval is 5 seconds.
    """

    @pytest.mark.parametrize("trial", DEVICE, ids=str)
    def test_a_device_sign_in_withstands(
        self, server: AuthorizationServer, program: Program, trial: Trial
    ) -> None:
        """An odd answer is read, a false one refused; trouble at a poll is followed by the next."""
        server.misbehave(trial.endpoint, trial.fault, trial.times)
        token = program.sign_in()
        if trial.expected is Expected.READ:
            assert token is not None, trial.why
            assert token == _issued(server), trial.why
            return
        assert token is None, trial.why
        assert program.usable() is None, trial.why
        server.behave()
        assert program.sign_in() is not None, "the program cannot sign in any more"


@dataclass(frozen=True)
class Command:
    """A command that needs no user.

    Attributes:
        words: What to run; the first is best a whole path.
        environment: Its variables before the surroundings change them; by default our own.
        statuses: Exit statuses it may end with; any from 0 to 127 if not given.
    """

    words: Sequence[str]
    environment: Mapping[str, str] | None = None
    statuses: frozenset[int] | None = None

    @cached_property
    def usual(self) -> tuple[int, bool]:
        """The status in ordinary surroundings, and whether there is output."""
        finished = run(self.words, environment=self.environment)
        return finished.returncode, bool(finished.stdout.strip())


class SurroundingsContract:
    """The rules; a subclass gives the fixture ``command``."""

    @pytest.fixture
    def command(self) -> Command:
        """The command under test."""
        raise TypeError("a subclass gives the command")

    @pytest.mark.parametrize("odd", SURROUNDINGS, ids=str)
    def test_a_command_withstands(self, command: Command, odd: Surroundings) -> None:
        """It ends with a status of its own and in words; where nothing is missing, as always."""
        finished = run(command.words, odd, environment=command.environment)
        assert TRACEBACK not in finished.stderr, odd.why
        assert TRACEBACK not in finished.stdout, odd.why
        if odd.unread and finished.returncode < 0:
            return  # SIGPIPE ended it, as it ends every command whose reader has gone
        assert 0 <= finished.returncode < 128, odd.why
        if command.statuses is not None:
            assert finished.returncode in command.statuses, odd.why
        if odd.harmless:
            assert (finished.returncode, bool(finished.stdout.strip())) == command.usual, odd.why


def _issued(server: AuthorizationServer) -> str:
    """The access token that the server issued last."""
    return server.state.tokens[-1].access_token


def _needs(condition: bool, reason: str) -> None:  # noqa: FBT001  a condition is a boolean
    if not condition:
        pytest.skip(reason)
