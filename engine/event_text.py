"""An audit event as the text that is sealed, linked and told: JSON with its names in order.

The same members always give the same text. So a line of an exported log can be made into the text
its link was computed over, and checked by whoever has the key. JSON because it is written and read
in C: an event costs 7 µs instead of the 26 µs of the records' own encoding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

from . import cbor
from .events import Scalar

_read = cast("Callable[[bytes], dict[str, object]]", json.loads)
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
LINE_ONLY: Final = frozenset({"seq", "prev", "mac"})
"""What a line has besides the members its link was computed over."""


class NotAnEvent(ValueError):
    """This text or line is not an event."""


def text_of(members: Mapping[str, Scalar]) -> bytes:
    """The one text of ``members``."""
    return _encode(dict(members)).encode("ascii")


def members_of_text(text: bytes) -> dict[str, Scalar]:
    """The members that ``text`` was made of; also of the CBOR that the first format wrote.

    Raises:
        NotAnEvent: It is neither.
    """
    try:
        members = _read(text) if text.startswith(b"{") else cbor.decode_map(text)
    except ValueError as error:
        raise NotAnEvent("not an event") from error
    return {name: _scalar(value) for name, value in members.items()}


def _scalar(value: object) -> Scalar:
    return cast("Scalar", tuple(cast("list[str]", value)) if isinstance(value, list) else value)


def rfc3339(seconds: object) -> str:
    """A time in POSIX seconds as UTC, to the microsecond."""
    moment = datetime.fromtimestamp(seconds if isinstance(seconds, float | int) else 0, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def text_of_line(line: Mapping[str, Scalar]) -> bytes:
    """The text that the event of an exported line had in the vault.

    Raises:
        NotAnEvent: Its time is none that was written there.
    """
    members = {name: value for name, value in line.items() if name not in LINE_ONLY}
    try:
        moment = datetime.fromisoformat(str(line["time"]))
        whole = int(moment.replace(microsecond=0).timestamp())
        # the decimal fraction, and not the sum of two rounded numbers, is what was written
        members["time"] = float(f"{whole}.{moment.microsecond:06d}")
    except (KeyError, ValueError, OverflowError) as error:
        raise NotAnEvent("a line without a time") from error
    return text_of(members)


class Step(NamedTuple):
    """What an event says of the path of its login."""

    login: str
    version: int
    trigger: str
    source: str
    dest: str


def step_of(members: Mapping[str, Scalar]) -> Step | None:
    """The step an event tells of; ``None`` if it tells of none.

    Raises:
        NotAnEvent: It should, and does not.
    """
    if members.get("event") != _TRANSITION:
        return None
    login, version = members.get("login"), members.get("version")
    trigger, source, dest = members.get("trigger"), members.get("from"), members.get("to")
    if (
        not isinstance(login, str)
        or not isinstance(version, int)
        or not isinstance(trigger, str)
        or not isinstance(source, str)
        or not isinstance(dest, str)
    ):
        raise NotAnEvent("a transition that does not say of what")
    return Step(login, version, trigger, source, dest)


def glance(text: bytes) -> Step | None:
    """As :func:`step_of`, from the text, without reading the rest of it.

    A quotation mark within a JSON string is escaped, so none of the names looked for can stand
    anywhere but where it is one.

    Raises:
        NotAnEvent: As for :func:`step_of`.
    """
    told = text.decode("ascii", "replace")
    if "\\" in told or not told.startswith("{"):  # an odd one: read all of it
        return step_of(members_of_text(text))
    if '"event":"login.transition"' not in told:
        return None
    index = told.index
    try:
        source = index(',"from":"') + 9
        login = index(',"login":"', source) + 10
        dest = index(',"to":"', login) + 7
        trigger = index(',"trigger":"', dest) + 12
        version = index(',"version":', trigger) + 11
        return Step._make(
            (
                told[login : index('"', login)],
                int(told[version:-1]),
                told[trigger : index('"', trigger)],
                told[source : index('"', source)],
                told[dest : index('"', dest)],
            )
        )  # quicker than by its names
    except ValueError:
        return step_of(members_of_text(text))


_TRANSITION: Final = "login.transition"
