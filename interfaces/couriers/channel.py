"""The line between a courier and the process that sent it.

It carries whole messages and open files (:class:`Channel`). What a courier's process commits is sent
home as events for the observers there, and with ``-vv`` each of its requests as lines for people
(:class:`EventForwarder`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from ...engine import cbor
from .wire import pack_events, pack_lines

if TYPE_CHECKING:
    from typing import Self

    from ...engine.audit.events import Recorded
    from ...engine.ports import Observer
    from ...engine.record import Login
    from ..http import RequestsHttp

_SIZE: Final = Struct(">I")
_LIMIT: Final = 16 * 1024 * 1024
_MOST_FILES: Final = 8


class Channel:
    """One end of a private socket."""

    def __init__(self, end: socket.socket) -> None:
        """Speak over ``end``."""
        self._end = end

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Both ends of a new line."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._end.fileno()

    def send(self, message: bytes, files: Sequence[int] = ()) -> None:
        """Send ``message``, and the open ``files`` with it.

        Raises:
            OSError: The other end is gone.
        """
        whole = _SIZE.pack(len(message)) + message
        if not files:
            self._end.sendall(whole)
            return
        sent = socket.send_fds(self._end, [whole], list(files))
        self._end.sendall(whole[sent:])

    def receive(self) -> tuple[Mapping[str, Any], list[int]] | None:
        """The next message and the files that came with it; ``None`` if the other end is gone."""
        try:
            head, files = self._first()
            while len(head) < _SIZE.size:
                head += self._more(_SIZE.size - len(head))
            (size,) = _SIZE.unpack_from(head)
            message = bytearray(head[_SIZE.size :])
            if size > _LIMIT:
                return None
            while len(message) < size:
                message += self._more(size - len(message))
            return cbor.decode_map(bytes(message)), files
        except (OSError, EOFError, cbor.CborError):
            return None

    def _first(self) -> tuple[bytes, list[int]]:
        head, files, _flags, _from = socket.recv_fds(self._end, _SIZE.size, _MOST_FILES)
        if not head:
            raise EOFError
        return head, list(files)

    def _more(self, octets: int) -> bytes:
        piece = self._end.recv(octets)
        if not piece:
            raise EOFError
        return piece

    def finish(self) -> None:
        """Send nothing more, and wait until the other end is closed; what still comes is dropped."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)
        while self.receive() is not None:
            pass

    def close(self) -> None:
        """Close this end."""
        self._end.close()


class EventForwarder:
    """Passes events to observers; in a courier's process, to those of the process that sent it."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        """Pass events to ``observers``."""
        self._observers = tuple(observers)
        self._away: Channel | None = None
        self._show: Callable[[Sequence[str]], None] | None = None

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """``recorded`` has just been committed; ``login`` is the record it led to."""
        if self._away is None:
            for observer in self._observers:
                observer.observe(recorded, login)
            return
        # if the other end is gone, the event is in the log: the next process reads on from there
        with suppress(OSError):
            self._away.send(pack_events(recorded, login))

    def show_requests(
        self, http: RequestsHttp, show: Callable[[Sequence[str]], None] | None = None
    ) -> None:
        """Show each request of ``http``: with ``show``, and from a courier's process at home."""
        from ..http_lines import http_lines  # noqa: PLC0415  with -vv only

        self._show = show
        http.heard = lambda request, answer, took: self.show(http_lines(request, answer, took))

    def show(self, lines: Sequence[str]) -> None:
        """Show ``lines``, which say of a request what may be said."""
        if self._away is not None:
            with suppress(OSError):
                self._away.send(pack_lines(lines))
        elif self._show is not None:
            self._show(lines)

    def leave(self, channel: Channel) -> None:
        """From now on this is a courier's process, and ``channel`` leads home."""
        self._away = channel
