"""Refreshes through a worker, against the same refreshes made by the process itself, on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from multiprocessing.connection import Connection

from caller_kills import approve
from instant import InstantTransport
from postgres_server import PostgresServer
from stayfast.engine.oauth.provider import OAuthConfig
from stayfast.interfaces.assembly import Assembly
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.authorization_server import AuthorizationServer

SECONDS = 4.0


def provide(line: Connection) -> None:
    """A provider in a process of its own: it must not share the lock of the interpreter with us."""
    with AuthorizationServer() as provider:
        line.send(provider.config())
        line.recv()


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


def measure(server: PostgresServer, config: OAuthConfig, place: str) -> None:
    """Both couriers in turn, over the same logins."""
    database = server.new_database()
    url = server.url(database)
    setup = Program(url, place, "inline")
    for number in range(8):
        setup.assembly.conductor.sign_in(config, InstantTransport(approve), account=f"a{number}")
    for threads in (1, 8):
        rates: dict[str, float] = {}
        for courier in ("inline", "spawn", "fork"):
            if courier == "fork" and threads > 1:
                continue
            program = Program(url, place, courier)
            before = sessions(server, database)
            rates[courier] = program.rate(threads)
            program.storage.close()
            del program
            time.sleep(0.5)  # the server counts a session when it has ended
            opened = sessions(server, database) - before
            print(
                f"{f'{threads} threads, {courier}':<52} {rates[courier]:9.1f} refreshes/s"
                f"   x {rates[courier] / rates['inline']:.2f}   {opened} sessions"
            )


def main() -> None:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    provider = spawning.Process(target=provide, args=(theirs,))
    provider.start()
    config = ours.recv()
    server = PostgresServer(durable=True)
    try:
        server.start()
        with tempfile.TemporaryDirectory() as place:
            measure(server, config, place)
    finally:
        server.remove()
        ours.send(None)
        provider.join()


if __name__ == "__main__":
    main()
