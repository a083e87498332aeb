"""The small protocols through which the engine has effects.

``stayfast.interfaces`` hands in the real parts. A test hands in others, and runs a day of logins in
a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from .audit.events import Event, Recorded
    from .errors import StayfastError
    from .oauth.provider import OAuthConfig
    from .reasons import Refusal
    from .record import Login, Presentation, ProofKey
    from .result import ErrorCode
    from .secret import Secret
    from .summary import Summary

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

LEASE_OUTLASTS: Final = 35.0
"""Seconds that a lease lasts after :meth:`Lease.keep`. A request must be over earlier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transition, to be committed together with its event.

    It was decided for version ``login.version - 1`` of the login. Version 0 means that there is no
    record yet.

    Attributes:
        login: The record after the transition.
        event: The event of the transition.
        fence: The fence of the lease under which it was decided; 0 without a lease.
    """

    login: Login
    event: Event
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change one login, held until it is released or its process ends.

    This class is for leases that the kernel keeps: it frees the lock of a dead process. A storage on
    another machine cannot see that a process died. So it lends a lease for a time, a little more
    than :data:`LEASE_OUTLASTS`, and gives a class of its own.

    Attributes:
        login_id: The login.
        fence: A number that grows with every lease of this login, where a lease can be lost; else 0.
            A commit names it, so that a holder that lost its lease cannot write any more.
        lent_until: Where it is lent for a time: until when it lasts at least, seconds of the clock of
            this machine that also counts its sleep.
    """

    login_id: str
    fence: int = 0
    lent_until: float | None = field(default=None, compare=False)

    def keep(self) -> None:
        """Make sure that the lease lasts longer than a request that is sent now.

        It is called right before a code or refresh token is sent, and from time to time during the
        wait for a user.

        Raises:
            Fenced: The lease ended, and another process has it now. Nothing may be sent.
            StorageError: The lease ends soon, and the storage does not answer.
        """

    def lasting(self) -> float | None:
        """Until when it lasts by now, as :attr:`lent_until`: for the process that it is handed to."""
        return self.lent_until

    def release(self) -> None:
        """End the lease: for a courier whose caller has died.

        The kernel ends its own kind of lease with the last process that holds it.
        """


class Storage(Protocol):
    """A place for logins. Any number of processes may share a durable one."""

    @property
    def description(self) -> str:
        """The kind and place in a few words, such as ``keyring:SecretService``."""
        ...

    def probe(self) -> None:
        """Make sure that a commit would succeed now.

        It is called before a browser is opened: tokens that cannot be saved must not be fetched.

        Raises:
            StorageError: A commit would fail; the message says why.
        """
        ...

    def read(self, login_id: str) -> Login | None:
        """The login with that full id, or ``None``.

        Raises:
            Damaged: The login is there and cannot be opened.
            NewerFormat: A newer version wrote the login.
        """
        ...

    def find(self, alias: str) -> Login | None:
        """The login with that alias (:attr:`stayfast.engine.record.Login.alias`), or ``None``.

        Raises:
            Damaged, NewerFormat: As for :meth:`read`.
        """
        ...

    def summaries(self) -> Iterable[Summary]:
        """Every login that can be opened, oldest first."""
        ...

    def lease(
        self, login_id: str, *, wait: float, until: Callable[[], bool] | None = None
    ) -> AbstractContextManager[Lease]:
        """A context manager for the right to change one login. It excludes other threads, too.

        Args:
            login_id: The full id.
            wait: Seconds to wait for another holder; with 0 there is one try.
            until: Called from time to time during the wait. Once it is true, the wait is pointless
                (another process has refreshed the tokens), and ``LoginBusy`` is raised early.

        Raises:
            LoginBusy: Another process or thread holds the lease; the message names it.
        """
        ...

    def commit(self, changes: Sequence[Change]) -> list[Recorded]:
        """Save all of ``changes`` with their events, or nothing. They are durable on return.

        Changes are applied in order. Several may concern one login, each one version further.

        Gives the events as recorded, in order. Records of the storage itself may come before them:
        the storage was created, a damaged log was set aside.

        Raises:
            StorageConflict: The stored version is not the one for which a change was decided.
            Fenced: Another process has the lease under which a change was decided.
            StorageFull: There is no space.
            OutcomeUnknown: It is unknown whether the changes are durable (a failed fsync, say).
            Damaged: The stored login cannot be opened.
            StorageError: The storage cannot be written.
        """
        ...

    def note(self, event: Event) -> Recorded:
        """Log an event that changes no login: a refused input.

        Raises:
            StorageError: The event could not be written.
        """
        ...

    def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[Recorded]:
        """Recorded events with a number above ``after``, in order."""
        ...


@runtime_checkable
class PreparedStorage(Protocol):
    """A storage that can be made ready for a commit which follows at once, and shows the rest itself."""

    def prepare(self) -> None:
        """As :meth:`Storage.probe`, but nothing is written to see whether it can be.

        Raises:
            StorageError: It is seen already that the commit would fail.
        """
        ...


def ready_to_save(storage: Storage) -> None:
    """Make ``storage`` ready for the first commit of a login, which comes before any effect outside.

    That commit is as good as a probe, and costs no further one.

    Raises:
        StorageError: A login cannot be saved.
    """
    if isinstance(storage, PreparedStorage):
        storage.prepare()
    else:
        storage.probe()


@runtime_checkable
class SearchableStorage(Protocol):
    """A storage that finds logins by the beginning of their ids, without a look at all others."""

    def beginning(self, prefix: str) -> Iterable[Summary]:
        """The logins whose ids begin with ``prefix``, and open."""
        ...


@runtime_checkable
class PagedStorage(Protocol):
    """A storage that gives a page of its logins without opening the others."""

    def page(self, offset: int, limit: int | None) -> Sequence[Summary] | None:
        """At most ``limit`` logins that are not over, after the first ``offset`` of them.

        The order is always the same, and finished logins come before those that wait. All logins are
        given if ``limit`` is ``None``. ``None`` is given where a page would cost as much as all of
        them.

        Raises:
            Damaged: A login is missing, or is not the one that was last saved.
        """
        ...


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
