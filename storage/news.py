"""A question that is asked again only when there is news: waiters of a crowd must not read all day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .host import SystemClock

_ANYWAY: Final = 0.25  # seconds: the answer may hang on something that is not in the vault
_clock: Final = SystemClock()


class News:
    """``question``, asked at first, when ``changes`` gives something else, and four times a second.

    A login that is read has to be opened and taken apart: with a hundred processes waiting for one
    refresh, that would take the processor from the one that they wait for.
    """

    def __init__(self, changes: Callable[[], object], question: Callable[[], bool]) -> None:
        """Ask ``question``.

        Args:
            changes: Gives something equal to what it gave before if nothing has happened.
            question: What is to be known.
        """
        self._changes = changes
        self._question = question
        self._seen: object = None
        self._due = _clock.monotonic()

    def __call__(self) -> bool:
        """The answer; no when nothing has happened since it was no."""
        now, seen = _clock.monotonic(), self._changes()
        if seen == self._seen and now < self._due:
            return False
        self._seen, self._due = seen, now + _ANYWAY
        return self._question()
