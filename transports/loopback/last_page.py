"""Who hands the last page to the browser, when the wait is over and the exchange is not.

The browser is sent on as soon as its answer has been taken: the code has left the address bar
before it is even exchanged. It arrives at an address that only it knows, and is held there until
there is a truth to tell. All this happens in a thread, so that neither the exchange nor the
command waits for a browser.
"""

from __future__ import annotations

import os
import threading
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from hmac import compare_digest
from http import HTTPStatus
from socket import socketpair
from typing import TYPE_CHECKING, Final

from . import page
from .http_message import render_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from .http_message import Request
    from .listener import Caller, Listener

DONE_PATH: Final = "/stayfast/done"
"""The last page is under it."""
HOLD: Final = 10.0
"""Seconds a browser is kept waiting for the truth."""
LINGER: Final = 1.0
"""Seconds the port stays open for a browser that has not come for its page yet."""
_LONGEST: Final = 120.0  # seconds, whatever happens to the login


class PageKeeper:
    """Has the listener from the answer on, and closes it when the browser has its page."""

    _now = staticmethod(time.monotonic)  # of the class: freezegun stops the module's

    def __init__(
        self,
        listener: Listener,
        answer: Request,
        *,
        foreign: Callable[[Request], bool],
        waiting: page.Page,
    ) -> None:
        """Keep a page that is not known yet.

        Args:
            listener: Whose callers are answered from now on.
            answer: The request that brought the answer; its sender gets the page.
            foreign: Whether a request was meant for another host.
            waiting: What a browser is told that would have to wait too long.
        """
        self._listener = listener
        self._answer = answer
        self._foreign = foreign
        self._waiting = page.respond(waiting)
        self._held: list[Caller] = []
        self._last: bytes | None = None
        self._hold_until = self._now() + HOLD
        self._stop_at = self._now() + _LONGEST
        self._closed = False
        self._sent_off = False
        self._bell, self._ring = socketpair()
        self._bell.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="stayfast-page")
        self.path = f"{DONE_PATH}/{urlsafe_b64encode(os.urandom(9)).decode()}"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self, last: page.Page) -> None:
        """From now on the page is ``last``."""
        self._last = page.respond(last)
        self._ring_bell()

    def leave(self) -> None:
        """Close the port as soon as the browser has its page, or after :data:`LINGER`."""
        if self._last is None:  # interrupted
            self._last = self._waiting
        late = 0.0 if self._sent_off else LINGER
        self._stop_at = min(self._stop_at, self._now() + late)
        self._ring_bell()
        if self._held or self._closed:  # it takes no longer than to hand the page over
            self._thread.join()

    def end(self) -> None:
        """Close the port, whoever still wants to come."""
        self._stop_at = self._now()
        self._ring_bell()
        self._thread.join()

    @property
    def port(self) -> int | None:
        """The port that is kept open; ``None`` once it is closed."""
        return None if self._closed else self._listener.port

    def _ring_bell(self) -> None:
        with suppress(OSError):  # the thread has gone home
            self._ring.send(b"!")

    def _run(self) -> None:
        try:
            while not self._closed and self._now() < self._stop_at:
                self._turn()
        finally:
            self._close(self._last or self._waiting)
            self._bell.close()
            self._ring.close()

    def _turn(self) -> None:
        """One request, one ring of the bell, or the end of a time."""
        until = min(self._hold_until, self._stop_at) if self._held else self._stop_at
        caller = self._listener.next(max(until - self._now(), 0.0), self._bell.fileno())
        if caller is not None:
            self._serve(caller)
        self._hear_bell()
        if self._last is not None and self._held:
            self._close(self._last)
        elif self._held and self._now() >= self._hold_until:
            self._sent_off = True
            self._answer_held(self._waiting)

    def _hear_bell(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(16)

    def _serve(self, caller: Caller) -> None:
        """Hold the browser that was sent here; everybody else gets an answer at once."""
        request = caller.request
        if self._foreign(request):  # the page may say who has signed in
            caller.answer(render_response(HTTPStatus.BAD_REQUEST))
        elif request.path == self.path and request.method == "GET":
            self._held.append(caller)
        elif request.path == self.path:
            caller.answer(page.not_allowed("GET", request.method))
        elif request.path.startswith(DONE_PATH):
            caller.answer(page.respond(page.over()))
        elif request.path != self._answer.path:
            caller.answer(page.not_found(request.method))
        elif self._same(request):  # a reload
            caller.answer(page.redirect(self.path))
        else:
            late = page.refused("this login has had its answer already")
            caller.answer(page.respond(late, HTTPStatus.BAD_REQUEST))

    def _same(self, request: Request) -> bool:
        """Whether ``request`` is the answer again; its sender knows ``state``, then."""
        return (
            request.method == self._answer.method
            and compare_digest(request.query.encode(), self._answer.query.encode())
            and compare_digest(request.body, self._answer.body)
        )

    def _close(self, last: bytes) -> None:
        self._closed = True
        self._listener.close()
        self._answer_held(last)

    def _answer_held(self, octets: bytes) -> None:
        held, self._held = self._held, []
        for caller in held:
            caller.answer(octets)
