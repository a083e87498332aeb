"""What the engine wants of a place for logins: one protocol, and what a larger storage can do besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .audit.events import Event, Recorded
    from .changes import Change, Lease
    from .record import Login
    from .summary import Summary


class Storage(Protocol):
    """A place for logins. Any number of processes may share a durable one."""

    @property
    def description(self) -> str:
        """The kind and place in a few words, such as ``keyring:SecretService``."""
        ...

    def probe(self) -> None:
        """Make sure that a commit would succeed now.

        It is called before a browser is opened: tokens that cannot be saved must not be fetched.

        Raises:
            StorageError: A commit would fail; the message says why.
        """
        ...

    def read(self, login_id: str) -> Login | None:
        """The login with that full id, or ``None``.

        Raises:
            Damaged: The login is there and cannot be opened.
            NewerFormat: A newer version wrote the login.
        """
        ...

    def find(self, alias: str) -> Login | None:
        """The login with that alias (:attr:`stayfast.engine.record.Login.alias`), or ``None``.

        Raises:
            Damaged, NewerFormat: As for :meth:`read`.
        """
        ...

    def summaries(self) -> Iterable[Summary]:
        """Every login that can be opened, oldest first."""
        ...

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """A context manager for the right to change one login. It excludes other threads, too.

        Args:
            login_id: The full id.
            wait: Seconds to wait for another holder; with 0 there is one try.
            until: Called from time to time during the wait. Once it is true, the wait is pointless
                (another process has refreshed the tokens), and ``LoginBusy`` is raised early.

        Raises:
            LoginBusy: Another process or thread holds the lease; the message names it.
        """
        ...

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """Save all of ``changes`` with their events, or nothing. They are durable on return.

        Changes are applied in order. Several may concern one login, each one version further.

        Gives the events as recorded, in order. Records of the storage itself may come before them:
        the storage was created, a damaged log was set aside.

        Raises:
            StorageConflict: The stored version is not the one for which a change was decided.
            Fenced: Another process has the lease under which a change was decided.
            StorageFull: There is no space.
            OutcomeUnknown: It is unknown whether the changes are durable (a failed fsync, say).
            Damaged: The stored login cannot be opened.
            StorageError: The storage cannot be written.
        """
        ...

    def note(self, event: Event) -> Recorded:
        """Log an event that changes no login: a refused input.

        Raises:
            StorageError: The event could not be written.
        """
        ...

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Recorded events with a number above ``after``, in order."""
        ...


@runtime_checkable
class PreparedStorage(Protocol):
    """A storage that can be made ready for a commit which follows at once, and shows the rest itself."""

    def prepare(self) -> None:
        """As :meth:`Storage.probe`, but nothing is written to see whether it can be.

        Raises:
            StorageError: It is seen already that the commit would fail.
        """
        ...


def ready_to_save(storage: Storage) -> None:
    """Make ``storage`` ready for the first commit of a login, which comes before any effect outside.

    That commit is as good as a probe, and costs no further one.

    Raises:
        StorageError: A login cannot be saved.
    """
    if isinstance(storage, PreparedStorage):
        storage.prepare()
    else:
        storage.probe()


@runtime_checkable
class SearchableStorage(Protocol):
    """A storage that finds logins by the beginning of their ids, without a look at all others."""

    def beginning(self, prefix: str) -> Iterable[Summary]:
        """The logins whose ids begin with ``prefix``, and open."""
        ...


@runtime_checkable
class PagedStorage(Protocol):
    """A storage that gives a page of its logins without opening the others."""

    def page(self, offset: int, limit: int | None) -> Sequence[Summary] | None:
        """At most ``limit`` logins that are not over, after the first ``offset`` of them.

        The order is always the same, and finished logins come before those that wait. All logins are
        given if ``limit`` is ``None``. ``None`` is given where a page would cost as much as all of
        them.

        Raises:
            Damaged: A login is missing, or is not the one that was last saved.
        """
        ...
