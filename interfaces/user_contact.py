"""How a program meets its user: what it shows, what it opens, what can be pasted, and when it stops."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ..engine.errors import AuthCancelled, StayfastError
from ..transports.browser import SystemBrowser
from ..transports.cancelling import CancellableTransport, InterruptibleAnswers
from ..transports.choice import Environment, choose_to_wait
from ..transports.loopback.transport import LoopbackTransport
from ..transports.terminal.answers import can_answer, standard_answers
from ..transports.terminal.standard_input import at_terminal
from .browser_logout import end_in_browser
from .transport_maker import LineConversation, SilentConversation, TransportMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.flows.logout import LogoutResult
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.ports import Answers, Browser, Conversation, Transport
    from ..engine.record import Login
    from ..transports.cancelling import CancelToken
    from ..transports.loopback.page import Site
    from .assembly import Assembly


class UserContact:
    """The user, as one program reaches them."""

    def __init__(
        self,
        *,
        conversation: Conversation | None = None,
        answers: Callable[[], Answers] | None = None,
        browser: Browser | None = None,
        site: Site | None = None,
    ) -> None:
        """Reach the user by these; standard error, the terminal and the system's browser by default."""
        self._conversation = conversation
        self._answers = answers
        self._browser = browser
        self._site = site

    def maker(
        self, assembly: Assembly, *, open_browser: bool, interruptible: bool = False
    ) -> TransportMaker:
        """Transports that talk to the user here; if need be, each wait of theirs can be left."""
        return self._maker(
            assembly,
            self._conversation or LineConversation(),
            open_browser=open_browser,
            interruptible=interruptible,
        )

    def silent(self, assembly: Assembly) -> TransportMaker:
        """Transports for a program that shows the address itself."""
        return self._maker(assembly, self._conversation or SilentConversation(), open_browser=False)

    def end_session(self, assembly: Assembly, ended: LogoutResult, seconds: float) -> bool | None:
        """Whether the browser came back that was sent to end its session (:mod:`.browser_logout`)."""
        conversation = self._conversation or LineConversation()
        browser = self._browser or SystemBrowser()
        transport = LoopbackTransport(conversation, browser, assembly.clock, site=self._site)
        refusals = assembly.conductor.logout.refusals()
        return end_in_browser(
            ended, transport, conversation, browser, assembly.clock, refusals, seconds=seconds
        ).returned

    def _maker(
        self,
        assembly: Assembly,
        conversation: Conversation,
        *,
        open_browser: bool,
        interruptible: bool = False,
    ) -> TransportMaker:
        answers = self._answers or standard_answers
        return TransportMaker(
            assembly,
            conversation,
            answers=(lambda: InterruptibleAnswers(answers())) if interruptible else answers,
            browser=self._browser,
            open_browser=open_browser,
            site=self._site,
        )

    def way(self, assembly: Assembly, config: OAuthConfig, via: str) -> str:
        """The name of the transport for a login that is waited for within one call.

        Args:
            assembly: Whose environment counts.
            config: The provider.
            via: What the program asks for; ``auto`` looks at the surroundings.
        """
        if via != "auto":
            return via
        here = Environment.current(config, None, assembly.environ)
        here_too = self._answers is not None or (self._conversation is None and can_answer())
        if here.via == "auto" and self._browser is not None and here.authorization:
            chosen = "loopback"  # its own browser can reach this machine
        else:
            chosen = choose_to_wait(here, answers=here_too)
        # a terminal is read by the thread that may handle its signals
        main = threading.current_thread() is threading.main_thread()
        pastes = self._answers is not None or (
            self._conversation is None and at_terminal() and main
        )
        return "racing" if chosen == "loopback" and pastes else chosen


def until_cancelled(
    transport: Transport,
    assembly: Assembly,
    token: CancelToken | None,
    wait: Callable[[Transport], Login],
) -> Login:
    """What ``wait`` gives. Once ``token`` is set, the wait is over and the login is ended.

    Raises:
        AuthCancelled: ``token`` is set.
    """
    if token is None:
        return wait(transport)
    ended = CancellableTransport(transport, token, assembly.clock)
    ended.check()
    try:
        return wait(ended)
    except AuthCancelled:
        if ended.cancelled and ended.login_id is not None:
            with suppress(StayfastError):  # its time may have ended it meanwhile
                assembly.conductor.cancel(ended.login_id)
        raise
