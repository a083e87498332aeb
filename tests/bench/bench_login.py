"""A whole login with every transition saved, against a bare one: a socket, two requests, nothing saved.

The server and the browser are in a process of their own. The second row has the floor of the first:
the bare login, and as many bare commits as a login makes, so that what the disk takes is seen apart
from what the login takes.
"""

import http.client
import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

from conductors import conductor_over
from elsewhere import Elsewhere
from ratios import measured
from stayfast.engine.oauth.pkce import PKCEChallenge
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.host import SystemClock
from stayfast.storage.vault.schema import TABLES, set_pragmas
from stayfast.transports.loopback.transport import LoopbackTransport

VERIFIER = "v" * 43
COMMITS = 3
"""Of a login by a port: its first two steps are one commit (``tests/conductor/test_first_commit.py``)."""
ROUNDS = 60
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone"


with Elsewhere() as elsewhere, tempfile.TemporaryDirectory() as place:
    config = elsewhere.config
    storage = EncryptedFileStorage(f"{place}/s", config_dir=f"{place}/c", environ={})
    conductor = conductor_over(storage)
    transport = LoopbackTransport(elsewhere, elsewhere, SystemClock())

    def baseline() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            redirect_uri = f"http://127.0.0.1:{listening.getsockname()[1]}/callback"
            query = {
                "response_type": "code", "client_id": config.client_id, "state": "s",
                "redirect_uri": redirect_uri, "scope": "offline_access",
                "code_challenge": PKCEChallenge.from_verifier(VERIFIER).code_challenge,
                "code_challenge_method": "S256",
            }  # fmt: skip
            elsewhere.open(f"{config.auth_url}?{urlencode(query)}")
            client, _ = listening.accept()
            with client:
                target = client.recv(65536).split(b" ")[1].decode()
                client.sendall(PAGE)
        form = {
            "grant_type": "authorization_code", "client_id": config.client_id,
            "code": parse_qs(urlsplit(target).query)["code"][0],
            "redirect_uri": redirect_uri, "code_verifier": VERIFIER,
        }  # fmt: skip
        connection = http.client.HTTPConnection(urlsplit(config.token_url).netloc)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/token", urlencode(form), kind)
        assert connection.getresponse().read().startswith(b"{")
        connection.close()

    bare = sqlite3.connect(f"{place}/bare.db", isolation_level=None)
    bare.executescript(TABLES)
    set_pragmas(bare)

    def floor() -> None:
        baseline()
        for _ in range(COMMITS):
            bare.execute("BEGIN IMMEDIATE")
            bare.execute(
                "INSERT OR REPLACE INTO login VALUES ('l', 1, 0, 's', 1, NULL, ?, ?)",
                (os.urandom(300), os.urandom(700)),
            )
            bare.execute("INSERT INTO audit VALUES (NULL, ?, ?)", (os.urandom(400), b"m" * 32))
            bare.execute(
                "INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (os.urandom(130), b"m" * 32)
            )
            bare.execute("COMMIT")

    def ours() -> None:
        conductor.sign_in(config, transport)

    def timed(login: Callable[[], None]) -> Callable[[], float]:
        def once() -> float:
            began = time.perf_counter()
            login()
            took = time.perf_counter() - began
            elsewhere.settle()
            return took

        return once

    for name, against, work, goal in (
        ("a whole login, against a bare one", baseline, ours, 2.3),
        ("a bare login and bare commits, against it alone", baseline, floor, None),
        ("a whole login, against a bare one and bare commits", floor, ours, None),
    ):
        measured(name, timed(against), timed(work), ROUNDS, goal)
    bare.close()
