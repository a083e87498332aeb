"""The events of the audit log: their fields, and the text that is sealed and linked.

There is one event for each transition and one for each refused input. The fields are a closed list.

The text of an event is JSON with its names in order, so the same members always give the same text.
A line of an exported log can be turned back into the text that its link was computed over, and
anyone with the key can check it. The text is JSON because Python reads and writes JSON in C: an
event costs 7 µs, and 26 µs in the encoding of the login records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from ..secret import Secret


AUDIT_SCHEMA: Final = 1

LINE_ONLY: Final = frozenset({"seq", "prev", "mac", "store"})
"""The members of a line that are not part of the text, and so not covered by its link."""

Scalar: TypeAlias = "str | int | float | bool | None | tuple[str, ...]"

_read = cast("Callable[[bytes], dict[str, object]]", json.loads)
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


class EventKind(StrEnum):
    """The kinds of events."""

    TRANSITION = "login.transition"
    REFUSED = "login.refused"
    CLIENT_REGISTERED = "client.registered"
    """A client was registered at ``issuer`` (RFC 7591), or the server refused to."""
    RESOURCE_REFUSED = "resource.refused"
    """A protected resource, or the server that it names, was not believed; no login has begun."""
    STORAGE_CREATED = "storage.created"
    STORAGE_CHANGED = "storage.changed"
    AUDIT_PRUNED = "audit.pruned"
    """Old records were removed. ``detail`` has their numbers and the link of the last one."""
    AUDIT_FORWARD_SECURE = "audit.forward_secure"
    """From this record on, the key of a record is erased when the next record is written."""
    AUDIT_SET_ASIDE = "audit.set_aside"
    """The log was damaged and goes on here. ``detail`` has the records that were set aside."""


SECTION: Final = "audit.section"
"""The event of a line that is no record: the log was put back, or is another one, and begins again."""
SET_ASIDE: Final = "set_aside"
"""The detail of a ``storage.changed``: a login could not be opened and was set aside."""
GONE: Final = "gone"
"""The detail of a ``storage.changed``: a login was missing from the vault."""

PURGED: Final = "purged="
"""The beginning of the detail of a ``storage.changed``: so many logins that were over were removed."""


class Outcome(StrEnum):
    """The outcome of an action."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The process that an event happened in.

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

    The fields are the allow-list: an event has no place for anything else. A secret enters only
    through ``fingerprints``, and the storage writes a keyed digest of it under ``NAME_fp``.

    Attributes:
        time: POSIX seconds.
        event: The kind of event.
        login: The login's id.
        provider: Its provider's name.
        account: Its account's name.
        trigger: The trigger of a transition.
        source: The state before; written as ``from``.
        dest: The state after; written as ``to``.
        reason: Machine-readable (:mod:`stayfast.engine.reasons`).
        transport: The transport of the login.
        outcome: The outcome.
        http_status: The status of the provider's answer.
        oauth_error: The provider's error code (RFC 6749 §5.2).
        issuer: The provider's issuer identifier.
        pkce: ``off`` where the login is made without PKCE (RFC 7636), because the provider's settings
            say so; else absent.
        scopes: The granted scopes.
        expires_in: Lifetime of the access token, seconds.
        version: The login's version after the transition.
        attempt: Connects the sending of a code or refresh token with its outcome: the version of
            the login at which the sending began.
        duration: Seconds since the previous transition of this login.
        detail: One of a closed set of words or a figure, such as ``port=8080``.
        origin: The process that it happened in.
        fingerprints: Secret values by name. Their keyed digests connect events about one token.
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
    pkce: str | None = None
    scopes: tuple[str, ...] | None = None
    expires_in: float | None = None
    version: int | None = None
    attempt: int | None = None
    duration: float | None = None
    detail: str | None = None
    fingerprints: Mapping[str, Secret] = field(default_factory=dict[str, "Secret"])

    def members(self) -> dict[str, Scalar]:
        """The fields that are written, by their names in the log. They hold no secret."""
        named: dict[str, Scalar] = {"schema": AUDIT_SCHEMA}
        for source, names in ((self, _OF_EVENT), (self.origin, _OF_ORIGIN)):
            for name, written in names:
                value = getattr(source, name)
                if value is not None:
                    named[written] = value
        # A line has microseconds (RFC 3339). With more digits here, the text could not be computed
        # back from the line, and its link could not be checked.
        named["time"] = round(self.time, 6)
        return named


_WRITTEN_AS: Final = {"source": "from", "dest": "to"}
_OF_EVENT: Final = [
    (f.name, _WRITTEN_AS.get(f.name, f.name))
    for f in fields(Event)
    if f.name not in {"origin", "fingerprints"}
]
_OF_ORIGIN: Final = [(f.name, f.name) for f in fields(Origin)]
FINGERPRINTS: Final = ("access_token", "refresh_token", "client", "subject")
"""The names that ``fingerprints`` may have."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in the log of a storage.

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
    """The text or line is not an event."""


def text_of(members: Mapping[str, Scalar]) -> bytes:
    """The text of ``members``: always the same for the same members."""
    return _encode(dict(members)).encode("ascii")


def members_of_text(text: bytes) -> dict[str, Scalar]:
    """The members in ``text``.

    Raises:
        NotAnEvent: ``text`` is not a JSON object.
    """
    if not text.startswith(b"{"):  # JSON, but not an object
        raise NotAnEvent("not an event")
    try:
        members = _read(text)
    except ValueError as error:
        raise NotAnEvent("not an event") from error
    return {name: _scalar(value) for name, value in members.items()}


def _scalar(value: object) -> Scalar:
    return cast("Scalar", tuple(cast("list[str]", value)) if isinstance(value, list) else value)


def text_of_line(line: Mapping[str, Scalar]) -> bytes:
    """The text that the event of an exported line had in the vault.

    Raises:
        NotAnEvent: The time is missing or malformed.
    """
    members = {name: value for name, value in line.items() if name not in LINE_ONLY}
    try:
        moment = datetime.fromisoformat(str(line["time"]))
        whole = int(moment.replace(microsecond=0).timestamp())
        # The text has the decimal number as it was written. The sum of two rounded numbers would
        # sometimes differ in the last digit, and the link with it.
        members["time"] = float(f"{whole}.{moment.microsecond:06d}")
    except (KeyError, ValueError, OverflowError) as error:
        raise NotAnEvent("a line without a time") from error
    return text_of(members)


class Transition(NamedTuple):
    """The transition of a login, as its event records it."""

    login: str
    version: int
    trigger: str
    source: str
    dest: str


_transition: Callable[[type[Transition], tuple[object, ...]], Transition] = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
"""Makes a :class:`Transition` in a third of the time of its constructor: it runs once for each record."""


def transition_of(members: Mapping[str, Scalar]) -> Transition | None:
    """The transition that an event records; ``None`` for any other event.

    Raises:
        NotAnEvent: The event is a transition and lacks a member.
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
    """As :func:`transition_of`, but from the text, and without parsing all of it.

    The names in the text are in alphabetical order. A quotation mark inside a JSON string is
    escaped, so ``,"from":"`` can only be the name of a member, never a part of a value.

    Raises:
        NotAnEvent: As for :func:`transition_of`.
    """
    plain = text.decode("ascii", "replace")
    if "\\" in plain or not plain.startswith("{"):  # escapes in it: parse all of it
        return transition_of(members_of_text(text))
    _, event, rest = plain.partition('"event":"login.transition"')
    if not event:
        return None
    # each step leaves what follows; a name that is not there leaves nothing, which is no version
    _, _, rest = rest.partition(',"from":"')
    source, _, rest = rest.partition('"')
    _, _, rest = rest.partition(',"login":"')
    login, _, rest = rest.partition('"')
    _, _, rest = rest.partition(',"to":"')
    dest, _, rest = rest.partition('"')
    _, _, rest = rest.partition(',"trigger":"')
    trigger, _, rest = rest.partition('"')
    _, _, version = rest.partition(',"version":')
    try:
        return _transition(Transition, (login, int(version[:-1]), trigger, source, dest))
    except ValueError:
        return transition_of(members_of_text(text))
