"""What a commit is about: a change of one login, and the right to make one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .audit.events import Event
    from .record import Login

LEASE_OUTLASTS: Final = 35.0
"""Seconds that a lease lasts after :meth:`Lease.keep`. A request must be over earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition, to be committed together with its event.

    It was decided for version ``login.version - 1`` of the login. Version 0 means that there is no
    record yet.

    Attributes:
        login: The record after the transition.
        event: The event of the transition.
        fence: The fence of the lease under which it was decided; 0 without a lease.
    """

    login: Login
    event: Event
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change one login, held until it is released or its process ends.

    This class is for leases that the kernel keeps: it frees the lock of a dead process. A storage on
    another machine cannot see that a process died. So it lends a lease for a time, a little more
    than :data:`LEASE_OUTLASTS`, and gives a class of its own.

    Attributes:
        login_id: The login.
        fence: A number that grows with every lease of this login, where a lease can be lost; else 0.
            A commit names it, so that a holder that lost its lease cannot write any more.
        lent_until: Where it is lent for a time: until when it lasts at least, seconds of the clock of
            this machine that also counts its sleep.
    """

    login_id: str
    fence: int = 0
    lent_until: float | None = field(default=None, compare=False)

    def keep(self) -> None:
        """Make sure that the lease lasts longer than a request that is sent now.

        It is called right before a code or refresh token is sent, and from time to time during the
        wait for a user.

        Raises:
            Fenced: The lease ended, and another process has it now. Nothing may be sent.
            StorageError: The lease ends soon, and the storage does not answer.
        """

    def lasting(self) -> float | None:
        """Until when it lasts by now, as :attr:`lent_until`: for the process that it is handed to."""
        return self.lent_until

    def release(self) -> None:
        """End the lease: for a courier whose caller has died.

        The kernel ends its own kind of lease with the last process that holds it.
        """
