"""Pages of help fit the terminal: prose is folded, names stand in columns, commands stay whole."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from stayfast.engine.result import ErrorCode
from stayfast.interfaces.cli.error_pages import page_of
from stayfast.interfaces.cli.help_topics import TOPICS
from stayfast.interfaces.cli.reference.manual import manual
from stayfast.interfaces.cli.terminal.pages import (
    WIDEST,
    Copied,
    Gap,
    Named,
    Prose,
    folded,
    parts_of,
)

PAGES = {name: page() for name, page in TOPICS.items()} | {
    code.value: page_of(code) for code in ErrorCode
}
HELD = re.compile(r"`[^`]+`")
NAME = re.compile(r"^\S+ {2,}")  # a short name before what is said about it


@pytest.mark.parametrize("width", [24, 40, 60, WIDEST])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_the_width(name: str, width: int) -> None:
    """No line is longer, unless it is a single word, a name of a list, or to be copied as it stands."""
    page = PAGES[name]
    whole = {part.line for part in parts_of(page) if isinstance(part, Copied)}
    whole |= {f"{' ' * one.indent}{one.name}" for one in parts_of(page) if isinstance(one, Named)}
    for line in folded(page, width).splitlines():
        held = HELD.sub("x", NAME.sub("", line.strip()))
        assert len(line) <= width or line in whole or len(held.split()) == 1, line


@pytest.mark.parametrize("width", [24, 40, WIDEST])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_loses_no_word_and_breaks_no_command(name: str, width: int) -> None:
    """The words are those that were written, in their order; what is in backquotes is on one line."""
    page = PAGES[name]
    shown = folded(page, width)
    assert shown.split() == page.split()
    for part in parts_of(page):
        match part:
            case Prose(text) | Named(text=text):
                assert all(held in shown for held in HELD.findall(text))
            case _:
                pass


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_written_for_a_terminal_of_eighty_columns(name: str) -> None:
    """There, also its commands and scripts fit."""
    assert max(map(len, folded(PAGES[name], 79).splitlines())) <= 79


def test_the_parts_of_a_page() -> None:
    """Each line belongs to one; a text goes on in the lines that are indented deeper."""
    page = "Some prose\nthat goes on.\n\nname  what it\n      is\n  deeper name   is  another\n  x=$(y)\nMore.\n"
    assert parts_of(page) == [
        Prose("Some prose that goes on."),
        Gap(),
        Named(0, "name", "what it is"),
        Named(2, "deeper name", "is another"),
        Copied("  x=$(y)"),
        Prose("More."),
    ]


def test_the_texts_of_a_list_begin_in_one_column() -> None:
    """A name that is too long for it stands alone, and its text begins below."""
    page = "a  one\nlonger  two\nfar too long for a column of this  three\n"
    assert folded(page, 30) == (
        "a       one\nlonger  two\nfar too long for a column of this\n        three"
    )


@pytest.mark.parametrize("columns", [40, 80, 300])
def test_the_command_asks_the_terminal(columns: int) -> None:
    """As the help of a command does; no line is wider than that one has."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns), "LINES": "100", "TERM": "xterm"}
    command = Path(sys.executable).with_name("stayfast")
    subprocess.run([command, "help", "transports"], stdout=theirs, env=environ, check=True)
    shown = os.read(ours, 8192).decode().splitlines()
    os.close(ours)
    os.close(theirs)
    assert min(columns - 1, WIDEST) - 15 < max(map(len, shown)) <= min(columns - 1, WIDEST)


def test_the_manual_lays_out_prose_and_lists_by_itself() -> None:
    """What roff must not touch is fenced; every request it meets is one that is known."""
    page = manual()["stayfast.1"]
    requests = set(re.findall(r"^\.(\w+)", page, re.MULTILINE))
    assert requests <= {"TH", "nh", "ad", "SH", "B", "BR", "PP", "TP", "br", "nf", "fi"}
    assert page.count("\n.nf\n") == page.count("\n.fi\n") > 0
    for copied in re.findall(r"^\.nf\n(.*?)^\.fi\n", page, re.MULTILINE | re.DOTALL):
        assert max(map(len, copied.splitlines())) <= 110
