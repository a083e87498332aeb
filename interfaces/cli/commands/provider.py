"""``provider``: the providers that a user can sign in to."""

from __future__ import annotations

from typing import Final

import click

from ..command_line import HelpfulGroup
from ..on_demand import CommandsOnDemand

_BELOW: Final = {
    "add": ("commands.provider_add:add_provider", ""),
    "check": ("commands.provider_views:check_provider", ""),
    "list": ("commands.provider_list:list_providers", ""),
    "show": ("commands.provider_views:show_provider", ""),
    "edit": ("commands.provider_edit:edit_provider", ""),
    "remove": ("commands.provider_edit:remove_provider", ""),
}


@click.group(cls=HelpfulGroup, commands=CommandsOnDemand(_BELOW, prefix="STAYFAST_PROVIDER"))
def provider() -> None:
    """The providers: shipped ones, and your own."""
