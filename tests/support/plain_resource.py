"""A resource server that answers as a test says, and keeps what arrived."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class _Resource(BaseHTTPRequestHandler):
    """Keeps what arrives; refuses tokens, or sends elsewhere."""

    seen: ClassVar[list[tuple[str, str | None, bytes]]]
    refused: ClassVar[set[str]]
    elsewhere: ClassVar[dict[str, str]]
    proofs: ClassVar[list[str | None]]
    challenges: ClassVar[dict[str, tuple[int, str]]]

    def do_GET(self) -> None:
        token = self.headers.get("Authorization")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        while self.headers.get("Transfer-Encoding") and (
            size := int(self.rfile.readline() or b"0", 16)
        ):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.close_connection = True
        self.seen.append((self.path, token, body))
        self.proofs.append(self.headers.get("DPoP"))
        target = self.elsewhere.get(self.path)
        status, challenge = self.challenges.get(self.path, (200, None))
        self.send_response(302 if target else 401 if token in self.refused else status)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815  the names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class says so
        """Say nothing."""


class Resource:
    """The server; it runs once it is made.

    Attributes:
        handler: ``seen`` (path, token and body of each request) and ``proofs``; and what a test
            changes: tokens that are ``refused``, paths that lead ``elsewhere``, and paths with
            ``challenges``: a status and a header.
        address: Its address.
    """

    def __init__(self) -> None:
        self.handler: Any = type(
            "Handler",
            (_Resource,),
            {"seen": [], "refused": set(), "elsewhere": {}, "proofs": [], "challenges": {}},
        )
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(60)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.handler.seen]

    @property
    def tokens(self) -> list[str | None]:
        return [token for _, token, _ in self.handler.seen]
