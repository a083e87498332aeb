"""Tables for people: a header, columns as wide as the terminal allows, and nothing said twice.

At a terminal, a column that says the same in every row is left out and said once above the table;
columns of words are folded, and where not even that helps, each row takes lines of its own. A
program that reads the table through a pipe gets every column, one line a row and no header.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ....engine.foreign_text import printable
from ....engine.table import State
from .formatting import NARROWEST, broken, columns_of, flowed

if TYPE_CHECKING:
    from typing import TypeAlias

    from .tty import Terminal

    Line: TypeAlias = list[tuple[str, str]]
    """The parts of a line, each with how it is shown where there is colour."""

STATE_STYLES: Final = {
    State.AUTHENTICATED: "green",
    State.EXPIRED: "yellow",
    State.REFRESH_FAILED: "red",
    State.AWAITING_CALLBACK: "cyan",
}
"""How a state is shown where there is colour; its word is always there."""
_GAP: Final = "  "
_INDENT: Final = "   "
_AT_ONCE: Final = 200  # rows that are laid out together, so that a long table begins at once


class Column(NamedTuple):
    """A column.

    Attributes:
        title: Its header.
        folds: Whether its text may be broken between words.
        once: Whether it is left out where all rows say the same.
        spare: Whether it is left out where there is no room.
        right: Whether its text stands at the right.
    """

    title: str
    folds: bool = False
    once: bool = False
    spare: bool = False
    right: bool = False


class Row(NamedTuple):
    """A row.

    Attributes:
        cells: The text of each column.
        style: How the cell of the column ``styled`` is shown, where there is colour.
        styled: The number of that column.
        next: A command on a line of its own below the row, so that it can be copied whole.
        narrow: What stands below the head where the row takes lines of its own; by default the
            other cells.
    """

    cells: tuple[str, ...]
    style: str = ""
    styled: int = 0
    next: str = ""
    narrow: tuple[str, ...] = ()


class Table(NamedTuple):
    """What the rows of a table have in common.

    Attributes:
        columns: Its columns.
        heads: How many of them stand first where a row takes lines of its own.
    """

    columns: tuple[Column, ...]
    heads: int = 1

    def show(self, terminal: Terminal, rows: Iterable[Row], *, wide: bool = False) -> None:
        """Print ``rows`` as the answer.

        Args:
            terminal: Where.
            rows: They may be many: some hundreds are laid out at a time.
            wide: Whether every row takes one line with all columns, however long that is.
        """
        at_terminal = terminal.columns is not None
        width = None if wide else terminal.columns
        for line in self.lines(rows, width, at_terminal=at_terminal, symbol=terminal.symbol):
            terminal.answer_parts(line)

    def lines(
        self,
        rows: Iterable[Row],
        width: int | None,
        *,
        at_terminal: bool,
        symbol: Callable[[str], str],
    ) -> Iterator[Line]:
        """The lines that show ``rows``; the header is repeated where the columns have changed.

        Args:
            rows: What is shown.
            width: Columns there are; ``None`` for one line a row with all columns.
            at_terminal: Whether there is a header.
            symbol: Gives the symbols ``next`` and ``dot``.
        """
        shown: _Layout | None = None
        waiting = iter(rows)
        while some := [_printable(row) for row in islice(waiting, _AT_ONCE)]:
            layout = _layout(self.columns, some, width, titled=at_terminal)
            if at_terminal and layout != shown:
                yield from layout.header(self.columns, symbol("dot"))
            shown = layout
            for row in some:
                yield from layout.row(self, row, symbol("next"))


class _Layout(NamedTuple):
    """Which columns are shown, and how wide.

    Attributes:
        widths: The width of each column that is shown, by its number; empty where each row takes
            lines of its own.
        total: Columns of the terminal; ``None`` where they do not matter.
        said: What all rows say, by the number of the column.
    """

    widths: tuple[tuple[int, int], ...]
    total: int | None
    said: tuple[tuple[int, str], ...]

    def header(self, columns: Sequence[Column], dot: str) -> Iterator[Line]:
        """What all rows say, and the titles."""
        parts = [f"{columns[number].title.strip()}: {text}" for number, text in self.said]
        for line in flowed(parts, self.total or 0, "", f" {dot} ") if parts else ():
            yield [(line, "dim")]
        if self.widths:
            for titles in self._lines(columns, Row(tuple(column.title for column in columns))):
                yield [(text, "bold") for text, _ in titles]

    def row(self, table: Table, row: Row, arrow: str) -> Iterator[Line]:
        """The lines of a row."""
        yield from self._lines(table.columns, row) if self.widths else self._stacked(table, row)
        if row.next:
            before = " " * (self.widths[0][1] if self.widths else 1)
            yield [(f"{before}{_GAP}{arrow} ", ""), (row.next, "bold")]

    def _lines(self, columns: Sequence[Column], row: Row) -> list[Line]:
        cells = {
            number: broken(row.cells[number], width, 0)
            if columns[number].folds and self.total is not None
            else [row.cells[number]]
            for number, width in self.widths
        }
        lines: list[Line] = []
        for place in range(max(map(len, cells.values()))):
            line: Line = []
            before = ""
            for number, width in self.widths:
                text = cells[number][place] if place < len(cells[number]) else ""
                blank = " " * max(width - columns_of(text), 0)
                right = columns[number].right
                before += blank if right else ""
                if text.strip():  # a line ends with its last text
                    line += [(before, ""), (text, row.style if number == row.styled else "")]
                    before = ""
                else:
                    before += text
                before += ("" if right else blank) + _GAP
            lines.append(line)
        return lines

    def _stacked(self, table: Table, row: Row) -> list[Line]:
        """The lines of ``row`` where the terminal is too narrow for columns."""
        total = self.total or 1 << 16
        once = {number for number, _ in self.said}
        there = [
            (number, text.strip())
            for number, text in enumerate(row.cells)
            if text.strip() and number not in once
        ]
        head = _GAP.join(text for number, text in there if number < table.heads)
        lines: list[Line] = [[(line, "bold")] for line in broken(head, total, len(_INDENT))]
        if row.narrow:
            below = [
                line
                for text in row.narrow
                if text
                for line in broken(_INDENT + text, total, len(_INDENT) + 2)
            ]
        else:
            rest = [text for number, text in there if number >= table.heads]
            below = flowed(rest, total, _INDENT, _GAP) if rest else []
        text = row.cells[row.styled]
        for line in below:
            before, found, after = line.partition(text) if row.style and text else (line, "", "")
            lines.append([(before, ""), (found, row.style), (after, "")])
        return lines


def _printable(row: Row) -> Row:
    """``row`` without control characters: a provider chooses some of its text."""
    return Row(
        tuple(map(printable, row.cells)),
        row.style,
        row.styled,
        printable(row.next),
        tuple(map(printable, row.narrow)),
    )


def _layout(
    columns: Sequence[Column], rows: Sequence[Row], total: int | None, *, titled: bool
) -> _Layout:
    numbers = range(len(columns))
    texts = [[row.cells[number] for row in rows] for number in numbers]
    said: list[tuple[int, str]] = []
    shown = [number for number in numbers if any(texts[number])]
    if total is not None and len(rows) > 1:
        for number in list(shown):
            if columns[number].once and len(set(texts[number])) == 1:
                said.append((number, texts[number][0]))
                shown.remove(number)
    titles = [columns[number].title if titled else "" for number in numbers]
    widths = {
        number: max(columns_of(titles[number]), *map(columns_of, texts[number])) for number in shown
    }
    if total is None:
        return _Layout(tuple(widths.items()), None, ())
    least = {
        number: max(
            columns_of(titles[number]),
            *map(_longest_word, texts[number]),
            min(NARROWEST, widths[number]),
        )
        if columns[number].folds
        else widths[number]
        for number in shown
    }
    for number in reversed(shown):
        if columns[number].spare and _together(least) > total:
            del widths[number], least[number]
    if not widths or _together(least) > total:
        return _Layout((), total, tuple(said))
    for number in sorted(widths, key=lambda number: least[number] - widths[number]):
        excess = _together(widths) - total
        if excess > 0:
            widths[number] = max(least[number], widths[number] - excess)
    return _Layout(tuple(sorted(widths.items())), total, tuple(said))


def _longest_word(text: str) -> int:
    return max(map(columns_of, text.split()), default=0)


def _together(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(_GAP) * (len(widths) - 1)
