"""Questions to whoever sits at the terminal, each answered with a line and Enter.

Ctrl-C and Ctrl-D leave the cursor behind the question: what is said next must not stand in that line.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

import click


class Line(Protocol):
    """What a question needs of the terminal.

    Attributes:
        at_line_start: Whether Ctrl-C or Ctrl-D has ended what stood in the line of the cursor.
    """

    at_line_start: bool

    def end_line(self) -> None:
        """Go to a new line after Ctrl-C or Ctrl-D, once."""
        ...


def ask(terminal: Line, text: str, *, hidden: bool = False, **options: Any) -> str:
    """What is typed for ``text``.

    Args:
        terminal: Where it is asked.
        text: The question.
        hidden: Whether what is typed is not shown.
        options: As for :func:`click.prompt`.

    Raises:
        click.Abort: Nothing is: Ctrl-C, Ctrl-D.
    """
    with _whole_lines(terminal, ended=hidden):
        return str(click.prompt(text, hide_input=hidden, err=True, **options))


def confirm(terminal: Line, text: str, *, default: bool) -> bool:
    """Whether the answer to ``text`` is yes; Enter alone is ``default``.

    Raises:
        click.Abort: There is none: Ctrl-C, Ctrl-D.
    """
    with _whole_lines(terminal):
        return click.confirm(text, default=default, err=True)


def typed_line(terminal: Line) -> str | None:
    """The next line that is typed; ``None`` if there is none: Ctrl-C, Ctrl-D."""
    try:
        return input()
    except (EOFError, KeyboardInterrupt):
        terminal.at_line_start = False
        terminal.end_line()
        return None


@contextmanager
def _whole_lines(terminal: Line, *, ended: bool = False) -> Generator[None]:
    """Begin a new line if the question stays without an answer; ``ended`` if click has begun one."""
    terminal.at_line_start = False
    try:
        yield
    except click.Abort:
        if ended:
            terminal.at_line_start = True
        else:
            terminal.end_line()
        raise
