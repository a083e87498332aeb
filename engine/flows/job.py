"""An errand: one request whose answer must not be lost, described so that another process can run it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ..ports import Lease, Verdict
    from ..record import Login


class ErrandKind(StrEnum):
    """What is sent."""

    CODE = "code"
    """The authorization code (RFC 6749 §4.1.3)."""
    POLL = "poll"
    """The device code: once approved, the answer is as precious (RFC 8628 §3.4)."""
    REFRESH = "refresh"
    """The refresh token (RFC 6749 §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """From sending to saving the answer.

    Attributes:
        kind: What is sent.
        login: The login, as it was last saved.
        lease: The lease it is held under, by whoever runs the errand too.
        again: Whether it may have been sent before, by a process that stopped.
    """

    kind: ErrandKind
    login: Login
    lease: Lease
    again: bool = False


ErrandOutcome: TypeAlias = "Login | Verdict"
"""The login as it was saved; or, of a poll, what to tell the transport meanwhile."""
