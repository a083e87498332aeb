"""From a code, or an approved device code, to saved tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..errors import (
    AuthCancelled,
    AuthFailed,
    LoginTimedOut,
    NetworkError,
    ProviderError,
    StayfastError,
    StorageConflict,
    StorageError,
)
from ..hints import Hint
from ..oauth.callback import saved_callback
from ..oauth.device import PollAnswer, PollKind, judge_poll, poll_request
from ..oauth.id_token import Identification
from ..oauth.provider import same_client, same_resources, same_server
from ..oauth.token_endpoint import code_request, judge_token_response
from ..oauth.token_extras import with_callback_extras
from ..ports import Verdict, VerdictKind
from ..reasons import Reason
from ..record import account_names
from ..summary import account_alias
from ..table import Trigger
from .job import JobKind
from .ledger import Circumstances
from .sending import bound, circumstances_of, not_saved, renewed_key, send_twice, send_under
from .unread import KEPT_FOR, as_it_came, reading, unread_error, worth_keeping

if TYPE_CHECKING:
    from ..oauth.id_token import Identified
    from ..oauth.provider import OAuthConfig
    from ..oauth.signing_keys import Keys
    from ..oauth.tokens import OAuthTokens
    from ..ports import HttpResponse, Lease
    from ..record import Login, UnreadAnswer
    from .dependencies import Dependencies
    from .job import Job

_ATTEMPTS: Final = 5  # commits tried when other processes finish logins of the same account


class CodeExchange:
    """Sends what the user's consent earned, and keeps what comes back."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Send by their HTTP, and save by their ledger."""
        self._dependencies = dependencies
        self._identification = Identification(dependencies.http, dependencies.clock)

    def perform(self, job: Job) -> Login | Verdict:
        """Send the code, or poll with the device code, as ``job`` says."""
        return self.poll(job) if job.kind is JobKind.POLL else self.send_code(job)

    def send_code(self, job: Job) -> Login:
        """Exchange the saved code of a login, which is exchanging, for tokens.

        Args:
            job: The login as it was just saved, and its lease.

        Raises:
            AuthFailed: The provider refused the code; the login is idle.
            NetworkError: No usable answer; the login is still exchanging and can be resumed.
            ProviderError: The answer may hold tokens and cannot be read; it is kept, and the code
                is not sent again.
            TokensNotSaved: The tokens arrived and could not be saved; they are in the error.
        """
        login, lease = job.login, job.lease
        challenge = login.challenge
        if challenge is None or login.presentation is None:
            msg = f"login {login.short_id} has lost what its code belongs to"
            raise AuthFailed(msg, hint=Hint.sign_in(login))
        if login.unread is not None:
            return self._read_again(job, login.unread)
        again = job.again
        response: HttpResponse | None = None
        request = code_request(
            login.config,
            saved_callback(login),
            verifier=challenge.verifier,
            redirect_uri=login.presentation.redirect_uri,
        )
        try:
            # fetched first: once the code is spent, nothing but saving may stand in the way
            keys = self._keys(login, again=again)
            response, again = send_twice(job, self._dependencies.http, bound(login, request))
            with reading():
                tokens = judge_token_response(
                    login.config, response, bound=login.proof_key is not None
                )
                identified = self._identification.identify(login, tokens, keys)
        except ProviderError as error:
            raise self._reject(login, lease, error, again=again) from error
        except NetworkError as error:
            self._keep_answer(login, lease, response, error)
            error.hint = Hint("resume", login=login.short_id)
            raise
        return self._accept(job, identified, response)

    def _keep_answer(
        self, login: Login, lease: Lease, response: HttpResponse | None, error: NetworkError
    ) -> None:
        """Keep an answer that cannot be used, if one came and it may hold tokens.

        Raises:
            ProviderError: It may; the login waits for somebody who can read it.
        """
        unread = worth_keeping(login.config, response) if response is not None else None
        if unread is None:
            return
        now = self._dependencies.clock.now()
        kept = self._dependencies.ledger.advance(
            login,
            Trigger.KEEP_ANSWER,
            lease=lease,
            reason=Reason.ANSWER_UNREADABLE,
            circumstances=Circumstances(http_status=unread.status),
            unread=unread,
            deadline=max(login.deadline or now, now + KEPT_FOR),
        )
        raise unread_error(kept) from error

    def _read_again(self, job: Job, answer: UnreadAnswer) -> Login:
        """Read the answer that an earlier version, or an earlier try, could not read.

        Raises:
            ProviderError: It still cannot be read; nothing has changed.
        """
        login = job.login
        keys = self._identification.keys_at_hand(login.config)
        try:
            with reading():
                tokens = judge_token_response(
                    login.config, as_it_came(answer), bound=login.proof_key is not None
                )
                identified = self._identification.identify(login, tokens, keys)
        except (NetworkError, ProviderError) as error:
            raise unread_error(login) from error
        return self._accept(job, identified)

    def _keys(self, login: Login, *, again: bool) -> Keys | None:
        """The keys for the ID token of ``login``, or ``None`` if they cannot be fetched.

        Keys that are out of reach for the moment are worth a second try: the login can be resumed.
        The resumed login goes on without them, or one whose keys are gone could never be finished.

        Raises:
            NetworkError: They are out of reach, and this is the first try.
        """
        if again:
            return self._identification.keys_at_hand(login.config)
        try:
            return self._identification.keys(login.config)
        except ProviderError:
            return None

    def _reject(
        self, login: Login, lease: Lease, error: ProviderError, *, again: bool
    ) -> AuthFailed:
        reason = Reason.CODE_SPENT if again else Reason.CODE_REFUSED
        if error.reason is not None:
            reason = Reason(error.reason)
        elif error.oauth_error is None and error.status in {None, 200}:
            reason = Reason.BAD_TOKEN_RESPONSE
        self._dependencies.ledger.advance(
            login,
            Trigger.REJECT_CODE,
            lease=lease,
            reason=reason,
            circumstances=Circumstances(http_status=error.status, oauth_error=error.oauth_error),
            exchange=None,
        )
        if reason is Reason.CODE_SPENT:
            return AuthFailed(
                f"the one-time code was already spent when login {login.short_id} stopped",
                why="tokens issued for it were never received; the provider revokes them",
                hint=Hint.sign_in(login),
            )
        return AuthFailed(error.message, hint=(error.hint or Hint.sign_in(login)).about(login))

    def poll(self, job: Job) -> Login | Verdict:
        """Ask once whether the device code of a login has been approved (RFC 8628 §3.4).

        Returns:
            The authenticated login; or, while there are no tokens, the verdict for the transport.

        Raises:
            AuthCancelled: The user declined; the login is idle.
            AuthFailed: The provider answered with another error; the login is idle.
            LoginTimedOut: The code has expired; the login is idle.
            ProviderError: The answer may hold tokens and cannot be read; it is kept, and no
                further poll is sent.
            TokensNotSaved: The tokens arrived and could not be saved; they are in the error.
        """
        login, lease = job.login, job.lease
        login = replace(login, config=login.config.of_device_flow())
        job = replace(job, login=login)
        presentation = login.presentation
        grant = presentation.device if presentation else None
        if grant is None:
            msg = f"login {login.short_id} is not a device login"
            raise AuthFailed(msg, hint=Hint.sign_in(login))
        if login.unread is not None:
            return self._read_again(job, login.unread)
        response: HttpResponse | None = None
        try:
            keys = self._identification.keys_at_hand(login.config)
            response = send_under(
                job, self._dependencies.http, bound(login, poll_request(login.config, grant))
            )
            with reading():
                answer = judge_poll(login.config, response, bound=login.proof_key is not None)
        except NetworkError as error:
            return self._unanswered(login, lease, response, error)
        except ProviderError as error:
            # Some providers answer invalid_grant, not expired_token, for a code that has expired.
            if self._dependencies.clock.now() >= grant.expires_at:
                raise self._expired(login, lease, error) from error
            raise self._denied(login, lease, error) from error
        if not isinstance(answer, PollAnswer):
            return self._approved(job, response, answer, keys)
        if answer.kind is PollKind.DENIED:
            no = ProviderError("", oauth_error="access_denied", status=response.status)
            raise self._denied(login, lease, no)
        if answer.kind is PollKind.EXPIRED:
            raise self._expired(login, lease, None)
        slower = answer.kind is PollKind.SLOW_DOWN
        kind = VerdictKind.SLOW_DOWN if slower else VerdictKind.PENDING
        return Verdict(kind=kind, interval=answer.interval)

    def _approved(
        self, job: Job, response: HttpResponse, tokens: OAuthTokens, keys: Keys | None
    ) -> Login | Verdict:
        try:
            with reading():
                identified = self._identification.identify(job.login, tokens, keys)
        except NetworkError as error:
            return self._unanswered(job.login, job.lease, response, error)
        except ProviderError as error:
            raise self._denied(job.login, job.lease, error) from error
        return self._accept(job, identified, response)

    def _unanswered(
        self, login: Login, lease: Lease, response: HttpResponse | None, error: NetworkError
    ) -> Verdict:
        """The verdict of a poll whose answer cannot be used; what may hold tokens is kept.

        Raises:
            ProviderError: It may; the login waits for somebody who can read it.
        """
        self._keep_answer(login, lease, response, error)
        return Verdict(kind=VerdictKind.UNANSWERED, message=error.message)

    def _denied(self, login: Login, lease: Lease, error: ProviderError) -> StayfastError:
        declined = error.oauth_error == "access_denied"
        self._dependencies.ledger.advance(
            login,
            Trigger.DENY,
            lease=lease,
            reason=Reason.ACCESS_DENIED if declined else Reason(error.reason or "provider_error"),
            circumstances=Circumstances(http_status=error.status, oauth_error=error.oauth_error),
        )
        hint = (error.hint or Hint.sign_in(login)).about(login)
        if declined:
            said = error.message or "the provider said no: access_denied (you declined the request)"
            return AuthCancelled(said, hint=hint)
        return AuthFailed(error.message, hint=hint)

    def _expired(self, login: Login, lease: Lease, error: ProviderError | None) -> LoginTimedOut:
        self._dependencies.ledger.advance(
            login,
            Trigger.TIME_OUT,
            lease=lease,
            reason=Reason.DEVICE_CODE_EXPIRED,
            circumstances=Circumstances(
                http_status=error.status if error else None,
                oauth_error=error.oauth_error if error else "expired_token",
            ),
        )
        msg = "the code expired before it was approved"
        return LoginTimedOut(msg, hint=Hint.sign_in(login, "--via", "device"))

    def _accept(
        self, job: Job, identified: Identified, response: HttpResponse | None = None
    ) -> Login:
        tokens = identified.tokens
        if tokens.scope is None:  # RFC 6749 §5.1: left out when it is what was asked for
            tokens = replace(tokens, scope=" ".join(job.login.config.asked_scopes))
        if job.login.exchange is not None:
            tokens = with_callback_extras(tokens, job.login.exchange.extras)
        arrived = replace(
            job.login,
            tokens=tokens,
            identity=identified.identity,
            reason=identified.reason.value if identified.reason else None,
            proof_key=renewed_key(job.login, response),
        )
        job.progress.arrived(arrived)
        return self.keep(job, arrived)

    def keep(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived``, which have just come.

        Raises:
            TokensNotSaved: They could not be saved; they are in the error.
        """
        try:
            return self.save(job, arrived)
        except StorageError as error:
            raise not_saved("signed in", error, arrived) from error

    def save(self, job: Job, arrived: Login) -> Login:
        """Save the tokens of ``arrived`` as those of the login of ``job``.

        An older login of the account makes room. One of another person or at another server does
        not, unless ``login`` says so: then the new login gets an account of its own.

        Raises:
            StorageError: It could not be done.
        """
        login, ledger = job.login, self._dependencies.ledger
        for attempt in range(_ATTEMPTS):
            account, reason, older = self._account(login, arrived)
            arrival = ledger.draft(
                login,
                Trigger.ACCEPT_TOKENS,
                lease=job.lease,
                reason=reason,
                circumstances=circumstances_of(job),
                account=account,
                tokens=arrived.tokens,
                identity=arrived.identity,
                proof_key=arrived.proof_key,
                challenge=None,
                presentation=None,
                exchange=None,
                deadline=None,
                unread=None,
                config=_kept(login).spent(),
            )
            # no lease is needed: a process that is refreshing the older login right now finds
            # that its version is gone, and uses this newer login instead
            changes = ledger.ending(older, Trigger.SUPERSEDE, Reason.NEWER_LOGIN) if older else []
            try:
                ledger.commit([*changes, arrival])
            except StorageConflict:
                if attempt == _ATTEMPTS - 1 or self._changed(login):
                    raise
            else:
                return arrival.login
        raise AssertionError("unreachable")  # pragma: no cover

    def _account(self, login: Login, arrived: Login) -> tuple[str, Reason | None, Login | None]:
        """The account to keep ``arrived`` under, why that one, and the login that makes room there."""
        reason = Reason(arrived.reason) if arrived.reason else None
        older = self._filed(login, login.account)
        if older is None or login.replaces:
            return login.account, reason, older
        foreign = _foreign(older, arrived)
        if foreign is None:
            unknown = older.identity is not None and arrived.identity is None
            return login.account, reason or (Reason.SUBJECT_UNKNOWN if unknown else None), older
        for account in account_names(arrived.identity) if arrived.identity else ():
            other = self._filed(login, account)
            if other is None or _foreign(other, arrived) is None:
                return account, foreign, other
        return login.id.lower(), foreign, None  # nobody else has this name

    def _filed(self, login: Login, account: str) -> Login | None:
        """The other login that ``account`` has; none where the storage cannot be read.

        The commit is tried even then: a storage that cannot save the tokens keeps them.
        """
        try:
            older = self._dependencies.storage.find(account_alias(login.provider, account))
        except StorageError:
            return None
        return None if older is None or older.id == login.id else older

    def _changed(self, login: Login) -> bool:
        current = self._dependencies.storage.read(login.id)
        return current is None or current.version != login.version


def _kept(login: Login) -> OAuthConfig:
    """The configuration to keep with the tokens of ``login``.

    A refresh that names the redirect address again must name the one of this login, port included.
    """
    config, shown = login.config, login.presentation
    if "refresh" not in config.repeats_redirect_uri or shown is None or not shown.redirect_uri:
        return config
    return replace(config, redirect_uri=shown.redirect_uri, redirect_per_issuer=False)


def _foreign(older: Login, arrived: Login) -> Reason | None:
    """Why ``arrived`` must not take the place of ``older``; ``None`` if it may.

    The name of a provider is for people: it may have been given to another server since.
    """
    if not same_server(older.config, arrived.config):
        return Reason.OTHER_ISSUER
    if not same_client(older.config, arrived.config):
        return Reason.OTHER_CLIENT
    if older.config.needs_no_user != arrived.config.needs_no_user:
        return Reason.OTHER_GRANT
    another = arrived.config.needs_no_user and older.config.audience != arrived.config.audience
    if another or not same_resources(older.config, arrived.config):
        return Reason.OTHER_RESOURCE
    before, now = older.identity, arrived.identity
    if before is not None and now is not None and before.subject != now.subject:
        return Reason.OTHER_SUBJECT
    return None
