"""The machine as an SVG picture: no library, no font of its own, readable in light and in dark."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final

from .arrows import label, spelt
from .layout import LANE, lay_out

if TYPE_CHECKING:
    from .arrows import Picture
    from .layout import Box, Line, Point

_BEND: Final = LANE * 0.45
_TIP: Final = 8.0
_TITLE: Final = "The states of a login"
_ROLE: Final = 'role="img" aria-labelledby="title desc"'

_STYLE: Final = """\
    svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #818b98; --path: #0a53be;
      --quiet: #eff2f5; --pending: #ddf0ff; --good: #d7f5df; --warn: #fff1c2; --bad: #ffe1de; }
    @media (prefers-color-scheme: dark) {
      svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --line: #6e7781; --path: #6cb6ff;
        --quiet: #212830; --pending: #10304f; --good: #12351f; --warn: #3a2d0a; --bad: #471a1b; }
    }
    text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
      monospace; fill: var(--ink); }
    .paper { fill: var(--paper); }
    .title { font-size: 17px; font-weight: 700; }
    .legend { font-size: 12px; fill: var(--soft); }
    .state rect { stroke: var(--line); stroke-width: 1.25; }
    .state text { font-size: 15px; font-weight: 600; text-anchor: middle; }
    .quiet rect { fill: var(--quiet); } .pending rect { fill: var(--pending); }
    .good rect { fill: var(--good); } .warn rect { fill: var(--warn); } .bad rect { fill: var(--bad); }
    .arrow path { fill: none; stroke: var(--line); stroke-width: 1.25; }
    .arrow polygon { fill: var(--line); }
    .arrow text { font-size: 12px; }
    .arrow text.note { font-size: 10.5px; font-style: italic; fill: var(--soft); }
    .arrow text.time { font-size: 10.5px; font-weight: 700; fill: var(--path); }
    .taken path { stroke: var(--path); stroke-width: 3; }
    .taken polygon { fill: var(--path); }
    .taken text { font-weight: 700; }
    .visited rect { stroke: var(--path); stroke-width: 2.5; }
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
            f"  <style>\n{_STYLE}  </style>",
            f'  <rect class="paper" {size} rx="12"/>',
            f'  <text class="title" x="24" y="42">{_TITLE}</text>',
            f'  <text class="legend" x="24" y="64">{count}: every row of the table, once.</text>',
            f'  <text class="legend" x="24" y="82">{legend}</text>',
            *(_arrow(line, picture) for line in layout.lines),
            *(_state(box, visited=picture.visited(box.state)) for box in layout.boxes),
            "</svg>\n",
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


def _spoken(picture: Picture) -> str:
    """The picture in words, for those who hear it."""
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


def _arrow(line: Line, picture: Picture) -> str:
    row, when = line.row, picture.when(line.row)
    guard = f' data-guard="{escape(row.guard.value)}"' if row.guard else ""
    if when:
        below = _text(line.note, when, "time")
    elif row.guard:
        below = _text(line.note, row.guard.value, "note")
    else:
        below = ""
    return (
        f'  <g class="{"arrow taken" if when else "arrow"}" data-from="{escape(row.source.value)}" '
        f'data-to="{escape(row.dest.value)}" data-trigger="{escape(row.trigger.value)}"{guard}>'
        f"<title>{escape(row.meaning)}</title>"
        f'<path d="{_course(list(line.points))}"/><polygon points="{_tip(*line.points[-2:])}"/>'
        f"{_text(line.label, row.trigger.value)}{below}</g>"
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
