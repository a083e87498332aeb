"""Commit, read and crowds over PostgreSQL, against bare psycopg doing the same in the same run."""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier

import psycopg
import two_hosts
from caller_kills import approve
from instant import InstantTransport
from postgres_server import PostgresServer
from ratios import row
from stayfast.engine.codec import encode_login
from stayfast.storage.postgres import PostgresStorage
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.testing.misbehaviour import Fault, FaultKind
from stayfast.testing.storage_contract import change, finished, further, saved

BARE = """
CREATE TABLE login (id TEXT PRIMARY KEY, version BIGINT, meta BYTEA, secret BYTEA);
ALTER TABLE login ALTER COLUMN secret SET STORAGE EXTERNAL;
CREATE TABLE audit (seq BIGINT PRIMARY KEY, body BYTEA, mac BYTEA);
CREATE TABLE head (one INTEGER PRIMARY KEY, body BYTEA);
INSERT INTO head VALUES (1, '');
"""
ANSWER = 0.1  # seconds the provider takes
PROCESSES = 32
WRITERS, WRITES = 8, 40


def opened(server: PostgresServer, database: str, place: str) -> PostgresStorage:
    return PostgresStorage(
        server.url(database), config_dir=f"{place}/c", state_dir=f"{place}/one", environ={}
    )


def single(server: PostgresServer, place: str) -> None:
    """One process, one login after another."""
    storage = opened(server, server.new_database(), place)
    login = finished("demo")
    saved(storage, [login])
    bare = psycopg.connect(server.url(server.new_database()), autocommit=True)
    bare.execute(BARE.encode())
    meta, secret = (os.urandom(len(part) + 28) for part in encode_login(login))
    bare.execute("INSERT INTO login VALUES (%s, 0, %s, %s)", (login.id, meta, secret))
    numbers = iter(range(1, 1_000_000))

    def write() -> None:
        with bare.transaction():
            bare.execute("SELECT body FROM head FOR UPDATE").fetchone()
            bare.execute(
                "UPDATE login SET version = version + 1, meta = %s, secret = %s WHERE id = %s",
                (meta, secret, login.id),
            )
            bare.execute(
                "INSERT INTO audit VALUES (%s, %s, %s)", (next(numbers), os.urandom(400), b"m" * 32)
            )
            bare.execute("UPDATE head SET body = %s", (os.urandom(130),))

    newest = [login]

    def ours() -> None:
        newest.append(further(newest.pop()))
        storage.commit([change(newest[0])])

    row("a saved transition, against the bare transaction", write, ours, 300)
    row(
        "a login read, against the bare row",
        lambda: bare.execute("SELECT * FROM login WHERE id = %s", (login.id,)).fetchone(),
        lambda: storage.read(login.id),
        300,
    )

    def lend() -> None:
        with storage.lease("0" * 26, wait=0):
            pass

    row(
        "a lease taken and given back, against two updates",
        lambda: [bare.execute("UPDATE head SET body = %s", (b"x",)) for _ in range(2)],
        lend,
        300,
    )
    storage.close()
    bare.close()


def write_many(url: str, place: str, together: Barrier) -> None:
    """What each writer does: transitions of a login of its own."""
    storage = PostgresStorage(url, config_dir=f"{place}/c", state_dir=f"{place}/one", environ={})
    login = finished(f"demo{os.getpid()}")
    saved(storage, [login])
    together.wait()
    for _ in range(WRITES):
        login = further(login)
        storage.commit([change(login)])
    together.wait()
    storage.close()


def writers(server: PostgresServer, place: str) -> None:
    """Many processes that write logins of their own into one audit chain."""
    database = server.new_database()
    opened(server, database, place).probe()
    spawning = multiprocessing.get_context("spawn")
    together = spawning.Barrier(WRITERS + 1)
    crowd = [
        spawning.Process(target=write_many, args=(server.url(database), place, together))
        for _ in range(WRITERS)
    ]
    for writer in crowd:
        writer.start()
    together.wait()
    began = time.perf_counter()
    together.wait()
    rate = WRITERS * WRITES / (time.perf_counter() - began)
    for writer in crowd:
        writer.join()
    print(f"{f'{WRITERS} processes write into one audit chain':<52} {rate:9.0f} transitions/s")


def crowds(server: PostgresServer, place: str) -> None:
    """Two hosts of processes at expiries; the longest but one in twenty, against one answer."""
    database = server.new_database()
    with AuthorizationServer() as provider:
        assembly = two_hosts.assembly(server.url(database), place, "one")
        config = provider.config()
        assembly.conductor.sign_in(config, InstantTransport(approve))
        provider.misbehave("token", Fault(kind=FaultKind.SLOW, seconds=ANSWER), times=None)
        done = subprocess.run(
            [sys.executable, two_hosts.__file__, server.url(database), place,
             str(PROCESSES // 2), "10", "unharmed"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assembly.storage.close()
    p95 = json.loads(done.stdout)["p95_ms"] / 1e3
    print(
        f"{f'{PROCESSES} processes on two hosts, p95, against the answer':<52}"
        f" {ANSWER * 1e3:9.3f} ms {p95 * 1e3:9.3f} ms   x {p95 / ANSWER:.2f}"
    )


def main() -> None:
    server = PostgresServer(durable=True)
    try:
        server.start()
        for measure in (single, writers, crowds):
            with tempfile.TemporaryDirectory() as place:
                measure(server, place)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
