"""Callers that are killed while a code or a refresh token of theirs is under way.

A program, since it forks: ``caller_kills.py PLACE KILLS STRETCH``, with the provider in PLACE/c. The
courier is the one the environment names (``STAYFAST_COURIER``). STRETCH is how much longer than on an
idle machine a call may take. Its last line is what came of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from instant import InstantTransport
from stayfast.engine.errors import AuthFailed, LoginBusy, TokenRefreshFailed
from stayfast.engine.record import Login
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.testing import user_agent

SPAN = 0.6 if os.environ.get("STAYFAST_COURIER") == "spawn" else 0.11
"""Seconds within which a caller is killed: somewhat more than an undisturbed one takes on an idle machine."""


def approve(address: str) -> list[str]:
    """A user who says yes at once."""
    return [user_agent.fetch_only(address)]


class Callers:
    """One login after another, and who is killed over it."""

    def __init__(self, place: str, span: float) -> None:
        self.place = place
        self.span = span
        self.counts: Counter[str] = Counter()

    def assembly(self) -> Assembly:
        """The parts as any process has them."""
        return Assembly.open(
            state_dir=f"{self.place}/s", config_dir=f"{self.place}/c", store="file"
        )

    def run(self, kills: int) -> dict[str, int]:
        """Kill callers of both kinds in turn; an exchange that was not lost is then refreshed."""
        for number in range(kills):
            if number % 2 == 0:
                self.exchange()
            else:
                self.refresh()
        storage = self.assembly().storage
        assert storage.problems() == []  # type: ignore[attr-defined]  # a vault
        return {"kills": kills, **self.counts}

    def exchange(self) -> None:
        """A login whose callback has come, and whose caller is killed over it."""
        assembly = self.assembly()
        started = assembly.conductor.start(assembly.config("demo"), InstantTransport(lambda _: []))
        callback = user_agent.fetch_only(started.address)
        login_id = started.login.id
        caught = self.killed(
            lambda own: own.conductor.answer(callback, login_id=login_id), login_id
        )
        self.counts["exchanges_caught"] += caught
        try:
            patiently(lambda: assembly.conductor.answer(callback, login_id=login_id))
        except AuthFailed:
            self.counts["exchanges_lost"] += 1
            assert caught, "lost a login although nothing was under way"
            assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))

    def refresh(self) -> None:
        """A login that is refreshed, and whose caller is killed over it."""
        assembly = self.assembly()
        login_id = assembly.conductor.refresh.find("demo", "default").id
        caught = self.killed(
            lambda own: own.conductor.refresh.valid("demo", "default", force=True), login_id
        )
        self.counts["refreshes_caught"] += caught
        try:
            patiently(lambda: assembly.conductor.refresh.valid("demo", "default", force=True))
        except TokenRefreshFailed:
            self.counts["refreshes_lost"] += 1
            assert caught, "lost a login although nothing was under way"
            assembly.conductor.sign_in(assembly.config("demo"), InstantTransport(approve))

    def killed(self, call: Callable[[Assembly], Login], login_id: str) -> bool:
        """Whether a process making ``call`` was killed while something was with the provider."""
        moment = random.uniform(0, self.span)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                call(self.assembly())
                status = 0
            finally:
                os._exit(status)
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0, "a caller failed by itself"
            return False
        login = self.assembly().storage.read(login_id)
        return login is not None and login.state is State.EXCHANGING


def patiently(call: Callable[[], Login]) -> Login:
    """What ``call`` gives once nobody else has the login in hand."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return call()
        except LoginBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


if __name__ == "__main__":
    callers = Callers(sys.argv[1], SPAN * float(sys.argv[3]))
    print(json.dumps(callers.run(int(sys.argv[2]))))
