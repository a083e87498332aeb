"""What every command shares on its command line: the global options, and help that fits the terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar, cast

import click
from click.core import ParameterSource

from ...storage.paths import named_directory
from .app import App

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

# subscripts of ParamType are for type checkers alone: click takes them from 8.5 on
if TYPE_CHECKING:
    _Number = click.ParamType[float]
else:
    _Number = click.ParamType

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST: Final = 366 * 86400
AGES: Final = 100 * _LONGEST
"""The longest age, in seconds: a log or a login may be kept for years."""


class Duration(_Number):
    """``90``, ``90s``, ``10m``, ``2h``, ``7d``: seconds."""

    name = "duration"

    def __init__(self, longest: float = _LONGEST) -> None:
        """``longest`` in seconds: a year for what is waited for, and a century for ages."""
        self._longest = longest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is not a duration; try 90s, 10m or 2h", param, ctx)
        seconds = float(int(found[1]) * _UNITS[found[2] or "s"])
        if seconds > self._longest:
            years = self._longest / _LONGEST
            long = "a year" if years <= 1 else f"{years:.0f} years"
            self.fail(f"{value!r} is longer than {long}", param, ctx)
        return seconds


_READABLE = 50
"""Columns below which click would print its help wider than the terminal."""


class _Help(click.HelpFormatter):
    """Help as wide as the terminal, however narrow: names take a third of it at most."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """A list of names, each with a sentence about it."""
        room = self.width - self.current_indent - 2
        fitting = [(_at_bars(name, room), about) for name, about in rows]
        super().write_dl(fitting, min(col_max, max(self.width // 3, 8)), col_spacing)


def _at_bars(name: str, room: int) -> str:
    """``name`` in lines of ``room`` columns, broken where one of its values ends."""
    if len(name) <= room:
        return name
    lines = [""]
    for part in re.findall(r"[^|\s]+\|?|\s+", name):
        if len(lines[-1]) + len(part) > room and lines[-1].strip():
            lines.append("      ")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


class HelpContext(click.Context):
    """The context of a command whose help fits the terminal."""

    formatter_class = _Help

    def make_formatter(self) -> click.HelpFormatter:
        """The formatter of the help; click's own is never narrower than 50 columns."""
        import shutil  # noqa: PLC0415  the help alone needs it

        columns = shutil.get_terminal_size().columns
        if columns < _READABLE + 2:
            return _Help(width=max(columns - 1, 16))
        return super().make_formatter()


class Group(click.Group):
    """A group whose help has the first sentence of each command whole, never cut with dots."""

    context_class = HelpContext

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, in the order of their names."""
        found = [(name, self.about(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, about) for name, about in found if about is not None]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def about(self, ctx: click.Context, name: str) -> str | None:
        """The first sentence of the help of the command ``name``; ``None`` if it is hidden."""
        command = self.get_command(ctx, name)
        if command is None or command.hidden:
            return None
        return command.get_short_help_str(_SENTENCE)


_SENTENCE = 400
"""Characters of a sentence, more than any has."""


class HelpfulGroup(Group):
    """A group that prints its help if it is called alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Print the help where nothing else was typed; click would call that an error."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)


def _as_typed(value: object, param: click.Parameter, context: click.Context) -> Any:
    """``value`` decoded as UTF-8, where the locale could not decode it (``LC_ALL=POSIX``).

    Python then keeps the octets of an argument as lone surrogates, which no file or request takes.
    Names of files stay as they are: the system knows them by their octets.
    """
    if isinstance(value, tuple):
        many = cast("tuple[object, ...]", value)
        return tuple(_as_typed(one, param, context) for one in many)
    if not isinstance(value, str):
        return value
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise click.BadParameter("it is not UTF-8", context, param) from None


def _directory(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The directory of an option, which is relative to this one; a variable's must be absolute.

    Raises:
        StorageError: The variable is relative.
    """
    name = param.name or ""
    if context.get_parameter_source(name) is not ParameterSource.ENVIRONMENT:
        return value
    named = (param.envvar,) if isinstance(param.envvar, str) else param.envvar or ()
    variable = next((one for one in named if os.environ.get(one)), "")
    return named_directory(variable, os.environ)


def global_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options every command takes, also after its own name."""
    for option in reversed(
        (
            click.option("--json", "as_json", is_flag=True, default=None, help="Answer in JSON."),
            click.option("-q", "--quiet", is_flag=True, default=None, help="Print errors only."),
            click.option(
                "-v",
                "--verbose",
                count=True,
                default=None,
                help="Print decisions and their reasons.",
            ),
            click.option(
                "--color",
                type=click.Choice(["auto", "always", "never"]),
                default=None,
                envvar="STAYFAST_COLOR",
                help="When to use colour.",
            ),
            click.option(
                "--config-dir",
                type=click.Path(),  # no exists=True: a command that needs no storage works without it
                default=None,
                callback=_directory,
                help="Where providers are configured.",
            ),
            click.option(
                "--state-dir",
                type=click.Path(),  # no exists=True: a command that needs no storage works without it
                default=None,
                callback=_directory,
                help="Where logins are kept.",
            ),
        )
    ):
        command = option(command)
    return command


def wide_option(command: F) -> F:
    """``command`` with the option by which a table heeds no width."""
    return click.option(
        "--wide", is_flag=True, help="One line per row and every column, however narrow it is."
    )(command)


def takes_app(command: Callable[Concatenate[App, P], T]) -> Callable[..., T]:
    """Give ``command`` the :class:`App` first, with the global options taken out of its own."""

    @global_options
    @click.pass_context
    @wraps(command)
    def called(context: click.Context, /, *args: Any, **kwargs: Any) -> T:
        app = context.ensure_object(App)
        for param in context.command.params:
            if isinstance(param.type, click.types.StringParamType) and param.name in kwargs:
                kwargs[param.name] = _as_typed(kwargs[param.name], param, context)
        for name in ("as_json", "quiet", "verbose", "color", "config_dir", "state_dir"):
            value = kwargs.pop(name)
            if value:
                app.options[name] = value
        if isinstance(kwargs.get("provider"), str) and context.command.name != "login":
            kwargs["provider"] = app.known_name(kwargs["provider"])
        return command(app, *args, **kwargs)

    return called
