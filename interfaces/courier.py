"""Carries the stretch from sending a code or refresh token to saving the answer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeVar

T = TypeVar("T")

DEFERRED: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class InlineCourier:
    """Runs errands in this process; Ctrl-C, SIGTERM and SIGHUP wait until they are done.

    Only the main thread can hold signals back; in another thread none of them interrupts anyway.
    """

    def carry(self, errand: Callable[[], T]) -> T:
        """Run ``errand`` to its end, then let the signals that came meanwhile take effect."""
        if threading.current_thread() is not threading.main_thread():
            return errand()
        with deferred_signals():
            return errand()


@contextmanager
def deferred_signals() -> Generator[None]:
    """Hold back :data:`DEFERRED` inside the block; deliver what came at its end."""
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)

    before = {number: signal.signal(number, remember) for number in DEFERRED}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was installed by something that is not Python, and cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
