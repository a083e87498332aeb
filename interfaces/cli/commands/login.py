"""``login``, ``resume``, ``cancel``: the commands that begin, continue and end a login."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import click

from ....engine.errors import (
    CallbackRefused,
    ConfigInvalid,
    LoginPending,
    StayfastError,
    TransportUnavailable,
)
from ....engine.hints import Hint
from ....engine.oauth.login_wishes import challenged
from ....engine.oauth.pushed_request import require_pushable
from ....engine.record import DEFAULT_TIMEOUT, TokensNotSaved
from ....engine.table import State
from ....transports.browser import SystemBrowser
from ....transports.choice import Choice, Environment, choose
from ....transports.terminal.answers import piped_answer
from ....transports.terminal.standard_input import at_terminal
from ...couriers.signals import signals_as_interrupts
from ...resource_logins import is_address, read_challenge
from ...transport_maker import RESOLVED, SilentConversation, TransportMaker
from ..accounts import account_to_sign_in, offered_provider, require_known
from ..app import App
from ..command_line import Duration, takes_app
from ..explain import Explainer
from ..first_contact import with_client
from ..follower import LoginFollower, StreamingConversation
from ..grant_options import grant_wishes, login_grant_options, piped_text
from ..login_messages import (
    already_signed_in,
    exit_if_kept_nowhere,
    keep_trying_to_save,
    login_members,
    offer_to_replace,
    show_paused,
    show_signed_in,
    show_started,
)
from ..login_options import VIA, wish_options, wishes_of
from ..terminal.formatting import span
from ..terminal.keys import LoginKeys
from ..terminal.screens import LoginScreen

if TYPE_CHECKING:
    from ....engine.flows.logins import Started
    from ....engine.oauth.provider import OAuthConfig
    from ....engine.oauth.www_authenticate import AuthChallenge
    from ....engine.ports import Conversation
    from ....engine.record import Login
    from ....engine.summary import Summary
    from ...assembly import Assembly

_OTHER_WAY: Final = re.compile(r"choose with --via (\w+)")  # how a transport says it


@click.command()
@click.argument("provider", required=False)
@click.option(
    "--via",
    type=VIA,
    default=None,
    envvar="STAYFAST_VIA",
    help="How the provider's answer reaches this command.",
)
@click.option(
    "--account", default=None, help="The name to keep the login under; default, or what you chose."
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="Request this scope instead of the configured ones; repeatable.",
)
@click.option("--client-id", default=None, help="The client id, if none is configured.")
@click.option("--no-browser", is_flag=True, help="Show the address; start no browser.")
@click.option(
    "--qr",
    type=click.Choice(["auto", "always", "never"]),
    is_flag=False,
    flag_value="always",
    default="auto",
    help="Show a QR code with the device flow.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default=DEFAULT_TIMEOUT,
    help="How long to wait for you, such as 10m.",
)
@click.option(
    "--start", is_flag=True, help="Begin, print what to do, and exit; finish with resume."
)
@click.option("--new", is_flag=True, help="Sign in anew even if already signed in.")
@click.option(
    "--replace",
    is_flag=True,
    help="Like --new; replace the account's login even if another person signs in, or at another "
    "server.",
)
@click.option(
    "--with-token",
    is_flag=True,
    help="Keep the token on standard input as the login: a token alone, or a token response in JSON.",
)
@click.option("--explain", is_flag=True, help="Show the protocol step by step, without secrets.")
@click.option(
    "--issuer", default=None, help="Which authorization server, where a resource lists several."
)
@click.option(
    "--challenge",
    default=None,
    metavar="HEADER",
    help="The WWW-Authenticate header with which an API refused the present token; - reads it from "
    "standard input.",
)
@wish_options
@login_grant_options
@takes_app
def login(
    app: App,
    /,
    *,
    provider: str | None,
    via: str | None,
    account: str | None,
    scopes: tuple[str, ...],
    client_id: str | None,
    no_browser: bool,
    qr: str,
    timeout: float,
    start: bool,
    new: bool,
    replace: bool,
    with_token: bool,
    explain: bool,
    issuer: str | None,
    challenge: str | None,
    resource_only: bool = False,
    **given: Any,
) -> None:
    """Sign in to PROVIDER, a name from `stayfast provider list`, or an address.

    An address is that of a resource, such as an MCP server, or of an issuer. Without PROVIDER, a
    terminal offers those that you configured or are signed in to.
    """
    terminal = app.terminal
    provider = provider or offered_provider(app)
    if with_token:
        from ..login_with_token import keep_token  # noqa: PLC0415  few logins are one

        keep_token(app, provider, account, make_room=new or replace)
        return
    decided: list[Choice] = []
    follower = LoginFollower(
        terminal,
        stream=False,
        heading=lambda begun: _announce(app, begun, decided[0] if decided else None),
    )
    assembly = app.assembly([follower, *_explaining(app, explain)])
    if app.environ.get("STAYFAST_TOKEN", "").strip():
        terminal.say("STAYFAST_TOKEN is set in this shell and will be used instead", mark="warn")
    wanted = [scope for given in scopes for scope in given.split()] or None
    account = account_to_sign_in(app, provider, account)
    refused = _challenge(challenge)
    wishes = challenged({**wishes_of(given), **grant_wishes(given)}, refused)
    if not is_address(provider) and refused is not None and wanted is None:
        wanted = list(assembly.stepped_up(provider, account, refused) or ()) or None

    def configure() -> OAuthConfig:
        if not is_address(provider):
            require_known(app, provider)
            return assembly.config(
                provider, client_id=client_id, scopes=wanted, via=via or "auto", **wishes
            )
        found = assembly.resource_logins.config(
            provider,
            client_id=client_id,
            scopes=wanted,
            via=via or "auto",
            issuer=issuer,
            challenge=refused,
            account=account,
            resource_only=resource_only,
            wishes=wishes,
            say=lambda line: terminal.detail(f"  {line}"),
            warn=lambda line: terminal.say(line, mark="warn"),
        )
        return assembly.wished(found, wishes)

    with terminal.working(f"asking {provider} where to sign in"):
        config = with_client(app, provider, configure)
    if not (new or replace or start or refused) and already_signed_in(app, config, account):
        return
    if config.needs_no_user:
        _ask_without_user(app, follower, config, account=account, start=start, replace=replace)
        return
    choice = choose(Environment.current(config, via))
    decided.append(choice)
    _require_pushable(config, choice, account, asked=given["par"] == "required")
    pastes = choice.transport == "manual" and not at_terminal()
    in_two_steps = start or choice.two_step or pastes
    follower.streams = terminal.json and not in_two_steps
    terminal.detail(f"  via {choice.transport}: {choice.reason} (row {choice.row})")
    screen = LoginScreen(terminal, qr=qr)
    follower.on_step = screen.step
    conversation: Conversation = screen
    if terminal.json:
        conversation = StreamingConversation(screen, follower, terminal)
    maker = _maker(app, assembly, screen, follower, conversation, open_browser=not no_browser)
    taken = [one.id for one in assembly.open_logins()]
    if in_two_steps:
        via_name = "manual" if choice.transport == "loopback" else choice.transport
        quiet = TransportMaker(assembly, SilentConversation(), open_browser=False)
        started = _pointing(
            follower,
            lambda: assembly.resource_logins.once_more(
                config,
                configure,
                lambda config: assembly.conductor.start(
                    config,
                    quiet.make(via_name),
                    account=account,
                    timeout=timeout,
                    taken=taken,
                    replaces=replace,
                ),
            ),
        )
        show_started(app, started, via_name)
        sys.exit(LoginPending.exit_code)
    transport = maker.make(_at_terminal(choice.transport))
    finish(
        app,
        follower,
        screen,
        lambda: assembly.resource_logins.once_more(
            config,
            configure,
            lambda config: assembly.conductor.sign_in(
                config,
                transport,
                account=account,
                timeout=timeout,
                taken=taken,
                replaces=replace,
            ),
        ),
        account=account,
    )


def _require_pushable(config: OAuthConfig, choice: Choice, account: str, *, asked: bool) -> None:
    """Make sure that a request which must be pushed can be, before a login begins.

    Args:
        config: The provider and the client.
        choice: How the answer comes back.
        account: Whose login it is.
        asked: Whether this login asks for it, and not the provider's settings.

    Raises:
        ConfigMissing, TransportUnavailable: It cannot be pushed.
        ConfigInvalid: This login asks for it in vain.
    """
    if choice.transport != "device":
        require_pushable(config)
    elif asked:
        options = ("--via", "manual", "--par", "required")
        raise ConfigInvalid(
            "--par required has no part in the device flow, which pushes no request",
            hint=Hint("login", config.service_name, *options, account=account),
        )


def _pointing(follower: LoginFollower, begin: Callable[[], Started]) -> Started:
    """What ``begin`` gives; an error of it points at the login that it is about."""
    try:
        return begin()
    except TransportUnavailable as error:
        _point_at(error, follower.login)
        raise


def _ask_without_user(
    app: App,
    follower: LoginFollower,
    config: OAuthConfig,
    *,
    account: str,
    start: bool,
    replace: bool,
) -> None:
    """Ask for the tokens of ``account`` by a grant that needs no user.

    Raises:
        ConfigInvalid: It was to be begun only, and nobody would finish it.
    """
    if start:
        raise ConfigInvalid(
            f"the grant {config.grant} needs no user: there is nothing to finish later",
            hint=Hint("login", config.service_name),
        )
    assembly = app.assembly()
    follower.streams = app.terminal.json
    taken = [one.id for one in assembly.open_logins()]
    finish(
        app,
        follower,
        LoginScreen(app.terminal),
        lambda: assembly.conductor.userless.ask(
            config, account=account, taken=taken, replaces=replace
        ),
        account=account,
    )


@click.command()
@click.argument("login_id", metavar="[LOGIN]", required=False)
@click.option("--via", type=VIA, default=None, help="Use another transport for the answer.")
@click.option(
    "--callback-url",
    default=None,
    help="The address you landed on; - reads it from standard input.",
)
@click.option("--no-browser", is_flag=True, help="Show the address; start no browser.")
@click.option(
    "--timeout",
    type=Duration(),
    default=DEFAULT_TIMEOUT,
    help="How long to wait, if the login must start anew.",
)
@click.option("--explain", is_flag=True, help="Show the protocol step by step, without secrets.")
@takes_app
def resume(
    app: App,
    *,
    login_id: str | None,
    via: str | None,
    callback_url: str | None,
    no_browser: bool,
    timeout: float,
    explain: bool,
) -> None:
    """Continue a saved login. Without LOGIN, the only one that is open."""
    terminal = app.terminal
    follower = LoginFollower(terminal, stream=False)
    explaining = _explaining(app, explain)
    assembly = app.assembly([follower, *explaining])
    summary = assembly.chosen(login_id)
    saved = assembly.storage.read(summary.id)
    follower.login = saved
    for explainer in explaining:
        explainer.start_from(saved)
    before = summary.transport or (saved.config.via if saved else "auto")
    screen = LoginScreen(terminal, resumed_from=before)
    follower.on_step = screen.step
    if callback_url is not None:
        text = _callback_text(app, callback_url, summary.short_id)
        finish(
            app,
            follower,
            screen,
            lambda: assembly.conductor.answer(text, login_id=summary.id, by="manual"),
            account=summary.account,
        )
        return
    ago = span(assembly.clock.now() - summary.created_at)
    dot = terminal.symbol("dot")
    terminal.say(
        f"Resuming login {summary.short_id} {dot} {summary.provider} {dot} {summary.state.value} "
        f"{dot} started {ago} ago",
        style="bold",
    )
    terminal.say("")
    maker = _maker(app, assembly, screen, follower, screen, open_browser=not no_browser)
    names = _ways_on(summary, via or before, asked=via is not None)
    transports = [maker.make(name) for name in names]
    finish(
        app,
        follower,
        screen,
        lambda: assembly.conductor.resume(summary.id, transports, timeout=timeout),
        account=summary.account,
    )


@click.command()
@click.argument("login_id", metavar="[LOGIN]", required=False)
@takes_app
def cancel(app: App, *, login_id: str | None) -> None:
    """Forget a saved login that is not finished."""
    assembly = app.assembly()
    chosen = assembly.chosen(login_id)
    cancelled = assembly.conductor.cancel(chosen.id)
    if app.terminal.json:
        app.terminal.answer_json("login/1", login_members(cancelled))
    app.terminal.say(
        f"Login {cancelled.short_id} to {cancelled.provider} is forgotten", mark="good"
    )


def finish(
    app: App,
    follower: LoginFollower,
    screen: LoginScreen,
    work: Callable[[], Login],
    *,
    account: str,
) -> None:
    """Run ``work`` to the end of the login of ``account``, or to a pause that can be resumed."""
    terminal = app.terminal
    try:
        with signals_as_interrupts():
            try:
                done = work()
            except TokensNotSaved as error:
                screen.close()
                done = keep_trying_to_save(app, error)
    except KeyboardInterrupt:
        screen.close()
        _pause(app, follower)
    except StayfastError as error:
        screen.close(void=follower.login is not None and follower.login.state is State.IDLE)
        _point_at(error, follower.login)
        follower.finished(error.exit_code)
        raise
    finally:
        screen.close()
    done = offer_to_replace(app, done, account)
    show_signed_in(app, done, account)
    if terminal.json:
        if follower.streams:
            follower.finished(TokensNotSaved.exit_code if app.tokens_kept_nowhere else 0)
        else:
            terminal.answer_json("login/1", login_members(done))
    exit_if_kept_nowhere(app)


def _point_at(error: StayfastError, login: Login | None) -> None:
    """Give ``error`` a hint that is a whole command about ``login``."""
    if login is None:
        return
    if error.hint is not None and (way := _OTHER_WAY.match(error.hint)):
        error.hint = (
            Hint("resume", None, "--via", way[1], login=login.short_id)
            if login.pending
            else Hint("login", login.provider, "--via", way[1], account=login.account)
        )
    elif (
        login.pending
    ):  # what was pasted is no answer, or no answer came: the login goes on waiting
        pastes = isinstance(error, CallbackRefused)
        again = Hint("resume", None, *(("--callback-url", "-") if pastes else ()))
        error.hint = (error.hint or again).of_login(login.short_id)


def _pause(app: App, follower: LoginFollower) -> NoReturn:
    saved = app.assembly().storage.read(follower.login.id) if follower.login else None
    if saved is not None:
        show_paused(app, saved)
    else:
        app.terminal.end_line()
        app.terminal.say("interrupted before the login began", mark="warn")
    follower.finished(130)
    sys.exit(130)


def _maker(
    app: App,
    assembly: Assembly,
    screen: LoginScreen,
    follower: LoginFollower,
    conversation: Conversation,
    *,
    open_browser: bool,
) -> TransportMaker:
    """Transports that react to the keys of this terminal while they wait."""
    browser = SystemBrowser(app.environ)
    keys = LoginKeys(app.terminal, screen, follower, browser, app.environ)
    maker = TransportMaker(
        assembly,
        conversation,
        answers=keys.answers,
        keys=keys.source,
        browser=browser,
        open_browser=open_browser,
    )
    keys.make = maker.make
    return maker


def _explaining(app: App, wanted: bool) -> list[Explainer]:  # noqa: FBT001  a flag as it was given
    """The observer of ``--explain``, if it was given; it prints its last line when the command ends."""
    if not wanted:
        return []
    explainer = Explainer(app.terminal)
    click.get_current_context().call_on_close(explainer.finish)
    return [explainer]


def _challenge(header: str | None) -> AuthChallenge | None:
    """The challenge in the header that was given, or that stands on standard input.

    Raises:
        ConfigInvalid: It has no Bearer challenge.
    """
    return read_challenge(piped_text() if header == "-" else header)


def _announce(app: App, login: Login, choice: Choice | None) -> None:
    """Say which login has begun; and why this transport, unless it is the usual one."""
    terminal = app.terminal
    host = urlsplit(login.config.auth_url or login.config.token_url).hostname
    where = f"{login.provider} ({host}) {terminal.symbol('dot')} login {login.short_id}"
    terminal.say(f"Signing in to {where}", style="bold")
    by_device = choice is not None and choice.transport == "device"
    if login.config.pkce == "off" and not by_device:
        terminal.say(
            f"{login.config.title} is set to sign in without PKCE (RFC 7636): whoever sees the code"
            " in a browser's address could use it",
            mark="warn",
        )
    if choice is not None and choice.transport != "loopback" and choice.row > 1:
        terminal.say(f"{choice.reason[:1].upper()}{choice.reason[1:]}.")
    terminal.say("")


def _at_terminal(name: str) -> str:
    """The transport to use for ``name``: at a terminal the listener takes pasted addresses, too."""
    return "racing" if name == "loopback" and at_terminal() else name


def _ways_on(login: Summary, name: str, *, asked: bool) -> list[str]:
    """The transports to go on with, the preferred one first."""
    name = RESOLVED.get(name, name)
    terminal = at_terminal()
    if name == "loopback":
        return ["racing"] if terminal else ["loopback"]
    waits = login.state is not State.EXCHANGING
    if name == "manual" and not terminal and not asked and waits:
        raise LoginPending(
            f"login {login.short_id} waits for the address its user lands on",
            hint=Hint("resume", None, "--callback-url", "-", login=login.short_id),
        )
    return [name]


def _callback_text(app: App, callback_url: str, login: str) -> str:
    if callback_url != "-":
        app.terminal.say("other users can see arguments with ps; - reads the address", mark="warn")
        return callback_url
    try:
        text = piped_answer().read(0)
    except TransportUnavailable as error:
        error.hint = error.hint.of_login(login) if error.hint is not None else None
        raise
    return text.reveal() if text is not None else ""
