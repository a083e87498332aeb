"""A QR code in characters."""

from __future__ import annotations

from typing import Final

import segno
from rich.style import Style
from rich.text import Text

QUIET_ZONE: Final = 2
_BLOCKS: Final = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""Two modules one above the other, (dark, dark) as blank: drawn light on dark."""
_LIGHT_ON_DARK: Final = Style(color="#ffffff", bgcolor="#000000")


def draw_qr(address: str, *, unicode: bool, color: bool) -> list[Text]:
    """``address`` as rows of characters; low redundancy is right for a screen.

    Args:
        address: What the code says.
        unicode: Whether half blocks can be shown; else every module is two characters wide.
        color: Whether light and dark can be named, so that a light theme does not invert them.
    """
    made = segno.make(address, error="l", micro=False)
    rows = [[bool(one) for one in row] for row in made.matrix_iter(border=QUIET_ZONE)]
    style = _LIGHT_ON_DARK if color else Style.null()
    if not unicode:
        lines = ["".join("  " if dark else "##" for dark in row) for row in rows]
        return [Text(line) for line in lines]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        Text("".join(_BLOCKS[a, b] for a, b in zip(top, bottom, strict=True)), style=style)
        for top, bottom in pairs
    ]
