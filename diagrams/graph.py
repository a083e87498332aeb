"""The machine in the two languages that other programs draw from: Mermaid and DOT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .arrows import label, spelt

if TYPE_CHECKING:
    from .arrows import Picture


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
