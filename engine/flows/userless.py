"""Logins without a user, from the first request to saved tokens.

Nobody is waited for: a login is asked for and answered in one call (:mod:`.grant_exchange`), and any
number of processes that need it at once share it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..errors import AuthRequired, LoginBusy
from ..login_id import lease_name, naming
from ..record import DEFAULT_TIMEOUT
from ..summary import DEFAULT_ACCOUNT, account_alias
from .refresh import LEASE_WAIT

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..record import Login
    from .begin import Begin
    from .dependencies import Dependencies
    from .jobs import Jobs
    from .refresh import Refresh


class Userless:
    """Takes logins that need no user through the table."""

    def __init__(
        self, dependencies: Dependencies, begin: Begin, jobs: Jobs, refresh: Refresh
    ) -> None:
        """Begin by ``begin``, send by ``jobs``; ``refresh`` finds and refreshes other logins."""
        self._dependencies = dependencies
        self._begin = begin
        self._jobs = jobs
        self._refresh = refresh

    def ask(
        self,
        config: OAuthConfig,
        *,
        account: str = DEFAULT_ACCOUNT,
        timeout: float = DEFAULT_TIMEOUT,
        taken: Collection[str] = (),
        replaces: bool = False,
    ) -> Login:
        """A whole login without a user: asked, answered, saved.

        The arguments are those of :meth:`~.logins.Conductor.sign_in`.

        Raises:
            AuthFailed: The provider refused the grant.
            NetworkError: No usable answer; the login is over, and another can begin.
            ConfigMissing, ConfigInvalid: The grant lacks what it needs.
            StayfastError: Another login, whose token is the subject, cannot be used.
        """
        self._dependencies.storage.probe()
        login = self._begin.new_login(
            config, account=account, timeout=timeout, taken=taken, replaces=replaces
        )
        sending = self._refresh.sources.exchange(config, account)
        with naming(login.id), self._dependencies.storage.lease(login.id, wait=0) as lease:
            login = self._begin.request(login, lease, sending)
            return self._jobs.send_grant(login, lease)

    def obtain(
        self,
        config: OAuthConfig,
        *,
        account: str = DEFAULT_ACCOUNT,
        unlike: str | None = None,
    ) -> Login:
        """The login of ``account`` that needs no user, begun if there is none that serves.

        Any number of processes may ask at once; one of them begins it.

        Args:
            config: The provider and client.
            account: The name to keep it under.
            unlike: An access token that does not serve, however long it lasts.

        Raises:
            StayfastError: As :meth:`ask` says.
            LoginBusy: Another process asks, and did not finish in time.
        """

        def serving() -> Login | None:
            try:
                found = self._refresh.find(config.service_name, account)
            except AuthRequired:
                return None
            spent = found.tokens is not None and found.tokens.access_token == unlike
            return found if not spent and self._refresh.usable(found.summary()) else None

        seen = serving()
        if seen is not None:
            return seen
        storage = self._dependencies.storage
        name = lease_name(account_alias(config.service_name, account))
        try:
            with storage.lease(name, wait=LEASE_WAIT, until=lambda: serving() is not None):
                return serving() or self.ask(config, account=account, replaces=True)
        except LoginBusy:
            found = serving()
            if found is None:
                raise
            return found
