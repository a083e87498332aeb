"""What goes where.

- Standard output carries the answer, and nothing else: a token, a table that was asked for, JSON.
- Everything that is said besides (progress, what was decided and why, errors) goes to standard
  error, where it does not end up in somebody's variable.
- Colour never carries a meaning alone: every symbol has its word beside it.
- Nothing is redrawn where there is no terminal to redraw it on.
- No secret is shown, with one exception: ``holdfast token`` prints the token it was asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from ...engine.errors import HoldfastError

_SYMBOLS: Final = {"good": "✓", "warn": "!", "bad": "✗", "wait": "…", "next": "→", "dot": "·"}
_PLAIN: Final = {"good": "ok", "warn": "!", "bad": "x", "wait": "...", "next": "->", "dot": "-"}
_STYLES: Final = {"good": "green", "warn": "yellow", "bad": "red", "wait": "cyan"}


class Terminal:
    """Standard output for answers, standard error for everything else.

    Attributes:
        out: The console of standard output.
        err: The console of standard error.
        json: Whether answers are JSON.
        quiet: Whether only errors are said.
        verbose: How much is said besides.
    """

    def __init__(
        self, *, color: str = "auto", as_json: bool = False, quiet: bool = False, verbose: int = 0
    ) -> None:
        """Open both.

        Args:
            color: ``auto``, ``always`` or ``never``.
            as_json: Whether answers are JSON.
            quiet: Whether only errors are said.
            verbose: How much is said besides.
        """
        force = {"always": True, "never": False}.get(color)
        options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        if force is not None:
            options |= {"force_terminal": force} if force else {"no_color": True}
        self.out = Console(file=sys.stdout, soft_wrap=True, **options)
        self.err = Console(file=sys.stderr, soft_wrap=True, **options)
        self.json = as_json
        self.quiet = quiet
        self.verbose = verbose

    @property
    def unicode(self) -> bool:
        """Whether both streams take every character."""
        encodings = {(stream.encoding or "").lower() for stream in (sys.stdout, sys.stderr)}
        return {name.replace("-", "") for name in encodings} == {"utf8"}

    @property
    def interactive(self) -> bool:
        """Whether somebody sits at a terminal."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def symbol(self, name: str) -> str:
        """A symbol, or its plain form where the terminal has no such character."""
        return (_SYMBOLS if self.unicode else _PLAIN)[name]

    def say(self, line: str = "", *, mark: str | None = None, style: str = "") -> None:
        """Say ``line`` on standard error."""
        if self.quiet:
            return
        text = Text(style=style)
        line = presentable(line)
        if mark is not None:
            text.append(f"{self.symbol(mark)} ", style=_STYLES.get(mark, ""))
        self.err.print(text.append(line))

    def suggest(self, command: str, why: str = "") -> None:
        """Name the command that goes on from here."""
        self.say(f"  {self.symbol('next')} {command}" + (f"     {why}" if why else ""))

    def detail(self, line: str) -> None:
        """Say ``line`` to those who asked for details."""
        if self.verbose:
            self.say(line, style="dim")

    def link(self, url: str) -> None:
        """Show an address on a line of its own, unwrapped, so that it can be copied whole."""
        if not self.quiet:
            style = f"link {url}" if self.err.is_terminal and len(url) < 2000 else ""
            self.err.print(Text(url, style=style), soft_wrap=True)

    def tell(self, line: str) -> None:
        """Print a line of an answer that is for people: nothing in it moves their cursor."""
        self.answer(presentable(line))

    def answer(self, text: str) -> None:
        """Print the answer, to the letter."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def answer_json(self, schema: str, members: Mapping[str, Any]) -> None:
        """Print the answer as one line of JSON, its schema first."""
        told = {"schema": f"holdfast.{schema}", **members}
        self.answer(json.dumps(told, ensure_ascii=False, separators=(",", ":")))

    def error(self, error: HoldfastError) -> None:
        """Say what went wrong and what to do; for programs too, if they asked for JSON."""
        if self.json:
            members = {"code": error.code, "error": error.message, "hint": error.hint}
            self.answer_json("error/1", members)
        message = presentable(error.message)
        self.err.print(Text("error: ", style="bold red").append(message, style="not bold"))
        if error.why:
            self.err.print(Text(f"why:   {presentable(error.why)}"))
        if error.hint:
            self.err.print(Text(f"hint:  {error.hint}"))


def presentable(line: str) -> str:
    """``line`` without what a terminal would act upon; some of it comes from providers."""
    return "".join(c if c.isprintable() else " " for c in line)
