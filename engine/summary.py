"""What is known of a login without its secrets: its names, who signed in, and what a list shows."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from .lifetime import USUAL_BUFFER, service_of
from .table import PENDING, State

DEFAULT_ACCOUNT: Final = "default"
SHORT_ID: Final = 4
"""The number of characters of an id that a person sees."""
_ALWAYS: Final = (-inf, inf)
_NEVER: Final = (inf, -inf)


class Identity(NamedTuple):
    """The user who signed in, by a validated ID token.

    Attributes:
        subject: The ``sub`` claim: it never changes, and means nothing to people.
        name: The first of email, user name and name that the ID token has.
    """

    subject: str
    name: str | None = None

    @property
    def label(self) -> str:
        """What it is shown as: the name, or else the subject."""
        return self.name or self.subject


class Summary(NamedTuple):
    """The part of a login that a list shows: fields of :class:`Login`, and facts about the tokens.

    Attributes:
        id: The whole id.
        version: How often it was saved.
        state: Where it stands.
        provider: The provider's name.
        account: The account's name.
        created_at: When it was begun, POSIX seconds.
        changed_at: When it was last saved, POSIX seconds.
        deadline: When a pending one ends by itself, POSIX seconds.
        reason: Why it is in this state, as a word of :class:`~.reasons.Reason`, where there is one.
        oauth_error: The provider's ``error`` code (RFC 6749 §5.2), if one ended it.
        identity: Who signed in, as a validated ID token says (OpenID Connect Core §2), if there was one.
        transport: The transport, if one is known.
        issuer: The provider's issuer identifier.
        holds_tokens: Whether the login is finished.
        expires_at: When the access token expires, POSIX seconds, if known.
        issued_at: When it was received, POSIX seconds.
        scopes: The granted scopes.
        refreshable: Whether there is a refresh token, or a grant that can be asked again.
        refresh_expires_at: When the refresh token ends, POSIX seconds, if known.
        plain: Whether it is known that the provider's own ways add nothing to it (``status --json``); a
            login that an older version saved has to be opened for that.
    """

    id: str
    version: int
    state: State
    provider: str
    account: str
    created_at: float
    changed_at: float
    deadline: float | None
    reason: str | None
    oauth_error: str | None
    transport: str | None
    issuer: str | None
    holds_tokens: bool
    expires_at: float | None
    scopes: tuple[str, ...]
    refreshable: bool
    identity: Identity | None
    issued_at: float | None = None
    refresh_expires_at: float | None = None
    plain: bool = False

    @property
    def short_id(self) -> str:
        """The part of the id that people are shown."""
        return self.id[:SHORT_ID]

    @property
    def pending(self) -> bool:
        """Whether it is on its way to its first tokens."""
        return self.state in PENDING and not self.holds_tokens

    def serves(self, now: float, buffer: float = USUAL_BUFFER, *, early: float = 0.0) -> bool:
        """Whether the access token is good for more than ``buffer`` seconds at ``now`` (POSIX seconds)."""
        first, end = self.service(buffer, early)
        return first <= now < end

    def service(self, buffer: float, early: float = 0.0) -> tuple[float, float]:
        """From when on and until when the access token serves, POSIX seconds.

        A token serves until its end whatever became of its refresh. A token of unknown lifetime serves
        while the login is ``authenticated``.

        Args:
            buffer: See :func:`~.lifetime.service_of`.
            early: See there.
        """
        if not self.holds_tokens or self.state is State.IDLE:
            return _NEVER
        if self.expires_at is None:
            return _ALWAYS if self.state is State.AUTHENTICATED else _NEVER
        issued_at = self.created_at if self.issued_at is None else self.issued_at
        return service_of(issued_at, self.expires_at - issued_at, buffer, early)


def account_alias(provider: str, account: str) -> str:
    """The alias of a finished login."""
    return f"account\0{provider}\0{account}"
