"""HTTP for the embedded authorization server, and the faults that HTTP can show."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64encode
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, urlsplit

from .client_certificates import HEADER
from .endpoints import Endpoints, Reply
from .misbehaviour.faults import INSTEAD, FaultKind
from .server_state import Seen

if TYPE_CHECKING:
    from .misbehaviour.faults import Fault


def make_handler(endpoints: Endpoints) -> type[BaseHTTPRequestHandler]:
    """A handler class for ``endpoints``."""

    class Handler(_Handler):
        answers = endpoints

    return Handler


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[Endpoints]
    protocol_version = "HTTP/1.1"
    timeout = 30.0
    # head and body are two writes; with Nagle's algorithm the second one waits up to 40 ms
    disable_nagle_algorithm = True

    def handle(self) -> None:
        # tests kill clients, which resets the connection; and some refuse the server's certificate
        with suppress(ConnectionError, ssl.SSLError):
            super().handle()

    def do_GET(self) -> None:
        self._serve(_members(urlsplit(self.path).query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        if self.headers.get("Content-Type", "").startswith("application/json"):
            members = {
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in json.loads(body).items()
            }
        else:
            members = _members(body)
        self._serve(members)

    def _serve(self, members: dict[str, str]) -> None:
        server = self.answers.server
        path = urlsplit(self.path).path
        name, grant = path.strip("/"), members.get("grant_type")
        with server.state.lock:
            server.state.counts[name] += 1
            if grant is not None:
                server.state.counts[f"{name}:{grant.rpartition(':')[2]}"] += 1
            server.state.requests.append(
                Seen(self.command, path, tuple(sorted(members)), "Authorization" in self.headers)
            )
        # counted before any fault: a test asserts what was sent, also where no answer came
        fault = server.take_fault(name, grant)
        if fault is not None and self._instead(fault):
            return
        with server.state.lock:
            reply = self.answers.answer(self.command, path, members, self._all_headers())
        if fault is not None:
            if fault.kind is FaultKind.DROP_AFTER:
                self._drop()
                return
            if fault.kind is FaultKind.SLOW:
                server.hold(fault.seconds)
            reply = self.answers.spoiled(reply, fault)
        self._send(reply)

    def _all_headers(self) -> dict[str, str]:
        """The headers, and the client's certificate as a gateway would hand it on."""
        headers = {name: value for name, value in self.headers.items() if name.title() != HEADER}
        if isinstance(self.connection, ssl.SSLSocket):
            certificate = self.connection.getpeercert(binary_form=True)
            if certificate is not None:
                headers[HEADER] = f":{b64encode(certificate).decode('ascii')}:"
        return headers

    def _instead(self, fault: Fault) -> bool:
        """Answer with ``fault`` alone. False if the request must still be answered."""
        if fault.kind is FaultKind.DROP_BEFORE:
            self._drop()
            return True
        if fault.kind is FaultKind.HANG:
            self.answers.server.hold(fault.seconds)
        if fault.kind is FaultKind.ERROR:
            members = {"error": "invalid_request", **fault.members}
            self._send(Reply(fault.status, members, fault.headers))
            return True
        if fault.kind is FaultKind.ANSWER:
            self._send(Reply(fault.status, fault.body, fault.headers))
            return True
        if fault.kind in INSTEAD:
            status, body, headers = INSTEAD[fault.kind]
            self._send(Reply(status, body, {**headers, **fault.headers}))
            return True
        return False

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, reply: Reply) -> None:
        headers = dict(reply.headers)
        if isinstance(reply.body, bytes):
            octets = reply.body
        elif isinstance(reply.body, str):
            octets = reply.body.encode()
        else:
            octets = json.dumps(reply.body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            self.send_response_only(reply.status)
            headers.setdefault("Date", self.date_time_string())
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)
        except OSError:  # the client has gone, because a test killed it
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The ``Date`` header by the server's own clock: a test may have set it to another day."""
        own = self.answers.server.state.now()
        return super().date_time_string(own if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Write no access log: standard error belongs to the test or the demo."""


def _members(text: str) -> dict[str, str]:
    """The parameters in ``text``. Several resources (RFC 8707) are joined by blanks."""
    pairs = parse_qsl(text, keep_blank_values=True)
    resources = [value for name, value in pairs if name == "resource"]
    return {**dict(pairs), **({"resource": " ".join(resources)} if resources else {})}
