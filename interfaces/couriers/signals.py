"""Signals that stop a program, held back while they would cost something."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final


def _signals(*names: str) -> tuple[int, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


DEFERRED: Final = _signals("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM")
"""What makes us stop: a user, a service manager, a closing terminal; and our own reminder."""
_AGAIN: Final = 0.25  # seconds


def _heeded() -> list[int]:
    """The signals that are not ignored: what nohup turned off stays off."""
    return [number for number in DEFERRED if signal.getsignal(number) is not signal.SIG_IGN]


def is_interrupt(error: BaseException) -> bool:
    """Whether ``error`` is an interrupt that came while Python 3.11 made a class, as it does when it loads a module.

    It raises a ``RuntimeError`` then, whose cause is the interrupt.
    """
    return isinstance(error, RuntimeError) and isinstance(error.__cause__, KeyboardInterrupt)


@contextmanager
def deferred_signals() -> Generator[None]:
    """Hold back :data:`DEFERRED` inside the block; deliver what came at its end.

    Only the main thread can hold signals back; in another thread none of them interrupts anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        came.append(number)
        for said in _acknowledged:
            said()

    before = {number: signal.signal(number, remember) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was installed by something that is not Python, and cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


_acknowledged: Final[list[Callable[[], None]]] = []


@contextmanager
def acknowledging(said: Callable[[], None]) -> Generator[None]:
    """Call ``said`` when a signal is held back, so that its sender sees that it came.

    It is called inside the handler of the signal, so it must not wait for any lock.
    """
    _acknowledged.append(said)
    try:
        yield
    finally:
        _acknowledged.remove(said)


@contextmanager
def signals_as_interrupts() -> Generator[None]:
    """Let a lost terminal and a polite kill interrupt the block just as Ctrl-C does.

    A Python exception raised by a signal is lost when it happens to come out of a finaliser, or
    of a callback from C. So it is raised again, until the block has been left. It may also come out as
    another (:func:`is_interrupt`).
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _heeded()}
    try:
        yield
    except RuntimeError as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
