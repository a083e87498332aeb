"""Workers that change a few logins as fast as they can, and somebody who keeps killing them.

A program, since it forks: ``killing_spree.py PLACE KILLS SECONDS_BETWEEN``. Its last line is what
came of it, as JSON; it fails at the first thing that is not as it should be.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from stayfast.engine.flows.ledger import Ledger
from stayfast.engine.record import Exchange, Login
from stayfast.engine.table import State, Trigger
from stayfast.storage.host import SystemClock, origin
from stayfast.testing.storage_contract import finished, saved
from transitions_of import vault_in

PATIENCE = 120.0  # seconds after which the workers have hung
WORKERS = 16
LOGINS = 8
_NOBODY = 255
_ACK = struct.Struct("=BQdd")  # which login, its version, seconds for the lease, for the saving


def work(place: str, ids: list[str], acks: int) -> None:
    """Refresh one login after another, and say so each time it is saved; for ever."""
    storage = vault_in(place)
    clock = SystemClock()
    ledger = Ledger(storage, clock, origin())
    while True:
        number = random.randrange(LOGINS)
        asked = clock.monotonic()
        with storage.lease(ids[number], wait=30) as lease:
            got = clock.monotonic()
            login = storage.read(ids[number])
            assert login is not None
            assert login.tokens is not None
            if login.state is State.EXCHANGING:
                tokens = replace(login.tokens, access_token=f"{number}/{login.version + 1}")
                amended: dict[str, Any] = {"tokens": tokens, "exchange": None}
                trigger = Trigger.ACCEPT_TOKENS
            else:
                amended = {"exchange": Exchange(kind="refresh", started_at=clock.now())}
                trigger = Trigger.REFRESH
            began = clock.monotonic()
            login = ledger.advance(login, trigger, lease=lease, **amended)
            done = clock.monotonic()
        os.write(acks, _ACK.pack(number, login.version, got - asked, done - began))


def idle(place: str, ids: list[str], acks: int) -> None:
    """Sleep a moment and sync a small file, for ever: how long that takes is the machine's doing."""
    clock = SystemClock()
    assert ids
    with open(f"{place}/idle", "wb", buffering=0) as file:
        while True:
            began = clock.monotonic()
            clock.sleep(0.005)
            file.seek(0)
            file.write(b"idle")
            os.fsync(file.fileno())
            os.write(acks, _ACK.pack(_NOBODY, 0, clock.monotonic() - began, 0.0))


def start(place: str, ids: list[str], acks: int, deed: Callable[..., None] = work) -> int:
    """A worker, forked; gives its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        deed(place, ids, acks)
    except KeyboardInterrupt:
        status = 0
    finally:
        os._exit(status)


class Spree:
    """One run."""

    def __init__(self, place: str) -> None:
        self.place = place
        storage = vault_in(place)
        logins = [
            replace(login, tokens=replace(login.tokens, refresh_token="r"))
            for login in (finished(f"p{number}") for number in range(LOGINS))
            if login.tokens
        ]
        saved(storage, logins)
        self.own = storage.events()[-1].seq - LOGINS  # what the storage recorded of itself
        storage.close()
        self.ids = [login.id for login in logins]
        self.acknowledged = [1] * LOGINS
        self.saves = 0
        self.longest_lease = self.longest_save = self.longest_stall = 0.0
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        self.workers: set[int] = set()

    def run(self, kills: int, pause: float) -> dict[str, Any]:
        """Kill one of the workers every ``pause`` seconds; a new one takes its place.

        On a busy machine a kill waits until as many saves were acknowledged as there are kills.
        """
        began = time.monotonic()
        bystander = start(self.place, self.ids, self._writing, idle)
        try:
            while len(self.workers) < WORKERS:
                self.workers.add(start(self.place, self.ids, self._writing))
            for number in range(kills):
                self._listen(began + (number + 1) * pause, number + 1)
                self._kill(random.choice(sorted(self.workers)))
                self.workers.add(start(self.place, self.ids, self._writing))
                if number % 100 == 99:
                    self.check()
        finally:
            while self.workers:
                self._kill(next(iter(self.workers)))
            self._kill(bystander)
        self._hear()
        self.check()
        return {
            "kills": kills,
            "seconds": round(time.monotonic() - began, 1),
            "saves": self.saves,
            "lost": 0,
            "longest_lease_ms": round(self.longest_lease * 1e3, 1),
            "longest_save_ms": round(self.longest_save * 1e3, 1),
            "longest_stall_ms": round(self.longest_stall * 1e3, 1),
        }

    def _kill(self, victim: int) -> None:
        os.kill(victim, signal.SIGKILL)
        _, status = os.waitpid(victim, 0)
        self.workers.discard(victim)
        assert os.WIFSIGNALED(status), "a worker gave up by itself"

    def _listen(self, until: float, saves: int) -> None:
        while (left := until - time.monotonic()) > 0 or self.saves <= saves:
            assert left > -PATIENCE, "nobody saves any more"
            if select.select([self._reading], [], [], max(left, 0.01))[0]:
                self._hear()

    def _hear(self) -> None:
        for number, version, lease, save in self._news():
            if number == _NOBODY:
                self.longest_stall = max(self.longest_stall, lease)
                continue
            self.acknowledged[number] = max(self.acknowledged[number], version)
            self.saves += 1
            self.longest_lease = max(self.longest_lease, lease)
            self.longest_save = max(self.longest_save, save)

    def _news(self) -> Iterator[tuple[int, int, float, float]]:
        while True:
            try:
                octets = os.read(self._reading, _ACK.size * 1000)
            except BlockingIOError:
                return
            yield from _ACK.iter_unpack(octets)

    def check(self) -> None:
        """Nothing that was acknowledged is gone, and nothing is there that nobody saved."""
        self._hear()
        saved = list(self.acknowledged)
        storage = vault_in(self.place)
        assert storage.problems() == []
        for number, login_id in enumerate(self.ids):
            login = storage.read(login_id)
            assert login is not None, f"login {number} is gone"
            assert login.version >= saved[number], f"login {number} lost a save"
            assert _token(login) in {"token", f"{number}/{login.version}",
                                     f"{number}/{login.version - 1}"}  # fmt: skip
        if not self.workers:  # nobody moves: the log can be counted
            versions = sum(login.version for login in map(storage.read, self.ids) if login)
            last = self.own + versions
            assert [one.seq for one in storage.events(after=last - 1, limit=10)] == [last]
        storage.close()


def _token(login: Login) -> str:
    assert login.tokens is not None
    return login.tokens.access_token


if __name__ == "__main__":
    print(json.dumps(Spree(sys.argv[1]).run(int(sys.argv[2]), float(sys.argv[3]))))
