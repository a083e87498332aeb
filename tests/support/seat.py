"""Somebody at a real terminal, with a browser elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from command import World
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.testing import user_agent
from tmux import Window, window

WAITS = r"\d left\n(.*\n)*.*Ctrl-C"
"""What is on the screen while a login waits, keys included."""


class Seat:
    """A world whose vault is there already, seen from a terminal."""

    def __init__(self, world: World, *, made: bool = False) -> None:
        """Make the vault, unless it is ``made``: one that this process has no key for."""
        self.world = world
        world.extra["BROWSER"] = "/bin/true %s"
        if not made:
            world.assembly.storage.probe()

    def opens(
        self, columns: int = 80, rows: int = 24, **environ: str
    ) -> AbstractContextManager[Window]:
        """A window in this world."""
        wanted = {**self.world.environ, **environ}
        return window(self.world.place, wanted, columns=columns, rows=rows)

    def waiting(self) -> Login:
        """The login that waits, once it does."""
        (*_, login) = self.world.wait_for(
            lambda logins: bool(logins) and logins[-1].state is State.AWAITING_CALLBACK
        )
        return login

    @property
    def address(self) -> str:
        """What the user of the waiting login is to open."""
        return self.world.assembly.conductor.address(self.waiting())

    def answer(self, length: int = 1482) -> str:
        """The address that user ends on, made exactly that long."""
        return f"{user_agent.fetch_only(self.address)}&session_state=".ljust(length, "x")

    def approve_device(self) -> None:
        """Enter the code of the waiting login, and say yes."""
        shown: Any = self.waiting().presentation
        user_agent.decide_device(shown.device.verification_uri, shown.device.user_code)
