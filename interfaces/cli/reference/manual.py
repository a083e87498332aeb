"""Manual pages in roff: one for the program and one for each command, as ``git`` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from ....storage.version import app_version
from ..help_topics import TOPICS
from ..terminal.pages import Copied, Named, Prose, parts_of
from .contract import file_of
from .tree import PROGRAM, Entry, Option, codes, entries

_TOPICS: Final = (
    "transports",
    "providers",
    "credentials",
    "storage",
    "audit",
    "environment",
    "files",
)
"""The pages of ``stayfast help`` that the program's own manual page has as sections."""


_TAG: Final = 40  # columns
_ROOM: Final = 65  # columns of a line that are there for sure


def manual() -> dict[str, str]:
    """Every page by its file name: ``stayfast-audit-report.1``."""
    every = list(entries())
    return {f"{_title(one)}.1": _page(one, every) for one in every}


def _title(one: Entry) -> str:
    return "-".join((PROGRAM, *one.path))


def _page(one: Entry, every: Sequence[Entry]) -> str:
    lines = [
        f'.TH "{_title(one).upper()}" 1 "" "{PROGRAM} {app_version()}" "Stayfast manual"',
        ".nh",
        ".ad l",
    ]
    lines += [".SH NAME", f"{text(_title(one))} \\- {text(one.about.rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {text(one.name)}", text(one.usage), ".SH DESCRIPTION"]
    lines += _paragraphs(one.text)
    if one.below:
        lines.append(".SH COMMANDS")
        for name in one.below:
            found = next(each for each in every if each.path == (*one.path, name))
            lines += [".TP", f".BR {text(_title(found))} (1)", text(found.about)]
    if one.options:
        lines.append(".SH OPTIONS")
        for option in one.options:
            lines += [".TP", *_tag(option)]
            if option.variable:
                lines += [".br", f"Variable: {text(option.variable)}"]
    if not one.path:
        for name in _TOPICS:
            lines += [f".SH {name.upper()}", *_topic(TOPICS[name]())]
    lines += _ends(one)
    return "\n".join(lines) + "\n"


def _tag(option: Option) -> list[str]:
    """An option and what it does; a list of choices that is too long for a tag stands below it."""
    names, bracket, choices = option.spelt.partition(" [")
    if len(option.spelt) <= _TAG or not bracket:
        return [f".B {text(option.spelt)}", text(option.help)]
    listed = choices.rstrip("]").replace("|", ", ")
    return [f".B {text(names)} CHOICE", text(f"{option.help} One of: {listed}.")]


def _ends(one: Entry) -> list[str]:
    meanings = dict(codes())
    lines = [".SH EXIT STATUS"]
    for number in one.codes or meanings:
        lines += [".TP", f".B {number}", text(meanings[number])]
    if one.answers:
        files = ", ".join(file_of(name) for name in one.answers)
        lines += [".SH JSON", text(f"With --json the answer is as docs/schemas says: {files}.")]
    elif one.without:
        lines += [".SH JSON", text(f"There is no schema: {one.without}.")]
    above = [_title_of(one.path[:depth]) for depth in range(len(one.path))]
    if above:
        lines += [".SH SEE ALSO", *(f".BR {text(name)} (1)" for name in above)]
    return lines


def _title_of(path: Sequence[str]) -> str:
    return "-".join((PROGRAM, *path))


def _paragraphs(words: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", words.strip())):
        if number:
            yield ".PP"
        yield text(" ".join(paragraph.split()))


def _topic(page: str) -> Iterator[str]:
    """A page of ``stayfast help``: its prose and lists are laid out by the reader of the manual."""
    for kind, group in groupby(parts_of(page), type):
        if kind is Copied:
            yield from (".PP", ".nf")
        for part in group:
            match part:
                case Prose(words):
                    yield from (".PP", _flowing(words))
                case Named(_, name, words):
                    yield from (".TP", _whole(name), _flowing(words))
                case Copied(line):
                    yield text(line)
                case _:
                    pass
        if kind is Copied:
            yield ".fi"


def _flowing(words: str) -> str:
    """Prose, whose commands stay on one line."""
    return re.sub(r"`[^`]+`", lambda found: found[0].replace(" ", r"\ "), text(words))


def _whole(words: str) -> str:
    """``words`` that are not broken, where a line has room for them."""
    return text(words).replace(" ", "\\ ") if len(words) <= _ROOM else text(words)


def text(words: str) -> str:
    """``words`` as roff that is read to the letter: no escape, no request at the beginning of a line."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(one if one.isascii() else f"\\[u{ord(one):04X}]" for one in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
