"""From a question to an answer: a user is waited for, and what comes back is judged."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import (
    AuthCancelled,
    AuthFailed,
    CallbackRefused,
    NetworkError,
    StayfastError,
    StorageError,
)
from ..hints import Hint
from ..oauth.callback import Denial, digest_of, validate_callback
from ..oauth.device import slower
from ..oauth.provider_response import hint_of_refusal
from ..oauth.signed_response import SignedResponses
from ..ports import PollDue, Verdict, VerdictKind
from ..reasons import Reason, Refusal
from ..record import Exchange
from ..result import ErrorCode
from ..table import State, Trigger
from .ledger import Circumstances
from .refusals import Refusals
from .sending import keep_waiting

if TYPE_CHECKING:
    from ..ports import Arrival, Lease, Session
    from ..record import Login
    from .begin import Begin
    from .dependencies import Dependencies
    from .jobs import Jobs

SLICE: Final = 5.0  # seconds between looks at the wall clock while waiting: a laptop may sleep


class Wait:
    """Waits for users, and judges what comes back."""

    def __init__(self, dependencies: Dependencies, begin: Begin, jobs: Jobs) -> None:
        """Save by ``dependencies``; ``begin`` knows the deadline, ``jobs`` exchange valid answers."""
        self._dependencies = dependencies
        self._begin = begin
        self._jobs = jobs
        self._refusals = Refusals(dependencies.ledger, dependencies.clock)
        self._responses = SignedResponses(dependencies.http, dependencies.clock)

    def for_answer(self, login: Login, session: Session, lease: Lease) -> Login:
        """Wait for the answer to ``login`` until its deadline, and see it through.

        Raises:
            LoginTimedOut: No answer came in time.
            AuthCancelled, AuthFailed: The answer was no; the login is idle.
            NetworkError, StorageError: The login can be resumed.
            TransportUnavailable: Nothing can arrive any more; the login can be resumed.
            TransportWanted: The user asks for another transport; nothing has changed.
            KeyboardInterrupt: The user pressed Ctrl-C; the login can be resumed.
        """
        # the first look takes the terminal: what is pasted from then on is not shown, however long loading takes
        patience = 0.0
        try:
            while login.state is State.AWAITING_CALLBACK:
                keep_waiting(lease)
                remaining = self._begin.check_deadline(login, lease, session)
                try:
                    arrival = session.receive(min(remaining, patience))
                except CallbackRefused as refused:
                    self._refuse(login, session, refused)
                    continue
                if arrival is not None:
                    login = self._hear(login, arrival, session, lease)
                elif not patience:
                    self._dependencies.get_ready(login.config)
                    patience = SLICE
        finally:
            self._refusals.finish(login.id)
        return login

    def _hear(self, login: Login, arrival: Arrival, session: Session, lease: Lease) -> Login:
        """The login, finished or still waiting; ``session`` gets the verdict either way."""
        try:
            if isinstance(arrival, PollDue):
                answer = self._jobs.poll(login, lease)
                if isinstance(answer, Verdict):
                    return self._not_yet(login, answer, session, lease)
                finished = answer
            else:
                login = self.receive(
                    login, arrival.parameters, lease, session, beaten=arrival.beaten
                )
                session.reply(Verdict(kind=VerdictKind.ACCEPTED))
                finished = self._jobs.send_code(login, lease)
        except CallbackRefused as refused:
            self._refuse(login, session, refused)
            return login
        except StayfastError as error:
            session.reply(_bad_news(error))
            raise
        who = finished.identity.label if finished.identity else None
        account = finished.account
        session.reply(Verdict(kind=VerdictKind.SIGNED_IN, who=who, account=account))
        return finished

    def _not_yet(self, login: Login, verdict: Verdict, session: Session, lease: Lease) -> Login:
        """The login after a poll without tokens; a new interval is saved, for the process that polls next.

        Where it cannot be saved the wait goes on all the same, at the new interval.
        """
        presentation = login.presentation
        device = presentation.device if presentation else None
        if verdict.kind is VerdictKind.SLOW_DOWN and presentation and device:
            interval = slower(device.interval, verdict.interval)
            verdict = replace(verdict, interval=interval)
            with suppress(StorageError):
                login = self._dependencies.ledger.advance(
                    login,
                    Trigger.SLOW_DOWN,
                    lease=lease,
                    presentation=replace(presentation, device=replace(device, interval=interval)),
                    circumstances=Circumstances(detail=f"interval={interval:g}"),
                )
        session.reply(verdict)
        return login

    def receive(
        self,
        login: Login,
        parameters: Sequence[tuple[str, str]],
        lease: Lease,
        session: Session | None = None,
        *,
        beaten: Sequence[str] = (),
        by: str | None = None,
    ) -> Login:
        """Judge callback ``parameters`` and save the code they carry, before it is sent.

        Args:
            login: The login that waits.
            parameters: Decoded, in order, duplicates kept.
            lease: The lease it is held under.
            session: What they came by, if anything waited for them.
            beaten: The transports that waited too, and are closed with this answer.
            by: The transport they came by without a session, if another than the login was shown with.

        Raises:
            CallbackRefused: They are not the answer ``login`` waits for; nothing has changed.
            AuthCancelled, AuthFailed: They are, and say no; the login is idle.
        """
        parameters = self._responses.unpacked(login, parameters)
        callback = validate_callback(parameters, login)
        if isinstance(callback, Denial):
            raise self._deny(login, callback, lease)
        challenge = login.challenge
        presentation = session.presentation if session else login.presentation
        if by is not None and presentation is not None:
            presentation = replace(presentation, transport=by)
        return self._dependencies.ledger.advance(
            login,
            Trigger.RECEIVE_CALLBACK,
            lease=lease,
            challenge=replace(challenge, state=None) if challenge else None,
            presentation=presentation,
            exchange=Exchange(
                kind="code",
                started_at=self._dependencies.clock.now(),
                code=callback.code,
                extras=callback.extras,
            ),
            callback_digest=digest_of(parameters),
            circumstances=Circumstances(
                detail=f"closed={','.join(beaten)}" if beaten else None,
            ),
        )

    def _deny(self, login: Login, denial: Denial, lease: Lease) -> StayfastError:
        declined = denial.error == "access_denied"
        self._dependencies.ledger.advance(
            login,
            Trigger.DENY,
            lease=lease,
            reason=Reason.ACCESS_DENIED if declined else Reason.PROVIDER_ERROR,
            circumstances=Circumstances(oauth_error=denial.error),
        )
        hint = hint_of_refusal(login.config, denial.error) or Hint.sign_in(login)
        why = denial.description
        if declined:
            return AuthCancelled("the provider said no: access_denied", hint=hint, why=why)
        return AuthFailed(f"the provider said no: {denial.error}", hint=hint, why=why)

    def refuse(self, login: Login | None, refused: CallbackRefused, transport: str | None) -> None:
        """Log an answer that was refused, or count it (:mod:`.refusals`)."""
        self._refusals.note(login, Refusal(refused.reason), transport)

    def _refuse(self, login: Login, session: Session, refused: CallbackRefused) -> None:
        self.refuse(login, refused, session.presentation.transport)
        session.reply(
            Verdict(
                kind=VerdictKind.REFUSED,
                message=refused.message,
                reason=Refusal(refused.reason),
            )
        )


def _bad_news(error: StayfastError) -> Verdict:
    """The verdict for the browser's page, or the terminal, about ``error``."""
    denied = isinstance(error, AuthCancelled)
    message = error.message
    if isinstance(error, StorageError | NetworkError):  # not over: the login can be resumed
        message = f"{error.message}; look at your terminal for how to go on"
    kind = VerdictKind.DENIED if denied else VerdictKind.FAILED
    return Verdict(kind=kind, message=message, reason=ErrorCode(error.code))
