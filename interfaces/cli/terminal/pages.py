"""Pages of help: prose, lists of names and lines to be copied, laid out for the width there is.

A page is written as a text. A line that begins with a blank is to be copied and stays as it is; one
in which two blanks or more divide a name from what is said about it belongs to a list, and its text
goes on in the lines that are indented deeper; everything else is prose, whose paragraphs end at an
empty line. A command is never broken: neither a name of a list, nor what stands in backquotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from .formatting import NARROWEST, broken, columns_of

WIDEST: Final = 78
"""Columns of a page at most, as of the help of a command: longer lines of prose are hard to read."""
_GAP: Final = 2
_SHARE: Final = 0.4
"""The names of a list take this part of the width at most; a longer one stands on a line of its own."""
_NAMED: Final = re.compile(r"( *)(\S(?:.*?\S)?) {2,}(\S.*)")
_SQL: Final = re.compile(r" +GRANT ")
_HELD: Final = "\N{NO-BREAK SPACE}"


class Prose(NamedTuple):
    """A paragraph.

    Attributes:
        text: Its words, in one line.
    """

    text: str


class Named(NamedTuple):
    """A name in a list, and what is said about it.

    Attributes:
        indent: Blanks before the name.
        name: The name, such as a command or a variable.
        text: What is said about it, in one line.
    """

    indent: int
    name: str
    text: str


class Copied(NamedTuple):
    """A line to be copied, which stays as it is.

    Attributes:
        line: The line, with the blanks it begins with.
    """

    line: str


class Gap(NamedTuple):
    """An empty line."""


Part: TypeAlias = Prose | Named | Copied | Gap


def parts_of(page: str) -> list[Part]:
    """The parts of ``page``, in their order."""
    found: list[Part] = []
    for line in page.rstrip("\n").splitlines():
        indent = len(line) - len(line.lstrip(" "))
        part = _part(line, indent)
        last = found[-1] if found else None
        if isinstance(last, Named) and isinstance(part, Copied) and indent > last.indent:
            found[-1] = last._replace(text=f"{last.text} {line.strip()}")
        elif isinstance(last, Prose) and isinstance(part, Prose):
            found[-1] = Prose(f"{last.text} {part.text}")
        else:
            found.append(part)
    return found


def _part(line: str, indent: int) -> Part:
    if not line.strip():
        return Gap()
    entry = _NAMED.fullmatch(line)
    if entry is not None:
        return Named(len(entry[1]), entry[2], " ".join(entry[3].split()))
    return Copied(line) if indent else Prose(line.strip())


def folded(page: str, width: int) -> str:
    """``page`` in lines of ``width`` columns, and of :data:`WIDEST` at most; a longer command stands out."""
    width = max(min(width, WIDEST), NARROWEST)
    lines: list[str] = []
    for kind, group in groupby(parts_of(page), type):
        if kind is Named:
            lines += _listed([one for one in group if isinstance(one, Named)], width)
            continue
        for part in group:
            match part:
                case Prose(text):
                    lines += _wrapped(text, width, 0)
                case Copied(line) if _SQL.match(line):
                    lines += broken(line, width, len(line) - len(line.lstrip()) + 2)
                case Copied(line):
                    lines.append(line)
                case _:
                    lines.append("")
    return "\n".join(lines)


def _listed(entries: Iterable[Named], width: int) -> Iterator[str]:
    """A list: the names in a column, and beside it what is said about them."""
    every = list(entries)
    room = max(int(width * _SHARE), NARROWEST)
    fitting = [columns_of(one.name) + one.indent for one in every]
    column = max((taken for taken in fitting if taken <= room), default=room) + _GAP
    if width - column < 2 * NARROWEST:
        column = 2 * _GAP + 2
    for one in every:
        head = " " * one.indent + one.name
        hang = max(column, one.indent + _GAP)
        said = _wrapped(one.text, width - hang, 0)
        if columns_of(head) + _GAP <= hang:
            yield head.ljust(hang) + said.pop(0)
        else:
            yield head
        yield from (" " * hang + line for line in said)


def _wrapped(text: str, width: int, hang: int) -> list[str]:
    """``text`` in lines of ``width`` columns; what stands in backquotes stays on one line."""
    held = re.sub(r"`[^`]+`", lambda found: found[0].replace(" ", _HELD), text)
    return [line.replace(_HELD, " ") for line in broken(held, width, hang)]
