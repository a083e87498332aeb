"""Two hosts of processes that share one login in PostgreSQL, some of which are killed.

A program, since it forks: ``two_hosts.py URL PLACE PROCESSES EXPIRIES [unharmed]``, with a finished
login in the database and its provider and key in PLACE/c. Between the expiries a process is killed that
holds the login: with its request on the way (its courier goes on), or with nothing sent yet. Its
last line is what came of it, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

from stampede import Crowd, expire
from stayfast.engine.table import State
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage

HOSTS = ("one", "two")


def assembly(url: str, place: str, host: str) -> Assembly:
    """The parts as any process of ``host`` has them."""
    config = f"{place}/c"
    storage = PostgresStorage(url, config_dir=config, state_dir=f"{place}/{host}")
    return Assembly.open(storage=storage, config_dir=config, environ={})


def kill_while_it_refreshes(url: str, place: str, host: str) -> None:
    """Kill a process of ``host`` whose refresh token is on its way to the provider."""
    child = os.fork()
    if child == 0:
        assembly(url, place, host).conductor.refresh.valid("demo", "default")
        os._exit(0)
    refresh = assembly(url, place, host).conductor.refresh
    while refresh.find("demo", "default").state is not State.EXCHANGING:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def kill_while_it_holds(url: str, place: str, host: str) -> None:
    """Kill a process of ``host`` that holds the login and has sent nothing."""
    own = assembly(url, place, host)
    login = own.conductor.refresh.find("demo", "default")
    own.storage.close()  # type: ignore[attr-defined]  # it is one of PostgreSQL
    held, holds = os.pipe()
    child = os.fork()
    if child == 0:
        with own.storage.lease(login.id, wait=60):
            os.write(holds, b"!")
            signal.pause()
    os.read(held, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(held)
    os.close(holds)


def main(url: str, place: str, processes: int, expiries: int, *, unharmed: bool) -> dict[str, Any]:
    """Let ``expiries`` tokens expire in front of two hosts of so many processes each."""
    crowds = [Crowd(lambda host=host: assembly(url, place, host), processes) for host in HOSTS]
    waits: list[float] = []
    kills = 0
    for number in range(expiries):
        expire(assembly(url, place, HOSTS[0]))
        if number % 3 == 1 and not unharmed:
            kill_while_it_refreshes(url, place, HOSTS[number % 2])
            kills += 1
        if number % 3 == 2 and not unharmed:
            kill_while_it_holds(url, place, HOSTS[number % 2])
            kills += 1
        for crowd in crowds:
            crowd.ask()
        seen: set[bytes] = set()
        for crowd in crowds:
            took, tokens = crowd.answers()
            waits += took if number else []  # the first time, each opens the database
            seen |= tokens
        assert len(seen) == 1, "not all were given the same token"
    for crowd in reversed(crowds):  # the later was born with the signs of the earlier
        crowd.leave()
    waits.sort()
    return {
        "processes": processes * len(HOSTS),
        "expiries": expiries,
        "kills": kills,
        "p95_ms": round(waits[int(len(waits) * 0.95)] * 1e3, 1),
        "longest_wait_ms": round(waits[-1] * 1e3, 1),
    }


if __name__ == "__main__":
    where, size, often, *rest = sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]
    print(json.dumps(main(*where, size, often, unharmed=bool(rest))))
