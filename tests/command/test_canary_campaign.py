"""A day of use with everything going wrong, and a search for every secret in all that is left."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from canaries import Secrets, found_in, spellings, watching_children
from command import PATIENCE, STAYFAST, World
from stayfast.engine.errors import StayfastError
from stayfast.engine.result import Failure
from stayfast.interfaces.service import OAuthService
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.server_state import Client

CLIENT_SECRET = "canary/client+secret=0123456789"
HOW_MUCH = [pytest.param(False, id="some"), pytest.param(True, id="all", marks=pytest.mark.soak)]


class Day:
    """One world, all that was said in it, and the secrets there were."""

    def __init__(self, world: World, server: AuthorizationServer) -> None:
        self.world = world
        self.server = server
        server.add_client(Client("confidential", CLIENT_SECRET))
        world.provide("secretive", client_id="confidential", client_secret=CLIENT_SECRET)
        self.secrets = Secrets()
        self.secrets.hidden[CLIENT_SECRET] = "client secret"
        self.leaks: list[str] = []
        self.runs = self.octets = 0

    def learn(self) -> None:
        """Find out what is secret now."""
        logins = []
        with suppress(StayfastError):  # a vault that was torn says nothing
            for summary in self.world.assembly.storage.summaries():
                with suppress(StayfastError):
                    login = self.world.assembly.storage.read(summary.id)
                    logins += [login] if login else []
        self.secrets.learn(self.server, logins)

    def run(
        self, *arguments: str, stdin: str = "", answers: bool = False, blocks: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command and listen; ``answers`` says that standard output is a token's place."""
        argv = [STAYFAST, *arguments]
        if blocks is not None:
            argv = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(blocks), *argv]
        with watching_children() as children:
            done = subprocess.run(
                argv, input=stdin, capture_output=True, text=True, check=False,
                env=self.world.environ, timeout=PATIENCE,
            )  # fmt: skip
        self.learn()
        self.runs += 1
        label = " ".join(arguments)
        self.examine(f"{label}: standard error", done.stderr)
        if not answers:
            self.examine(f"{label}: standard output", done.stdout)
        for child in children:
            if answers and child.startswith(b"environ"):  # what `exec` is for
                continue
            self.examine(f"{label}: child's {child.partition(bytes(1))[0].decode()}", child)
        return done

    def examine(self, where: str, said: str | bytes, *, on_screen: bool = True) -> None:
        """Search what was said."""
        octets = said if isinstance(said, bytes) else said.encode("utf-8", "surrogateescape")
        self.octets += len(octets)
        secrets = (
            self.secrets.hidden if on_screen else {**self.secrets.hidden, **self.secrets.on_screen}
        )
        self.leaks += [f"{where}: {name}" for name in sorted(found_in(octets, secrets))]

    def search_files(self) -> None:
        """Search every file there is; the user's own settings hold the client's secret."""
        self.learn()
        for path in sorted(self.world.place.rglob("*")):
            if not path.is_file() or path == self.world.config / "config.toml":
                continue
            self.examine(
                str(path.relative_to(self.world.place)), path.read_bytes(), on_screen=False
            )
            self.examine("a name", path.name, on_screen=False)


@pytest.fixture
def day(world: World, server: AuthorizationServer) -> Day:
    return Day(world, server)


@pytest.mark.parametrize("courier", ["inline", "fork", "spawn"])
def test_requests_of_a_courier_are_shown_without_their_secrets(day: Day, courier: str) -> None:
    """With -vv, also those that carry code, refresh token and client secret in another process."""
    day.world.extra["STAYFAST_COURIER"] = courier
    for words, grant in (
        (("login", "secretive", "--via", "loopback"), "authorization_code"),
        (("refresh", "secretive"), "refresh_token"),
    ):
        done = day.run(*words, "-vv")
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(f"grant_type={grant}") == 1
        assert "< 200 after" in done.stderr.partition(f"grant_type={grant}")[2]
        assert "> POST" not in day.run(*words, "-v").stderr
    assert day.leaks == []


def faults(secret: str, everything: bool) -> Iterable[Fault]:
    """What may be wrong with a token response; some of it quotes what it was sent."""
    quoting = {"error": "invalid_grant", "error_description": f"unknown token {secret}"}
    yield Fault(kind=FaultKind.MALFORMED)
    yield Fault(kind=FaultKind.MEMBERS, members={"id_token": "canary-no-id-token"})
    yield Fault(kind=FaultKind.MEMBERS, members={"access_token": ["canary-in-a-list"]})
    if everything:
        for kind in FaultKind:
            if kind not in {FaultKind.CALLBACK, FaultKind.ERROR, FaultKind.MEMBERS}:
                yield Fault(kind=kind, seconds=0.05)
        yield Fault(kind=FaultKind.MEMBERS, members={"access_token": None})
        yield Fault(kind=FaultKind.MEMBERS, members={"refresh_token": {"canary": "in-an-object"}})
        yield Fault(kind=FaultKind.MEMBERS, members={"expires_in": "canary-lifetime"})
        yield Fault(kind=FaultKind.ERROR, members={"error": "invalid_client"}, status=401)
        yield Fault(kind=FaultKind.ERROR, members={"error": secret}, status=400)
    yield Fault(kind=FaultKind.ERROR, members=quoting, status=400)


@pytest.mark.parametrize("everything", HOW_MUCH)
def test_no_secret_is_left_anywhere(day: Day, everything: bool) -> None:
    """Whatever goes wrong, secrets are in sealed records, in answers that were asked for, nowhere else."""
    for literal in ("canary-no-id-token", "canary-in-a-list", "in-an-object"):
        day.secrets.hidden[literal] = "a member of a token response"
    # sign in, every way
    assert day.run("login", "secretive", "--via", "loopback", "-vv").returncode == 0
    begun = day.run("login", "demo", "--start", "--via", "manual", "--json")
    assert begun.returncode == 3, begun
    (waiting,) = (login for login in day.world.logins() if login.pending)
    callback = user_agent.fetch_only(day.world.assembly.conductor.address(waiting))
    wrong = user_agent.tampered(callback, state="canary-of-another-login")
    day.run("resume", waiting.short_id, "--callback-url", "-", "-vv", stdin=wrong)
    assert (
        day.run("resume", waiting.short_id, "--callback-url", "-", stdin=callback).returncode == 0
    )
    day.run("login", "demo", "--account", "b", "--start", "--via", "device", "-vv")
    # look at it, every way
    day.run("status", "-vv")
    day.run("list", "--json")
    day.run("audit", "show", "--json")
    assert day.run("token", "secretive", answers=True).returncode == 0
    assert day.run("exec", "secretive", "--", "sleep", "0.05", answers=True).returncode == 0
    if everything:
        for words in (
            ("status", "--check"), ("list",), ("audit", "show"), ("provider", "list"),
            ("provider", "show", "secretive"), ("provider", "show", "secretive", "--json"),
            ("diagram", "--login", waiting.short_id), ("token", "nobody", "-vv"), ("cancel", "-vv"),
        ):  # fmt: skip
            day.run(*words)
        for form in ("header", "json", "env", "fish", "powershell"):
            day.run("token", "secretive", "--format", form, answers=True)
    # let the provider misbehave at every refresh, and at the sign-in that follows
    for fault in list(faults(refresh_token(day), everything)):
        day.server.misbehave("token", fault, times=2)
        day.run("refresh", "secretive", "-vv")
        day.server.behave()
        if everything:
            day.server.misbehave("token", fault, times=2)
            day.run("login", "secretive", "--via", "loopback", "--new", "-vv")
            day.server.behave()
    day.run("login", "secretive", "--via", "loopback", "--new")
    embed(day)
    # let the disk be full when the answer comes, at several moments of the saving
    size = (day.world.state / "vault.db").stat().st_size // 512
    for blocks in range(0, size + 8, 8) if everything else (0, 24):
        day.run("refresh", "secretive", "-vv", blocks=blocks)
    # let the vault be torn
    database = day.world.state / "vault.db"
    octets = database.read_bytes()
    for position in range(100, len(octets), len(octets) // (40 if everything else 2)):
        torn = bytearray(octets)
        torn[position : position + 64] = bytes(64)
        database.write_bytes(torn)
        day.run("token", "secretive", "-vv", answers=True)
        day.run("status", "-vv")
    database.write_bytes(octets)
    # sign out, with a provider that does not answer
    day.server.misbehave("revoke", Fault(kind=FaultKind.ERROR_500), times=None)
    day.run("logout", "--all", "-vv")
    day.search_files()
    kinds = sorted(set(day.secrets.hidden.values()) | set(day.secrets.on_screen.values()))
    print(f"\n{day.runs} runs, {day.octets} octets searched for "
          f"{len(day.secrets.hidden) + len(day.secrets.on_screen)} secrets ({', '.join(kinds)}): "
          f"{len(day.leaks)} found")  # fmt: skip
    assert {"code", "access token", "refresh token", "ID token", "verifier", "state", "nonce",
            "device code", "client secret"} <= set(kinds)  # fmt: skip
    assert day.leaks == []


def refresh_token(day: Day) -> str:
    """The refresh token the next refresh will send."""
    login = day.world.assembly.conductor.refresh.find("secretive", "default")
    assert login.tokens is not None
    assert login.tokens.refresh_token is not None
    return login.tokens.refresh_token


def embed(day: Day) -> None:
    """A program of somebody else's: its debug log, its tracebacks, what it prints of our objects."""
    log = day.world.place / "debug.log"
    handler = logging.FileHandler(log)
    # the server is in this process too; what it logs is no client's doing
    handler.addFilter(lambda record: not record.name.startswith("authlib"))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        service = OAuthService(assembly=day.world.assembly)
        for fault in faults(refresh_token(day), everything=True):
            day.server.misbehave("token", fault, times=2)
            answer = service.get_bearer_token("secretive")
            refreshed = service.refresh_tokens("secretive")
            day.server.behave()
            day.learn()
            for returned in (answer, refreshed):
                if isinstance(returned, Failure):
                    day.examine("a failure", f"{returned} {returned!r}")
            try:
                day.world.assembly.conductor.refresh.valid("secretive", "default", force=True)
            except StayfastError as error:
                text = "".join(traceback.format_exception(error))
                day.examine("a traceback", f"{text} {error!r} {error} {error.__dict__}")
        for login in day.world.logins():
            shown = f"{login} {login!r} {login.tokens} {login.challenge} {login.summary()}"
            day.examine("a repr", shown, on_screen=False)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


@pytest.mark.parametrize("around", ["", "x", "user:", "longer than three"])
def test_the_search_finds_what_is_hidden_well(around: str) -> None:
    """A secret inside other text is found in the base64 of that text, whatever comes before it."""
    secret = "canary/with+odd=signs~0123"
    text = f"{around}{secret}{around}".encode()
    for spelt in (base64.b64encode(text), base64.urlsafe_b64encode(text), text.hex().encode()):
        assert found_in(b"..." + spelt + b"...", {secret: "it"}) == {"it"}
        assert any(spelling in spelt for spelling in spellings(secret))


def test_the_watcher_sees_arguments_and_environments() -> None:
    """What a child is given is seen, also by the child of a child."""
    with watching_children() as seen:
        subprocess.run(
            ["sh", "-c", "sh -c 'sleep 0.2; : canary-argument'; :"],
            env={"PATH": os.environ["PATH"], "CANARY": "canary-variable"}, check=True,
        )  # fmt: skip
    assert any(b"canary-argument" in one and one.startswith(b"cmdline") for one in seen)
    assert any(b"canary-variable" in one for one in seen)


def test_a_leak_into_a_file_is_found(day: Day) -> None:
    """A code that were left in a file would be found there."""
    day.run("login", "demo", "--via", "loopback")
    code = next(iter(day.server.state.codes))
    Path(day.world.state, "left").write_text(f"?code={code}")
    day.search_files()
    assert day.leaks == ["state/left: code"]
