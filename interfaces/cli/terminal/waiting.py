"""The lines at the bottom of the terminal while a login waits; they are redrawn as time passes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .formatting import countdown, flowed

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

    from .tty import Terminal

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"
_REMARK: Final = 5.0  # seconds a remark stays


class WaitingLine:
    """One line with the wait and the time left, and one that names the keys.

    A terminal that cannot redraw gets both once, and a log the first, once.
    """

    def __init__(self, terminal: Terminal) -> None:
        """Show on ``terminal``."""
        self._terminal = terminal
        self._live: Live | None = None
        self._stopped = False
        self._what = ""
        self._prompts = False
        self._hints: tuple[str, ...] = ()
        self._expires_at: float | None = None
        self._next_check: float | None = None
        self._typed = 0
        self._remark = ""
        self._remark_ends = 0.0

    @property
    def _redraws(self) -> bool:
        terminal = self._terminal
        if terminal.quiet or terminal.json or not terminal.interactive:
            return False
        return not terminal.err.is_dumb_terminal

    def begin(
        self,
        what: str,
        *,
        expires_at: float | None,
        hints: Sequence[str],
        prompts: bool = False,
    ) -> None:
        """Wait for ``what`` from now on.

        Args:
            what: The wait, as a clause such as "waiting for approval"; or the word at a prompt.
            expires_at: Until when, POSIX seconds.
            hints: What keys do.
            prompts: Whether it is a prompt, at which something is to be pasted.
        """
        self.end()
        self._what, self._prompts, self._hints = what, prompts, tuple(hints)
        self._expires_at, self._next_check = expires_at, None
        self._typed, self._remark_ends = 0, 0.0
        if self._redraws:
            self._start()
        elif self._terminal.interactive:
            for line in self._lines(time.time()):
                self._terminal.say(line)
        elif not prompts and not self._terminal.json:  # a log: nobody presses keys
            self._hints = ()
            for line in self._lines(time.time()):
                self._terminal.say(line)

    def _start(self) -> None:
        from rich.live import Live  # noqa: PLC0415  for terminals that can redraw

        self._live = Live(
            get_renderable=self._drawn,
            console=self._terminal.err,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="visible",
        )
        self._stopped = False
        self._live.start()

    def end(self) -> None:
        """Remove the lines."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def stop(self) -> None:
        """Remove the lines before the process is suspended, and show the cursor again."""
        if self._live is not None:
            self._live.stop()
            self._stopped = True

    def go_on(self) -> None:
        """Show the lines again, below what other programs have written meanwhile."""
        live = self._live
        if live is None:
            return
        if (
            not self._stopped
        ):  # SIGSTOP gives no notice: rich would erase what the shell wrote since
            out = self._terminal.err.file
            out.write("\n" * (len(self._lines(time.time())) - 1))
            out.flush()
            live.stop()
        self._start()

    def next_check(self, seconds: float) -> None:
        """The next poll of the provider is due in ``seconds``."""
        self._next_check = time.time() + seconds

    def typed(self, length: int) -> None:
        """Show that ``length`` characters were typed or pasted; the characters stay hidden."""
        self._typed = length
        self._refresh()

    def remark(self, text: str) -> None:
        """Show ``text`` for a few seconds, in place of the keys."""
        self._remark, self._remark_ends = text, time.time() + _REMARK
        if self._live is None:
            self._terminal.say(f"  {text}")
        self._refresh()

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def _drawn(self) -> Text:
        from rich.text import Text  # noqa: PLC0415  as for Live

        return Text("\n".join(self._lines(time.time())), no_wrap=True, overflow="crop")

    def _lines(self, now: float) -> list[str]:
        terminal = self._terminal
        dot = f" {terminal.symbol('dot')} "
        width = terminal.width - 1  # the last column makes some terminals wrap
        left = None if self._expires_at is None else f"{countdown(self._expires_at - now)} left"
        below = [self._remark] if now < self._remark_ends else list(self._hints)
        if self._typed:
            taken = f"address  {terminal.symbol('hidden')} {self._typed:,} characters"
            parts = [taken, "Enter sends them"]
        elif self._prompts:
            parts = [f"{self._what} {terminal.symbol('cursor')}", *([left] if left else [])]
        else:
            parts = [f"{self._mark(now)} {self._what}"]
            if self._next_check is not None and self._live is not None:
                parts.append(f"next check in {max(0.0, self._next_check - now):.0f} s")
            parts += [left] if left else []
        return [*flowed(parts, width, "  ", dot), *flowed(below, width, "    ", dot)]

    def _mark(self, now: float) -> str:
        if self._live is None:
            return self._terminal.symbol("wait")
        frames = _FRAMES if self._terminal.unicode else _PLAIN_FRAMES
        return frames[int(now * 4) % len(frames)]
