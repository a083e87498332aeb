"""The machine as a tree for a terminal, and as a Markdown table for the documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .arrows import label, spelt

if TYPE_CHECKING:
    from .arrows import Picture

ASCII: Final = str.maketrans({"├": "|", "└": "`", "─": "-", "▶": ">", "●": "*"})
"""For ``str.translate``: the same tree where the terminal is not UTF-8."""


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
    lines = [_line(head), _line(["---"] * len(head))]
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
        lines.append(_line([f"**{cell}**" if cell and bold else cell for cell in cells]))
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
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
