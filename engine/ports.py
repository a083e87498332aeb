"""The small protocols through which the engine has effects.

``stayfast.interfaces`` hands in the real parts. A test hands in others, and runs a day of logins in
a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from .changes import LEASE_OUTLASTS, Change, Lease
from .storage_ports import (
    PagedStorage,
    PreparedStorage,
    SearchableStorage,
    Storage,
    ready_to_save,
)

if TYPE_CHECKING:
    from .audit.events import Recorded
    from .errors import StayfastError
    from .oauth.provider import OAuthConfig
    from .reasons import Refusal
    from .record import Login, Presentation, ProofKey
    from .result import ErrorCode
    from .secret import Secret

__all__ = [
    "ASKING",
    "LEASE_OUTLASTS",
    "Answers",
    "Arrival",
    "Asking",
    "Browser",
    "Change",
    "Clock",
    "Conversation",
    "Http",
    "HttpRequest",
    "HttpResponse",
    "Lease",
    "Notice",
    "NoticeKind",
    "Observer",
    "PagedStorage",
    "PollDue",
    "PreparedStorage",
    "Randomness",
    "ReceivedCallback",
    "SearchableStorage",
    "Session",
    "Storage",
    "Transport",
    "TransportWanted",
    "Verdict",
    "VerdictKind",
    "ready_to_save",
]

# --- the world -----------------------------------------------------------------------------------


class Clock(Protocol):
    """The time. The engine has no other source of it."""

    def now(self) -> float:
        """POSIX seconds. They jump when somebody sets the clock."""
        ...

    def monotonic(self) -> float:
        """Seconds that only grow, also while a test library such as freezegun stops the time."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``. KeyboardInterrupt ends the wait."""
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
        method: ``GET``, ``POST`` or ``DELETE``.
        url: Absolute, ``https`` (or ``http`` to a loopback address).
        headers: Their names as they are to be sent.
        body: What is posted; not shown by ``repr``.
        client: Whose client assertion must be added when it is sent
            (:mod:`stayfast.engine.oauth.request_proofs`).
        assertion: Whose key must sign the ``assertion`` of a JWT bearer grant when it is sent
            (RFC 7523 §2.1).
        proof_key: What a DPoP proof must be made with when it is sent (RFC 9449 §4.2).
        access_token: What the proof is to name, where the request goes to a resource server (§7).
        certificate: The file of the client's TLS certificate, and that of its key if it is another
            one (RFC 8705 §2).
        public_only: Whether it may go to the public network only: a stranger named its address.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    client: OAuthConfig | None = field(default=None, repr=False)
    assertion: OAuthConfig | None = field(default=None, repr=False)
    proof_key: ProofKey | None = field(default=None, repr=False)
    access_token: Secret | None = field(default=None, repr=False)
    certificate: tuple[str, str | None] | None = field(default=None, repr=False)
    public_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """The answer to a request.

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
    """Sends one request. It follows no redirect: a code or a token must not go to a third place."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, whatever its status.

        Raises:
            NetworkError: No answer came, or it is too large. The provider may have acted.
            ConfigInvalid: A secret must not be sent to that address.
        """
        ...


# --- storage -------------------------------------------------------------------------------------


class Observer(Protocol):
    """Receives events once they are durable. It must not raise, and must not be slow."""

    def observe(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        """``recorded`` has just been committed; ``login`` is the record it led to."""
        ...


# --- transports ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a transport knows about its login. It has no verifier and no token.

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
        beaten: The other transports that waited for it at the same time.
    """

    parameters: Sequence[tuple[str, str]] = field(repr=False)
    beaten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PollDue:
    """The interval has passed: the device code may be sent once more (RFC 8628 §3.5)."""


Arrival: TypeAlias = ReceivedCallback | PollDue
"""What ends a session's wait."""


class VerdictKind(StrEnum):
    """The result of an arrival."""

    REFUSED = "refused"
    """It is not this login's answer. The wait goes on."""
    ACCEPTED = "accepted"
    """It is the answer. The exchange has begun."""
    SIGNED_IN = "signed_in"
    """Tokens are saved."""
    DENIED = "denied"
    """The user or the provider said no."""
    FAILED = "failed"
    """The exchange failed."""
    PENDING = "pending"
    """A device poll: not yet."""
    SLOW_DOWN = "slow_down"
    """A device poll: not yet, and slower from now on."""
    UNANSWERED = "unanswered"
    """A device poll that got no answer (RFC 8628 §3.5: back off)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The engine's judgement of an arrival. The transport shows it to its side.

    Attributes:
        kind: The result.
        message: One sentence for a person, without secrets.
        reason: Which check a refused answer failed, or the code of the error that ended the login.
        who: The name of the user who signed in, if known.
        account: The account under which the tokens are kept, once they are.
        interval: For a device poll: the provider's new interval, seconds.
    """

    kind: VerdictKind
    message: str = ""
    reason: Refusal | ErrorCode | None = None
    who: str | None = None
    account: str | None = None
    interval: float | None = None


class Session(Protocol):
    """A transport at work for one login, from ``prepare`` or ``reopen`` to ``close``."""

    @property
    def presentation(self) -> Presentation:
        """What another process needs to go on. It is saved."""
        ...

    def present(self, authorization_url: str | None) -> None:
        """Show the user what to do. It is called once, after ``presentation`` was saved.

        Args:
            authorization_url: The address to open; ``None`` for the device flow.
        """
        ...

    def receive(self, seconds: float) -> Arrival | None:
        """The next arrival, or ``None`` after ``seconds`` without one.

        Raises:
            CallbackRefused: Something came that is not a callback. The wait goes on.
            TransportUnavailable: Nothing can arrive any more (the input has ended, say).
            TransportWanted: The user wants to go on with another transport.
            KeyboardInterrupt: The user pressed Ctrl-C.
        """
        ...

    def reply(self, verdict: Verdict) -> None:
        """Show ``verdict`` to the sender of the last arrival.

        After ACCEPTED, one final verdict may follow.
        """
        ...

    def close(self) -> None:
        """Release everything. A second call does nothing."""
        ...


class Transport(Protocol):
    """A way for the user's answer to come back. It never sees a token and never changes a state."""

    @property
    def name(self) -> str:
        """``loopback``, ``manual``, ``device``, or a third party's own."""
        ...

    def prepare(self, asking: Asking) -> Session:
        """Get ready: bind a port, or request a device code.

        A transport that sends nothing here may say so (:func:`sends_nothing_first`).

        Raises:
            TransportUnavailable: The transport cannot work here.
            ProviderError: The provider refused the device request.
            NetworkError: The provider could not be reached.
        """
        ...

    def reopen(self, asking: Asking, presentation: Presentation) -> Session:
        """Go on after a restart, with the same address or the same device code.

        Raises:
            TransportUnavailable: It is not possible. The login needs a new challenge.
        """
        ...


def sends_nothing_first(transport: Transport) -> bool:
    """Whether :meth:`Transport.prepare` has no effect outside this machine.

    A transport says so by a true attribute ``sends_nothing_first``. The beginning of its logins is then
    saved together with what ``prepare`` gives, in one commit. Without the attribute, it is saved before.
    """
    return bool(getattr(transport, "sends_nothing_first", False))


class TransportWanted(Exception):
    """The user wants to go on with another transport. Like KeyboardInterrupt, it is not an error.

    Attributes:
        transport: The new transport.
        refuse: Called with the reason if the new transport cannot work. Then the wait goes on.
    """

    def __init__(self, transport: Transport, refuse: Callable[[StayfastError], None]) -> None:
        """Ask for ``transport``."""
        super().__init__(transport.name)
        self.transport = transport
        self.refuse = refuse


# --- the conversation with the user --------------------------------------------------------------


class NoticeKind(StrEnum):
    """The kinds of notices to the user."""

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
    """The answer has arrived; ``message`` describes it without showing it."""


ASKING: Final = frozenset({NoticeKind.OPEN, NoticeKind.PASTE, NoticeKind.CODE, NoticeKind.ASK})
"""The kinds that ask the user to do something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing for the user to see.

    Attributes:
        kind: What it is.
        url: An address to open. It carries ``state`` and is shown, never logged.
        qr: An address for a QR code.
        user_code: The code of the device flow.
        redirect_uri: Where the browser will end up; ``None`` where a page of the provider's shows a
            code to paste instead.
        expires_at: Until when the user can do it, POSIX seconds.
        opened: Whether a browser was started.
        message: A sentence.
        seconds: A time to wait, such as the one to the next poll.
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
    """The place for a transport's notices: a terminal, a web page, a log, or nowhere."""

    def show(self, notice: Notice) -> None:
        """Show ``notice``."""
        ...


class Answers(Protocol):
    """The place that typed answers come from."""

    def read(self, seconds: float) -> Secret | None:
        """The next line, or ``None`` if no line comes within ``seconds``.

        Raises:
            TransportUnavailable: The input has ended.
        """
        ...

    def fileno(self) -> int | None:
        """A descriptor that can be waited on together with others, or ``None``."""
        ...

    def close(self) -> None:
        """Give back what was opened. A second call does nothing."""
        ...


class Browser(Protocol):
    """Starts a browser for the user."""

    def open(self, url: str) -> str | None:
        """Start a browser at ``url``. ``None`` if it was started, else the reason."""
        ...
