"""``logout``: the tokens end at the provider and here, and with ``--browser`` its session, too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ....engine.errors import AuthRequired
from ....engine.hints import Hint
from ....engine.moments import timestamp
from ....engine.oauth.token_status import RevocationOutcome
from ....transports.browser import SystemBrowser
from ....transports.loopback.transport import LoopbackTransport
from ...browser_logout import end_in_browser
from ...signed_in import revocations_of
from ...transport_maker import LineConversation
from ..accounts import ACCOUNT_HELP, whose_login
from ..app import App
from ..command_line import takes_app
from ..terminal.formatting import span

if TYPE_CHECKING:
    from ....engine.flows.logout import LogoutResult
    from ....engine.oauth.token_status import Revocation
    from ....engine.record import Login


@click.command()
@click.argument("provider", required=False)
@click.option("--account", default=None, help=ACCOUNT_HELP)
@click.option("--all", "everything", is_flag=True, help="Every account of every provider.")
@click.option(
    "--no-revoke", is_flag=True, help="Erase the tokens here without a request to the provider."
)
@click.option(
    "--browser", is_flag=True, help="End the session of your browser at the provider, too."
)
@click.option(
    "--no-browser", is_flag=True, help="With --browser: show the address; start no browser."
)
@takes_app
def logout(
    app: App,
    *,
    provider: str | None,
    account: str | None,
    everything: bool,
    no_revoke: bool,
    browser: bool,
    no_browser: bool,
) -> None:
    """Revoke the tokens at the provider, then erase them here.

    What the provider confirmed is said of each token, and nothing else. With --browser its session
    ends, too: that begins when the tokens are erased, and nothing that a browser does undoes it.
    """
    assembly, terminal = app.assembly(), app.terminal
    if everything:
        who = [
            (one.provider, one.account) for one in assembly.storage.summaries() if one.holds_tokens
        ]
    else:
        who = [_meant(app, provider, account)]
    results = [
        _sign_out(app, name, which, revoke=not no_revoke, browser=browser, opens=not no_browser)
        for name, which in who
    ]
    if app.environ.get("STAYFAST_TOKEN", "").strip():
        terminal.say(
            "STAYFAST_TOKEN is still set in this shell and will keep being used", mark="warn"
        )
    if not results:
        terminal.say("nobody was signed in")
    if terminal.json:
        terminal.answer_json("logout/1", {"logouts": results})
    if any(result["problem"] or _unended(result.get("browser")) for result in results):
        sys.exit(1)


def _meant(app: App, provider: str | None, account: str | None) -> tuple[str, str]:
    """The provider and the account to sign out of.

    Raises:
        AuthRequired: As :func:`whose_login`; the hint is what somebody wants who signs out.
        NotFound: As there.
    """
    try:
        return whose_login(app, provider, account)
    except AuthRequired as error:
        hint = error.hint
        if not isinstance(hint, Hint):
            raise
        if hint.action == "resume":
            error.hint = Hint("cancel", None, login=hint.login)
        elif hint.action == "token":  # another account of similar name
            error.hint = Hint("logout", hint.provider, account=hint.account)
        elif hint.action == "login":
            error.hint = Hint("status")
        raise


def _unended(session: object) -> bool:
    """Whether the session of a browser could not be ended, although that was asked for."""
    return isinstance(session, dict) and session["problem"] is not None


def _sign_out(
    app: App, name: str, account: str, *, revoke: bool, browser: bool, opens: bool
) -> dict[str, object]:
    assembly, terminal = app.assembly(), app.terminal
    found = assembly.conductor.refresh.find(name, account)
    with terminal.working(f"signing out of {name}"):
        ended = assembly.conductor.logout.sign_out(found, revoke=revoke)
    host = found.config.issuer or found.config.revocation_url or name
    for one in ended.revocations:
        _say_revocation(app, one, host)
    if ended.problem is not None:
        terminal.say(f"could not revoke: {ended.problem.message}", mark="warn")
    elif revoke and not found.config.revocation_url:
        terminal.say(f"{name} has no revocation endpoint; nothing was revoked there", mark="warn")
    unrevoked = not found.config.revocation_url or ended.refresh_token_valid
    if ended.problem is not None or (revoke and unrevoked):
        _still_valid(app, ended, found)
    elif revoke and ended.access_token_valid:
        _access_token_lives(app, ended.valid_until)
    if found.config.revocation_ends == "all" and ended.revoked:
        terminal.say("  This ended your other logins by this client there, too, on any machine.")
    terminal.say("tokens erased here", mark="good")
    session = _end_session(app, ended, opens=opens) if browser else None
    if found.config.end_session_url and not browser:
        terminal.say(f"  Your browser may still be signed in: {found.config.end_session_url}")
    return {
        "provider": name,
        "account": account,
        **revocations_of(ended),
        "valid_until": timestamp(ended.valid_until),
        "problem": ended.problem.code if ended.problem else None,
        **({"browser": session} if session is not None else {}),
    }


def _end_session(app: App, ended: LogoutResult, *, opens: bool) -> dict[str, object]:
    """End the session of the browser, and say what came of it."""
    assembly, terminal = app.assembly(), app.terminal
    conversation, browser = LineConversation(), SystemBrowser(app.environ)
    transport = LoopbackTransport(conversation, browser, assembly.clock, open_browser=opens)
    done = end_in_browser(
        ended,
        transport,
        conversation,
        browser if opens else None,
        assembly.clock,
        assembly.conductor.logout.refusals(),
    )
    if done.interrupted:
        terminal.end_line()
    where = ended.login.config.title
    if done.problem is not None:
        terminal.say(done.problem.message, mark="warn")
        if done.problem.hint:
            terminal.suggest(str(done.problem.hint))
    elif done.returned:
        terminal.say(f"your browser is signed out at {where}", mark="good")
    elif done.returned is False:
        terminal.say(f"your browser did not come back from {where}; look there", mark="warn")
    problem = done.problem.code if done.problem else None
    return {"returned": done.returned, "problem": problem}


def _say_revocation(app: App, one: Revocation, host: str) -> None:
    """Say what the provider answered of one token, and nothing that it did not."""
    what = one.token.replace("_", " ")
    if one.outcome is RevocationOutcome.REVOKED:
        app.terminal.say(f"{what} revoked at {host}", mark="good")
    elif one.outcome is RevocationOutcome.ENDED_WITH_GRANT:
        app.terminal.say(f"{what} ended with it: {host} ends the whole grant", mark="good")
    elif one.outcome is RevocationOutcome.ALREADY_INVALID:
        app.terminal.say(f"{what} was no good any more at {host}", mark="good")
    elif one.outcome is RevocationOutcome.UNSUPPORTED_TOKEN_TYPE:
        app.terminal.say(f"{host} does not revoke tokens of this kind: {what}", mark="warn")
    elif one.outcome is RevocationOutcome.REFUSED:
        app.terminal.say(f"{what} not revoked: {host} refused ({one.oauth_error})", mark="warn")
    elif one.retry_after is not None:
        app.terminal.say(
            f"{what} not revoked: {host} is busy and asks for {span(one.retry_after)} of patience",
            mark="warn",
        )


def _access_token_lives(app: App, until: float | None) -> None:
    left = 0.0 if until is None else until - app.assembly().clock.now()
    if until is None:
        app.terminal.say("  The access token may stay valid there.")
    elif left > 0:
        app.terminal.say(f"  The access token may stay valid there for {span(left)}.")


def _still_valid(app: App, ended: LogoutResult, login: Login) -> None:
    if ended.refresh_token_valid:
        app.terminal.say("  The refresh token stays valid there until it is revoked.")
    if ended.access_token_valid:
        _access_token_lives(app, ended.valid_until)
    where = login.config.setup_url or "the provider's account page"
    app.terminal.say(f"  Revoke it yourself at {where}.")
