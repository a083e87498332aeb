"""Sending the browser to the provider to end its session there, and waiting for its return.

The logout of a program is over before this begins (:mod:`stayfast.engine.flows.logout`): the tokens are
erased whatever a browser does. The wait is bounded, and Ctrl-C ends it alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..engine.errors import CallbackRefused, ConfigMissing, StayfastError
from ..engine.hints import Hint
from ..engine.oauth.end_session import end_session, validate_return
from ..engine.ports import Asking, Notice, NoticeKind
from ..engine.reasons import Refusal
from ..engine.secret import Secret
from ..transports.loopback import page
from ..transports.loopback.redirect import parse_redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.flows.logout import LogoutResult
    from ..engine.flows.refusals import Refusals
    from ..engine.oauth.end_session import EndSession
    from ..engine.ports import Browser, Clock, Conversation
    from ..transports.loopback.transport import LoopbackSession, LoopbackTransport

RETURN_WAIT: Final = 60.0
"""Seconds that the return of a browser is waited for."""
_SLICE: Final = 1.0
_WAY: Final = "loopback"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserLogout:
    """What came of the session of a browser.

    Attributes:
        returned: Whether the browser came back with the ``state`` it was sent with; ``None`` where it
            was not asked to: no address for that is registered, or it is another machine's.
        problem: Why it could not be sent to the provider.
        interrupted: Whether Ctrl-C ended the wait for it.
    """

    returned: bool | None = None
    problem: StayfastError | None = None
    interrupted: bool = False


def ending_of(result: LogoutResult, redirect_uri: str | None) -> EndSession | None:
    """What ends the browser session of the login that ``result`` ended; ``None`` if nothing does.

    Args:
        result: A logout that is over.
        redirect_uri: Where the browser comes back to; ``None`` if it stays at the provider.
    """
    return end_session(
        result.login.config,
        result.id_token,
        state=Secret(secrets.token_urlsafe(32)),
        redirect_uri=redirect_uri,
    )


def end_in_browser(
    result: LogoutResult,
    transport: LoopbackTransport,
    conversation: Conversation,
    browser: Browser | None,
    clock: Clock,
    refusals: Refusals,
    *,
    seconds: float = RETURN_WAIT,
) -> BrowserLogout:
    """Send the browser to the provider of the login that ``result`` ended, and wait for its return.

    Args:
        result: A logout that is over.
        transport: Listens for the return.
        conversation: Where the address is shown.
        browser: What opens it; ``None`` shows it alone.
        clock: Measures the wait.
        refusals: Log what comes back and is no return of this logout.
        seconds: How long the return is waited for.
    """
    login = result.login
    if ending_of(result, None) is None:
        return BrowserLogout(
            problem=ConfigMissing(
                f"{login.config.title} has no end_session_endpoint: its browser session stays",
                hint=Hint("provider show", login.provider),
            )
        )
    registered = login.config.post_logout_redirect_uri
    try:
        if registered is None or not parse_redirect(registered, ()).addresses:
            _show(ending_of(result, registered), conversation, browser)
            return BrowserLogout()
        deadline = clock.now() + seconds
        asking = Asking(login_id=login.id, config=login.config, deadline=deadline)
        session = transport.await_return(asking, registered)
    except StayfastError as error:  # no free port, or an address that cannot be right
        # nobody can come back; the session ends all the same, and only now is its ID token at hand
        _show(ending_of(result, None), conversation, browser)
        return BrowserLogout(problem=error)
    interrupted = False
    try:
        ending = ending_of(result, session.presentation.redirect_uri)
        session.present(ending.address if ending else None)
        returned = ending is not None and _returned(
            session, ending, clock, seconds, lambda refusal: refusals.note(login, refusal, _WAY)
        )
    except KeyboardInterrupt:  # it ends the wait, and nothing else is left to do
        returned, interrupted = False, True
    finally:
        session.close()
        refusals.finish(login.id)
    return BrowserLogout(returned=returned, interrupted=interrupted)


def _returned(
    session: LoopbackSession,
    ending: EndSession,
    clock: Clock,
    seconds: float,
    refuse: Callable[[Refusal], None],
) -> bool:
    """Whether the browser comes back in time with the right ``state``; every other request is refused."""
    until = clock.monotonic() + seconds
    while (left := until - clock.monotonic()) > 0:
        try:
            arrival = session.receive(min(left, _SLICE))
            if arrival is None:
                continue
            validate_return(arrival.parameters, ending)
        except CallbackRefused as refused:
            refuse(Refusal(refused.reason))
            session.show(page.stray_return(refused.message), HTTPStatus.BAD_REQUEST)
            continue
        session.show(page.signed_out(session.title))
        return True
    return False


def _show(ending: EndSession | None, conversation: Conversation, browser: Browser | None) -> None:
    """Open the address, and show it: nobody comes back here."""
    address = ending.address if ending else None
    why_not = browser.open(address) if browser and address else None
    conversation.show(
        Notice(
            kind=NoticeKind.OPEN,
            url=address,
            opened=browser is not None and why_not is None,
            message=why_not or "",
        )
    )
