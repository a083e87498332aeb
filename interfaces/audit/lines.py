"""A line of the audit log: the closed list of its fields, and its form as JSON."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from ...engine.audit.events import (
    AUDIT_SCHEMA,
    FINGERPRINTS,
    LINE_ONLY,
    SECTION,
    Event,
    Origin,
    Scalar,
)
from ...engine.moments import rfc3339
from ...storage.host import CLOCK, origin
from ..json_text import json_of

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded

_OURS: Final = {"source": "from", "dest": "to"}
FIELDS: Final = frozenset(
    {"schema"}
    | LINE_ONLY
    | {
        _OURS.get(name, name)
        for kind in (Event, Origin)
        for name in kind.__dataclass_fields__
        if name not in {"origin", "fingerprints"}
    }
    | {f"{name}_fp" for name in FINGERPRINTS}
)
"""Every field that a line may have. Any other field is dropped and counted.

The list is what keeps secrets out of the log: a new field of a record or an error does not get in
because somebody forgot to remove it.
"""


class AllowList:
    """A structlog processor that lets only the listed fields through.

    Attributes:
        dropped: How many fields were dropped.
    """

    def __init__(self) -> None:
        self.dropped = 0

    def __call__(
        self, logger: Any, method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """``line`` with the listed fields only."""
        del logger, method
        listed = {name: value for name, value in line.items() if name in FIELDS}
        self.dropped += len(line) - len(listed)
        return listed


def line_of(recorded: Recorded) -> dict[str, Scalar]:
    """The members of an event's line: number, fields, time (RFC 3339), store and links."""
    line: dict[str, Scalar] = {"seq": recorded.seq, **recorded.members}
    line["time"] = rfc3339(recorded.members.get("time"))
    if recorded.store:
        line["store"] = recorded.store
    if recorded.mac:
        line |= {"prev": recorded.prev.hex(), "mac": recorded.mac.hex()}
    return line


def section_of(store: str) -> dict[str, Scalar]:
    """The line before a log that is not the one sent before, or was further then."""
    line: dict[str, Scalar] = {
        "schema": AUDIT_SCHEMA,
        "time": rfc3339(CLOCK.now()),
        "event": SECTION,
        **asdict(origin()),
        "detail": "the log was put back, or is a new one; it is sent from here on",
    }
    return line | ({"store": store} if store else {})


def render(logger: Any, method: str, line: Mapping[str, Any]) -> bytes:
    """A structlog processor that gives one line of JSON, without the line end."""
    del logger, method
    # a lone surrogate has no UTF-8: it is written as JSON's own escape, and the line is not lost
    return json_of(line).encode("utf-8", "backslashreplace")
