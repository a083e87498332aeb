"""The one place where a login changes: by the table, saved in the storage, then observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..audit.events import Event, EventKind, Outcome
from ..machine import next_state
from ..ports import Change
from ..reasons import Reason
from ..secret import Secret
from ..table import State, Trigger

if TYPE_CHECKING:
    from ..audit.events import Origin, Recorded
    from ..oauth.provider import OAuthConfig
    from ..oauth.tokens import OAuthTokens
    from ..ports import Clock, Lease, Observer, Storage
    from ..reasons import Refusal
    from ..record import Challenge, Exchange, Login, Presentation, ProofKey, Setback, UnreadAnswer
    from ..summary import Identity


class Amendment(TypedDict, total=False):
    """The fields of a record a transition may set; what it does not name stays."""

    challenge: Challenge | None
    presentation: Presentation | None
    exchange: Exchange | None
    callback_digest: str | None
    tokens: OAuthTokens | None
    identity: Identity | None
    account: str
    deadline: float | None
    setback: Setback | None
    unread: UnreadAnswer | None
    proof_key: ProofKey | None
    config: OAuthConfig


class Decision(Amendment, total=False):
    """A transition besides its trigger: under which lease, why, and the fields it sets."""

    lease: Lease | None
    reason: Reason | None
    circumstances: Circumstances


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the audit log adds to a transition.

    Attributes:
        http_status: The provider's answer.
        oauth_error: The provider's error code; kept in the record too.
        detail: A word or a figure.
    """

    http_status: int | None = None
    oauth_error: str | None = None
    detail: str | None = None


_PLAIN = Circumstances()
_FAILURES = frozenset(
    {
        Trigger.FAIL,
        Trigger.DENY,
        Trigger.REJECT_CODE,
        Trigger.REJECT_GRANT,
        Trigger.TIME_OUT,
        Trigger.KEEP_ANSWER,
        Trigger.POSTPONE_REFRESH,
        Trigger.REJECT_REFRESH,
    }
)


class Ledger:
    """Turns decisions into saved transitions, and notifies the observers once they are durable."""

    def __init__(
        self, storage: Storage, clock: Clock, origin: Origin, observers: Sequence[Observer] = ()
    ) -> None:
        """Write to ``storage``, with the time of ``clock``, on behalf of ``origin``."""
        self.storage = storage
        self._clock = clock
        self._origin = origin
        self._observers = tuple(observers)

    def advance(self, login: Login, trigger: Trigger, **decision: Unpack[Decision]) -> Login:
        """Move ``login`` along the row of ``trigger``, save it, notify the observers, and return it.

        Raises:
            IllegalTransition: The table says no; nothing was saved.
            StorageError: It could not be saved; ``login`` is still what it was.
        """
        change = self.draft(login, trigger, **decision)
        self.commit([change])
        return change.login

    def amend(
        self,
        login: Login,
        trigger: Trigger,
        *,
        lease: Lease | None,
        **amendment: Unpack[Amendment],
    ) -> Login:
        """As :meth:`advance`, for a row that says nothing new of why: the reason and error code stand."""
        return self.advance(
            login,
            trigger,
            lease=lease,
            reason=next((one for one in Reason if one == login.reason), None),
            circumstances=Circumstances(oauth_error=login.oauth_error),
            **amendment,
        )

    def ending(
        self,
        login: Login,
        trigger: Trigger,
        reason: Reason,
        circumstances: Circumstances = _PLAIN,
    ) -> list[Change]:
        """The changes that end the finished ``login``, not saved yet.

        What a refresh that is under way may have with the provider is abandoned: the log says
        first that it was postponed, for there is no arrow from ``exchanging`` to the end.

        Args:
            login: A login that holds tokens.
            trigger: ``supersede`` or ``logout``.
            reason: Why.
            circumstances: What the log adds.
        """
        changes: list[Change] = []
        if login.state is State.EXCHANGING:
            why = Reason.NEWER_LOGIN if trigger is Trigger.SUPERSEDE else Reason.OUTCOME_UNKNOWN
            changes.append(self.draft(login, Trigger.POSTPONE_REFRESH, reason=why, exchange=None))
            login = changes[-1].login
        ended = self.draft(login, trigger, reason=reason, circumstances=circumstances)
        return [*changes, ended]

    def draft(
        self,
        login: Login,
        trigger: Trigger,
        *,
        lease: Lease | None = None,
        reason: Reason | None = None,
        circumstances: Circumstances = _PLAIN,
        **amendment: Unpack[Amendment],
    ) -> Change:
        """The change :meth:`advance` would commit, for commits of several.

        Raises:
            IllegalTransition: The table says no.
        """
        state = next_state(login, trigger)
        now = self._clock.now()
        after = replace(
            login,
            version=login.version + 1,
            state=state,
            changed_at=now,
            reason=reason.value if reason else None,
            oauth_error=circumstances.oauth_error,
            **amendment,
        )
        if state is State.IDLE:  # whatever ended: no secret outlives it
            after = replace(
                after,
                challenge=None,
                presentation=None,
                exchange=None,
                tokens=None,
                setback=None,
                unread=None,
                proof_key=None,
                deadline=None,
                config=after.config.spent(),
            )
        event = self._event(login, after, trigger, now, circumstances)
        return Change(login=after, event=event, fence=lease.fence if lease else 0)

    def commit(self, changes: Sequence[Change]) -> None:
        """Save ``changes`` as one and notify the observers.

        Raises:
            StorageError: Nothing was saved.
        """
        recorded = self.storage.commit(changes)
        self._notify(recorded, changes[-1].login)

    def refuse(
        self,
        login: Login | None,
        refusal: Refusal,
        *,
        transport: str | None,
        detail: str | None = None,
    ) -> None:
        """Log an input that was refused and changed nothing; or, in ``detail``, how many were."""
        event = Event(
            time=self._clock.now(),
            event=EventKind.REFUSED,
            origin=self._origin,
            login=login.id if login else None,
            provider=login.provider if login else None,
            account=login.account if login else None,
            version=login.version if login else None,
            reason=refusal.value,
            transport=transport,
            outcome=Outcome.FAILURE,
            detail=detail,
        )
        self._notify([self.storage.note(event)], login)

    def _notify(self, recorded: Sequence[Recorded], login: Login | None) -> None:
        for observer in self._observers:
            observer.observe(recorded, login)

    def _event(
        self,
        before: Login,
        after: Login,
        trigger: Trigger,
        now: float,
        circumstances: Circumstances,
    ) -> Event:
        fingerprints = {"client": Secret(after.config.client_id)} if after.config.client_id else {}
        # the tokens a login had are named when they go, those it has when they come
        tokens = after.tokens or before.tokens
        if tokens is not None:
            fingerprints["access_token"] = Secret(tokens.access_token)
            if tokens.refresh_token:
                fingerprints["refresh_token"] = Secret(tokens.refresh_token)
        identity = after.identity
        if identity is not None:
            fingerprints["subject"] = Secret(identity.subject)
        presentation = after.presentation or before.presentation
        arrived = after.tokens if trigger is Trigger.ACCEPT_TOKENS else None
        return Event(
            time=now,
            event=EventKind.TRANSITION,
            origin=self._origin,
            login=after.id,
            provider=after.provider,
            account=after.account,
            trigger=trigger.value,
            source=before.state.value,
            dest=after.state.value,
            reason=after.reason,
            transport=presentation.transport if presentation else None,
            outcome=_outcome(trigger, after.reason),
            http_status=circumstances.http_status,
            oauth_error=circumstances.oauth_error,
            issuer=after.config.issuer,
            pkce=_without_pkce(before, after),
            scopes=arrived.scopes if arrived else None,
            expires_in=arrived.expires_in if arrived else None,
            version=after.version,
            attempt=_attempt(before, after),
            duration=max(0.0, now - before.changed_at) if before.version else None,
            detail=circumstances.detail,
            fingerprints=fingerprints,
        )


def _without_pkce(before: Login, after: Login) -> str | None:
    """``off`` while a browser's answer is asked for, or sent on, without PKCE (RFC 7636)."""
    shown = after.presentation or before.presentation
    by_browser = shown is None or shown.device is None
    under_way = before.challenge is not None or after.challenge is not None
    return "off" if after.config.pkce == "off" and under_way and by_browser else None


def _outcome(trigger: Trigger, reason: str | None) -> Outcome:
    """How the audit log says a transition went."""
    if trigger is Trigger.POSTPONE_REFRESH and reason == Reason.OUTCOME_UNKNOWN.value:
        return Outcome.UNKNOWN  # the refresh token may have been used: neither word would be true
    return Outcome.FAILURE if trigger in _FAILURES else Outcome.SUCCESS


def _attempt(before: Login, after: Login) -> int | None:
    """The version at which the exchange began that a transition begins or ends."""
    if after.state is State.EXCHANGING and before.state is not State.EXCHANGING:
        return after.version
    return before.version if before.state is State.EXCHANGING else None
