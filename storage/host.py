"""This machine: its clock, its randomness, and the name of this process in the audit log."""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Final

from .version import app_version

if TYPE_CHECKING:
    from ..engine.audit.events import Origin


class SystemClock:
    """The clock of the operating system."""

    # freezegun replaces time.monotonic, even for a module that is loaded while it is at work, and
    # a frozen deadline would never pass; it leaves clock_gettime alone
    if sys.platform == "win32":
        _monotonic = staticmethod(time.monotonic)
    else:

        @staticmethod
        def _monotonic() -> float:
            return time.clock_gettime(time.CLOCK_MONOTONIC)

    _sleep = staticmethod(time.sleep)

    def now(self) -> float:
        """POSIX seconds; under freezegun, the time that it sets."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self._monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        self._sleep(seconds)


CLOCK: Final = SystemClock()
"""The clock of what the storages and sinks do for themselves: waiting for locks, dating their records.

freezegun changes what it calls now. It does not stop the waiting: other processes go on meanwhile.
"""


class SystemRandomness:
    """The operating system's generator."""

    def octets(self, count: int) -> bytes:
        """``count`` unpredictable octets."""
        return os.urandom(count)


def node_name() -> str:
    """The name of this machine. On Unix it takes no module and no open file, of which a process may have none left."""
    if sys.platform == "win32":
        import socket  # noqa: PLC0415  only here

        return socket.gethostname()
    return os.uname().nodename


@cache
def _host_and_user() -> tuple[str, str]:
    # not getpass.getuser(): it raises where the user has no name, as in many containers
    user = os.environ.get("USER") or os.environ.get("USERNAME")
    return node_name(), user or str(os.getuid() if hasattr(os, "getuid") else "unknown")


def origin() -> Origin:
    """This process, as the audit log names it."""
    from ..engine.audit.events import Origin  # noqa: PLC0415  for those who write to the log

    host, user = _host_and_user()
    return Origin(pid=os.getpid(), host=host, user=user, app_version=app_version())
