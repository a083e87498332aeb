"""Programs that ask a credential helper, and the servers that they ask with its answer."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest


def require(program: str) -> str:
    """The path of ``program``; skips, or fails where everything is required."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("STAYFAST_REQUIRE_ALL") and program == "git":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return found


class Guarded:
    """A server on a loopback port that answers who has a good token, and 401 to all others.

    Attributes:
        good: Whether a token is good.
        seen: The scheme of each request with credentials, and whether they were good.
        challenge: What a 401 says.
    """

    challenge = 'Basic realm="guarded"'

    def __init__(self, good: Callable[[str], bool], tls: ssl.SSLContext | None = None) -> None:
        self.good = good
        self.seen: list[tuple[str, bool]] = []
        guarded = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if not guarded.lets_in(self.headers.get("Authorization")):
                    self.answer(401, [("WWW-Authenticate", guarded.challenge)], b"")
                    return
                self.answer(*guarded.respond(self, body))

            do_POST = do_GET  # noqa: N815  the name that the base class looks for

            def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in [*headers, ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def lets_in(self, header: str | None) -> bool:
        """Whether the header has a good token, as a Bearer or as the password of a user."""
        if header is None:
            return False
        scheme, _, value = header.partition(" ")
        token = value
        if scheme == "Basic":
            token = base64.b64decode(value).decode().partition(":")[2]
        good = self.good(token)
        self.seen.append((scheme, good))
        return good

    def respond(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """The answer to who is let in."""
        del request, body
        return 200, [("Content-Type", "application/json")], b'{"major":"1","minor":"31"}'


class GitServer(Guarded):
    """A repository behind git's own http-backend."""

    def __init__(self, good: Callable[[str], bool], root: Path) -> None:
        super().__init__(good)
        self._root = root
        self._git = require("git")
        self.url = f"http://{self.host}/project.git"
        work = root / "work"
        quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **os.environ}
        for words in (
            ["init", "-q", str(work)],
            ["-C", str(work), "-c", "user.name=a", "-c", "user.email=a@b",
             "commit", "-q", "--allow-empty", "-m", "one"],
            ["clone", "-q", "--bare", str(work), str(root / "project.git")],
        ):  # fmt: skip
            subprocess.run([self._git, *words], check=True, env=quiet, timeout=180)

    def respond(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        path, _, query = request.path.partition("?")
        environ = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.command,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "ada",
        }
        done = subprocess.run(
            [self._git, "http-backend"], input=body, capture_output=True, env=environ,
            check=True, timeout=180,
        )  # fmt: skip
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((value for name, value in headers if name == "Status"), "200")
        kept = [(name, value) for name, value in headers if name != "Status"]
        return int(status.split()[0]), kept, answer
