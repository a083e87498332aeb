"""The command as data: every command with its options and their variables, read from click."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click

from ..help_topics import TOPICS
from ..main import cli
from .contract import ANSWERS, CODES, STORED, WITHOUT

PROGRAM: Final = "stayfast"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command.

    Attributes:
        spelt: Its names with the value it takes: ``-o, --output FILE``.
        variable: The environment variable that gives it; empty for ``--help`` and ``--version``.
        help: What it does, with its choices and its default.
        opts: Its names.
    """

    spelt: str
    variable: str
    help: str
    opts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A command or a group.

    Attributes:
        path: Its words, without the program.
        command: The command itself.
        usage: What follows its name: ``[OPTIONS] PROVIDER``.
        about: Its first sentence.
        text: All paragraphs of its help.
        options: Its own options, without those that every command has.
        below: The commands of a group.
        codes: Its exit codes.
        answers: The schemas of its answers.
        without: Why it has none.
    """

    path: tuple[str, ...]
    command: click.Command
    usage: str
    about: str
    text: str
    options: Sequence[Option]
    below: Sequence[str]
    codes: Sequence[int]
    answers: Sequence[str]
    without: str

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join((PROGRAM, *self.path))


def entries(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """The program, and every command and group of it, as they stand in its help."""
    context = click.Context(command, info_name=" ".join((PROGRAM, *path)))
    words = " ".join(path)
    below: dict[str, click.Command] = {}
    if isinstance(command, click.Group):
        below = dict(command.commands)
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    yield Entry(
        path=path,
        command=command,
        usage=" ".join(command.collect_usage_pieces(context)),
        about=command.get_short_help_str(400),
        text=text,
        options=[
            option
            for param in command.params
            if isinstance(param, click.Option)
            and (not path or not _GLOBAL & set(param.opts))
            and (option := _option(param, context))
        ],
        below=list(below),
        codes=() if below else CODES.get(words, STORED),
        answers=ANSWERS.get(words, ()),
        without=WITHOUT.get(words, ""),
    )
    for name, one in below.items():
        yield from entries(one, (*path, name))


_GLOBAL: Final = {name for param in cli.params for name in param.opts}
"""The names of the options that every command has."""


def _option(param: click.Option, context: click.Context) -> Option | None:
    record = param.get_help_record(context)
    if record is None:
        return None
    named = (param.envvar,) if isinstance(param.envvar, str) else tuple(param.envvar or ())
    help_text = " ".join(record[1].split())
    return Option(
        record[0], named[0] if named else "", help_text, [*param.opts, *param.secondary_opts]
    )


def codes() -> list[tuple[int, str]]:
    """Every exit code with its meaning."""
    found: list[tuple[int, str]] = []
    for line in TOPICS["exit-codes"]().splitlines():
        number, _, meaning = line.partition(" ")
        found.append((int(number), meaning.strip()))
    return found
