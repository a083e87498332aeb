"""The commands of an embedding program: under its name, for click and for typer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
import typer
import typer.testing
from click.testing import CliRunner
from stayfast import (
    ErrorCode,
    Failure,
    MemoryStorage,
    OAuthService,
    commands,
    typer_commands,
)
from stayfast.engine.ports import Notice
from stayfast.interfaces.assembly import Assembly
from stayfast.interfaces.catalogue import Catalogue
from stayfast.storage.migrating import import_tokens
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.scripted_browser import ScriptedBrowser


@pytest.fixture
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer() as running:
        yield running


@pytest.fixture
def browser() -> Iterator[ScriptedBrowser]:
    with ScriptedBrowser() as browser:
        yield browser


@pytest.fixture
def service(server: AuthorizationServer, browser: ScriptedBrowser) -> OAuthService:
    providers = {name: server.config(service_name=name) for name in ("acme", "other")}
    catalogue = Catalogue(providers=providers, environ={})
    return OAuthService(
        assembly=Assembly(MemoryStorage(), catalogue), browser=browser, conversation=browser
    )


Run = Callable[..., Any]


def by_click(service: OAuthService, provider: str | None) -> Run:
    cli = click.Group("acme")
    cli.add_command(commands(service, provider=provider))
    return lambda line: CliRunner().invoke(cli, shlex.split(line), prog_name="acme")


def by_typer(service: OAuthService, provider: str | None) -> Run:
    app = typer.Typer()
    app.add_typer(typer_commands(service, provider=provider))
    runner = typer.testing.CliRunner()
    return lambda line: runner.invoke(app, shlex.split(line), prog_name="acme")


@pytest.fixture(params=[by_click, by_typer])
def acme(request: pytest.FixtureRequest, service: OAuthService) -> Run:
    """The program, whose one provider nobody has to name."""
    return request.param(service, "acme")  # type: ignore[no-any-return]


@pytest.fixture(params=[by_click, by_typer])
def many(request: pytest.FixtureRequest, service: OAuthService) -> Run:
    """The program with several providers."""
    return request.param(service, None)  # type: ignore[no-any-return]


@pytest.mark.parametrize("made", [by_click, by_typer])
@pytest.mark.parametrize("provider", ["acme", None])
def test_each_library_takes_the_group(made: Any, provider: str | None) -> None:
    """Also in the lowest version that is promised: it knows the types of all arguments."""
    helped = made(OAuthService(storage=MemoryStorage()), provider)("auth --help")
    assert helped.exit_code == 0
    assert "whoami" in helped.stdout


def test_a_user_s_whole_day(acme: Run, service: OAuthService, server: AuthorizationServer) -> None:
    """Signed in, asked who it is, given a token, signed out; answers alone are on standard output."""
    login = acme("auth login")
    assert (login.exit_code, login.stdout) == (0, "")
    assert "ada@demo.test" in login.stderr

    assert acme("auth whoami").stdout == "ada@demo.test\n"
    token = acme("auth token")
    assert token.stdout == f"{service.get_bearer_token('acme').value}\n"
    assert json.loads(acme("auth status --json").stdout) == {
        "logins": [
            {
                "provider": "acme",
                "account": "default",
                "user": "ada@demo.test",
                "status": "authenticated",
            }
        ]
    }
    assert acme("auth logout").exit_code == 0
    assert server.counts["revoked"] > 0
    assert acme("auth logout").exit_code == 0


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("auth token acme", "acme auth login acme"),
        ("auth token acme --account work", "acme auth login acme --account work"),
        ("auth token acme --account 'a b'", "acme auth login acme --account 'a b'"),
        ("auth token acme --account=-x", "acme auth login acme --account=-x"),
        ("auth whoami other", "acme auth login other"),
        ("auth status other", "acme auth login other"),
        ("auth status", "acme auth login --help"),
    ],
)
def test_advice_is_a_command_of_the_program(many: Run, line: str, advice: str) -> None:
    """Nobody is signed in: status 4, and the program's own command, which exists, as the hint."""
    told = many(line)

    assert (told.exit_code, told.stdout) == (4, "")
    assert told.stderr.splitlines()[-1] == f"hint: {advice}"
    assert many(advice.removeprefix("acme ")).exit_code == 0


def outside_click(service: OAuthService, *, nested: bool) -> Run:
    cli = click.Group("acme")
    outer = click.Group("tools") if nested else cli
    outer.add_command(commands(service, provider="acme"))
    if nested:
        cli.add_command(outer)

    @cli.command()
    def deploy() -> None:
        print(service.get_bearer_token("acme").hint)

    return lambda line: CliRunner().invoke(cli, shlex.split(line), prog_name="acme")


def outside_typer(service: OAuthService, *, nested: bool) -> Run:
    app = typer.Typer()
    outer = typer.Typer(name="tools") if nested else app
    outer.add_typer(typer_commands(service, provider="acme"))
    if nested:
        app.add_typer(outer)

    @app.command()
    def deploy() -> None:
        print(service.get_bearer_token("acme").hint)

    runner = typer.testing.CliRunner()
    return lambda line: runner.invoke(app, shlex.split(line), prog_name="acme")


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("program", [outside_click, outside_typer])
def test_another_command_of_the_program_names_the_group_s_line(
    service: OAuthService, program: Any, *, nested: bool
) -> None:
    """Nobody is signed in, says a command of the program's own: the hint is the group's, in its place."""
    ran = program(service, nested=nested)

    told = ran("deploy").stdout.strip()
    assert told == f"acme {'tools ' if nested else ''}auth login"
    assert ran(told.removeprefix("acme ")).exit_code == 0
    assert service.refresh_tokens("other").hint == "sign in to other", "no command runs now"


def test_advice_with_one_provider_does_not_name_it(acme: Run) -> None:
    """The one provider is no argument, so it is none in a hint."""
    told = acme("auth token --account work")

    assert told.stderr.splitlines()[-1] == "hint: acme auth login --account work"
    assert acme("auth login --account work").exit_code == 0
    assert acme("auth whoami --account work").exit_code == 0


def test_a_user_who_declines(acme: Run, browser: ScriptedBrowser) -> None:
    """A refusal has the status of the command, and leaves nobody signed in."""
    browser.user = "declines"

    assert acme("auth login").exit_code == 5
    assert acme("auth status").exit_code == 4


def test_a_lost_login_shows_in_the_status(
    acme: Run, service: OAuthService, server: AuthorizationServer
) -> None:
    """Where the provider refused to renew, status says so and exits with 4."""
    acme("auth login")
    server.misbehave("token", Fault(kind=FaultKind.ERROR, members={"error": "invalid_grant"}))
    service.refresh_tokens("acme")

    told = acme("auth status")
    assert told.exit_code == 4
    assert "token refresh failed" in told.stdout


@pytest.mark.parametrize("command", ["token", "login", "status", "whoami", "logout"])
def test_a_provider_that_nobody_knows(many: Run, command: str) -> None:
    """An error and a hint, and no traceback."""
    told = many(f"auth {command} nobody")
    assert told.exit_code == 1
    assert [row.partition(":")[0] for row in told.stderr.splitlines()] == ["error", "hint"]


def test_scopes_and_no_browser(acme: Run, service: OAuthService, browser: ScriptedBrowser) -> None:
    """What is asked for arrives: these scopes, and no browser."""
    assert acme("auth login --no-browser --scope openid --scope extra").exit_code == 0
    assert len(browser.addresses) == 1, "shown, not opened"
    assert service.get_tokens("acme").value.scopes == ("openid", "extra")


def test_what_a_provider_calls_its_user_is_shown_without_controls(
    acme: Run, service: OAuthService
) -> None:
    """A name cannot paint on the terminal."""
    acme("auth login")
    login = service.assembly.conductor.refresh.find("acme", "default")
    assert login.identity is not None
    assert login.tokens is not None
    painted = login.identity._replace(name="ada\x1b[2J")
    import_tokens(service.assembly.storage, login.config, login.tokens, identity=painted)

    for line in ("auth whoami", "auth status"):
        assert "\x1b" not in acme(line).stdout


class Impatient:
    """A user who presses Ctrl-C as soon as there is something to do."""

    def show(self, notice: Notice) -> None:
        del notice
        raise KeyboardInterrupt


@pytest.fixture
def paused(server: AuthorizationServer, browser: ScriptedBrowser) -> OAuthService:
    """A service of a program whose user has pressed Ctrl-C during a login."""
    catalogue = Catalogue(providers={"acme": server.config(service_name="acme")}, environ={})
    assembly = Assembly(MemoryStorage(), catalogue)
    with pytest.raises(KeyboardInterrupt) as stopped:
        OAuthService(
            assembly=assembly, conversation=Impatient(), browser=browser, app="acme"
        ).authenticate("acme", open_browser=False)
    (login,) = assembly.conductor.overview.summaries()
    assert type(stopped.value) is KeyboardInterrupt, "the class by which Python ends by the signal"
    assert vars(stopped.value)["login_id"] == login.id
    assert login.id in stopped.value.__notes__[0]
    return OAuthService(assembly=assembly, conversation=browser, browser=browser, app="acme")


@pytest.mark.parametrize("by", [by_click, by_typer])
@pytest.mark.parametrize("provider", ["acme", None])
def test_a_user_s_ctrl_c_is_no_loss(
    server: AuthorizationServer, browser: ScriptedBrowser, by: Any, provider: str | None
) -> None:
    """Ctrl-C has status 130 and names the line that goes on; that line, as printed, signs the user in."""
    catalogue = Catalogue(providers={"acme": server.config(service_name="acme")}, environ={})
    assembly = Assembly(MemoryStorage(), catalogue)
    stopped = by(
        OAuthService(assembly=assembly, conversation=Impatient(), browser=browser), provider
    )
    acme = by(OAuthService(assembly=assembly, conversation=browser, browser=browser), provider)
    named = "" if provider else " acme"

    told = stopped(f"auth login{named} --no-browser")
    (login,) = assembly.conductor.overview.summaries()
    assert (told.exit_code, told.stdout) == (130, "")
    advice = told.stderr.splitlines()[-1].removeprefix("hint: ")
    assert advice == f"acme auth resume {login.short_id}"
    assert stopped(advice.removeprefix("acme ") + " --no-browser").exit_code == 130
    assert login.short_id in acme("auth list").stdout
    assert acme(advice.removeprefix("acme ")).exit_code == 0
    assert acme("auth whoami" + named).stdout == "ada@demo.test\n"


@pytest.mark.parametrize("by", [by_click, by_typer])
def test_a_paused_login_is_forgotten(paused: OAuthService, by: Any) -> None:
    """Cancel ends the only open login; afterwards there is none, and each command says so."""
    acme = by(paused, "acme")

    assert acme("auth cancel").exit_code == 0
    assert acme("auth list").stdout == ""
    for line in ("auth cancel", "auth resume"):
        told = acme(line)
        assert told.exit_code == 1
        assert told.stderr.splitlines()[-1] == "hint: acme auth status"


@pytest.mark.parametrize("by", [by_click, by_typer])
@pytest.mark.parametrize("provider", ["acme", None])
@pytest.mark.parametrize("line", ["auth status", "auth token", "auth whoami"])
def test_a_login_that_waits_is_what_to_go_on_with(
    paused: OAuthService, by: Any, provider: str | None, line: str
) -> None:
    """Who asks for a login while one waits for its user is pointed at that one, not at a new one."""
    acme = by(paused, provider)
    (login,) = paused.logins().value
    told = acme(line if provider else f"{line} acme")
    assert (told.exit_code, told.stdout) == (4, "")
    assert told.stderr.splitlines()[-1] == f"hint: acme auth resume {login.short_id}"


def test_the_library_knows_the_login_that_waits(paused: OAuthService) -> None:
    """The hint is data: which login to go on with; that of another account is none of it."""
    (login,) = paused.logins().value
    for call in (paused.get_bearer_token, paused.get_tokens, paused.refresh_tokens):
        refused = call("acme")
        assert isinstance(refused, Failure)
        assert refused.code is ErrorCode.AUTH_REQUIRED
        assert refused.hint is not None
        assert (refused.hint.action, refused.hint.login) == ("resume", login.short_id)
        other = call("acme", account="work")
        assert isinstance(other, Failure)
        assert other.hint is not None
        assert (other.hint.action, other.hint.login) == ("login", None)


def test_who_is_signed_in_is_not_asked_again(
    acme: Run, service: OAuthService, server: AuthorizationServer
) -> None:
    """It is said, with the line that signs in anew; more scopes than there are need a new sign-in."""
    server.change(token_lifetime=1)  # it renews itself
    assert acme("auth login").exit_code == 0
    server.change(token_lifetime=3600)
    (first,) = [one.id for one in service.logins().value if one.holds_tokens]

    def current() -> str:
        (login,) = [one.id for one in service.logins().value if one.holds_tokens]
        return login

    again = acme("auth login")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "ada@demo.test" in again.stderr
    assert current() == first
    advice = again.stderr.splitlines()[-1].removeprefix("hint: ")
    assert advice == "acme auth login --new"
    assert acme(advice.removeprefix("acme ")).exit_code == 0
    second = current()
    assert second != first
    assert acme("auth login --scope openid").exit_code == 0
    assert current() == second
    assert acme("auth login --scope openid --scope more").exit_code == 0
    assert current() != second


@pytest.mark.parametrize("line", ["auth resume ZZZZ", "auth cancel ZZZZ"])
def test_a_login_that_nobody_knows(acme: Run, line: str) -> None:
    """An id that is none is an error, whose hint is a command of the group."""
    told = acme(line)

    assert (told.exit_code, told.stderr.splitlines()[-1]) == (1, "hint: acme auth list")
    assert acme("auth list").exit_code == 0


def test_a_paused_login_is_resumed_by_its_attribute(paused: OAuthService) -> None:
    """A program goes on with what Ctrl-C left."""
    (login,) = paused.logins().value
    assert paused.resume(login.id, open_browser=True).value.account == "default"
