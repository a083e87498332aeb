"""Draw the machine or the path of one login in a format, and check an older drawing.

The formats are text (a tree for a terminal), Markdown (a table for the documentation), Mermaid and
DOT (which other programs draw from), and SVG, which has a module of its own. Each format has a
renderer and a reader. The reader returns the arrows that a drawing shows, so that :func:`check` can
compare an older drawing with the table of today.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from ..engine.errors import ConfigInvalid
from .arrows import in_order, journey, label, machine, spelt
from .svg import read_svg, svg

if TYPE_CHECKING:
    from .arrows import Picture, Step

Format: TypeAlias = Literal["text", "mermaid", "dot", "svg", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_SUFFIXES: Final[Mapping[str, Format]] = {
    "txt": "text",
    "mmd": "mermaid",
    "mermaid": "mermaid",
    "dot": "dot",
    "gv": "dot",
    "svg": "svg",
    "md": "markdown",
}

ASCII: Final = str.maketrans({"├": "|", "└": "`", "─": "-", "▶": ">", "●": "*", "│": "|"})
"""For ``str.translate``: the same tree where the terminal is not UTF-8."""


def draw(format: str = "text") -> str:  # noqa: A002 - the word the command's flag has
    """The machine, every row of its table once.

    Args:
        format: One of :data:`FORMATS`.

    Raises:
        ConfigInvalid: There is no such format.
    """
    return _renderer(format)(machine())


def path(
    steps: Iterable[Step],
    format: str = "text",  # noqa: A002 - as in draw
    *,
    zone: tzinfo = UTC,
) -> str:
    """The machine, with the path of one login set off and timed.

    Args:
        steps: The login's transitions, oldest first (:func:`stayfast.diagrams.steps_of`).
        format: One of :data:`FORMATS`.
        zone: The time zone the times are written in.

    Raises:
        ConfigInvalid: There is no such format.
        Damaged: A step is no row of the table.
    """
    return _renderer(format)(journey(steps, zone))


def check(text: str, format: str) -> list[str]:  # noqa: A002 - as in draw
    """How ``text``, drawn earlier, differs from the machine of today.

    Args:
        text: The drawing.
        format: What it was drawn as.

    Returns:
        Nothing if it is up to date. Otherwise one line per difference: ``+ a --> b: trigger``
        for a row that is missing in the drawing, ``- a --> b: trigger`` for an arrow that is no
        row or stands there twice, or a single line that starts with ``~`` if the arrows are the
        same and only the drawing differs.

    Raises:
        ConfigInvalid: There is no such format.
    """
    drawing = draw(format)
    wanted = [
        spelt(row.source.value, row.dest.value, label(row)) for row in in_order(machine().rows)
    ]
    shown = Counter(_READERS[format](text))
    missing = [arrow for arrow in wanted if not shown[arrow]]
    shown.subtract(wanted)
    extra = [arrow for arrow, count in shown.items() for _ in range(count)]
    differences = [f"+ {arrow}" for arrow in missing] + [f"- {arrow}" for arrow in extra]
    if not differences and text.split() != drawing.split():
        differences.append("~ the same transitions, drawn in another way")
    return differences


def format_of(name: str) -> Format | None:
    """The format that a file's name promises by its ending, if it does."""
    return _SUFFIXES.get(name.rpartition(".")[2].lower()) if "." in name else None


def _renderer(name: str) -> Callable[[Picture], str]:
    if name not in _RENDERERS:
        msg = f"there is no diagram format {name!r}"
        raise ConfigInvalid(msg, hint=f"one of {', '.join(FORMATS)}")
    return _RENDERERS[name]


def tree(picture: Picture) -> str:
    """Each state with the arrows that leave it; a taken arrow carries ``●`` and its times."""
    width = max(len(label(row)) for row in picture.rows)
    reach = max(len(row.dest.value) for row in picture.rows)
    lines: list[str] = []
    for state in picture.states:
        lines.append(f"{state}  ● here" if state == picture.now_in else state)
        rows = picture.leaving(state)
        for row in rows:
            branch = "└─" if row is rows[-1] else "├─"
            words = label(row)
            line = f"  {branch} {words} {'─' * (width - len(words) + 2)}▶ {row.dest.value}"
            when = picture.when(row)
            if when:
                line += " " * (reach - len(row.dest.value)) + f"  ● {when}"
            lines.append(line)
    return "\n".join(lines) + "\n"


def read_tree(text: str) -> list[str]:
    """The arrows a tree shows, as :func:`stayfast.diagrams.arrows.spelt` spells them."""
    arrows: list[str] = []
    source = ""
    for line in text.splitlines():
        branch = re.match(r"\s+[├└|`][─-] (.+?) [─-]+[▶>] (\S+)", line)
        if branch:
            arrows.append(spelt(source, branch[2], branch[1]))
        elif line and not line[0].isspace():
            source = line.split()[0]
    return arrows


def table(picture: Picture) -> str:
    """The rows as a Markdown table, one line each, with what they mean and why."""
    timed = bool(picture.taken)
    head = ["trigger", "from", "to", "only if", "when", "specification", *(["taken"] * timed)]
    lines = [_row(head), _row(["---"] * len(head))]
    for row in picture.rows:
        cells = [
            f"`{row.trigger.value}`",
            f"`{row.source.value}`",
            f"`{row.dest.value}`",
            f"`{row.guard.value}`" if row.guard else "",
            row.meaning,
            row.rfc,
            *([picture.when(row)] * timed),
        ]
        bold = bool(picture.when(row))
        lines.append(_row([f"**{cell}**" if cell and bold else cell for cell in cells]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def read_table(text: str) -> list[str]:
    """The arrows a Markdown table shows."""
    arrows: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip(" *`") for cell in line.strip().strip("|").split("|")]
        if len(cells) < 4 or "`" not in line:
            continue
        trigger, source, dest, guard = cells[:4]
        arrows.append(spelt(source, dest, f"{trigger} [{guard}]" if guard else trigger))
    return arrows


def mermaid(picture: Picture) -> str:
    """A Mermaid ``stateDiagram-v2``; the states of a path are set in bold."""
    lines = ["stateDiagram-v2"]
    for row in picture.rows:
        words = label(row)
        when = picture.when(row)
        if when:
            # a colon would end the label in older versions of Mermaid
            words += f" @ {when.replace(':', '.')}"
        lines.append(f"    {spelt(row.source.value, row.dest.value, words)}")
    visited = [state for state in picture.states if picture.visited(state)]
    if visited:
        lines.append("    classDef taken font-weight:bold,stroke-width:3px")
        lines.append(f"    class {','.join(visited)} taken")
    return "\n".join(lines) + "\n"


def read_mermaid(text: str) -> list[str]:
    """The arrows a Mermaid state diagram shows."""
    found = re.findall(r"^\s*(\S+)\s*-->\s*([^\s:]+)\s*:\s*(.+?)(?: @ .*)?\s*$", text, re.MULTILINE)
    return [spelt(source, dest, words) for source, dest, words in found]


def dot(picture: Picture) -> str:
    """A Graphviz digraph; the arrows of a path are drawn thick."""
    lines = [
        "digraph stayfast {",
        "    rankdir=TB;",
        '    node [shape=box, style=rounded, fontname="monospace"];',
        '    edge [fontname="monospace", fontsize=10];',
    ]
    for state in picture.states:
        style = " [penwidth=2.5]" if picture.visited(state) else ""
        lines.append(f"    {state}{style};")
    for row in picture.rows:
        words = label(row)
        when = picture.when(row)
        shown = f'label="{words}\\n{when}", penwidth=2.5' if when else f'label="{words}"'
        lines.append(f"    {row.source.value} -> {row.dest.value} [{shown}];")
    return "\n".join([*lines, "}"]) + "\n"


def read_dot(text: str) -> list[str]:
    """The arrows a digraph shows."""
    found = re.findall(r'^\s*(\S+) -> (\S+) \[label="([^"\\]+)', text, re.MULTILINE)
    return [spelt(source, dest, words) for source, dest, words in found]


_RENDERERS: Final[Mapping[str, Callable[[Picture], str]]] = {
    "text": tree,
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "markdown": table,
}
_READERS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "text": read_tree,
    "mermaid": read_mermaid,
    "dot": read_dot,
    "svg": read_svg,
    "markdown": read_table,
}
