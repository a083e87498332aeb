"""A protected resource in the test's own process, such as an MCP server: challenges and metadata.

It accepts the tokens of an :class:`~.authorization_server.AuthorizationServer`, and says where its
users are to sign in (RFC 9728)::

    with AuthorizationServer(Settings(registration=True)) as server, ResourceServer(server) as resource:
        service.authenticate(resource.address)

What it publishes is data, by path, and may be replaced while it runs (:attr:`ResourceServer.pages`).
:mod:`.misbehaviour.resources` has what hostile ones publish.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from .loopback_server import LoopbackServer

if TYPE_CHECKING:
    from .authorization_server import AuthorizationServer
    from .server_state import IssuedToken

PATH: Final = "/team/mcp"
WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one path answers.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        members: The body, sent as JSON.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    members: Mapping[str, Any] | None = None


class ResourceServer:
    """The resource; a context manager that starts and stops it.

    Attributes:
        server: Whose tokens it accepts.
        address: The address of the resource.
        origin: Its scheme, host and port.
        pages: What it publishes, by path.
        scopes: The scopes that a token needs.
        challenge: The header of a refusal; ``None`` for the usual one, and empty for no header.
        stronger: The header that answers also a token with every scope; ``None`` for none.
        counts: How often each path was asked, and ``accepted``, ``refused`` and ``stepped_up``.
    """

    def __init__(self, server: AuthorizationServer, *, scopes: tuple[str, ...] = ()) -> None:
        """A resource that is not running yet."""
        self.server = server
        self.scopes = scopes
        self.pages: dict[str, Page] = {}
        self.challenge: str | None = None
        self.stronger: str | None = None
        self.counts: Counter[str] = Counter()
        self.origin = ""
        self.address = ""
        self._http: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._http = LoopbackServer()
        self.origin = f"http://{self._http.place}"
        self.address = f"{self.origin}{PATH}"
        self._http.RequestHandlerClass = _handler(self)
        self.publish(self.metadata())
        self._http.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._http is not None:
            self._http.stop()

    def metadata(self, **members: Any) -> dict[str, Any]:
        """The usual metadata, with ``members`` instead of its own."""
        usual: dict[str, Any] = {
            "resource": self.address,
            "authorization_servers": [self.server.issuer],
            "scopes_supported": list(self.scopes),
        }
        return {**usual, **members}

    def publish(self, members: Mapping[str, Any], place: str = f"{WELL_KNOWN}{PATH}") -> None:
        """Publish ``members`` at ``place``."""
        self.pages[place] = Page(members=members)

    def answer(self, path: str, authorization: str) -> Page:
        """What ``path`` answers to a request with that ``Authorization`` header."""
        self.counts[path] += 1
        page = self.pages.get(path)
        if page is not None or path != urlsplit(self.address).path:
            return page or Page(status=404)
        issued = self._issued(authorization)
        if issued is None:
            self.counts["refused"] += 1
            place = f'resource_metadata="{self.origin}{WELL_KNOWN}{PATH}"'
            usual = f'Bearer {place}, scope="{" ".join(self.scopes)}"'
            return _refused(401, usual if self.challenge is None else self.challenge)
        missing = set(self.scopes) - set(issued.scope.split())
        if missing or self.stronger is not None:
            self.counts["stepped_up"] += 1
            wanted = f'Bearer error="insufficient_scope", scope="{" ".join(self.scopes)}"'
            return _refused(403 if self.stronger is None else 401, self.stronger or wanted)
        self.counts["accepted"] += 1
        return Page(members={"jsonrpc": "2.0", "id": 1, "result": {}})

    def _issued(self, authorization: str) -> IssuedToken | None:
        """The response whose access token is in that header, if the token is valid."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer":
            return None
        state = self.server.state
        with state.lock:
            issued = state.by_access_token(token)
            return issued if issued is not None and state.valid(issued) else None


def _refused(status: int, challenge: str) -> Page:
    return Page(status=status, headers={"WWW-Authenticate": challenge} if challenge else {})


def _handler(resource: ResourceServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        served = resource

    return Handler


class _Handler(BaseHTTPRequestHandler):
    served: ClassVar[ResourceServer]
    protocol_version = "HTTP/1.1"
    timeout = 30.0
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer."""
        page = self.served.answer(urlsplit(self.path).path, self.headers.get("Authorization", ""))
        octets = b"" if page.members is None else json.dumps(page.members).encode()
        with suppress(OSError):  # a test may have ended the client
            self.send_response_only(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            if octets:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

    def do_POST(self) -> None:
        """Read the body, and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Write no access log."""
