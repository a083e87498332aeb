"""Whether there are tokens for a provider, and whether they are of use: what ``status`` says in one word."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..engine.table import State

if TYPE_CHECKING:
    from ..engine.summary import Summary


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
