"""The login that a program asks for: the one that is kept, or one that needs no user.

A name that nobody knows is an error of its own: it is no use to sign in to it. A login may outlive the
settings of its provider, and serves all the same.

A provider whose ``grant`` needs no user has a login as soon as a program asks for its token. One that
cannot be renewed is asked for anew, by the settings as they are by now: a secret may have changed.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..engine.errors import (
    AuthRequired,
    ConfigMissing,
    NotFound,
    ProviderError,
    StorageError,
    TokenExpired,
    TokenRefreshFailed,
)
from ..engine.hints import Hint
from ..engine.oauth.tokens import DEFAULT_BUFFER
from ..engine.storage_ports import PagedStorage
from ..engine.summary import DEFAULT_ACCOUNT
from ..storage.capabilities import capabilities_of

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
        NotFound: Nobody is signed in, and there is no such provider.
        StayfastError: As that method says; or the grant was refused.
    """
    usual = buffer == DEFAULT_BUFFER and not force
    if usual and (kept := assembly.at_hand.login(provider, account)) is not None:
        return kept
    seen = assembly.at_hand.begin()
    refresh = assembly.conductor.refresh
    before = _login(assembly, provider, account)
    tokens = before.tokens if before is not None else None
    unlike = rejected or (tokens.access_token if tokens and force else None)
    try:
        login = refresh.valid(provider, account, buffer=buffer, force=force, rejected=rejected)
    except (AuthRequired, TokenExpired, TokenRefreshFailed, ProviderError):
        persons = before is not None and not before.config.needs_no_user
        if persons or not needs_no_user(assembly, provider):
            if before is None:
                require_possible(assembly, provider, account)
            raise
    else:
        if usual:
            assembly.at_hand.keep(login, refresh.undisturbed(login), seen)
        return login
    config = assembly.config(provider)
    return assembly.conductor.userless.obtain(config, account=account, unlike=unlike)


def kept_login(assembly: Assembly, provider: str, account: str = DEFAULT_ACCOUNT) -> Login:
    """The finished login of ``account``, as it is.

    Raises:
        NotFound: Nobody is signed in, and there is no such provider.
        AuthRequired: Nobody is signed in.
    """
    try:
        return assembly.conductor.refresh.find(provider, account)
    except AuthRequired:
        require_possible(assembly, provider, account)
        raise


def require_possible(assembly: Assembly, provider: str, account: str | None) -> None:
    """Make sure that a login which is missing can be begun, and has not been.

    Args:
        assembly: Where the logins are.
        provider: Of which provider.
        account: Of which account; of any if ``None``.

    Raises:
        NotFound: There is no such provider.
        AuthRequired: One waits for its user, and the hint goes on with it.
    """
    require_known(assembly, provider)
    with suppress(StorageError):  # that nobody is signed in is known all the same
        refuse_while_it_waits(assembly, provider, account)


def refuse_while_it_waits(
    assembly: Assembly, provider: str | None = None, account: str | None = None
) -> None:
    """Name the newest login that waits for its user, where no tokens are there yet.

    A storage that hosts share may hold thousands of logins, of users who sit elsewhere: it is not
    searched for one.

    Args:
        assembly: Where the logins are.
        provider: Of which provider; of any if not given.
        account: Of which account; of any if not given.

    Raises:
        AuthRequired: One waits.
    """
    storage = assembly.storage
    if capabilities_of(storage).vault is None and isinstance(storage, PagedStorage):
        return
    for one in reversed(assembly.open_logins()):
        if provider in {None, one.provider} and account in {None, one.account}:
            raise AuthRequired(
                f"not signed in to {one.provider} yet: login {one.short_id} waits for its user",
                hint=Hint("resume", None, login=one.short_id),
            )


def require_known(assembly: Assembly, provider: str) -> None:
    """Make sure that there can be a login of ``provider``.

    Raises:
        NotFound: There is no such provider; the hint names a similar one.
    """
    from .resource_logins import is_address  # noqa: PLC0415  only where there is no token yet

    if not is_address(provider):
        assembly.catalogue.require(provider)


def _login(assembly: Assembly, provider: str, account: str) -> Login | None:
    """The login that is stored now, if there is one."""
    try:
        return assembly.conductor.refresh.find(provider, account)
    except AuthRequired:
        return None


def needs_no_user(assembly: Assembly, provider: str) -> bool:
    """Whether the settings of ``provider`` say that its tokens are asked for without a user."""
    from .resource_logins import is_address  # noqa: PLC0415  only where there is no token yet

    if is_address(provider):
        return False
    try:
        return assembly.catalogue.provider(provider).needs_no_user
    except (NotFound, ConfigMissing):
        return False
