"""A terminal whose echo and line editing are off, for as long as something is read from it.

Whatever ends the reading gives it back as it was: the end of the wait, an exception, Ctrl-C, and
also Ctrl-Z, with which the process stops and the shell takes over. When it goes on, in the
foreground, the terminal is made quiet again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

from ...engine.errors import TransportUnavailable

_MARK_PASTES: Final = b"\x1b[?2004h"
_DO_NOT_MARK: Final = b"\x1b[?2004l"


def _nothing() -> None:
    """What is done where nobody asked for anything."""


if sys.platform == "win32":

    class QuietTerminal:
        """No terminal can be read in this way here."""

        def __init__(self, descriptor: int, **options: object) -> None:
            """Refuse.

            Raises:
                TransportUnavailable: Always.
            """
            del descriptor, options
            raise TransportUnavailable(
                "pasting at this terminal is not supported yet",
                hint="stayfast resume LOGIN --callback-url -",
            )

        def ours(self) -> bool:
            """Never."""
            return False

        def close(self) -> None:
            """Nothing is held."""

else:
    import fcntl
    import termios

    class QuietTerminal:
        """One terminal, made quiet."""

        def __init__(
            self,
            descriptor: int,
            *,
            mark_pastes: bool = False,
            on_stop: Callable[[], None] = _nothing,
            on_continue: Callable[[], None] = _nothing,
        ) -> None:
            """Turn off the echo and the line editing of ``descriptor``.

            Args:
                descriptor: A terminal.
                mark_pastes: Whether it is asked to say where a paste begins and ends.
                on_stop: Called before the process is stopped by Ctrl-Z.
                on_continue: Called when it goes on.

            Raises:
                TransportUnavailable: It is no terminal.
            """
            self._fd = descriptor
            try:
                self._before = termios.tcgetattr(descriptor)
            except termios.error as error:
                raise TransportUnavailable("standard input is not a terminal") from error
            self._quiet = termios.tcgetattr(descriptor)
            self._quiet[3] &= ~(termios.ICANON | termios.ECHO)  # ISIG stays: Ctrl-C must work
            self._quiet[6][termios.VMIN], self._quiet[6][termios.VTIME] = 1, 0
            self._marks = mark_pastes and _writable(descriptor)
            self._on_stop = on_stop
            self._on_continue = on_continue
            self._open = True
            self._stopping = False
            self._handled: dict[int, signal.Handlers] = {}
            self._take()
            self._handle_stops()

        def ours(self) -> bool:
            """Whether it can be read now; made quiet again if somebody changed it meanwhile.

            A job in the background that reads would be stopped, and would take the characters
            of whoever has the foreground.
            """
            if not self._open or not self._foreground():
                return False
            with suppress(termios.error):
                if termios.tcgetattr(self._fd)[3] & (termios.ICANON | termios.ECHO):
                    self._take()
            return True

        def close(self) -> None:
            """Give the terminal back as it was; may be called twice."""
            if threading.current_thread() is threading.main_thread():
                while self._handled:
                    signal.signal(*self._handled.popitem())
            # else they stay, and do what the system would have done
            if not self._open:
                return
            self._open = False
            if self._foreground():
                # what was typed and not read may be half a code: it must not reach the shell
                self._give_back(termios.TCSAFLUSH)

        def _foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._fd) == os.getpgrp()
            except OSError:  # not our controlling terminal, so nobody else's job either
                return True

        def _take(self) -> None:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._quiet)
            self._say(_MARK_PASTES)

        def _give_back(self, when: int) -> None:
            self._say(_DO_NOT_MARK)
            with suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, when, self._before)

        def _say(self, octets: bytes) -> None:
            if self._marks:
                with suppress(OSError):
                    os.write(self._fd, octets)

        def _handle_stops(self) -> None:
            """Heed Ctrl-Z and its end, where nothing else of this process does."""
            if threading.current_thread() is not threading.main_thread():
                return
            wanted = {signal.SIGTSTP: self._stop, signal.SIGCONT: self._continue}
            for number, handler in wanted.items():
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, handler)
                    self._handled[number] = signal.SIG_DFL

        def _stop(self, number: int, frame: FrameType | None) -> None:
            """Give the terminal back, stop as anybody would, and go on from there."""
            del frame
            self._stopping = True
            if self._open:
                self._on_stop()
                self._give_back(termios.TCSADRAIN)
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_kill(threading.get_ident(), number)  # here the process stands still
            signal.signal(number, self._stop)
            self._stopping = False
            self._go_on()

        def _continue(self, number: int, frame: FrameType | None) -> None:
            """Stopped by something that cannot be noticed (SIGSTOP), and going on."""
            del number, frame
            if not self._stopping:
                self._go_on()

        def _go_on(self) -> None:
            if self._open:
                if self._foreground():
                    self._take()
                self._on_continue()

    def _writable(descriptor: int) -> bool:
        return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
