"""Sinks for lines besides the file: standard error, syslog, the journal, a program's own logging.

No sink waits. If it cannot take a line at once it raises, and the line is offered again later. A log
server that is down, or a terminal that is paused with Ctrl-S, must not stop a sign-in.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
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
# A pipe that is ready takes this many octets in one write, without blocking and without mixing them
# with another process's lines. POSIX promises 512; Linux has 4,096.
_ATOMIC: Final = getattr(select, "PIPE_BUF", 512)


class Sink(Protocol):
    """Takes one line at a time."""

    @property
    def name(self) -> str:
        """The sink's name in messages about its problems."""
        ...

    def take(self, line: Mapping[str, Scalar]) -> None:
        """Deliver ``line`` without waiting.

        Raises:
            OSError: The line was not delivered.
        """
        ...


class StandardError:
    """One JSON object a line on standard error, or on another descriptor."""

    name = "stderr"

    def __init__(self, descriptor: int = 2) -> None:
        """Write to ``descriptor``."""
        self._descriptor = descriptor

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`. A full pipe raises ``BlockingIOError``."""
        octets = render(None, "", line) + b"\n"
        _, ready, _ = select.select([], [self._descriptor], [], 0)
        if not ready:
            raise BlockingIOError("its reader does not read")
        blocking = os.get_blocking(self._descriptor)
        if len(octets) > _ATOMIC and blocking:
            self._in_parts(octets)
        else:
            os.write(self._descriptor, octets)

    def _in_parts(self, octets: bytes) -> None:
        """Write a line that may be longer than the pipe's free space, in parts.

        The descriptor is shared with the shell and other processes, so it is made blocking again.
        A reader that makes no room for 50 ms is given up: its line is cut, and offered again.
        """
        os.set_blocking(self._descriptor, False)
        try:
            written = os.write(self._descriptor, octets)
            while written < len(octets):
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
        """Send ``octets`` now.

        A log daemon that was restarted has a new socket at the same path. The first send then
        fails, and one new connection is tried.
        """
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
            made.setblocking(False)  # a full queue raises; it is not waited for
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


class Syslog:
    """The system's log: facility ``authpriv``, with JSON after the program's name (RFC 3164)."""

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
    """The systemd journal; each field of a line becomes a journal field (``STAYFAST_SEQ=…``)."""

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
            fields[f"STAYFAST_{name.upper()}"] = (
                " ".join(value) if isinstance(value, tuple) else value
            )
        self._socket.send(b"".join(_journal_field(name, one) for name, one in fields.items()))


class HostLogging:
    """The embedding program's own logging (:mod:`logging`).

    The message of a record is the JSON line. ``record.stayfast`` has its fields, for handlers and for
    structlog's ``ProcessorFormatter``.
    """

    name = "logging"

    def __init__(self, logger: str = "stayfast.audit") -> None:
        """Log to the logger of that name."""
        import logging  # noqa: PLC0415  for programs that have one

        self._logger = logging.getLogger(logger)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`. Handlers belong to the program, and may take their time."""
        # the numbers of logging.WARNING and logging.INFO
        level = 30 if line.get("outcome") == "failure" else 20
        extra: dict[str, Any] = {"stayfast": dict(line)}
        self._logger.log(level, "%s", render(None, "", line).decode(), extra=extra)


class HostStructlog:
    """The embedding program's own structlog chain.

    The event is the name of the audit event, its fields are those of the line. What the program has configured
    renders them: processors, context and destination. Where it has configured nothing, as in the command,
    they go to standard error: structlog itself would print them among the answers.
    """

    name = "structlog"

    def __init__(self, logger: str = "stayfast.audit") -> None:
        """Log to the logger of that name; the program's logger factory gets it."""
        import structlog  # noqa: PLC0415  a third of a whole command; for programs that have it anyway

        self._structlog = structlog
        self._logger = structlog.get_logger(logger)

    def take(self, line: Mapping[str, Scalar]) -> None:
        """See :meth:`Sink.take`. Processors belong to the program, and may take their time."""
        logger = self._logger
        if not self._structlog.is_configured():
            if sys.stderr is None:  # it is closed
                return
            logger = self._structlog.wrap_logger(self._structlog.PrintLogger(sys.stderr))
        fields = {name: value for name, value in line.items() if name != "event"}
        failed = line.get("outcome") == "failure"
        say = logger.warning if failed else logger.info
        say(line.get("event"), **fields)


def _severity(line: Mapping[str, Scalar]) -> int:
    return _NOTICE if line.get("outcome") == "failure" else _INFO


def _journal_field(name: str, value: object) -> bytes:
    """A field in the journal's native protocol.

    A value with a line end is sent with its length. In the short form it would end there, and its
    rest would be read as a field of its own: anybody who can put a line end into a value could
    forge fields.
    """
    octets = str(value).encode("utf-8", "backslashreplace")
    if b"\n" not in octets:
        return name.encode() + b"=" + octets + b"\n"
    return name.encode() + b"\n" + struct.pack("<Q", len(octets)) + octets + b"\n"
