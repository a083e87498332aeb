"""Words that fit a terminal, a clipboard that is asked for, a picture that can be read back."""

from __future__ import annotations

import base64
import itertools
import re
import shlex
import subprocess

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from stayfast.engine.errors import NotFound
from stayfast.engine.hints import Hint
from stayfast.interfaces.cli.terminal.clipboard import copy, copy_sequence
from stayfast.interfaces.cli.terminal.formatting import (
    broken,
    columns_of,
    command_lines,
    flowed,
    more,
    sentence,
    with_tilde,
    word_of_path,
)
from stayfast.interfaces.cli.terminal.screens import QUIET_ZONE, draw_qr
from stayfast.interfaces.cli.terminal.tables import Column, Row, Table
from stayfast.interfaces.cli.terminal.tty import Terminal, utf8_locale

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=30)


@given(words=WORDS, width=st.integers(20, 80), hang=st.integers(0, 8))
def test_no_word_is_torn_and_no_line_too_long(words: list[str], width: int, hang: int) -> None:
    """Lines are broken between words, and fit."""
    line = " ".join(words)
    lines = broken(line, width, hang)
    assert " ".join(lines).split() == words
    assert max(map(len, lines)) <= max(width, hang + 12)
    assert all(more.startswith(" " * hang) for more in lines[1:])


@given(parts=WORDS, width=st.integers(20, 80))
def test_no_part_is_torn(parts: list[str], width: int) -> None:
    """What belongs together stays on one line; lines are as full as they can be."""
    lines = flowed(parts, width, "  ", " · ")
    assert [part for line in lines for part in line.strip().split(" · ")] == parts
    assert max(map(len, lines)) <= width
    for line, below in itertools.pairwise(lines):
        assert len(line) + 3 + len(below.split(" · ")[0].strip()) > width


def test_a_long_address_is_not_torn() -> None:
    """A word that fits nowhere stands out instead of being cut."""
    address = "http://127.0.0.1:8080/" + "x" * 100
    assert address in broken(f"It starts with {address}", 40, 2)[1]


def test_lengths_of_time_that_are_left() -> None:
    """One unit, and no minutes below the second one."""
    numbers = {seconds: more(seconds).split()[0] for seconds in (-3, 0, 59, 89, 90, 480, 7200)}
    assert numbers == {-3: "0", 0: "0", 59: "59", 89: "89", 90: "2", 480: "8", 7200: "2"}
    assert sentence("that is it; look again") == "That is it. Look again."


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "en_GB.utf8"}, True),
        ({"LANG": "C", "LC_ALL": "de_DE.UTF-8"}, True),
        ({"LANG": "C.UTF-8", "LC_ALL": "C"}, False),
        ({"LANG": "en_US.ISO-8859-1"}, False),
        ({"LANG": "C"}, False),
        ({}, False),
        ({"PYTHONUTF8": "1"}, True),
    ],
)
def test_which_locales_show_every_character(environ: dict[str, str], expected: bool) -> None:
    """The variable that counts says so; none says no."""
    assert utf8_locale(environ) is expected


def copied(sequence: str) -> str:
    """What a terminal makes of an OSC 52 sequence."""
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]+)\x07", sequence)
    assert found, sequence
    return base64.b64decode(found[1]).decode()


@given(text=st.text(min_size=1, max_size=900))
def test_the_clipboard_gets_the_text_through_whatever_is_in_between(text: str) -> None:
    """By itself, passed on by tmux, and in pieces that screen passes on: the same text."""
    assert copied(copy_sequence(text, {"TERM": "xterm"})) == text
    plain, _, wrapped = copy_sequence(text, {"TMUX": "/tmp/x,1,0"}).partition("\x1bPtmux;")
    assert copied(plain) == text
    assert wrapped.endswith("\x1b\\")
    assert copied(wrapped[:-2].replace("\x1b\x1b", "\x1b")) == text
    pieces = re.findall(r"\x1bP(.*?)\x1b\\", copy_sequence(text, {"STY": "1.x"}), re.DOTALL)
    assert copied("".join(pieces)) == text
    assert max(map(len, pieces)) <= 256


def test_a_tmux_that_is_not_there_is_no_obstacle() -> None:
    """Where tmux cannot be asked, the terminal is."""
    assert copy("text", {"TMUX": "/nowhere,1,0", "PATH": "/nowhere"}).startswith("\x1b]52;c;")


@pytest.mark.parametrize("length", [10, 40, 60, 130])
def test_a_picture_says_what_it_should(length: int) -> None:
    """Read back module by module, in half blocks and in ASCII, it is the code that was made."""
    address = "https://x.test/" + "a" * length
    made = segno.make(address, error="l", micro=False)
    modules = [[bool(one) for one in row] for row in made.matrix_iter(border=QUIET_ZONE)]

    plain = [row.plain for row in draw_qr(address, unicode=False, color=False)]
    assert [[row[at] == " " for at in range(0, len(row), 2)] for row in plain] == modules
    assert all(row[0::2] == row[1::2] for row in plain)

    read: list[list[bool]] = []
    for row in draw_qr(address, unicode=True, color=True):
        read.append([one in " ▄" for one in row.plain])
        read.append([one in " ▀" for one in row.plain])
    assert read[: len(modules)] == modules
    assert all(not any(row) for row in read[len(modules) :])


@given(
    words=st.lists(st.text("ab '\"\\$x", min_size=1, max_size=12), min_size=1, max_size=12),
    width=st.integers(10, 60),
)
def test_a_broken_command_is_the_same_command(words: list[str], width: int) -> None:
    """A shell that gets the lines as they stand reads every word that was meant, and no other."""
    command = shlex.join(words)
    lines = command_lines(command, width, "  -> ")
    assert all(line.startswith("     ") for line in lines[1:])
    copied = "\n".join(line[5:] for line in lines)
    assert shlex.split(re.sub(r" \\\n", " ", copied)) == words


def test_a_path_is_named_as_people_and_shells_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tilde for people, the variable for shells; another home that begins alike stays whole."""
    monkeypatch.setenv("HOME", "/home/ada")
    assert with_tilde("in /home/ada/state (/home/ada), /home/ada2/x") == (
        "in ~/state (~), /home/ada2/x"
    )
    for path in ("/home/ada/a b", "/home/ada2/x", "/home/ada/$x`", "/tmp/'"):
        done = subprocess.run(
            ["sh", "-c", f"printf %s {word_of_path(path)}"],
            env={"HOME": "/home/ada"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout == path


def test_a_program_reads_the_words_that_a_terminal_shows_in_styles(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages, hints, errors, addresses and tables differ by their styles alone."""
    monkeypatch.setenv("COLUMNS", "200")

    def written(color: str) -> tuple[str, str]:
        terminal = Terminal(color=color, verbose=1)
        terminal.say("  said of acme", mark="warn", strong="acme")
        terminal.say("dim", style="dim", indent=3)
        terminal.suggest("stayfast status", "to see it")
        terminal.plain("https://a.example/plain")
        terminal.link("https://a.example/link", before="  ")
        terminal.error(NotFound("no such thing", hint=Hint("status")))
        table = Table((Column("state"), Column("number", right=True)), heads=1)
        table.show(terminal, [Row(("good", "1"), style="green", next="stayfast token")])
        out, err = capfd.readouterr()
        return out, err

    (out, err), (styled_out, styled_err) = written("auto"), written("always")
    assert "\x1b[" not in out + err
    assert "\x1b[" in styled_out
    assert "\x1b[" in styled_err
    style = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
    assert style.sub("", styled_out) == out
    assert style.sub("", styled_err) == err


@given(text=st.text(st.sampled_from("✓✗…→·•▮!aé日 \u0301"), max_size=12))
def test_columns_are_counted_as_rich_counts_them(text: str) -> None:
    """Also of our own symbols, for which its tables are not loaded."""
    assert columns_of(text) == cell_len(text)
