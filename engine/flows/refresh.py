"""Keeping an access token good: one refresh per expiry, for any number of callers (RFC 6749 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import (
    AuthRequired,
    ConfigInvalid,
    ConfigMissing,
    LoginBusy,
    NetworkError,
    ProviderError,
    StorageConflict,
    StorageError,
    TokenExpired,
    TokenRefreshFailed,
)
from ..hints import Hint
from ..lifetime import eagerness
from ..oauth.provider_response import LONGEST_WAIT, hint_of_refusal
from ..oauth.tokens import DEFAULT_BUFFER
from ..reasons import Reason
from ..record import Exchange, TokensNotSaved
from ..summary import account_alias
from ..table import State, Trigger
from .grants import GrantSources
from .unread import show_hint

if TYPE_CHECKING:
    from ..ports import Lease
    from ..record import Login, Setback
    from ..summary import Summary
    from .dependencies import Dependencies
    from .jobs import Jobs

LEASE_WAIT: Final = 60.0
"""Seconds to wait for another process's refresh: longer than its two requests can take."""

_ROUNDS: Final = 4  # a login may be replaced by a newer one while we wait for it


class Refresh:
    """Finds usable tokens, and refreshes them when there are none."""

    def __init__(self, dependencies: Dependencies, jobs: Jobs) -> None:
        """Read and save by ``dependencies``; ``jobs`` send the refresh tokens."""
        self._dependencies = dependencies
        self._jobs = jobs

    @property
    def sources(self) -> GrantSources:
        """What grants without a user ask with. Not kept: a circle of the two would outlive its service."""
        return GrantSources(self._dependencies, self)

    def find(self, provider: str, account: str) -> Login:
        """The finished login of ``account`` at ``provider``.

        Raises:
            AuthRequired: Nobody is signed in with that account.
        """
        storage = self._dependencies.storage
        login = storage.find(account_alias(provider, account))
        if login is None:
            from ..oauth.protected_resource import other_spelling  # noqa: PLC0415  for addresses

            spelt = other_spelling(provider)
            login = None if spelt is None else storage.find(account_alias(spelt, account))
        if login is None or login.tokens is None:
            raise AuthRequired(
                f"not signed in to {provider}", hint=Hint("login", provider, account=account)
            )
        return login

    def usable(self, login: Summary, buffer: float = DEFAULT_BUFFER, *, early: float = 0.0) -> bool:
        """Whether the access token of ``login`` is good for more than ``buffer`` seconds from now."""
        return login.serves(self._dependencies.clock.now(), buffer, early=early)

    def due(self, login: Login, buffer: float = DEFAULT_BUFFER) -> bool:
        """Whether it is time to look for the next token, though the present one still serves.

        One try is made: after a network error the present token is used up first.
        """
        early = _earliness(login)
        return early is not None and not self.usable(login.summary(), buffer, early=early)

    def undisturbed(self, login: Login) -> tuple[float, float]:
        """From when on and until when :meth:`valid` gives ``login`` as it is, and does nothing.

        POSIX seconds. That holds while the login is stored as it is.
        """
        return login.summary().service(DEFAULT_BUFFER, _earliness(login) or 0.0)

    def observe(self, login: Login, buffer: float = DEFAULT_BUFFER) -> Login:
        """``login``, moved to ``expired`` if its token is seen to be within ``buffer``.

        Where that cannot be saved (somebody else is changing it, the disk is full) the login is
        returned as it was read: looking must not fail.
        """
        if login.state is not State.AUTHENTICATED or self.usable(login.summary(), buffer):
            return login
        try:
            return self._dependencies.ledger.advance(
                login, Trigger.EXPIRE, reason=Reason.BUFFER_REACHED
            )
        except StorageError:
            return login

    def valid(
        self,
        provider: str,
        account: str,
        *,
        buffer: float = DEFAULT_BUFFER,
        force: bool = False,
        rejected: str | None = None,
    ) -> Login:
        """The login of ``account`` with an access token good for more than ``buffer`` seconds.

        Any number of threads and processes may ask at once; one of them refreshes.

        Args:
            provider: The provider's name.
            account: The account's name.
            buffer: Seconds.
            force: Refresh even a token that is still good, or a login whose refresh had failed.
            rejected: With ``force``: the access token that a resource server refused (401). Where
                another token is stored by now and serves, that one is the answer.

        Raises:
            AuthRequired: Nobody is signed in.
            TokenExpired: Expired, and there is no refresh token.
            TokenRefreshFailed: The provider refused the refresh token, now or earlier.
            NetworkError: No usable answer; the refresh token is kept for the next try.
            ProviderError: The provider refused this client or request, not the refresh token.
            LoginBusy: Another process holds the login and did not finish in time.
            StorageConflict: Other processes have kept changing the login.
            TokensNotSaved: New tokens arrived and could not be saved; they are in the error.
        """
        seen = self.find(provider, account)
        login = seen
        if rejected is not None and seen.tokens and seen.tokens.access_token != rejected:
            force = False
        rounds = 0
        while not self._serves(login, seen, buffer, force=force):
            rounds += 1
            try:
                return self._under_lease(login, seen, buffer, force=force)
            except (NetworkError, ProviderError, TokenRefreshFailed):
                login = self.find(provider, account)
                # a caller that names a longer buffer gets a token that lasts so long, or the error
                if force or buffer > DEFAULT_BUFFER or not self.usable(login.summary(), 0.0):
                    raise
                return login  # its token has some seconds left
            except (StorageConflict, LoginBusy) as error:
                login = self.find(provider, account)
                last = isinstance(error, LoginBusy) or rounds == _ROUNDS
                if last and not self._serves(login, seen, buffer, force=force):
                    raise
        return login if force else self._early(login, buffer)

    def _early(self, login: Login, buffer: float) -> Login:
        """``login``, refreshed if that is due, nobody else does it, and it can be done."""
        if not self.due(login, buffer):
            return login
        try:
            with self._dependencies.storage.lease(login.id, wait=0) as lease:
                current = self._dependencies.storage.read(login.id)
                if current is None or not self.due(current, buffer):
                    return login if current is None or current.tokens is None else current
                return self._refresh(current, lease, force=False)
        except TokensNotSaved:
            raise
        except (
            LoginBusy, NetworkError, ProviderError, TokenRefreshFailed, StorageError,
            AuthRequired, TokenExpired, ConfigMissing, ConfigInvalid,  # of another login, or a file
        ):  # fmt: skip
            return login  # its token serves all the same

    def recover(self, login: Login, lease: Lease) -> Login:
        """Finish the refresh of ``login`` that a process began and did not live to finish.

        Raises:
            TokenRefreshFailed, NetworkError, ProviderError, TokensNotSaved: As for :meth:`valid`.
        """
        return self._refresh(login, lease, force=True)

    def _serves(self, login: Login, seen: Login, buffer: float, *, force: bool) -> bool:
        """Whether ``login`` has what its caller wants, who found ``seen`` at first."""
        if force and (login.id, login.tokens) == (seen.id, seen.tokens):
            return False
        return self.usable(login.summary(), buffer)

    def _under_lease(self, login: Login, seen: Login, buffer: float, *, force: bool) -> Login:
        storage = self._dependencies.storage

        def answered() -> bool:
            current = storage.read(login.id)
            return current is not None and self._serves(current, seen, buffer, force=force)

        with storage.lease(login.id, wait=LEASE_WAIT, until=answered) as lease:
            current = storage.read(login.id)
            if current is None or current.tokens is None:
                msg = f"login {login.short_id} was replaced or ended meanwhile"
                raise StorageConflict(msg, hint=Hint("status", login.provider))
            if self._serves(current, seen, buffer, force=force):
                return current
            self._heed(current, seen)
            return self._refresh(current, lease, force=force)

    def _heed(self, login: Login, seen: Login) -> None:
        """Answer from an earlier refresh that brought nothing, where another would be too soon.

        A caller that waited while another process tried gets the answer of that try.

        Raises:
            NetworkError, ProviderError, TokenRefreshFailed: As that try ended.
        """
        tried = login.id == seen.id and login.version != seen.version
        if tried and login.state is State.REFRESH_FAILED:
            raise _failed_before(login)
        setback = login.setback
        if setback is None or login.state is not State.EXPIRED:
            return
        left = (setback.retry_at or 0.0) - self._dependencies.clock.now()
        if 0 < left <= LONGEST_WAIT:  # more than that: the clock was put back since
            raise NetworkError(
                f"{login.provider} wants no refresh for another {left:.0f} s",
                hint=f"try again in {left:.0f} s",
            )
        if login.id == seen.id and setback != seen.setback:
            raise _postponed_before(login, setback)

    def _refresh(self, login: Login, lease: Lease, *, force: bool) -> Login:
        again = login.state is State.EXCHANGING  # its process stopped: the lease is ours
        hint = Hint.sign_in(login)
        if login.state is State.REFRESH_FAILED and not force:
            raise _failed_before(login)
        tokens = login.tokens
        if tokens is None or not login.refreshable:
            self.observe(login)
            msg = f"the access token for {login.provider} has expired and cannot be refreshed"
            raise TokenExpired(msg, hint=hint)
        if not again and login.config.can_ask_again:
            sending = self.sources.exchange(login.config, login.account)
            lease.keep()  # another login may have been refreshed for it meanwhile
            login = self._dependencies.ledger.advance(
                login, Trigger.RENEW, lease=lease, exchange=sending
            )
        elif not again:
            sending = Exchange(kind="refresh", started_at=self._dependencies.clock.now())
            login = self._dependencies.ledger.advance(
                login, Trigger.REFRESH, lease=lease, exchange=sending
            )
        if login.sends_grant:
            done = self._jobs.send_grant(login, lease, again=again)
        else:
            done = self._jobs.refresh(login, lease, again=again)
        # tokens of an answer that was kept for long may have ended, and still hold what renews them
        if login.unread is not None and not self.usable(done.summary(), 0.0):
            return self._refresh(done, lease, force=force)
        return done


def _earliness(login: Login) -> float | None:
    """Seconds before its end at which the token of ``login`` may be refreshed; ``None`` if never."""
    tokens = login.tokens
    if login.state is not State.AUTHENTICATED or tokens is None or not login.refreshable:
        return None
    return None if tokens.expires_in is None else eagerness(login.id, tokens.expires_in)


def _failed_before(login: Login) -> TokenRefreshFailed:
    """The error of a refresh that the provider has refused already."""
    because = login.oauth_error or login.reason
    what = "grant" if login.config.can_ask_again else "refresh token"
    msg = f"{login.provider} needs a new sign-in: the provider rejected the {what} ({because})"
    return TokenRefreshFailed(msg, hint=Hint.sign_in(login))


def _postponed_before(login: Login, setback: Setback) -> NetworkError | ProviderError:
    """The error of a refresh that was postponed, for callers that waited for it."""
    if login.reason == Reason.PROVIDER_ERROR:
        hint = hint_of_refusal(login.config, login.oauth_error or "")
        hint = hint or Hint("provider show", login.provider)
        return ProviderError(setback.message, oauth_error=login.oauth_error, hint=hint)
    hint = Hint.note("try again in a while")
    if login.reason == Reason.ANSWER_UNREADABLE:
        hint = show_hint(login)
    elif setback.doubts > 1:
        hint = Hint.sign_in(login)
    return NetworkError(setback.message, hint=hint)
