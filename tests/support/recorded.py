"""Answers of providers as they come over the wire, and answers made up on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from logins import NOW
from stayfast.engine.ports import HttpResponse

_FOLDER = Path(__file__).parent.parent / "protocol" / "recorded"


def recorded(name: str) -> HttpResponse:
    """The answer in ``recorded/NAME.http``: status line, headers, empty line, body."""
    head, _, body = (_FOLDER / f"{name}.http").read_text("utf-8").partition("\n\n")
    status, *lines = head.splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return HttpResponse(
        status=int(status.split()[1]),
        headers=headers,
        body=body.strip().encode("utf-8"),
        received_at=NOW,
    )


def names() -> set[str]:
    """Every recording there is."""
    return {path.stem for path in _FOLDER.glob("*.http")}


def answer(body: Any = b"", status: int = 200, **headers: str) -> HttpResponse:
    """An answer with ``body``: bytes, text, or what is sent as JSON."""
    if isinstance(body, str):
        body = body.encode("utf-8")
    if not isinstance(body, bytes):
        body = json.dumps(body).encode("utf-8")
    return HttpResponse(status=status, headers=headers, body=body, received_at=NOW)
