"""The events of the audit log: their fields, and the text that is sealed and linked.

There is one event for each transition and one for each refused input. The fields are a closed list.

The text of an event is JSON with its names in order, so the same members always give the same text.
A line of an exported log can be turned back into the text that its link was computed over, and
whoever has the key can check it. The text is JSON because Python reads and writes JSON in C: an
event costs 7 µs, and 26 µs in the encoding of the login records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from ..secret import Secret


AUDIT_SCHEMA: Final = 1

LINE_ONLY: Final = frozenset({"seq", "prev", "mac", "store"})
"""The members of a line that its link is not computed over."""

Scalar: TypeAlias = "str | int | float | bool | None | tuple[str, ...]"

_read = cast("Callable[[bytes], dict[str, object]]", json.loads)
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class EventKind(StrEnum):
    """What an audit line is about."""

    TRANSITION = "login.transition"
    REFUSED = "login.refused"
    STORAGE_CREATED = "storage.created"
    STORAGE_CHANGED = "storage.changed"
    AUDIT_PRUNED = "audit.pruned"
    """Old records were removed; ``detail`` names them and the link of the last."""
    AUDIT_FORWARD_SECURE = "audit.forward_secure"
    """From this record on, the key of each is erased when the next takes its place."""
    AUDIT_SET_ASIDE = "audit.set_aside"
    """The log was damaged; it goes on here, and ``detail`` names what was left behind."""


SECTION: Final = "audit.section"
"""The event of a line that is no record: the log was put back, or is another one, and begins again."""
SET_ASIDE: Final = "set_aside"
"""The detail of a ``storage.changed``: a login that does not open is kept apart from now on."""
GONE: Final = "gone"
"""The same of a login that was no longer there."""


class Outcome(StrEnum):
    """How it went."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where an event happened.

    Attributes:
        pid: Process id.
        host: Host name.
        user: The account of the operating system.
        app_version: Our own version.
    """

    pid: int
    host: str
    user: str
    app_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the audit log before the storage numbers it.

    The fields are the allow-list: there is no place to put anything else. Secrets enter only
    through ``fingerprints``, of which the storage writes a keyed digest under ``NAME_fp``.

    Attributes:
        time: POSIX seconds.
        event: What it is about.
        login: The login's id.
        provider: Its provider's name.
        account: Its account's name.
        trigger: The trigger of a transition.
        source: The state before; written as ``from``.
        dest: The state after; written as ``to``.
        reason: Machine-readable (:mod:`stayfast.engine.reasons`).
        transport: How the user was asked.
        outcome: How it went.
        http_status: The provider's answer.
        oauth_error: The provider's error code (RFC 6749 §5.2).
        issuer: The provider's issuer identifier.
        scopes: What was granted.
        expires_in: Lifetime of the access token, seconds.
        version: The login's version after the transition.
        attempt: Ties the sending of a code or refresh token to what came of it: the version of the
            login at which it began.
        duration: Seconds since the previous transition of this login.
        detail: One of a closed set of words or a figure, such as ``port=8080``.
        origin: Where it happened.
        fingerprints: Values whose keyed digest ties events together, by name.
    """

    time: float
    event: EventKind
    origin: Origin
    login: str | None = None
    provider: str | None = None
    account: str | None = None
    trigger: str | None = None
    source: str | None = None
    dest: str | None = None
    reason: str | None = None
    transport: str | None = None
    outcome: Outcome | None = None
    http_status: int | None = None
    oauth_error: str | None = None
    issuer: str | None = None
    scopes: tuple[str, ...] | None = None
    expires_in: float | None = None
    version: int | None = None
    attempt: int | None = None
    duration: float | None = None
    detail: str | None = None
    fingerprints: Mapping[str, Secret] = field(default_factory=dict[str, "Secret"])

    def members(self) -> dict[str, Scalar]:
        """The fields that are written, under the names they are written by; no secret."""
        named: dict[str, Scalar] = {"schema": AUDIT_SCHEMA}
        for source, names in ((self, _OF_EVENT), (self.origin, _OF_ORIGIN)):
            for name, written in names:
                value = getattr(source, name)
                if value is not None:
                    named[written] = value
        named["time"] = round(self.time, 6)  # what RFC 3339 can tell, so that a line can be checked
        return named


_WRITTEN_AS: Final = {"source": "from", "dest": "to"}
_OF_EVENT: Final = [
    (f.name, _WRITTEN_AS.get(f.name, f.name))
    for f in fields(Event)
    if f.name not in {"origin", "fingerprints"}
]
_OF_ORIGIN: Final = [(f.name, f.name) for f in fields(Origin)]
FINGERPRINTS: Final = ("access_token", "refresh_token", "client", "subject")
"""The names under which values may be fingerprinted."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the storage keeps it.

    Attributes:
        seq: Its number; the first is 1 and there are no gaps.
        members: What is written, by name, without ``seq``.
        prev: The link of the event before it; empty for the first, and where there is no chain.
        mac: Its own link, over ``prev``, ``seq`` and the text of ``members``; empty without a chain.
        store: The short name of the storage it is kept in; empty where that has none.
    """

    seq: int
    members: Mapping[str, Scalar]
    prev: bytes = b""
    mac: bytes = b""
    store: str = ""


class NotAnEvent(ValueError):
    """This text or line is not an event."""


def text_of(members: Mapping[str, Scalar]) -> bytes:
    """The one text of ``members``."""
    return _encode(dict(members)).encode("ascii")


def members_of_text(text: bytes) -> dict[str, Scalar]:
    """The members that ``text`` was made of.

    Raises:
        NotAnEvent: It was not made by :func:`text_of`.
    """
    if not text.startswith(b"{"):  # other JSON than an object
        raise NotAnEvent("not an event")
    try:
        members = _read(text)
    except ValueError as error:
        raise NotAnEvent("not an event") from error
    return {name: _scalar(value) for name, value in members.items()}


def _scalar(value: object) -> Scalar:
    return cast("Scalar", tuple(cast("list[str]", value)) if isinstance(value, list) else value)


_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
"""A day from the ends of the calendar, so that there is a local time, too."""


def rfc3339(seconds: object, timespec: str = "microseconds") -> str:
    """A time in POSIX seconds as UTC (RFC 3339 §5.6); ``timespec`` is that of ``isoformat``."""
    return moment_of(seconds).isoformat(timespec=timespec).replace("+00:00", "Z")


def moment_of(seconds: object) -> datetime:
    """A time in POSIX seconds, in UTC; what no calendar holds becomes its first or last second.

    So whatever is stored can be shown: servers send lifetimes that end in the year 292,277,026,596.
    """
    if not isinstance(seconds, float | int) or seconds != seconds:  # noqa: PLR0124  not a number
        seconds = 0
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def text_of_line(line: Mapping[str, Scalar]) -> bytes:
    """The text that the event of an exported line had in the vault.

    Raises:
        NotAnEvent: The time is missing or malformed.
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


class Transition(NamedTuple):
    """What an event says of the path of its login."""

    login: str
    version: int
    trigger: str
    source: str
    dest: str


def transition_of(members: Mapping[str, Scalar]) -> Transition | None:
    """The transition that an event records; ``None`` for any other event.

    Raises:
        NotAnEvent: It is a transition and lacks a member.
    """
    if members.get("event") != EventKind.TRANSITION:
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
    return Transition(login, version, trigger, source, dest)


def transition_in_text(text: bytes) -> Transition | None:
    """As :func:`transition_of`, from the text, without reading the rest of it.

    A quotation mark within a JSON string is escaped, so none of the names looked for can stand
    anywhere but where it is one.

    Raises:
        NotAnEvent: As for :func:`transition_of`.
    """
    told = text.decode("ascii", "replace")
    if "\\" in told or not told.startswith("{"):  # an odd one: read all of it
        return transition_of(members_of_text(text))
    if '"event":"login.transition"' not in told:
        return None
    index = told.index
    try:
        source = index(',"from":"') + 9
        login = index(',"login":"', source) + 10
        dest = index(',"to":"', login) + 7
        trigger = index(',"trigger":"', dest) + 12
        version = index(',"version":', trigger) + 11
        return Transition._make(
            (
                told[login : index('"', login)],
                int(told[version:-1]),
                told[trigger : index('"', trigger)],
                told[source : index('"', source)],
                told[dest : index('"', dest)],
            )
        )  # quicker than by its names
    except ValueError:
        return transition_of(members_of_text(text))
