"""``credential``: the tokens of a login for git, kubectl, docker and Bazel, each by its own protocol.

Standard output is the protocol and nothing else. Nobody is asked anything, and no browser opens: a
token is refreshed without a word, and a login that is needed is one line on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import click

from ....engine.errors import AuthRequired, StayfastError
from ....engine.hints import Hint
from ....engine.oauth.id_token import claims_of
from ....engine.oauth.token_endpoint import bearer_token
from ....engine.oauth.tokens import DEFAULT_BUFFER, printable
from ....engine.record import TokensNotSaved
from ....storage.version import app_version
from ...json_text import json_of
from ...unattended import valid_login
from ..accounts import ACCOUNT_HELP, account_to_use
from ..app import App
from ..command_line import HelpfulGroup, takes_app
from ..credential_protocols import (
    DOCKER_NOT_FOUND,
    GIT_CAPABILITY,
    USUAL_USER,
    NotAsked,
    Token,
    bazel_answer,
    bazel_server,
    docker_answer,
    docker_server,
    docker_stored,
    git_answer,
    git_question,
    git_server,
    kubernetes_answer,
    kubernetes_version,
    may_have_it,
    octets_for_git,
    server_of,
)
from ..fast import read_question

_DOCKER_USERS: Final = {"google": "oauth2accesstoken"}


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every helper."""
    for option in reversed(
        (
            click.option("--provider", required=True, help="Whose token."),
            click.option("--account", default=None, help=ACCOUNT_HELP),
        )
    ):
        command = option(command)
    return command


_urls = click.option(
    "--url",
    "urls",
    multiple=True,
    metavar="HOST",
    help="Answer for this host only; repeatable. Any https host without it.",
)
_username = click.option("--username", default=None, help="The user name beside the token.")


@click.group(cls=HelpfulGroup)
def credential() -> None:
    """Answer git, kubectl, docker and Bazel with a token. `stayfast setup` tells them to ask."""


@credential.command("git")
@_common
@_urls
@_username
@click.argument("operation", default="get")
@takes_app
def for_git(
    app: App,
    *,
    provider: str,
    account: str | None,
    urls: tuple[str, ...],
    username: str | None,
    operation: str,
) -> None:
    """Answer git as a credential helper (gitcredentials).

    get answers; store and erase do nothing, so that git cannot sign you out.
    """
    app.never_asks = True
    if operation == "capability":
        app.terminal.answer(GIT_CAPABILITY)
    if operation != "get":
        return
    try:
        question = git_question(_asked(blank_line_ends=True))
        server = git_server(question)
        if server is None:
            return
        if not may_have_it(server, urls):
            if server.scheme == "http":
                _remark(
                    f"no token is sent to {server.host} by http: everybody on the way could read it"
                )
            return
        token = _token(app, provider, account)
    except StayfastError as error:
        _remark(_in_one_line(error))
        sys.exit(error.exit_code)
    answer = git_answer(question, token, provider, username)
    app.terminal.answer_octets(octets_for_git(f"{answer}\n\n"))


@credential.command("kubectl")
@_common
@click.option(
    "--id-token",
    is_flag=True,
    help="Answer with the ID token, which clusters that trust an OpenID provider want.",
)
@click.argument("operation", default="get")
@takes_app
def for_kubectl(
    app: App, *, provider: str, account: str | None, id_token: bool, operation: str
) -> None:
    """Answer kubectl as an exec plugin (client.authentication.k8s.io/v1 and v1beta1)."""
    app.never_asks = True
    del operation
    try:
        version, interactive = kubernetes_version(app.environ)
        token = (_id_token if id_token else _token)(app, provider, account)
    except StayfastError as error:
        _remark(_in_one_line(error))
        sys.exit(error.exit_code)
    app.terminal.answer_document(
        json_of(kubernetes_answer(version, token, interactive=interactive))
    )


@credential.command("docker")
@_common
@_urls
@_username
@click.argument("operation", default="get")
@takes_app
def for_docker(
    app: App,
    *,
    provider: str,
    account: str | None,
    urls: tuple[str, ...],
    username: str | None,
    operation: str,
) -> None:
    """Answer docker as docker-credential-helpers do, with errors on standard output.

    get and list answer; store and erase do nothing, so that docker cannot sign you out.
    """
    app.never_asks = True
    user = username or _DOCKER_USERS.get(provider, USUAL_USER)
    try:
        match operation:
            case "get":
                server = docker_server(_question())
                if not may_have_it(server_of(server), urls):
                    raise AuthRequired(f"{server[:200]} is not served here")
                answer = json_of(docker_answer(server, _token(app, provider, account), user))
            case "store":
                docker_stored(_question())
                return
            case "erase":
                docker_server(_question())
                return
            case "list":
                answer = json_of(dict.fromkeys(urls, user))
            case "version":
                answer = f"docker-credential-stayfast v{app_version()}"
            case _:
                raise NotAsked(f"there is no operation {operation[:40]!r}", hint=Hint("help"))
    except NotAsked as error:
        app.terminal.answer(error.message)  # clients compare it
        sys.exit(1)
    except StayfastError as error:
        missing = isinstance(error, AuthRequired) or error.exit_code == AuthRequired.exit_code
        app.terminal.answer(DOCKER_NOT_FOUND if missing else error.message)
        _remark(_in_one_line(error))
        sys.exit(1)
    app.terminal.answer_document(answer)


@credential.command("bazel")
@_common
@_urls
@click.argument("operation", default="get")
@takes_app
def for_bazel(
    app: App, *, provider: str, account: str | None, urls: tuple[str, ...], operation: str
) -> None:
    """Answer Bazel, and others that speak its credential helper protocol."""
    app.never_asks = True
    try:
        if operation != "get":
            raise NotAsked(f"there is no operation {operation[:40]!r}", hint=Hint("help"))
        server = bazel_server(_question())
        here = server is not None and may_have_it(server, urls)
        token = _token(app, provider, account) if here else None
    except StayfastError as error:
        _remark(_in_one_line(error))
        sys.exit(error.exit_code)
    app.terminal.answer_document(json_of(bazel_answer(token)))


def _token(app: App, provider: str, account: str | None) -> Token:
    """The access token, refreshed if necessary.

    Raises:
        StayfastError: There is none without the user.
    """
    given = app.given_token()
    if given is not None:
        _remark("STAYFAST_TOKEN is set and used instead of a stored login")
        return Token(given, None)
    try:
        login = valid_login(app.assembly(), provider, account_to_use(app, provider, account))
    except TokensNotSaved as error:  # the token is good, and what is wrong is for a terminal
        _remark(_in_one_line(error))
        login = error.login
    return Token(bearer_token(login), login.tokens.expires_at if login.tokens else None)


def _id_token(app: App, provider: str, account: str | None) -> Token:
    """The ID token, refreshed if it has ended.

    Raises:
        AuthRequired: There is none, or the provider sends no new one at a refresh.
    """
    assembly = app.assembly()
    refresh = assembly.conductor.refresh
    chosen = account_to_use(app, provider, account)
    login = refresh.valid(provider, chosen)
    for again in (True, False):
        tokens = login.tokens
        text = (tokens.id_token if tokens else None) or ""
        ends = claims_of(text).get("exp")
        left = ends - assembly.clock.now() if isinstance(ends, int | float) else 0.0
        if left > DEFAULT_BUFFER and printable(text):
            return Token(text, assembly.clock.now() + left)
        if again and tokens is not None and tokens.refresh_token:  # one caller of many refreshes
            login = refresh.valid(provider, chosen, force=True, rejected=tokens.access_token)
    raise AuthRequired(
        f"{provider} gave no ID token that is still valid: the scope openid asks for one",
        hint=Hint("login", provider, "--new", account=chosen),
    )


def _question() -> str:
    """What the program says on standard input, in UTF-8.

    Raises:
        NotAsked: It cannot be read.
    """
    return _asked().decode("utf-8", "replace")


def _asked(*, blank_line_ends: bool = False) -> bytes:
    """The octets that the program says on standard input.

    Raises:
        NotAsked: They cannot be read.
    """
    if sys.stdin is None:
        return b""
    try:
        return read_question(sys.stdin.buffer, blank_line_ends=blank_line_ends)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise NotAsked(
            f"standard input cannot be read: {why}", hint=Hint("help credentials")
        ) from error


def _in_one_line(error: StayfastError) -> str:
    """An error and what to do, in one line: what runs us may show no more."""
    hint = error.hint
    if hint is None:
        return error.message
    return f"{error.message}; {'run: ' if hint.startswith('stayfast ') else ''}{hint}"


def _remark(text: str) -> None:
    click.echo(f"stayfast: {''.join(c if c.isprintable() else '?' for c in text)}", err=True)
