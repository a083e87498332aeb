"""Answers that are typed, pasted or piped in.

A terminal in its usual (canonical) mode cuts a line after 4,095 octets on Linux, without a sign,
and hangs after 1,024 on macOS. Callback addresses can be longer. So the line is read here octet by
octet. It is read without echo, because a pasted address holds a code.
"""

from __future__ import annotations

import builtins
import io
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType
from typing import IO, TYPE_CHECKING, Final, cast

from ...engine.errors import TransportUnavailable
from ...engine.hints import Hint
from ...engine.secret import Secret
from .keystrokes import LIMIT, End, Key, Keystrokes, TypedLine
from .quiet import QuietTerminal
from .standard_input import at_terminal

if TYPE_CHECKING:
    from ...engine.ports import Answers

_PIECE: Final = 4096
# Seconds in which the rest of a paste follows its first character. A key is known by arriving
# alone, and an address may begin with the same letter.
_MOMENT: Final = 0.03
_PAUSE: Final = 0.5  # seconds in which an escape sequence is complete, even over a slow connection
_ELSEWHERE: Final = 0.5  # seconds between two checks whether this job is in the foreground again


def _ignore(length: int) -> None:
    """The default of ``on_length``: show no length."""


def _nothing() -> None:
    """The default of ``on_stop`` and ``on_continue``: redraw nothing."""


class TerminalAnswers:
    """Lines typed or pasted at a terminal, never echoed.

    A single key can have a meaning of its own. If it arrives alone on an empty line, its function
    is called, and it does not begin an answer.
    """

    # Kept by the class: freezegun replaces the names of modules, and a wait by a clock that stands
    # still would never end.
    _now = staticmethod(time.monotonic)

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
            keys: The function of each single key. :meth:`read` raises what the function raises.
            on_length: Called with the number of characters in the line, for a display of it.
            mark_pastes: Whether to turn on bracketed paste, by which the terminal marks pastes.
            on_stop: Called before Ctrl-Z stops the process.
            on_continue: Called when the process goes on.

        Raises:
            TransportUnavailable: ``descriptor`` is not a terminal.
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
        """The terminal's descriptor, or ``None`` while another job is in the foreground."""
        return self._fd if self._terminal.ours() else None

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` if no line is complete within ``seconds``.

        Raises:
            TransportUnavailable: The input has ended (Ctrl-D), or the terminal has gone.
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
        """The text of a line. For a key, call its function; for the end, raise."""
        if isinstance(event, TypedLine):
            return event.text
        if isinstance(event, Key):
            self._keys[event.name]()
            return None
        raise TransportUnavailable("the input has ended")

    def _arrived(self, seconds: float) -> bytes:
        """The octets that arrive within ``seconds``."""
        # A background job that reads its terminal is stopped by the kernel (SIGTTIN), and the login
        # with it. So it only looks, from time to time, whether it is in the foreground again.
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
        """Restore the terminal."""
        self._terminal.close()


class StreamAnswers:
    """One answer from a script: the whole stream."""

    _now = staticmethod(time.monotonic)  # kept by the class, as above

    def __init__(self, stream: IO[bytes] | IO[str] | None = None) -> None:
        """Read from ``stream``; ``None`` means that there is no answer."""
        self._stream = stream
        self._octets = b""

    def fileno(self) -> None:
        """``None``: a pipe is read to its end, and nothing else is waited for meanwhile."""
        return

    def read(self, seconds: float) -> Secret | None:
        """The whole stream, at most 64 KiB; ``None`` if a pipe has not ended within ``seconds``.

        After that there is nothing left to read.

        Raises:
            TransportUnavailable: The stream is empty, absent, closed, or was read before.
        """
        stream = self._stream
        try:
            text: bytes | str = ""
            if isinstance(stream, io.BufferedReader) and os.name == "posix":
                if not self._ended(cast("io.BufferedReader", stream), seconds):
                    return None
                text = self._octets
            elif stream is not None:
                text = stream.read(LIMIT)
        # a closed stream raises ValueError; a console of another program, errors of its own
        except (OSError, ValueError, RuntimeError) as error:
            self._stream = None
            raise TransportUnavailable(
                "standard input cannot be read",
                hint=Hint("resume", None, "--callback-url", "-"),
            ) from error
        self._stream = None
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        if not text.strip():
            raise TransportUnavailable(
                "nothing more came on standard input",
                hint=Hint("resume", None, "--callback-url", "-"),
            )
        return Secret(text)

    def _ended(self, stream: io.BufferedReader, seconds: float) -> bool:
        """Whether the stream has ended, or is long enough, within ``seconds``; keep what came."""
        deadline = self._now() + seconds
        while len(self._octets) < LIMIT:
            if not select.select([stream], [], [], max(0.0, deadline - self._now()))[0]:
                return False
            octets = stream.read1(LIMIT - len(self._octets))
            if not octets:
                break
            self._octets += octets
        return True

    def close(self) -> None:
        """Leave the stream open: it belongs to the caller."""


class InputAnswers:
    """Answers to ``input()``, where a notebook has put a box of its own behind it."""

    def fileno(self) -> None:
        """``None``: a notebook has no descriptor that can be waited on."""
        return

    def read(self, seconds: float) -> Secret | None:
        """What the user enters; ``None`` if that is nothing. The box has no deadline.

        Raises:
            TransportUnavailable: The notebook lets nobody enter anything.
        """
        del seconds
        try:
            text = input("The address you land on: ")
        # EOFError without a user; a kernel that runs unattended raises its own NotImplementedError
        except (EOFError, OSError, RuntimeError, ValueError) as error:
            raise TransportUnavailable("this notebook takes no input") from error
        return Secret(text[:LIMIT]) if text.strip() else None

    def close(self) -> None:
        """Do nothing: the box closes itself."""


# Standard input may be absent (``pythonw``, services: ``None``), closed (daemons), or an object of
# another program (notebooks, test runners) that has text and no octets.


def piped_answer() -> StreamAnswers:
    """The answer on standard input, which may be a pipe, a file, text of another program, or absent."""
    stream: IO[str] | None = sys.stdin
    try:
        return StreamAnswers(getattr(stream, "buffer", stream))
    except ValueError:  # it is detached from its octets
        return StreamAnswers(None)


def in_notebook() -> bool:
    """Whether ``input()`` asks in a notebook: its kernel has put a function of its own there."""
    return not at_terminal() and not isinstance(builtins.input, BuiltinFunctionType)


def can_answer() -> bool:
    """Whether somebody can paste an address: at this terminal, or in a notebook."""
    return at_terminal() or in_notebook()


def standard_answers() -> Answers:
    """The place that pasted addresses come from: this terminal, a notebook, or else standard input."""
    if at_terminal():
        return TerminalAnswers()
    return InputAnswers() if in_notebook() else piped_answer()
