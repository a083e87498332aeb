"""The courier that runs jobs in a forked child, which outlives the process that sent it.

``kill -9`` of the sender then loses nothing: the child holds the login's lock, sends the request,
saves the answer, and only then lets go. It is out of reach of the terminal, in a session of its
own. A power cut, or a kill that takes the child as well, still leaves an unknown outcome.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ...engine.errors import StayfastError
from ...engine.record import TokensNotSaved
from ...storage.locks import leave_to_others, name_holder, shared_with_child
from ..process import forbid_core_dumps
from .channel import Channel
from .saving import keep_saving, perform_here
from .signals import DEFERRED, deferred_signals
from .wire import (
    pack_arrived,
    pack_outcome,
    pack_sending,
    tokens_not_saved,
    unpack_arrived,
    unpack_events,
    unpack_outcome,
)

if TYPE_CHECKING:
    from ...engine.flows.job import Job, JobOutcome
    from ...engine.record import Login
    from .channel import EventForwarder

_HARMLESS: Final = frozenset({"stayfast-page", "stayfast-working"})
"""Threads of ours that hold no lock which the child needs."""
_TRIED: Final = 65536  # descriptors that are tried one by one, which takes 20 ms


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
        self._left: list[int] = []

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        with deferred_signals():
            return self._carry(job, perform)

    def _carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        self._left = [child for child in self._left if not reap(child, os.WNOHANG)]
        self._let_go()
        forked = self._forked(job, perform)
        if forked is None:  # no process or descriptor is to be had: the log says so
            return perform_here(replace(job, courier=False), perform)
        child, line, locks = forked
        heard = Heard()
        try:
            heard.listen(line, self._forwarder)
        finally:
            line.close()
            if heard.goes_on:  # it is reaped when it has saved the tokens
                self._left.append(child)
            else:
                reap(child)
        if heard.last is None:
            return perform_here(heard.without_courier(job), perform)
        if heard.holds_on:
            leave_to_others(locks)
        return heard.outcome()

    def _forked(
        self, job: Job, perform: Callable[[Job], JobOutcome]
    ) -> tuple[int, Channel, list[int]] | None:
        """The child, the line to it, and the locks it shares; ``None`` where the system refuses."""
        try:
            ours, theirs = Channel.pair()
        except OSError:  # no more files
            return None
        child = None
        try:
            with shared_with_child() as (locks, copies):
                child = forked_process()
                if child == 0:
                    self._be_courier(theirs, copies, job, perform)
        except OSError:  # no more processes, memory or files
            if child is None:
                ours.close()
                return None
            raise
        finally:
            theirs.close()
        return child, ours, locks

    def _be_courier(
        self,
        home: Channel,
        locks: Collection[int],
        job: Job,
        perform: Callable[[Job], JobOutcome],
    ) -> NoReturn:
        try:
            stand_alone({home.fileno(), *locks})
            for lock in locks:
                name_holder(lock)
            self._forwarder.leave(home)
            run(home, job, perform)
        finally:
            os._exit(0)  # nothing of the parent's may be flushed, closed or cleaned up twice


def run(home: Channel, job: Job, perform: Callable[[Job], JobOutcome]) -> None:
    """Perform ``job`` and send its outcome home; tokens that could not be saved are tried again.

    Whether the sender lives or not, they are: it may have printed the access token and ended.
    """
    outcome: JobOutcome | StayfastError
    try:
        outcome = perform(replace(job, progress=Report(home)))
    except StayfastError as error:
        outcome = error
    alone = False
    try:
        home.send(pack_outcome(outcome))
    except OSError:
        alone = True
    if isinstance(outcome, TokensNotSaved):
        keep_saving(outcome)
    if alone:
        job.lease.release()


class Report:
    """Tells the sender of a job how far it is; a sender that has died needs no report."""

    def __init__(self, home: Channel) -> None:
        """Report through ``home``."""
        self._home = home

    def sending(self) -> None:
        """See :meth:`stayfast.engine.flows.job.Progress.sending`."""
        with suppress(OSError):
            self._home.send(pack_sending())

    def arrived(self, login: Login) -> None:
        """See :meth:`stayfast.engine.flows.job.Progress.arrived`."""
        with suppress(OSError):
            self._home.send(pack_arrived(login))


class Heard:
    """What a courier has sent home so far: it tells what to do if the courier dies.

    Attributes:
        last: The message with the outcome, if it came.
        sent: Whether the request may have left.
    """

    def __init__(self) -> None:
        """Nothing has been heard."""
        self.last: Mapping[str, Any] | None = None
        self.sent = False
        self._arrived: Mapping[str, Any] | None = None
        self._told: tuple[bytes, Login] | None = None

    def listen(self, line: Channel, forwarder: EventForwarder) -> None:
        """Listen until the outcome comes, or the courier is gone; ``forwarder`` gets the rest."""
        while (message := line.receive()) is not None:
            members, _files = message
            if "events" in members:
                recorded, login = unpack_events(members)
                if login is not None:
                    self._told = members["login"], login
                forwarder.observe(recorded, login)
            elif "lines" in members:
                forwarder.show(members["lines"])
            elif "sending" in members:
                self.sent = True
            elif "arrived" in members:
                self._arrived = members
            else:
                self.last = members
                return

    @property
    def goes_on(self) -> bool:
        """Whether the courier still tries to save tokens, and is not to be waited for."""
        return self.last is not None and tokens_not_saved(self.last)

    @property
    def holds_on(self) -> bool:
        """Whether it alone has these tokens: then it keeps the lock of the login as well."""
        return self.last is not None and tokens_not_saved(self.last, kept=False)

    def outcome(self) -> JobOutcome:
        """How the job turned out: mostly the login that the last events told of, which is not read twice.

        Raises:
            StayfastError: The job failed with this error.
        """
        last = self.last or {}
        if self._told is not None and self._told[0] == last.get("done"):
            return self._told[1]
        return unpack_outcome(last)

    def without_courier(self, job: Job) -> Job:
        """``job`` for the sender, whose courier was killed.

        Tokens that had arrived are saved; a request that may have left is sent once more, and
        one that has not is sent.
        """
        if self._arrived is not None:
            return replace(job, again=True, arrived=unpack_arrived(self._arrived))
        return replace(job, again=job.again or self.sent)


def stand_alone(kept: Collection[int]) -> None:
    """In a forked child: let go of all that is the parent's, but the files ``kept``."""
    gc.freeze()  # to search the parent's objects would copy the memory that both share
    forbid_core_dumps()
    for number in DEFERRED:
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # each is a comfort; without it the work is done all the same
        os.setsid()
    with suppress(OSError):
        _keep_only(kept)
    _more_descriptors()


def reap(child: int, how: int = 0) -> bool:
    """Whether ``child`` has ended and is reaped."""
    try:
        return os.waitpid(child, how)[0] == child
    except ChildProcessError:  # a host program that reaps all children did it
        return True


def forked_process() -> int:
    """As :func:`os.fork`."""
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
    for number in _open_files():
        if number not in kept and number != nothing:
            with suppress(OSError):  # the listing's own, which is closed by now
                os.dup2(nothing, number, inheritable=number <= 2)


def _open_files() -> list[int]:
    """The numbers of the open files; where the system does not list them, each is tried."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except (OSError, ValueError):  # no /proc: a chroot, a hardened container
        found: list[int] = []
        for number in range(min(_most_descriptors(), _TRIED)):
            with suppress(OSError):
                os.fstat(number)
                found.append(number)
        return found


def _most_descriptors() -> int:
    most = os.sysconf("SC_OPEN_MAX")
    return most if most > 0 else _TRIED


def _more_descriptors() -> None:
    """A sender that has used up its descriptors must not keep its courier from opening the storage."""
    with suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415  Unix only, as forking is

        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
