"""What real authorization servers, proxies and networks do wrong, on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What goes wrong."""

    HTML = "html"
    """A web page with status 200, as a captive portal sends."""
    ERROR_500 = "error_500"
    """A web page with status 500."""
    BUSY_503 = "busy_503"
    """503 with ``Retry-After``."""
    TOO_MANY_429 = "too_many_429"
    """429 with ``Retry-After``."""
    EMPTY = "empty"
    """Status 200 and nothing."""
    EMPTY_400 = "empty_400"
    """Status 400 and nothing."""
    HUGE = "huge"
    """Ten megabytes."""
    REDIRECT = "redirect"
    """302 to somewhere else."""
    MALFORMED = "malformed"
    """JSON that stops in the middle."""
    DROP_BEFORE = "drop_before"
    """The connection ends before anything was done."""
    DROP_AFTER = "drop_after"
    """It is done, and the connection ends before the answer."""
    SLOW = "slow"
    """It is done, and the answer comes after ``seconds``."""
    HANG = "hang"
    """Nothing is done for ``seconds``; then it goes on as usual."""
    MEMBERS = "members"
    """The answer's members are changed by ``members``; ``None`` removes one."""
    FORM = "form"
    """The answer is form-encoded."""
    ERROR = "error"
    """An OAuth error, ``members['error']``, with ``status``; nothing is done."""
    CALLBACK = "callback"
    """The callback's parameters are changed by ``members``; ``None`` removes one."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way for one endpoint to go wrong.

    Attributes:
        kind: What goes wrong.
        seconds: For how long, where that matters.
        members: What is changed, where something is.
        status: The status of an ``ERROR``.
        grant: Only for this ``grant_type``, where one endpoint serves several.
    """

    kind: FaultKind
    seconds: float = 0.0
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: int = 400
    grant: str | None = None


_PAGE = "<!doctype html><title>Sorry</title><h1>Something is wrong here</h1>"

INSTEAD: Mapping[FaultKind, tuple[int, str, Mapping[str, str]]] = {
    FaultKind.HTML: (200, _PAGE, {"Content-Type": "text/html"}),
    FaultKind.ERROR_500: (500, _PAGE, {"Content-Type": "text/html"}),
    FaultKind.BUSY_503: (503, "", {"Retry-After": "7"}),
    FaultKind.TOO_MANY_429: (429, "", {"Retry-After": "7"}),
    FaultKind.EMPTY: (200, "", {}),
    FaultKind.EMPTY_400: (400, "", {}),
    FaultKind.HUGE: (200, "x" * 10_000_000, {"Content-Type": "application/json"}),
    FaultKind.REDIRECT: (302, "", {"Location": "/elsewhere"}),
    FaultKind.MALFORMED: (200, '{"access_token": "', {"Content-Type": "application/json"}),
}
"""What is answered in place of doing anything."""


def altered(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``members`` with ``changes``; ``None`` removes."""
    merged = {**members, **changes}
    return {name: value for name, value in merged.items() if value is not None}
