"""What the audit log says: one event per transition, one per refused input, fields by list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from .secret import Secret

AUDIT_SCHEMA: Final = 1

Scalar: TypeAlias = "str | int | float | bool | None | tuple[str, ...]"


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
    """

    seq: int
    members: Mapping[str, Scalar]
    prev: bytes = b""
    mac: bytes = b""
