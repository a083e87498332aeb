"""What a login gives to the program: its status, its tokens, and who signed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..engine.oauth.id_token import claims_of
from ..engine.oauth.tokens import OAuthTokens
from ..engine.table import State

if TYPE_CHECKING:
    from ..engine.record import Identity, Login, Summary


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class SignedIn(OAuthTokens):
    """The tokens of a login that has just been finished, and whose they are.

    It is equal to its tokens alone: :meth:`to_dict` and a comparison leave out who signed in.

    Attributes:
        login_id: The full id of the login.
        account: The account that the login is kept under. It differs from the one that was asked
            for, if that one is another person's.
        identity: Who signed in; ``None`` unless a validated ID token said so.
        claims: All claims of that ID token (OpenID Connect Core §2). Empty without one.
    """

    login_id: str
    account: str
    identity: Identity | None = None
    claims: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, login: Login, tokens: OAuthTokens) -> SignedIn:
        """What ``login`` gives, which holds ``tokens``."""
        # an ID token that was not validated is not kept, but a program may have imported one
        checked = tokens.id_token if login.identity is not None else None
        return cls(
            **_members(tokens),
            login_id=login.id,
            account=login.account,
            identity=login.identity,
            claims=claims_of(checked) if checked else {},
        )

    @property
    def tokens(self) -> OAuthTokens:
        """The tokens alone."""
        return OAuthTokens(**_members(self))

    def to_dict(self) -> dict[str, Any]:
        """The fields of the tokens, as :meth:`OAuthTokens.to_dict` has them."""
        return self.tokens.to_dict()

    def __eq__(self, other: object) -> bool:
        """Whether the tokens are equal."""
        if not isinstance(other, OAuthTokens):
            return NotImplemented
        return _members(self) == _members(other)

    def __hash__(self) -> int:
        return hash(self.access_token)

    def __repr__(self) -> str:
        shown = f"login_id={self.login_id!r}, account={self.account!r}, tokens={self.tokens!r}"
        return f"SignedIn({shown})"


def _members(tokens: OAuthTokens) -> dict[str, Any]:
    return {one.name: getattr(tokens, one.name) for one in fields(OAuthTokens)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A storage that can be read and written.

    Attributes:
        storage: Its kind and place.
        seconds: How long a write took that was rolled back.
    """

    storage: str
    seconds: float


class AuthStatus(StrEnum):
    """Whether there are tokens for a provider, and whether they are of use."""

    NOT_AUTHENTICATED = "not_authenticated"
    """No tokens are stored."""
    AUTHENTICATED = "authenticated"
    """Valid tokens are at hand."""
    TOKEN_EXPIRED = "token_expired"
    """The tokens have expired and need a refresh."""
    TOKEN_REFRESH_FAILED = "token_refresh_failed"
    """A refresh was tried and refused; a new login is needed."""


def status_of(login: Summary | None, *, usable: bool) -> AuthStatus:
    """The status of ``login``.

    Args:
        login: The login, if there is one.
        usable: Whether its access token is good by the clock.
    """
    if login is None or not login.holds_tokens:
        return AuthStatus.NOT_AUTHENTICATED
    if login.state is State.REFRESH_FAILED:
        return AuthStatus.TOKEN_REFRESH_FAILED
    return AuthStatus.AUTHENTICATED if usable else AuthStatus.TOKEN_EXPIRED
