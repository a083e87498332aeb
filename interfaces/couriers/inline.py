"""The courier that runs errands where they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .signals import deferred_signals

if TYPE_CHECKING:
    from ...engine.errand import Errand, ErrandOutcome


class InlineCourier:
    """Runs errands in this process; Ctrl-C, SIGTERM and SIGHUP wait until they are done.

    What cannot wait (``kill -9``) may cost an answer that was on its way.
    """

    def carry(self, errand: Errand, perform: Callable[[Errand], ErrandOutcome]) -> ErrandOutcome:
        """See :meth:`stayfast.engine.ports.Courier.carry`."""
        with deferred_signals():
            return perform(errand)
