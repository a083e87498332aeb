"""The commands of an embedding program, for click."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ...engine.record import DEFAULT_ACCOUNT
from .actions import HELP, Actions

if TYPE_CHECKING:
    from ..service import OAuthService


def group(service: OAuthService, provider: str | None, name: str) -> click.Group:
    """The group; see :func:`stayfast.commands`."""
    actions = Actions(service, provider)
    made = click.Group(name, help=HELP["group"])

    def end(context: click.Context, status: int) -> None:
        context.exit(status)

    def login(
        account: str, via: str | None, scopes: Sequence[str], *, no_browser: bool, provider: str
    ) -> None:
        context = click.get_current_context()
        status = actions.login(
            _path(context), provider, account, via=via, scopes=scopes, open_browser=not no_browser
        )
        end(context, status)

    def logout(account: str, *, keep: bool, provider: str) -> None:
        context = click.get_current_context()
        end(context, actions.logout(_path(context), provider, account, revoke=not keep))

    def status(*, as_json: bool, provider: str | None) -> None:
        context = click.get_current_context()
        end(context, actions.status(_path(context), provider, as_json=as_json))

    def whoami(account: str, *, provider: str) -> None:
        context = click.get_current_context()
        end(context, actions.whoami(_path(context), provider, account))

    def token(account: str, *, provider: str) -> None:
        context = click.get_current_context()
        end(context, actions.token(_path(context), provider, account))

    account = click.Option(["--account"], default=DEFAULT_ACCOUNT, help=HELP["account"])
    made.add_command(
        click.Command(
            "login",
            callback=login,
            help=HELP["login"],
            params=[
                _provider(provider),
                account,
                click.Option(["--via"], help=HELP["via"]),
                click.Option(["--scope", "scopes"], multiple=True, help=HELP["scope"]),
                click.Option(["--no-browser"], is_flag=True, help=HELP["no_browser"]),
            ],
        )
    )
    keep = click.Option(["--keep"], is_flag=True, help=HELP["keep"])
    as_json = click.Option(["--json", "as_json"], is_flag=True, help=HELP["json"])
    for called, params in (
        (logout, [_provider(provider), account, keep]),
        (status, [_provider(provider, required=False), as_json]),
        (whoami, [_provider(provider), account]),
        (token, [_provider(provider), account]),
    ):
        made.add_command(
            click.Command(
                called.__name__, callback=called, help=HELP[called.__name__], params=params
            )
        )
    return made


def _path(context: click.Context) -> str:
    """How the user calls the group, such as ``acme auth``."""
    return context.parent.command_path if context.parent is not None else ""


def _provider(only: str | None, *, required: bool = True) -> click.Parameter:
    """The argument ``PROVIDER``; where there is one provider only, nobody is asked for it."""
    if only is None:
        return click.Argument(["provider"], required=required)
    return click.Option(["--provider"], default=only, hidden=True, type=click.Choice([only]))
