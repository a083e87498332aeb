"""The commands of an embedding program, for click."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

from ...engine.summary import DEFAULT_ACCOUNT
from .actions import HELP, Actions
from .elsewhere import line_elsewhere

if TYPE_CHECKING:
    from ..service import OAuthService

Commands: TypeAlias = dict[str, tuple[Callable[..., None], list[click.Parameter]]]
"""What each command does, and its parameters."""


def group(service: OAuthService, provider: str | None, name: str) -> click.Group:
    """The group; see :func:`stayfast.commands`."""
    actions = Actions(service, provider)
    made = click.Group(name, help=HELP["group"])

    def login(
        account: str,
        via: str | None,
        scopes: Sequence[str],
        *,
        no_browser: bool,
        new: bool,
        provider: str,
    ) -> None:
        context = click.get_current_context()
        status = actions.login(
            _path(context),
            provider,
            account,
            via=via,
            scopes=scopes,
            open_browser=not no_browser,
            new=new,
        )
        context.exit(status)

    def logout(account: str, *, keep: bool, provider: str) -> None:
        context = click.get_current_context()
        context.exit(actions.logout(_path(context), provider, account, revoke=not keep))

    def status(*, as_json: bool, provider: str | None) -> None:
        context = click.get_current_context()
        context.exit(actions.status(_path(context), provider, as_json=as_json))

    def whoami(account: str, *, provider: str) -> None:
        context = click.get_current_context()
        context.exit(actions.whoami(_path(context), provider, account))

    def token(account: str, *, provider: str) -> None:
        context = click.get_current_context()
        context.exit(actions.token(_path(context), provider, account))

    account = click.Option(["--account"], default=DEFAULT_ACCOUNT, help=HELP["account"])
    via, no_browser = _waiting()
    made.add_command(
        click.Command(
            "login",
            callback=login,
            help=HELP["login"],
            params=[
                _provider(provider),
                account,
                via,
                click.Option(["--scope", "scopes"], multiple=True, help=HELP["scope"]),
                no_browser,
                click.Option(["--new"], is_flag=True, help=HELP["new"]),
            ],
        )
    )
    keep = click.Option(["--keep"], is_flag=True, help=HELP["keep"])
    as_json = click.Option(["--json", "as_json"], is_flag=True, help=HELP["json"])
    others: Commands = {
        **_of_logins(actions),
        "logout": (logout, [_provider(provider), account, keep]),
        "status": (status, [_provider(provider, required=False), as_json]),
        "whoami": (whoami, [_provider(provider), account]),
        "token": (token, [_provider(provider), account]),
    }
    for command, (called, params) in others.items():
        made.add_command(click.Command(command, callback=called, help=HELP[command], params=params))
    service.words.commands = lambda hint: line_elsewhere(
        actions, hint, click.get_current_context(silent=True), lambda one: one is made
    )
    return made


def _of_logins(actions: Actions) -> Commands:
    """Commands that are about one login, whichever provider it is with, or about all."""

    def resume(login_id: str | None, via: str | None, *, no_browser: bool) -> None:
        context = click.get_current_context()
        context.exit(
            actions.resume(_path(context), login_id, via=via, open_browser=not no_browser),
        )

    def cancel(login_id: str | None) -> None:
        context = click.get_current_context()
        context.exit(actions.cancel(_path(context), login_id))

    def list_logins() -> None:
        context = click.get_current_context()
        context.exit(actions.list_logins(_path(context)))

    login_id = click.Argument(["login_id"], metavar="[LOGIN]", required=False)
    return {
        "resume": (resume, [login_id, *_waiting()]),
        "cancel": (cancel, [login_id]),
        "list": (list_logins, []),
    }


def _waiting() -> tuple[click.Option, click.Option]:
    """The options of commands that wait for the user."""
    return (
        click.Option(["--via"], help=HELP["via"]),
        click.Option(["--no-browser"], is_flag=True, help=HELP["no_browser"]),
    )


def _path(context: click.Context) -> str:
    """How the user calls the group, such as ``acme auth``."""
    return context.parent.command_path if context.parent is not None else ""


def _provider(only: str | None, *, required: bool = True) -> click.Parameter:
    """The argument ``PROVIDER``; where there is one provider only, nobody is asked for it."""
    if only is None:
        return click.Argument(["provider"], required=required)
    return click.Option(["--provider"], default=only, hidden=True, type=click.Choice([only]))
