"""A group of commands for the program that embeds the library: its users sign in under its own name.

::

    cli.add_command(stayfast.commands(service, provider="acme"))        # click: acme auth login
    app.add_typer(stayfast.typer_commands(service, provider="acme"))    # typer: the same

What the commands do stands in :mod:`.actions`, once. :mod:`.with_click` and :mod:`.with_typer` give
it to their libraries, which cannot take each other's commands. Answers go to standard output, all else to
standard error; exit statuses are those of ``stayfast``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..arguments import TEXT, require
from ..extras import require as require_extra

if TYPE_CHECKING:
    import click
    import typer

    from ..service import OAuthService

__all__ = ["commands", "typer_commands"]


def commands(
    service: OAuthService, *, provider: str | None = None, name: str = "auth"
) -> click.Group:
    """The commands for click: ``login``, ``logout``, ``status``, ``whoami``, ``token``, and more.

    Ctrl-C pauses a login, with status 130; ``resume`` goes on with it, ``cancel`` forgets it, and
    ``list`` shows every one.

    Args:
        service: Whose logins they are about.
        provider: The one provider they are about; if not given, its name is their argument.
        name: The name of the group.

    Raises:
        ConfigInvalid: An argument is of another type.
    """
    _require(service, provider, name)
    from .with_click import group  # noqa: PLC0415  click is loaded by programs that use it

    return group(service, provider, name)


def typer_commands(
    service: OAuthService, *, provider: str | None = None, name: str = "auth"
) -> typer.Typer:
    """The same commands for typer, which needs the extra ``typer``.

    Args:
        service: As for :func:`commands`.
        provider: As for :func:`commands`.
        name: As for :func:`commands`.

    Raises:
        ConfigInvalid: An argument is of another type.
        ConfigMissing: ``typer`` is not installed.
    """
    _require(service, provider, name)
    require_extra("typer", "typer")
    from .with_typer import group  # noqa: PLC0415  optional

    return group(service, provider, name)


def _require(service: OAuthService, provider: str | None, name: str) -> None:
    from ..service import require_service  # noqa: PLC0415  a program that asks has loaded it

    require_service(service)
    require(
        {"provider": TEXT, "name": TEXT}, {"provider": provider, "name": name}.items(), {"provider"}
    )
