r"""How the embedded authorization server goes wrong, on demand.

A :class:`Fault` is data: its kind says what happens, its other fields say how::

    server.misbehave("token", Fault(kind=FaultKind.TEXT, before=b"\xef\xbb\xbf"), times=None)
    server.misbehave("token", Fault(kind=FaultKind.ID_TOKEN, members={"sub": "mallory"}))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Null:
    """A JSON ``null`` among changes, where ``None`` removes the member."""


NULL: Final = Null()
"""Give this as a member's value to send ``null``."""


class Signature(StrEnum):
    """How the ID token of a fault is signed."""

    OWN = "own"
    """With the published key, as it should be."""
    FOREIGN = "foreign"
    """With another key of the same ``kid``."""
    SPOILED = "spoiled"
    """With the published key; then one octet of the signature is changed."""
    ABSENT = "absent"
    """The signature is empty, and ``alg`` still names an algorithm."""
    NONE = "none"
    """``alg`` is ``none`` (RFC 7518 §3.6)."""
    PUBLIC_KEY_AS_SECRET = "public_key_as_secret"
    """``alg`` is ``HS256``, and the secret is the published key (RFC 8725 §2.1)."""


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
    """It is done, and the answer comes after ``seconds``, or once the server is released."""
    HANG = "hang"
    """Nothing is done for ``seconds``, or until the server is released; then it goes on as usual."""
    MEMBERS = "members"
    """The answer's members are changed by ``members``; ``None`` removes one."""
    FORM = "form"
    """The answer is form-encoded."""
    ERROR = "error"
    """An OAuth error, ``members['error']``, with ``status``; nothing is done."""
    ANSWER = "answer"
    """``status``, ``headers`` and ``body`` are the answer; nothing is done."""
    TEXT = "text"
    """It is done; the answer's octets are changed by ``inserted``, ``charset``, ``before``
    and ``after``, in this order."""
    ID_TOKEN = "id_token"
    """The claims of the answer's ID token are changed by ``members``, ``shifted`` and
    ``inserted``, its header by ``header``; then it is signed as ``signature`` says."""
    KEYS = "keys"
    """Every published key is changed by ``members``; with ``impostor``, a foreign key of the same
    ``kid`` stands before it."""
    CALLBACK = "callback"
    """The callback's parameters are changed by ``members``; ``None`` removes one."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way for one endpoint to go wrong.

    Attributes:
        kind: What goes wrong.
        seconds: How long a ``SLOW`` or ``HANG`` takes.
        members: New values by name; ``None`` removes a member, :data:`NULL` sends ``null``.
        status: The status of an ``ERROR`` or ``ANSWER``.
        grant: Only for this ``grant_type``, where one endpoint serves several.
        headers: Further headers of the answer, whatever the kind; they replace the usual ones.
        body: The body of an ``ANSWER``.
        inserted: JSON text put after the last member of the answer, or of the ID token's claims:
            for values that no serializer would write, such as thousands of brackets.
        charset: The encoding of a ``TEXT``; the answer's ``Content-Type`` names it.
        before: Octets sent before the answer.
        after: Octets sent after the answer.
        shifted: Seconds to add to numeric claims of an ID token, by name.
        header: Changes of an ID token's header, as ``members``.
        signature: Who signs the ID token, and whether at all.
        impostor: Whether ``KEYS`` publishes a foreign key first.
    """

    kind: FaultKind
    seconds: float = 0.0
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    status: int = 400
    grant: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    inserted: str = ""
    charset: str = "utf-8"
    before: bytes = b""
    after: bytes = b""
    shifted: Mapping[str, float] = field(default_factory=dict[str, float])
    header: Mapping[str, Any] = field(default_factory=dict[str, Any])
    signature: Signature = Signature.OWN
    impostor: bool = False


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
    """``members`` with ``changes``; ``None`` removes, :data:`NULL` sends ``null``."""
    merged = {**members, **changes}
    kept = {name: value for name, value in merged.items() if value is not None}
    return {name: None if value is NULL else value for name, value in kept.items()}


def as_json(members: Mapping[str, Any], inserted: str = "") -> str:
    """``members`` as JSON, with ``inserted`` after the last one."""
    text = json.dumps(members)
    return f"{text[:-1]}, {inserted}}}" if inserted else text


def as_octets(members: Mapping[str, Any], fault: Fault) -> bytes:
    """``members`` as JSON in the octets of a ``TEXT`` fault."""
    return fault.before + as_json(members, fault.inserted).encode(fault.charset) + fault.after
