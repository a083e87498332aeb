"""A listener on loopback addresses that no client can block.

It serves a handful of requests, from one loop and without a thread per connection. Any program on
this machine, and any web page in its browser, can connect as well. So every connection has a
deadline and a size limit: a slow, silent, huge or half-open client holds one of
:data:`_CONNECTIONS` places for a while, and nothing else.
"""

from __future__ import annotations

import errno
import selectors
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ...engine.errors import TransportUnavailable
from .http_message import Request, RequestReader, render_response

if TYPE_CHECKING:
    from .redirect import Redirect

_CONNECTIONS: Final = 128  # open at once; a process may have 256 descriptors on macOS
_QUEUE: Final = 1024  # connections that wait in the kernel meanwhile; it may allow fewer
_PATIENCE: Final = 10.0  # seconds a client has for its whole request
# A newcomer may take the place of the oldest connection, but not within this time. Without it, a
# flood of connections would push the browser's own out before its request is read.
_GRACE: Final = 0.5
_PIECE: Final = 16 * 1024
_MOMENT: Final = 0.0005  # seconds between a connection and its first octets
# An answer is small and fits into the socket's buffer. A client that does not even take that much
# must not delay the login.
_SEND_PATIENCE: Final = 1.0
_NO_SUCH_FAMILY: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})


@dataclass(eq=False)
class ClientConnection:
    """One client whose request has not fully arrived."""

    socket: socket.socket
    deadline: float
    reader: RequestReader = field(default_factory=RequestReader)


@dataclass(frozen=True)
class Caller:
    """A complete request, and where its answer goes."""

    request: Request
    socket: socket.socket

    def answer(self, octets: bytes) -> None:
        """Send ``octets`` and hang up. It is no error if the client has gone."""
        with self.socket, suppress(OSError):
            self.socket.settimeout(_SEND_PATIENCE)
            self.socket.sendall(octets)
            # close alone may send a reset, and the browser would drop the page it has not read yet
            self.socket.shutdown(socket.SHUT_WR)


def bind(redirect: Redirect) -> Listener:
    """A listener on the first port of ``redirect`` that is free in all its address families.

    Raises:
        TransportUnavailable: Every port is taken.
    """
    for port in redirect.ports:
        sockets, bound = _bind_all(redirect.addresses, port)
        if sockets:
            return Listener(sockets, bound)
    tried = ", ".join(str(port) for port in redirect.ports)
    raise TransportUnavailable(
        f"no port for the answer is free on this machine (tried {tried})",
        hint="choose with --via manual",
    )


def _bind_all(addresses: tuple[str, ...], port: int) -> tuple[list[socket.socket], int]:
    """Sockets for every address, and their common port; no socket if one address is taken.

    ``localhost`` needs both families: the browser chooses one, and a stranger's listener on the
    other would receive the code.
    """
    bound: list[socket.socket] = []
    for address in addresses:
        try:
            one = _bind_one(address, port)
        except OSError as error:
            if error.errno in _NO_SUCH_FAMILY:
                continue  # a machine without IPv6
            for other in bound:
                other.close()
            return [], port
        bound.append(one)
        port = port or one.getsockname()[1]  # any free port: the same in every family
    return bound, port


def _bind_one(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # on Windows, SO_REUSEADDR would let another program bind the port too and get the code
            one.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # a port stays busy for a minute after its last connection; a resumed login needs it now
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # one socket for both families would also take IPv4, which is bound by itself
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address, port))
        one.listen(_QUEUE)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one


class Listener:
    """Bound sockets, and the clients on them.

    Attributes:
        port: The port of every socket.
    """

    # Kept by the class: freezegun replaces the names of modules, and a wait by a clock that stands
    # still would never end.
    _now = staticmethod(time.monotonic)

    def __init__(self, sockets: list[socket.socket], port: int) -> None:
        """Listen on ``sockets``, which share ``port``."""
        self._sockets = sockets
        self._open_selector: selectors.BaseSelector | None = None
        self._connections: deque[ClientConnection] = deque()
        self._ready: deque[Caller] = deque()
        self._unread = 0  # what came and was no request, and was not told yet
        self.port = port

    @property
    def _selector(self) -> selectors.BaseSelector:
        """The selector of all descriptors.

        It is made at the first wait, when the user already sees the address: nothing that can
        wait delays the browser.
        """
        if self._open_selector is None:
            self._open_selector = selectors.DefaultSelector()
            for one in self._sockets:
                self._open_selector.register(one, selectors.EVENT_READ)
        return self._open_selector

    def next(self, seconds: float, also: int | None = None) -> Caller | None:
        """The next complete request; ``None`` after ``seconds``, or when ``also`` is readable.

        It is ``None`` as well when something came that is no request: see :meth:`take_unread`.

        Args:
            seconds: How long to wait.
            also: A further descriptor; its input ends the wait.
        """
        deadline = self._now() + seconds
        if also is not None:
            self._selector.register(also, selectors.EVENT_READ)
        try:
            while not self._ready and not self._unread:
                left = deadline - self._now()
                if left <= 0:
                    return None
                if self._pump(min(left, 1.0), also):
                    return None
            return self._ready.popleft() if self._ready else None
        finally:
            if also is not None:
                self._selector.unregister(also)

    def take_unread(self) -> bool:
        """Whether something came that is no HTTP, or too much of it. It was answered; each is told once."""
        if not self._unread:
            return False
        self._unread -= 1
        return True

    def _pump(self, seconds: float, also: int | None) -> bool:
        """Accept, read and expire connections. True if ``also`` is readable and no request is."""
        other = False
        for key, _ in self._select(seconds):
            if key.fileobj is also:
                other = True
            elif isinstance(key.data, ClientConnection):
                # an earlier event of this round may have dropped it to make room
                if key.data in self._connections:
                    self._read_more(key.data)
            elif isinstance(key.fileobj, socket.socket):
                self._accept(key.fileobj)
        now = self._now()
        # all connections have the same patience, so the oldest is always the first to expire
        while self._connections and self._connections[0].deadline <= now:
            with suppress(OSError):
                late = self._connections[0].socket
                late.send(render_response(HTTPStatus.REQUEST_TIMEOUT))
            self._drop(self._connections[0])
        return other and not self._ready

    def _select(self, seconds: float) -> list[tuple[selectors.SelectorKey, int]]:
        """The descriptors that are ready within ``seconds``.

        While all places are taken and the oldest connection is within its grace, the listening
        sockets are left out: newcomers wait in the kernel's queue, and the loop does not spin.
        """
        if len(self._connections) < _CONNECTIONS:
            return self._selector.select(seconds)
        room = self._connections[0].deadline - _PATIENCE + _GRACE - self._now()
        if room <= 0:
            return self._selector.select(seconds)
        for one in self._sockets:
            self._selector.unregister(one)
        try:
            return self._selector.select(min(seconds, room))
        finally:
            for one in self._sockets:
                self._selector.register(one, selectors.EVENT_READ)

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _address = listening.accept()
        except OSError:
            return
        if len(self._connections) >= _CONNECTIONS:
            self._drop(self._connections[0])  # the oldest is past its grace
        # A browser sends its whole request at once. One short blocking read gets it without a
        # second round of the selector; with others waiting, nothing may block.
        client.settimeout(0.0 if self._connections else _MOMENT)
        connection = ClientConnection(client, self._now() + _PATIENCE)
        if self._read(connection):
            client.setblocking(False)
            self._connections.append(connection)
            self._selector.register(client, selectors.EVENT_READ, connection)

    def _read_more(self, connection: ClientConnection) -> None:
        if not self._read(connection):
            self._forget(connection)

    def _read(self, connection: ClientConnection) -> bool:
        """Read what ``connection`` has sent. True if its request is not complete yet."""
        try:
            octets = connection.socket.recv(_PIECE)
        except (BlockingIOError, TimeoutError):
            return True
        except OSError:
            octets = b""
        outcome = connection.reader.feed(octets) if octets else None
        if isinstance(outcome, Request):
            self._ready.append(Caller(outcome, connection.socket))
            return False
        if outcome is not None:
            self._unread += 1
            with suppress(OSError):
                connection.socket.send(render_response(outcome))
        if outcome is not None or not octets:
            connection.socket.close()
            return False
        return True

    def _forget(self, connection: ClientConnection) -> None:
        self._selector.unregister(connection.socket)
        self._connections.remove(connection)

    def _drop(self, connection: ClientConnection) -> None:
        self._forget(connection)
        connection.socket.close()

    def close(self) -> None:
        """Close the port and every connection. A second call does nothing."""
        for connection in list(self._connections):
            self._drop(connection)
        for caller in self._ready:
            caller.socket.close()
        self._ready.clear()
        for one in self._sockets:
            one.close()
        if self._open_selector is not None:
            self._open_selector.close()
