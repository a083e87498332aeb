"""From a wish to an answer: a login is begun, the user is asked, the answer is judged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .authorization import authorization_url, require_client
from .callback import Denial, validate_callback
from .errands import Errands
from .errors import (
    AuthCancelled,
    AuthFailed,
    CallbackRefused,
    HoldfastError,
    LoginTimedOut,
    NetworkError,
    ProviderError,
    StorageError,
    TransportUnavailable,
)
from .leases import keep_waiting
from .ledger import Circumstances
from .login_id import new_login_id
from .pkce import new_nonce, new_state, new_verifier
from .ports import Arrival, Asking, Verdict, VerdictKind
from .reasons import Reason, Refusal
from .record import Challenge, Login
from .record import Exchange as Exchanging
from .table import State, Trigger

if TYPE_CHECKING:
    from .parts import Parts
    from .ports import Lease, Session, Transport
    from .provider import OAuthConfig

SLICE: Final = 5.0  # seconds between looks at the wall clock while waiting: a laptop may sleep


class Inquiry:
    """Begins logins, asks users, and judges what comes back."""

    def __init__(self, parts: Parts, errands: Errands) -> None:
        """Work with ``parts``; hand valid answers to ``errands``."""
        self._parts = parts
        self._errands = errands

    def new_login(
        self, config: OAuthConfig, *, account: str, timeout: float, taken: Collection[str] = ()
    ) -> Login:
        """A login that has not begun; nothing is saved yet.

        Raises:
            ConfigMissing: There is no client id, without which nobody can be asked.
        """
        require_client(config)
        now = self._parts.clock.now()
        return Login(
            id=new_login_id(self._parts.randomness, taken),
            version=0,
            state=State.IDLE,
            config=config,
            account=account,
            created_at=now,
            changed_at=now,
            deadline=now + timeout,
        )

    def begin(self, login: Login, lease: Lease | None = None) -> Login:
        """Mint the secrets of ``login`` and save them."""
        return self._parts.ledger.advance(
            login, Trigger.BEGIN, lease=lease, challenge=self._mint(), deadline=login.deadline
        )

    def rechallenge(self, login: Login, lease: Lease, *, timeout: float) -> Login:
        """New secrets for ``login``: whatever answers the old ones is refused from now on."""
        return self._parts.ledger.advance(
            login,
            Trigger.RECHALLENGE,
            lease=lease,
            reason=Reason.TRANSPORT_CHANGED,
            challenge=self._mint(),
            presentation=None,
            deadline=self._parts.clock.now() + timeout,
        )

    def _mint(self) -> Challenge:
        randomness = self._parts.randomness
        return Challenge(
            verifier=new_verifier(randomness),
            state=new_state(randomness),
            nonce=new_nonce(randomness),
        )

    def ask(self, login: Login, transport: Transport, lease: Lease) -> tuple[Login, Session]:
        """Ready ``transport`` for ``login``, which is at its challenge, save that, and ask.

        Raises:
            TransportUnavailable, ProviderError, NetworkError: The login is idle again.
        """
        self.check_deadline(login, lease)
        try:
            session = transport.prepare(self.asking(login))
        except (TransportUnavailable, ProviderError, NetworkError) as error:
            self._parts.ledger.advance(
                login,
                Trigger.FAIL,
                lease=lease,
                reason=_why_not(error),
                circumstances=_as_circumstances(error),
            )
            raise
        try:
            login = self._parts.ledger.advance(
                login,
                Trigger.PRESENT,
                lease=lease,
                presentation=session.presentation,
                deadline=_deadline(login, session),
            )
            session.present(self.address(login))
        except BaseException:
            session.close()
            raise
        return login, session

    def asking(self, login: Login) -> Asking:
        """What a transport may know of ``login``."""
        deadline = login.deadline or self._parts.clock.now()
        return Asking(login_id=login.id, config=login.config, deadline=deadline)

    def address(self, login: Login) -> str | None:
        """The address ``login`` waits for the user to open; ``None`` for the device flow."""
        presentation = login.presentation
        if presentation is None or presentation.redirect_uri is None or login.challenge is None:
            return None
        return authorization_url(login.config, login.challenge, presentation.redirect_uri)

    def wait(self, login: Login, session: Session, lease: Lease) -> Login:
        """Wait for the answer to ``login`` until its deadline, and see it through.

        Raises:
            LoginTimedOut: No answer came in time.
            AuthCancelled, AuthFailed: The answer was no; the login is idle.
            NetworkError, StorageError: The login can be resumed.
            TransportUnavailable: Nothing can arrive any more; the login can be resumed.
            KeyboardInterrupt: The user pressed Ctrl-C; the login can be resumed.
        """
        while True:
            keep_waiting(lease)
            remaining = self.check_deadline(login, lease, session)
            try:
                arrival = session.receive(min(remaining, SLICE))
            except CallbackRefused as refused:
                self._refuse(login, session, refused)
                continue
            if arrival is None:
                continue
            answered = self._hear(login, arrival, session, lease)
            if answered is not None:
                return answered

    def check_deadline(self, login: Login, lease: Lease, session: Session | None = None) -> float:
        """Seconds until the deadline of ``login``.

        Raises:
            LoginTimedOut: It has passed; the login is idle.
        """
        now = self._parts.clock.now()
        deadline = login.deadline or now
        if now < deadline:
            return deadline - now
        device = login.presentation.device if login.presentation else None
        reason = Reason.DEVICE_CODE_EXPIRED if device else Reason.DEADLINE_PASSED
        self._parts.ledger.advance(login, Trigger.TIME_OUT, lease=lease, reason=reason)
        msg = (
            "the code expired before it was approved"
            if device
            else f"login {login.short_id} was not finished in time"
        )
        if session is not None:
            session.reply(Verdict(kind=VerdictKind.FAILED, message=msg, reason=reason.value))
        raise LoginTimedOut(msg, hint=f"holdfast login {login.provider}")

    def _hear(self, login: Login, arrival: Arrival, session: Session, lease: Lease) -> Login | None:
        """The finished login, or ``None`` while the wait goes on; ``session`` is told either way."""
        try:
            if arrival.parameters is None:
                answer = self._errands.poll(login, lease)
                if isinstance(answer, Verdict):
                    session.reply(answer)
                    return None
                finished = answer
            else:
                login = self.receive(login, arrival.parameters, lease, session)
                session.reply(Verdict(kind=VerdictKind.ACCEPTED))
                finished = self._errands.send_code(login, lease)
        except CallbackRefused as refused:
            self._refuse(login, session, refused)
            return None
        except HoldfastError as error:
            session.reply(_bad_news(error))
            raise
        who = finished.identity.name if finished.identity else None
        session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who=who))
        return finished

    def receive(
        self,
        login: Login,
        parameters: Sequence[tuple[str, str]],
        lease: Lease,
        session: Session | None = None,
    ) -> Login:
        """Judge callback ``parameters`` and save the code they carry, before it is sent.

        Raises:
            CallbackRefused: They are not the answer ``login`` waits for; nothing has changed.
            AuthCancelled, AuthFailed: They are, and say no; the login is idle.
        """
        callback = validate_callback(parameters, login)
        if isinstance(callback, Denial):
            raise self._deny(login, callback, lease)
        challenge = login.challenge
        return self._parts.ledger.advance(
            login,
            Trigger.RECEIVE_CALLBACK,
            lease=lease,
            challenge=replace(challenge, state=None) if challenge else None,
            presentation=session.presentation if session else login.presentation,
            exchange=Exchanging(
                kind="code", started_at=self._parts.clock.now(), code=callback.code
            ),
        )

    def _deny(self, login: Login, denial: Denial, lease: Lease) -> HoldfastError:
        declined = denial.error == "access_denied"
        self._parts.ledger.advance(
            login,
            Trigger.DENY,
            lease=lease,
            reason=Reason.ACCESS_DENIED if declined else Reason.PROVIDER_ERROR,
            circumstances=Circumstances(oauth_error=denial.error),
        )
        hint = f"holdfast login {login.provider}"
        why = denial.description
        if declined:
            return AuthCancelled("the provider said no: access_denied", hint=hint, why=why)
        return AuthFailed(f"the provider said no: {denial.error}", hint=hint, why=why)

    def refuse(self, login: Login | None, refused: CallbackRefused, transport: str | None) -> None:
        """Log an answer that was refused.

        Where that cannot be done the wait goes on all the same: a hostile request at a moment
        when the disk is full must not end somebody's login.
        """
        with suppress(StorageError):
            self._parts.ledger.refuse(login, Refusal(refused.reason), transport=transport)

    def _refuse(self, login: Login, session: Session, refused: CallbackRefused) -> None:
        self.refuse(login, refused, session.presentation.transport)
        session.reply(
            Verdict(kind=VerdictKind.REFUSED, message=refused.message, reason=refused.reason)
        )


def _deadline(login: Login, session: Session) -> float | None:
    """The sooner of the login's own deadline and the end of a device code."""
    device = session.presentation.device
    if device is None or login.deadline is None:
        return login.deadline
    return min(login.deadline, device.expires_at)


def _why_not(error: HoldfastError) -> Reason:
    if isinstance(error, ProviderError):
        return Reason.DEVICE_REFUSED
    return Reason.NETWORK if isinstance(error, NetworkError) else Reason.TRANSPORT_UNAVAILABLE


def _as_circumstances(error: HoldfastError) -> Circumstances:
    if isinstance(error, ProviderError):
        return Circumstances(http_status=error.status, oauth_error=error.oauth_error)
    return Circumstances()


def _bad_news(error: HoldfastError) -> Verdict:
    """What the browser's page, or the terminal, is told of ``error``."""
    denied = isinstance(error, AuthCancelled)
    message = error.message
    if isinstance(error, StorageError | NetworkError):  # not over: the login can be resumed
        message = f"{error.message}; look at your terminal for how to go on"
    kind = VerdictKind.DENIED if denied else VerdictKind.FAILED
    return Verdict(kind=kind, message=message, reason=error.code.lower())
