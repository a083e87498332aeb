"""Signing out: revoked at the provider, then erased here (RFC 7009)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..errors import ConfigInvalid, ConfigMissing, NetworkError, ProviderError, StorageConflict
from ..hints import Hint
from ..oauth.dpop import send_with_nonce
from ..oauth.provider_response import retry_after
from ..oauth.token_status import (
    Revocation,
    RevocationOutcome,
    require_confirmation,
    revocation_request,
)
from ..reasons import Reason
from ..secret import Secret
from ..summary import account_alias
from ..table import State, Trigger
from .ledger import Circumstances
from .refusals import Refusals
from .sending import bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import StayfastError
    from ..oauth.tokens import OAuthTokens
    from ..ports import HttpResponse, Lease
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
        revocations: What became of each token that there was, the refresh token first.
        id_token: The ID token that it had: the hint by which a browser's session at the provider can
            be ended (OpenID Connect RP-Initiated Logout §2). It is kept nowhere else any more.
    """

    login: Login
    revoked: bool | None = None
    problem: StayfastError | None = None
    refresh_token: bool = False
    refresh_token_valid: bool = False
    access_token_valid: bool = False
    valid_until: float | None = None
    revocations: tuple[Revocation, ...] = ()
    id_token: Secret | None = None


class Logout:
    """Ends finished logins."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Revoke by their HTTP, and erase by their ledger."""
        self._dependencies = dependencies

    def refusals(self) -> Refusals:
        """What logs, within bounds, what comes back to a logout and is not its browser."""
        return Refusals(self._dependencies.ledger, self._dependencies.clock)

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
        asked = revoke and bool(login.config.revocation_url)
        revocations, problems = (
            self._revoke(login, tokens) if asked else _unasked(tokens, revoke=revoke)
        )
        alive = {one.token for one in revocations if not one.ended}
        gone = self._dependencies.ledger.advance(
            login,
            Trigger.LOGOUT,
            lease=lease,
            reason=Reason.SIGNED_OUT,
            circumstances=_circumstances(revocations),
        )
        return LogoutResult(
            login=gone,
            revoked=not problems and "refresh_token" not in alive if asked else None,
            problem=problems[0] if problems else None,
            refresh_token=tokens.refresh_token is not None,
            refresh_token_valid="refresh_token" in alive,
            access_token_valid="access_token" in alive,
            valid_until=tokens.expires_at if "access_token" in alive else None,
            revocations=tuple(revocations),
            id_token=Secret(tokens.id_token) if tokens.id_token else None,
        )

    def _revoke(
        self, login: Login, tokens: OAuthTokens
    ) -> tuple[list[Revocation], list[StayfastError]]:
        """Revoke the refresh token, then the access token; what became of each, and what went wrong.

        The first should end the second (RFC 7009 §2.1), and not every provider does that: so each
        is sent, even if the other was refused. ``invalid_token`` says that a token is not good any
        more. One that the provider's settings do not list is not sent; nor is one that ended with
        another (:attr:`~..oauth.provider.OAuthProvider.revocation_ends`). Where the refresh token is revoked, a server that takes no access tokens
        (``unsupported_token_type``) leaves nothing to do: the access token ends by itself.
        """
        found: list[Revocation] = []
        problems: list[StayfastError] = []
        whole = login.config.revocation_ends in {"grant", "all"}
        held = _held(tokens)
        # first what the provider revokes: the rest may end with it
        for kind, token in sorted(
            held, key=lambda one: one[0] not in login.config.revocation_tokens
        ):
            if whole and any(one.outcome is RevocationOutcome.REVOKED for one in found):
                found.append(Revocation(token=kind, outcome=RevocationOutcome.ENDED_WITH_GRANT))
                continue
            if kind not in login.config.revocation_tokens:
                kept = RevocationOutcome.UNSUPPORTED_TOKEN_TYPE
                found.append(Revocation(token=kind, outcome=kept))
                continue
            if problems and not isinstance(problems[-1], ProviderError):
                # this one would cost the same time, or miss the same setting
                found.append(Revocation(token=kind, outcome=RevocationOutcome.NOT_SENT))
                continue
            one, problem = self._revoked(login, kind, token)
            found.append(one)
            spent = one.outcome is RevocationOutcome.UNSUPPORTED_TOKEN_TYPE and found[0].ended
            if problem is not None and not spent:
                problems.append(problem)
        order = [kind for kind, _ in held]
        return sorted(found, key=lambda one: order.index(one.token)), problems

    def _revoked(
        self, login: Login, kind: str, token: str
    ) -> tuple[Revocation, StayfastError | None]:
        """What became of ``token``, and the error where it is not known to have ended."""
        response: HttpResponse | None = None
        try:
            request = revocation_request(login.config, token, kind)
            if request is None:
                return Revocation(token=kind, outcome=RevocationOutcome.NOT_SUPPORTED), None
            response = send_with_nonce(self._dependencies.http, bound(login, request))
            require_confirmation(login.config, response)
        except ProviderError as error:
            outcome = _REFUSALS.get(error.oauth_error or "", RevocationOutcome.REFUSED)
            code = error.oauth_error
            one = Revocation(
                token=kind, outcome=outcome, http_status=error.status, oauth_error=code
            )
            return one, None if one.ended else error
        except NetworkError as error:
            wait = retry_after(response) if response else None
            if wait is not None:
                error.hint = Hint.note(f"the provider asks to wait {wait:.0f} s")
            status = response.status if response else None
            return (
                Revocation(
                    token=kind,
                    outcome=RevocationOutcome.NO_ANSWER,
                    http_status=status,
                    retry_after=wait,
                ),
                error,
            )
        except (ConfigInvalid, ConfigMissing) as error:
            return Revocation(token=kind, outcome=RevocationOutcome.NOT_SENT), error
        return Revocation(
            token=kind, outcome=RevocationOutcome.REVOKED, http_status=response.status
        ), None


_REFUSALS: Final = {
    "invalid_token": RevocationOutcome.ALREADY_INVALID,
    "unsupported_token_type": RevocationOutcome.UNSUPPORTED_TOKEN_TYPE,
}


def _held(tokens: OAuthTokens) -> list[tuple[str, str]]:
    """The tokens that there are, by kind, in the order in which they are revoked."""
    held = {"refresh_token": tokens.refresh_token, "access_token": tokens.access_token}
    return [(kind, token) for kind, token in held.items() if token]


def _unasked(tokens: OAuthTokens, *, revoke: bool) -> tuple[list[Revocation], list[StayfastError]]:
    """The outcomes where no request is sent: the provider takes none, or nobody wants one."""
    outcome = RevocationOutcome.NOT_SUPPORTED if revoke else RevocationOutcome.NOT_SENT
    return [Revocation(token=kind, outcome=outcome) for kind, _ in _held(tokens)], []


def _circumstances(revocations: Sequence[Revocation]) -> Circumstances:
    """What the log says of a logout: each token's outcome, and one answer, a refusal before others."""
    answers = [one for one in revocations if one.http_status]
    said = next((one for one in answers if one.oauth_error), answers[0] if answers else None)
    return Circumstances(
        detail=" ".join(f"{one.token}={one.outcome.value}" for one in revocations) or None,
        http_status=said.http_status if said else None,
        oauth_error=said.oauth_error if said else None,
    )
