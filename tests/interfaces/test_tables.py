"""Tables at terminals of every width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from stayfast.interfaces.cli.terminal.tables import Column, Row, Table

WORDS = st.lists(st.text("abcdef", min_size=1, max_size=9), max_size=6).map(" ".join)
KINDS = (
    Column("number", right=True),
    Column("kept", once=True),
    Column("where", spare=True),
    Column("what", folds=True),
)


def lines(rows: list[Row], width: int | None, *, header: bool = True) -> list[str]:
    shown = Table(KINDS).lines(rows, width, at_terminal=header, symbol=lambda name: name)
    return ["".join(text for text, _ in line) for line in shown]


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=8), st.integers(1, 120))
def test_no_word_is_torn_or_lost_and_no_line_too_long(
    rows: list[tuple[str, str, str, str]], width: int
) -> None:
    """A line is longer than the terminal only by one word; a spare column alone may be missing."""
    shown = lines([Row(cells) for cells in rows], width)
    for line in shown:
        assert cell_len(line) <= max(width, 25), line
    there = " ".join(shown).replace("·", " ").split()
    for cells in rows:
        for word in (cells[0] + " " + cells[1] + " " + cells[3]).split():
            assert word in there


@given(st.lists(st.tuples(WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=8))
def test_a_program_gets_every_column_and_no_header(rows: list[tuple[str, str, str, str]]) -> None:
    """One line a row, whatever the rows have in common."""
    shown = lines([Row(cells) for cells in rows], None, header=False)
    assert [line.split() for line in shown] == [" ".join(cells).split() for cells in rows]


def test_what_all_rows_say_is_said_once() -> None:
    """Above the table, and no more where a later part of it differs."""
    same = [Row((str(number), "vault", "", "x")) for number in range(3)]
    shown = lines(same, 80)
    assert sum("vault" in line for line in shown) == 1
    assert "kept" not in shown[1]
    many = [Row((str(number), "vault", "", "x")) for number in range(200)]
    shown = lines([*many, Row(("200", "file", "", "x"))], 80)
    assert sum("file" in line for line in shown) == 1
    assert sum("what" in line for line in shown) == 2


def test_a_command_stands_on_a_line_of_its_own() -> None:
    """So that it can be copied whole, at every width."""
    row = Row(("1", "vault", "here", "word " * 30), next="stayfast login acme --account work")
    for width in (20, 40, 80, None):
        assert lines([row], width)[-1].split()[1:] == row.next.split()
