"""The standard streams of the command, as their caller left them: closed, full, or non-blocking.

Python gives ``None`` for a stream that was closed, raises at every write to one that is full, also
when the process ends (exit status 120), and breaks off where another program has made a shared
pipe non-blocking. Here that becomes one rule: text that standard error does not take is dropped and
changes no exit status; an answer that standard output does not take is an error of its own.
"""

from __future__ import annotations

import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_PATIENCE: Final = 5.0  # seconds for a slow reader of standard error; then the text is dropped


class AnswerNotWritten(OSError):
    """Standard output did not take the answer."""


class _Answers(io.FileIO):
    """Standard output: waits for a reader, and names its own failures."""

    def write(self, octets: object, /) -> int:
        while True:
            try:
                written = super().write(octets)  # type: ignore[arg-type]  # as it is called
            except OSError as error:
                raise AnswerNotWritten(error.errno, error.strerror) from error
            if written is not None:
                return written
            select.select([], [self], [])  # non-blocking, and the reader is slower than we are


class _Remarks(io.FileIO):
    """Standard error: drops what cannot be written."""

    def write(self, octets: object, /) -> int:
        with suppress(OSError):
            for _ in range(2):
                written = super().write(octets)  # type: ignore[arg-type]  # as it is called
                if written is not None:
                    return written
                select.select([], [self], [], _PATIENCE)
        return len(memoryview(octets))  # type: ignore[arg-type]  # as it is called


def prepare_streams() -> bool:
    """Give every command streams that it can use; whether standard output was open."""
    _occupy_standard_numbers()
    was_open = sys.stdout is not None
    sys.stdout = _prepared(sys.stdout, 1, _Answers)
    sys.stderr = _prepared(sys.stderr, 2, _Remarks)
    return was_open


def drop_answers() -> None:
    """Point standard output at nothing, so that what it still holds fails no more."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _occupy_standard_numbers() -> None:
    """Open nothing under the numbers that were closed, before a file of ours gets one of them.

    A child would take that file for its standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:
                return


def _prepared(stream: TextIO | None, number: int, kind: Callable[..., io.FileIO]) -> TextIO:
    """``stream``, written to by ``kind`` where it is this process's own."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # as long as the process lives
    given: TextIO = stream
    if not isinstance(stream, io.TextIOWrapper):  # of a program that calls us
        return stream
    stream.reconfigure(errors="replace")  # a name in Cyrillic must not end a command
    try:
        own = stream.fileno() == number and sys.platform != "win32"  # whose console is no file
    except (OSError, ValueError):
        return given
    if not own:
        return given
    return io.TextIOWrapper(
        io.BufferedWriter(kind(number, "w", closefd=False)),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
    )
