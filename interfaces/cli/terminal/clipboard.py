"""Copy a text to the clipboard of the terminal the user sits at.

An escape sequence (OSC 52) asks the terminal to copy it, so it reaches the machine in front of the
user, also over SSH. The terminal does not answer, so the text is shown in any case. Only what is shown
anyway is ever copied: an address to open, a code to enter.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from typing import Final

_PIECE: Final = 250  # octets screen passes on in one go, with room to spare
_PATIENCE: Final = 1.0  # seconds


def copy(text: str, environ: Mapping[str, str]) -> str:
    """Copy ``text``. Returns the sequence that is still to be written to the terminal.

    tmux drops the sequence by default, but copies a text that it gets by its own command.
    """
    if environ.get("TMUX") and _tmux_took(text, environ):
        return ""
    return copy_sequence(text, environ)


def copy_sequence(text: str, environ: Mapping[str, str]) -> str:
    """The sequence that makes the terminal copy ``text``, wrapped for tmux or screen in between."""
    encoded = base64.b64encode(text.encode()).decode()
    plain = f"\x1b]52;c;{encoded}\x07"
    if environ.get("TMUX") or environ.get("TERM", "").startswith("tmux"):
        # as the sequence itself, and as one to be passed on: which of them counts is a setting
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return f"{plain}\x1bPtmux;{doubled}\x1b\\"
    if environ.get("STY"):
        pieces = [plain[at : at + _PIECE] for at in range(0, len(plain), _PIECE)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain


def _tmux_took(text: str, environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],  # noqa: S607  the user's own, in their own tmux
            input=text.encode(),
            env=dict(environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
