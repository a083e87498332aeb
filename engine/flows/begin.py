"""The beginning of a login: its secrets are drawn, and its user is sent to the provider."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import (
    LoginBusy,
    LoginTimedOut,
    NetworkError,
    ProviderError,
    StorageError,
)
from ..hints import Hint
from ..login_id import new_login_id
from ..oauth.authorization_request import (
    authorization_parameters,
    authorization_url,
    require_browser_login,
)
from ..oauth.client_authentication import require_client_of
from ..oauth.dpop import binds, thumbprint
from ..oauth.grant_request import require_grant
from ..oauth.id_token import require_checkable
from ..oauth.pkce import new_nonce, new_state, new_verifier
from ..oauth.pushed_request import (
    is_spent,
    judge_push,
    push_request,
    pushed_url,
    pushes,
    require_pushable,
)
from ..oauth.request_object import signed_url, signs_requests
from ..oauth.settings_check import require_sendable
from ..oauth.signed_response import require_signed_response
from ..ports import Asking, Verdict, VerdictKind, sends_nothing_first
from ..reasons import Reason
from ..record import Challenge, Login, require_account_name
from ..result import ErrorCode
from ..table import State, Trigger
from .ledger import Circumstances

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..ports import Change, Lease, Session, Transport
    from ..record import Exchange, Presentation
    from .dependencies import Dependencies


class Begin:
    """Begins logins and asks their users."""

    def __init__(self, dependencies: Dependencies) -> None:
        """Draw secrets from their randomness, and save by their ledger."""
        self._dependencies = dependencies

    def new_login(
        self,
        config: OAuthConfig,
        *,
        account: str,
        timeout: float,
        taken: Collection[str] = (),
        replaces: bool = False,
    ) -> Login:
        """A login that has not begun; nothing is saved yet.

        Raises:
            ConfigMissing: There is no client id, or nothing that the client can prove itself with.
            ConfigInvalid: ``openid`` is asked for, and its ID token could not be checked; or
                ``account`` cannot be a name.
        """
        require_account_name(account)
        require_client_of(config)
        require_sendable(config)
        if config.needs_no_user:
            require_grant(config)
        else:
            require_checkable(config)
        now = self._dependencies.clock.now()
        return Login(
            id=new_login_id(self._dependencies.randomness, taken),
            version=0,
            state=State.IDLE,
            config=config,
            account=account,
            created_at=now,
            changed_at=now,
            deadline=now + timeout,
            replaces=replaces,
            proof_key=self._dependencies.new_proof_key(config) if binds(config) else None,
        )

    def begin(self, login: Login, transport: Transport, lease: Lease) -> tuple[Login, Session]:
        """Mint the secrets of ``login``, which is new, and ask its user by ``transport``.

        The secrets are saved before anything leaves this machine. Where nothing leaves it before the
        user is asked, they are saved with the presentation: both steps or, if the process dies, neither,
        and then nobody was asked anything.

        Raises:
            TransportUnavailable, ProviderError, NetworkError: The login is idle again.
            LoginTimedOut: It has no time at all.
        """
        ledger = self._dependencies.ledger
        begun = ledger.draft(
            login, Trigger.BEGIN, lease=lease, challenge=self._mint(), deadline=login.deadline
        )
        in_time = login.deadline is None or self._dependencies.clock.now() < login.deadline
        if in_time and sends_nothing_first(transport) and not pushes(login.config):
            return self._ask(begun.login, transport, lease, [begun])
        ledger.commit([begun])
        return self.ask(begun.login, transport, lease)

    def request(self, login: Login, lease: Lease, sending: Exchange) -> Login:
        """Save what a ``login`` without a user is about to send."""
        return self._dependencies.ledger.advance(
            login, Trigger.REQUEST_TOKENS, lease=lease, exchange=sending, deadline=login.deadline
        )

    def ready(self, login: Login, transport: Transport, *, timeout: float) -> Session:
        """Make ``transport`` ready for a ``login`` that waits by another one; nothing is saved.

        Raises:
            TransportUnavailable, ProviderError, NetworkError: It cannot work, which costs nothing.
        """
        anew = self._dependencies.clock.now() + timeout
        _require_way(login.config, transport)
        return transport.prepare(self.asking(replace(login, deadline=anew)))

    def ask_anew(self, login: Login, session: Session, lease: Lease, *, timeout: float) -> Login:
        """Ask the user of ``login``, who waits, by ``session`` and with new secrets.

        Whatever answers the old secrets is refused from the moment the new ones are saved.
        """
        try:
            login = self._dependencies.ledger.advance(
                login,
                Trigger.RECHALLENGE,
                lease=lease,
                reason=Reason.TRANSPORT_CHANGED,
                challenge=self._mint(),
                presentation=None,
                deadline=self._dependencies.clock.now() + timeout,
            )
        except BaseException:
            session.close()
            raise
        return self._present(login, session, lease)

    def _mint(self) -> Challenge:
        randomness = self._dependencies.randomness
        return Challenge(
            verifier=new_verifier(randomness),
            state=new_state(randomness),
            nonce=new_nonce(randomness),
        )

    def ask(self, login: Login, transport: Transport, lease: Lease) -> tuple[Login, Session]:
        """Ready ``transport`` for ``login``, which is at its challenge, save that, and ask.

        Raises:
            TransportUnavailable, ProviderError, NetworkError: The login is idle again.
        """
        self.check_deadline(login, lease)
        return self._ask(login, transport, lease)

    def _ask(
        self, login: Login, transport: Transport, lease: Lease, unsaved: Sequence[Change] = ()
    ) -> tuple[Login, Session]:
        try:
            _require_way(login.config, transport)
            session = transport.prepare(self.asking(login))
        except Exception as error:
            self._fail(login, lease, error, unsaved)
            raise
        return self._present(login, session, lease, unsaved), session

    def _present(
        self, login: Login, session: Session, lease: Lease, unsaved: Sequence[Change] = ()
    ) -> Login:
        """Save the presentation of ``session``, after ``unsaved`` changes, then show it to the user.

        A request that must be pushed is pushed before.

        The address is built first: a login whose address cannot be built must not wait for anybody.
        """
        try:
            presentation = self._pushed(login, session.presentation, lease)
            address = self.address(replace(login, presentation=presentation))
        except Exception as error:
            session.close()
            self._fail(login, lease, error, unsaved)
            raise
        try:
            ledger = self._dependencies.ledger
            presented = ledger.draft(
                login,
                Trigger.PRESENT,
                lease=lease,
                presentation=presentation,
                deadline=_deadline(login, session),
            )
            ledger.commit([*unsaved, presented])
            session.present(address)
        except BaseException:
            session.close()
            raise
        return presented.login

    def _pushed(self, login: Login, presentation: Presentation, lease: Lease) -> Presentation:
        """``presentation`` with the request of ``login`` pushed, where it goes that way.

        Raises:
            ProviderError: The server refused it.
            NetworkError: No usable answer.
        """
        challenge, config = login.challenge, login.config
        if presentation.redirect_uri is None or challenge is None or not pushes(config):
            return presentation
        asked = authorization_parameters(
            config, challenge, presentation.redirect_uri, dpop_jkt=_thumbprint(login)
        )
        if signs_requests(config):
            asked = [("request", self._dependencies.sign_request(config, asked))]
        request = push_request(config, asked)
        lease.keep()
        answer = judge_push(config, self._dependencies.http.send(request))
        return replace(presentation, pushed=answer)

    def renewed(self, login: Login, lease: Lease) -> Login:
        """``login``, which waits, with an address that works: that of a pushed request is good once.

        The same request is pushed again, with the same secrets: an answer to the first one is still
        the answer. Where it cannot be, and the first address has not ended, that one is shown.

        Raises:
            ProviderError, NetworkError: There is no address to show; the login waits as before.
        """
        presentation = login.presentation
        pushed = presentation.pushed if presentation else None
        if presentation is None or pushed is None:
            return login
        try:
            again = self._pushed(login, presentation, lease)
        except (NetworkError, ProviderError):
            if is_spent(pushed, self._dependencies.clock.now()):
                raise
            return login
        return self._dependencies.ledger.advance(
            login, Trigger.PUSH_AGAIN, lease=lease, presentation=again
        )

    def _fail(
        self, login: Login, lease: Lease, error: Exception, unsaved: Sequence[Change] = ()
    ) -> None:
        """End the login: ``error`` keeps its user from being sent to the provider."""
        ledger = self._dependencies.ledger
        failed = ledger.draft(
            login,
            Trigger.FAIL,
            lease=lease,
            reason=_why_not(error),
            circumstances=_as_circumstances(error),
        )
        ledger.commit([*unsaved, failed])

    def end_overdue(self, login_id: str) -> Login | None:
        """The login, ended if its deadline has passed and no process has it in hand."""
        storage = self._dependencies.storage
        with suppress(StorageError, LoginBusy), storage.lease(login_id, wait=0) as lease:
            login = storage.read(login_id)
            if login is not None and login.pending:
                with suppress(LoginTimedOut):
                    self.check_deadline(login, lease)
        with suppress(StorageError):
            return storage.read(login_id)
        return None

    def asking(self, login: Login) -> Asking:
        """What a transport may know of ``login``."""
        deadline = login.deadline or self._dependencies.clock.now()
        return Asking(login_id=login.id, config=login.config, deadline=deadline)

    def address(self, login: Login) -> str | None:
        """The address ``login`` waits for the user to open; ``None`` for the device flow."""
        presentation = login.presentation
        if presentation is None or presentation.redirect_uri is None or login.challenge is None:
            return None
        if presentation.pushed is not None:
            return pushed_url(login.config, presentation.pushed)
        if signs_requests(login.config):
            asked = authorization_parameters(
                login.config,
                login.challenge,
                presentation.redirect_uri,
                dpop_jkt=_thumbprint(login),
            )
            signed = self._dependencies.sign_request(login.config, asked)
            return signed_url(login.config, signed)
        return authorization_url(
            login.config, login.challenge, presentation.redirect_uri, dpop_jkt=_thumbprint(login)
        )

    def check_deadline(self, login: Login, lease: Lease, session: Session | None = None) -> float:
        """Seconds until the deadline of ``login``.

        Raises:
            LoginTimedOut: It has passed; the login is idle.
        """
        now = self._dependencies.clock.now()
        deadline = login.deadline or now
        if now < deadline:
            return deadline - now
        device = login.presentation.device if login.presentation else None
        # a code may outlast the time that this login was given: then it is not the code that has ended
        expired = device is not None and device.expires_at <= deadline
        reason = Reason.DEVICE_CODE_EXPIRED if expired else Reason.DEADLINE_PASSED
        self._dependencies.ledger.advance(login, Trigger.TIME_OUT, lease=lease, reason=reason)
        msg = (
            "the code expired before it was approved"
            if expired
            else f"login {login.short_id} was not finished in time"
        )
        if session is not None:
            session.reply(Verdict(kind=VerdictKind.FAILED, message=msg, reason=ErrorCode.TIMEOUT))
        via = ("--via", "device") if device else ()
        raise LoginTimedOut(msg, hint=Hint.sign_in(login, *via))


def _thumbprint(login: Login) -> str | None:
    return thumbprint(login.proof_key) if login.proof_key is not None else None


def _require_way(config: OAuthConfig, transport: Transport) -> None:
    """Refuse a login that no browser can be sent to the provider for."""
    require_client_of(config, transport.name)
    if transport.name != "device":
        require_browser_login(config)
        require_pushable(config)
        require_signed_response(config)


def _deadline(login: Login, session: Session) -> float | None:
    """The sooner of the login's own deadline and the end of a device code."""
    device = session.presentation.device
    if device is None or login.deadline is None:
        return login.deadline
    return min(login.deadline, device.expires_at)


def _why_not(error: Exception) -> Reason:
    if isinstance(error, ProviderError):
        pushed = error.reason == Reason.PUSH_REFUSED.value
        return Reason.PUSH_REFUSED if pushed else Reason.DEVICE_REFUSED
    return Reason.NETWORK if isinstance(error, NetworkError) else Reason.TRANSPORT_UNAVAILABLE


def _as_circumstances(error: Exception) -> Circumstances:
    if isinstance(error, ProviderError):
        return Circumstances(http_status=error.status, oauth_error=error.oauth_error)
    return Circumstances()
