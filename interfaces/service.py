"""What a program embeds: sign in, stay signed in, sign out; values, not exceptions.

:class:`OAuthService` has every method; :func:`create_client` gives the few that most programs need
(the SDK). Both answer whether somebody is signed in with an :class:`AuthStatus`.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Unpack

from ..engine.errors import AuthRequired, ConfigInvalid, StayfastError
from ..engine.flows.logins import Started
from ..engine.oauth.client_authentication import certificate_of
from ..engine.oauth.login_wishes import LoginWishes
from ..engine.oauth.request_proofs import resource_headers
from ..engine.oauth.token_endpoint import access_token, bearer_token, further_token
from ..engine.oauth.tokens import DEFAULT_BUFFER
from ..engine.record import DEFAULT_TIMEOUT
from ..engine.summary import DEFAULT_ACCOUNT
from ..storage import MemoryStorage
from ..storage.capabilities import capabilities_of
from ..storage.host import CLOCK
from ..storage.paths import THE_COMMAND
from ..storage.paths import state_dir as default_state_dir
from ..storage.program import require_name
from ..transports.cancelling import unless_set
from ..transports.loopback.page import Site
from .answers import answered, handing_out, raising_ours, signed_in, tokens_of
from .arguments import OF_CALLS, OF_SERVICE, require
from .assembly import Assembly, Whole
from .auth_status import AuthStatus, status_of
from .browser_logout import RETURN_WAIT, ending_of
from .catalogue import require_providers
from .signed_in import Health, SignedIn, SignedOut
from .unattended import kept_login, require_known, valid_login
from .user_contact import UserContact, until_cancelled
from .words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..engine.hints import Hint
    from ..engine.oauth.provider import OAuthConfig, OAuthProvider
    from ..engine.oauth.tokens import OAuthTokens
    from ..engine.oauth.userinfo import UserInfo
    from ..engine.ports import Answers, Browser, Conversation, Observer, Storage
    from ..engine.record import Login
    from ..engine.result import Result
    from ..engine.summary import Summary
    from ..storage import TokenStorageProtocol
    from ..transports.cancelling import CancelToken
    from .auth.httpx import HttpxAuth
    from .auth.requests import RequestsAuth
    from .tokens_at_hand import TokensAtHand
    from .transport_maker import TransportName, Via
    from .words import Advice


class OAuthService:
    """Logins of one program's user, by provider name.

    Every method answers with :class:`Success` or :class:`Failure`; none raises for what can go
    wrong with a login. A keyword that a method does not know is a mistake of the program, and raises
    ``TypeError``. Threads and processes may share it: when a token has expired, exactly one of
    them refreshes it, and the others use the result.
    """

    def __init__(
        self,
        token_storage: TokenStorageProtocol | None = None,
        *,
        storage: Storage | None = None,
        assembly: Assembly | None = None,
        conversation: Conversation | None = None,
        browser: Browser | None = None,
        answers: Callable[[], Answers] | None = None,
        audit: str | None = None,
        app: str = THE_COMMAND,
        providers: Mapping[str, OAuthProvider] | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        config_dir: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        advice: Advice | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Choose where logins are kept; open nothing before the first use.

        Args:
            token_storage: Where tokens are kept: :class:`FileTokenStorage` (the default),
                :class:`MemoryTokenStorage`, or any object with the same three methods, with which
                a login that was interrupted cannot be resumed.
            storage: A complete storage instead; an interrupted login can be resumed in it.
            assembly: All parts at once, for programs that bring their own.
            conversation: Where the address to open is shown; standard error by default, and nowhere
                by :meth:`begin`.
            browser: Opens the address; the system's browser by default. One of the program's own is
                one that a port of this machine can be reached from.
            answers: Opens the place that pasted addresses come from; by default the terminal, the box
                of a notebook, or standard input. A program with a ``conversation`` of its own
                and no ``answers`` is asked to paste only with ``via="manual"``.
            audit: Where the audit log goes, such as ``file,logging:myprogram.audit``; by default
                what ``STAYFAST_AUDIT`` says.
            app: The program's name. Directories, variables (``ACME_STORE``), the keyring's item,
                hints, pages and errors have it. ``stayfast`` is the command: only under that name
                are ``STAYFAST_…`` and the user's ``config.toml`` read.
            providers: The program's own, by name: an ``OAuthProvider``, or an ``OAuthConfig`` with
                the client. Nothing outside the program changes them. With ``providers`` or ``app``
                the service knows these and the shipped ones, and not what others have put into
                ``OAUTH_PROVIDERS``.
            state_dir: Where logins are kept; by default below the user's state directory.
            config_dir: Where a key file is kept; by default below the user's configuration
                directory.
            environ: The environment; by default that of the process, as it is at each use.
            advice: The program's own words for a hint, or ``None`` for the library's.
            observers: Get every event once it is saved, such as an ``OpenTelemetryObserver``.

        Raises:
            ConfigInvalid: ``app`` cannot be the name of directories and variables, one of
                ``providers`` is none, or an argument is of another type.
        """
        given = dict(locals())
        optional = given.keys() - {"app", "observers"}
        require(OF_SERVICE, ((name, given[name]) for name in OF_SERVICE), optional)
        require_name(app)
        require_providers(providers or {})
        self._app = app
        self._providers = providers
        self._state_dir = None if state_dir is None else os.fspath(state_dir)
        self._config_dir = None if config_dir is None else os.fspath(config_dir)
        self._environ = environ
        self.words = Words(app, advice=advice, command_can=self._command_can)
        self._token_storage = token_storage
        self._storage = storage
        self._assembly = assembly
        self._user = UserContact(
            conversation=conversation,
            answers=answers,
            browser=browser,
            site=Site("Stayfast" if app == THE_COMMAND else app, command=False),
        )
        self._audit = audit
        self._observers = tuple(observers)
        self._making = Whole()

    @property
    def assembly(self) -> Assembly:
        """The parts behind this service, put together at first use.

        Raises:
            StorageError: The storage cannot be opened.
        """
        if self._assembly is None:
            with self._making.guard:  # of two, each would not know the logins in the other's memory
                if self._assembly is None:
                    self._assembly = self._opened()
        return self._assembly

    def _opened(self) -> Assembly:
        return Assembly.open(
            storage=self._storage,
            token_storage=self._token_storage,
            state_dir=self._state_dir,
            config_dir=self._config_dir,
            audit=self._audit,
            observers=self._observers,
            environ=self._environ,
            program=self._app,
            providers=self._providers,
        )

    @property
    def at_hand(self) -> TokensAtHand | None:
        """The tokens that memory has, which nobody waits for; ``None`` before the first answer.

        They are not made here: that may fail, and only an answer can say so.
        """
        if self._assembly is None:
            return None
        made: TokensAtHand | None = self._assembly.__dict__.get("at_hand")
        return made

    def _command_can(self, hint: Hint) -> bool:
        """Whether the command works on the same storage, and knows the provider of ``hint``."""
        assembly = self._assembly
        if assembly is None or self._token_storage is not None:
            return False
        try:
            known = hint.provider is None or assembly.catalogue.known_to_command(hint.provider)
            return known and self._commands_storage(assembly)
        except (StayfastError, OSError, ImportError):  # nothing can be loaded or looked at now
            return False

    def _commands_storage(self, assembly: Assembly) -> bool:
        """Whether the storage of ``assembly`` is the one that the command opens."""
        vault = capabilities_of(assembly.storage).vault
        if vault is not None:
            return vault.directory == default_state_dir(assembly.environ)
        return self._storage is None and not isinstance(assembly.storage, MemoryStorage)

    @answered
    def check(self, *, within: float = 10.0) -> Health:
        """Whether logins can be saved now, by a write that is rolled back; no provider is asked.

        Args:
            within: Seconds after which a database that is exhausted, locked or frozen counts as one
                that does not answer.

        Failures: ``STORAGE_…``, ``CONFIG_INVALID``.
        """
        storage = self.assembly.storage
        probe_within = capabilities_of(storage).probe_within
        began = CLOCK.monotonic()
        if probe_within is None:
            storage.probe()
        else:
            probe_within(within)
        return Health(storage=storage.description, seconds=CLOCK.monotonic() - began)

    # --- the state of things ---------------------------------------------------------------------

    @answered
    def get_status(self, service: str, *, account: str = DEFAULT_ACCOUNT) -> AuthStatus:
        """Whether there are tokens for ``service``, without asking the provider.

        Failures: ``NOT_FOUND`` (no such provider), ``STORAGE_…``.
        """
        refresh = self.assembly.conductor.refresh
        try:
            login = refresh.observe(refresh.find(service, account)).summary()
        except AuthRequired:
            require_known(self.assembly, service)
            return AuthStatus.NOT_AUTHENTICATED
        return status_of(login, usable=refresh.usable(login))

    @answered
    def get_tokens(self, service: str, *, account: str = DEFAULT_ACCOUNT) -> OAuthTokens:
        """The tokens as they are stored, even expired ones.

        Failures: ``AUTH_REQUIRED``, ``NOT_FOUND`` (no such provider), ``STORAGE_…``.
        """
        return tokens_of(kept_login(self.assembly, service, account))

    # --- signing in ------------------------------------------------------------------------------

    @handing_out(signed_in)
    def authenticate(
        self,
        service: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] | None = None,
        open_browser: bool = True,
        account: str = DEFAULT_ACCOUNT,
        via: Via | TransportName = "auto",
        timeout: float = DEFAULT_TIMEOUT,
        replace: bool = False,
        cancel: CancelToken | None = None,
        challenge: str | None = None,
        **wishes: Unpack[LoginWishes],
    ) -> SignedIn:
        """A whole login, waiting for the user.

        Args:
            service: The provider's name; or the address of a protected resource, such as an MCP
                server, whose authorization server is found and where a client is registered if need be.
            client_id: The client; else from ``<SERVICE>_CLIENT_ID`` or the configuration.
            client_secret: Likewise, for confidential clients.
            scopes: Instead of the configured ones.
            open_browser: Whether to start a browser; the address is shown in any case.
            account: The name to keep the login under.
            via: ``loopback``, ``manual`` or ``device``; by default what fits the surroundings, as in
                the command: a browser here, a paste over SSH, a code in a container. At a terminal an
                address may be pasted while a port listens. Where nothing can be pasted, a port
                listens, unless no browser can reach it and the provider offers a code.
            timeout: Seconds to wait for the user.
            replace: Whether the account's login makes room even if another person signs in, or the
                provider's name means another server by now. Without it the new login is then
                kept under an account of its own.
            cancel: Ends the wait, and the login, as soon as another thread sets it: a
                :class:`threading.Event`. It ends a wait for a server that describes itself, too, and
                one for ``input()``. An answer that has come is still exchanged.
            challenge: The ``WWW-Authenticate`` header with which an API refused the present token:
                the login asks for the scopes of before and for what the header asks (RFC 6750 §3.1,
                RFC 9470 §4).
            wishes: What this login asks for besides (:class:`LoginWishes`): ``resources``,
                ``authorization_details``, ``prompt``, ``login_hint``, ``max_age``, ``acr_values``,
                ``ui_locales``. They are saved with the login.

        Failures: ``NOT_FOUND`` (no such provider), ``CONFIG_MISSING`` (no client id),
        ``AUTH_CANCELLED`` (declined, or ``cancel`` was set), ``AUTH_FAILED``, ``TIMEOUT``,
        ``NETWORK_ERROR``, ``PROVIDER_ERROR``, ``TRANSPORT_UNAVAILABLE`` (no free port),
        ``STORAGE_…``.

        Raises:
            KeyboardInterrupt: The user pressed Ctrl-C. Its note names the login, which
                :meth:`resume` goes on with; its attribute ``login_id`` is the full id.
        """
        assembly = self.assembly

        configure = partial(
            assembly.config,
            service,
            client_id=client_id,
            client_secret=client_secret,
            scopes=scopes,
            via=via,
            challenge=challenge,
            account=account,
            **wishes,
        )

        def configured() -> OAuthConfig:
            # it may wait for a server that describes itself
            return configure() if cancel is None else unless_set(configure, cancel)

        def sign_in(config: OAuthConfig) -> Login:
            if config.needs_no_user:  # and so no transport
                return assembly.conductor.userless.ask(
                    config, account=account, timeout=timeout, replaces=replace
                )
            way = self._way(config, via)
            maker = self._user.maker(
                assembly, open_browser=open_browser, interruptible=cancel is not None
            )
            transport = maker.make(way)
            return until_cancelled(
                transport,
                assembly,
                cancel,
                lambda ended: assembly.conductor.sign_in(
                    config, ended, account=account, timeout=timeout, replaces=replace
                ),
            )

        return signed_in(assembly.resource_logins.once_more(configured(), configured, sign_in))

    @answered
    def begin(
        self,
        service: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] | None = None,
        account: str = DEFAULT_ACCOUNT,
        via: Via | TransportName = "manual",
        redirect_uri: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        replace: bool = False,
        challenge: str | None = None,
        **wishes: Unpack[LoginWishes],
    ) -> Started:
        """The first half of a login, for a program that shows the address to its user itself.

        Show ``value.address`` (and ``value.user_code``, if there is one). When the browser comes back
        to the redirect address, pass its whole address to :meth:`complete`, with
        ``value.login_id``. With ``via="device"``, call :meth:`resume` instead: it polls.

        A web backend keeps ``value.login_id`` in the browser's session, in a cookie that is
        ``HttpOnly`` and ``Secure``, and passes the one of the *same* session to :meth:`complete`.
        Otherwise an attacker can have a victim's browser finish the attacker's own login, and
        the victim works in the attacker's account (RFC 9700 §4.7). ``examples/fastapi-backend``
        does so.

        Args:
            service: The provider's name.
            client_id: As for :meth:`authenticate`.
            client_secret: As for :meth:`authenticate`.
            scopes: As for :meth:`authenticate`.
            account: The name to keep the login under.
            via: ``manual`` or ``device``.
            redirect_uri: Where the browser is to come back to: a web backend's own address.
            timeout: Seconds until the login ends by itself.
            replace: As for :meth:`authenticate`.
            challenge: As for :meth:`authenticate`.
            wishes: As for :meth:`authenticate`.

        Failures: as for :meth:`authenticate`.
        """
        assembly = self.assembly
        configure = partial(
            assembly.config,
            service,
            client_id=client_id,
            client_secret=client_secret,
            scopes=scopes,
            via=via,
            redirect_uri=redirect_uri,
            challenge=challenge,
            account=account,
            **wishes,
        )
        config = configure()
        transport = self._user.silent(assembly).make(via)
        assembly.tidy()
        how = partial(assembly.conductor.start, transport=transport, timeout=timeout)
        start = partial(how, account=account, replaces=replace)
        return assembly.resource_logins.once_more(config, configure, start)

    @handing_out(signed_in)
    def complete(self, callback: str, *, login_id: str | None = None) -> SignedIn:
        """Finish the login that ``callback`` answers; the value says who signed in, too.

        Args:
            callback: The address the browser came back to, or its query.
            login_id: The login it must belong to: in a web backend, the one that :meth:`begin` gave
                to the session of this very browser. If not given, it is found by its ``state``,
                which is right for a program with one user only.

        Failures: ``CALLBACK_REFUSED`` (it answers no login that waits; nothing has changed),
        ``AUTH_CANCELLED``, ``AUTH_FAILED``, ``TIMEOUT``, ``NETWORK_ERROR``, ``LOGIN_BUSY``,
        ``STORAGE_…``.
        """
        full_id = None if login_id is None else self._full_id(login_id)
        return signed_in(self.assembly.conductor.answer(callback, login_id=full_id))

    @handing_out(signed_in)
    def resume(
        self,
        login_id: str,
        *,
        via: Via | TransportName | None = None,
        open_browser: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        cancel: CancelToken | None = None,
    ) -> SignedIn:
        """Go on with a login that was begun here or elsewhere, waiting for its user.

        Args:
            login_id: Its full id; :meth:`find_login` finds it by what a person types.
            via: Another transport than before.
            open_browser: Whether to start a browser.
            timeout: Seconds to wait, where the login has to start anew.
            cancel: As for :meth:`authenticate`.

        Failures: ``NOT_FOUND`` (no such login), ``LOGIN_BUSY`` (another process holds it),
        and as for :meth:`authenticate`.
        """
        conductor = self.assembly.conductor
        full_id = self._full_id(login_id)
        maker = self._user.maker(
            self.assembly, open_browser=open_browser, interruptible=cancel is not None
        )
        before = self.assembly.storage.read(full_id)
        presented = before.presentation.transport if before and before.presentation else "loopback"
        name: str = via or presented
        if before is not None and name == "auto":
            name = self._way(before.config, name)
        return signed_in(
            until_cancelled(
                maker.make(name),
                self.assembly,
                cancel,
                lambda ended: conductor.resume(full_id, [ended], timeout=timeout),
            )
        )

    @answered
    def cancel(self, login_id: str) -> bool:
        """Forget a login that has not been finished.

        Failures: ``NOT_FOUND`` (no such login, or it is finished), ``LOGIN_BUSY``.
        """
        self.assembly.conductor.cancel(self._full_id(login_id))
        return True

    @answered
    def logins(self) -> list[Summary]:
        """All logins, oldest first: those that wait for an answer, are signed in, or are over.

        A login whose ``pending`` is true can be resumed or cancelled by its ``id``.

        Failures: ``STORAGE_…``.
        """
        return self.assembly.overview.summaries()

    @answered
    def find_login(self, beginning: str) -> Summary:
        """The login whose id begins with ``beginning``, as the person types who owns all of them.

        Do not pass on what a stranger sends: four characters are soon guessed.

        Failures: ``NOT_FOUND`` (no such login, or several; the message names them).
        """
        return self.assembly.overview.named(beginning)

    # --- staying signed in -----------------------------------------------------------------------

    @handing_out(tokens_of)
    def ensure_valid_token(
        self,
        service: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        buffer_seconds: float = DEFAULT_BUFFER,
    ) -> OAuthTokens:
        """Tokens that are good for a while, refreshed if need be (RFC 6749 §6).

        Args:
            service: The provider's name, or the address of a protected resource.
            account: The account's name.
            buffer_seconds: Seconds that the access token must still be good for; at most half of
                its lifetime counts.

        A provider whose ``grant`` needs no user has a login from the first time that its tokens are
        wanted; one that cannot be renewed is asked for anew, by the settings as they are by now.

        Failures: ``AUTH_REQUIRED``, ``NOT_FOUND`` (nobody is signed in, and there is no such
        provider), ``TOKEN_EXPIRED`` (and there is no refresh token), ``TOKEN_REFRESH_FAILED`` (the
        provider refused it), ``NETWORK_ERROR`` (it is kept), ``LOGIN_BUSY``, ``STORAGE_…``.
        """
        login = valid_login(self.assembly, service, account, buffer=buffer_seconds)
        access_token(login)
        return tokens_of(login)

    def get_bearer_token(self, service: str, *, account: str = DEFAULT_ACCOUNT) -> Result[str]:
        """The access token alone, refreshed if need be. Failures: as for ensure_valid_token."""
        at_hand = self.at_hand
        kept = None if at_hand is None else at_hand.bearer(service, account)
        return self._bearer_token(service, account=account) if kept is None else kept

    @handing_out(bearer_token)
    def _bearer_token(self, service: str, *, account: str) -> str:
        return bearer_token(valid_login(self.assembly, service, account))

    @answered
    def further_token(
        self,
        service: str,
        resource: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        buffer_seconds: float = DEFAULT_BUFFER,
    ) -> OAuthTokens:
        """A token for ``resource`` that came with the tokens of a login, as Globus sends one a service.

        It is not refreshed: once it has ended, a new sign-in brings the next one. A refresh token
        that came with it is in ``refresh_token``, for programs that refresh it themselves.

        Args:
            service: The provider's name.
            resource: As the provider names it, such as ``transfer.api.globus.org``.
            account: The account's name.
            buffer_seconds: Seconds that the token must still be good for; at most half of its
                lifetime counts.

        Failures: ``AUTH_REQUIRED``, ``NOT_FOUND`` (no such provider, or nothing came for the
        resource), ``TOKEN_EXPIRED``, ``STORAGE_…``.
        """
        login = kept_login(self.assembly, service, account)
        return further_token(login, resource, self.assembly.clock.now(), buffer_seconds)

    @answered
    def request_headers(
        self,
        service: str,
        method: str,
        url: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        nonce: str | None = None,
    ) -> dict[str, str]:
        """The headers of one request to an API, with a proof if the token is bound to a key (DPoP).

        Args:
            service: The provider's name, or the address of a protected resource.
            method: The HTTP method of the request.
            url: Its whole address; the proof holds for this one (RFC 9449 §4.2).
            account: The account's name.
            nonce: What the API wanted in the proof (RFC 9449 §9), from its ``DPoP-Nonce`` header.

        Failures: as for :meth:`ensure_valid_token`.
        """
        login = valid_login(self.assembly, service, account)
        return resource_headers(self.assembly.prover, login, method, url, nonce=nonce)

    @handing_out(tokens_of)
    def refresh_tokens(
        self,
        service: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        rejected: str | OAuthTokens | None = None,
    ) -> OAuthTokens:
        """Refresh now, even tokens that are still good.

        Args:
            service: The provider's name.
            account: The account's name.
            rejected: The access token, or tokens, that a resource server answered with 401. If
                another one is stored by now, nothing is refreshed, and that one is the answer. So
                many callers that were refused at once cause one refresh.

        Failures: as for :meth:`ensure_valid_token`.
        """
        token = rejected if rejected is None or isinstance(rejected, str) else rejected.access_token
        login = valid_login(self.assembly, service, account, force=True, rejected=token)
        return tokens_of(login)

    @answered
    def identity(self, service: str, *, account: str = DEFAULT_ACCOUNT) -> UserInfo:
        """Who is signed in, as the provider says now (OpenID Connect Core §5.3).

        The access token is refreshed if need be. The answer must name the subject of the login's ID
        token; a new name is kept with the login. No answer ends a login. What an ID token said at
        the login costs no request: ``identity`` of each of :meth:`logins`.

        Failures: ``CONFIG_MISSING`` (the provider has no UserInfo endpoint, or ``openid`` was not
        asked for), ``PROVIDER_ERROR`` (the answer does not hold, or is about another person),
        ``NETWORK_ERROR``, and as for :meth:`ensure_valid_token`.
        """
        conductor = self.assembly.conductor
        kept_login(self.assembly, service, account)  # raises where it is missing, and says why
        login = conductor.refresh.valid(service, account)
        said = conductor.identify.ask(login)
        conductor.identify.keep(login, said)
        return said

    @answered
    def client_certificate(
        self, service: str, *, account: str = DEFAULT_ACCOUNT
    ) -> tuple[str, str] | None:
        """The files of the TLS certificate that the tokens of a login are bound to (RFC 8705 §3).

        The API wants the same certificate on the connection, which no auth object can show for a
        program. The value is the certificate's file and its key's, twice the same where one file has
        both; or ``None`` if the client has no certificate. HTTP libraries take it as it is::

            files = service.client_certificate("acme").value
            requests.get(url, auth=service.auth("acme"), cert=files)

            trust = ssl.create_default_context()
            trust.load_cert_chain(*files)
            httpx.get(url, auth=service.httpx_auth("acme"), verify=trust)

        Every host of such a connection sees the certificate.

        Failures: ``CONFIG_MISSING`` (a file is not there), ``CONFIG_INVALID`` (a file cannot be used,
        or others could read the key), and as for :meth:`ensure_valid_token`.
        """
        try:
            config = self.assembly.conductor.refresh.find(service, account).config
        except AuthRequired:  # a grant that needs no user has a login from its first token on
            config = valid_login(self.assembly, service, account).config
        files = certificate_of(config)
        if files is None:
            return None
        from .client_files import require_certificate  # noqa: PLC0415  few clients have one

        require_certificate(*files)
        certificate, key = files
        return certificate, key or certificate

    def auth(
        self, service: str, *, account: str = DEFAULT_ACCOUNT, hosts: str | Sequence[str] = ()
    ) -> RequestsAuth:
        """An auth object for ``requests``: it attaches the access token, and renews it.

        A request for which no token can be had raises the :class:`StayfastError` of
        :meth:`request_headers`, which is no ``RequestException``. Where the API asks for more scopes
        or a stronger sign-in, it raises :class:`StepUpRequired`; :meth:`authenticate` with its
        ``challenge`` is the login that the API wants. After a 401 a request is sent once more, unless
        its body can be read only once.

        Args:
            service: The provider's name.
            account: The account's name.
            hosts: The hosts that the token is for: ``api.acme.example``, with a port or a scheme if
                need be. Requests to others go out without it. Every host may get it if none is named.

        Raises:
            ConfigInvalid: One of ``hosts`` is not a host.
            AuthFailed: A limit of the system keeps it from being made.
        """
        _require_named(service, account, hosts)
        with raising_ours():
            from .auth.bearer import Bearer  # noqa: PLC0415  few programs need it
            from .auth.requests import RequestsAuth  # noqa: PLC0415  90 ms

        return RequestsAuth(Bearer.for_hosts(self, service, account, hosts))

    def httpx_auth(
        self, service: str, *, account: str = DEFAULT_ACCOUNT, hosts: str | Sequence[str] = ()
    ) -> HttpxAuth:
        """An auth object for ``httpx``, of its clients with and without ``await``.

        The arguments are those of :meth:`auth`. A request for which no token can be had raises
        :class:`StayfastError`, which is no ``httpx.HTTPError``; :class:`StepUpRequired` as there.

        Raises:
            ConfigInvalid: One of ``hosts`` is not a host.
            ConfigMissing: ``httpx`` is not installed.
            AuthFailed: A limit of the system keeps it from being made.
        """
        _require_named(service, account, hosts)
        with raising_ours():
            from .auth.bearer import Bearer  # noqa: PLC0415  few programs need it
            from .extras import require  # noqa: PLC0415  few programs need it

            require("httpx", "httpx")
            from .auth.httpx import HttpxAuth  # noqa: PLC0415  httpx is optional

        return HttpxAuth(Bearer.for_hosts(self, service, account, hosts))

    # --- signing out -----------------------------------------------------------------------------

    @answered
    def logout(self, service: str, *, account: str = DEFAULT_ACCOUNT, revoke: bool = True) -> bool:
        """Revoke the tokens at the provider (RFC 7009) and erase them here.

        Args:
            service: The provider's name, or the address of a protected resource.
            account: The account's name.
            revoke: Whether the provider is asked to revoke.

        The value is whether anybody was signed in. A provider that cannot be reached does not
        keep the tokens here; :meth:`sign_out` says what it answered.

        Failures: ``NOT_FOUND`` (nobody is signed in, and there is no such provider), ``LOGIN_BUSY``,
        ``STORAGE_…``.
        """
        return self._signed_out(service, account, revoke=revoke).signed_in

    @answered
    def sign_out(
        self,
        service: str,
        *,
        account: str = DEFAULT_ACCOUNT,
        revoke: bool = True,
        browser: bool = False,
        post_logout_redirect_uri: str | None = None,
        timeout: float = RETURN_WAIT,
    ) -> SignedOut:
        """As :meth:`logout`; the value says what the provider answered of each token.

        Args:
            service: The provider's name.
            account: The account's name.
            revoke: Whether the provider is asked to revoke.
            browser: Whether this machine's browser is sent to the provider, to end its session there,
                once the tokens are erased.
            post_logout_redirect_uri: Where a browser that gets the value's ``browser.address``
                comes back to: a web backend's own address. By default the provider's setting.
            timeout: Seconds to wait for the return of this machine's browser.

        Failures: ``NOT_FOUND`` (nobody is signed in, and there is no such provider), ``LOGIN_BUSY``,
        ``STORAGE_…``.
        """
        return self._signed_out(
            service,
            account,
            revoke=revoke,
            browser=browser,
            redirect_uri=post_logout_redirect_uri,
            timeout=timeout,
        )

    def _signed_out(
        self,
        service: str,
        account: str,
        *,
        revoke: bool,
        browser: bool = False,
        redirect_uri: str | None = None,
        timeout: float = RETURN_WAIT,
    ) -> SignedOut:
        conductor = self.assembly.conductor
        try:
            login = conductor.refresh.find(service, account)
        except AuthRequired:
            require_known(self.assembly, service)
            return SignedOut()
        ended = conductor.logout.sign_out(login, revoke=revoke)
        if ended.problem is not None:
            self.words.put_into(ended.problem)
        returned = self._user.end_session(self.assembly, ended, timeout) if browser else None
        redirect_uri = redirect_uri or login.config.post_logout_redirect_uri
        return SignedOut.of(ended, ending_of(ended, redirect_uri), returned=returned)

    # --- how -------------------------------------------------------------------------------------

    def _way(self, config: OAuthConfig, via: str) -> str:
        """The transport that ``via`` names, or that fits the surroundings."""
        own = self._providers is not None and config.service_name in self._providers
        # a program's own setting comes before any variable
        via = config.via if own and via == "auto" else via
        return self._user.way(self.assembly, config, via)

    def _full_id(self, login_id: str) -> str:
        return self.assembly.overview.exactly(login_id)


def require_service(value: object) -> OAuthService:
    """``value``, which is a service.

    Raises:
        ConfigInvalid: It is something else.
    """
    if isinstance(value, OAuthService):
        return value
    raise ConfigInvalid(
        f"the service is of type {type(value).__name__}", hint="give an OAuthService"
    )


def _require_named(service: str, account: str, hosts: str | Sequence[str]) -> None:
    given = {"service": service, "account": account, "hosts": hosts}
    require(OF_CALLS, given.items(), ())
