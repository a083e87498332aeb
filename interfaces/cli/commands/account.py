"""``account`` and ``whoami``: the accounts that are signed in, whose they are, and which is meant."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from ....engine.errors import AuthRequired, StayfastError
from ....engine.hints import Hint
from ....engine.oauth.userinfo import UserInfoRefused, offers_userinfo
from ....engine.reasons import Refusal
from ....engine.summary import DEFAULT_ACCOUNT
from ..accounts import account_to_use, choose_default, chosen_default, known_as, option
from ..app import App
from ..command_line import HelpfulGroup, takes_app, wide_option
from ..terminal.tables import STATE_STYLES, Column, Row, Table

if TYPE_CHECKING:
    from ....engine.oauth.userinfo import UserInfo
    from ....engine.summary import Summary

_ACCOUNTS: Final = Table(
    (Column("  provider"), Column("account"), Column("who", folds=True), Column("state")), heads=2
)
_PEOPLE: Final = Table((Column("provider"), Column("who")))


@click.group(cls=HelpfulGroup)
def account() -> None:
    """The accounts that are signed in, and which one commands mean."""


@account.command("list")
@click.argument("provider", required=False)
@wide_option
@takes_app
def list_accounts(app: App, *, provider: str | None, wide: bool) -> None:
    """List the accounts of PROVIDER, or of all. A star marks what commands without --account mean."""
    found = _signed_in(app, provider)
    if provider is not None and not found:
        account_to_use(app, provider, None)  # raises, and says why there is none
    meant = {one.id for one in found if one.account == _meant(app, one.provider, found)}
    if app.terminal.json:
        members = [{**_members(one), "default": one.id in meant} for one in found]
        app.terminal.answer_json("accounts/1", {"accounts": members})
        return
    if not found:
        app.terminal.say("nobody is signed in")
        app.terminal.suggest("stayfast login")
    rows = [
        Row(
            (
                f"{'*' if one.id in meant else ' '} {one.provider}",
                one.account,
                one.identity.label if one.identity else "",
                one.state.value,
            ),
            style=STATE_STYLES.get(one.state, ""),
            styled=3,
        )
        for one in found
    ]
    _ACCOUNTS.show(app.terminal, rows, wide=wide)


@account.command("use")
@click.argument("provider")
@click.argument("name", metavar="ACCOUNT")
@takes_app
def use(app: App, *, provider: str, name: str) -> None:
    """Make ACCOUNT the one that commands for PROVIDER mean without --account."""
    chosen = account_to_use(app, provider, name)
    choose_default(app, provider, chosen)
    if app.terminal.json:
        app.terminal.answer_json("account/1", {"provider": provider, "account": chosen})
    (login,) = (one for one in _signed_in(app, provider) if one.account == chosen)
    app.terminal.say(f"{provider} means {known_as(login)} from now on", mark="good")


@account.command("rename")
@click.argument("provider")
@click.argument("name", metavar="ACCOUNT")
@click.argument("new", metavar="NEW-NAME")
@takes_app
def rename(app: App, *, provider: str, name: str, new: str) -> None:
    """Give ACCOUNT of PROVIDER another name. Its login and its tokens stay."""
    old = account_to_use(app, provider, name)
    login = next(one for one in _signed_in(app, provider) if one.account == old)
    was_meant = old == (chosen_default(app, provider) or DEFAULT_ACCOUNT)
    app.assembly().conductor.rename(login.id, new)
    if was_meant:  # what commands mean without --account stays the same login
        choose_default(app, provider, new)
    if app.terminal.json:
        app.terminal.answer_json("account/1", {"provider": provider, "account": new})
    app.terminal.say(f"account {old} of {provider} is account {new} now", mark="good")
    app.terminal.suggest(f"stayfast token {provider}{'' if was_meant else option(new)}")


@click.command()
@click.argument("provider", required=False)
@click.option("--account", "named", default=None, help="Which of your accounts.")
@takes_app
def whoami(app: App, *, provider: str | None, named: str | None) -> None:
    """Print who is signed in; the UserInfo endpoint of PROVIDER is asked, if it has one.

    Where it gives no answer, what the ID token said at the login is printed, with a warning. Without
    PROVIDER, one line for each account that is signed in, and only the accounts without a name are
    asked about. Exits with 4 if there is none.
    """
    found = _signed_in(app, provider)
    if provider is not None:
        chosen = account_to_use(app, provider, named)
        found = [one for one in found if one.account == chosen]
    if not found:
        raise AuthRequired("nobody is signed in", hint=Hint("login"))
    said = [
        _Said(one)
        if provider is None and one.identity is not None and one.identity.name
        else _ask(app, one)
        for one in found
    ]
    if app.terminal.json:
        app.terminal.answer_json("whoami/1", {"accounts": [one.members() for one in said]})
    elif len(said) == 1:
        app.terminal.answer_line(said[0].known_as)
    else:
        rows = (Row((one.login.provider, one.known_as)) for one in said)
        _PEOPLE.show(app.terminal, rows)
    for one in said:
        _warn_of(app, one)


@dataclass(frozen=True, slots=True)
class _Said:
    """What is known of the user of a login, and what the provider said when it was asked."""

    login: Summary
    said: UserInfo | None = None
    problem: StayfastError | None = None

    @property
    def known_as(self) -> str:
        known = self.login.identity.name if self.login.identity else None
        return (self.said and (self.said.name or known or self.said.subject)) or known_as(
            self.login
        )

    def members(self) -> dict[str, Any]:
        identity, problem = self.login.identity, self.problem
        label = self.known_as if self.said or identity else None
        subject = self.said.subject if self.said else identity.subject if identity else None
        return {
            **_members(self.login),
            "identity": label,
            "subject": subject,
            "source": "userinfo" if self.said else "id_token" if identity else None,
            "claims": dict(self.said.claims) if self.said else None,
            "problem": None
            if problem is None
            else {"code": problem.code, "reason": getattr(problem, "reason", None)},
        }


def _ask(app: App, one: Summary) -> _Said:
    """What the provider says of the user of ``one``, or why it did not say.

    Raises:
        UserInfoRefused: It says that the tokens are another person's.
    """
    conductor = app.assembly().conductor
    if not offers_userinfo(conductor.refresh.find(one.provider, one.account).config):
        return _Said(one)
    try:
        with app.terminal.working(f"asking {one.provider} who you are"):
            login = conductor.refresh.valid(one.provider, one.account)
            said = conductor.identify.ask(login)
        return _Said(conductor.identify.keep(login, said).summary(), said)
    except UserInfoRefused as refused:
        if refused.reason == Refusal.USERINFO_OTHER_SUBJECT:
            raise
        return _Said(one, problem=refused)
    except StayfastError as error:
        return _Said(one, problem=error)


def _warn_of(app: App, one: _Said) -> None:
    """Say what the provider did not."""
    login = one.login
    if one.problem is not None:
        app.terminal.say(f"{one.problem.message}; this is what was known before", mark="warn")
    elif one.said is None and login.identity is None and sys.stderr.isatty():
        app.terminal.say(
            f"{login.provider} has not said who account {login.account} is: the scope openid asks it",
            mark="warn",
        )


def _signed_in(app: App, provider: str | None) -> list[Summary]:
    """The finished logins of ``provider``, or of all, in the order of their names."""
    found = [
        one
        for one in app.assembly().storage.summaries()
        if one.holds_tokens and provider in {None, one.provider}
    ]
    return sorted(found, key=lambda one: (one.provider, one.account))


def _meant(app: App, provider: str, found: list[Summary]) -> str | None:
    """The account of ``provider`` that commands without ``--account`` mean, if there is one."""
    there = [one.account for one in found if one.provider == provider]
    chosen = chosen_default(app, provider) or DEFAULT_ACCOUNT
    if chosen in there:
        return chosen
    return there[0] if len(there) == 1 and chosen == DEFAULT_ACCOUNT else None


def _members(one: Summary) -> dict[str, Any]:
    return {
        "provider": one.provider,
        "account": one.account,
        "identity": one.identity.label if one.identity else None,
        "subject": one.identity.subject if one.identity else None,
        "issuer": one.issuer,
        "state": one.state.value,
        "login": one.short_id,
    }
