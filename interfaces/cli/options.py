"""The option ``--via``: the names of transports, also of those that third parties bring."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import CompletionItem

from ...transports.plugins import BUILT_IN, installed

NAMES: Final = ("auto", *BUILT_IN, "paste")


class Via(click.ParamType[str]):
    """A transport by name."""

    name = "transport"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What the usage line shows."""
        del param, ctx
        return f"[{'|'.join(NAMES)}|...]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """``value``, if there is such a transport."""
        if value in NAMES:
            return value
        known = [plugin.name for plugin in installed()]
        if value not in known:
            choices = ", ".join([*NAMES, *known])
            self.fail(f"there is no transport {value[:40]!r} (choose from {choices})", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with ``incomplete``."""
        del ctx, param
        known = {plugin.name: plugin.summary or None for plugin in installed()}
        helped = {**dict.fromkeys(NAMES), **known}
        return [
            CompletionItem(name, help=about)
            for name, about in helped.items()
            if name.startswith(incomplete)
        ]
