"""One refresh, from the refresh token sent to the new tokens saved (RFC 6749 §6)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import (
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    ProviderError,
    StorageConflict,
    StorageError,
    TokenExpired,
    TokenRefreshFailed,
)
from ..hints import Hint
from ..oauth.error_codes import ABOUT_CLIENT, ABOUT_REQUEST, canonical
from ..oauth.grant_request import grant_request, judge_grant_response
from ..oauth.id_token import Identification, Identified
from ..oauth.provider_response import error_code, read_members, retry_after
from ..oauth.token_endpoint import judge_token_response, refresh_request
from ..reasons import Reason
from ..record import Setback
from ..table import Trigger
from .ledger import Circumstances
from .moved import is_gone, moved
from .sending import bound, circumstances_of, not_saved, renewed_key, send_twice
from .unread import as_it_came, reading, show_hint, worth_keeping

if TYPE_CHECKING:
    from ..oauth.signing_keys import Keys
    from ..oauth.tokens import OAuthTokens
    from ..ports import HttpRequest, HttpResponse, Lease
    from ..record import Login, UnreadAnswer
    from .dependencies import Dependencies
    from .job import Job


class RefreshExchange:
    """Sends refresh tokens and keeps what comes back."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Send by their HTTP, and save by their ledger."""
        self._dependencies = dependencies
        self._identification = Identification(dependencies.http, dependencies.clock)

    def perform(self, job: Job) -> Login:
        """Send the refresh token of a login, which is exchanging, and save the answer.

        Args:
            job: The login as it was just saved, and its lease.

        Raises:
            TokenRefreshFailed: The provider refused the refresh token.
            NetworkError: No usable answer; the refresh token is kept for the next try.
            ProviderError: The provider refused this client or request, not the refresh token.
            StorageConflict: Somebody else has changed the login meanwhile.
            TokensNotSaved: New tokens arrived and could not be saved; they are in the error.
        """
        login, lease, tokens = job.login, job.lease, job.login.tokens
        if tokens is None or not (tokens.refresh_token or login.sends_grant):
            msg = f"login {login.short_id} has no refresh token"
            raise TokenExpired(msg, hint=Hint.sign_in(login))
        if login.unread is not None:
            read = self._read_again(job, login.unread, tokens)
            if read is not None:
                return read
        request = _request(login, tokens)
        lost = login.setback is not None and login.setback.lost
        job = replace(job, again=job.again or lost)
        # fetched first: once the answer is here, nothing but saving may stand in the way
        keys = self._identification.keys_at_hand(login.config) if tokens.id_token else None
        http = self._dependencies.http
        try:
            response, again = send_twice(job, http, bound(login, request))
            config = moved(http, login.config) if is_gone(login.config, response) else None
            if config is not None:
                # whoever answered like that has no token endpoint, so nothing was spent
                login = replace(login, config=config)
                job = replace(job, login=login, moved=True)
                request = _request(login, tokens)
                keys = self._identification.keys_at_hand(config) if tokens.id_token else None
                response, again = send_twice(job, http, bound(login, request))
        except NetworkError as error:
            error.hint = error.hint or "try again in a while"
            self._postpone(
                login, lease, Reason.NETWORK, self._setback(login, error.message, lost=error.sent)
            )
            raise
        except (ConfigMissing, ConfigInvalid) as error:  # a file that the client proves itself with
            trouble = self._setback(login, error.message)
            self._postpone(login, lease, Reason.CLIENT_UNPROVEN, trouble)
            raise
        try:
            with reading():
                identified = self._judged(login, response, tokens, keys)
        except NetworkError as error:
            said = Circumstances(http_status=response.status)
            unread = worth_keeping(login.config, response)
            if unread is not None:
                error.message += "; it is kept, sealed, with the login"
                error.hint = show_hint(login)
            trouble = self._trouble(login, response, error)
            reason = Reason.PROVIDER_BUSY if unread is None else Reason.ANSWER_UNREADABLE
            self._postpone(login, lease, reason, trouble, said, unread=unread)
            raise
        except ProviderError as error:
            raise self._refused(login, lease, error, again=again) from error
        return self._arrived(job, identified, response)

    def _read_again(self, job: Job, answer: UnreadAnswer, previous: OAuthTokens) -> Login | None:
        """The login with the tokens of an answer that could not be read before, if it can now."""
        login = job.login
        keys = self._identification.keys_at_hand(login.config) if previous.id_token else None
        try:
            with reading():
                identified = self._judged(login, as_it_came(answer), previous, keys)
        except (NetworkError, ProviderError):
            return None
        return self._arrived(job, identified)

    def _judged(
        self, login: Login, response: HttpResponse, previous: OAuthTokens, keys: Keys | None
    ) -> Identified:
        """The tokens in ``response``, and whose they are.

        Raises:
            ProviderError: A definite no, or tokens that must not be used.
            NetworkError: The matter is not settled.
        """
        bound = login.proof_key is not None
        if login.sends_grant:
            granted = judge_grant_response(login.config, response, bound=bound)
            return Identified(tokens=granted.tokens, identity=login.identity, reason=granted.reason)
        fresh = judge_token_response(login.config, response, previous=previous, bound=bound)
        return self._identification.identify_refreshed(login, fresh, keys)

    def _arrived(
        self, job: Job, identified: Identified, response: HttpResponse | None = None
    ) -> Login:
        arrived = replace(
            job.login,
            tokens=identified.tokens,
            identity=identified.identity,
            reason=identified.reason.value if identified.reason else None,
            proof_key=renewed_key(job.login, response),
        )
        job.progress.arrived(arrived)
        return self.keep(job, arrived)

    def keep(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived``, which have just come.

        Raises:
            StorageConflict: A newer login took this one's place: its tokens are the ones to use.
            TokensNotSaved: They could not be saved; they are in the error.
        """
        try:
            return self.save(job, arrived)
        except StorageConflict:
            raise
        except StorageError as error:
            raise not_saved("refreshed", error, arrived) from error

    def save(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived`` as those of the login of ``job``.

        Raises:
            StorageError: It could not be done.
        """
        return self._dependencies.ledger.advance(
            job.login,
            Trigger.ACCEPT_TOKENS,
            lease=job.lease,
            reason=Reason(arrived.reason) if arrived.reason else None,
            circumstances=circumstances_of(job),
            tokens=arrived.tokens,
            identity=arrived.identity,
            proof_key=arrived.proof_key,
            exchange=None,
            setback=None,
            unread=None,
        )

    def _setback(
        self,
        login: Login,
        message: str,
        *,
        lost: bool = False,
        doubt: bool | None = None,
        retry_at: float | None = None,
    ) -> Setback:
        """What to keep of a refresh that brought no tokens.

        Args:
            login: The login, with what was kept before.
            message: The message for the caller.
            lost: Whether the provider may have acted.
            doubt: Whether the answer may mean that the refresh token is dead. ``None`` if it says
                nothing of that: trouble between two such answers does not restart their count.
            retry_at: When the next refresh may be sent.
        """
        before = login.setback or Setback(tries=0)
        doubts = before.doubts if doubt is not False else 0
        return Setback(
            tries=before.tries + 1,
            doubts=doubts + 1 if doubt else doubts,
            lost=lost or before.lost,
            retry_at=retry_at,
            message=message,
        )

    def _trouble(self, login: Login, response: HttpResponse, error: NetworkError) -> Setback:
        """What to keep of an answer that settles nothing; ``error`` says how to go on."""
        # an empty answer, or a word that nobody knows, may be this server's way to say no
        members = read_members(response, login.config)
        doubt = response.status == 400 and (
            not response.body.strip() or (members is not None and error_code(members) is not None)
        )
        if doubt and login.setback is not None and login.setback.doubts:
            error.message += ", again: a new sign-in is probably needed"
            error.hint = Hint.sign_in(login)
        wait = retry_after(response)
        if wait is not None:
            error.message += f"; it asks to wait {wait:.0f} s"
        error.args = (error.message,)
        # a gateway that gives up, or an answer that cannot be used, may hide one that was acted upon
        acted_upon = response.status in {500, 502, 504} or response.status // 100 == 2
        return self._setback(
            login,
            error.message,
            lost=acted_upon,
            doubt=True if doubt else None,
            retry_at=None if wait is None else self._dependencies.clock.now() + wait,
        )

    def _postpone(
        self,
        login: Login,
        lease: Lease,
        reason: Reason,
        setback: Setback,
        circumstances: Circumstances | None = None,
        unread: UnreadAnswer | None = None,
    ) -> None:
        self._dependencies.ledger.advance(
            login,
            Trigger.POSTPONE_REFRESH,
            lease=lease,
            reason=reason,
            circumstances=circumstances or Circumstances(),
            exchange=None,
            setback=setback,
            unread=unread or login.unread,
        )

    def _refused(
        self, login: Login, lease: Lease, error: ProviderError, *, again: bool
    ) -> ProviderError | TokenRefreshFailed:
        """What to raise for a refusal, once it is saved; nobody's newer tokens are touched."""
        current = self._dependencies.storage.read(login.id)
        if current is None or current.version != login.version:
            msg = "another process has changed this login meanwhile"
            raise StorageConflict(msg, hint=Hint("status", login.provider))
        said = Circumstances(http_status=error.status, oauth_error=error.oauth_error)
        code = canonical(error.oauth_error or "")
        about_us = code in ABOUT_CLIENT
        doubted = login.setback is not None and login.setback.doubts > 0
        # some servers say so of a dead refresh token: from the second time on that is assumed
        if code in ABOUT_REQUEST or (about_us and not doubted):
            if error.hint is None:
                error.hint = Hint("provider show", login.provider)
            trouble = self._setback(login, error.message, doubt=about_us)
            self._postpone(login, lease, Reason.PROVIDER_ERROR, trouble, said)
            return error
        if error.reason is not None:
            reason = Reason(error.reason)
        else:
            reason = Reason.OUTCOME_UNKNOWN if again else Reason.REFRESH_REFUSED
            if login.sends_grant:
                reason = Reason.GRANT_REFUSED
        self._dependencies.ledger.advance(
            login,
            Trigger.REJECT_REFRESH,
            lease=lease,
            reason=reason,
            circumstances=said,
            exchange=None,
        )
        if error.reason is not None:
            return TokenRefreshFailed(
                f"{login.provider} needs a new sign-in: {error.message}",
                why="the tokens that the provider sent are not kept",
                hint=Hint.sign_in(login),
            )
        because = error.oauth_error or f"HTTP {error.status}"
        what = "grant" if reason is Reason.GRANT_REFUSED else "refresh token"
        return TokenRefreshFailed(
            f"{login.provider} needs a new sign-in: the provider rejected the {what} ({because})",
            why=self._before(login, again=again),
            hint=Hint.sign_in(login),
        )

    @staticmethod
    def _before(login: Login, *, again: bool) -> str | None:
        """What came before a refusal and may explain it."""
        if login.unread is not None:
            return f"an earlier answer could not be read; {show_hint(login)} prints it"
        return (
            "an earlier refresh was interrupted before its answer could be saved" if again else None
        )


def _request(login: Login, tokens: OAuthTokens) -> HttpRequest:
    """The request for the next tokens: by the grant that is asked again, or the refresh token."""
    if login.exchange is not None and login.exchange.kind == "grant":
        return grant_request(login.config, login.exchange)
    return refresh_request(login.config, tokens.refresh_token or "")
