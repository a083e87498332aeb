"""Signing out: revoked at the provider, then erased here (RFC 7009)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigInvalid, ConfigMissing, NetworkError, ProviderError, StorageConflict
from ..hints import Hint
from ..oauth.dpop import send_with_nonce
from ..oauth.token_status import judge_revocation, revocation_request
from ..reasons import Reason
from ..record import account_alias
from ..table import State, Trigger
from .sending import bound

if TYPE_CHECKING:
    from ..errors import StayfastError
    from ..oauth.tokens import OAuthTokens
    from ..ports import Lease
    from ..record import Login
    from .dependencies import Dependencies

_LEASE_WAIT: Final = 60.0
_ROUNDS: Final = 4  # how often another process may change it first


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutResult:
    """What came of signing out. The tokens are erased here in every case.

    Attributes:
        login: The login, idle.
        revoked: Whether the provider confirmed the revocation; ``None`` where it has no
            revocation endpoint or got no request, and where another process had ended the login.
        problem: Why the provider did not confirm.
        refresh_token: Whether there was a refresh token.
        refresh_token_valid: Whether a refresh token may still be good at the provider.
        access_token_valid: Whether the access token may still be good there.
        valid_until: When the access token ends if it may still be good, POSIX seconds, if known.
    """

    login: Login
    revoked: bool | None = None
    problem: StayfastError | None = None
    refresh_token: bool = False
    refresh_token_valid: bool = False
    access_token_valid: bool = False
    valid_until: float | None = None


class Logout:
    """Ends finished logins."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Revoke by their HTTP, and erase by their ledger."""
        self._dependencies = dependencies

    def sign_out(self, login: Login, *, revoke: bool = True) -> LogoutResult:
        """Revoke the tokens of ``login`` and erase them.

        A provider that is down or refuses does not keep anybody signed in here; the answer says
        what is still valid there. If a newer login takes the account meanwhile, that one is ended
        too; if another process ends the login first, there is nothing left to do.

        Raises:
            LoginBusy: Another process is refreshing it and did not finish in time.
            StorageConflict: Other processes have kept changing it.
            StorageError: The tokens could not be erased.
        """
        storage = self._dependencies.storage
        for _ in range(_ROUNDS):
            with storage.lease(login.id, wait=_LEASE_WAIT) as lease:
                current = storage.read(login.id)
                tokens = current.tokens if current else None
                if current is not None and tokens is not None:
                    with suppress(StorageConflict):  # a newer login takes its place without a lease
                        return self._sign_out(current, tokens, lease, revoke=revoke)
            newer = storage.find(account_alias(login.provider, login.account))
            if newer is None:
                return LogoutResult(login=current or login)
            login = newer
        msg = f"other processes keep changing the login of {login.provider}"
        raise StorageConflict(msg, hint=Hint("logout", login.provider, account=login.account))

    def _sign_out(
        self, login: Login, tokens: OAuthTokens, lease: Lease, *, revoke: bool
    ) -> LogoutResult:
        if login.state is State.EXCHANGING:  # a refresh whose process stopped
            login = self._dependencies.ledger.advance(
                login,
                Trigger.POSTPONE_REFRESH,
                lease=lease,
                reason=Reason.OUTCOME_UNKNOWN,
                exchange=None,
            )
        alive = {"refresh_token": bool(tokens.refresh_token), "access_token": True}
        problems: list[StayfastError] = []
        asked = revoke and bool(login.config.revocation_url)
        if asked:
            problems = self._revoke(login, tokens, alive)
        gone = self._dependencies.ledger.advance(
            login, Trigger.LOGOUT, lease=lease, reason=Reason.SIGNED_OUT
        )
        return LogoutResult(
            login=gone,
            revoked=not problems if asked else None,
            problem=problems[0] if problems else None,
            refresh_token=tokens.refresh_token is not None,
            refresh_token_valid=alive["refresh_token"],
            access_token_valid=alive["access_token"],
            valid_until=tokens.expires_at if alive["access_token"] else None,
        )

    def _revoke(
        self, login: Login, tokens: OAuthTokens, alive: dict[str, bool]
    ) -> list[StayfastError]:
        """Revoke the refresh token, then the access token, and note in ``alive`` what ended.

        The first should end the second (RFC 7009 §2.1), and not every provider does that: so each
        is sent, even if the other was refused. ``invalid_token`` says that a token is not good any
        more. Where the refresh token is revoked, a server that takes no access tokens
        (``unsupported_token_type``) leaves nothing to do: the access token ends by itself.
        """
        problems: list[StayfastError] = []
        held = {"refresh_token": tokens.refresh_token, "access_token": tokens.access_token}
        for hint, token in held.items():
            request = revocation_request(login.config, token, hint) if token else None
            if request is None:
                continue
            try:
                judge_revocation(send_with_nonce(self._dependencies.http, bound(login, request)))
                alive[hint] = False
            except ProviderError as error:
                if error.oauth_error == "invalid_token":
                    alive[hint] = False
                elif not (
                    error.oauth_error == "unsupported_token_type"
                    and hint == "access_token"
                    and held["refresh_token"]
                    and not alive["refresh_token"]
                ):
                    problems.append(error)
            except (NetworkError, ConfigInvalid, ConfigMissing) as error:
                # the next one would cost the same time, or miss the same setting
                problems.append(error)
                break
        return problems
