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
from collections import deque
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Final

from ...engine.errors import TransportUnavailable
from ...engine.secret import Secret
from .keystrokes import LIMIT, End, Key, Keystrokes, TypedLine
from .quiet import QuietTerminal

if TYPE_CHECKING:
    from ...engine.ports import Answers

_PIECE: Final = 4096
_MOMENT: Final = 0.03  # seconds in which the rest of a paste follows its first character
_PAUSE: Final = 0.5  # seconds within which an escape sequence is complete, over any line
_ELSEWHERE: Final = 0.5  # seconds between looks whether we are in the foreground again


def _ignore(length: int) -> None:
    """Nobody wants to know how many characters have been taken."""


def _nothing() -> None:
    """Nothing has to be put down or taken up."""


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
        on_length: Callable[[int], None] = _ignore,
        mark_pastes: bool = False,
        on_stop: Callable[[], None] = _nothing,
        on_continue: Callable[[], None] = _nothing,
    ) -> None:
        """Read from ``descriptor``, or from standard input.

        Args:
            descriptor: A terminal.
            keys: What single keys do; what they raise comes out of :meth:`read`.
            on_length: Told how many characters have been taken, so that something can be shown.
            mark_pastes: Whether the terminal is asked to mark pastes (bracketed paste).
            on_stop: Called before Ctrl-Z stops the process.
            on_continue: Called when it goes on.

        Raises:
            TransportUnavailable: It is no terminal.
        """
        self._fd = sys.stdin.fileno() if descriptor is None else descriptor
        self._keys = dict(keys or {})
        self._on_length = on_length
        self._strokes = Keystrokes(self._keys)
        self._unread: deque[TypedLine | Key | End] = deque()
        self._length = 0
        self._heard = self._now()
        self._terminal = QuietTerminal(
            self._fd, mark_pastes=mark_pastes, on_stop=on_stop, on_continue=on_continue
        )

    def fileno(self) -> int | None:
        """The terminal, unless another job has it now."""
        return self._fd if self._terminal.ours() else None

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` when there is none after ``seconds``.

        Raises:
            TransportUnavailable: Ctrl-D, or the terminal has gone.
        """
        deadline = self._now() + seconds
        while True:
            while self._unread:
                line = self._heed(self._unread.popleft())
                if line is not None:
                    return line
            octets = self._arrived(max(0.0, deadline - self._now()))
            if octets:
                self._unread.extend(self._strokes.feed(octets))
                self._show_length()
            elif self._now() >= deadline:
                return None

    def _heed(self, event: TypedLine | Key | End) -> Secret | None:
        """The line, if ``event`` is one; a key is done, the end raised."""
        if isinstance(event, TypedLine):
            return event.text
        if isinstance(event, Key):
            self._keys[event.name]()
            return None
        raise TransportUnavailable("the input has ended")

    def _arrived(self, seconds: float) -> bytes:
        """What has come, after at most ``seconds``."""
        if self.fileno() is None:
            time.sleep(min(seconds, _ELSEWHERE))
            return b""
        if not self._readable(seconds):
            return b""
        if self._now() - self._heard > _PAUSE:
            self._strokes.pause()
        octets = self._piece()
        self._heard = self._now()
        if self._strokes.may_be_key(octets) and self._readable(_MOMENT):
            octets += self._piece()
        return octets

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self._fd], [], [], seconds)[0])

    def _piece(self) -> bytes:
        try:
            octets = os.read(self._fd, _PIECE)
        except OSError as error:
            raise TransportUnavailable("the terminal has gone") from error
        if not octets:
            raise TransportUnavailable("the input has ended")
        return octets

    def _show_length(self) -> None:
        if self._strokes.length != self._length:
            self._length = self._strokes.length
            self._on_length(self._length)

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._terminal.close()


class StreamAnswers:
    """One answer piped in by a script: all of the stream."""

    def __init__(self, stream: IO[bytes] | IO[str] | None = None) -> None:
        """Read from ``stream``; ``None`` is a stream without an answer."""
        self._stream = stream

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
        try:
            text = stream.read(LIMIT) if stream is not None else ""
        # a closed stream raises ValueError; a console of another program, errors of its own
        except (OSError, ValueError, RuntimeError) as error:
            raise TransportUnavailable(
                "standard input cannot be read", hint="stayfast resume LOGIN --callback-url -"
            ) from error
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        if not text.strip():
            raise TransportUnavailable(
                "nothing more came on standard input",
                hint="stayfast resume LOGIN --callback-url -",
            )
        return Secret(text)

    def close(self) -> None:
        """The stream is its owner's."""


# Standard input may be absent (``pythonw``, services: ``None``), closed (daemons), or an object of
# another program (notebooks, test runners) that has text and no octets.


def at_terminal() -> bool:
    """Whether standard input is a terminal; one that is closed or absent is none."""
    stream: IO[str] | None = sys.stdin
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):  # it is closed
        return False


def piped_answer() -> StreamAnswers:
    """The answer on standard input, whatever that is."""
    stream: IO[str] | None = sys.stdin
    try:
        return StreamAnswers(getattr(stream, "buffer", stream))
    except ValueError:  # it is detached from its octets
        return StreamAnswers(None)


def standard_answers() -> Answers:
    """The place pasted addresses come from: this terminal, or what is piped in."""
    return TerminalAnswers() if at_terminal() else piped_answer()
