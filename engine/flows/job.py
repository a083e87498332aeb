"""A job: one request whose answer must not be lost, in a form that another process can run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ports import Lease, Verdict
    from ..record import Login


class JobKind(StrEnum):
    """What is sent."""

    CODE = "code"
    """The authorization code (RFC 6749 §4.1.3)."""
    POLL = "poll"
    """The device code: once approved, the answer is as precious (RFC 8628 §3.4)."""
    GRANT = "grant"
    """A grant that needs no user (RFC 6749 §4.4, RFC 8693, RFC 7523)."""
    REFRESH = "refresh"
    """The refresh token (RFC 6749 §6)."""


class Progress(Protocol):
    """Receives how far a job is, so that its sender can go on where a killed courier stopped."""

    def sending(self) -> None:
        """The request leaves now."""
        ...

    def arrived(self, login: Login) -> None:
        """Tokens have come; ``login`` holds them, and is not saved yet."""
        ...


class Unwatched:
    """Ignores how far a job is: no other process waits for it."""

    def sending(self) -> None:
        """See :meth:`Progress.sending`."""

    def arrived(self, login: Login) -> None:
        """See :meth:`Progress.arrived`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """From sending to saving the answer.

    Attributes:
        kind: What is sent.
        login: The login, as it was last saved.
        lease: The lease of its login; the process that runs the job holds it too.
        again: Whether it may have been sent before, by a process that stopped.
        arrived: The login with the tokens that came to a courier which was killed before it saved
            them: they are saved, and nothing is sent.
        courier: Whether a courier could be had; where not, the audit log says so.
        moved: Whether the token endpoint had moved, and the login goes on at its new address.
        progress: Receives how far the job is.
    """

    kind: JobKind
    login: Login
    lease: Lease
    again: bool = False
    arrived: Login | None = None
    courier: bool = True
    moved: bool = False
    progress: Progress = field(default=Unwatched(), repr=False, compare=False)


JobOutcome: TypeAlias = "Login | Verdict"
"""The login as it was saved; or, after a poll without tokens, the verdict for the transport."""


class Courier(Protocol):
    """Carries the stretch from sending a code or refresh token to saving the answer.

    Whatever happens to the caller meanwhile, the job is finished first.
    """

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """Have ``job`` performed to its end; deferred signals are honoured after it.

        Args:
            job: What is to be sent and saved.
            perform: Does it, in the process it is called in.

        Raises:
            StayfastError: As the job turns out, whichever process it was performed in.
        """
        ...
