"""A sign-in that would only repeat the one there is.

Whoever asks to sign in and is signed in already needs no browser. That holds for a login whose token has
just ended, too: it renews itself. Only where it does not, or not any more, has the user to sign in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.errors import AuthRequired, Damaged, ProviderError, StayfastError
from ..engine.oauth.provider import same_client, same_grant, same_resources

if TYPE_CHECKING:
    from ..engine.flows.refresh import Refresh
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.record import Login
    from .assembly import Assembly


def repeated(assembly: Assembly, config: OAuthConfig, account: str) -> Login | None:
    """The login of ``account`` that another one by ``config`` would repeat, with a token that serves.

    A token that has ended is renewed. ``None`` if the user has to sign in: nobody is signed in, the
    login is one of another server, client, resource or grant, or it does not renew itself any more.

    Raises:
        NetworkError: No usable answer; the refresh token is kept for the next try.
        LoginBusy: Another process holds the login and did not finish in time.
        StorageError: The login cannot be read, or not be saved.
        TokensNotSaved: New tokens arrived and could not be saved; they are in the error.
    """
    refresh = assembly.conductor.refresh
    try:
        found = refresh.find(config.service_name, account)
    except (AuthRequired, Damaged):  # a damaged one is set aside when the new one begins
        return None
    if not _same(found.config, config):
        return None
    if refresh.usable(found.summary()):
        return found
    return _renewed(refresh, found) if found.refreshable else None


def _renewed(refresh: Refresh, found: Login) -> Login | None:
    """``found`` with a fresh token; ``None`` if only its user can help."""
    try:
        return refresh.valid(found.provider, found.account)
    except ProviderError:  # it refuses the client of then, and the one of now may be another
        return None
    except StayfastError as error:
        # what only a sign-in mends must not send the user back to where they are
        if error.hint is not None and error.hint.action == "login":
            return None
        raise


def _same(found: OAuthConfig, config: OAuthConfig) -> bool:
    """Whether a login of ``found`` is what ``config`` asks for; a name may mean another server by now."""
    if config.issuer and found.issuer and found.issuer != config.issuer:
        return False
    return (
        same_client(found, config) and same_resources(found, config) and same_grant(found, config)
    )
