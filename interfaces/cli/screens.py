"""What a person sees while a login waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import segno
from rich.live import Live
from rich.text import Text

from ...engine.ports import Notice, NoticeKind
from .wording import countdown

if TYPE_CHECKING:
    from .terminal import Terminal

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_FRAMES: Final = "|/-\\"
_LEAST_COLUMNS: Final = 40
_LEAST_ROWS: Final = 24


class LoginScreen:
    """Shows the notices of a transport; at a terminal, also that time is passing."""

    def __init__(
        self, terminal: Terminal, *, qr: str = "auto", resumed_from: str | None = None
    ) -> None:
        """Show on ``terminal``.

        Args:
            terminal: Where.
            qr: ``always``, ``never``, or ``auto``: where it fits.
            resumed_from: The transport by which the user has been asked before.
        """
        self._terminal = terminal
        self._qr = qr
        self._resumed_from = resumed_from
        self._live: Live | None = None
        self._waiting_for = ""
        self._expires_at: float | None = None
        self._next_check: float | None = None

    def tell(self, notice: Notice) -> None:
        """Show ``notice``."""
        show: dict[NoticeKind, Callable[[Notice], None]] = {
            NoticeKind.OPEN: self._open,
            NoticeKind.PASTE: self._paste,
            NoticeKind.CODE: self._code,
            NoticeKind.WAITING: self._wait,
            NoticeKind.MISTAKE: self._mistake,
            NoticeKind.RECEIVED: self._received,
        }
        show[notice.kind](notice)

    def close(self) -> None:
        """Take the waiting line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _open(self, notice: Notice) -> None:
        say = self._terminal.say
        if self._resumed_from is not None:
            where = urlsplit(notice.redirect_uri or "").netloc
            say(f"  Listening again on {where}. If you have approved already, reload the")
            say("  page your browser ended on; else open this address:")
        elif notice.opened:
            say("  Opening your browser. If nothing happens, open this address:")
        elif notice.message:
            say(f"  Could not start a browser ({notice.message}).")
            say("  Open this address on this computer:")
        else:
            say("  Open this address on this computer:")
        self._address(notice)
        if self._terminal.interactive:
            say("  or paste the address you land on here.")
        self._begin_waiting("waiting for you in the browser", notice)

    def _paste(self, notice: Notice) -> None:
        say = self._terminal.say
        if self._resumed_from == "loopback":
            say("  The port of its listener is in use now, so this login continues by paste.")
        say("  1  Open this address in any browser, on any computer:")
        self._address(notice)
        say("  2  Sign in. The last page may fail to load. That is expected.")
        say("  3  Copy the address of that page and paste it here. It starts with")
        say(f"     {notice.redirect_uri}?")
        self._begin_waiting("waiting for the address (what you paste is not shown)", notice)

    def _code(self, notice: Notice) -> None:
        say = self._terminal.say
        say(f"  Open   {notice.url}")
        say(f"  Code   {notice.user_code}")
        say("")
        if notice.qr and self._wants_qr():
            self._terminal.err.print(Text(_qr(notice.qr)))
            say("  Check that the page shows the same code.")
        say("  Never enter a code that somebody sent you: it signs them in as you.")
        self._begin_waiting("waiting for approval", notice)

    def _wait(self, notice: Notice) -> None:
        if notice.message:
            self._terminal.say(f"  {notice.message}", mark="wait")
        elif notice.seconds is not None:
            self._next_check = time.time() + notice.seconds

    def _mistake(self, notice: Notice) -> None:
        self._terminal.say(notice.message, mark="warn")

    def _received(self, notice: Notice) -> None:
        where = urlsplit(notice.redirect_uri or "")
        self._terminal.say(f"  {notice.message} from {where.netloc}{where.path}")

    def _address(self, notice: Notice) -> None:
        if notice.url is not None:
            self._terminal.say("")
            self._terminal.link(notice.url)
            self._terminal.say("")

    def _begin_waiting(self, what: str, notice: Notice) -> None:
        self.close()
        self._waiting_for, self._expires_at = what, notice.expires_at
        if self._terminal.interactive and not self._terminal.quiet and not self._terminal.json:
            self._live = Live(
                get_renderable=self._line,
                console=self._terminal.err,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _line(self) -> Text:
        """The one line that is redrawn."""
        now = time.time()
        frames = _FRAMES if self._terminal.unicode else _PLAIN_FRAMES
        dot = self._terminal.symbol("dot")
        said = f"  {frames[int(now * 4) % len(frames)]} {self._waiting_for}"
        if self._next_check is not None and self._next_check > now:
            said += f" {dot} next check in {self._next_check - now:.0f} s"
        if self._expires_at is not None:
            said += f" {dot} {countdown(self._expires_at - now)} left"
        width = max(20, self._terminal.err.width - 1)
        return Text(said[:width] + f"\n  {dot} Ctrl-C pauses, nothing is lost"[: width + 1])

    def _wants_qr(self) -> bool:
        if self._qr != "auto":
            return self._qr == "always"
        err = self._terminal.err
        fits = err.width >= _LEAST_COLUMNS and err.height >= _LEAST_ROWS
        return self._terminal.interactive and fits and self._terminal.unicode


def _qr(address: str) -> str:
    """``address`` as a QR code in half blocks; low redundancy is right for a screen."""
    rows = [list(row) for row in segno.make(address, error="l", micro=False).matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    blocks = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}  # drawn light on dark
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join(
        "      " + "".join(blocks[bool(a), bool(b)] for a, b in zip(top, bottom, strict=True))
        for top, bottom in pairs
    )
