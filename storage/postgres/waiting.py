"""A question asked sparingly: each answer costs a look at the database, and a crowd may be asking."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from ..host import SystemClock

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5
_clock: Final = SystemClock()


class Sparing:
    """``until`` of a lease, asked less often the longer it is waited for.

    Attributes:
        has_waited: Whether anybody has asked yet, and so had to wait.
    """

    def __init__(self, until: Callable[[], bool]) -> None:
        """Ask ``until``."""
        self.has_waited = False
        self._until = until
        self._pause = _FIRST_PAUSE
        self._next = float("-inf")

    def __call__(self) -> bool:
        """The answer, or no while it is too early to ask again."""
        self.has_waited = True
        now = _clock.monotonic()
        if now < self._next:
            return False
        # jittered: a crowd that began to wait together would also ask together
        self._next = now + self._pause * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return self._until()

    def now(self) -> bool:
        """The answer, whenever it was last asked for."""
        return self._until()
