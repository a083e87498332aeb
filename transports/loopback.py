"""The loopback transport: the browser comes back to a port of this machine (RFC 8252 §7.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..engine.errors import TransportUnavailable
from ..engine.ports import Arrival, Notice, NoticeKind, Verdict, VerdictKind
from ..engine.record import Presentation
from . import page
from .http_message import render_response
from .listener import Caller, Listener, bind
from .redirect import Redirect, parse_redirect, redirect_of, require_local

if TYPE_CHECKING:
    from ..engine.ports import Asking, Browser, Clock, Conversation

HOLD: Final = 10.0
"""Seconds a browser is kept waiting for the truth."""
LINGER: Final = 1.0
"""Seconds the port stays open for the browser to fetch the last page."""
DONE_PATH: Final = "/holdfast/done"
_ALIASES: Final = ("127.0.0.1", "localhost", "[::1]")
_FINAL: Final = frozenset({VerdictKind.SIGNED_IN, VerdictKind.DENIED, VerdictKind.FAILED})


class LoopbackTransport:
    """Listens for the browser's return, and opens the browser if asked to."""

    name = "loopback"

    def __init__(
        self,
        conversation: Conversation,
        browser: Browser,
        clock: Clock,
        *,
        open_browser: bool = True,
    ) -> None:
        """Work through these.

        Args:
            conversation: Where the address is shown.
            browser: What opens it.
            clock: Measures the linger.
            open_browser: Whether it is opened at all.
        """
        self._conversation = conversation
        self._browser = browser if open_browser else None
        self._clock = clock

    def prepare(self, asking: Asking) -> LoopbackSession:
        """Bind the first free port the registration allows.

        Raises:
            TransportUnavailable: None is free, or the redirect address is elsewhere.
            ConfigInvalid: The redirect address is none.
        """
        redirect = redirect_of(asking.config)
        require_local(redirect)
        return self._session(asking, redirect, bind(redirect), self._browser)

    def reopen(self, asking: Asking, presentation: Presentation) -> LoopbackSession:
        """Bind the same port again; the browser is not opened a second time.

        Raises:
            TransportUnavailable: It is taken, or the login was not asked this way.
        """
        if presentation.redirect_uri is None:
            raise TransportUnavailable("this login has no redirect address")
        redirect = parse_redirect(presentation.redirect_uri, ())
        require_local(redirect)
        return self._session(asking, redirect, bind(redirect), None)

    def _session(
        self, asking: Asking, redirect: Redirect, listener: Listener, browser: Browser | None
    ) -> LoopbackSession:
        return LoopbackSession(
            asking,
            redirect,
            listener,
            self._conversation,
            browser.open if browser else None,
            self._clock,
        )


class LoopbackSession:
    """A bound port, at work for one login.

    Attributes:
        presentation: The redirect address, port included.
    """

    def __init__(
        self,
        asking: Asking,
        redirect: Redirect,
        listener: Listener,
        conversation: Conversation,
        open_browser: Callable[[str], str | None] | None,
        clock: Clock,
    ) -> None:
        """Listen for ``asking`` on ``listener``."""
        self._config = asking.config
        self._expires_at = asking.deadline
        self._path = redirect.path
        self._listener = listener
        self._conversation = conversation
        self._open_browser = open_browser
        self._clock = clock
        self._asker: Caller | None = None
        self._last_page: page.Page | None = None
        self._guard = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False
        self._hosts = {f"{host}:{listener.port}" for host in _ALIASES}
        if listener.port == 80:
            self._hosts |= set(_ALIASES)
        self.presentation = Presentation(
            transport=LoopbackTransport.name, redirect_uri=redirect.address(listener.port)
        )

    def present(self, authorization_url: str | None) -> None:
        """Show the address, and open it where that is wanted."""
        why_not: str | None = None
        if authorization_url is not None and self._open_browser is not None:
            why_not = self._open_browser(authorization_url)
        self._conversation.tell(
            Notice(
                kind=NoticeKind.OPEN,
                url=authorization_url,
                redirect_uri=self.presentation.redirect_uri,
                expires_at=self._expires_at,
                opened=self._open_browser is not None and why_not is None,
                message=why_not or "",
            )
        )

    def receive(self, seconds: float, also: int | None = None) -> Arrival | None:
        """The next request that may be the answer; everything else is answered here.

        Args:
            seconds: How long to wait.
            also: A descriptor whose input ends the wait, for a transport that waits for both.
        """
        deadline = self._clock.monotonic() + seconds
        while True:
            left = deadline - self._clock.monotonic()
            caller = self._listener.next(max(left, 0.0), also) if left > 0 else None
            if caller is None:
                return None
            arrival = self._sort(caller)
            if arrival is not None:
                self._asker = caller
                return arrival

    def _sort(self, caller: Caller) -> Arrival | None:
        """What ``caller`` brings if it may be the answer; others get theirs at once."""
        request = caller.request
        if self._foreign(caller):
            caller.answer(render_response(HTTPStatus.BAD_REQUEST))
        elif request.path == DONE_PATH:
            caller.answer(page.respond(page.over()))
        elif request.path != self._path:
            caller.answer(render_response(HTTPStatus.NOT_FOUND))
        elif request.method not in {"GET", "POST"}:
            allow = (("Allow", "GET, POST"),)
            caller.answer(render_response(HTTPStatus.METHOD_NOT_ALLOWED, headers=allow))
        elif request.prefetch:
            caller.answer(render_response(HTTPStatus.SERVICE_UNAVAILABLE))
        else:
            parameters = request.parameters()
            if parameters:
                return Arrival(parameters=parameters)
            nothing = page.refused("there is no answer in that request")
            caller.answer(page.respond(nothing, HTTPStatus.BAD_REQUEST))
        return None

    def _foreign(self, caller: Caller) -> bool:
        """Whether ``caller`` came by a foreign name that resolves to this machine (rebinding)."""
        return caller.request.headers.get("host", "").lower() not in self._hosts

    def reply(self, verdict: Verdict) -> None:
        """Tell the browser what became of its request; the truth, once it is known."""
        title, service = self._config.title, self._config.service_name
        if verdict.kind is VerdictKind.REFUSED:
            wrong = page.respond(page.refused(verdict.message), HTTPStatus.BAD_REQUEST)
            self._answer(wrong)
        elif verdict.kind is VerdictKind.ACCEPTED:
            self._timer = threading.Timer(HOLD, self._answer_late)
            self._timer.name = "holdfast-page"
            self._timer.daemon = True
            self._timer.start()
        elif verdict.kind in _FINAL:
            if verdict.kind is VerdictKind.SIGNED_IN:
                last = page.signed_in(title, verdict.who)
            elif verdict.kind is VerdictKind.DENIED:
                last = page.denied(title, service)
            else:
                last = page.failed(title, verdict.message)
            if (verdict.reason or "").startswith("storage"):
                # nothing was saved: the address bar may be the only place that holds the answer
                self._answer(page.respond(last, HTTPStatus.INSUFFICIENT_STORAGE))
            elif self._answer(page.redirect(DONE_PATH)):
                self._last_page = last

    def _answer(self, octets: bytes) -> bool:
        """Answer the browser that waits; whether one did."""
        with self._guard:
            asker, self._asker = self._asker, None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if asker is None:
            return False
        asker.answer(octets)
        return True

    def _answer_late(self) -> None:
        self._answer(page.respond(page.finishing(self._config.title)))

    def close(self) -> None:
        """Show the last page to the browser if it comes for it, then close the port."""
        if self._closed:
            return
        self._closed = True
        try:
            self._answer(page.respond(page.over()))
            self._linger()
        finally:
            self._listener.close()

    def _linger(self) -> None:
        """Wait a moment for the browser to fetch the last page."""
        deadline = self._clock.monotonic() + LINGER
        while self._last_page is not None and self._clock.monotonic() < deadline:
            caller = self._listener.next(deadline - self._clock.monotonic())
            if caller is None:
                break
            request = caller.request
            if self._foreign(caller):  # the page may say who has signed in
                caller.answer(render_response(HTTPStatus.BAD_REQUEST))
            elif request.path == DONE_PATH and request.method in {"GET", "HEAD"}:
                head_only = request.method == "HEAD"
                caller.answer(page.respond(self._last_page, head_only=head_only))
                self._last_page = self._last_page if head_only else None
            elif request.path == self._path:
                caller.answer(page.redirect(DONE_PATH))
            else:
                caller.answer(render_response(HTTPStatus.NOT_FOUND))
