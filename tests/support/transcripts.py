"""What a terminal showed, compared with what it showed when somebody last looked at it.

``STAYFAST_RENEW_TRANSCRIPTS=1 .venv/bin/pytest tests/command/test_transcripts.py`` writes the files
anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "command" / "transcripts"
_VOLATILE = [
    (r'(https?://127\.0\.0\.1):\d+/(authorize|callback)\?[^\s"]+', r"\1:PORT/\2?…"),
    (r"127\.0\.0\.1:(?!8080)\d+", "127.0.0.1:PORT"),
    (r"\d+:\d\d left", "M:SS left"),
    (r"valid for \d+:\d\d", "valid for M:SS"),
    (r"next check in \d+ s", "next check in N s"),
    (r"started \d+ s ago", "started N s ago"),
    (r"\d+ more minutes", "N more minutes"),
    (r"in \d+ min\b", "in N min"),
    (r"\b[A-Z]{4}-[A-Z]{4}\b", "WDJB-MJHT"),
    (r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", "⠹"),
    (r"(?m)^  [|/\\-] waiting", "  | waiting"),
    (r"(?m)^  [█▀▄ ]{33}(?= |$)", "  " + "█" * 33),
    (r'"expires_at":"[^"]+"', '"expires_at":"TIME"'),
]


def normalized(shown: str, login_id: str) -> str:
    """``shown`` without what differs from run to run."""
    shown = shown.replace(login_id, "7F3K")
    for pattern, instead in _VOLATILE:
        shown = re.sub(pattern, instead, shown)
    return "\n".join(line.rstrip() for line in shown.splitlines()) + "\n"


def compare(name: str, login_id: str, *moments: str) -> None:
    """Hold the ``moments`` of a scene against the file of that name, or write it anew."""
    shown = "=" * 40 + "\n"
    shown = shown.join(normalized(moment, login_id) for moment in moments)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("STAYFAST_RENEW_TRANSCRIPTS"):
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
