"""The formats by name: drawing the machine, drawing a path, and checking an older drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from ..engine.errors import ConfigInvalid
from .arrows import in_order, journey, label, machine, spelt
from .graph import dot, mermaid, read_dot, read_mermaid
from .svg import read_svg, svg
from .text import read_table, read_tree, table, tree

if TYPE_CHECKING:
    from .arrows import Picture, Step

Format: TypeAlias = Literal["text", "mermaid", "dot", "svg", "markdown"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

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
_SUFFIXES: Final[Mapping[str, Format]] = {
    "txt": "text",
    "mmd": "mermaid",
    "mermaid": "mermaid",
    "dot": "dot",
    "gv": "dot",
    "svg": "svg",
    "md": "markdown",
}


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
