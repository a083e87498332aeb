"""Names of the internet that lead to this machine: a proxy behind which known hosts publish documents.

A program that is started with :attr:`Internet.environ` finds ``https://login.acme.test`` there, with a
certificate that holds. Hosts under ``.invalid`` are not found.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from certificates import server_context

Documents = Mapping[str, Mapping[str, Any]]


class Internet:
    """The hosts that there are.

    Attributes:
        asked: The addresses that were asked for, in order.
        environ: The variables by which a program finds the hosts.
    """

    def __init__(self, folder: Path, documents: Documents) -> None:
        """Publish ``documents``: by host and path, what is answered as JSON."""
        self.asked: list[str] = []
        self._documents = documents
        self._context = server_context(folder, names=tuple(documents))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.environ = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._door.getsockname()[1]}",
            "NO_PROXY": "127.0.0.1,localhost,.invalid",
            "REQUESTS_CA_BUNDLE": str(folder / "certificate.pem"),
        }
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            words = _head(client).split(" ")
            host = words[1].partition(":")[0]
            if words[0] != "CONNECT" or host not in self._documents:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context.wrap_socket(client, server_side=True) as inside:
                while (head := _head(inside)) != "":
                    self._answer(inside, host, head.split(" ")[1])

    def _answer(self, inside: ssl.SSLSocket, host: str, path: str) -> None:
        self.asked.append(f"https://{host}{path}")
        found = self._documents[host].get(path)
        body = json.dumps(found if found is not None else {"error": "not_found"}).encode()
        status = "200 OK" if found is not None else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        inside.sendall(head.encode() + body)


def _head(connection: socket.socket) -> str:
    """The head of the next request; empty when there is none."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        more = connection.recv(1 << 16)
        if not more:
            return ""
        octets += more
    return octets.decode()


@contextlib.contextmanager
def internet(folder: Path, documents: Documents) -> Generator[Internet]:
    """Those hosts, for as long as the block."""
    opened = Internet(folder, documents)
    try:
        yield opened
    finally:
        opened.close()


def metadata(issuer: str, **members: Any) -> dict[str, Any]:
    """The metadata of an issuer, with endpoints beside each other at its host."""
    base = issuer.rstrip("/")
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "device_authorization_endpoint": f"{base}/device",
        "jwks_uri": f"{base}/keys",
        "code_challenge_methods_supported": ["S256"],
        **members,
    }
