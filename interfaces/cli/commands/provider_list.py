"""``provider list``: the providers there are, by name."""

from __future__ import annotations

import click

from ..app import App
from ..command_line import takes_app, wide_option
from ..provider_choice import GROUPS
from ..provider_names import OWN, show_providers


@click.command("list")
@click.argument("words", nargs=-1)
@click.option(
    "--group",
    type=click.Choice([OWN, *GROUPS]),
    default=None,
    help="Those of one group alone.",
)
@wide_option
@takes_app
def list_providers(app: App, *, words: tuple[str, ...], group: str | None, wide: bool) -> None:
    """List all providers, or those that every one of WORDS fits.

    A kind, such as okta, asks `provider add` for its domain or the like; the others can be signed in
    to with a client id. A sentence behind a title is why that one is none for a command line.
    """
    show_providers(app, words=words, group=group, wide=wide)
