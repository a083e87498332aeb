"""Which client a login uses at a server that a resource names: configured, described, or registered.

The order is the one of the Model Context Protocol: the client that the user registered for this
issuer; a client-ID metadata document where the server takes one; dynamic registration (RFC 7591);
else the user is asked to register one.

Registrations are kept by issuer in the storage, sealed beside the logins. One that has expired, does
not have the scopes or addresses of a login, or was refused at the server is replaced, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from ..engine import cbor
from ..engine.audit.events import Event, EventKind, Outcome
from ..engine.errors import (
    ConfigInvalid,
    ConfigMissing,
    NetworkError,
    ProviderError,
    StayfastError,
    StorageError,
)
from ..engine.hints import Hint
from ..engine.oauth.client_document import names_document, require_document_address
from ..engine.oauth.metadata import ServerMetadata
from ..engine.oauth.protected_resource import origin_of
from ..engine.oauth.registration import (
    ClientRegistration,
    client_members,
    judge_registration,
    registration_request,
)
from ..engine.ports import HttpRequest
from ..engine.reasons import Distrust, Reason
from ..engine.secret import Secret
from ..storage.capabilities import capabilities_of
from ..storage.host import origin
from ..storage.memory import MemoryStorage
from ..transports.loopback.redirect import addresses_to_register

if TYPE_CHECKING:
    from ..engine.oauth.provider import OAuthConfig
    from ..engine.oauth.setting_types import ClientAuthentication, Wanted
    from ..engine.ports import Clock, Http, Storage
    from ..storage.capabilities import SealedEntries
    from .catalogue import Catalogue

DOCUMENT_VARIABLE: Final = "STAYFAST_CLIENT_METADATA"
"""The environment variable with the address of the user's client-ID metadata document."""
_LEASE: Final = "REGISTRATIONS"
_ADDRESS: Final = 500  # characters of an address in the log
_WAIT: Final = 60.0  # seconds; another process registers, which is one request
_REFUSED: Final = ("invalid_client", "unauthorized_client", "invalid_client_id")
_FORGOTTEN: Final = frozenset({401, 403, 404, 410})  # RFC 7592 §2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenClient:
    """The client of a login.

    Attributes:
        client_id: The client identifier.
        client_secret: For a confidential client.
        auth_method: How it proves itself; ``auto`` leaves that to the server's metadata.
        settings: Further settings that belong to the client: its key and certificate, the redirect
            address and ports that were registered for it, and how its requests are protected.
        how: Where it came from, in a few words.
    """

    client_id: str
    client_secret: str | None = None
    auth_method: ClientAuthentication = "auto"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    how: str


_OF_THE_CLIENT: Final = (
    *("client_key", "client_key_file", "client_key_id", "client_certificate_file"),
    *("client_assertion_audience", "client_id_in_body", "redirect_uri", "redirect_per_issuer"),
    *("ports", "dpop", "dpop_bound_access_tokens", "par", "request_object"),
)
"""The settings of a provider that say something of its client."""


class Clients:
    """Chooses clients, and keeps what was registered."""

    def __init__(self, storage: Storage, catalogue: Catalogue, http: Http, clock: Clock) -> None:
        """Keep registrations in ``storage``; where it has no place for them, in memory."""
        self._storage = storage
        self._catalogue = catalogue
        self._http = http
        self._clock = clock
        self._memory: SealedEntries = MemoryStorage()

    @property
    def _entries(self) -> SealedEntries:
        return capabilities_of(self._storage).entries or self._memory

    def choose(
        self,
        metadata: ServerMetadata,
        *,
        address: str,
        redirect_uris: Sequence[str],
        scopes: Sequence[str],
        http: Http | None = None,
        dpop: Wanted = "auto",
        client_id: str | None = None,
        client_secret: str | None = None,
        document: str | None = None,
    ) -> ChosenClient:
        """The client for a login at the server of ``metadata``.

        Args:
            metadata: The server's metadata.
            address: What the user wants to sign in to, for messages.
            redirect_uris: The redirect addresses of which the login uses one.
            scopes: What the login requests.
            http: What registers a client, instead of the usual one.
            dpop: Whether its tokens are to be bound to a key.
            client_id: The client that the user named; it may be the address of a document.
            client_secret: Its secret.
            document: The address of the user's client-ID metadata document.

        Raises:
            ConfigInvalid: A client id that is an address cannot be used.
            ConfigMissing: There is no client, and the server registers none.
            ProviderError, NetworkError: The registration failed.
            StorageError: It could not be kept.
        """
        if client_id:
            return self._named(metadata, client_id, client_secret)
        configured = self._configured(metadata.issuer)
        if configured is not None:
            return configured
        if document and metadata.document_clients:
            return self._named(metadata, document, None)
        if metadata.registration_endpoint:
            return _of(self.registered(metadata, redirect_uris, scopes, http=http, dpop=dpop))
        raise ConfigMissing(
            f"{metadata.issuer} knows no client of yours, and registers none by itself:"
            f" register a native client with the redirect address {redirect_uris[0]}",
            hint=Hint("login", address, "--client-id", "ID"),
        )

    def _named(
        self, metadata: ServerMetadata, client_id: str, client_secret: str | None
    ) -> ChosenClient:
        if not names_document(client_id):
            return ChosenClient(
                client_id=client_id, client_secret=client_secret, how="the client you named"
            )
        require_document_address(client_id)
        if not metadata.document_clients:
            raise ConfigInvalid(
                f"{metadata.issuer} takes no client id that is the address of a document",
                hint=Hint("help providers"),
            )
        return ChosenClient(
            client_id=client_id, auth_method="none", how="your client metadata document"
        )

    def _configured(self, issuer: str) -> ChosenClient | None:
        """The client of a provider of that very issuer in the user's file, or of the program."""
        for name in self._catalogue.of_issuer(issuer):
            with suppress(StayfastError):  # the settings of another provider are no matter here
                if self._catalogue.provider(name).issuer == issuer:
                    config = self._catalogue.lookup(name)
                    return ChosenClient(
                        client_id=config.client_id,
                        client_secret=config.client_secret,
                        auth_method=config.token_endpoint_auth_method,
                        settings={name: getattr(config, name) for name in _OF_THE_CLIENT},
                        how=f"the client of your provider {name}",
                    )
        return None

    def of_provider(self, config: OAuthConfig) -> OAuthConfig:
        """``config`` with a client: where it has none and the provider registers them, a registered one.

        Raises:
            ProviderError, NetworkError: The provider refuses, or does not answer.
            StorageError: The registration could not be kept.
        """
        if config.client_id or not config.registration_url:
            return config
        usual = {"auto": None, "auto_post": "client_secret_post", "auto_jwt": None}
        method = usual.get(config.token_endpoint_auth_method, config.token_endpoint_auth_method)
        metadata = ServerMetadata(
            issuer=_registered_at(config),
            registration_endpoint=config.registration_url,
            device_authorization_endpoint=config.device_url,
            auth_methods=(method,) if method else None,
        )
        addresses = addresses_to_register(config)
        made = self.registered(metadata, addresses, config.scopes, dpop=config.dpop, config=config)
        client = _of(made)
        return replace(
            config,
            client_id=client.client_id,
            client_secret=client.client_secret,
            token_endpoint_auth_method=client.auth_method,
            **client.settings,
        )

    # --- registrations ---------------------------------------------------------------------------

    def kept(self, issuer: str) -> ClientRegistration | None:
        """The registration at ``issuer``, if there is one."""
        value = self._entries.entry(_name(issuer))
        if value is None:
            return None
        try:
            found = ClientRegistration.from_dict(cbor.decode_map(value))
        except cbor.CborError:
            return None
        return found if found is not None and found.issuer == issuer else None

    def issuers(self) -> list[str]:
        """The issuers at which a client is registered."""
        names = (name.partition(" ") for name, _ in self._entries.entries())
        return [issuer for kind, _, issuer in names if kind == _KIND]

    def forget(self, issuer: str) -> None:
        """Forget the registration at ``issuer``; the next login there registers anew."""
        self._entries.put_entry(_name(issuer), None)

    def registered(
        self,
        metadata: ServerMetadata,
        redirect_uris: Sequence[str],
        scopes: Sequence[str],
        *,
        http: Http | None = None,
        dpop: Wanted = "auto",
        config: OAuthConfig | None = None,
    ) -> ClientRegistration:
        """The registration for a login, made now if none serves it.

        Of many processes that want one at once, one registers.

        Raises:
            ProviderError, NetworkError: The server refuses, or does not answer.
            StorageError: The registration could not be kept.
        """
        self._storage.probe()  # what is registered must be kept
        with self._storage.lease(_LEASE, wait=_WAIT):
            found = self.kept(metadata.issuer)
            if found is not None and self._serves(found, redirect_uris, scopes, dpop, config):
                return found
            more = found.scopes if found is not None and found.scopes else ()
            wanted = tuple(dict.fromkeys((*scopes, *more))) if scopes else ()
            members = client_members(metadata, redirect_uris, wanted, dpop)
            return self._register(http or self._http, metadata, members, config)

    def _serves(
        self,
        found: ClientRegistration,
        redirect_uris: Sequence[str],
        scopes: Sequence[str],
        dpop: Wanted,
        config: OAuthConfig | None,
    ) -> bool:
        now = self._clock.now()
        return (
            found.serves(now, redirect_uris, scopes, dpop)
            and not self._refused_since(found, config)
            and not self._forgotten(found)
        )

    def _refused_since(self, found: ClientRegistration, config: OAuthConfig | None) -> bool:
        """Whether a login there ended since because the server did not know the client."""
        name = config.service_name if config is not None and config.registration_url else None
        return any(
            (one.issuer == found.issuer or one.provider == name)
            and one.oauth_error in _REFUSED
            and one.changed_at >= found.registered_at
            for one in self._storage.summaries()
        )

    def was_refused(self, config: OAuthConfig) -> bool:
        """Whether ``config`` has a client that was registered here and that its server refused since.

        The next configuration for that server then has a client that is registered anew.
        """
        where = _registered_at(config)
        found = self.kept(where) if where else None
        if found is None or found.client_id != config.client_id:
            return False
        return self._refused_since(found, config)

    def _forgotten(self, found: ClientRegistration) -> bool:
        """Whether the server says that it has forgotten the client (RFC 7592 §2.1)."""
        if found.client_uri is None or found.access_token is None:
            return False
        headers = {
            "Authorization": f"Bearer {found.access_token.reveal()}",
            "Accept": "application/json",
        }
        try:
            request = HttpRequest(method="GET", url=found.client_uri, headers=headers)
            return self._http.send(request).status in _FORGOTTEN
        except NetworkError:
            return False

    def _register(
        self,
        http: Http,
        metadata: ServerMetadata,
        members: Mapping[str, Any],
        config: OAuthConfig | None,
    ) -> ClientRegistration:
        request = registration_request(metadata.registration_endpoint or "", members, config)
        try:
            made = judge_registration(metadata.issuer, members, http.send(request), config)
        except (NetworkError, ProviderError) as error:
            self._storage.note(
                self._event(metadata.issuer, Outcome.FAILURE, error=error, client=None)
            )
            raise
        if made.client_uri and origin_of(made.client_uri) != origin_of(request.url):
            made = made.without_management()  # a stranger's address gets no token of ours
        event = self._event(metadata.issuer, Outcome.SUCCESS, error=None, client=made.client_id)
        self._entries.put_entry(_name(metadata.issuer), cbor.encode(made.to_dict()), event)
        return made

    def note_refused(self, address: str, error: NetworkError | ProviderError) -> None:
        """Put into the log why no login begins at ``address``, whatever becomes of the log."""
        refused = error if isinstance(error, ProviderError) else None
        reason = refused.reason if refused else Distrust.NETWORK.value
        event = Event(
            time=self._clock.now(),
            event=EventKind.RESOURCE_REFUSED,
            origin=origin(),
            provider=address.partition("?")[0][:_ADDRESS],  # a query may hold a secret
            outcome=Outcome.FAILURE,
            http_status=refused.status if refused else None,
            reason=reason if reason in set(Distrust) else Distrust.UNREADABLE.value,
        )
        with suppress(StorageError):  # the error itself says more
            self._storage.note(event)

    def _event(
        self,
        issuer: str,
        outcome: Outcome,
        *,
        error: NetworkError | ProviderError | None,
        client: str | None,
    ) -> Event:
        refused = error if isinstance(error, ProviderError) else None
        return Event(
            time=self._clock.now(),
            event=EventKind.CLIENT_REGISTERED,
            origin=origin(),
            issuer=issuer,
            outcome=outcome,
            http_status=refused.status if refused else None,
            oauth_error=refused.oauth_error if refused else None,
            detail=refused.reason if refused else Reason.NETWORK.value if error else None,
            fingerprints={"client": Secret(client)} if client else {},
        )


_KIND: Final = "registration"


def _name(issuer: str) -> str:
    return f"{_KIND} {issuer}"


def _registered_at(config: OAuthConfig) -> str:
    """What the registration of a client of ``config`` is kept under; empty if nothing can be.

    What is added to a registration makes it another one: AWS registers for one start URL.
    """
    if not config.registration_url:
        return config.issuer or ""
    added = urlencode(sorted(config.extra_registration_params.items()))
    return f"{config.registration_url}?{added}" if added else config.registration_url


def _of(registration: ClientRegistration) -> ChosenClient:
    secret = registration.client_secret
    return ChosenClient(
        client_id=registration.client_id,
        client_secret=secret.reveal() if secret else None,
        auth_method=registration.auth_method,
        settings={
            **({} if registration.ports is None else {"ports": registration.ports}),
            "dpop_bound_access_tokens": registration.dpop_bound,
            "par_required": registration.par_required,
        },
        how="a client registered for this computer",
    )
