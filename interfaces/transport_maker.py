"""Transports by name, with the conversation, the browser and the typed answers they need.

A program without screens of its own shows its user plain lines on standard error
(:class:`LineConversation`).
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, NewType, TextIO, TypeAlias

from ..engine.ports import Notice, NoticeKind
from ..transports import plugins
from ..transports.browser import SystemBrowser
from ..transports.device import DeviceTransport
from ..transports.loopback.transport import LoopbackTransport
from ..transports.manual import ManualTransport
from ..transports.racing import RacingTransport
from ..transports.terminal.answers import standard_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..engine.ports import Answers, Browser, Conversation, Transport
    from ..transports.loopback.page import Site
    from .assembly import Assembly


Via: TypeAlias = Literal["auto", "loopback", "manual", "device"]
"""How the user's answer comes back; ``auto`` looks at the surroundings, as the command does."""
TransportName = NewType("TransportName", str)
"""The name of a transport that an installed package brings (:mod:`stayfast.transports.plugins`)."""
RESOLVED: Final = {**plugins.ALIASES, "auto": "loopback"}
"""Other names for transports; a command that can look around decides ``auto`` itself."""


class TransportMaker:
    """Makes transports that talk to one conversation."""

    def __init__(
        self,
        assembly: Assembly,
        conversation: Conversation,
        *,
        answers: Callable[[], Answers] | None = None,
        keys: Callable[[], Answers] | None = None,
        browser: Browser | None = None,
        open_browser: bool = True,
        site: Site | None = None,
    ) -> None:
        """Transports for ``assembly``.

        Args:
            assembly: Whose HTTP and clock they use.
            conversation: Where their notices go.
            answers: Opens the place pasted addresses come from; standard input by default.
            keys: Opens a terminal whose keys are heeded by a transport that reads no answers.
            browser: What opens an address; the system's browser by default.
            open_browser: Whether anything is opened at all.
            site: Whose pages the browser is shown; by default the command's.
        """
        self._site = site
        self._assembly = assembly
        self._conversation = conversation
        self._answers = answers or standard_answers
        self._keys = keys
        self._browser = browser or SystemBrowser()
        self._open_browser = open_browser
        self._makers: dict[str, Callable[[], Transport]] = {
            "loopback": self._loopback,
            "manual": self._manual,
            "device": self._device,
            "racing": self._racing,
        }

    def make(self, name: str) -> Transport:
        """The transport of that name.

        Raises:
            ConfigInvalid: No transport has that name, or the package that brings it does not load.
        """
        maker = self._makers.get(RESOLVED.get(name, name))
        return maker() if maker is not None else plugins.make(name, self._dependencies())

    def _dependencies(self) -> plugins.TransportDependencies:
        """What a third party's transport works with."""
        return plugins.TransportDependencies(
            conversation=self._conversation,
            browser=self._browser if self._open_browser else _NoBrowser(),
            http=self._assembly.http,
            clock=self._assembly.clock,
            answers=self._answers,
        )

    def _loopback(self) -> LoopbackTransport:
        return LoopbackTransport(
            self._conversation,
            self._browser,
            self._assembly.clock,
            open_browser=self._open_browser,
            site=self._site,
        )

    def _manual(self) -> ManualTransport:
        return ManualTransport(self._conversation, self._answers)

    def _device(self) -> DeviceTransport:
        return DeviceTransport(
            self._conversation, self._assembly.http, self._assembly.clock, self._keys
        )

    def _racing(self) -> RacingTransport:
        if isinstance(self._conversation, LineConversation):
            self._conversation.takes_pastes = True
        return RacingTransport(self._loopback(), self._manual())


class _NoBrowser:
    """Stands for the browser where the user asked not to start one."""

    def open(self, url: str) -> str:
        """Start nothing."""
        del url
        return "not wanted"


class SilentConversation:
    """Shows nothing: the program that began the login shows the address itself."""

    def show(self, notice: Notice) -> None:
        """Show nothing of ``notice``."""


class LineConversation:
    """Writes a line or two per notice; repeats nothing.

    If standard error cannot be written (absent, closed, full, a broken pipe), the login goes on
    without it.

    Attributes:
        takes_pastes: Whether the terminal takes the address, too, while a port listens for it.
    """

    takes_pastes = False

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to ``out``, or to whatever standard error is at the time."""
        self._out = out

    def show(self, notice: Notice) -> None:
        """Show ``notice``."""
        lines = _LINES.get(notice.kind)
        if lines is not None:
            paste = notice.kind is NoticeKind.OPEN and self.takes_pastes
            _write(self._out or sys.stderr, lines(notice) + (_OR_PASTE if paste else ""))


_MINUTES: Final = 100.0  # seconds up to which the time that is left is said in seconds
_LONGEST_SAID: Final = 86_400.0


def _write(out: TextIO | None, text: str) -> None:
    """Write ``text`` on a line of ``out``, in the characters that it has."""
    if out is None:  # print would take standard output instead
        return
    with suppress(OSError, ValueError):  # it is closed or full, or its reader has ended
        encoding = getattr(out, "encoding", None) or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), file=out, flush=True)


_OR_PASTE: Final = "\nIf the browser cannot come back to this machine, paste the address it ends on, and press Enter."


def _open(notice: Notice) -> str:
    doing = "Opening your browser. If nothing happens, open" if notice.opened else "Open"
    return f"{doing} this address:\n{notice.url}"


def _paste(notice: Notice) -> str:
    why = f"{notice.message}\n" if notice.message else ""
    what = "the one you land on" if notice.redirect_uri else "the code that its last page shows"
    return f"{why}Open this address, then paste {what}{_within(notice)}:\n{notice.url}"


def _ask(notice: Notice) -> str:
    return f"Open this address:\n{notice.url}\n{notice.message}"


def _code(notice: Notice) -> str:
    return f"Open {notice.url} and enter the code {notice.user_code}{_within(notice)}"


def _within(notice: Notice) -> str:
    """How long there is for it; lines do not count down."""
    left = None if notice.expires_at is None else notice.expires_at - time.time()
    if left is None or not 0 < left <= _LONGEST_SAID:
        return ""
    return f" within {left / 60:.0f} minutes" if left > _MINUTES else f" within {left:.0f} seconds"


def _mistake(notice: Notice) -> str:
    return notice.message


_LINES: Mapping[NoticeKind, Callable[[Notice], str]] = {
    NoticeKind.OPEN: _open,
    NoticeKind.PASTE: _paste,
    NoticeKind.CODE: _code,
    NoticeKind.ASK: _ask,
    NoticeKind.MISTAKE: _mistake,
}
