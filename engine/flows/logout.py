"""Signing out: revoked at the provider, then erased here (RFC 7009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import NetworkError, ProviderError
from ..oauth.token_status import judge_revocation, revocation_request
from ..reasons import Reason
from ..table import State, Trigger

if TYPE_CHECKING:
    from ..errors import StayfastError
    from ..ports import Lease
    from ..record import Login
    from .dependencies import Dependencies

_LEASE_WAIT: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutResult:
    """What came of signing out. The tokens are erased here in every case.

    Attributes:
        login: The login, idle.
        revoked: Whether the provider confirmed the revocation; ``None`` where it has no
            revocation endpoint or was not asked.
        problem: Why the provider did not confirm.
        refresh_token: Whether it was a refresh token that was revoked.
        valid_until: When the access token ends if it was not revoked, POSIX seconds, if known.
    """

    login: Login
    revoked: bool | None
    problem: StayfastError | None
    refresh_token: bool
    valid_until: float | None


class Logout:
    """Ends finished logins."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Revoke by their HTTP, and erase by their ledger."""
        self._dependencies = dependencies

    def sign_out(self, login: Login, *, revoke: bool = True) -> LogoutResult:
        """Revoke the tokens of ``login`` and erase them.

        A provider that is down or refuses does not keep anybody signed in here; the answer says
        what is still valid there.

        Raises:
            LoginBusy: Another process is refreshing it and did not finish in time.
            StorageError: The tokens could not be erased.
        """
        storage = self._dependencies.storage
        with storage.lease(login.id, wait=_LEASE_WAIT) as lease:
            current = storage.read(login.id) or login
            return self._sign_out(current, lease, revoke=revoke)

    def _sign_out(self, login: Login, lease: Lease, *, revoke: bool) -> LogoutResult:
        tokens = login.tokens
        if login.state is State.EXCHANGING:  # a refresh whose process stopped
            login = self._dependencies.ledger.advance(
                login,
                Trigger.POSTPONE_REFRESH,
                lease=lease,
                reason=Reason.OUTCOME_UNKNOWN,
                exchange=None,
            )
        revoked: bool | None = None
        problem: StayfastError | None = None
        if revoke and tokens is not None and login.config.revocation_url:
            try:
                self._revoke(login)
                revoked = True
            except (NetworkError, ProviderError) as error:
                revoked, problem = False, error
        gone = self._dependencies.ledger.advance(
            login, Trigger.LOGOUT, lease=lease, reason=Reason.SIGNED_OUT
        )
        return LogoutResult(
            login=gone,
            revoked=revoked,
            problem=problem,
            refresh_token=tokens is not None and tokens.refresh_token is not None,
            valid_until=tokens.expires_at if tokens and not revoked else None,
        )

    def _revoke(self, login: Login) -> None:
        """Revoke the refresh token, then the access token.

        The first should end the second (RFC 7009 §2.1); not every provider does that.
        """
        tokens = login.tokens
        if tokens is None:
            return
        held = [(tokens.refresh_token, "refresh_token"), (tokens.access_token, "access_token")]
        for token, hint in held:
            if token:
                request = revocation_request(login.config, token, hint)
                if request is not None:
                    judge_revocation(self._dependencies.http.send(request))
