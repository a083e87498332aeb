"""The manual transport: the browser is elsewhere, and the address it ends on is pasted here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..engine.errors import TransportUnavailable
from ..engine.oauth.pasted import parse_callback
from ..engine.ports import Notice, NoticeKind, ReceivedCallback, Verdict, VerdictKind
from ..engine.record import Presentation
from .loopback.redirect import address_without_listener

if TYPE_CHECKING:
    from ..engine.ports import Answers, Asking, Conversation
    from ..engine.secret import Secret


class ManualTransport:
    """Shows the address and waits for a paste."""

    name = "manual"

    def __init__(self, conversation: Conversation, answers: Callable[[], Answers]) -> None:
        """Talk through ``conversation``; ``answers`` opens the place pastes come from."""
        self._conversation = conversation
        self._answers = answers

    def prepare(self, asking: Asking, *, why: str = "") -> ManualSession:
        """Nothing to get ready: the redirect address is the one a listener would have.

        Args:
            asking: The login.
            why: The reason for a paste, for the user, where it is not their own choice.

        Raises:
            ConfigInvalid: The configured redirect address is malformed.
        """
        address = address_without_listener(asking.config)
        shown = Presentation(transport=self.name, redirect_uri=address)
        return ManualSession(asking, shown, self._conversation, self._answers, why)

    def reopen(self, asking: Asking, presentation: Presentation, *, why: str = "") -> ManualSession:
        """Go on with whatever address the login was asked with: no port is needed for it.

        Args:
            asking: The login.
            presentation: How its user was asked.
            why: As for :meth:`prepare`.

        Raises:
            TransportUnavailable: The login was not asked with an address.
        """
        if presentation.redirect_uri is None:
            raise TransportUnavailable("this login has no redirect address")
        shown = Presentation(transport=self.name, redirect_uri=presentation.redirect_uri)
        return ManualSession(asking, shown, self._conversation, self._answers, why)


class ManualSession:
    """A paste awaited for one login.

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
        """Wait for ``asking``; ``why`` is said with it."""
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
        """The place pastes come from, opened at first use."""
        if self._answers is None:
            self._answers = self._open_answers()
        return self._answers

    def present(self, authorization_url: str | None) -> None:
        """Show the address, and where the browser will end up."""
        self._conversation.tell(
            Notice(
                kind=NoticeKind.PASTE,
                url=authorization_url,
                redirect_uri=self.presentation.redirect_uri,
                expires_at=self._expires_at,
                message=self._why,
            )
        )

    def receive(self, seconds: float) -> ReceivedCallback | None:
        """The next paste, read as a callback.

        Raises:
            CallbackRefused: The text is not a callback of this login.
            TransportUnavailable: There will be no more.
        """
        text = self.answers.read(seconds)
        return None if text is None else self.understand(text)

    def understand(self, text: Secret) -> ReceivedCallback:
        """``text`` as an arrival.

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
        """Say what was wrong with a paste, or that it was the one."""
        if verdict.kind is VerdictKind.ACCEPTED:
            self._conversation.tell(
                Notice(
                    kind=NoticeKind.RECEIVED,
                    redirect_uri=self.presentation.redirect_uri,
                    message=f"{self._length:,} characters",
                )
            )
        elif verdict.kind is VerdictKind.REFUSED:
            self._conversation.tell(Notice(kind=NoticeKind.MISTAKE, message=verdict.message))

    def close(self) -> None:
        """Give the terminal back."""
        answers, self._answers = self._answers, None
        if answers is not None:
            answers.close()
