"""What a shell completes behind a command: providers, accounts, logins and pages.

Nobody is asked anything, and whatever goes wrong completes nothing: a shell that waits for the answer has
no place for a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from .app import App
from .command_line import HelpContext

if TYPE_CHECKING:
    from ...engine.summary import Summary

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_values(command: click.Command) -> None:
    """Let the arguments and options of ``command``, and of those below it, complete their values."""
    command.context_class = HelpContext
    for param in command.params:
        completer = COMPLETERS.get(value_name(param))
        if completer is not None and isinstance(param.type, click.types.StringParamType):
            # click takes it at the making of a parameter only; all of ours get theirs in one place
            param._custom_shell_complete = completer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if isinstance(command, click.Group) and isinstance(command.commands, dict):
        for below in command.commands.values():  # commands on demand complete as they are loaded
            complete_values(below)


def value_name(param: click.Parameter) -> str:
    """The name by which the values of ``param`` are known."""
    return "account" if param.metavar == "ACCOUNT" else param.name or ""


def _summaries(context: click.Context) -> list[Summary]:
    app = App()
    app.never_asks = True
    for above in (context, *_above(context)):
        for name in ("state_dir", "config_dir"):
            value = above.params.get(name)
            if value:
                app.options.setdefault(name, value)
    return list(app.assembly().storage.summaries())


def _above(context: click.Context) -> Iterable[click.Context]:
    while context.parent is not None:
        context = context.parent
        yield context


def _quietly(find: Callable[[click.Context], dict[str, str]]) -> Completer:
    """What ``find`` finds, with a word about each, that begins as the user typed."""

    def complete(
        context: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        del param
        try:
            found = find(context)
        except Exception:  # noqa: BLE001  a locked vault, a broken file: there is nothing to offer
            return []
        return [
            CompletionItem(value, help=about or None)
            for value, about in sorted(found.items())
            if value.startswith(incomplete)
        ]

    return complete


def _providers(context: click.Context) -> dict[str, str]:
    del context
    app = App()
    app.never_asks = True
    return dict.fromkeys(app.assembly().catalogue.names(), "")


def _kinds(context: click.Context) -> dict[str, str]:
    del context
    return kinds()


def kinds() -> dict[str, str]:
    """The kinds of providers that can be added, with their titles."""
    from ..catalogue import index  # noqa: PLC0415  only completion needs it

    return {name: one["title"] for name, one in index().items() if "impossible" not in one}


def _accounts(context: click.Context) -> dict[str, str]:
    """The accounts that are signed in, of the provider that stands in the line already."""
    provider = context.params.get("provider")
    return {
        one.account: one.identity.label if one.identity else one.provider
        for one in _summaries(context)
        if one.holds_tokens and provider in {None, one.provider}
    }


def _open_logins(context: click.Context) -> dict[str, str]:
    return {one.short_id: one.provider for one in _summaries(context) if one.pending}


def pages(root: click.Command) -> dict[str, str]:
    """What ``help`` explains: every command of ``root``, and the pages."""
    from .help_topics import TOPICS  # noqa: PLC0415  it imports the commands, which complete by us

    commands: Mapping[str, click.Command] = root.commands if isinstance(root, click.Group) else {}
    return {**{name: one.get_short_help_str() for name, one in commands.items()},
            **dict.fromkeys(TOPICS, "a page")}  # fmt: skip


COMPLETERS: Final = {
    "provider": _quietly(_providers),
    "account": _quietly(_accounts),
    "named": _quietly(_accounts),
    "login_id": _quietly(_open_logins),
    "provider_kind": _quietly(_kinds),
    "topic": _quietly(lambda context: pages(context.find_root().command)),
}
"""By the name of what is completed."""
