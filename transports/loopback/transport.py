"""The loopback transport: the browser comes back to a port of this machine (RFC 8252 §7.3).

Only a request that may be the answer becomes an arrival. The engine judges it, and the session
sends the browser a page with the verdict. Every other request (a favicon, a prefetch, a port scan,
a page of another origin) is answered here, and the wait goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from ...engine.errors import CallbackRefused, TransportUnavailable
from ...engine.ports import Notice, NoticeKind, ReceivedCallback, Verdict, VerdictKind
from ...engine.reasons import Refusal
from ...engine.record import Presentation
from ...engine.result import STORAGE_CODES
from ...engine.summary import SHORT_ID
from . import page
from .http_message import render_response
from .last_page import DONE_PATH, PageKeeper
from .listener import Caller, Listener, bind
from .redirect import Redirect, parse_redirect, redirect_of, require_local

if TYPE_CHECKING:
    from ...engine.ports import Asking, Browser, Clock, Conversation
    from .http_message import Request

_FINAL: Final = frozenset({VerdictKind.SIGNED_IN, VerdictKind.DENIED, VerdictKind.FAILED})
_ASKED_BY_BROWSERS: Final = frozenset(
    {"/favicon.ico", "/apple-touch-icon.png", "/apple-touch-icon-precomposed.png"}
)
"""Paths that browsers ask for by themselves, beside any page."""
# A finished login keeps its port until its browser has the last page. The next login of this
# process may need the same port, so it must be able to end that wait. The set is weak: a keeper
# that has closed its port needs no entry.
_KEEPERS: Final[WeakSet[PageKeeper]] = WeakSet()
"""The page keepers of this process that may still hold a port."""


class LoopbackTransport:
    """Listens for the browser's return, and opens the browser where that is wanted."""

    name = "loopback"
    sends_nothing_first = True

    def __init__(
        self,
        conversation: Conversation,
        browser: Browser,
        clock: Clock,
        *,
        open_browser: bool = True,
        site: page.Site | None = None,
    ) -> None:
        """Make the transport; it binds nothing yet.

        Args:
            conversation: Where the address is shown.
            browser: What opens the address.
            clock: Measures the waits.
            open_browser: Whether a browser is opened at all.
            site: Whose pages the browser is shown; by default the command's.
        """
        self._site = site or page.Site()
        self._conversation = conversation
        self._browser = browser if open_browser else None
        self._clock = clock

    def prepare(self, asking: Asking) -> LoopbackSession:
        """Bind the first free port the registration allows.

        Raises:
            TransportUnavailable: No port is free, or the redirect address is on another machine.
            ConfigInvalid: The configured redirect address is malformed.
        """
        redirect = redirect_of(asking.config)
        require_local(redirect)
        return self._session(asking, redirect, _bind(redirect), self._browser)

    def reopen(self, asking: Asking, presentation: Presentation) -> LoopbackSession:
        """Bind the same port again; the browser is not opened a second time.

        Raises:
            TransportUnavailable: The port is taken, or the login has no redirect address.
        """
        if presentation.redirect_uri is None:
            raise TransportUnavailable("this login has no redirect address")
        redirect = parse_redirect(presentation.redirect_uri, ())
        require_local(redirect)
        return self._session(asking, redirect, _bind(redirect), None)

    def await_return(self, asking: Asking, address: str) -> LoopbackSession:
        """Bind the port of ``address``, which a browser comes back to that was sent elsewhere.

        Raises:
            TransportUnavailable: No port is free, or the address is on another machine.
            ConfigInvalid: The address is malformed.
        """
        redirect = parse_redirect(address, tuple(asking.config.ports))
        require_local(redirect)
        return self._session(asking, redirect, _bind(redirect), self._browser)

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
            self._site,
        )


def _bind(redirect: Redirect) -> Listener:
    """A listener; it may take the port of a finished login that still waits for its browser."""
    try:
        return bind(redirect)
    except TransportUnavailable:
        keepers = [one for one in list(_KEEPERS) if one.port in redirect.ports]
        if not keepers:
            raise
    for one in keepers:
        one.end()
    return bind(redirect)


def _refused(message: str, refusal: Refusal) -> CallbackRefused:
    return CallbackRefused(message, reason=refusal.value)


class LoopbackSession:
    """A bound port that waits for the answer of one login.

    Attributes:
        presentation: The redirect address with its port.
    """

    def __init__(
        self,
        asking: Asking,
        redirect: Redirect,
        listener: Listener,
        conversation: Conversation,
        open_browser: Callable[[str], str | None] | None,
        clock: Clock,
        site: page.Site,
    ) -> None:
        """Listen for ``asking`` on ``listener``."""
        self._site = site
        self._config = asking.config
        self._login_id = asking.login_id
        self._expires_at = asking.deadline
        self._path = redirect.path or "/"  # a browser asks for no empty path
        self._listener = listener
        self._conversation = conversation
        self._open_browser = open_browser
        self._clock = clock
        self._asker: Caller | None = None
        self._keeper: PageKeeper | None = None
        self._hosts = redirect.hosts(listener.port)
        self.presentation = Presentation(
            transport=LoopbackTransport.name, redirect_uri=redirect.address(listener.port)
        )

    @property
    def title(self) -> str:
        """What a person calls the provider."""
        return self._config.title

    def present(self, authorization_url: str | None) -> None:
        """Show the address, and open it where that is wanted."""
        why_not: str | None = None
        if authorization_url is not None and self._open_browser is not None:
            why_not = self._open_browser(authorization_url)
        self._conversation.show(
            Notice(
                kind=NoticeKind.OPEN,
                url=authorization_url,
                redirect_uri=self.presentation.redirect_uri,
                expires_at=self._expires_at,
                opened=self._open_browser is not None and why_not is None,
                message=why_not or "",
            )
        )

    def receive(self, seconds: float, also: int | None = None) -> ReceivedCallback | None:
        """The next request that may be the answer. Every other request is answered here.

        Args:
            seconds: How long to wait.
            also: A descriptor whose input ends the wait: the terminal's, where an address may be
                pasted meanwhile.

        Raises:
            CallbackRefused: A request that cannot be the answer; it was answered.
        """
        deadline = self._clock.monotonic() + seconds
        while True:
            left = deadline - self._clock.monotonic()
            caller = self._listener.next(max(left, 0.0), also) if left > 0 else None
            if caller is None:
                if self._listener.take_unread():
                    raise _refused("something that is no HTTP", Refusal.NOT_HTTP)
                return None
            arrival = self._sort(caller)
            if arrival is not None:
                self._asker = caller
                return arrival

    def _sort(self, caller: Caller) -> ReceivedCallback | None:
        """The callback in ``caller``'s request, or ``None`` if it was answered here.

        The checks go from what a stranger can send to what only the provider's redirect has, and
        none of them reads a parameter: what a wrong request carries is never looked at.

        Raises:
            CallbackRefused: It was sent to this port, and cannot be the answer. It was answered.
        """
        request = caller.request
        if self._foreign(request):
            caller.answer(render_response(HTTPStatus.BAD_REQUEST))
            raise _refused("a request for another host", Refusal.WRONG_HOST)
        if request.path.startswith(DONE_PATH):
            caller.answer(self._site.respond(page.over()))
        elif request.path != self._path:
            caller.answer(self._site.not_found(request.method))
            if request.path not in _ASKED_BY_BROWSERS:
                raise _refused("a request for another path", Refusal.WRONG_PATH)
        elif request.method not in {"GET", "POST"}:
            caller.answer(self._site.not_allowed("GET, POST", request.method))
            raise _refused("a request by another method", Refusal.WRONG_METHOD)
        elif request.prefetch:
            # the browser guesses that its user may go there; the real request comes later, and
            # an answer taken now would spend the login unseen
            caller.answer(render_response(HTTPStatus.SERVICE_UNAVAILABLE))
        else:
            parameters = request.parameters()
            if parameters:
                return ReceivedCallback(parameters=parameters)
            nothing = page.refused("there is no answer in that request")
            caller.answer(self._site.respond(nothing, HTTPStatus.BAD_REQUEST))
            raise _refused("a request without parameters", Refusal.NOT_A_CALLBACK)
        return None

    def _foreign(self, request: Request) -> bool:
        """Whether the request names another host.

        A web page can give its own name the address 127.0.0.1 and then read answers of this port
        as if they were its own (DNS rebinding). Its ``Host`` header gives it away.
        """
        return request.headers.get("host", "").lower() not in self._hosts

    def reply(self, verdict: Verdict) -> None:
        """Send the browser that waits the page for ``verdict``.

        After ACCEPTED it is sent on to the last page, which is held back until the exchange is
        over: the page says what happened, never what is hoped.
        """
        if verdict.kind is VerdictKind.REFUSED:
            # it names no login: anybody here can send such a request
            self._answer(self._site.respond(page.refused(verdict.message), HTTPStatus.BAD_REQUEST))
        elif verdict.kind is VerdictKind.ACCEPTED:
            self._send_on()
        elif verdict.kind in _FINAL:
            last = self._last_page(verdict)
            if self._keeper is None and verdict.reason in STORAGE_CODES:
                # nothing was saved: the address bar may be the only place that holds the answer
                self._answer(self._site.respond(last, HTTPStatus.INSUFFICIENT_STORAGE))
                return
            self._send_on()
            if self._keeper is not None:
                self._keeper.show(last)

    def show(self, shown: page.Page, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer the browser that waits with ``shown``."""
        self._answer(self._site.respond(shown, status))

    def _last_page(self, verdict: Verdict) -> page.Page:
        title, service = self.title, self._config.service_name
        if verdict.kind is VerdictKind.SIGNED_IN:
            last = page.signed_in(title, verdict.who, verdict.account, service)
        elif verdict.kind is VerdictKind.DENIED:
            last = page.denied(title, service)
        else:
            last = page.failed(title, verdict.message)
        return self._about(last)

    def _about(self, shown: page.Page) -> page.Page:
        """``shown`` with the login that it is about."""
        return replace(shown, login=f"{self._config.title}, login {self._login_id[:SHORT_ID]}")

    def _send_on(self) -> None:
        """Redirect the waiting browser to the address of its last page."""
        asker = self._asker
        if asker is None:  # this answer came by another way, or its browser has its page
            return
        unfinished = self._about(page.finishing(self._config.title))
        keeper = PageKeeper(
            self._listener,
            asker.request,
            foreign=self._foreign,
            waiting=unfinished,
            site=self._site,
        )
        try:
            keeper.start()
        except RuntimeError:  # no thread can be had: the answer matters more than its page
            self.show(unfinished)
            return
        self._keeper = keeper
        _KEEPERS.add(keeper)
        self._answer(page.redirect(keeper.path))

    def _answer(self, octets: bytes) -> None:
        """Answer the browser whose request is open, if there is one."""
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.answer(octets)

    def close(self) -> None:
        """Close the port: at once, or as soon as the browser has its last page."""
        if self._keeper is not None:
            self._keeper.leave()
            return
        if self._asker is not None:
            self._answer(self._site.respond(page.over()))
        self._listener.close()
