"""What becomes of locks and of a parent's connections when the process forks.

A forked child has the thread that forked, and no other. A lock that another thread held stays held there,
and what another thread was making is half made. So the thread that forks first waits until no other is
inside a guard, and keeps them out while it forks. The wait is bounded, since the thread inside may
itself be waiting for the one that forks. In the child every owner begins anew.
"""

from __future__ import annotations

import _frozen_importlib
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from weakref import WeakSet

from .host import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAIT: Final = 2.0  # seconds
_STEP: Final = 0.001  # seconds between looks whether a module is loaded
_import_locks: Final[dict[str, Any]] = vars(_frozen_importlib).get("_module_locks", {})
_NEEDED: Final = frozenset(
    {__name__.partition(".")[0], "requests", "urllib3", "transitions", "cryptography", "joserfc"}
    | {"keyring", "psycopg", "platformdirs", "structlog", "tomlkit", "httpx"}
)
"""What ours may want in the child, besides the standard library."""


class Shared(Protocol):
    """What a forked child has from its parent, and must not use as it is."""

    def leave_to_parent(self) -> None:
        """In a forked child: make locks anew, and let go of what is the parent's."""
        ...


class Guarded(Shared, Protocol):
    """What no thread may be in the middle of while the process forks.

    Attributes:
        guard: Held by a thread that is in the middle of it.
    """

    guard: threading.RLock


_Owner = TypeVar("_Owner")

_shared: WeakSet[Shared] = WeakSet()
_guarded: WeakSet[Guarded] = WeakSet()
_forking: dict[int, list[threading.RLock]] = {}  # by thread: several may fork at once


def begins_anew(owner: Shared) -> None:
    """Let ``owner`` begin anew in every child that is forked while it lives."""
    _shared.add(owner)


def whole_at_fork(owner: Guarded) -> None:
    """As :func:`begins_anew`; and a fork waits for the thread that holds its guard."""
    _guarded.add(owner)
    _shared.add(owner)


class LockOfProcess:
    """A lock that a forked child finds free, whichever thread of its parent had it.

    Attributes:
        lock: The lock. A thread that forks inside of it leaves the one that it entered.
    """

    def __init__(self) -> None:
        """Make it; it is free."""
        self.lock = threading.Lock()
        begins_anew(self)

    def leave_to_parent(self) -> None:
        """See :class:`Shared`."""
        self.lock = threading.Lock()


def _before() -> None:
    end = CLOCK.monotonic() + _WAIT
    _let_load(end)
    guards = [owner.guard for owner in _all(_guarded)]
    _forking[threading.get_ident()] = _taken(guards, end)
    _let_load(end)


def _let_load(end: float) -> None:
    """Wait until no other thread loads a module that ours may want in the child, or until ``end``.

    Python has a lock for each module that is being loaded, which a child finds held for ever. What the
    program itself loads is not waited for: a server may run inside of an import as long as it lives.
    """
    while CLOCK.monotonic() < end and any(
        getattr(lock(), "owner", None) not in {None, threading.get_ident()}
        for name, lock in list(_import_locks.items())
        if (root := name.partition(".")[0]) in _NEEDED or root in sys.stdlib_module_names
    ):
        CLOCK.sleep(_STEP)


def _taken(guards: list[threading.RLock], end: float) -> list[threading.RLock]:
    """All of ``guards``, held by this thread; by ``end`` those that could be had.

    Only the first is waited for while none is held. Threads take guards one inside another, and two that
    wait for each other's would stand still.
    """
    while True:
        taken: list[threading.RLock] = []
        missed: threading.RLock | None = None
        for guard in guards:
            left = 0.0 if taken else max(0.0, end - CLOCK.monotonic())
            if guard.acquire(timeout=left):
                taken.append(guard)
            else:
                missed = missed or guard
        if missed is None or CLOCK.monotonic() >= end:
            return taken
        _release(taken)
        guards = [missed, *(guard for guard in guards if guard is not missed)]


def _release(guards: Iterable[threading.RLock]) -> None:
    for guard in guards:
        guard.release()


def _after_in_parent() -> None:
    _release(_forking.pop(threading.get_ident(), []))


def _after_in_child() -> None:
    _forking.clear()
    for owner in _all(_shared):
        owner.leave_to_parent()


def _all(owners: WeakSet[_Owner]) -> list[_Owner]:
    for _ in range(100):
        with suppress(RuntimeError):  # another thread made one meanwhile
            return list(owners)
    return []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
