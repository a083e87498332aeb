"""Saving again: tokens that arrived and could not be saved are tried for some minutes.

A courier's process does so after it has sent the outcome home, so its sender has the access token
at once and may end. In a process that carries its jobs itself, a thread does it. Meanwhile the
storage keeps the tokens sealed (:mod:`stayfast.storage.arrivals`), and every process that takes the
lease of the login brings them in; whoever comes first saves them, and the others see that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import StorageConflict, StorageError
from ...engine.record import TokensNotSaved
from ...storage.host import CLOCK
from .signals import deferred_signals

if TYPE_CHECKING:
    from ...engine.flows.job import Job, JobOutcome

_KEEP_TRYING: Final = 300.0  # seconds
_BETWEEN: Final = 1.0  # seconds


def keep_saving(error: TokensNotSaved) -> None:
    """Try to save the tokens of ``error``, once a second for some minutes."""
    end = CLOCK.monotonic() + _KEEP_TRYING
    while CLOCK.monotonic() < end:
        CLOCK.sleep(_BETWEEN)
        try:
            error.save_again()
        except StorageConflict:
            return  # the login has gone on
        except StorageError:
            continue
        return


def perform_here(job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
    """Perform ``job`` in this process; a thread goes on with tokens that could not be saved.

    Raises:
        StayfastError: As the job turns out.
    """
    try:
        return perform(job)
    except TokensNotSaved as error:
        # a daemon: a program that ends is not held up, and the storage may have the tokens sealed
        thread = threading.Thread(
            target=keep_saving, args=(error,), name="stayfast-saving", daemon=True
        )
        with suppress(RuntimeError):  # no thread can be had: the tokens in the error matter more
            thread.start()
        raise


class InlineCourier:
    """Runs jobs in this process; Ctrl-C, SIGTERM and SIGHUP wait until they are done.

    ``kill -9`` cannot wait, and may lose an answer that was on its way.
    """

    def carry(self, job: Job, perform: Callable[[Job], JobOutcome]) -> JobOutcome:
        """See :meth:`stayfast.engine.flows.job.Courier.carry`."""
        with deferred_signals():
            return perform_here(job, perform)
