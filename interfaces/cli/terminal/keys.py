"""What single keys do while a login waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ....engine.ports import NoticeKind, TransportWanted
from ....transports.terminal.answers import TerminalAnswers, piped_answer
from ....transports.terminal.standard_input import at_terminal
from .clipboard import copy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ....engine.errors import StayfastError
    from ....engine.ports import Answers, Browser, Notice, Transport
    from ..follower import LoginFollower
    from .screens import LoginScreen
    from .tty import Terminal


class LoginKeys:
    """The keys of one login: copy, open, paste, device.

    Attributes:
        make: Makes the transport a key asks for, by name; set by the code that makes transports.
    """

    def __init__(
        self,
        terminal: Terminal,
        screen: LoginScreen,
        follower: LoginFollower,
        browser: Browser,
        environ: Mapping[str, str],
    ) -> None:
        """React to keys at ``terminal``, for the login that ``follower`` knows."""
        self._terminal = terminal
        self._screen = screen
        self._follower = follower
        self._browser = browser
        self._environ = environ
        self.make: Callable[[str], Transport] | None = None
        screen.hints = self.hints

    @property
    def source(self) -> Callable[[], Answers] | None:
        """Opens the terminal for its keys; ``None`` where nobody sits at one."""
        return self.answers if self._terminal.interactive else None

    def answers(self) -> Answers:
        """The source of pasted addresses: this terminal with its keys, or a pipe."""
        if not at_terminal():
            return piped_answer()
        keys: dict[str, Callable[[], None]] = {}
        if self._terminal.interactive:
            keys = {
                "c": self._copy,
                "o": self._open,
                "p": self._paste,
                "d": self._device,
                "u": self._screen.show_address,
            }
        return TerminalAnswers(
            keys=keys,
            on_length=self._screen.typed,
            mark_pastes=not self._terminal.err.is_dumb_terminal,
            on_stop=self._screen.stop,
            on_continue=self._screen.go_on,
        )

    def hints(self, notice: Notice) -> list[str]:
        """The hints about keys while ``notice`` waits for the user."""
        if not self._terminal.interactive:
            return []
        if notice.kind is NoticeKind.CODE:
            paste = ["p paste an address instead"] if self._can("auth_url") else []
            return ["c copy code", "o open here", *paste, "Ctrl-C pause"]
        device = ["d use a phone instead"] if self._can("device_url") else []
        if notice.kind is NoticeKind.ASK:  # its transport reads no keys
            return ["Ctrl-C pause"]
        if notice.kind is NoticeKind.PASTE:
            return ["c copy the address above", *device, "Ctrl-C pause"]
        whole = ["u show the whole address"] if notice.opened and self._screen.abridged else []
        return [
            "c copy address",
            *whole,
            "p paste instead",
            *device,
            "Ctrl-C pause, nothing is lost",
        ]

    def _can(self, endpoint: str) -> bool:
        login = self._follower.login
        return login is not None and bool(getattr(login.config, endpoint))

    def _copy(self) -> None:
        notice = self._screen.asked
        text = notice.user_code or notice.url if notice else None
        if text:
            self._terminal.send(copy(text, self._environ))
            self._screen.remark(
                "sent to the clipboard; if your terminal did not take it, select the text"
            )

    def _open(self) -> None:
        notice = self._screen.asked
        if notice is not None and notice.kind is NoticeKind.CODE:
            why_not = self._browser.open(notice.qr or notice.url or "")
            self._screen.remark(
                "opening your browser; check that it shows the same code"
                if why_not is None
                else f"could not start a browser ({why_not})"
            )

    def _paste(self) -> None:
        notice = self._screen.asked
        if notice is None or notice.kind is NoticeKind.PASTE:
            return
        if notice.kind is NoticeKind.OPEN:  # this transport reads pastes already
            self._screen.show_paste()
        elif self._can("auth_url"):
            self._change("manual")

    def _device(self) -> None:
        notice = self._screen.asked
        if notice is not None and notice.kind is not NoticeKind.CODE and self._can("device_url"):
            self._change("device")

    def _change(self, name: str) -> None:
        if self.make is not None:
            raise TransportWanted(self.make(name), self._refused)

    def _refused(self, error: StayfastError) -> None:
        self._screen.remark(f"not possible: {error.message}")
