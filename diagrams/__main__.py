"""``python -m stayfast.diagrams FOLDER``: write the drawings that are kept in the repository."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .drawing import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT: Final = {"login.mmd": "mermaid", "login.svg": "svg", "table.md": "markdown"}
"""The drawings in the repository and their formats."""

README: Final = "README.md"
BEGIN: Final = "<!-- diagram: begin -->\n```mermaid\n"
END: Final = "```\n<!-- diagram: end -->"


def main(arguments: Sequence[str]) -> int:
    """Write the kept drawings into a folder, and the Mermaid one into the README beside it."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m stayfast.diagrams FOLDER", file=sys.stderr)  # noqa: T201 - a command
        return 2
    folder = Path(arguments[0])
    for name, format_ in KEPT.items():
        (folder / name).write_text(draw(format_), encoding="utf-8")
    readme = folder.resolve().parent / README
    if readme.is_file():
        before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if begin and end:
            readme.write_text(before + begin + draw("mermaid") + end + after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
