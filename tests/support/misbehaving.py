"""A web server that answers as a test wants, over a real socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_TLS_HANDSHAKE = b"\x16"  # of somebody who takes us for a server with TLS

Behaviour = Callable[[socket.socket, threading.Event, bytes], None]
"""What to do on a connection, until the test is over, about a request."""


@dataclass
class Server:
    """Where it listens, and what it has been sent.

    Attributes:
        port: On 127.0.0.1.
        requests: Heads and bodies, one per request.
        connections: How many have been accepted.
        over: Set when the test is over: a dripping answer then stops.
    """

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def url(self, host: str = "127.0.0.1", scheme: str = "http", path: str = "/token") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def reply(body: bytes = b"", status: str = "200 OK", *headers: str) -> Behaviour:
    """Answer as a web server does."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return raw("\r\n".join(head).encode() + b"\r\n\r\n" + body)


def raw(octets: bytes) -> Behaviour:
    """Send ``octets`` and nothing else."""

    def behave(connection: socket.socket, over: threading.Event, request: bytes) -> None:
        del over, request
        connection.sendall(octets)

    return behave


def echo(connection: socket.socket, over: threading.Event, request: bytes) -> None:
    """Answer with the body of the request."""
    body = request.partition(b"\r\n\r\n")[2]
    reply(body)(connection, over, request)


def drip(head: bytes, pause: float = 0.02) -> Behaviour:
    """Send ``head``, then one octet at a time until the test or the client has had enough."""

    def behave(connection: socket.socket, over: threading.Event, request: bytes) -> None:
        del request
        connection.sendall(head)
        while not over.wait(pause):
            connection.sendall(b"x")

    return behave


def silence(connection: socket.socket, over: threading.Event, request: bytes) -> None:
    """Say nothing for as long as the test lasts."""
    del connection, request
    over.wait(30)


def reset(connection: socket.socket, over: threading.Event, request: bytes) -> None:
    """Tear the connection down without a word."""
    del over, request
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(connection: socket.socket, over: threading.Event, request: bytes) -> None:
    """Close the connection in good order, without an answer."""
    del connection, over, request


@contextmanager
def misbehaving(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server on 127.0.0.1 that reads each request, and then does ``behave``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener.getsockname()[1])
        threads: list[threading.Thread] = []
        open_connections: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                    open_connections.append(connection)
                with connection:
                    while (request := _request(connection)) is not None:
                        server.requests.append(request)
                        behave(connection, server.over, request)
                        if behave in (reset, hang_up):
                            return

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                server.connections += 1
                open_connections.append(connection)
                thread = threading.Thread(target=serve, args=(connection,), daemon=True)
                threads.append(thread)
                thread.start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            server.over.set()
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(5)
            for connection in open_connections:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            for thread in threads:
                thread.join(5)


def _request(connection: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
        if data[:1] == _TLS_HANDSHAKE:
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
         if line.startswith(b"content-length:")),
        0,
    )  # fmt: skip
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return head + b"\r\n\r\n" + body
