"""An observer that says so when the audit log was found damaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...engine.events import EventKind

if TYPE_CHECKING:
    from ...engine.events import Recorded
    from ...engine.record import Login
    from .terminal import Terminal


class LogAlarm:
    """Says that a part of the log was set aside; the command goes on."""

    def __init__(self, terminal: Terminal) -> None:
        """Say it on ``terminal``."""
        self._terminal = terminal

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """Look for a record of damage among those that were just saved."""
        del login
        for one in recorded:
            if one.members.get("event") == EventKind.AUDIT_SET_ASIDE:
                told = str(one.members.get("detail", "")).partition("=")[2]
                self._terminal.say(
                    f"the audit log was damaged: records {told} were set aside", mark="warn"
                )
                self._terminal.suggest("stayfast audit verify")
