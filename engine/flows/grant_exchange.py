"""The first request of a grant that needs no user, from sent to saved tokens.

A later request of the same login is a refresh with another ``grant_type``
(:mod:`.refresh_exchange`). The first one has nobody to wait for: what goes wrong ends the login, and
the next one begins anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import AuthFailed, ConfigInvalid, ConfigMissing, NetworkError, ProviderError
from ..hints import Hint
from ..oauth.error_codes import ABOUT_CLIENT, ABOUT_REQUEST, canonical
from ..oauth.grant_request import grant_request, judge_grant_response
from ..reasons import Reason
from ..table import Trigger
from .ledger import Circumstances
from .sending import bound, renewed_key, send_twice
from .unread import reading

if TYPE_CHECKING:
    from ..ports import HttpResponse
    from ..record import Login
    from .code_exchange import CodeExchange
    from .dependencies import Dependencies
    from .job import Job


class GrantExchange:
    """Asks for the first tokens of logins without a user."""

    def __init__(self, dependencies: Dependencies, code_exchange: CodeExchange) -> None:
        """Send by ``dependencies``; ``code_exchange`` files the tokens under their account."""
        self._dependencies = dependencies
        self._code_exchange = code_exchange

    def perform(self, job: Job) -> Login:
        """Send the grant of a login, which is exchanging, and save the answer.

        Args:
            job: The login as it was just saved, and its lease.

        Raises:
            AuthFailed: The provider refused it; the login is idle.
            NetworkError: No usable answer; the login is idle.
            ConfigMissing, ConfigInvalid: The client cannot prove itself; nothing was sent, likewise.
            TokensNotSaved: The tokens arrived and could not be saved; they are in the error.
        """
        login = job.login
        exchange = login.exchange
        if exchange is None:
            msg = f"login {login.short_id} has lost what it asks with"
            raise AuthFailed(msg, hint=Hint.sign_in(login))
        response: HttpResponse | None = None
        try:
            request = bound(login, grant_request(login.config, exchange))
            response, _ = send_twice(job, self._dependencies.http, request)
            with reading():
                granted = judge_grant_response(
                    login.config, response, bound=login.proof_key is not None
                )
        except ProviderError as error:
            raise self._refused(job, error) from error
        except NetworkError as error:
            self._unanswered(job, response, error)
            raise
        except (ConfigMissing, ConfigInvalid):  # a file that the client proves itself with is gone
            self._dependencies.ledger.advance(
                login, Trigger.FAIL, lease=job.lease, reason=Reason.CLIENT_UNPROVEN
            )
            raise
        arrived = replace(
            login,
            tokens=granted.tokens,
            reason=granted.reason.value if granted.reason else None,
            proof_key=renewed_key(login, response),
        )
        job.progress.arrived(arrived)
        return self.keep(job, arrived)

    def keep(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived``, which have just come; see :meth:`CodeExchange.keep`."""
        return self._code_exchange.keep(job, arrived)

    def save(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived``; see :meth:`CodeExchange.save`."""
        return self._code_exchange.save(job, arrived)

    def _refused(self, job: Job, error: ProviderError) -> AuthFailed:
        login = job.login
        reason = Reason(error.reason) if error.reason else Reason.GRANT_REFUSED
        self._dependencies.ledger.advance(
            login,
            Trigger.REJECT_GRANT,
            lease=job.lease,
            reason=reason,
            circumstances=Circumstances(http_status=error.status, oauth_error=error.oauth_error),
        )
        code = canonical(error.oauth_error or "")
        hint = error.hint or Hint.sign_in(login)
        if error.hint is None and (code in ABOUT_CLIENT or code in ABOUT_REQUEST):
            hint = Hint("provider show", login.provider)
        return AuthFailed(error.message, hint=hint)

    def _unanswered(self, job: Job, response: HttpResponse | None, error: NetworkError) -> None:
        self._dependencies.ledger.advance(
            job.login,
            Trigger.FAIL,
            lease=job.lease,
            reason=Reason.NETWORK if response is None else Reason.PROVIDER_BUSY,
            circumstances=Circumstances(http_status=response.status if response else None),
        )
        error.hint = Hint.sign_in(job.login)
