"""The assembly: chooses storage, providers, HTTP client and conductor, and connects them.

The command and :class:`stayfast.OAuthService` both start here, so that a default is chosen once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, Unpack, overload

from ..engine.errors import AuthRequired, ConfigInvalid, ConfigMissing, StorageError
from ..engine.flows.overview import Overview
from ..engine.hints import Hint
from ..engine.login_id import choose
from ..engine.summary import DEFAULT_ACCOUNT
from ..storage import open_storage
from ..storage.capabilities import capabilities_of
from ..storage.forks import whole_at_fork
from ..storage.host import CLOCK, SystemClock, SystemRandomness, origin
from ..storage.paths import THE_COMMAND, absolute
from ..storage.paths import config_dir as default_config_dir
from ..storage.private_file import CONFIG_VARIABLE
from ..storage.program import ProgramEnviron
from .couriers import courier_wanted

if TYPE_CHECKING:
    from ..engine.flows.job import Courier
    from ..engine.flows.logins import Conductor
    from ..engine.oauth.login_wishes import LoginWishes
    from ..engine.oauth.provider import OAuthConfig, OAuthProvider
    from ..engine.oauth.request_proofs import Prover
    from ..engine.oauth.www_authenticate import AuthChallenge
    from ..engine.ports import Clock, Http, Observer, Storage
    from ..engine.record import Login
    from ..engine.summary import Summary
    from ..storage import TokenStorageProtocol
    from .audit.choice import AuditObserver
    from .catalogue import Catalogue
    from .couriers.channel import EventForwarder
    from .kept_metadata import KeptMetadata
    from .resource_logins import ResourceLogins
    from .tokens_at_hand import TokensAtHand

_RETENTION: Final = "STAYFAST_RETENTION"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_OFTEN_ENOUGH: Final = 3600.0
_AT_A_TIME: Final = 20


def _retention(environ: Mapping[str, str]) -> float | None:
    given = environ.get(_RETENTION, "").strip()
    if not given:
        return None
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", given)
    if found is None:
        raise ConfigInvalid(
            f"{_RETENTION} is not a duration: {given[:40]!r}", hint=f"export {_RETENTION}=30d"
        )
    return float(int(found[1]) * _SECONDS[found[2]])


T = TypeVar("T")
W = TypeVar("W", bound="Whole")


class Whole:
    """What has parts that are made at first use.

    Attributes:
        guard: Held by the thread that makes a part. A fork waits for it: to make a part is to load modules,
            and a module that the parent was loading would never be loaded in the child.
    """

    def __init__(self) -> None:
        """Make no part yet."""
        self.guard = RLock()
        whole_at_fork(self)

    def leave_to_parent(self) -> None:
        """In a forked child: what was made is there, and what was not is made here."""
        self.guard = RLock()


class once(Generic[W, T]):  # noqa: N801  used as a decorator
    """A part of a :class:`Whole`, made when it is first asked for, and never twice.

    :func:`functools.cached_property` makes it twice where two threads ask at once, from Python 3.12 on. Before,
    it holds a lock of its own meanwhile, which a forked child would find held.
    """

    def __init__(self, make: Callable[[W], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, whole: None, owner: type) -> once[W, T]: ...
    @overload
    def __get__(self, whole: W, owner: type | None = None) -> T: ...

    def __get__(self, whole: W | None, owner: type | None = None) -> Any:
        if whole is None:
            return self
        parts = whole.__dict__  # where Python looks first the next time
        with whole.guard:
            if self._name not in parts:
                parts[self._name] = self._make(whole)
            return parts[self._name]


class Assembly(Whole):
    """One storage, one set of providers, and the conductor that works with them.

    Attributes:
        storage: Where logins are kept.
        catalogue: The providers known here.
        http: Sends requests to them.
        clock: The clock of every part.
        metadata: What servers publish, kept.
        at_hand: The logins whose tokens serve, kept in memory until something is saved.
        environ: The environment, as the program sees it.
        conductor: Moves logins through the table.
        sinks: Where the audit log goes.
        retention: How long logins that are over are kept, seconds; ``None``: until somebody purges.
    """

    def __init__(
        self,
        storage: Storage,
        catalogue: Catalogue | Callable[[], Catalogue],
        *,
        http: Http | None = None,
        clock: Clock | None = None,
        courier: Courier | None = None,
        observers: Sequence[Observer] = (),
        sinks: Callable[[], Sequence[AuditObserver]] = tuple,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Connect the parts; a part that is not given is the real one.

        A part is made when it is first used: to list logins takes none of those that sign in.

        Raises:
            ConfigInvalid: The environment names a courier that does not exist.
        """
        super().__init__()
        self.storage = storage
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.retention = _retention(self.environ)
        courier_wanted(self.environ)
        self._tidy_at = 0.0
        self._catalogue = catalogue
        self._http = http
        self.clock: Clock = clock or SystemClock()
        self._courier = courier
        self._observers = tuple(observers)
        self._sinks = sinks

    @once
    def sinks(self) -> Sequence[AuditObserver]:
        """Where the audit log goes."""
        return self._sinks()

    @property
    def used_sinks(self) -> Sequence[AuditObserver]:
        """Those of :attr:`sinks` that may have got something; none if nothing was saved."""
        found: Sequence[AuditObserver] = self.__dict__.get("sinks", ())
        return found

    @once
    def catalogue(self) -> Catalogue:
        """The providers known here."""
        return self._catalogue() if callable(self._catalogue) else self._catalogue

    @once
    def http(self) -> Http:
        """Sends requests to them."""
        from .http import RequestsHttp  # noqa: PLC0415  for those who ask a provider

        return self._http or RequestsHttp(environ=self.environ)

    @once
    def metadata(self) -> KeptMetadata:
        """What servers publish, kept."""
        from .kept_metadata import KeptMetadata  # noqa: PLC0415  for those who ask a provider

        return KeptMetadata(capabilities_of(self.storage).entries, self.http, self.clock)

    @once
    def at_hand(self) -> TokensAtHand:
        """The logins whose tokens serve, kept in memory until something is saved."""
        from .tokens_at_hand import TokensAtHand  # noqa: PLC0415  for programs that live on

        return TokensAtHand(capabilities_of(self.storage).glance, self.clock)

    @property
    def overview(self) -> Overview:
        """Finds logins. Only one whose deadline has passed needs the conductor: it is ended.

        It is not kept: a circle of the two would outlive its service.
        """
        return Overview(self.storage, self.clock, self._end_overdue)

    def _end_overdue(self, login_id: str) -> Login | None:
        return self.conductor.end_overdue(login_id)

    @once
    def _forwarder(self) -> EventForwarder:
        from .couriers.channel import EventForwarder  # noqa: PLC0415  for those who change a login

        return EventForwarder([self.at_hand, *self._observers, *self.sinks, self.metadata])

    @once
    def conductor(self) -> Conductor:
        """Moves logins through the table.

        Raises:
            ConfigInvalid: The courier that the environment names cannot be had here.
        """
        from ..engine.flows.dependencies import Dependencies, ready_as_it_is  # noqa: PLC0415  for who changes a login
        from ..engine.flows.ledger import Ledger  # noqa: PLC0415  as above
        from ..engine.flows.logins import Conductor  # noqa: PLC0415  as above
        from .client_files import token_of  # noqa: PLC0415  as above
        from .couriers.choice import choose_courier  # noqa: PLC0415  as above
        from .http import RequestsHttp  # noqa: PLC0415  as above

        storage, clock, forwarder = self.storage, self.clock, self._forwarder
        ours = isinstance(self.http, RequestsHttp)
        courier = self._courier or choose_courier(
            storage, self.http, forwarder, self.environ, clock
        )
        return Conductor(
            Dependencies(
                storage=storage,
                ledger=Ledger(storage, clock, origin(), [forwarder]),
                http=self.http,
                clock=clock,
                randomness=SystemRandomness(),
                courier=courier,
                sign_request=self.prover.request_object,
                read_token=token_of,
                get_ready=_load_exchange if ours else ready_as_it_is,
            )
        )

    def show_requests(self, show: Callable[[Sequence[str]], None]) -> None:
        """Call ``show`` with each request and its answer from now on, as lines without secrets.

        Requests that a courier sends in another process are among them.
        """
        from .http import RequestsHttp  # noqa: PLC0415  for those who ask a provider

        if isinstance(self.http, RequestsHttp):
            self._forwarder.show_requests(self.http, show)

    @classmethod
    def open(
        cls,
        *,
        storage: Storage | None = None,
        token_storage: TokenStorageProtocol | None = None,
        state_dir: str | None = None,
        config_dir: str | None = None,
        store: str | None = None,
        interactive: bool = False,
        passphrase: Callable[[], str | None] | None = None,
        announce: Callable[[str], None] | None = None,
        observers: Sequence[Observer] = (),
        audit: str | None = None,
        environ: Mapping[str, str] | None = None,
        program: str = THE_COMMAND,
        providers: Mapping[str, OAuthProvider] | None = None,
    ) -> Assembly:
        """The parts as this user has them.

        Args:
            storage: A complete storage, instead of the user's own.
            token_storage: Three methods to keep tokens in, instead of the user's own storage.
            state_dir: Instead of the user's state directory.
            config_dir: Instead of the user's configuration directory.
            store: Which storage, instead of what ``STAYFAST_STORE`` says.
            interactive: Whether a person can answer a keyring's prompt.
            passphrase: Returns the passphrase of the vault, instead of what the environment says.
            announce: Called with one line when a storage is made: which one, and why.
            observers: Get every event, besides the sinks of the audit log.
            audit: Where the audit log goes, instead of what ``STAYFAST_AUDIT`` says
                (:func:`stayfast.interfaces.audit.choice.audit_sinks`).
            environ: The environment.
            program: Whose logins these are. Directories, variables and the keyring's item have its
                name; only the command reads ``STAYFAST_…`` and the user's file of providers.
            providers: The program's own, besides the shipped ones. With them, or with another
                ``program`` than the command, :data:`OAUTH_PROVIDERS` is not looked at.

        Raises:
            ConfigInvalid: A setting is not valid.
        """
        env = os.environ if environ is None else environ
        if program != THE_COMMAND:
            env = ProgramEnviron(program, env)
        if config_dir:
            config_dir = absolute(config_dir, env, CONFIG_VARIABLE)
        users = (config_dir or default_config_dir(env)) if program == THE_COMMAND else None
        alone = program != THE_COMMAND or providers is not None

        def catalogue() -> Catalogue:
            from .catalogue import SHIPPED, Catalogue  # noqa: PLC0415  for those who name a provider

            shipped = SHIPPED if alone else None
            return Catalogue(users, environ=env, providers=shipped, own=providers)

        if storage is None and token_storage is not None:
            storage = _storage_behind(token_storage, catalogue())
        if storage is None:
            storage = open_storage(
                store,
                state_dir=state_dir,
                config_dir=config_dir,
                interactive=interactive,
                passphrase=passphrase,
                announce=announce,
                environ=env,
            )
        kept = storage

        def sinks() -> Sequence[AuditObserver]:
            from .audit.choice import audit_sinks  # noqa: PLC0415  for those who change a login

            return audit_sinks(kept, env, audit, others=observers)

        assembly = cls(storage, catalogue, observers=observers, sinks=sinks, environ=env)
        if audit or env.get("STAYFAST_AUDIT") or env.get("STAYFAST_AUDIT_FILE"):
            assembly.sinks  # noqa: B018  what is set is checked at once
        return assembly

    def config(
        self,
        provider: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] | None = None,
        via: str = "auto",
        redirect_uri: str | None = None,
        challenge: str | None = None,
        account: str = DEFAULT_ACCOUNT,
        **wishes: Unpack[LoginWishes],
    ) -> OAuthConfig:
        """The provider of that name with its client, endpoints discovered where they are missing.

        Args:
            provider: A name of the catalogue or of the user's file; or the address of a protected
                resource, such as an MCP server, or of an issuer.
            client_id: Instead of the configured one.
            client_secret: Instead of the configured one.
            scopes: Instead of the configured ones; one text is split at its blanks.
            via: The transport to use; it decides which endpoints are needed.
            redirect_uri: Instead of the configured one.
            challenge: The ``WWW-Authenticate`` header that the login is to answer.
            account: Whose login goes on by that.
            wishes: What this login asks for (:class:`~.engine.oauth.login_wishes.LoginWishes`).

        Raises:
            NotFound: No provider has that name.
            ConfigMissing: No client id, or no endpoint and no issuer to ask for it.
            ConfigInvalid: A wish cannot be sent.
            NetworkError, ProviderError: The issuer's metadata cannot be read.
            TypeError: There is no such wish.
        """
        from ..engine.oauth.login_wishes import WISHES, challenged, wishing  # noqa: PLC0415  to begin
        from .arguments import keywords_of, require_keywords  # noqa: PLC0415  as above
        from .resource_logins import is_address, read_challenge  # noqa: PLC0415  as above

        require_keywords("Assembly.config", keywords_of(Assembly.config, WISHES), wishes)
        if isinstance(scopes, str):
            scopes = scopes.split()
        refused = read_challenge(challenge)
        wishes = challenged(wishes, refused)
        if refused is not None and scopes is None and not is_address(provider):
            scopes = self.stepped_up(provider, account, refused)
        if is_address(provider):
            config = self.resource_logins.config(
                provider,
                challenge=refused,
                account=account,
                client_id=client_id,
                client_secret=client_secret,
                scopes=scopes,
                via=via,
                redirect_uri=redirect_uri,
                wishes=wishes,
            )
            return self.wished(config, wishes)
        config = self.catalogue.lookup(provider, client_id=client_id, client_secret=client_secret)
        changed: dict[str, Any] = {}
        if scopes is not None:
            changed["scopes"] = tuple(scopes)
            changed["scopes_for_device"] = ()
        if redirect_uri is not None:
            changed["redirect_uri"] = redirect_uri
            changed["redirect_per_issuer"] = False  # the caller registered exactly this address
        from dataclasses import replace  # noqa: PLC0415  as above

        config = self.resource_logins.clients.of_provider(replace(config, **changed))
        return self.discovered(wishing(config, wishes), via=via)

    @once
    def resource_logins(self) -> ResourceLogins:
        """Makes configurations from addresses."""
        from .clients import DOCUMENT_VARIABLE, Clients  # noqa: PLC0415  for addresses alone
        from .resource_logins import ResourceLogins  # noqa: PLC0415  as above

        return ResourceLogins(
            Clients(self.storage, self.catalogue, self.http, self.clock),
            self.http,
            self.metadata,
            find=self.conductor.refresh.find,
            discovered=lambda config, via: self.discovered(config, via=via),
            document=self.environ.get(DOCUMENT_VARIABLE, "").strip() or None,
        )

    def stepped_up(
        self, provider: str, account: str, challenge: AuthChallenge
    ) -> tuple[str, ...] | None:
        """The scopes with which a new login answers ``challenge``: those of before, and its own.

        ``None`` where nobody is signed in, or where it asks for none.
        """
        try:
            before = self.conductor.refresh.find(provider, account)
        except AuthRequired:
            return None
        granted = before.tokens.scopes if before.tokens else ()
        from ..engine.oauth.resource_discovery import step_up  # noqa: PLC0415  for challenges alone

        return step_up(before.config.scopes, challenge, granted) if challenge.scopes else None

    def wished(self, config: OAuthConfig, wishes: LoginWishes) -> OAuthConfig:
        """``config`` with ``wishes``, once its client can prove itself.

        Raises:
            ConfigMissing, ConfigInvalid: A key or a certificate is absent or cannot be used, or a
                wish cannot be sent.
        """
        from ..engine.oauth.login_wishes import wishing  # noqa: PLC0415  to begin a login

        config = wishing(config, wishes)
        self._require_proofs(config)
        return config

    def discovered(self, config: OAuthConfig, *, via: str = "auto") -> OAuthConfig:
        """``config``, completed by the endpoints that its issuer publishes.

        Raises:
            ConfigMissing: An endpoint is missing and there is no issuer to ask.
            NetworkError, ProviderError: The issuer's metadata cannot be read.
        """
        asked = config.issuer and config.discovers != "no"
        if config.issuer and asked and not _knows_endpoints(config, via):
            found = self.metadata.discover(
                config.issuer, template=config.issuer_template, pkce=config.pkce != "off"
            )
            from ..engine.oauth.metadata import apply_metadata  # noqa: PLC0415  to begin a login

            config = apply_metadata(config, found)
        if not config.token_url:
            raise ConfigMissing(
                f"the token endpoint of {config.title} is not known",
                hint=Hint("provider edit", config.service_name, "--token-url", "https://…"),
            )
        self._require_proofs(config)
        return config

    @property
    def prover(self) -> Prover:
        """What signs requests: that of the HTTP client, which remembers what servers want."""
        from ..engine.oauth.request_proofs import Prover  # noqa: PLC0415  for those who ask a provider
        from .client_files import key_of  # noqa: PLC0415  as above
        from .http import RequestsHttp  # noqa: PLC0415  as above

        if isinstance(self.http, RequestsHttp):
            return self.http.prover
        return Prover(self.clock, SystemRandomness(), key_of)

    def _require_proofs(self, config: OAuthConfig) -> None:
        """Make sure that the client can prove itself, before its user is asked for anything.

        Raises:
            ConfigMissing, ConfigInvalid: A key or a certificate is absent or cannot be used.
        """
        from ..engine.oauth.client_authentication import (  # noqa: PLC0415  to begin a login
            certificate_of,
            require_client_of,
        )
        from .client_files import require_certificate  # noqa: PLC0415  as above

        require_client_of(config)
        self.prover.require(config)
        certificate = certificate_of(config)
        if certificate is not None:
            require_certificate(*certificate)

    def chosen(self, typed: str | None) -> Summary:
        """The login that a person means: by the beginning of its id, or the only pending one.

        Raises:
            NotFound: No login matches, or several do.
        """
        overview = self.overview
        return choose(overview.summaries(), None) if typed is None else overview.named(typed)

    def tidy(self) -> None:
        """Purge, where ``STAYFAST_RETENTION`` says how long to keep what is over; at most once an hour.

        No login waits long for it, or fails because of it.
        """
        now = CLOCK.monotonic()
        if self.retention is None or now < self._tidy_at:
            return
        if capabilities_of(self.storage).upkeep is None:  # it keeps none
            return
        self._tidy_at = now + _OFTEN_ENOUGH
        with suppress(StorageError):
            self.purge(self.retention, most=_AT_A_TIME)

    def purge(self, older_than: float, *, most: int | None = None) -> tuple[int, int]:
        """End abandoned logins, and remove those that have been over for ``older_than`` seconds.

        Gives how many were ended, and how many were removed.

        Args:
            older_than: Seconds.
            most: How many are ended; all of them if not given.

        Raises:
            StorageError: They cannot be removed: the storage keeps none, or this user may not.
        """
        upkeep = capabilities_of(self.storage).upkeep
        if upkeep is None:
            raise ConfigInvalid(f"{self.storage.description} keeps no logins that are over")
        ended = self.overview.end_overdue(most)
        removed = upkeep.purge(self.clock.now() - older_than)
        for sink in self.sinks:
            sink.observe([], None)  # the records of this
        return ended, removed

    def open_logins(self) -> list[Summary]:
        """The pending logins: they wait for their user or for tokens."""
        return [login for login in self.overview.summaries() if login.pending]


def _knows_endpoints(config: OAuthConfig, via: str) -> bool:
    """Whether ``config`` names every endpoint that a login by the transport ``via`` uses."""
    if not config.token_url:
        return False
    if config.needs_no_user:  # the token endpoint alone
        return True
    if via == "device":
        return bool(config.device_url)
    return bool(config.auth_url and (config.par != "required" or config.par_url))


def _load_exchange(config: OAuthConfig) -> None:
    """Load what an exchange sends and checks with, while its user looks at the browser.

    It is the larger half of what a login loads, and a courier that is forked afterwards has it.
    """
    with suppress(ImportError, OSError):  # said where it is needed; no open file is left, perhaps
        import_module("requests")
        if "openid" in config.scopes:
            import_module("..engine.oauth.signatures", __package__)


def _storage_behind(token_storage: TokenStorageProtocol, catalogue: Catalogue) -> Storage:
    """The complete storage behind three methods: the one they are a view of, or an adapter."""
    from ..storage import TokenStorageAdapter  # noqa: PLC0415  for programs alone
    from ..storage.token_storage import StorageView  # noqa: PLC0415  as above

    if isinstance(token_storage, StorageView):
        return token_storage.storage
    return TokenStorageAdapter(token_storage, catalogue.lookup)
