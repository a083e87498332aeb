"""Where typed and piped answers come from.

A terminal in its usual, canonical mode cuts a line after 4,095 octets on Linux, silently, and
hangs after 1,024 on macOS; callback addresses are longer than that. So the line is read here,
octet by octet, without echo: what is pasted holds a code.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Final

from ..engine.errors import TransportUnavailable
from ..engine.secret import Secret

_LIMIT: Final = 64 * 1024
_PIECE: Final = 4096
_END_OF_FILE: Final = 0x04
_ERASE: Final = frozenset({0x08, 0x7F})
_ERASE_LINE: Final = 0x15


class TerminalAnswers:
    """Lines typed or pasted at a terminal, never echoed.

    Single keys can be given a meaning of their own: one that arrives alone on an empty line is
    handed to its function instead of beginning an answer.
    """

    _now = staticmethod(time.monotonic)  # of the class: freezegun stops the module's

    def __init__(
        self,
        descriptor: int | None = None,
        *,
        keys: Mapping[str, Callable[[], None]] | None = None,
        on_length: Callable[[int], None] | None = None,
    ) -> None:
        """Read from ``descriptor``, or from standard input.

        Args:
            descriptor: A terminal.
            keys: What single keys do.
            on_length: Told how many characters have been taken, so that something can be shown.

        Raises:
            TransportUnavailable: It is no terminal.
        """
        self._fd = sys.stdin.fileno() if descriptor is None else descriptor
        self._keys = dict(keys or {})
        self._on_length = on_length
        self._line = bytearray()
        self._unread = b""  # what came after a line, in the same read
        self._restore = _quiet(self._fd)

    def fileno(self) -> int:
        """The terminal."""
        return self._fd

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` when there is none after ``seconds``.

        Raises:
            TransportUnavailable: Ctrl-D, or the terminal has gone.
        """
        deadline = self._now() + seconds
        while True:
            octets, self._unread = self._unread, b""
            if not octets:
                ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - self._now()))
                if not ready:
                    return None
                octets = self._arrived()
                if not self._line and self._pressed(octets):
                    continue
            line = self._take(octets)
            if line is not None:
                return line

    def _arrived(self) -> bytes:
        try:
            octets = os.read(self._fd, _PIECE)
        except OSError as error:
            raise TransportUnavailable("the terminal has gone") from error
        if not octets:
            raise TransportUnavailable("the input has ended")
        return octets

    def _pressed(self, octets: bytes) -> bool:
        """Whether ``octets`` are a key with a meaning of its own, which then is done."""
        key = self._keys.get(octets.decode("utf-8", "replace"))
        if key is not None:
            key()
        return key is not None

    def _take(self, octets: bytes) -> Secret | None:
        for place, octet in enumerate(octets):
            if octet in b"\r\n":
                line, self._line = bytes(self._line), bytearray()
                if line.strip():
                    self._unread = octets[place + 1 :]
                    return Secret(line.decode("utf-8", "replace"))
            elif octet == _END_OF_FILE and not self._line:
                raise TransportUnavailable("the input has ended")
            elif octet in _ERASE:
                del self._line[-1:]
            elif octet == _ERASE_LINE:
                self._line.clear()
            elif len(self._line) < _LIMIT:
                self._line.append(octet)
        if self._on_length is not None:
            self._on_length(len(self._line))
        return None

    def close(self) -> None:
        """Give the terminal back as it was."""
        restore, self._restore = self._restore, None
        if restore is not None:
            restore()


if sys.platform == "win32":

    def _quiet(descriptor: int) -> Callable[[], None] | None:
        del descriptor
        raise TransportUnavailable(
            "pasting at this terminal is not supported yet",
            hint="holdfast resume LOGIN --callback-url -",
        )

else:
    import termios

    def _quiet(descriptor: int) -> Callable[[], None] | None:
        """Turn off the echo and the line editing; gives what turns them on again."""
        try:
            before = termios.tcgetattr(descriptor)
        except termios.error as error:
            raise TransportUnavailable("standard input is not a terminal") from error
        now = termios.tcgetattr(descriptor)
        now[3] &= ~(termios.ICANON | termios.ECHO)  # ISIG stays: Ctrl-C must always work
        now[6][termios.VMIN], now[6][termios.VTIME] = 1, 0
        termios.tcsetattr(descriptor, termios.TCSADRAIN, now)

        def restore() -> None:
            try:
                # what was typed and not read holds half a code: it must not reach the shell
                termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
            except termios.error:  # the terminal has gone
                return

        return restore


class StreamAnswers:
    """One answer piped in by a script: all of the stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Read from ``stream``."""
        self._stream: IO[bytes] | None = stream

    def fileno(self) -> None:
        """A pipe is read to its end, not waited on."""
        return

    def read(self, seconds: float) -> Secret | None:
        """The whole stream, at most 64 KiB of it, once.

        Raises:
            TransportUnavailable: There is nothing, or it has been read.
        """
        del seconds
        stream, self._stream = self._stream, None
        text = stream.read(_LIMIT) if stream is not None else b""
        if not text.strip():
            raise TransportUnavailable(
                "nothing more came on standard input", hint="holdfast resume"
            )
        return Secret(text.decode("utf-8", "replace"))

    def close(self) -> None:
        """The stream is its owner's."""
