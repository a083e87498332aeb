"""Read the whole log, also around records that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from ...engine.errors import Damaged

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Storage

_BATCH: Final = 1000
_PAST_THE_END: Final = 2**62


def every_event(
    storage: Storage, *, after: int = 0, unreadable: Callable[[int, int], None] | None = None
) -> Iterator[Recorded]:
    """Every event of ``storage`` that can be read, in order.

    Args:
        storage: The storage whose log is read.
        after: Skip the events up to this number.
        unreadable: Called with the first and last number of each series of unreadable records.
            Without it, the first such record ends the reading.

    Raises:
        Damaged: A record cannot be read and ``unreadable`` was not given, or no record can be read.
    """
    # A batch fails as a whole if one of its records is damaged. It is halved until the damaged
    # record stands alone, which costs a few more reads and loses only that record.
    gap: int | None = None
    limit = _BATCH
    while True:
        try:
            batch = storage.events(after=after, limit=limit)
        except Damaged:
            if unreadable is None:
                raise
            if limit == 1:  # the damaged record itself
                gap = gap or after + 1
                after += 1
            else:
                # raises if the log as a whole cannot be read; else we would try record by record
                storage.events(after=_PAST_THE_END, limit=1)
                limit = limit // 2
            continue
        if gap is not None and unreadable is not None:
            last = batch[0].seq - 1 if batch else after
            unreadable(gap, last)
            gap = None
        if not batch:
            return
        yield from batch
        after = batch[-1].seq
        limit = min(_BATCH, limit * 2)
