"""Manual pages in roff: one for the program and one for each command, as ``git`` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ....storage.version import app_version
from ..help_topics import TOPICS
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
            lines += [f".SH {name.upper()}", *_verbatim(TOPICS[name]())]
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


def _verbatim(words: str) -> list[str]:
    return [".nf", *(text(line) or ".sp" for line in words.rstrip("\n").splitlines()), ".fi"]


def text(words: str) -> str:
    """``words`` as roff that is read to the letter: no escape, no request at the beginning of a line."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    escaped = "".join(one if one.isascii() else f"\\[u{ord(one):04X}]" for one in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
