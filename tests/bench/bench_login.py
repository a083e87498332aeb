"""A whole login with every transition saved, against the two bare requests of its exchange.

The second row has the floor of the first: the same requests, and as many bare commits as a login
makes, so that what the disk takes is seen apart from what the login takes.
"""

import http.client
import os
import sqlite3
import tempfile
import threading
from urllib.parse import urlencode, urlsplit

from conductors import conductor_over
from ratios import row
from stayfast.engine.oauth.pkce import PKCEChallenge
from stayfast.storage import EncryptedFileStorage
from stayfast.storage.host import SystemClock
from stayfast.storage.vault.schema import TABLES, set_pragmas
from stayfast.testing import user_agent
from stayfast.testing.authorization_server import AuthorizationServer
from stayfast.transports.loopback.transport import LoopbackTransport

VERIFIER = "v" * 43
COMMITS = 3
"""Of a login by a port: its first two steps are one commit (``tests/conductor/test_first_commit.py``)."""


class Browser:
    """The same scripted browser on both sides."""

    def show(self, notice: object) -> None:
        """Nothing is shown."""

    def open(self, url: str) -> None:
        threading.Thread(target=user_agent.approve, args=(url,)).start()


with AuthorizationServer() as server, tempfile.TemporaryDirectory() as place:
    config = server.config(scopes=("offline_access",))
    storage = EncryptedFileStorage(f"{place}/s", config_dir=f"{place}/c", environ={})
    conductor = conductor_over(storage)
    transport = LoopbackTransport(Browser(), Browser(), SystemClock())

    def baseline() -> None:
        query = {
            "response_type": "code", "client_id": config.client_id, "state": "s",
            "redirect_uri": "http://127.0.0.1:9/callback", "scope": "offline_access",
            "code_challenge": PKCEChallenge.from_verifier(VERIFIER).code_challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip
        callback = user_agent.fetch_only(f"{config.auth_url}?{urlencode(query)}")
        code = dict(pair.split("=") for pair in urlsplit(callback).query.split("&"))["code"]
        form = {
            "grant_type": "authorization_code", "code": code, "client_id": config.client_id,
            "redirect_uri": query["redirect_uri"], "code_verifier": VERIFIER,
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
                (os.urandom(400), os.urandom(2_000)),
            )
            bare.execute("INSERT INTO audit VALUES (NULL, ?, ?)", (os.urandom(400), b"m" * 32))
            bare.execute(
                "INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (os.urandom(130), b"m" * 32)
            )
            bare.execute("COMMIT")

    row(
        "a whole login, against its raw exchange",
        baseline,
        lambda: conductor.sign_in(config, transport),
        40,
        goal=2.3,
    )
    row("the exchange and bare commits, against it alone", baseline, floor, 40)
    row(
        "a whole login, against exchange and bare commits",
        floor,
        lambda: conductor.sign_in(config, transport),
        40,
    )
    bare.close()
