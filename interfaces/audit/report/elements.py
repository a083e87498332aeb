"""The elements of the page. Text is escaped where the tree is written, so nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree as ET

from ....engine.foreign_text import printable
from ....engine.moments import moment_of

if TYPE_CHECKING:
    Child: TypeAlias = "ET.Element | str | None"

_BUCKETS: Final = 72
_FEWEST: Final = 24
_LENGTHS: Final = (3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)


def element(tag: str, /, *children: Child, **attributes: str) -> ET.Element:
    """An element; ``class_`` and the like lose their line at the end, other lines become hyphens.

    Text loses control characters and those that turn the direction of what follows.
    """
    named = {name.rstrip("_").replace("_", "-"): printable(attributes[name]) for name in attributes}
    made = ET.Element(tag, named)
    last: ET.Element | None = None
    for child in children:
        if child is None:
            continue
        if not isinstance(child, str):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + printable(child)
        else:
            last.tail = (last.tail or "") + printable(child)
    return made


def sheet(style: str) -> ET.Element:
    """A style of ours; it is not escaped, and stands in the page to the letter."""
    made = ET.Element("style")
    made.text = style
    return made


def html(root: ET.Element) -> str:
    """The page as text. Every text and attribute in it is escaped, but the style."""
    return "<!doctype html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"


def picture(svg: str) -> ET.Element:
    """An SVG drawing of ours as an element of the page."""
    root = ET.fromstring(svg)  # noqa: S314  drawn here, a moment ago
    for one in root.iter():
        one.tag = one.tag.rpartition("}")[2]
        one.tail = None
    return root


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]], kinds: str = ""
) -> ET.Element:
    """A table; the first cell of a row is its head.

    Args:
        caption: What it shows.
        heads: The names of its columns.
        rows: The cells.
        kinds: A letter for each column: ``n`` for numbers, ``t`` for times, ``b`` for bars, a blank.
    """
    classes = {"n": "n", "t": "t", "b": "bar"}
    kinds = kinds.ljust(len(heads))
    marks = [{"class_": classes[kind]} if kind in classes else {} for kind in kinds]
    head = [
        element("th", name, scope="col", **mark) for name, mark in zip(heads, marks, strict=True)
    ]
    body = [
        element(
            "tr",
            *(
                element("td", cell, **mark) if number else element("th", cell, scope="row", **mark)
                for number, (cell, mark) in enumerate(zip(row, marks, strict=True))
            ),
        )
        for row in rows
    ]
    made = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *head)),
        element("tbody", *body),
    )
    return element("div", made, class_="wide", role="region", aria_label=caption, tabindex="0")


def bar(value: float, most: float, kind: str = "done") -> ET.Element:
    """A level bar: ``value`` of ``most``. The figure stands in words beside it."""
    width = 100 * value / most if most else 0
    shape = element("rect", class_=kind, width=f"{width:.2f}", height="8")
    return element(
        "svg", shape, viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true"
    )


def swatch(kind: str) -> ET.Element:
    """A spot of a colour, beside its word."""
    dot = element("circle", class_=kind, cx="5", cy="5", r="5")
    return element("svg", dot, viewBox="0 0 10 10", aria_hidden="true")


SIGNS: Final = {
    "good": "M4 12.5l5.2 5.2L20 6.9",
    "bad": "M6 6l12 12M18 6L6 18",
    "unknown": "M12 5v8.5M12 18v.5",
}


def sign(mood: str) -> ET.Element:
    """A tick, a cross or an exclamation mark; words say the same."""
    line = element(
        "path", d=SIGNS[mood], fill="none", stroke="currentColor", stroke_width="2.75",
        stroke_linecap="round", stroke_linejoin="round",
    )  # fmt: skip
    return element("svg", line, viewBox="0 0 24 24", aria_hidden="true")


def buckets(first: float, last: float) -> list[float]:
    """The bounds of equal spans of time that hold ``first`` to ``last``: some dozens."""
    reach = max(last - first, 0.0)
    length = next(
        (one for one in _LENGTHS if reach <= (_BUCKETS - 1) * one), reach / (_BUCKETS - 1)
    )
    begin = first // length * length
    count = max(int((last - begin) // length) + 1, _FEWEST)
    end = max(last // length * length + length, begin + length)
    return [end - length * (count - number) for number in range(count + 1)]


def over_time(
    bounds: Sequence[float], stacks: Sequence[tuple[str, str, Sequence[int]]], label: str
) -> ET.Element:
    """Upright bars over time.

    Args:
        bounds: The bounds of the spans, one more than there are bars.
        stacks: From the bottom up: the class, the word and the figures of each part of a bar.
        label: What the chart shows, with its figures, for screen readers.
    """
    count = len(bounds) - 1
    sums = [sum(figures[number] for _, _, figures in stacks) for number in range(count)]
    top = max(*sums, 1)
    shapes: list[ET.Element] = [
        element("line", class_="grid", x1="0", x2=str(count), y1=str(y), y2=str(y)) for y in (0, 50)
    ]
    for number, (start, _) in enumerate(pairwise(bounds)):
        if not sums[number]:
            continue
        said = ", ".join(
            f"{figures[number]:,} {word}" for _, word, figures in stacks if figures[number]
        )
        parts: list[ET.Element] = [element("title", f"{day(start, bounds)}: {said}")]
        below = 100.0
        for kind, _, figures in stacks:
            height = 100 * figures[number] / top
            below -= height
            if height:
                place = {"x": f"{number + 0.12:.2f}", "y": f"{below:.2f}"}
                parts.append(
                    element("rect", class_=kind, width="0.76", height=f"{height:.2f}", **place)
                )
        shapes.append(element("g", *parts))
    plot = element(
        "svg", *shapes, viewBox=f"0 0 {count} 100", preserveAspectRatio="none", role="img",
        aria_label=label,
    )  # fmt: skip
    edges = [bounds[0], bounds[count // 2], bounds[-1]]
    return element(
        "figure",
        element(
            "div",
            element("span", f"{top:,}", class_="top"),
            element("span", "0", class_="zero"),
            plot,
            class_="plot",
        ),
        element("div", *(element("span", day(one, bounds)) for one in edges), class_="axis"),
        element(
            "figcaption",
            *(
                element("span", swatch(kind), f"{word} {sum(figures):,}")
                for kind, word, figures in stacks
            ),
        ),
        class_="chart",
    )


def day(time: float, bounds: Sequence[float]) -> str:
    """A moment as finely as the spans of a chart are."""
    fine = bounds[1] - bounds[0] < 86400
    moment = moment_of(time)
    return f"{moment.day} {moment:%b %H:%M}" if fine else f"{moment.day} {moment:%b %Y}"
