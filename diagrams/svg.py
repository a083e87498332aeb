"""The machine as an SVG picture: no library, no font of its own, readable in light and in dark.

The picture is a column of states, with ``idle`` as a bar beside it. ``idle`` is the beginning and
every end, so the bar is as tall as the picture: what begins or ends a login is a level arrow between
the bar and a state. Arrows between neighbours in the column are upright; the rest leave a state to
the right, run along a lane and come back. Only the order of the column and the colour of a state do
not come from the table. A state that this file does not know goes to the end of the column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from .arrows import label, spelt

if TYPE_CHECKING:
    from ..engine.table import Row
    from .arrows import Picture


BAR: Final = "idle"
COLUMN: Final[tuple[str, ...]] = (
    "challenge",
    "awaiting_callback",
    "exchanging",
    "authenticated",
    "expired",
    "refresh_failed",
)
TONES: Final = {
    "idle": "quiet",
    "challenge": "pending",
    "awaiting_callback": "pending",
    "exchanging": "pending",
    "authenticated": "good",
    "expired": "warn",
    "refresh_failed": "bad",
}

MARGIN: Final = 24.0
TOP: Final = 104.0
"""Room for the title and the legend."""
BAR_WIDTH: Final = 64.0
LEFT_RUN: Final = 196.0
"""From the bar to the column: wide enough for a label."""
BOX_WIDTH: Final = 268.0
PORT: Final = 37.0
"""Between two level arrows: a label above and a note below each line."""
GAP: Final = 62.0
"""Between two states of the column, for upright arrows and their labels."""
RIGHT_RUN: Final = 168.0
"""From the column to the first lane."""
LANE: Final = 20.0
UPRIGHTS: Final = 2
"""How many upright arrows fit between two neighbours."""

Point = tuple[float, float]

_BEND: Final = LANE * 0.45
_TIP: Final = 8.0
_TITLE: Final = "The states of a login"
_ROLE: Final = 'class="machine" role="img" aria-labelledby="title desc"'
_HEADROOM: Final = 12.0
"""Above the states of a picture that stands in a page, which has its own title."""

STYLE: Final = """\
    .machine { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #818b98; --path: #0a53be;
      --quiet: #eff2f5; --pending: #ddf0ff; --good: #d7f5df; --warn: #fff1c2; --bad: #ffe1de; }
    @media screen and (prefers-color-scheme: dark) {
      .machine { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --line: #6e7781; --path: #6cb6ff;
        --quiet: #212830; --pending: #10304f; --good: #12351f; --warn: #3a2d0a; --bad: #471a1b; }
    }
    .machine text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
      monospace; fill: var(--ink); }
    .machine .paper { fill: var(--paper); }
    .machine .title { font-size: 17px; font-weight: 700; }
    .machine .legend { font-size: 12px; fill: var(--soft); }
    .machine .state rect { stroke: var(--line); stroke-width: 1.25; }
    .machine .state text { font-size: 15px; font-weight: 600; text-anchor: middle; }
    .machine .quiet rect { fill: var(--quiet); }
    .machine .pending rect { fill: var(--pending); }
    .machine .good rect { fill: var(--good); }
    .machine .warn rect { fill: var(--warn); }
    .machine .bad rect { fill: var(--bad); }
    .machine .arrow path { fill: none; stroke: var(--line); stroke-width: 1.25; }
    .machine .arrow polygon { fill: var(--line); }
    .machine .arrow text { font-size: 12px; }
    .machine .arrow text.note { font-size: 10.5px; font-style: italic; fill: var(--soft); }
    .machine .arrow text.time { font-size: 10.5px; font-weight: 700; fill: var(--path); }
    .machine .taken path { stroke: var(--path); stroke-width: 3; }
    .machine .taken polygon { fill: var(--path); }
    .machine .taken text { font-weight: 700; }
    .machine .visited rect { stroke: var(--path); stroke-width: 2.5; }
"""


def svg(picture: Picture) -> str:
    """The picture; every arrow is a group that names its row in ``data-`` attributes."""
    layout = lay_out(picture.rows)
    size = f'width="{_n(layout.width)}" height="{_n(layout.height)}"'
    view = f'viewBox="0 0 {_n(layout.width)} {_n(layout.height)}"'
    count = f"{len(picture.states)} states, {len(picture.rows)} transitions"
    legend = "Above a line what happens; below it, in italics, what must hold besides."
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view} {size} {_ROLE}>',
            f'  <title id="title">{_TITLE}</title>',
            f'  <desc id="desc">{escape(_spoken(picture))}</desc>',
            f"  <style>\n{STYLE}  </style>",
            f'  <rect class="paper" {size} rx="12"/>',
            f'  <text class="title" x="24" y="42">{_TITLE}</text>',
            f'  <text class="legend" x="24" y="64">{count}: every row of the table, once.</text>',
            f'  <text class="legend" x="24" y="82">{legend}</text>',
            *(_arrow(arrow, picture) for arrow in layout.arrows),
            *(_state(box, visited=picture.visited(box.state)) for box in layout.boxes),
            "</svg>\n",
        ]
    )


def svg_in_page(picture: Picture, name: str, title: str) -> str:
    """The picture as an element of an HTML page, which has :data:`STYLE` once for all pictures.

    Args:
        picture: What is drawn.
        name: Unique in the page; the beginning of the ids in it.
        title: What it shows, for screen readers.
    """
    layout = lay_out(picture.rows)
    top = TOP - _HEADROOM
    height = layout.height - top
    size = f'width="{_n(layout.width)}" height="{_n(height)}"'
    view = f'viewBox="0 {_n(top)} {_n(layout.width)} {_n(height)}"'
    role = f'class="machine" role="img" aria-labelledby="{escape(name)}-t {escape(name)}-d"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view} {size} {role}>',
            f'<title id="{escape(name)}-t">{escape(title)}</title>',
            f'<desc id="{escape(name)}-d">{escape(_spoken(picture))}</desc>',
            *(_arrow(arrow, picture) for arrow in layout.arrows),
            *(_state(box, visited=picture.visited(box.state)) for box in layout.boxes),
            "</svg>",
        ]
    )


def read_svg(text: str) -> list[str]:
    """The arrows a picture shows."""
    arrows: list[str] = []
    for group in re.findall(r'<g class="arrow[^>]*>', text):
        named = dict(re.findall(r'data-(\w+)="([^"]*)"', group))
        words = named.get("trigger", "")
        if "guard" in named:
            words += f" [{named['guard']}]"
        arrows.append(spelt(named.get("from", ""), named.get("to", ""), words))
    return arrows


# The layout: where states and arrows stand.


@dataclass(frozen=True, slots=True)
class Box:
    """A state's place."""

    state: str
    x: float
    y: float
    width: float
    height: float
    tone: str

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow's course and the place of its label.

    Attributes:
        row: The row it draws.
        points: Its corners, from the source to the tip.
        label: Where the trigger is written: the left end of its base line.
        note: Where guard or time is written: the same.
    """

    row: Row
    points: Sequence[Point]
    label: Point
    note: Point


@dataclass(frozen=True, slots=True)
class Layout:
    """All of it.

    Attributes:
        boxes: The states; the bar comes first if there is one.
        arrows: The arrows, one per row.
        width: Of the picture.
        height: Of the picture.
    """

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    width: float
    height: float


def lay_out(rows: Sequence[Row]) -> Layout:
    """A place for every state and a course for every row."""
    named = [state.value for row in rows for state in (row.source, row.dest)]
    column = [state for state in COLUMN if state in named]
    column += [state for state in dict.fromkeys(named) if state not in (*column, BAR)]
    loops = [row for row in rows if _ends(row) == (BAR, BAR)]
    upright, level, around = _sort_out([row for row in rows if row not in loops], column)

    x = MARGIN + BAR_WIDTH + LEFT_RUN
    y = TOP
    boxes: dict[str, Box] = {}
    for state in column:
        left = sum(state in _ends(row) for row in level)
        right = sum(_ends(row).count(state) for row in around)
        height = (max(left, right, 1) + 0.5) * PORT
        boxes[state] = Box(state, x, y, BOX_WIDTH, height, TONES.get(state, "quiet"))
        y += height + GAP
    bottom = y - GAP
    bar = Box(BAR, MARGIN, TOP, BAR_WIDTH, max(bottom - TOP, PORT), TONES[BAR])

    arrows = [
        *(arrow for box in boxes.values() for arrow in _level(box, level, bar)),
        *_uprights(upright, column, boxes),
        *_lanes(around, column, boxes),
        *_loops(loops, bar),
    ]
    rank = {row: number for number, row in enumerate(rows)}
    arrows.sort(key=lambda arrow: rank[arrow.row])
    width = x + BOX_WIDTH + (RIGHT_RUN + len(around) * LANE if around else 0) + MARGIN
    shown = [bar, *boxes.values()] if BAR in named else list(boxes.values())
    return Layout(shown, arrows, width, bottom + MARGIN + len(loops) * PORT)


def _ends(row: Row) -> tuple[str, str]:
    return row.source.value, row.dest.value


def _sort_out(rows: Sequence[Row], column: Sequence[str]) -> tuple[list[Row], list[Row], list[Row]]:
    """The rows drawn upright, level and around."""
    neighbours = {frozenset(pair) for pair in pairwise(column)}
    upright: list[Row] = []
    level: list[Row] = []
    around: list[Row] = []
    taken: dict[frozenset[str], int] = {}
    for row in rows:
        ends = frozenset(_ends(row))
        if BAR in ends:
            level.append(row)
        elif ends in neighbours and taken.get(ends, 0) < UPRIGHTS:
            taken[ends] = taken.get(ends, 0) + 1
            upright.append(row)
        else:
            around.append(row)
    return upright, level, around


def _level(box: Box, level: Sequence[Row], bar: Box) -> list[Arrow]:
    """The arrows between the bar and ``box``, one below the other."""
    arrows: list[Arrow] = []
    mine = [row for row in level if box.state in _ends(row)]
    top = box.y + (box.height - (len(mine) - 1) * PORT) / 2
    for number, row in enumerate(mine):
        y = top + number * PORT
        points = [(bar.right, y), (box.x, y)]
        if row.source.value == box.state:
            points.reverse()
        x = bar.right + 16
        arrows.append(Arrow(row, points, (x, y - 6), (x, y + 13)))
    return arrows


def _loops(loops: Sequence[Row], bar: Box) -> list[Arrow]:
    """From the bar to the bar: below it, one under the other."""
    arrows: list[Arrow] = []
    for number, row in enumerate(loops, start=1):
        inset = BAR_WIDTH / (2.5 * number)
        y = bar.bottom + number * PORT - 12
        left, right = bar.x + BAR_WIDTH / 2 - inset, bar.x + BAR_WIDTH / 2 + inset
        points = [(left, bar.bottom), (left, y), (right, y), (right, bar.bottom)]
        arrows.append(Arrow(row, points, (bar.right + 16, y - 6), (bar.right + 16, y + 8)))
    return arrows


def _uprights(upright: Sequence[Row], column: Sequence[str], boxes: dict[str, Box]) -> list[Arrow]:
    """The arrows between neighbours of the column, side by side."""
    arrows: list[Arrow] = []
    for upper, lower in pairwise(column):
        mine = [row for row in upright if set(_ends(row)) == {upper, lower}]
        mine.sort(key=lambda row: row.source.value != upper)  # down on the left, up on the right
        for number, row in enumerate(mine):
            x = boxes[upper].x + 20 + number * BOX_WIDTH / UPRIGHTS
            points = [(x, boxes[upper].bottom), (x, boxes[lower].y)]
            if row.source.value == lower:
                points.reverse()
            middle = (boxes[upper].bottom + boxes[lower].y) / 2
            arrows.append(Arrow(row, points, (x + 9, middle - 1), (x + 9, middle + 13)))
    return arrows


def _lanes(around: Sequence[Row], column: Sequence[str], boxes: dict[str, Box]) -> list[Arrow]:
    """The arrows to the right of the column, each in a lane of its own.

    Short arrows take the inner lanes, so a long one goes around them and crosses none.
    """
    place = {state: number for number, state in enumerate(column)}

    def span(row: Row) -> tuple[int, int]:
        source, dest = (place[end] for end in _ends(row))
        return abs(source - dest), min(source, dest)

    lane = {row: number for number, row in enumerate(sorted(around, key=span))}
    ports = _ports(lane, place, boxes)
    arrows: list[Arrow] = []
    for row in around:
        source, dest = boxes[row.source.value], boxes[row.dest.value]
        start, end = ports[row, "source"], ports[row, "dest"]
        x = source.right + RIGHT_RUN + lane[row] * LANE
        points = [(source.right, start), (x, start), (x, end), (dest.right, end)]
        text_x = source.right + 12
        arrows.append(Arrow(row, points, (text_x, start - 6), (text_x, start + 13)))
    return arrows


def _ports(
    lane: dict[Row, int], place: dict[str, int], boxes: dict[str, Box]
) -> dict[tuple[Row, str], float]:
    """Where each arrow around leaves and enters, so that arrows nest instead of crossing.

    From the top of a box: up to the nearest, up to the farthest, down to the farthest, down to
    the nearest.
    """
    found: dict[tuple[Row, str], float] = {}
    for state, box in boxes.items():
        stubs: list[tuple[float, int, Row, str]] = []
        for row, number in lane.items():
            source, dest = _ends(row)
            for end, here, there in (("source", source, dest), ("dest", dest, source)):
                if here == state:
                    way = place[there] - place[here]
                    # 1/way sorts as the docstring says: -1, -1/2, … (up), …, 1/2, 1 (down)
                    stubs.append((1 / way if way else 0, number if way < 0 else -number, row, end))
        stubs.sort(key=lambda stub: stub[:2])
        top = box.y + (box.height - (len(stubs) - 1) * PORT) / 2
        for number, (_, _, row, end) in enumerate(stubs):
            found[row, end] = top + number * PORT
    return found


# The elements.


def _spoken(picture: Picture) -> str:
    """The picture in words, for screen readers."""
    arrows = [
        f"{row.source.value} to {row.dest.value} by {label(row)}"
        + (f" at {picture.when(row)}" if picture.when(row) else "")
        for row in picture.rows
    ]
    return "; ".join(arrows) + "."


def _state(box: Box, *, visited: bool) -> str:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    turn = f' transform="rotate(-90 {_n(x)} {_n(y)})"' if box.height > 3 * box.width else ""
    kind = f"state {box.tone} visited" if visited else f"state {box.tone}"
    return (
        f'  <g class="{kind}" data-state="{escape(box.state)}">'
        f'<rect x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}" '
        f'rx="10"/><text x="{_n(x)}" y="{_n(y + 5)}"{turn}>{escape(box.state)}</text></g>'
    )


def _arrow(arrow: Arrow, picture: Picture) -> str:
    row, when = arrow.row, picture.when(arrow.row)
    guard = f' data-guard="{escape(row.guard.value)}"' if row.guard else ""
    if when:
        below = _text(arrow.note, when, "time")
    elif row.guard:
        below = _text(arrow.note, row.guard.value, "note")
    else:
        below = ""
    return (
        f'  <g class="{"arrow taken" if when else "arrow"}" data-from="{escape(row.source.value)}" '
        f'data-to="{escape(row.dest.value)}" data-trigger="{escape(row.trigger.value)}"{guard}>'
        f"<title>{escape(row.meaning)}</title>"
        f'<path d="{_course(list(arrow.points))}"/><polygon points="{_tip(*arrow.points[-2:])}"/>'
        f"{_text(arrow.label, row.trigger.value)}{below}</g>"
    )


def _text(at: Point, words: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{_n(at[0])}" y="{_n(at[1])}">{escape(words)}</text>'


def _course(points: list[Point]) -> str:
    """A path through ``points`` with rounded corners, ending inside the tip."""
    points[-1] = _towards(points[-1], points[-2], _TIP - 1)
    parts = [f"M{_at(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        parts.append(f"L{_at(_towards(corner, before, _BEND))}")
        parts.append(f"Q{_at(corner)} {_at(_towards(corner, after, _BEND))}")
    parts.append(f"L{_at(points[-1])}")
    return " ".join(parts)


def _towards(start: Point, goal: Point, by: float) -> Point:
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    length = max((dx * dx + dy * dy) ** 0.5, 0.001)
    by = min(by, length / 2)
    return start[0] + dx / length * by, start[1] + dy / length * by


def _tip(before: Point, end: Point) -> str:
    back = _towards(end, before, _TIP)
    dx, dy = (end[0] - back[0]) / 2, (end[1] - back[1]) / 2
    return " ".join(map(_at, (end, (back[0] - dy, back[1] + dx), (back[0] + dy, back[1] - dx))))


def _at(point: Point) -> str:
    return f"{_n(point[0])},{_n(point[1])}"


def _n(value: float) -> str:
    """A coordinate, short and the same everywhere."""
    return f"{value:.1f}".removesuffix(".0")
