"""What a shell completes behind a command: providers, accounts, logins and pages.

Nobody is asked anything, and whatever goes wrong completes nothing: a shell that waits for the answer has
no place for a message.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from ...engine.errors import StayfastError
from ...storage.paths import config_dir
from .app import App
from .command_line import HelpContext

if TYPE_CHECKING:
    from ...engine.summary import Summary

_OF_SIGNED_IN: Final = frozenset(
    {"exec", "list", "logout", "refresh", "rename", "status", "token", "use", "whoami"}
)
"""The commands whose provider is one that is signed in to; elsewhere it is any."""

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete_values(command: click.Command) -> None:
    """Let the arguments and options of ``command``, and of those below it, complete their values."""
    command.context_class = HelpContext
    for param in command.params:
        completer = COMPLETERS.get(value_name(param, command.name))
        if completer is not None and isinstance(param.type, click.types.StringParamType):
            # click takes it at the making of a parameter only; all of ours get theirs in one place
            param._custom_shell_complete = completer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if isinstance(command, click.Group) and isinstance(command.commands, dict):
        for below in command.commands.values():  # commands on demand complete as they are loaded
            complete_values(below)


def value_name(param: click.Parameter, command: str | None) -> str:
    """The name by which the values of ``param`` of the ``command`` are known."""
    if param.name == "provider" and command in _OF_SIGNED_IN:
        return "signed_in"
    if param.name == "provider" and command == "remove":
        return "own"
    if "--set" in param.opts:
        return "setting"
    return "account" if param.metavar == "ACCOUNT" else param.name or ""


def _summaries(context: click.Context) -> list[Summary]:
    return list(_app(context).assembly().storage.summaries())


def _app(context: click.Context) -> App:
    """The command with the directories that stand in the line."""
    app = App()
    app.never_asks = True
    for above in (context, *_above(context)):
        for name in ("state_dir", "config_dir"):
            value = above.params.get(name)
            if value:
                app.options.setdefault(name, value)
    return app


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
    return dict.fromkeys(_app(context).assembly().catalogue.names(), "")


def _signed_in(context: click.Context) -> dict[str, str]:
    """The providers that are signed in to; all of them where that is not known for certain."""
    if os.environ.get("STAYFAST_KEY_COMMAND"):  # it may ask for a touch
        return _providers(context)
    try:
        return {one.provider: "" for one in _summaries(context) if one.holds_tokens}
    except StayfastError:  # a locked vault
        return _providers(context)


def _own(context: click.Context) -> dict[str, str]:
    from ..provider_file import ProviderFile  # noqa: PLC0415  only completion needs it

    return dict.fromkeys(ProviderFile(config_dir(_app(context).settings())).names(), "")


def settings(command: click.Command) -> dict[str, str]:
    """What ``--set`` of ``command`` sets: the settings that have no option of their own there."""
    from .setting_words import settable  # noqa: PLC0415  only completion needs it

    return {f"{name}=": "" for name in settable(command.params)}


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
    "signed_in": _quietly(_signed_in),
    "own": _quietly(_own),
    "setting": _quietly(lambda context: settings(context.command)),
    "account": _quietly(_accounts),
    "named": _quietly(_accounts),
    "login_id": _quietly(_open_logins),
    "provider_kind": _quietly(_kinds),
    "topic": _quietly(lambda context: pages(context.find_root().command)),
}
"""By the name of what is completed."""
