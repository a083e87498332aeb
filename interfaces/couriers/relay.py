"""Observers that hear of events wherever they happen: here, or at a courier's."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from .parcel import pack_told

if TYPE_CHECKING:
    from ...engine.events import Recorded
    from ...engine.ports import Observer
    from ...engine.record import Login
    from .channel import Channel


class Relay:
    """Tells observers; in a courier's process, has the process that sent it tell them."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        """Tell ``observers``."""
        self._observers = tuple(observers)
        self._away: Channel | None = None

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """``recorded`` has just been committed; ``login`` is the record it led to."""
        if self._away is None:
            for observer in self._observers:
                observer.observe(recorded, login)
            return
        # if nobody is left to tell: the log has it, and whoever reads on from there tells it
        with suppress(OSError):
            self._away.send(pack_told(recorded, login))

    def leave(self, channel: Channel) -> None:
        """From now on this is a courier's process, and ``channel`` leads home."""
        self._away = channel
