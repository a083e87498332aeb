"""The manual transport: the user pastes the address that a browser elsewhere ends on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.errors import TransportUnavailable
from ..engine.oauth.pasted import parse_callback
from ..engine.ports import Notice, NoticeKind, ReceivedCallback, Verdict, VerdictKind
from ..engine.record import Presentation
from .loopback.redirect import address_without_listener, local_redirect

if TYPE_CHECKING:
    from ..engine.ports import Answers, Asking, Conversation
    from ..engine.secret import Secret


class ManualTransport:
    """Shows the address and waits for a paste."""

    name = "manual"
    sends_nothing_first = True

    def __init__(self, conversation: Conversation, answers: Callable[[], Answers]) -> None:
        """Make the transport.

        Args:
            conversation: Where the address is shown.
            answers: Opens the place that pastes come from. It is called at the first read, so that
                a login that is only started takes no terminal.
        """
        self._conversation = conversation
        self._answers = answers

    def prepare(self, asking: Asking, *, why: str = "") -> ManualSession:
        """Choose the redirect address that a listener would have, without binding it.

        Args:
            asking: The login.
            why: Why a paste is needed, if the user did not choose it.

        Raises:
            ConfigInvalid: The configured redirect address is malformed.
        """
        config = asking.config
        address = address_without_listener(config) if config.sends_redirect_uri else ""
        shown = Presentation(transport=self.name, redirect_uri=address)
        return ManualSession(asking, shown, self._conversation, self._answers, why)

    def reopen(self, asking: Asking, presentation: Presentation, *, why: str = "") -> ManualSession:
        """Go on with the login's redirect address: no port is needed for it.

        Args:
            asking: The login.
            presentation: What was saved when its user first saw the address.
            why: As for :meth:`prepare`.

        Raises:
            TransportUnavailable: The login has no redirect address.
        """
        if presentation.redirect_uri is None:
            raise TransportUnavailable("this login has no redirect address")
        shown = Presentation(transport=self.name, redirect_uri=presentation.redirect_uri)
        return ManualSession(asking, shown, self._conversation, self._answers, why)


class ManualSession:
    """The wait for a paste, for one login.

    Attributes:
        presentation: The redirect address.
    """

    def __init__(
        self,
        asking: Asking,
        presentation: Presentation,
        conversation: Conversation,
        answers: Callable[[], Answers],
        why: str = "",
    ) -> None:
        """Wait for the answer of ``asking``; ``why`` is shown with the address."""
        self.presentation = presentation
        self._config = asking.config
        self._expires_at = asking.deadline
        self._conversation = conversation
        self._open_answers = answers
        self._answers: Answers | None = None
        self._why = why
        self._length = 0

    @property
    def answers(self) -> Answers:
        """The place that pastes come from, opened at the first use."""
        if self._answers is None:
            self._answers = self._open_answers()
        return self._answers

    @property
    def _lands_on(self) -> str | None:
        """Where the browser ends up; ``None`` where the provider's own page shows a code instead."""
        config = self._config
        shown = config.shows_code and not (config.sends_redirect_uri and local_redirect(config))
        return None if shown else self.presentation.redirect_uri

    def present(self, authorization_url: str | None) -> None:
        """Show the address, and where the browser will end up."""
        self._conversation.show(
            Notice(
                kind=NoticeKind.PASTE,
                url=authorization_url,
                redirect_uri=self._lands_on,
                expires_at=self._expires_at,
                message=self._why,
            )
        )

    def receive(self, seconds: float) -> ReceivedCallback | None:
        """The callback in the next paste.

        Raises:
            CallbackRefused: The text is not a callback of this login.
            TransportUnavailable: The input has ended.
        """
        text = self.answers.read(seconds)
        return None if text is None else self.understand(text)

    def understand(self, text: Secret) -> ReceivedCallback:
        """The callback in ``text``.

        Raises:
            CallbackRefused: The text is not a callback of this login.
        """
        parameters = parse_callback(
            text.reveal(),
            redirect_uri=self.presentation.redirect_uri,
            shows_code=self._config.shows_code,
        )
        self._length = len(text)
        return ReceivedCallback(parameters=parameters)

    def reply(self, verdict: Verdict) -> None:
        """Show that a paste was accepted, or what was wrong with it."""
        if verdict.kind is VerdictKind.ACCEPTED:
            self._conversation.show(
                Notice(
                    kind=NoticeKind.RECEIVED,
                    redirect_uri=self._lands_on,
                    # the paste was not echoed: its length shows that it arrived whole
                    message=f"{self._length:,} characters",
                )
            )
        elif verdict.kind is VerdictKind.REFUSED:
            self._conversation.show(Notice(kind=NoticeKind.MISTAKE, message=verdict.message))

    def close(self) -> None:
        """Give the terminal back."""
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.close()
