"""Many processes that all find one token expired at the same moment, again and again.

A program, since it forks: ``stampede.py PLACE PROCESSES EXPIRIES``, with a finished login in
PLACE/s and its provider in PLACE/c. Its last line is what came of it, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.table import Trigger
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.host import SystemClock, origin

_ANSWER = struct.Struct("=d16s")  # seconds it took; the end of the token


def assembly(place: str) -> Assembly:
    """The parts as any process has them: over a file, or what the environment names."""
    store = os.environ.get("STAYFAST_STORE") or "file"
    return Assembly.open(state_dir=f"{place}/s", config_dir=f"{place}/c", store=store)


def expire(own: Assembly) -> None:
    """Let the token of the login be an hour older than it is."""
    storage = own.storage
    login = own.conductor.refresh.find("demo", "default")
    assert login.tokens is not None
    older = replace(login.tokens, issued_at=login.tokens.issued_at - 3600.0)
    Ledger(storage, SystemClock(), origin()).advance(login, Trigger.EXPIRE, tokens=older)


def attend(own: Assembly, go: int, answers: int) -> None:
    """Ask for the token each time there is a sign to."""
    while os.read(go, 1):
        began = time.monotonic()
        login = own.conductor.refresh.valid("demo", "default")
        took = time.monotonic() - began
        assert login.tokens is not None
        os.write(answers, _ANSWER.pack(took, login.tokens.access_token[-16:].encode()))


class Crowd:
    """The processes, waiting for their signs."""

    def __init__(self, opened: Callable[[], Assembly], size: int) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, size * 2 + 200), limit))
        self.opened = opened
        self._answers, answering = os.pipe()
        self._signs: list[int] = []
        self.members: list[int] = []
        for _ in range(size):
            hearing, sign = os.pipe()
            child = os.fork()
            if child == 0:
                for inherited in (*self._signs, sign, self._answers):
                    os.close(inherited)
                status = 1
                try:
                    attend(opened(), hearing, answering)
                    status = 0
                finally:
                    os._exit(status)
            os.close(hearing)
            self._signs.append(sign)
            self.members.append(child)
        os.close(answering)

    def expiry(self) -> tuple[float, float]:
        """One expiry: seconds until all had the token, and the longest any of them took."""
        expire(self.opened())
        began = time.monotonic()
        self.ask()
        waits, tokens = self.answers()
        assert len(tokens) == 1, "not all were given the same token"
        return time.monotonic() - began, max(waits)

    def ask(self) -> None:
        """Give the sign."""
        for sign in self._signs:
            os.write(sign, b"!")

    def answers(self) -> tuple[list[float], set[bytes]]:
        """What all of them were given, and how long each waited."""
        waits: list[float] = []
        tokens: set[bytes] = set()
        while len(waits) < len(self.members):
            answer = os.read(self._answers, _ANSWER.size)
            assert answer, "a process gave up"
            took, token = _ANSWER.unpack(answer)
            waits.append(took)
            tokens.add(token)
        return waits, tokens

    def leave(self) -> None:
        """End them all."""
        for sign in self._signs:
            os.close(sign)
        for member in self.members:
            _, status = os.waitpid(member, 0)
            assert status == 0, "a process failed"


def main(place: str, processes: int, expiries: int) -> dict[str, Any]:
    """Let ``expiries`` tokens expire in front of so many processes."""
    crowd = Crowd(lambda: assembly(place), processes)
    rounds = [crowd.expiry() for _ in range(expiries)]
    crowd.leave()
    return {
        "processes": processes,
        "expiries": expiries,
        "rounds_ms": [round(all_of_them * 1e3, 1) for all_of_them, _ in rounds],
        "longest_wait_ms": round(max(longest for _, longest in rounds) * 1e3, 1),
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
