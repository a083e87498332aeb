"""``account`` and ``whoami``: the accounts that are signed in, their names, and which is meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from ....engine.errors import AuthRequired
from ....engine.hints import Hint
from ....engine.record import DEFAULT_ACCOUNT
from ..accounts import account_to_use, choose_default, chosen_default, known_as, option
from ..app import App, HelpfulGroup, takes_app

if TYPE_CHECKING:
    from ....engine.record import Summary


@click.group(cls=HelpfulGroup)
def account() -> None:
    """The accounts that are signed in, and which one commands mean."""


@account.command("list")
@click.argument("provider", required=False)
@takes_app
def list_accounts(app: App, *, provider: str | None) -> None:
    """List the accounts of PROVIDER, or of all. A star marks what commands without --account mean."""
    found = _signed_in(app, provider)
    if provider is not None and not found:
        account_to_use(app, provider, None)  # raises, and says why there is none
    meant = {one.id for one in found if one.account == _meant(app, one.provider, found)}
    if app.terminal.json:
        rows = [{**_members(one), "default": one.id in meant} for one in found]
        app.terminal.answer_json("accounts/1", {"accounts": rows})
        return
    if not found:
        app.terminal.say("nobody is signed in")
        app.terminal.suggest("stayfast login PROVIDER")
    cells = [
        [
            f"{'*' if one.id in meant else ' '} {one.provider}",
            one.account,
            one.identity.label if one.identity else "",
            one.state.value,
        ]
        for one in found
    ]
    for line in _aligned(cells):
        app.terminal.answer_line(line)


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
    """Print who is signed in, as the provider named them at the login. Asks nobody.

    Without PROVIDER, one line for each account that is signed in. Exits with 4 if there is none.
    """
    found = _signed_in(app, provider)
    if provider is not None:
        chosen = account_to_use(app, provider, named)
        found = [one for one in found if one.account == chosen]
    if not found:
        raise AuthRequired("nobody is signed in", hint=Hint("login", None, "PROVIDER"))
    if app.terminal.json:
        app.terminal.answer_json("whoami/1", {"accounts": [_members(one) for one in found]})
        return
    if len(found) == 1:
        app.terminal.answer_line(known_as(found[0]))
    else:
        for line in _aligned([[one.provider, known_as(one)] for one in found]):
            app.terminal.answer_line(line)
    for one in found:
        if one.identity is None and sys.stderr.isatty():
            app.terminal.say(
                f"{one.provider} has not said who account {one.account} is: the scope openid asks it",
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


def _aligned(rows: list[list[str]]) -> list[str]:
    """``rows`` as lines whose cells stand under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
