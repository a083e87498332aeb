"""Whether somebody can type here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO


def at_terminal() -> bool:
    """Whether standard input is a terminal. False if it is closed or absent."""
    stream: IO[str] | None = sys.stdin
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):  # it is closed
        return False
