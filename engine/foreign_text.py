"""Text that came from outside, made fit to be shown: a terminal acts upon nothing in it, and it is not long."""

from __future__ import annotations

import re
from typing import Final

from .secret import Secret

_TOKEN_LIKE: Final = re.compile(r"(?=[A-Za-z_~+=.-]*[0-9])[A-Za-z0-9_~+=.-]{20,}")
"""A long word with a digit in it: no code of an error, and no word of a sentence."""
_LENGTH: Final = 300


def printable(text: str) -> str:
    """``text`` with a space for each character that a terminal would act upon."""
    return "".join(c if c.isprintable() else " " for c in text)


def presentable(text: str | None) -> str | None:
    """``text`` of a provider with nothing in it that a terminal would act upon, and not long."""
    if not text:
        return None
    return " ".join(printable(text[:_LENGTH]).split()) or None


def quotable(text: str | None) -> str | None:
    """As :func:`presentable`, with whatever may be a secret hidden: some providers quote ours."""
    shown = presentable(text)
    return shown and _TOKEN_LIKE.sub(str(Secret("")), shown)
