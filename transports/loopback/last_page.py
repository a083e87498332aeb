"""The last page: the browser waits for it while the exchange goes on.

The callback is answered at once, with a redirect. So the code leaves the address bar, the history
and the reload button before it is even sent to the provider. The redirect leads to an address with
a random part, which only this browser knows: the page may name the user. The browser's request for
it is held open until the exchange has an outcome, and is answered with that.

    browser                    listener                     exchange
    GET /callback?code=…  ->   303 /stayfast/done/RANDOM    begins
    GET /stayfast/done/…  ->   (held, 10 s at most)         …
                          <-   200 "Signed in as ada"       outcome; port closes

A thread does this, so that neither the exchange nor the command waits for a browser.
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
"""The path under which last pages are."""
HOLD: Final = 10.0
"""Seconds a browser waits for the outcome; then it gets a page that says to look at the terminal."""
LINGER: Final = 1.0
"""Seconds the port stays open for a browser that has not asked for its page yet."""
# Seconds after which the port closes even if nobody ends the session: a thread that is forgotten
# must not hold a port for as long as its process lives.
_LONGEST: Final = 120.0


class PageKeeper:
    """Owns the listener once the answer has come, and closes it when the browser has its page."""

    _now = staticmethod(time.monotonic)  # kept by the class, as in the listener

    def __init__(
        self,
        listener: Listener,
        answer: Request,
        *,
        foreign: Callable[[Request], bool],
        waiting: page.Page,
        site: page.Site,
    ) -> None:
        """Prepare the wait for a page whose content is not known yet.

        Args:
            listener: The listener; its requests are answered here from :meth:`start` on.
            answer: The request that brought the answer. Its browser gets the page.
            foreign: Whether a request names another host.
            waiting: The page for a browser that has waited for :data:`HOLD`.
            site: Whose pages they are.
        """
        self._listener = listener
        self._answer = answer
        self._foreign = foreign
        self._site = site
        self._unfinished = waiting
        self._held: list[Caller] = []
        self._last: bytes | None = None
        self._hold_until = self._now() + HOLD
        self._stop_at = self._now() + _LONGEST
        self._closed = False
        self._sent_off = False
        # a selector wakes up for a socket, not for a condition variable; and Windows can select
        # nothing but sockets
        self._bell, self._ring = socketpair()
        self._bell.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="stayfast-page")
        self.path = f"{DONE_PATH}/{urlsafe_b64encode(os.urandom(9)).decode()}"

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: The system gives no further thread. The port stays the caller's.
        """
        try:
            self._thread.start()
        except RuntimeError:
            self._bell.close()
            self._ring.close()
            raise

    def show(self, last: page.Page) -> None:
        """Answer the browser with ``last``, now or when it comes."""
        self._last = self._site.respond(last)
        self._ring_bell()

    def leave(self) -> None:
        """Close the port as soon as the browser has its page, or after :data:`LINGER`."""
        if self._last is None:  # Ctrl-C: the exchange has no outcome yet
            self._last = self._waiting
        late = 0.0 if self._sent_off else LINGER
        self._stop_at = min(self._stop_at, self._now() + late)
        self._ring_bell()
        # Join only where the thread ends at once. Else a command would wait for a browser whose
        # user has closed the tab.
        if self._held or self._closed:
            self._thread.join()

    def end(self) -> None:
        """Close the port now, even if the browser has not asked for its page."""
        self._stop_at = self._now()
        self._ring_bell()
        self._thread.join()

    @property
    def _waiting(self) -> bytes:
        """The page for who has waited too long; few ever see it."""
        return self._site.respond(self._unfinished)

    @property
    def port(self) -> int | None:
        """The port, or ``None`` once it is closed."""
        return None if self._closed else self._listener.port

    def _ring_bell(self) -> None:
        with suppress(OSError):  # the thread has ended and closed the pair
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
        """Serve one request, one wake-up, or one deadline."""
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
        """Hold the request for the last page; answer every other request at once."""
        request = caller.request
        if self._foreign(request):  # the page names the user: not for a rebound name
            caller.answer(render_response(HTTPStatus.BAD_REQUEST))
        elif request.path == self.path and request.method == "GET":
            self._held.append(caller)
        elif request.path == self.path:
            caller.answer(self._site.not_allowed("GET", request.method))
        elif request.path.startswith(DONE_PATH):
            caller.answer(self._site.respond(page.over()))
        elif request.path != self._answer.path:
            caller.answer(self._site.not_found(request.method))
        elif self._same(request):  # a reload
            caller.answer(page.redirect(self.path))
        else:
            late = page.refused("this login has had its answer already")
            caller.answer(self._site.respond(late, HTTPStatus.BAD_REQUEST))

    def _same(self, request: Request) -> bool:
        """Whether ``request`` repeats the answer, as a reload does.

        Who can repeat it knows ``state`` and the code, so it is the same browser. The comparison
        takes the same time wherever the two differ, so nobody can find them out piece by piece.
        """
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
