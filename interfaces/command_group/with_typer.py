"""The commands of an embedding program, for typer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...engine.summary import DEFAULT_ACCOUNT
from .actions import HELP, Actions
from .elsewhere import line_elsewhere

if TYPE_CHECKING:
    from ..service import OAuthService

click_context: type = typer.Context.__mro__[1]

Provider = Annotated[str, typer.Argument()]
AnyProvider = Annotated[str | None, typer.Argument()]
LoginId = Annotated[str | None, typer.Argument(metavar="[LOGIN]")]
Account = Annotated[str, typer.Option("--account", help=HELP["account"])]
Via = Annotated[str | None, typer.Option("--via", help=HELP["via"])]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help=HELP["scope"])]
New = Annotated[bool, typer.Option("--new", help=HELP["new"])]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help=HELP["no_browser"])]
Keep = Annotated[bool, typer.Option("--keep", help=HELP["keep"])]
AsJson = Annotated[bool, typer.Option("--json", help=HELP["json"])]


def group(service: OAuthService, provider: str | None, name: str) -> typer.Typer:
    """The group; see :func:`stayfast.typer_commands`."""
    made = typer.Typer(name=name, help=HELP["group"], no_args_is_help=True)
    actions = Actions(service, provider)
    own = _alone(actions, provider) if provider is not None else _named(actions)
    for called in own:
        command = called.__name__
        made.command(command, help=HELP[command])(called)
    for command, called in _of_logins(actions).items():
        made.command(command, help=HELP[command])(called)
    service.words.commands = lambda hint: line_elsewhere(
        actions, hint, _current_context(), lambda group: _has(group, own[0])
    )
    return made


def _current_context() -> Any:
    """The context of the running command, of click or of the copy of it that is part of typer."""
    package = click_context.__module__.rpartition(".")[0]
    return import_module(package).globals.get_current_context(silent=True)


def _has(group: Any, login: Callable[..., None]) -> bool:
    """Whether the command ``login`` of ``group`` is ours; typer makes its groups anew at each run."""
    inner: dict[str, Any] = getattr(group, "commands", {})
    called = getattr(inner.get("login"), "callback", None)
    return getattr(called, "__wrapped__", None) is login


def _of_logins(actions: Actions) -> dict[str, Callable[..., None]]:
    """Commands that are about one login, whichever provider it is with, or about all."""

    def resume(
        context: typer.Context,
        login_id: LoginId = None,
        via: Via = None,
        no_browser: NoBrowser = False,  # noqa: FBT002  typer makes an option of it
    ) -> None:
        _end(actions.resume(_path(context), login_id, via=via, open_browser=not no_browser))

    def cancel(context: typer.Context, login_id: LoginId = None) -> None:
        _end(actions.cancel(_path(context), login_id))

    def list_logins(context: typer.Context) -> None:
        _end(actions.list_logins(_path(context)))

    return {"resume": resume, "cancel": cancel, "list": list_logins}


def _named(actions: Actions) -> list[Callable[..., None]]:
    """Commands whose argument is the provider's name."""

    def login(
        context: typer.Context,
        provider: Provider,
        account: Account = DEFAULT_ACCOUNT,
        via: Via = None,
        scope: Scopes = None,
        no_browser: NoBrowser = False,  # noqa: FBT002  typer makes an option of it
        new: New = False,  # noqa: FBT002  as above
    ) -> None:
        path = _path(context)
        scopes, opens = scope or [], not no_browser
        _end(
            actions.login(
                path, provider, account, via=via, scopes=scopes, open_browser=opens, new=new
            )
        )

    def logout(
        context: typer.Context,
        provider: Provider,
        account: Account = DEFAULT_ACCOUNT,
        keep: Keep = False,  # noqa: FBT002  typer makes an option of it
    ) -> None:
        _end(actions.logout(_path(context), provider, account, revoke=not keep))

    def status(
        context: typer.Context,
        provider: AnyProvider = None,
        as_json: AsJson = False,  # noqa: FBT002  typer makes an option of it
    ) -> None:
        _end(actions.status(_path(context), provider, as_json=as_json))

    def whoami(
        context: typer.Context, provider: Provider, account: Account = DEFAULT_ACCOUNT
    ) -> None:
        _end(actions.whoami(_path(context), provider, account))

    def token(
        context: typer.Context, provider: Provider, account: Account = DEFAULT_ACCOUNT
    ) -> None:
        _end(actions.token(_path(context), provider, account))

    return [login, logout, status, whoami, token]


def _alone(actions: Actions, provider: str) -> list[Callable[..., None]]:
    """The same commands about one provider, without that argument."""
    by_name = {called.__name__: called for called in _named(actions)}

    def login(
        context: typer.Context,
        account: Account = DEFAULT_ACCOUNT,
        via: Via = None,
        scope: Scopes = None,
        no_browser: NoBrowser = False,  # noqa: FBT002  typer makes an option of it
        new: New = False,  # noqa: FBT002  as above
    ) -> None:
        by_name["login"](context, provider, account, via, scope, no_browser, new)

    def logout(
        context: typer.Context,
        account: Account = DEFAULT_ACCOUNT,
        keep: Keep = False,  # noqa: FBT002  typer makes an option of it
    ) -> None:
        by_name["logout"](context, provider, account, keep)

    def status(
        context: typer.Context,
        as_json: AsJson = False,  # noqa: FBT002  typer makes an option of it
    ) -> None:
        by_name["status"](context, provider, as_json)

    def whoami(context: typer.Context, account: Account = DEFAULT_ACCOUNT) -> None:
        by_name["whoami"](context, provider, account)

    def token(context: typer.Context, account: Account = DEFAULT_ACCOUNT) -> None:
        by_name["token"](context, provider, account)

    return [login, logout, status, whoami, token]


def _path(context: typer.Context) -> str:
    """How the user calls the group, such as ``acme auth``."""
    return context.parent.command_path if context.parent is not None else ""


def _end(status: int) -> None:
    if status:
        raise typer.Exit(status)
