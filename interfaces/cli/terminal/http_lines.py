"""``-vv``: what was sent and what came back, without anything that opens a door.

Of a request and of an answer only what stands in a list of ours is shown. A value that is in no list
is shown by its name: a new parameter is hidden until somebody has decided that it is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from ....engine.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ....engine.ports import HttpRequest, HttpResponse
    from .tty import Terminal

_SHOWN_HEADERS: Final = frozenset(
    {
        "accept", "cache-control", "content-length", "content-type", "date", "retry-after", "server",
    }
)  # fmt: skip
SHOWN_PARAMETERS: Final = frozenset(
    {
        "audience", "client_id", "code_challenge_method", "grant_type", "max_age", "prompt",
        "redirect_uri", "resource", "response_type", "scope", "subject_token_type",
        "acr_values", "response_mode", "token_type_hint", "ui_locales",
    }
)  # fmt: skip
"""Parameters of a request whose values open no door and name nobody."""


class HttpLines:
    """Shows each exchange on a terminal, once it is over."""

    def __init__(self, terminal: Terminal) -> None:
        """Show on ``terminal``."""
        self._terminal = terminal

    def show(self, request: HttpRequest, answer: HttpResponse | NetworkError, took: float) -> None:
        """Show ``request`` and its ``answer``, which came after ``took`` seconds."""
        parts = urlsplit(request.url)
        hidden = "?(hidden)" if parts.query else ""
        host = parts.netloc.rpartition("@")[2]
        self._say(f"> {request.method} {parts.scheme}://{host}{parts.path}{hidden}")
        self._headers(">", request.headers.items())
        for name, value in parse_qsl(request.body.decode("utf-8", "replace")):
            self._say(f">   {name}={value if name in SHOWN_PARAMETERS else '(hidden)'}")
        if isinstance(answer, NetworkError):
            self._say(f"< no answer after {took * 1000:.0f} ms: {answer.message}")
            return
        self._say(f"< {answer.status} after {took * 1000:.0f} ms, {len(answer.body)} octets")
        self._headers("<", answer.headers.items())

    def _headers(self, sign: str, headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            shown = value if name.lower() in _SHOWN_HEADERS else "(hidden)"
            self._say(f"{sign}   {name}: {shown}")

    def _say(self, line: str) -> None:
        self._terminal.say(f"  {line}", style="dim", hang=6)
