"""Logins that need no user, begun by whoever needs a token.

A provider whose ``grant`` needs no user has a login as soon as a program asks for its token. One that
cannot be renewed is asked for anew, by the settings as they are by now: a secret may have changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.errors import (
    AuthRequired,
    ConfigMissing,
    NotFound,
    ProviderError,
    TokenExpired,
    TokenRefreshFailed,
)
from ..engine.oauth.tokens import DEFAULT_BUFFER
from ..engine.record import DEFAULT_ACCOUNT
from .resource_logins import is_address

if TYPE_CHECKING:
    from ..engine.record import Login
    from .assembly import Assembly


def valid_login(
    assembly: Assembly,
    provider: str,
    account: str = DEFAULT_ACCOUNT,
    *,
    buffer: float = DEFAULT_BUFFER,
    force: bool = False,
    rejected: str | None = None,
) -> Login:
    """The login of ``account`` with a token that serves, begun if it needs no user.

    The arguments are those of :meth:`~stayfast.engine.flows.refresh.Refresh.valid`.

    Raises:
        StayfastError: As that method says; or the grant was refused.
    """
    refresh = assembly.conductor.refresh
    unlike = rejected or (_token(assembly, provider, account) if force else None)
    try:
        return refresh.valid(provider, account, buffer=buffer, force=force, rejected=rejected)
    except (AuthRequired, TokenExpired, TokenRefreshFailed, ProviderError):
        if not needs_no_user(assembly, provider):
            raise
    config = assembly.config(provider)
    return assembly.conductor.obtain(config, account=account, unlike=unlike)


def _token(assembly: Assembly, provider: str, account: str) -> str | None:
    """The access token that is stored now, if there is one."""
    try:
        tokens = assembly.conductor.refresh.find(provider, account).tokens
    except AuthRequired:
        return None
    return tokens.access_token if tokens else None


def needs_no_user(assembly: Assembly, provider: str) -> bool:
    """Whether the settings of ``provider`` say that its tokens are asked for without a user."""
    if is_address(provider):
        return False
    try:
        return assembly.catalogue.provider(provider).needs_no_user
    except (NotFound, ConfigMissing):
        return False
