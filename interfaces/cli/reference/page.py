"""``docs/command.md``: every command, option, variable, exit code and schema, in tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .contract import SAID, SHAPES, file_of
from .tree import Entry, Option, codes, entries

_HEAD: Final = """\
# The command

Made by `make docs-tables` from the command itself; a test fails when it is not up to date.

Every option has a variable, by its own spelling: `STAYFAST_COMMAND_OPTION`. A value that was typed wins
over it. An option that may be given several times takes words with blanks between them from its variable.
"""


def page() -> str:
    """The page."""
    root, *commands = entries()
    lines = [_HEAD, "## Options of every command", "", *_options(root.options)]
    lines += ["", "## Exit codes", "", *_table(("code", "meaning"), _codes())]
    lines += ["", "## Answers in JSON", ""]
    lines.append(
        "With `--json` the answer is one object, or one a line, whose `schema` is the name here. Members are "
        "only ever added under the same number. Times are RFC 3339 in UTC."
    )
    lines += ["", *_table(("schema", "what it is"), _schemas())]
    lines += ["", "## Commands", "", *_table(("command", "what it does"), _overview(commands))]
    for one in commands:
        lines += ["", *_command(one)]
    return "\n".join(lines) + "\n"


def _codes() -> Iterator[Sequence[str]]:
    for number, meaning in codes():
        yield f"`{number}`", meaning


def _schemas() -> Iterator[Sequence[str]]:
    for name in sorted(SHAPES):
        yield f"[`stayfast.{name}`](schemas/{file_of(name)})", SAID[name]


def _overview(commands: Sequence[Entry]) -> Iterator[Sequence[str]]:
    for one in commands:
        if not one.below:
            yield f"[`{one.name}`](#{one.name.replace(' ', '-')})", one.about


def _command(one: Entry) -> list[str]:
    lines = [f"### {one.name}", "", f"    {one.name} {one.usage}", "", one.about]
    if one.below:
        return [*lines, "", f"Commands: {', '.join(f'`{name}`' for name in one.below)}."]
    codes_of = ", ".join(f"`{number}`" for number in one.codes)
    answers = ", ".join(f"[`{name}`](schemas/{file_of(name)})" for name in one.answers)
    said = f"With `--json`: {answers}." if answers else f"No schema of its own: {one.without}."
    lines += ["", f"Exit codes: {codes_of}. {said}"]
    return [*lines, "", *_options(one.options)] if one.options else lines


def _options(options: Sequence[Option]) -> list[str]:
    rows = [
        (f"`{one.spelt}`", f"`{one.variable}`" if one.variable else "", one.help) for one in options
    ]
    return _table(("option", "variable", "meaning"), rows)


def _table(
    heads: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]
) -> list[str]:
    lines = [_row(heads), _row(["---"] * len(heads))]
    return [*lines, *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
