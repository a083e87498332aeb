"""A terminal whose echo and line editing are off while something is read from it.

The terminal belongs to the shell as well, so its settings are restored on every way out: at the end
of the wait, after an exception, on Ctrl-C, and on Ctrl-Z, when the process stops and the shell takes
over. When the process goes on in the foreground, echo and line editing are turned off again.
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
from ...engine.hints import Hint

_MARK_PASTES: Final = b"\x1b[?2004h"
_DO_NOT_MARK: Final = b"\x1b[?2004l"


def _nothing() -> None:
    """The default of ``on_stop`` and ``on_continue``: redraw nothing."""


if sys.platform == "win32":

    class QuietTerminal:
        """The stand-in on Windows, where ``termios`` is missing."""

        def __init__(self, descriptor: int, **options: object) -> None:
            """Refuse.

            Raises:
                TransportUnavailable: Always.
            """
            del descriptor, options
            raise TransportUnavailable(
                "pasting at this terminal is not supported yet",
                hint=Hint("resume", None, "--callback-url", "-"),
            )

        def ours(self) -> bool:
            """``False``: no terminal is read."""
            return False

        def close(self) -> None:
            """Do nothing: no setting was changed."""

else:
    import fcntl
    import termios

    class QuietTerminal:
        """One terminal with echo and line editing off."""

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
                mark_pastes: Whether the terminal marks the beginning and end of a paste.
                on_stop: Called before Ctrl-Z stops the process.
                on_continue: Called when the process goes on.

            Raises:
                TransportUnavailable: ``descriptor`` is not a terminal.
            """
            self._fd = descriptor
            try:
                self._before = termios.tcgetattr(descriptor)
            except termios.error as error:
                raise TransportUnavailable("standard input is not a terminal") from error
            self._quiet = termios.tcgetattr(descriptor)
            # ISIG stays on: Ctrl-C and Ctrl-Z must work as in any other program
            self._quiet[3] &= ~(termios.ICANON | termios.ECHO)
            # a read returns as soon as there is one octet; select bounds the wait
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
            """Whether this job is in the foreground, so that the terminal may be read.

            A background job that reads is stopped by the kernel. If another program has turned
            echo or line editing on again meanwhile, they are turned off again.
            """
            if not self._open or not self._foreground():
                return False
            with suppress(termios.error):
                if termios.tcgetattr(self._fd)[3] & (termios.ICANON | termios.ECHO):
                    self._take()
            return True

        def close(self) -> None:
            """Restore the terminal. A second call does nothing."""
            # only the main thread may set signal handlers
            if threading.current_thread() is threading.main_thread():
                while self._handled:
                    signal.signal(*self._handled.popitem())
            # in another thread the handlers stay; with nothing open they act like the default
            if not self._open:
                return
            self._open = False
            if self._foreground():
                # Unread input may be half an address with a code in it. TCSAFLUSH discards it; else
                # the shell would show it and keep it in its history.
                self._give_back(termios.TCSAFLUSH)

        def _foreground(self) -> bool:
            try:
                return os.tcgetpgrp(self._fd) == os.getpgrp()
            except OSError:  # not our controlling terminal: there are no other jobs on it
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
            """Handle SIGTSTP and SIGCONT, unless the embedding program handles them itself."""
            if threading.current_thread() is not threading.main_thread():
                return
            wanted = {signal.SIGTSTP: self._stop, signal.SIGCONT: self._continue}
            for number, handler in wanted.items():
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, handler)
                    self._handled[number] = signal.SIG_DFL

        def _stop(self, number: int, frame: FrameType | None) -> None:
            """Restore the terminal, stop by the default action of the signal, then go on.

            Only the default action stops the process in a way that the shell can see, so the
            handler is taken out for the moment.
            """
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
            """Take the terminal again after a stop that no handler sees (SIGSTOP)."""
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
