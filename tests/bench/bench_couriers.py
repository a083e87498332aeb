"""Refreshes through a worker, spawned or forked, against the same refreshes made by the process itself, on PostgreSQL."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time

from caller_kills import approve
from instant import InstantTransport
from postgres_server import PostgresServer
from provider_apart import ProviderApart
from ratios import kept, spread
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage

SECONDS = 1.0
SLICES = 6
CROWDS = (1, 2, 8)
GOAL = 1.43
"""How many times as long a refresh may take: 0.7 of the rate."""


class Program:
    """A program whose threads keep so many accounts signed in."""

    def __init__(self, url: str, place: str, courier: str) -> None:
        self.storage = PostgresStorage(
            url, config_dir=f"{place}/c", state_dir=f"{place}/one", environ={}
        )
        self.assembly = Assembly.open(
            storage=self.storage,
            config_dir=f"{place}/c",
            environ={"STAYFAST_COURIER": courier, "STAYFAST_AUDIT": "none"},
        )

    def refresh(self, account: str) -> None:
        self.assembly.conductor.refresh.valid("demo", account, force=True)

    def rate(self, threads: int) -> float:
        """Refreshes per second of so many threads, each with an account of its own."""
        done = [0] * threads
        for number in range(threads):  # a worker that has to be started first is no part of it
            self.refresh(f"a{number}")
        end = time.perf_counter() + SECONDS

        def work(number: int) -> None:
            while time.perf_counter() < end:
                self.refresh(f"a{number}")
                done[number] += 1

        crowd = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
        began = time.perf_counter()
        for one in crowd:
            one.start()
        for one in crowd:
            one.join()
        return sum(done) / (time.perf_counter() - began)


def sessions(server: PostgresServer, database: str) -> int:
    """How many sessions this database has had."""
    ((count,),) = server.execute(
        "postgres", f"SELECT sessions FROM pg_stat_database WHERE datname = '{database}'"
    )
    return int(count)


def compare(url: str, place: str, courier: str, threads: int) -> None:
    """Slices of both in turn, since machines are noisy; the ratio is the median of the pairs."""
    inline, other = Program(url, place, "inline"), Program(url, place, courier)
    pairs = [(inline.rate(threads), other.rate(threads)) for _ in range(SLICES)]
    base, own = (statistics.median(column) for column in zip(*pairs, strict=True))
    name = f"{threads} threads refresh, courier {courier}, against inline"
    print(f"{name:<52} {base:9.1f} /s {own:9.1f} /s   {spread(pairs)}", flush=True)
    slower = spread([(rate, wanted) for wanted, rate in pairs])  # the page has times, not rates
    kept(name=name, base_ms=1e3 / base, ms=1e3 / own, wall=slower, goal=GOAL)
    inline.storage.close()
    other.storage.close()


def measure(server: PostgresServer, config: OAuthConfig, place: str) -> None:
    """All couriers over the same logins, and how many sessions the server had for them."""
    database = server.new_database()
    url = server.url(database)
    setup = Program(url, place, "inline")
    for number in range(max(CROWDS)):
        setup.assembly.conductor.sign_in(config, InstantTransport(approve), account=f"a{number}")
    setup.storage.close()
    before = sessions(server, database)
    for courier in ("spawn", "fork"):
        for threads in CROWDS:
            compare(url, place, courier, threads)
    compare(url, place, "auto", 1)
    time.sleep(1.0)  # the server counts a session when it has ended
    print(f"{'sessions for all of these':<52} {sessions(server, database) - before:9}")


def main() -> None:
    provider = ProviderApart()
    server = PostgresServer(durable=True)
    try:
        server.start()
        with tempfile.TemporaryDirectory() as place:
            measure(server, provider.config(), place)
    finally:
        server.remove()
        provider.end()


if __name__ == "__main__":
    main()
