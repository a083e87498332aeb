"""The messages of a login that has finished, paused or just begun."""

from __future__ import annotations

import sys
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from ...engine.errors import StayfastError, StorageError
from ...engine.foreign_text import printable
from ...engine.moments import timestamp
from ...engine.reasons import Reason
from ...engine.record import TokensNotSaved
from ...engine.summary import DEFAULT_ACCOUNT, account_alias
from ...engine.table import State
from ..repeated_login import repeated
from .terminal.formatting import clock_said, more, sealed, span

if TYPE_CHECKING:
    from ...engine.flows.logins import Started
    from ...engine.oauth.provider import OAuthConfig
    from ...engine.record import Login
    from .app import App


def login_members(login: Login) -> dict[str, Any]:
    """The members of a login in JSON answers."""
    tokens = login.tokens
    return {
        "login": login.short_id,
        "provider": login.provider,
        "account": login.account,
        "state": login.state.value,
        "identity": login.identity.label if login.identity else None,
        "expires_at": timestamp(tokens.expires_at if tokens else login.deadline),
        "scopes": list(tokens.scopes) if tokens else [],
        "reason": login.reason,
    }


def show_signed_in(app: App, login: Login, account: str | None = None) -> None:
    """Say that ``login`` is finished, with its scopes, expiry and storage.

    Args:
        app: The command, with the terminal that shows it.
        login: The login.
        account: The account the user named. If another person signed in, the login is kept under
            another account.
    """
    terminal, assembly = app.terminal, app.assembly()
    who = f" as {login.identity.label}" if login.identity else ""
    terminal.say(f"Signed in to {login.provider}{who}", mark="good")
    if account is not None and account != login.account:
        _show_kept_beside(app, login, account)
    unnamed = _UNNAMED.get(login.reason or "")
    if unnamed is not None:
        terminal.say(f"the account's owner is not known: {unnamed}", mark="warn")
    tokens = login.tokens
    if tokens is None:
        return
    if tokens.scopes:
        terminal.say(f"  scopes    {' '.join(tokens.scopes)}", hang=12)
    for missing in (
        sorted(set(login.config.asked_scopes) - set(tokens.scopes)) if tokens.scope else ()
    ):
        if missing != "offline_access":  # granted as a refresh token, rarely as a scope
            terminal.say(f"the provider did not grant the scope {missing}", mark="warn")
    end = tokens.expires_at
    left = f"in {span(end - assembly.clock.now())}" if end is not None else "at an unknown time"
    renews = ", renews itself" if login.refreshable else ", then sign in again"
    terminal.say(f"  expires   {left}{renews}", hang=12)
    terminal.say(f"  sealed    {sealed(assembly.storage.description)}", hang=12)
    off = clock_said(login)
    if off is not None:
        terminal.say(f"the clock of this machine is {off}", mark="warn")
    terminal.say("")
    terminal.suggest(f"stayfast token {login.provider}{_account(login)}")


def already_signed_in(app: App, config: OAuthConfig, account: str) -> bool:
    """Whether the account is signed in already, or again by a fresh token; if so, a message says it.

    Raises:
        NetworkError, LoginBusy, StorageError: As of :func:`~stayfast.interfaces.repeated_login.repeated`.
    """
    assembly, terminal, provider = app.assembly(), app.terminal, config.service_name
    try:
        with terminal.working(f"asking {provider} for a fresh token"):
            found = repeated(assembly, config, account)
    except TokensNotSaved as error:
        found = keep_trying_to_save(app, error)
    if found is None:
        return False
    who = f" as {found.identity.label}" if found.identity else ""
    end = found.summary().expires_at
    left = f" ({span(end - assembly.clock.now())} left)" if end is not None else ""
    terminal.say(f"{provider} is already signed in{who}{left}.")
    terminal.suggest(f"stayfast login {provider}{_account(found)} --new", "to sign in anew")
    if terminal.json:
        terminal.answer_json("login/1", login_members(found))
    exit_if_kept_nowhere(app)
    return True


_UNNAMED: Final = {
    Reason.ID_TOKEN_MISSING.value: "the provider sent no ID token, although openid was asked for",
    Reason.ID_TOKEN_UNCHECKABLE.value: "no https address of the provider's keys is known (jwks_url)",
    Reason.ID_TOKEN_KEYS_UNAVAILABLE.value: "the provider's keys could not be fetched",
    Reason.SUBJECT_UNKNOWN.value: "openid was not asked for; the login it replaces had a name",
}
"""Why a login has no name, although it asked for one."""


def offer_to_replace(app: App, login: Login, account: str) -> Login:
    """Ask at a terminal whether a login that is kept beside another replaces it; the outcome."""
    terminal = app.terminal
    if account == login.account or not terminal.interactive or terminal.json:
        return login
    who = login.identity.label if login.identity else f"login {login.short_id}"
    terminal.say(
        f"Account {account} of {login.provider} is {_whose(app, login, account)}, and {who} has "
        "signed in. Both can be kept.",
        mark="warn",
    )
    terminal.say(f"Replace the login of account {account}? [y/N]")
    answer = terminal.typed_line()
    if answer is None or answer.strip().lower() not in {"y", "yes"}:
        return login
    try:
        return app.assembly().conductor.replace(login.id, account)
    except StayfastError as error:  # both are kept, and the option does the same later
        terminal.say(f"not replaced: {error.message}", mark="warn")
        return login


def _whose(app: App, login: Login, account: str) -> str:
    """Whom ``account`` belongs to, where ``login`` is another's."""
    older = app.assembly().storage.find(account_alias(login.provider, account))
    if older is None:
        return "another person"
    who = older.identity.label if older.identity else "another person"
    if login.reason == Reason.OTHER_ISSUER:
        return f"{who} at {older.config.issuer or older.config.token_url}"
    if login.reason == Reason.OTHER_CLIENT:
        return f"the login of client {printable(older.config.client_id)}"
    if login.reason == Reason.OTHER_GRANT:
        return "a login of another kind: one of the two has no user"
    if login.reason == Reason.OTHER_RESOURCE:
        named = printable(" ".join(older.config.resources))
        return f"the login for {named}" if named else "the login for no resource in particular"
    return who


def _show_kept_beside(app: App, login: Login, account: str) -> None:
    """Say that ``account`` is another person's or at another server, and that both are kept."""
    terminal = app.terminal
    before = _whose(app, login, account)
    terminal.say(
        f"account {account} is {before} and stays so; this login is account {login.account}",
        mark="warn",
    )
    which = "" if account == DEFAULT_ACCOUNT else f" --account {quote(account)}"
    terminal.suggest(f"stayfast login {login.provider}{which} --replace", "replace it instead")


def show_paused(app: App, login: Login) -> None:
    """Say that ``login`` is saved, and what can be done with it."""
    terminal = app.terminal
    if login.state is State.AUTHENTICATED:  # Ctrl-C came while the tokens were being saved
        show_signed_in(app, login)
        return
    left = (login.deadline or 0) - app.assembly().clock.now()
    terminal.say(f"Paused. Login {login.short_id} is saved and valid for {more(left)}.")
    terminal.suggest(f"stayfast resume {login.short_id}", "continue")
    terminal.suggest(f"stayfast cancel {login.short_id}", "forget it")


def show_started(app: App, started: Started, via: str) -> None:
    """Say what the user has to do for a login that another command will finish."""
    terminal, login = app.terminal, started.login
    device = login.presentation.device if login.presentation else None
    resume = ["stayfast", "resume", login.short_id]
    if device is None:
        resume += ["--callback-url", "-"]
    if terminal.json:
        terminal.answer_json(
            "login/1",
            {
                "login": login.short_id,
                "provider": login.provider,
                "state": login.state.value,
                "via": via,
                "action": "enter_code" if device else "open_url",
                "url": started.address,
                "user_code": device.user_code if device else None,
                "expires_at": timestamp(login.deadline),
                "resume": resume,
            },
        )
        return
    terminal.say("  Open this address in any browser:")
    terminal.link(started.address, before="  ")
    terminal.say("")
    if device is not None:
        terminal.say(f"  Code   {device.user_code}")
        terminal.say("  Never enter a code that somebody sent you: it signs them in as you.")
        terminal.say("")
        terminal.suggest(" ".join(resume), "finish it")
    else:
        terminal.say("  Then pass the address you land on to standard input of:")
        terminal.suggest(" ".join(resume))


def keep_trying_to_save(app: App, error: TokensNotSaved) -> Login:
    """The login of ``error``: its tokens came, but the storage could not save them.

    If they are in memory only, a person at the terminal can free space and try again.
    """
    terminal = app.terminal
    while error.kept is None and terminal.interactive:
        terminal.error(error)
        terminal.say("The tokens are held in memory only. Press Enter to try again.", mark="warn")
        if terminal.typed_line() is None:
            break
        try:
            return error.save_again()
        except StorageError as again:
            error.message, error.kept = again.message, again.kept
    terminal.say(error.message, mark="warn")
    if error.kept_where is not None:
        terminal.say(f"  {error.kept_where}")
        terminal.suggest(f"stayfast refresh {error.login.provider}", "save them at once")
    else:
        app.tokens_kept_nowhere = True
        terminal.say("  this access token works until it expires; a new sign-in is needed then")
        terminal.suggest(f"stayfast login {error.login.provider}", "sign in again")
    return error.login


def exit_if_kept_nowhere(app: App) -> None:
    """End with the exit status of a storage where tokens came that no place took.

    The access token is good and was handed out, but the next one needs a new sign-in: a script must
    see that.
    """
    if app.tokens_kept_nowhere:
        sys.exit(TokensNotSaved.exit_code)


def _account(login: Login) -> str:
    return "" if login.account == DEFAULT_ACCOUNT else f" --account {quote(login.account)}"
