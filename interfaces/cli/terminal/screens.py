"""The screen of a login that waits for its user, with the QR code of a device login."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ....engine.ports import ASKING, Notice, NoticeKind
from ....engine.table import Trigger
from ...couriers.signals import acknowledging
from .formatting import countdown, sentence
from .waiting import WaitingLine

if TYPE_CHECKING:
    from rich.text import Text

    from .tty import Terminal


_AROUND: Final = 6  # rows of the heading, of the waiting lines and of the blank ones between
_WARNED: Final = 3  # rows of the warning about foreign codes
_SLIM: Final = 72  # columns below which the words around a picture take more rows
_BESIDE: Final = (
    "or scan. Check that the page",
    "shows the same code.",
    "",
    "Never enter a code that somebody",
    "sent you: it signs them in as you.",
)
_MARGIN: Final = "  "
QUIET_ZONE: Final = 2
"""The blank border of a QR code, in modules. The standard wants 4; scanners manage with 2."""
_BLOCKS: Final = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""Two modules one above the other, (dark, dark) as blank: drawn light on dark."""


_FETCHING: Final = "fetching the tokens"
_OPENED: Final = "browser opened"
_SHOWN: Final = {NoticeKind.CODE: "code shown"}


def _no_line(line: str) -> None:
    """No line to replace."""


def _no_hints(notice: Notice) -> list[str]:
    """No hints: no key does anything."""
    del notice
    return []


class LoginScreen:
    """Shows the notices of a transport; at a terminal, also the time that is left.

    Attributes:
        asked: The last notice that asks the user for something.
        hints: What the keys do, for that notice.
    """

    def __init__(
        self, terminal: Terminal, *, qr: str = "auto", resumed_from: str | None = None
    ) -> None:
        """Show on ``terminal``.

        Args:
            terminal: Where.
            qr: ``always``, ``never``, or ``auto``: where it fits.
            resumed_from: The transport that the login used before, if it is resumed.
        """
        self._terminal = terminal
        self._qr = qr
        self._resumed_from = resumed_from
        self._waiting = WaitingLine(terminal)
        self._crowded = (
            False  # whether a remark stands right above the next notice: then it needs a blank line
        )
        self._whole = False
        self._stepped = False  # whether the last line says that a step is done
        self._busy = ExitStack()
        self._instead: Callable[[str], None] = _no_line
        self.asked: Notice | None = None
        self.hints: Callable[[Notice], list[str]] = _no_hints

    def show(self, notice: Notice) -> None:
        """Show ``notice``."""
        draw: dict[NoticeKind, Callable[[Notice], None]] = {
            NoticeKind.OPEN: self._open,
            NoticeKind.PASTE: self._paste,
            NoticeKind.CODE: self._code,
            NoticeKind.ASK: self._ask,
            NoticeKind.WAITING: self._wait,
            NoticeKind.MISTAKE: self._mistake,
            NoticeKind.RECEIVED: self._received,
        }
        if notice.kind in ASKING:
            # the transport has changed: the address shown before is not valid now
            if self.asked is not None and not self._take_back():
                if self._crowded:
                    self._terminal.say("")
                self._terminal.say("  The steps above no longer apply. Instead:")
                self._terminal.say("")
            self.asked, self._crowded, self._whole = notice, False, False
            self._terminal.begin_passage()
            if self._stepped:
                self._terminal.say("")
        draw[notice.kind](notice)

    def step(self, trigger: str) -> None:
        """Show how far the login is, once the transition of that name is saved."""
        if trigger == Trigger.BEGIN:
            self._done("provider found")
        elif trigger == Trigger.RECEIVE_CALLBACK:
            self._answered("answer received")
            self._busy.enter_context(acknowledging(self._interrupted))
            self._instead = self._busy.enter_context(self._terminal.busy(_FETCHING))
        elif trigger == Trigger.ACCEPT_TOKENS:
            if self.asked is not None:  # a device login gets its tokens for its last question
                self._answered("approved")
            self._busy.close()
            self._done("tokens saved")

    def close(self, *, void: bool = False) -> None:
        """Take the waiting line away; and what was asked, if it is ``void`` now."""
        self._busy.close()
        if void:
            self._take_back()
        else:
            self._waiting.end()
            self._terminal.keep_passage()

    def _answered(self, how: str) -> None:
        """The user has done their part, so that what they were shown is void."""
        asked, self.asked = self.asked, None
        if self._take_back() and asked is not None:
            self._done(_SHOWN.get(asked.kind, "address shown") if not asked.opened else _OPENED)
        self._done(how)

    def _take_back(self) -> bool:
        self._waiting.end()
        return self._terminal.take_back()

    def _done(self, what: str) -> None:
        if self._terminal.interactive and not self._terminal.json:
            self._stepped = True
            self._terminal.say(what, mark="good", indent=2)

    def _interrupted(self) -> None:
        self._instead("Ctrl-C: stopping as soon as the tokens are saved")

    def stop(self) -> None:
        """Prepare for the suspension of the process (Ctrl-Z)."""
        self._terminal.keep_passage()  # the shell will write below it
        self._waiting.stop()

    def go_on(self) -> None:
        """Draw again after the suspension."""
        self._terminal.keep_passage()
        self._waiting.go_on()

    def typed(self, length: int) -> None:
        """``length`` characters of an answer have been taken, unseen."""
        self._waiting.typed(length)

    def remark(self, text: str) -> None:
        """Say ``text`` in passing."""
        self._waiting.remark(text)

    # --- what is asked ---------------------------------------------------------------------------

    def _open(self, notice: Notice) -> None:
        say, short = self._terminal.say, False
        if self._resumed_from is not None:
            where = urlsplit(notice.redirect_uri or "").netloc
            say(
                f"  Listening again on {where}. If you already approved in the browser, "
                "reload that page or paste its address here. If not, open this address:"
            )
        elif notice.opened:
            say("  Opening your browser. If nothing happens, open this address:")
            short = self.hints(notice) != []
        elif notice.message:
            say(
                f"  Could not start a browser ({notice.message}). "
                "Open this address on this computer:"
            )
        else:
            say("  Open this address on this computer:")
        self._whole = not self._address(notice, "  ", short=short)
        self._begin(
            "waiting for you in the browser", notice, prompts=self._resumed_from is not None
        )

    def _paste(self, notice: Notice) -> None:
        say = self._terminal.say
        if notice.message:
            say(sentence(notice.message), indent=2)
            say("")
        say("  1  Open this address on the computer in front of you:", hang=5)
        self._address(notice, "     ")
        if not notice.redirect_uri:
            say("  2  Sign in. The last page shows a code.", hang=5)
            say("  3  Copy that code and paste it here.", hang=5)
            say("")
            self._begin("code", notice, prompts=True)
            return
        say("  2  Sign in. The last page will fail to load. That is expected.", hang=5)
        say("")
        say("  3  Copy the address of that page and paste it here. It starts with", hang=5)
        self._starts_with(notice, "     ")
        self._begin("address", notice, prompts=True)

    @property
    def abridged(self) -> bool:
        """Whether the address on the screen is not all of it."""
        return self.asked is not None and not self._whole and self.asked.kind is NoticeKind.OPEN

    def show_address(self) -> None:
        """Show all of the address, where only its beginning stands."""
        notice = self.asked
        if notice is None or not self.abridged:
            return
        self._whole = True
        self._waiting.end()
        self._address(notice, "  ")
        self._begin("waiting for you in the browser", notice)

    def show_paste(self) -> None:
        """Say how an address is pasted while the browser is waited for."""
        notice = self.asked
        if notice is None:
            return
        self._waiting.end()
        self._terminal.say(
            "  Copy the address of the page your browser ends on and paste it here. It starts with"
        )
        self._starts_with(notice, "  ")
        self.asked = replace(notice, kind=NoticeKind.PASTE)
        self._begin("address", self.asked, prompts=True)

    def _code(self, notice: Notice) -> None:
        """The code and its address; beside the picture if there is one and room, else above it."""
        from rich.style import Style  # noqa: PLC0415  for the device flow alone
        from rich.text import Text  # noqa: PLC0415  as above

        say, terminal = self._terminal.say, self._terminal
        left = (notice.expires_at or 0) - time.time()
        named = [
            Text("Open   ").append(notice.url or "", Style(link=notice.url)),
            Text("Code   ").append(notice.user_code or "", "bold"),
            Text(f"       valid for {countdown(left)}"),
        ]
        rows = self._picture(notice.qr or "")
        beside = [Text(), *named, Text(), *map(Text, _BESIDE)]
        room = terminal.err.width - len(_MARGIN) * 2 - 1
        if rows and rows[0].cell_len + max(map(_cells, beside)) <= room:
            for number, row in enumerate(rows):
                text = beside[number] if number < len(beside) else Text()
                terminal.draw(_MARGIN, row, Text(_MARGIN).append_text(text) if text else Text())
            self._begin("waiting for approval", notice)
            return
        for text in named:
            terminal.draw("  ", text, Text())
        if self._fits(rows, len(named) + _WARNED):
            for row in rows:
                terminal.draw(_MARGIN, row, Text())
            say("  Or scan. Check that the page shows the same code.")
        else:
            say("")
            say("  Check that the page shows the same code.")
        say("  Never enter a code that somebody sent you: it signs them in as you.")
        say("")
        self._begin("waiting for approval", notice)

    def _fits(self, rows: list[Text], more: int) -> bool:
        """Whether the picture fits with ``more`` rows around it, the heading still in sight."""
        if not rows:
            return False
        around = _AROUND + more + (self._terminal.err.width < _SLIM) * _WARNED
        return self._qr != "auto" or len(rows) + around <= self._terminal.err.height

    def _picture(self, address: str) -> list[Text]:
        """The rows of the QR code; empty if it is not wanted or does not fit."""
        terminal = self._terminal
        if not address or self._qr == "never" or terminal.quiet:
            return []
        unicode = terminal.unicode and not terminal.err.is_dumb_terminal
        if self._qr == "auto" and not (terminal.interactive and unicode):
            return []
        rows = draw_qr(address, unicode=unicode, color=terminal.colors)
        fits = rows[0].cell_len + len(_MARGIN) <= terminal.err.width
        if self._qr == "auto":
            return rows if fits and self._fits(rows, 0) else []
        if not fits and terminal.err.is_terminal:
            need = rows[0].cell_len + len(_MARGIN)
            terminal.say(f"  The QR code needs {need} columns; there are {terminal.err.width}.")
            return []
        return rows

    # --- what happens meanwhile ------------------------------------------------------------------

    def _wait(self, notice: Notice) -> None:
        if notice.message:
            self._crowded = True
            self._terminal.say(notice.message, mark="wait", indent=2)
        if notice.seconds is not None:
            self._waiting.next_check(notice.seconds)

    def _mistake(self, notice: Notice) -> None:
        self._crowded = True
        self._waiting.typed(0)
        self._terminal.say(sentence(notice.message), mark="warn", indent=2)

    def _received(self, notice: Notice) -> None:
        where = urlsplit(notice.redirect_uri or "")
        self._waiting.end()
        if not notice.redirect_uri:
            self._terminal.say(f"  code  {notice.message}")
            self._instead(_FETCHING)
            return
        good = f"{self._terminal.symbol('good')} right login"
        self._terminal.say(
            f"  address  {notice.message} from {where.netloc}{where.path}      {good}"
        )
        self._instead(_FETCHING)

    def _ask(self, notice: Notice) -> None:
        """A question that a transport puts in words of its own."""
        self._terminal.say("  1  Open this address in any browser:", hang=5)
        self._address(notice, "     ")
        self._terminal.say(f"  2  {notice.message}", hang=5)
        self._begin("waiting for the answer", notice)

    def _begin(self, what: str, notice: Notice, *, prompts: bool = False) -> None:
        self._waiting.begin(
            what,
            expires_at=notice.expires_at,
            hints=self.hints(notice),
            prompts=prompts,
        )

    def _address(self, notice: Notice, before: str, *, short: bool = False) -> bool:
        """Show the address, and return whether a part of it was left out."""
        if notice.url is None:
            return False
        abridged = self._terminal.link(notice.url, before=before, short=short)
        self._terminal.say("")
        return abridged

    def _starts_with(self, notice: Notice, before: str) -> None:
        self._terminal.plain(f"{before}{notice.redirect_uri}?")
        self._terminal.say("")


def _cells(text: Text) -> int:
    return text.cell_len


def draw_qr(address: str, *, unicode: bool, color: bool) -> list[Text]:
    """``address`` as rows of characters; low redundancy is right for a screen.

    Args:
        address: What the code says.
        unicode: Whether half blocks can be shown; else every module is two characters wide.
        color: Whether light and dark can be named, so that a light theme does not invert them.
    """
    import segno  # noqa: PLC0415  only the device flow draws a code
    from rich.style import Style  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    made = segno.make(address, error="l", micro=False)
    rows = [[bool(one) for one in row] for row in made.matrix_iter(border=QUIET_ZONE)]
    style = Style(color="#ffffff", bgcolor="#000000") if color else Style.null()
    if not unicode:
        lines = ["".join("  " if dark else "##" for dark in row) for row in rows]
        return [Text(line) for line in lines]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        Text("".join(_BLOCKS[a, b] for a, b in zip(top, bottom, strict=True)), style=style)
        for top, bottom in pairs
    ]
