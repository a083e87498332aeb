"""The courier that runs jobs in a forked child, which outlives the process that sent it.

``kill -9`` of the sender then loses nothing: the child holds the login's lock, sends the request,
saves the answer, and only then lets go. It is out of reach of the terminal, in a session of its
own. A power cut, or a kill that takes the child as well, still leaves an unknown outcome.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ...engine.errors import StayfastError, StorageError
from ...engine.record import TokensNotSaved
from ...storage.host import CLOCK
from ...storage.locks import name_holder, shared_with_child
from ..process import forbid_core_dumps
from .channel import Channel
from .signals import DEFERRED, deferred_signals
from .wire import pack_outcome, unpack_events, unpack_outcome

if TYPE_CHECKING:
    from ...engine.flows.job import Job, JobOutcome
    from .channel import EventForwarder

_HARMLESS: Final = frozenset({"stayfast-page"})
"""Threads of ours that hold no lock which the child needs."""
_KEEP_TRYING: Final = 300.0  # seconds a child without a parent tries to save tokens
_BETWEEN: Final = 1.0  # seconds


def can_fork() -> bool:
    """Whether a child forked here and now would find everything in order.

    It would not where another thread may hold a lock, which nobody would ever release in the
    child; nor on macOS, whose frameworks do not survive a fork.
    """
    if not hasattr(os, "fork") or os.uname().sysname == "Darwin":
        return False
    return all(
        thread is threading.current_thread() or thread.name in _HARMLESS
        for thread in threading.enumerate()
    )


class ForkCourier:
    """Forks a child for every job: about 5 ms."""

    def __init__(self, forwarder: EventForwarder, let_go: Callable[[], None]) -> None:
        """Fork nothing yet.

        Args:
            forwarder: Passes events of the child to the observers here.
            let_go: Closes what parent and child must not both have open, such as a database; it is
                opened again when it is needed.
        """
        self._forwarder = forwarder
        self._let_go = let_go

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        with deferred_signals():
            return self._carry(job, perform)

    def _carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        self._let_go()
        try:
            ours, theirs = Channel.pair()
        except OSError:  # no more files: the job is done without a child
            return perform(job)
        child = None
        try:
            with shared_with_child() as locks:
                child = _fork()
                if child == 0:
                    self._be_courier(theirs, locks, job, perform)
        except OSError:
            ours.close()
            if child is None:  # no more processes, memory or files: likewise
                return perform(job)
            raise
        finally:
            theirs.close()
        try:
            outcome = hear(ours, self._forwarder)
        finally:
            ours.close()
            with suppress(ChildProcessError):  # a host program that reaps all children did it
                os.waitpid(child, 0)
        if outcome is None:  # the child was killed: what it may have sent is sent once more
            return perform(replace(job, again=True))
        return outcome

    def _be_courier(
        self,
        home: Channel,
        locks: Collection[int],
        job: Job,
        perform: Callable[[Job], JobOutcome],
    ) -> NoReturn:
        try:
            os.setsid()
            forbid_core_dumps()
            for number in DEFERRED:
                signal.signal(number, signal.SIG_IGN)
            _keep_only({home.fileno(), *locks})
            for lock in locks:
                name_holder(lock)
            self._forwarder.leave(home)
            run(home, job, perform)
        finally:
            os._exit(0)  # nothing of the parent's may be flushed, closed or cleaned up twice


def run(home: Channel, job: Job, perform: Callable[[Job], JobOutcome]) -> None:
    """Perform ``job`` and send its outcome home; if nobody is there, try again to save the tokens."""
    outcome: JobOutcome | StayfastError
    try:
        outcome = perform(job)
    except StayfastError as error:
        outcome = error
    try:
        home.send(pack_outcome(outcome))
    except OSError:
        if isinstance(outcome, TokensNotSaved):
            _keep_trying(outcome)
        job.lease.release()


def hear(line: Channel, forwarder: EventForwarder) -> JobOutcome | None:
    """The outcome that a courier sends through ``line``; ``None`` if the courier is gone.

    Raises:
        StayfastError: The job failed with this error.
    """
    last = hear_last(line, forwarder)
    return None if last is None else unpack_outcome(last)


def hear_last(line: Channel, forwarder: EventForwarder) -> Mapping[str, Any] | None:
    """The message with the outcome; the observers get the events that come before it.

    ``None`` if the courier at the other end of ``line`` is gone.
    """
    while (arrived := line.receive()) is not None:
        message, _files = arrived
        if "events" not in message:
            return message
        forwarder.observe(*unpack_events(message))
    return None


def _keep_trying(error: TokensNotSaved) -> None:
    """Save tokens that found no room, again and again: the caller, who could keep them, is gone."""
    clock = CLOCK
    end = clock.monotonic() + _KEEP_TRYING
    while clock.monotonic() < end:
        clock.sleep(_BETWEEN)
        with suppress(StorageError):
            error.save_again()
            return


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of any second thread; can_fork has looked at what they are
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _keep_only(kept: Collection[int]) -> None:
    """Let go of every file the child was born with, but those ``kept``.

    Pipes of the parent would otherwise stay open, and its port in use, for as long as we live.
    They are replaced and not closed: an object that still owns such a number may close it later,
    and must not close a new file of ours.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir("/dev/fd"):
        number = int(name)
        if number not in kept and number != nothing:
            with suppress(OSError):  # the listing's own, which is closed by now
                os.dup2(nothing, number, inheritable=number <= 2)
