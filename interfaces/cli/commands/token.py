"""``token``, ``refresh``, ``exec``: the commands that use a signed-in account."""

from __future__ import annotations

import errno
import shlex
import sys
from typing import TYPE_CHECKING

import click

from ....engine.errors import AuthRequired, ConfigInvalid, ConfigMissing, NotFound, TokenExpired
from ....engine.hints import Hint
from ....engine.oauth.request_proofs import resource_headers
from ....engine.oauth.token_endpoint import bearer_token, further_token
from ....engine.oauth.token_extras import api_url, tokens_for
from ....engine.oauth.tokens import DEFAULT_BUFFER
from ...json_text import document_of
from ..accounts import ACCOUNT_HELP, account_to_sign_in, account_to_use
from ..app import App
from ..command_line import Duration, takes_app
from ..login_messages import exit_if_kept_nowhere
from ..refreshing import refreshed, show_refresh
from ..replacing import replace_process
from ..terminal.formatting import span
from ..token_forms import SCROLLBACK_NOTE, json_of_members, json_of_token, text_of

if TYPE_CHECKING:
    from ....engine.oauth.tokens import OAuthTokens
    from ....engine.record import Login

FORMATS = ["raw", "header", "json", "env", "fish", "powershell", "dpop"]


@click.command()
@click.argument("provider", required=False)
@click.argument("request_line", metavar="[METHOD URL]", nargs=-1)
@click.option("--account", default=None, help=ACCOUNT_HELP)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="raw", help="How to print the token."
)
@click.option(
    "--min-ttl",
    type=Duration(),
    default=60.0,
    help="How long the token must still last, such as 5m.",
)
@click.option(
    "--resource",
    default=None,
    help="Another token of the same sign-in, by the name that `status` shows (Globus).",
)
@click.option("--no-refresh", is_flag=True, help="Use the stored token only.")
@click.option("--nonce", default=None, help="What the API wants in a proof (--format dpop).")
@click.option("--login", "sign_in", is_flag=True, help="Sign in first if necessary.")
@takes_app
def token(
    app: App,
    *,
    provider: str | None,
    account: str | None,
    form: str,
    min_ttl: float,
    resource: str | None,
    no_refresh: bool,
    sign_in: bool,
    request_line: tuple[str, ...],
    nonce: str | None,
) -> None:
    """Print an access token, refreshed if necessary. Opens a browser only with --login.

    With --format dpop METHOD URL, the headers of one request: of a token that is bound to a key, one
    is a proof, good for that request alone.
    """
    if form == "dpop" and len(request_line) == 1 and provider is not None:
        request_line, provider = (provider, request_line[0]), None
    if (form == "dpop") != (len(request_line) == 2) or (request_line and form != "dpop"):
        raise click.UsageError("--format dpop takes METHOD and URL, and no other format does")
    chosen = "json" if app.terminal.json else form
    if form == "dpop" and resource is not None:
        raise click.UsageError(
            "--format dpop is for the first token of a login, not for --resource"
        )
    given = _from_environment(app)
    if given:
        if chosen == "json":
            members = {"provider": provider, "account": None, "access_token": given}
            _print_secret(app, json_of_members({**members, "token_type": "Bearer"}))
        else:
            _print_secret(app, text_of(chosen, given))
        return
    name = provider if sign_in and provider is not None else app.only_provider(provider)
    try:
        used = account_to_use(app, name, account)
        found, further = _wanted(app, name, used, resource, min_ttl, refresh=not no_refresh)
    except AuthRequired:
        if not sign_in:
            raise
        account = account_to_sign_in(app, name, account)
        # an App of its own, without JSON: its events must not mix with the answer, which is a token
        apart = App({**app.options, "as_json": False})
        from .login import login as login_command  # noqa: PLC0415  screens, for who wants them

        with click.Context(login_command, info_name="login", obj=apart) as context:
            context.invoke(login_command, provider=name, account=account)
        found, further = _wanted(app, name, account, resource, min_ttl, refresh=True)
    if form == "dpop":
        _print_headers(app, found, request_line, nonce)
    else:
        _print(app, found, chosen, further)
    _announce_short_life(app, found, further or found.tokens, min_ttl)
    exit_if_kept_nowhere(app)


def _wanted(
    app: App, name: str, account: str, resource: str | None, min_ttl: float, *, refresh: bool
) -> tuple[Login, OAuthTokens | None]:
    """A login whose token serves, or the token for ``resource`` that came with it; it is not refreshed."""
    if resource is not None:
        login = app.assembly().conductor.refresh.find(name, account)
        tokens = login.tokens
        if tokens is None or tokens_for(login.config, tokens, resource) is not tokens:
            now = app.assembly().clock.now()
            return login, further_token(login, resource, now, min_ttl)
    return _valid(app, name, account, min_ttl, refresh=refresh), None


def _announce_short_life(
    app: App, login: Login, tokens: OAuthTokens | None, min_ttl: float
) -> None:
    """Say that the token does not last as long as it was asked to, because none does."""
    end = tokens.expires_at if tokens else None
    left = min_ttl if end is None else end - app.assembly().clock.now()
    if left < min_ttl and min_ttl > DEFAULT_BUFFER:
        lasts = span(tokens.expires_in or 0.0) if tokens else ""
        app.terminal.say(
            f"this token lasts {span(max(left, 0.0))} more, not {span(min_ttl)}: "
            f"{login.provider} issues tokens for {lasts}",
            mark="warn",
        )


def _valid(app: App, name: str, account: str, min_ttl: float, *, refresh: bool) -> Login:
    finished = app.assembly().conductor.refresh
    if refresh:
        with app.terminal.working(f"asking {name} for a fresh token"):
            return refreshed(app, name, account, min_ttl, force=False)
    found = finished.find(name, account)
    if not finished.usable(found.summary(), min_ttl):
        raise TokenExpired(
            f"the access token for {name} does not last {span(min_ttl)} more",
            hint=Hint("refresh", name),
        )
    return found


def _from_environment(app: App) -> str | None:
    """The token of ``STAYFAST_TOKEN``, announced."""
    given = app.given_token()
    if given is not None:
        app.terminal.say("STAYFAST_TOKEN is set and used instead of a stored login", mark="warn")
    return given


def _print_headers(
    app: App, login: Login, request_line: tuple[str, ...], nonce: str | None
) -> None:
    """Print the headers of one request, as curl reads them from a file (``-H @-``)."""
    method, url = request_line
    headers = resource_headers(app.assembly().prover, login, method, url, nonce=nonce)
    if app.terminal.json:
        members = {"provider": login.provider, "headers": headers}
        _print_secret(app, document_of("token.headers/1", members))
        return
    _print_secret(app, "\n".join(f"{name}: {value}" for name, value in headers.items()))


def _print(app: App, login: Login, form: str, further: OAuthTokens | None) -> None:
    tokens = further or login.tokens
    secret = further.access_token if further else bearer_token(login)
    if form == "json":
        answer = json_of_token(
            provider=login.provider,
            account=login.account,
            token=secret,
            token_type=tokens.token_type if tokens else "Bearer",
            expires_at=tokens.expires_at if tokens else None,
            scopes=tokens.scopes if tokens else (),
            api_url=api_url(login.config, tokens) if tokens else None,
        )
    else:
        answer = text_of(form, secret)
    _print_secret(app, answer)


def _print_secret(app: App, text: str) -> None:
    app.terminal.answer_document(text)
    if sys.stdout.isatty():
        sys.stderr.write(SCROLLBACK_NOTE)
        sys.stderr.flush()


@click.command()
@click.argument("provider", required=False)
@click.option("--account", default=None, help=ACCOUNT_HELP)
@takes_app
def refresh(app: App, *, provider: str | None, account: str | None) -> None:
    """Refresh the token now, even if it is still valid."""
    show_refresh(app, provider=provider, account=account)


class _Exec(click.Command):
    """Takes its own options before and after PROVIDER; what follows them is the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the options first: click would read those after PROVIDER as the command."""
        flags = {
            name: option.is_flag or option.count
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in option.opts
        }
        options: list[str] = []
        provider: list[str] = []
        rest = list(args)
        while rest and rest[0] != "--":
            word = rest[0]
            if word.startswith("-"):
                takes_value = "=" not in word and not flags.get(word, True)
                options += rest[: 1 + takes_value]
                del rest[: 1 + takes_value]
            elif provider:
                break
            else:
                provider.append(rest.pop(0))
        return super().parse_args(ctx, [*options, *provider, *rest])


class _CommandNotFound(NotFound):
    """The command of ``exec`` does not exist; the exit status is that of ``env`` and ``nohup``."""

    exit_code = 127


class _CommandNotRun(ConfigInvalid):
    """The command of ``exec`` cannot be run; the exit status is that of ``env`` and ``nohup``."""

    exit_code = 126


def _check_variable(name: str, hint: str) -> None:
    if not (name.isascii() and name.isidentifier()):
        raise ConfigInvalid(f"{name!r} is not the name of a variable", hint=hint)


@click.command("exec", cls=_Exec, context_settings={"allow_interspersed_args": False})
@click.argument("provider")
@click.option("--var", default="ACCESS_TOKEN", show_default=True, help="The variable it is put in.")
@click.option(
    "--api-url-var",
    "url_var",
    default=None,
    metavar="TEXT",
    help="A variable for the address of the API, if the provider's answer said one.",
)
@click.option("--account", default=None, help=ACCOUNT_HELP)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@takes_app
def execute(
    app: App,
    *,
    provider: str,
    var: str,
    url_var: str | None,
    account: str | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND with the token in its environment. No other program sees it.

    Salesforce and others say with the token where their API is: --api-url-var NAME hands that on.
    """
    _check_variable(var, "--var ACCESS_TOKEN")
    if url_var is not None:
        _check_variable(url_var, "--api-url-var API_URL")
        if url_var == var:
            raise ConfigInvalid(
                f"{var} cannot hold both the token and the address", hint="--api-url-var API_URL"
            )
    if command[0] == "--":
        command = command[1:]
    if not command:
        raise ConfigInvalid("no command was named", hint=Hint("exec", provider, "--", "COMMAND"))
    secret, where = _from_environment(app), None
    if secret is None:
        account = account_to_use(app, provider, account)
        login = refreshed(app, provider, account, DEFAULT_BUFFER, force=False)
        secret = bearer_token(login)
        where = api_url(login.config, login.tokens) if login.tokens else None
    if url_var is not None and where is None:
        raise ConfigMissing(
            f"no answer of {provider} said where its API is, so {url_var} has no value",
            hint=Hint("status", provider),
        )
    variables = {var: secret, **({url_var: where} if url_var and where else {})}
    app.report_failed_sinks()  # nothing of ours runs after the command has taken our place
    try:
        replace_process(command, app.environ, variables)
    except OSError as error:
        kind = _CommandNotFound if error.errno == errno.ENOENT else _CommandNotRun
        raise kind(
            f"{command[0]} cannot be run: {(error.strerror or type(error).__name__).lower()}",
            hint=Hint.note(f"command -v {shlex.quote(command[0])}"),
        ) from error
