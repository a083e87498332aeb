"""``status`` and ``list``: where things are, from what is stored here."""

from __future__ import annotations

import click

from ..app import App
from ..command_line import takes_app, wide_option
from ..standing import show_list, show_status


@click.command()
@click.argument("provider", required=False)
@click.option("--account", default=None, help="Only this one of your accounts.")
@click.option("--check", is_flag=True, help="Also ask the provider whether the token is active.")
@click.option(
    "--show-answer",
    metavar="LOGIN",
    help="Print the unreadable answer of the provider that LOGIN keeps. It may hold tokens.",
)
@wide_option
@takes_app
def status(
    app: App,
    *,
    provider: str | None,
    account: str | None,
    check: bool,
    show_answer: str | None,
    wide: bool,
) -> None:
    """The state of one provider, or of all.

    Exits with 4 if you have to act before there is a token: nobody is signed in, a login still waits
    for you, or the provider refused a refresh. An expired token that can be refreshed is fine. Exits
    with 8 if the vault is not as it was saved: damaged, or an older copy that was put back.
    """
    show_status(
        app, provider=provider, account=account, check=check, show_answer=show_answer, wide=wide
    )


@click.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=None, metavar="N", help="Show at most N logins."
)
@click.option(
    "--offset", type=click.IntRange(0), default=0, metavar="N", help="Leave the first N out."
)
@wide_option
@takes_app
def list_logins(app: App, *, limit: int | None, offset: int, wide: bool) -> None:
    """Accounts and open logins, one line each; with --limit, a page of them.

    Exits with 8 if the vault is not as it was saved: damaged, or an older copy that was put back. Of
    more than 1000 logins, a page has them in the order of their ids, and shows damage of its own alone.
    """
    show_list(app, limit=limit, offset=offset, wide=wide)
