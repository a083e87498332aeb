"""One refresh, from the refresh token sent to the new tokens saved (RFC 6749 §6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .errors import (
    NetworkError,
    ProviderError,
    StorageConflict,
    StorageError,
    TokenExpired,
    TokenRefreshFailed,
    TokensNotSaved,
)
from .leases import send_twice
from .ledger import Circumstances
from .reasons import Reason
from .table import Trigger
from .token_request import refresh_request
from .token_response import judge_token_response

if TYPE_CHECKING:
    from .parts import Parts
    from .ports import Lease
    from .record import Login

_CLIENT_ERRORS: Final = frozenset({"invalid_client", "invalid_request", "unsupported_grant_type"})
"""Errors about us, not about the refresh token: it stays as good as it was (RFC 6749 §5.2)."""


class Refreshing:
    """Sends refresh tokens and keeps what comes back."""

    def __init__(self, parts: Parts) -> None:
        """Work with ``parts``."""
        self._parts = parts

    def send(self, login: Login, lease: Lease, *, again: bool) -> Login:
        """Send the refresh token of ``login``, which is exchanging, and save the answer.

        Args:
            login: As it was just saved.
            lease: The lease it is held under.
            again: Whether a process that stopped may have sent it before.

        Raises:
            TokenRefreshFailed: The provider refused the refresh token.
            NetworkError: No usable answer; the refresh token is untouched.
            ProviderError: The provider refused this client; the refresh token is untouched.
            StorageConflict: Somebody else has changed the login meanwhile.
            TokensNotSaved: New tokens arrived and could not be saved; they are in the error.
        """
        tokens = login.tokens
        if tokens is None or tokens.refresh_token is None:
            msg = f"login {login.short_id} has no refresh token"
            raise TokenExpired(msg, hint=f"stayfast login {login.provider}")
        request = refresh_request(login.config, tokens.refresh_token)
        try:
            response, again = send_twice(lease, self._parts.http, request, again=again)
        except NetworkError:
            self._postpone(login, lease, Reason.NETWORK)
            raise
        try:
            fresh = judge_token_response(login.config, response, previous=tokens)
        except NetworkError:
            self._postpone(
                login, lease, Reason.PROVIDER_BUSY, Circumstances(http_status=response.status)
            )
            raise
        except ProviderError as error:
            raise self._refused(login, lease, error, again=again) from error
        arrived = replace(login, tokens=fresh)
        try:
            return self.save(login, arrived, lease)
        except StorageConflict:
            raise  # a newer login took this one's place: its tokens are the ones to use
        except StorageError as error:
            raise TokensNotSaved(
                f"refreshed, but the new tokens could not be saved: {error.message}",
                hint=error.hint,
                login=arrived,
                kept=getattr(error, "kept", None),
            ) from error

    def save(self, login: Login, arrived: Login, lease: Lease) -> Login:
        """Save the tokens of ``arrived`` as those of ``login``.

        Raises:
            StorageError: It could not be done.
        """
        return self._parts.ledger.advance(
            login, Trigger.ACCEPT_TOKENS, lease=lease, tokens=arrived.tokens, exchange=None
        )

    def _postpone(
        self, login: Login, lease: Lease, reason: Reason, circumstances: Circumstances | None = None
    ) -> None:
        self._parts.ledger.advance(
            login,
            Trigger.POSTPONE_REFRESH,
            lease=lease,
            reason=reason,
            circumstances=circumstances or Circumstances(),
            exchange=None,
        )

    def _refused(
        self, login: Login, lease: Lease, error: ProviderError, *, again: bool
    ) -> ProviderError | TokenRefreshFailed:
        """What to raise for a refusal, once it is saved; nobody's newer tokens are touched."""
        current = self._parts.storage.read(login.id)
        if current is None or current.version != login.version:
            msg = "another process has changed this login meanwhile"
            raise StorageConflict(msg, hint=f"stayfast status {login.provider}")
        said = Circumstances(http_status=error.status, oauth_error=error.oauth_error)
        if error.oauth_error in _CLIENT_ERRORS:
            self._postpone(login, lease, Reason.PROVIDER_ERROR, said)
            return error
        self._parts.ledger.advance(
            login,
            Trigger.REJECT_REFRESH,
            lease=lease,
            reason=Reason.OUTCOME_UNKNOWN if again else Reason.REFRESH_REFUSED,
            circumstances=said,
            exchange=None,
        )
        because = error.oauth_error or f"HTTP {error.status}"
        return TokenRefreshFailed(
            f"{login.provider} needs a new sign-in: "
            f"the provider rejected the refresh token ({because})",
            why="an earlier refresh was interrupted before its answer could be saved"
            if again
            else None,
            hint=f"stayfast login {login.provider}",
        )
