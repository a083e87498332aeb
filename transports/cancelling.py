"""A wait for the user that the program can end, from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ..engine.errors import AuthCancelled
from ..engine.hints import Hint
from ..engine.ports import sends_nothing_first

if TYPE_CHECKING:
    from ..engine.ports import Answers, Arrival, Asking, Clock, Session, Transport, Verdict
    from ..engine.record import Presentation
    from ..engine.secret import Secret

T = TypeVar("T")

_LOOK: Final = 0.05  # seconds between looks at the token: what a person takes for "at once"


class CancelToken(Protocol):
    """What ends a wait once it is set: a :class:`threading.Event`, or anything like it."""

    def is_set(self) -> bool:
        """Whether the wait is to end."""
        ...


class CancellableTransport:
    """A transport whose wait ends when a token is set.

    Only the wait for the user ends. Once an answer has come, its code is exchanged: the tokens of it
    must not be lost.

    Attributes:
        login_id: The login it was prepared for, if it was.
        cancelled: Whether the token has ended its wait.
    """

    def __init__(self, transport: Transport, token: CancelToken, clock: Clock) -> None:
        """Wait by ``transport`` until ``token`` is set; ``clock`` measures the waits."""
        self.name = transport.name
        self.sends_nothing_first = sends_nothing_first(transport)
        self.login_id: str | None = None
        self.cancelled = False
        self._transport = transport
        self._token = token
        self._clock = clock

    def prepare(self, asking: Asking) -> Session:
        """As the transport."""
        self.login_id = asking.login_id
        prepared = self._unless_set(lambda: self._transport.prepare(asking))
        return _CancellableSession(self, prepared)

    def reopen(self, asking: Asking, presentation: Presentation) -> Session:
        """As the transport."""
        self.login_id = asking.login_id
        prepared = self._unless_set(lambda: self._transport.reopen(asking, presentation))
        return _CancellableSession(self, prepared)

    def _unless_set(self, prepare: Callable[[], Session]) -> Session:
        """The session that ``prepare`` makes, which may ask a server; one that is late is closed.

        Raises:
            AuthCancelled: The token was set first.
        """
        try:
            return unless_set(prepare, self._token, late=lambda session: session.close())
        except AuthCancelled:
            self.cancelled = True
            raise

    def check(self) -> None:
        """Make sure that the token is not set.

        Raises:
            AuthCancelled: It is.
        """
        if self._token.is_set():
            self.cancelled = True
            raise _ended()

    def receive(self, session: Session, seconds: float) -> Arrival | None:
        """The next arrival of ``session`` within ``seconds``.

        Raises:
            AuthCancelled: The token is set.
        """
        end = self._clock.monotonic() + seconds
        while True:
            self.check()
            left = end - self._clock.monotonic()
            arrival = session.receive(min(_LOOK, max(left, 0.0)))
            if arrival is not None or left <= _LOOK:
                return arrival


class _CancellableSession:
    """The session of a :class:`CancellableTransport`."""

    def __init__(self, transport: CancellableTransport, session: Session) -> None:
        self._transport = transport
        self._session = session

    @property
    def presentation(self) -> Presentation:
        return self._session.presentation

    def present(self, authorization_url: str | None) -> None:
        self._session.present(authorization_url)

    def receive(self, seconds: float) -> Arrival | None:
        return self._transport.receive(self._session, seconds)

    def reply(self, verdict: Verdict) -> None:
        self._session.reply(verdict)

    def close(self) -> None:
        self._session.close()


class InterruptibleAnswers:
    """Answers of a place that blocks, such as ``input()`` of a notebook: a wait for it can be left.

    They are read in a thread. A read that is left goes on there until its user enters something,
    and the next read gets that.
    """

    def __init__(self, answers: Answers) -> None:
        """Read ``answers``."""
        self._answers = answers
        self._reading: Future[Secret | None] | None = None

    def fileno(self) -> int | None:
        """As of the answers."""
        return self._answers.fileno()

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` if none comes within ``seconds``.

        Raises:
            TransportUnavailable: The input has ended.
        """
        if self._reading is None and self._answers.fileno() is not None:
            return self._answers.read(seconds)
        if self._reading is None:
            self._reading = in_own_thread(lambda: self._answers.read(seconds))
        if not wait([self._reading], seconds).done:
            return None
        done, self._reading = self._reading, None
        return done.result()

    def close(self) -> None:
        """As of the answers."""
        self._answers.close()


def unless_set(
    work: Callable[[], T], token: CancelToken, *, late: Callable[[T], None] | None = None
) -> T:
    """What ``work`` gives, unless ``token`` is set first: then nobody waits for it any longer.

    Args:
        work: May wait for a server, and saves nothing that its caller must know of.
        token: Ends the wait.
        late: What is done with a value that comes after the wait was left, by Ctrl-C as well.

    Raises:
        AuthCancelled: The token was set first. If it was set before, ``work`` is not begun.
    """
    if token.is_set():
        raise _ended()
    future = in_own_thread(work)
    try:
        while not wait([future], _LOOK).done:
            if token.is_set():
                raise _ended()
    except BaseException:
        if late is not None:
            future.add_done_callback(partial(_give, late))
        raise
    return future.result()


def in_own_thread(work: Callable[[], T]) -> Future[T]:
    """The future of ``work``, which gets a thread that does not keep the program alive."""
    future: Future[T] = Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  whoever awaits it gets it
            future.set_exception(error)

    threading.Thread(target=run, name="stayfast-login", daemon=True).start()
    return future


def _give(late: Callable[[T], None], future: Future[T]) -> None:
    if future.exception() is None:
        late(future.result())


def _ended() -> AuthCancelled:
    return AuthCancelled("the program ended the login", hint=Hint("list"))
