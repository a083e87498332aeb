"""The small protocols through which effects reach the engine.

Whoever puts the parts together (``stayfast.interfaces``) hands in the real ones; a test hands in
others and runs a day of logins in a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from .audit.events import Event, Recorded
    from .errors import StayfastError
    from .oauth.provider import OAuthConfig
    from .reasons import Refusal
    from .record import Login, Presentation, Summary
    from .result import ErrorCode
    from .secret import Secret

# --- the world -----------------------------------------------------------------------------------


class Clock(Protocol):
    """Time. Nothing else in the engine knows what time it is."""

    def now(self) -> float:
        """POSIX seconds; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward, and that a frozen test clock does not stop."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; KeyboardInterrupt comes through."""
        ...


class Randomness(Protocol):
    """Unpredictable octets."""

    def octets(self, count: int) -> bytes:
        """``count`` octets from the operating system's generator."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request to a provider, ready to be sent.

    Attributes:
        method: ``GET`` or ``POST``.
        url: Absolute, ``https`` (or ``http`` to a loopback address).
        headers: Their names as they are to be sent.
        body: What is posted; not shown by ``repr``.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: At most 1 MiB; not shown by ``repr``.
        received_at: POSIX seconds on our clock.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float


class Http(Protocol):
    """Sends one request and follows no redirect."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status.

        Raises:
            NetworkError: No answer, or one that is too large; it may have been acted upon.
            ConfigInvalid: The address is not one a secret may be sent to.
        """
        ...


# --- storage -------------------------------------------------------------------------------------

LEASE_OUTLASTS: Final = 35.0
"""Seconds for which a lease is good after :meth:`Lease.keep`: no request may take as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition, to be committed together with its event.

    The version the change was decided upon is ``login.version - 1``; 0 creates the record.

    Attributes:
        login: The record after the transition.
        event: What the audit log says of it.
        fence: The fence of the lease it was decided under; 0 without a lease.
    """

    login: Login
    event: Event
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change one login, held until released or until the process dies.

    Where the kernel keeps it, as here, that is all. A storage on another machine lends it for a
    while (:data:`LEASE_OUTLASTS`, and some more), and gives a lease of its own kind.

    Attributes:
        login_id: Whose.
        fence: Grows with every lease of this login where leases can be lost; else 0.
    """

    login_id: str
    fence: int = 0

    def keep(self) -> None:
        """Make sure that the lease outlasts a request that is sent now.

        Called immediately before each sending of a code or refresh token, and now and then while
        a user is waited for.

        Raises:
            Fenced: It ended, and another process has taken it: nothing may be sent.
            StorageError: It is about to end, and the storage does not answer.
        """

    def release(self) -> None:
        """Give it back: for a courier that finished when nobody was left to do so.

        What the kernel keeps is given back by the end of its holders.
        """


class Storage(Protocol):
    """Where logins are kept. Durable storages are shared by any number of processes."""

    @property
    def description(self) -> str:
        """Kind and place in a few words, such as ``keyring:SecretService``."""
        ...

    def probe(self) -> None:
        """Make sure a commit would succeed now: called before a browser is opened.

        Raises:
            StorageError: It would not; the message says why.
        """
        ...

    def read(self, login_id: str) -> Login | None:
        """The login of that full id.

        Raises:
            Damaged: It is there and does not open.
            NewerFormat: It was written by a newer version.
        """
        ...

    def find(self, alias: str) -> Login | None:
        """The login of that alias (:attr:`stayfast.engine.record.Login.alias`).

        Raises:
            Damaged, NewerFormat: As for :meth:`read`.
        """
        ...

    def summaries(self) -> Iterable[Summary]:
        """Every login that opens, oldest first."""
        ...

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """The right to change one login, as a context manager; threads exclude each other too.

        Args:
            login_id: The full id.
            wait: Seconds to wait for another holder; 0 asks once.
            until: Asked now and then while waiting; when true, waiting has no more point and
                ``LoginBusy`` is raised early.

        Raises:
            LoginBusy: Another process or thread holds it; the message names it.
        """
        ...

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """All of ``changes`` and their events, or none; durable on return.

        Changes are applied in order; several may concern one login, each a version further.

        Raises:
            StorageConflict: A version on disk is not the one a change was decided upon.
            Fenced: The lease a change was decided under is another process's by now.
            StorageFull: No space.
            OutcomeUnknown: The disk would not say whether it is durable.
            Damaged: What is there does not open.
            StorageError: It cannot be written at all.
        """
        ...

    def note(self, event: Event) -> Recorded:
        """Log an event that changes no login: a refused input.

        Raises:
            StorageError: It could not be written.
        """
        ...

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Recorded events with a number above ``after``, in order."""
        ...


class Observer(Protocol):
    """Hears of events after they are durable; must not raise and must not be slow."""

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """``recorded`` has just been committed; ``login`` is the record it led to."""
        ...


# --- transports ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a transport may know of the login it works for: no verifier, no token.

    Attributes:
        login_id: The login's id.
        config: The provider and client.
        deadline: When the login ends, POSIX seconds.
    """

    login_id: str
    config: OAuthConfig
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCallback:
    """An authorization response, as it was received and before any check (RFC 6749 §4.1.2).

    Attributes:
        parameters: The decoded callback parameters in order, duplicates kept. Not shown by
            ``repr``.
        beaten: The transports that waited for it too, where several did, and came too late.
    """

    parameters: Sequence[tuple[str, str]] = field(repr=False)
    beaten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PollDue:
    """The interval has passed: the device code may be sent once more (RFC 8628 §3.5)."""


Arrival: TypeAlias = ReceivedCallback | PollDue
"""What ends a session's wait."""


class VerdictKind(StrEnum):
    """What became of an arrival."""

    REFUSED = "refused"
    """Not this login's answer; the wait goes on."""
    ACCEPTED = "accepted"
    """It is the answer; the exchange has begun."""
    SIGNED_IN = "signed_in"
    """Tokens are saved."""
    DENIED = "denied"
    """The user or the provider said no."""
    FAILED = "failed"
    """The exchange came to nothing."""
    PENDING = "pending"
    """A device poll: not yet."""
    SLOW_DOWN = "slow_down"
    """A device poll: not yet, and slower from now on."""
    UNANSWERED = "unanswered"
    """A device poll that got no answer (RFC 8628 §3.5: back off)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the engine made of an arrival, for the transport to tell its side.

    Attributes:
        kind: What became of it.
        message: One sentence for a person, without secrets.
        reason: Which check a refused answer failed, or the code of the error that ended the login.
        who: Whose login it was, if known.
        interval: For a device poll: the provider's new interval, seconds.
    """

    kind: VerdictKind
    message: str = ""
    reason: Refusal | ErrorCode | None = None
    who: str | None = None
    interval: float | None = None


class Session(Protocol):
    """A transport at work for one login, from ``prepare`` or ``reopen`` to ``close``."""

    @property
    def presentation(self) -> Presentation:
        """What has to be saved so that another process can go on."""
        ...

    def present(self, authorization_url: str | None) -> None:
        """Tell the user what to do. Called once, after ``presentation`` was saved.

        Args:
            authorization_url: The address to open; ``None`` for the device flow.
        """
        ...

    def receive(self, seconds: float) -> Arrival | None:
        """The next arrival, or ``None`` after ``seconds`` without one.

        Raises:
            CallbackRefused: Something came that is not a callback at all; the wait goes on.
            TransportUnavailable: Nothing can arrive any more (end of input, say).
            TransportWanted: The user asks to go on by another transport.
            KeyboardInterrupt: The user pressed Ctrl-C.
        """
        ...

    def reply(self, verdict: Verdict) -> None:
        """Tell the sender of the last arrival what became of it.

        ACCEPTED may be followed by one final verdict.
        """
        ...

    def close(self) -> None:
        """Release everything; may be called twice."""
        ...


class Transport(Protocol):
    """A way for the user's answer to come back. It never sees tokens, never changes state."""

    @property
    def name(self) -> str:
        """``loopback``, ``manual``, ``device``, or a third party's own."""
        ...

    def prepare(self, asking: Asking) -> Session:
        """Get ready: bind a port, ask for a device code.

        Raises:
            TransportUnavailable: It cannot work here.
            ProviderError: The provider refused the device request.
            NetworkError: The provider could not be reached.
        """
        ...

    def reopen(self, asking: Asking, presentation: Presentation) -> Session:
        """Go on after a restart: the same address, the same device code.

        Raises:
            TransportUnavailable: Not possible; the login has to be challenged anew.
        """
        ...


class TransportWanted(Exception):
    """The user asks to go on by another transport; like KeyboardInterrupt, not an error.

    Attributes:
        transport: The one they want.
        refuse: Told why, if it cannot work; the wait then goes on as it was.
    """

    def __init__(self, transport: Transport, refuse: Callable[[StayfastError], None]) -> None:
        """Ask for ``transport``."""
        super().__init__(transport.name)
        self.transport = transport
        self.refuse = refuse


# --- the conversation with the user --------------------------------------------------------------


class NoticeKind(StrEnum):
    """What a transport tells the user."""

    OPEN = "open"
    """Open ``url`` in a browser here; ``opened`` says whether one was started."""
    PASTE = "paste"
    """Open ``url`` anywhere, then paste the address it ends on; ``message`` is the reason, if any."""
    CODE = "code"
    """Enter ``user_code`` at ``url``."""
    ASK = "ask"
    """Open ``url`` anywhere; ``message`` says what to do then, in the words of the transport."""
    WAITING = "waiting"
    """Still waiting; ``seconds`` to the next check or to the end."""
    MISTAKE = "mistake"
    """What was entered was not the answer; ``message`` says why."""
    RECEIVED = "received"
    """The answer is here; ``message`` says what it looked like."""


ASKING: Final = frozenset({NoticeKind.OPEN, NoticeKind.PASTE, NoticeKind.CODE, NoticeKind.ASK})
"""The notices that ask the user to do something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing for the user to see.

    Attributes:
        kind: What it is.
        url: An address to open. It carries ``state`` and is shown, never logged.
        qr: An address for a QR code.
        user_code: The code of the device flow.
        redirect_uri: Where the browser will end up.
        expires_at: When it stops being of use, POSIX seconds.
        opened: Whether a browser was started.
        message: A sentence.
        seconds: A figure of time.
    """

    kind: NoticeKind
    url: str | None = field(default=None, repr=False)
    qr: str | None = field(default=None, repr=False)
    user_code: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    expires_at: float | None = None
    opened: bool | None = None
    message: str = ""
    seconds: float | None = None


class Conversation(Protocol):
    """Where a transport's notices go: a terminal, a web page, a log, nowhere."""

    def tell(self, notice: Notice) -> None:
        """Show ``notice``."""
        ...


class Answers(Protocol):
    """Where a person's typed answers come from."""

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` when there is none after ``seconds``.

        Raises:
            TransportUnavailable: End of input.
        """
        ...

    def fileno(self) -> int | None:
        """A descriptor that can be waited on together with others, if there is one."""
        ...

    def close(self) -> None:
        """Give back what was opened; may be called twice."""
        ...


class Browser(Protocol):
    """Starts a browser for the user."""

    def open(self, url: str) -> str | None:
        """Start one at ``url``; ``None`` if it was started, else why it was not."""
        ...
