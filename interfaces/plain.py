"""What a program without screens of its own shows its user: plain lines on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from ..engine.ports import Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class PlainConversation:
    """Writes a line or two per notice; repeats nothing."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to ``out``, or to whatever standard error is at the time."""
        self._out = out

    def tell(self, notice: Notice) -> None:
        """Show ``notice``."""
        lines = _LINES.get(notice.kind)
        if lines is not None:
            print(lines(notice), file=self._out or sys.stderr, flush=True)


def _open(notice: Notice) -> str:
    doing = "Opening your browser. If nothing happens, open" if notice.opened else "Open"
    return f"{doing} this address:\n{notice.url}"


def _paste(notice: Notice) -> str:
    return f"Open this address, then paste the one you land on:\n{notice.url}"


def _ask(notice: Notice) -> str:
    return f"Open this address:\n{notice.url}\n{notice.message}"


def _code(notice: Notice) -> str:
    return f"Open {notice.url} and enter the code {notice.user_code}"


def _mistake(notice: Notice) -> str:
    return notice.message


_LINES: Mapping[NoticeKind, Callable[[Notice], str]] = {
    NoticeKind.OPEN: _open,
    NoticeKind.PASTE: _paste,
    NoticeKind.CODE: _code,
    NoticeKind.ASK: _ask,
    NoticeKind.MISTAKE: _mistake,
}
