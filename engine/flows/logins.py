"""The conductor of logins: what a program can do with one, in the words of the design.

How a login flows
=================

A login is one immutable record, :class:`stayfast.engine.record.Login`. It moves through the table
of :mod:`stayfast.engine.table`, and each move is one commit: the next version of the record, and
its audit event. This is the way from the first call to saved tokens::

    caller              this module and its flows           storage          outside
    ------              -------------------------           -------          -------
    sign_in, start ---> begin: draw the secrets
                          save "challenge" ------------->   version 1
                        transport.prepare  ------------------------------->  port, device code
                          save "awaiting_callback" ----->   version 2
                        transport.present  ------------------------------->  the user is asked
                        wait: receive, validate  <------------------------   callback, or poll due
                          save "exchanging", the code -->   version 3
                        jobs, courier: send the code ---------------------->  token endpoint
                          save "authenticated", tokens ->   version 4
    Login <------------ return

    userless.ask -----> save "exchanging" --> send the grant --> save "authenticated", tokens
    later: refresh      save "exchanging" --> send the refresh token --> save the new tokens
    later: logout       revoke --> save "idle" without tokens

The device flow has no code to save. It goes from "awaiting_callback" to "authenticated" in one
step, when a poll is answered with tokens.

Save, then act
--------------

No effect outside happens before the state that explains it is durable. The address is shown after
the secrets are saved. The code is sent after the code is saved. Success is reported after the
tokens are saved. A transport that sends nothing to get ready, as the one that binds a port, gets ready
first; versions 1 and 2 are then one commit. So a process may die between any two lines above. The
next one reads the record, and the record says what may have happened:

* "challenge": the user has seen nothing. Show them the address.
* "awaiting_callback": the user may answer at any time. Wait by the same address or device code;
  where that cannot be had, draw new secrets, and refuse answers to the old ones from then on.
* "exchanging": the request may have been sent. Send it once more, under the lease. Where its answer
  is kept (:mod:`.unread`), read that again, and send no code.
* "authenticated", "expired", "refresh_failed": finished. Only refresh and logout change it.
* "idle": over. The record says why.

Who may change a login
----------------------

Only the ledger (:mod:`.ledger`) changes a record, and only along a row of the table. Two things
keep two processes apart:

* The lease. Whoever asks, waits, exchanges or refreshes holds the lease of that login.
* The version. Each commit names the version that it was decided upon. Storage refuses it if the
  record has changed since, so nothing newer is ever written over.

Some changes need no lease, because the version is enough: noticing that a token has expired, and
replacing the older login of an account by a newer one.

What must not be lost
---------------------

From the moment a code or refresh token is sent until its answer is saved, that answer exists
nowhere else. This stretch is a job (:mod:`.job`). A courier carries it, and may do so in another
process, so that Ctrl-C or the death of the caller does not lose the tokens. If they arrive and
cannot be saved, they are in the error that is raised, ``TokensNotSaved``, which can save again.

A refused answer (another login's ``state``, say) changes nothing but the audit log.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..errors import (
    AuthFailed,
    CallbackRefused,
    ConfigInvalid,
    LoginTimedOut,
    NotFound,
    StayfastError,
    TransportUnavailable,
)
from ..hints import Hint
from ..login_id import naming
from ..ports import TransportWanted, ready_to_save
from ..reasons import Reason, Refusal
from ..record import DEFAULT_TIMEOUT, Login, require_account_name, state_alias
from ..secret import Secret
from ..summary import DEFAULT_ACCOUNT, account_alias
from ..table import State, Trigger
from .dependencies import made_once
from .jobs import Jobs
from .overview import Overview
from .refresh import LEASE_WAIT, Refresh

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..ports import Lease, Session, Transport
    from ..record import DeviceGrant
    from .begin import Begin
    from .dependencies import Dependencies
    from .identify import Identify
    from .logout import Logout
    from .userless import Userless
    from .wait import Wait

_PATIENCE: Final = 1.0  # seconds; a poll that a dead process had begun is over by then


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A login that waits for its user, begun by a program that will not wait itself.

    Attributes:
        login: The login, awaiting its callback.
        address: What the user has to open: the authorization URL, or where the code is entered.
    """

    login: Login
    address: str = field(repr=False)  # it has the secrets of this login: state and nonce

    @property
    def login_id(self) -> str:
        """The full id: :meth:`Conductor.complete` and :meth:`Conductor.resume` go on by it."""
        return self.login.id

    @property
    def user_code(self) -> str | None:
        """What the user types at ``address``; ``None`` without the device flow (RFC 8628 §3.3)."""
        grant = self._grant
        return grant.user_code if grant else None

    @property
    def complete_address(self) -> str | None:
        """``address`` with the code in it, for a QR code, where the provider gives one (§3.3.1)."""
        grant = self._grant
        return grant.verification_uri_complete if grant else None

    @property
    def expires_at(self) -> float | None:
        """When the login ends by itself, POSIX seconds."""
        return self.login.deadline

    @property
    def _grant(self) -> DeviceGrant | None:
        return self.login.presentation.device if self.login.presentation else None


_UNANSWERED: Final = frozenset({State.IDLE, State.CHALLENGE, State.AWAITING_CALLBACK})


class Conductor:
    """Takes logins through the table, with the effects it was handed.

    Every method that waits can be interrupted, in this process or by ending it; whatever was
    reached is saved and :meth:`resume` goes on from there.
    """

    def __init__(self, dependencies: Dependencies) -> None:
        """Begin nothing yet; what begins, waits or ends is loaded by the first who wants it."""
        self._dependencies = dependencies
        self.jobs: Final = Jobs(dependencies)
        self.refresh: Final = Refresh(dependencies, self.jobs)

    @property
    def overview(self) -> Overview:
        """Finds logins; it is not kept, since a circle of the two would outlive who dropped them."""
        return Overview(self._dependencies.storage, self._dependencies.clock, self.end_overdue)

    @made_once
    def _begin(self) -> Begin:
        from .begin import Begin  # noqa: PLC0415  a refresh begins nothing

        return Begin(self._dependencies)

    @made_once
    def _wait(self) -> Wait:
        from .wait import Wait  # noqa: PLC0415  as for _begin

        return Wait(self._dependencies, self._begin, self.jobs)

    @made_once
    def logout(self) -> Logout:
        """Ends finished logins."""
        from .logout import Logout  # noqa: PLC0415  for who signs out

        return Logout(self._dependencies)

    @made_once
    def identify(self) -> Identify:
        """Asks who signed in."""
        from .identify import Identify  # noqa: PLC0415  for a login, and for who asks

        return Identify(self._dependencies)

    @made_once
    def userless(self) -> Userless:
        """Gets tokens by grants that need no user."""
        from .userless import Userless  # noqa: PLC0415  for those grants alone

        return Userless(self._dependencies, self._begin, self.jobs, self.refresh)

    def end_overdue(self, login_id: str) -> Login | None:
        """The login, ended if its deadline has passed and no process has it in hand."""
        return self._begin.end_overdue(login_id)

    # --- begin -----------------------------------------------------------------------------------

    def sign_in(
        self,
        config: OAuthConfig,
        transport: Transport,
        *,
        account: str = DEFAULT_ACCOUNT,
        timeout: float = DEFAULT_TIMEOUT,
        taken: Collection[str] = (),
        replaces: bool = False,
    ) -> Login:
        """A whole login: asked, answered, exchanged, saved.

        Args:
            config: The provider and client.
            transport: How the answer comes back.
            account: The name to keep it under.
            timeout: Seconds until the login ends by itself.
            taken: Ids of open logins, so that the new one's short form is unlike theirs.
            replaces: Whether it takes the place of the account's older login even if that is
                another person's; otherwise it is then kept under an account of its own.

        Raises:
            StayfastError: As :meth:`Begin.ask` and :meth:`Wait.for_answer` say.
            KeyboardInterrupt: The user pressed Ctrl-C; a login whose user was asked can be resumed.
        """
        if config.needs_no_user:
            return self.userless.ask(
                config, account=account, timeout=timeout, taken=taken, replaces=replaces
            )
        ready_to_save(self._dependencies.storage)
        login = self._begin.new_login(
            config, account=account, timeout=timeout, taken=taken, replaces=replaces
        )
        with naming(login.id), self._dependencies.storage.lease(login.id, wait=0) as lease:
            asked, session = self._begin.begin(login, transport, lease)
            answered = self._wait_for_answer(asked, session, lease, timeout)
            return self.identify.named(answered, lease)

    def start(
        self,
        config: OAuthConfig,
        transport: Transport,
        *,
        account: str = DEFAULT_ACCOUNT,
        timeout: float = DEFAULT_TIMEOUT,
        taken: Collection[str] = (),
        replaces: bool = False,
    ) -> Started:
        """The first half of a login, for a program that owns the conversation with the user.

        The second half is :meth:`complete`, or :meth:`resume`, in this process or another.

        Raises:
            ConfigInvalid: Its grant needs no user.
            StayfastError: As :meth:`Begin.ask` says.
        """
        if config.needs_no_user:
            raise ConfigInvalid(
                f"the grant {config.grant} needs no user: there is nothing to finish later",
                hint=Hint("login", config.service_name),
            )
        ready_to_save(self._dependencies.storage)
        login = self._begin.new_login(
            config, account=account, timeout=timeout, taken=taken, replaces=replaces
        )
        with self._dependencies.storage.lease(login.id, wait=0) as lease:
            login, session = self._begin.begin(login, transport, lease)
            session.close()
        return Started(login=login, address=self.address(login))

    def address(self, login: Login) -> str:
        """What the user of a waiting ``login`` has to open.

        Raises:
            NotFound: It is not waiting for anybody.
        """
        device = login.presentation.device if login.presentation else None
        address = device.verification_uri if device else self._begin.address(login)
        if login.state is not State.AWAITING_CALLBACK or address is None:
            msg = f"login {login.short_id} is not waiting for its user"
            raise NotFound(msg, hint=Hint("status", login.provider))
        return address

    # --- go on -----------------------------------------------------------------------------------

    def resume(
        self,
        login_id: str,
        transports: Sequence[Transport],
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Login:
        """Go on with a login another process, or this one, has begun.

        Args:
            login_id: The full id.
            transports: The ways the answer may come back now, most welcome first. The first that
                can go on with the same address or device code does; if none can, the first
                starts anew with new secrets.
            timeout: Seconds a login that has to start anew waits for its user.

        Raises:
            NotFound: There is no such login.
            LoginBusy: Another process has it in hand.
            LoginTimedOut: Its deadline has passed.
            StayfastError: As :meth:`sign_in` says.
        """
        with self._held(login_id) as (login, lease):
            done = self._go_on(login, transports, lease, timeout)
            return self.identify.named(done, lease)

    def complete(
        self,
        parameters: Sequence[tuple[str, str]],
        *,
        login_id: str | None = None,
        by: str | None = None,
    ) -> Login:
        """Finish the login that ``parameters`` answer.

        A login that is finished is given for its own callback alone: that one may come twice.

        Args:
            parameters: The decoded callback parameters, duplicates kept
                (:func:`stayfast.engine.oauth.pasted.parse_callback` reads them from an address).
            login_id: The login they must belong to; found by their ``state`` if not given.
            by: The transport they came by, if it is another than the login was shown with.

        Raises:
            CallbackRefused: They belong to no login that waits for them; nothing has changed.
            StayfastError: As :meth:`Wait.receive` and :meth:`Jobs.send_code` say.
        """
        from ..oauth.callback import digest_of  # noqa: PLC0415  as for _begin
        from ..oauth.signed_response import peeked  # noqa: PLC0415  as for _begin

        if login_id is None:
            login_id = self._by_state(parameters)
        with self._held(login_id) as (login, lease):
            if login.state not in _UNANSWERED and login.callback_digest != digest_of(
                peeked(parameters)
            ):
                why = "has had its answer, and this is another one"
                raise self._not_waiting(login, why, Hint("status", login.provider))
            done = self._recover(login, lease)
            if done is not None:
                return done
            if login.state is State.CHALLENGE:
                why = "has not been shown to its user yet"
                raise self._not_waiting(login, why, Hint("resume", login=login.short_id))
            self._begin.check_deadline(login, lease)
            try:
                exchanging = self._wait.receive(login, parameters, lease, by=by)
            except CallbackRefused as refused:
                self._wait.refuse(login, refused, by or _transport_of(login))
                raise
            return self.identify.named(self.jobs.send_code(exchanging, lease), lease)

    def answer(self, text: object, *, login_id: str | None = None, by: str | None = None) -> Login:
        """Finish the login that ``text`` answers: an address, its query, or what a person pasted.

        Args:
            text: What came back.
            login_id: The login it must belong to; found by its ``state`` if not given.
            by: As for :meth:`complete`.

        Raises:
            CallbackRefused: It answers no login that waits for it; nothing has changed.
            StayfastError: As :meth:`complete` says.
        """
        from ..oauth.pasted import parse_callback  # noqa: PLC0415  as for _begin

        login = self._dependencies.storage.read(login_id) if login_id is not None else None
        presentation = login.presentation if login else None
        try:
            parameters = parse_callback(
                text,
                redirect_uri=presentation.redirect_uri if presentation else None,
                shows_code=login is not None and login.config.shows_code,
            )
        except CallbackRefused as refused:
            shown_by = _transport_of(login) if login else None
            self._wait.refuse(login, refused, by or shown_by)
            raise
        return self.complete(parameters, login_id=login_id, by=by)

    def cancel(self, login_id: str) -> Login:
        """Forget a login that has not been finished.

        Raises:
            NotFound: There is no such login, or it is finished already.
            LoginBusy: Another process has it in hand.
        """
        with self._held(login_id) as (login, lease):
            if not login.pending:
                msg = f"login {login.short_id} is {login.state.value}: there is nothing to cancel"
                raise NotFound(msg, hint=Hint("status", login.provider))
            return self._dependencies.ledger.advance(
                login, Trigger.CANCEL, lease=lease, reason=Reason.USER_CANCELLED
            )

    def replace(self, login_id: str, account: str) -> Login:
        """Put a login that has just finished in the place of the one that ``account`` has.

        Raises:
            NotFound: There is no such login.
            IllegalTransition: It is not signed in.
            LoginBusy: Another process has it in hand.
        """
        storage, ledger = self._dependencies.storage, self._dependencies.ledger
        with self._held(login_id) as (login, lease):
            older = storage.find(account_alias(login.provider, account))
            if older is not None and older.id == login.id:
                return login
            changes = ledger.ending(older, Trigger.SUPERSEDE, Reason.NEWER_LOGIN) if older else []
            moved = ledger.draft(login, Trigger.REPLACE, lease=lease, account=account)
            ledger.commit([*changes, moved])
            return moved.login

    def rename(self, login_id: str, account: str) -> Login:
        """Keep a finished login under another name from now on.

        Raises:
            ConfigInvalid: ``account`` cannot be a name, or another login of the provider has it.
            NotFound: There is no such login.
            IllegalTransition: It is not signed in, or its refresh is not finished.
            LoginBusy: Another process has it in hand.
        """
        require_account_name(account)
        storage, ledger = self._dependencies.storage, self._dependencies.ledger
        with self._held(login_id) as (login, lease):
            if login.account == account:
                return login
            if storage.find(account_alias(login.provider, account)) is not None:
                raise ConfigInvalid(
                    f"{login.provider} has an account {account[:40]!r} already",
                    hint=Hint("account list"),
                )
            return ledger.amend(login, Trigger.RENAME, lease=lease, account=account)

    # --- how -------------------------------------------------------------------------------------

    @contextmanager
    def _held(self, login_id: str) -> Generator[tuple[Login, Lease]]:
        """The login under its lease, as it is now.

        Whose process died while exchanging may still have its courier at work, which is waited for.
        """
        storage = self._dependencies.storage
        found = storage.read(login_id)
        exchanging = found is not None and found.state is State.EXCHANGING
        wait = LEASE_WAIT if exchanging else _PATIENCE
        with naming(login_id), storage.lease(login_id, wait=wait) as lease:
            login = storage.read(login_id)
            if login is None:
                msg = f"there is no login {login_id[:4]}"
                raise NotFound(msg, hint=Hint("list"))
            yield login, lease

    def _go_on(
        self, login: Login, transports: Sequence[Transport], lease: Lease, timeout: float
    ) -> Login:
        """The login of :meth:`resume`, finished."""
        done = self._recover(login, lease)
        if done is not None:
            return done
        if login.state is State.CHALLENGE:
            return self._ask_and_wait(login, transports[0], lease, timeout)
        self._begin.check_deadline(login, lease)
        session = self._reopen(login, transports)
        if session is None:
            session = self._begin.ready(login, transports[0], timeout=timeout)
            anew = self._begin.ask_anew(login, session, lease, timeout=timeout)
            return self._wait_for_answer(anew, session, lease, timeout)
        try:
            waiting = self._begin.renewed(login, lease)
            session.present(self._begin.address(waiting))
        except BaseException:
            session.close()
            raise
        return self._wait_for_answer(waiting, session, lease, timeout)

    def _ask_and_wait(
        self, login: Login, transport: Transport, lease: Lease, timeout: float
    ) -> Login:
        login, session = self._begin.ask(login, transport, lease)
        return self._wait_for_answer(login, session, lease, timeout)

    def _wait_for_answer(
        self, login: Login, session: Session, lease: Lease, timeout: float
    ) -> Login:
        """Wait for the answer, changing the transport as often as the user asks for another."""
        try:
            while True:
                try:
                    return self._wait.for_answer(login, session, lease)
                except TransportWanted as wanted:
                    try:
                        other = self._begin.ready(login, wanted.transport, timeout=timeout)
                    except StayfastError as error:  # it cannot work, and nothing has changed
                        wanted.refuse(error)
                        continue
                session.close()
                session = other
                login = self._begin.ask_anew(login, session, lease, timeout=timeout)
        finally:
            session.close()

    def _recover(self, login: Login, lease: Lease) -> Login | None:
        """The outcome of ``login`` if it needs no more answer from its user, else ``None``.

        Raises:
            AuthFailed, LoginTimedOut, NotFound: It is over; the message says why.
            NetworkError, TokenRefreshFailed: As the interrupted exchange turns out.
            ProviderError: Its answer is kept, and still cannot be read.
        """
        if login.state is State.IDLE:
            raise _epitaph(login)
        if login.tokens is not None:
            if login.state is State.EXCHANGING:
                return self.refresh.recover(login, lease)
            return login
        if login.state is State.EXCHANGING:
            self._begin.check_deadline(login, lease)
            if login.sends_grant:
                return self.jobs.send_grant(login, lease, again=True)
            return self.jobs.send_code(login, lease, again=True)
        if login.unread is not None:  # a device code was answered, and is not sent again
            self._begin.check_deadline(login, lease)
            answered = self.jobs.poll(login, lease)
            return answered if isinstance(answered, Login) else None
        return None

    def _reopen(self, login: Login, transports: Sequence[Transport]) -> Session | None:
        presentation = login.presentation
        if presentation is None:
            return None
        for transport in transports:
            try:
                return transport.reopen(self._begin.asking(login), presentation)
            except TransportUnavailable:
                continue
        return None

    def _by_state(self, parameters: Sequence[tuple[str, str]]) -> str:
        from ..oauth.signed_response import peeked  # noqa: PLC0415  as for _begin

        for name, value in peeked(parameters):
            if name == "state":
                login = self._dependencies.storage.find(state_alias(Secret(value)))
                if login is not None:
                    return login.id
        refused = CallbackRefused(
            "that answer belongs to no login that waits for one; nothing was sent",
            reason=Refusal.WRONG_STATE.value,
            hint=Hint("list"),
        )
        self._wait.refuse(None, refused, None)
        raise refused

    def _not_waiting(self, login: Login, why: str, hint: Hint) -> CallbackRefused:
        refused = CallbackRefused(
            f"login {login.short_id} {why}", reason=Refusal.NOT_WAITING.value, hint=hint
        )
        self._wait.refuse(login, refused, _transport_of(login))
        return refused


def _transport_of(login: Login) -> str | None:
    return login.presentation.transport if login.presentation else None


def _epitaph(login: Login) -> StayfastError:
    """Why a login that is over cannot be resumed."""
    hint = Hint.sign_in(login)
    reason = login.reason or "unknown"
    if reason in {Reason.DEADLINE_PASSED, Reason.DEVICE_CODE_EXPIRED}:
        return LoginTimedOut(f"login {login.short_id} was not finished in time", hint=hint)
    return AuthFailed(f"login {login.short_id} is over: {reason.replace('_', ' ')}", hint=hint)
