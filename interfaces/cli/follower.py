"""The observer that follows the login of a command and reports each transition once it is saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...engine.moments import timestamp
from ...engine.ports import ASKING, Notice
from ...engine.table import State

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from ...engine.ports import Conversation
    from ...engine.record import Login
    from .terminal.tty import Terminal


class LoginFollower:
    """Remembers the login, announces it once, and with ``--json`` streams its events.

    Attributes:
        login: The login as it was last saved.
        streams: Whether events are printed as they happen.
        on_step: Called with each trigger of the login once its transition is saved.
    """

    def __init__(
        self,
        terminal: Terminal,
        *,
        stream: bool,
        heading: Callable[[Login], None] | None = None,
    ) -> None:
        """Follow on ``terminal``.

        Args:
            terminal: Where.
            stream: Whether one JSON object is printed per event.
            heading: Called once, when the login has begun.
        """
        self._terminal = terminal
        self._heading = heading
        self.streams = stream
        self.login: Login | None = None
        self.on_step: Callable[[str], None] | None = None

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Report what has just been saved of the login that this command has in hand.

        Beside it others are tidied away, replaced, or refreshed for their tokens.
        """
        if login is None or not self._follows(recorded, login):
            return
        first = self.login is None or self.login.id != login.id
        self.login = login
        if first and self._heading is not None:
            self._heading(login)
        for event in recorded:
            members = event.members
            if members.get("login") != login.id or "trigger" not in members:
                continue
            if self.streams:
                if first:
                    self._started()
                    first = False
                self._terminal.answer_json(
                    "event/1",
                    {
                        "event": "login.transition",
                        "seq": event.seq,
                        "login": str(members["login"])[:4],
                        "from": members["from"],
                        "to": members["to"],
                        "trigger": members["trigger"],
                        "reason": members.get("reason"),
                    },
                )
            self._terminal.detail(f"  {members['from']} - {members['trigger']} -> {members['to']}")
            if self.on_step is not None:
                self.on_step(str(members["trigger"]))

    def _follows(self, recorded: Sequence[Recorded], login: Login) -> bool:
        """Whether ``login`` is the one in hand, or one that begins here."""
        if self.login is not None and self.login.id == login.id:
            return True
        idle = State.IDLE.value
        return any(
            event.members.get("login") == login.id
            and event.members.get("from") == idle
            and event.members.get("to") != idle
            for event in recorded
        )

    def _started(self) -> None:
        login = self.login
        if login is not None:
            self._terminal.answer_json(
                "event/1",
                {
                    "event": "login.started",
                    "login": login.short_id,
                    "provider": login.provider,
                    "account": login.account,
                },
            )

    def finished(self, exit_code: int) -> None:
        """The last line of the stream."""
        if self.streams:
            self._terminal.answer_json(
                "event/1",
                {
                    "event": "login.finished",
                    "login": self.login.short_id if self.login else None,
                    "state": self.login.state.value if self.login else None,
                    "exit_code": exit_code,
                },
            )


class StreamingConversation:
    """Passes notices on, and streams those that ask the user to act as JSON, for programs."""

    def __init__(self, screen: Conversation, follower: LoginFollower, terminal: Terminal) -> None:
        """Pass on to ``screen``."""
        self._screen = screen
        self._follower = follower
        self._terminal = terminal

    def show(self, notice: Notice) -> None:
        """Show ``notice``; stream it if it asks the user to act."""
        login = self._follower.login
        if notice.kind in ASKING and login:
            self._terminal.answer_json(
                "event/1",
                {
                    "event": "login.action_required",
                    "login": login.short_id,
                    "action": "enter_code" if notice.user_code else "open_url",
                    "url": notice.url,
                    "user_code": notice.user_code,
                    "expires_at": timestamp(notice.expires_at),
                    "resume": ["stayfast", "resume", login.short_id],
                },
            )
        self._screen.show(notice)
