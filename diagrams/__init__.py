"""The machine drawn from its table: as text, Mermaid, DOT, SVG and a Markdown table.

Nothing is drawn that is not a row of :data:`stayfast.engine.table.TABLE`, and every row is drawn
once. :func:`draw` draws the machine, :func:`path` the same with the way of one login in bold, and
:func:`check` says how a drawing made earlier differs from the table of today.
"""

from __future__ import annotations

from .arrows import Step, steps_of
from .drawing import FORMATS, Format, check, draw, format_of, path

__all__ = ["FORMATS", "Format", "Step", "check", "draw", "format_of", "path", "steps_of"]
