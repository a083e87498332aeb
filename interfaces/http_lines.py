"""What ``-vv`` shows of a request and its answer: nothing that opens a door.

Of both only what stands in a list of ours is shown. A value that is in no list is shown by its name:
a new parameter is hidden until somebody has decided that it is harmless.
"""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from ..engine.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..engine.ports import HttpRequest, HttpResponse

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
_MOST: Final = 100  # lines of one exchange
_LONGEST: Final = 500  # characters of a line


def http_lines(request: HttpRequest, answer: HttpResponse | NetworkError, took: float) -> list[str]:
    """``request`` and its ``answer``, which came after ``took`` seconds, in a bounded number of lines."""
    return [line[:_LONGEST] for line in islice(_every_line(request, answer, took), _MOST)]


def _every_line(
    request: HttpRequest, answer: HttpResponse | NetworkError, took: float
) -> Iterator[str]:
    parts = urlsplit(request.url)
    hidden = "?(hidden)" if parts.query else ""
    host = parts.netloc.rpartition("@")[2]
    yield f"> {request.method} {parts.scheme}://{host}{parts.path}{hidden}"
    yield from _headers(">", request.headers.items())
    yield from _body(request)
    if isinstance(answer, NetworkError):
        yield f"< no answer after {took * 1000:.0f} ms: {answer.message}"
        return
    yield f"< {answer.status} after {took * 1000:.0f} ms, {len(answer.body)} octets"
    yield from _headers("<", answer.headers.items())


def _body(request: HttpRequest) -> Iterator[str]:
    """The parameters of a form or of a JSON object; of anything else the size alone."""
    if not request.body:
        return
    sent = {name.lower(): value for name, value in request.headers.items()}
    kind = sent.get("content-type", "").partition(";")[0].strip().lower()
    given: Iterable[tuple[str, object]] | None = None
    with suppress(ValueError):
        if kind == "application/x-www-form-urlencoded":
            given = parse_qsl(request.body.decode())
        elif kind == "application/json":
            given = dict(json.loads(request.body)).items()
    if given is None:
        yield f">   ({len(request.body)} octets, hidden)"
        return
    for name, value in given:
        yield f">   {name}={value if name in SHOWN_PARAMETERS else '(hidden)'}"


def _headers(sign: str, headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        shown = value if name.lower() in _SHOWN_HEADERS else "(hidden)"
        yield f"{sign}   {name}: {shown}"
