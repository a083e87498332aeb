"""The logins that there are: all of them, a page, or the one that somebody names.

Whoever looks sees a login whose deadline has passed as over, and a few such logins are ended on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..login_id import choose, is_full, no_login, normalise
from ..storage_ports import PagedStorage, SearchableStorage
from ..table import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..ports import Clock, Storage
    from ..record import Login
    from ..summary import Summary

_FEW: Final = 20  # logins that a look at the store ends at once


class Overview:
    """Finds logins in the storage."""

    def __init__(
        self, storage: Storage, clock: Clock, end_overdue: Callable[[str], Login | None]
    ) -> None:
        """Look into ``storage``; ``end_overdue`` ends a login, by its id, whose deadline has passed."""
        self._storage = storage
        self._clock = clock
        self._end = end_overdue

    def summaries(self) -> list[Summary]:
        """Every login, oldest first. This ends every login whose deadline has passed."""
        return self._in_time(self._storage.summaries())

    def page(self, offset: int, limit: int | None) -> list[Summary] | None:
        """A page of the logins that are not over, as the storage pages them. This writes nothing.

        Of the logins of the page, those whose deadline has passed are left out.

        Args:
            offset: How many logins are left out before.
            limit: How many are given at most; all of them if ``None``.

        Returns:
            The logins; ``None`` if the storage has no such page (:class:`~stayfast.engine.storage_ports.PagedStorage`).
        """
        storage = self._storage
        if not isinstance(storage, PagedStorage):
            return None
        found = storage.page(offset, limit)
        now = self._clock.now()
        return None if found is None else [one for one in found if not _overdue(one, now)]

    def named(self, typed: str) -> Summary:
        """The login whose id is, or begins with, ``typed``; it is ended if its deadline has passed.

        A whole id is read directly, which costs the same however many logins there are.

        Raises:
            NotFound: No login has such an id, or several have.
        """
        storage, wanted = self._storage, normalise(typed)
        if is_full(wanted):
            login = storage.read(wanted)
            if login is None:
                raise no_login(typed)
            return self._in_time([login.summary()])[0]
        if not wanted or not isinstance(storage, SearchableStorage):
            return choose(self.summaries(), typed)
        return choose(self._in_time(storage.beginning(wanted)), typed)

    def exactly(self, login_id: object) -> str:
        """``login_id`` in the spelling of the storage. A beginning is not enough.

        Programs hand in what a browser sent. A short text there must not find some other login, and
        an error must not say which logins there are.

        Raises:
            NotFound: No login has this id.
        """
        wanted = normalise(login_id)
        if not is_full(wanted) or self._storage.read(wanted) is None:
            raise no_login(login_id)
        return wanted

    def end_overdue(self, most: int | None = None) -> int:
        """End logins whose deadline has passed and that no process has in hand; gives how many.

        Args:
            most: How many are looked at; all of them if not given.
        """
        logins, now = list(self._storage.summaries()), self._clock.now()
        overdue = [one for one in logins if _overdue(one, now)]
        ended = [self._end(one.id) for one in overdue[:most]]
        return sum(one is not None and not one.pending for one in ended)

    def _in_time(self, logins: Iterable[Summary]) -> list[Summary]:
        """``logins`` as they are by now: those whose deadline has passed are over.

        A few are ended for good. In a store with many of them, a look at it must not write for each:
        whoever meets one later ends it, and so does :meth:`end_overdue`.
        """
        found, now = list(logins), self._clock.now()
        overdue = [place for place, one in enumerate(found) if _overdue(one, now)]
        for place in overdue:
            one = found[place]
            if len(overdue) > _FEW:
                found[place] = _ended(one)
                continue
            ended = self._end(one.id)
            found[place] = ended.summary() if ended else one
        return found


def _ended(one: Summary) -> Summary:
    """``one`` as it is when its deadline has passed."""
    from ..reasons import Reason  # noqa: PLC0415  few stores have so many

    return one._replace(state=State.IDLE, reason=Reason.DEADLINE_PASSED.value, deadline=None)


def _overdue(one: Summary, now: float) -> bool:
    """Whether the deadline of ``one`` has passed at ``now``; few logins have a deadline at all."""
    return one.deadline is not None and one.deadline <= now and one.pending
