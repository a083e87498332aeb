"""Where lines go besides the file: standard error, syslog, the journal, a program's own logging.

None of them waits: what cannot be taken at once raises, and is offered again later.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from .lines import render

if TYPE_CHECKING:
    from ...engine.audit.events import Scalar

SYSLOG_SOCKET: Final = "/dev/log"
JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
_AUTHPRIV: Final = 10  # RFC 5424 §6.2.1: security and authorization messages
_NOTICE: Final = 5
_INFO: Final = 6
_ATOMIC: Final = getattr(
    select, "PIPE_BUF", 512
)  # 512: what POSIX promises; what a pipe that is ready takes as one write, at once


class Sink(Protocol):
    """Takes one line at a time."""

    @property
    def name(self) -> str:
        """Its name in messages about its problems."""
        ...

    def take(self, line: Mapping[str, Scalar]) -> None:
        """Deliver ``line``, without waiting.

        Raises:
            OSError: It was not delivered.
        """
        ...


class StandardError:
    """One JSON object a line on standard error, or on another descriptor."""

    name = "stderr"

    def __init__(self, descriptor: int = 2) -> None:
        """Write to ``descriptor``."""
        self._descriptor = descriptor

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`; a full pipe is not waited for."""
        octets = render(None, "", line) + b"\n"
        _, ready, _ = select.select([], [self._descriptor], [], 0)
        if not ready:
            raise BlockingIOError("nobody reads it")
        blocking = os.get_blocking(self._descriptor)
        if len(octets) > _ATOMIC and blocking:
            self._in_parts(octets)
        else:
            os.write(self._descriptor, octets)

    def _in_parts(self, octets: bytes) -> None:
        """Write what is longer than a pipe surely takes, and wait for its reader 50 ms at most."""
        os.set_blocking(self._descriptor, False)
        try:
            written = os.write(self._descriptor, octets)
            while written < len(octets):  # begun: its reader is given a moment to make room
                _, ready, _ = select.select([], [self._descriptor], [], 0.05)
                if not ready:
                    raise BlockingIOError("a line was cut: its reader is too slow")
                written += os.write(self._descriptor, octets[written:])
        finally:
            os.set_blocking(self._descriptor, True)


class _Datagrams:
    """Sends datagrams to a socket of this machine."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def send(self, octets: bytes) -> None:
        """Send ``octets`` now, connecting again if the receiver was started anew."""
        for attempt in (1, 2):
            if self._socket is None:
                self._socket = self._connected()
            try:
                self._socket.send(octets)
            except (ConnectionError, BrokenPipeError):
                self.close()
                if attempt == 2:
                    raise
            else:
                return

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


class Syslog:
    """Messages to the system's log: facility ``authpriv``, JSON after the program's name."""

    name = "syslog"

    def __init__(self, path: str = SYSLOG_SOCKET) -> None:
        """Send to the socket ``path``."""
        self._socket = _Datagrams(path)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`."""
        priority = _AUTHPRIV * 8 + _severity(line)
        head = f"<{priority}>stayfast[{os.getpid()}]: ".encode()
        self._socket.send(head + render(None, "", line))


class Journal:
    """Entries of the systemd journal, every field one of theirs (``STAYFAST_SEQ=…``)."""

    name = "journald"

    def __init__(self, path: str = JOURNAL_SOCKET) -> None:
        """Send to the socket ``path``."""
        self._socket = _Datagrams(path)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`."""
        fields: dict[str, object] = {
            "MESSAGE": render(None, "", line).decode(),
            "PRIORITY": _severity(line),
            "SYSLOG_FACILITY": _AUTHPRIV,
            "SYSLOG_IDENTIFIER": "stayfast",
        }
        for name, value in line.items():
            said = " ".join(value) if isinstance(value, tuple) else value
            fields[f"STAYFAST_{name.upper()}"] = said
        self._socket.send(b"".join(_journal_field(name, one) for name, one in fields.items()))


class HostLogging:
    """The logging of the program we are part of, as :mod:`logging` knows it.

    A record's message is the JSON line; its fields stand in ``record.stayfast``, for handlers and
    structlog's ``ProcessorFormatter``.
    """

    name = "logging"

    def __init__(self, logger: str = "stayfast.audit") -> None:
        """Log to the logger of that name."""
        self._logger = logging.getLogger(logger)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`; how long a handler takes is the program's own choice."""
        level = logging.WARNING if line.get("outcome") == "failure" else logging.INFO
        told: dict[str, Any] = {"stayfast": dict(line)}
        self._logger.log(level, "%s", render(None, "", line).decode(), extra=told)


def _severity(line: Mapping[str, Scalar]) -> int:
    return _NOTICE if line.get("outcome") == "failure" else _INFO


def _journal_field(name: str, value: object) -> bytes:
    """A field as the journal's native protocol has it; what holds a line end, with its length."""
    octets = str(value).encode("utf-8", "backslashreplace")
    if b"\n" not in octets:
        return name.encode() + b"=" + octets + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(octets)) + octets + b"\n"
