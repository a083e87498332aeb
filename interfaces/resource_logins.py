"""Logins by address: of a protected resource such as an MCP server, or of an issuer.

``stayfast login https://mcp.example.com/mcp`` names no provider. The resource says which server
issues its tokens, the server says how, and a client is found for it. What comes out is an ordinary
configuration, saved with the login: whoever refreshes or resumes it asks nobody again.

The name of such a login is the address. Tokens are kept apart by issuer, client and resource, because
all three are a part of the configuration they are compared by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar, cast

from ..engine.errors import (
    AuthFailed,
    AuthRequired,
    ConfigInvalid,
    ConfigMissing,
    Damaged,
    NetworkError,
    ProviderError,
)
from ..engine.hints import Hint
from ..engine.oauth.login_wishes import wishing
from ..engine.oauth.metadata import apply_metadata
from ..engine.oauth.protected_resource import canonical_resource
from ..engine.oauth.provider import OAuthConfig
from ..engine.oauth.resource_discovery import (
    BoundedHttp,
    choose_issuer,
    find_resource,
    scopes_for,
    server_of,
    step_up,
)
from ..engine.oauth.setting_types import DEFAULT_REDIRECT_URI
from ..engine.oauth.www_authenticate import challenge_for_token
from ..engine.summary import DEFAULT_ACCOUNT
from ..transports.loopback.redirect import addresses_to_register
from .clients import Clients

if TYPE_CHECKING:
    from ..engine.oauth.login_wishes import LoginWishes
    from ..engine.oauth.metadata import ServerMetadata
    from ..engine.oauth.resource_discovery import FoundResource
    from ..engine.oauth.setting_types import ClientAuthentication, Wanted
    from ..engine.oauth.www_authenticate import AuthChallenge
    from ..engine.ports import Http
    from ..engine.record import Login
    from .kept_metadata import KeptMetadata

T = TypeVar("T")

_ITS_OPERATOR: Final = "use the address that the resource's operator publishes"
_SCHEMES: Final = ("https://", "http://")


def is_address(name: str) -> bool:
    """Whether ``name`` is an address rather than the name of a provider."""
    return name.lower().startswith(_SCHEMES)


def read_challenge(header: str | None) -> AuthChallenge | None:
    """The challenge in the value of a ``WWW-Authenticate`` header, or in the whole line.

    Raises:
        ConfigInvalid: It has no Bearer challenge.
    """
    if header is None:
        return None
    name, colon, value = header.partition(":")
    whole = colon and name.strip().lower() == "www-authenticate"
    found = challenge_for_token(value if whole else header)
    if found is None:
        raise ConfigInvalid(
            "that is no header with a Bearer challenge (RFC 6750)",
            hint=Hint.note("pass the value of WWW-Authenticate as the server sent it"),
        )
    return found


def _silent(line: str) -> None:
    del line


class ResourceLogins:
    """Makes the configuration of a login from an address."""

    def __init__(
        self,
        clients: Clients,
        http: Http,
        metadata: KeptMetadata,
        *,
        find: Callable[[str, str], Login],
        discovered: Callable[[OAuthConfig, str], OAuthConfig],
        document: str | None = None,
    ) -> None:
        """Make configurations.

        Args:
            clients: Chooses the client of a login.
            http: Asks resources.
            metadata: Asks servers.
            find: The finished login of a name and an account.
            discovered: Completes a configuration by what its issuer publishes.
            document: The address of the user's client-ID metadata document.
        """
        self.clients: Final = clients
        self._http = http
        self._metadata = metadata
        self._find = find
        self._discovered = discovered
        self._document = document

    def config(
        self,
        address: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] | None = None,
        via: str = "auto",
        redirect_uri: str | None = None,
        issuer: str | None = None,
        challenge: AuthChallenge | None = None,
        account: str = DEFAULT_ACCOUNT,
        resource_only: bool = False,
        wishes: LoginWishes | None = None,
        say: Callable[[str], None] = _silent,
        warn: Callable[[str], None] = _silent,
    ) -> OAuthConfig:
        """The configuration of a login to what is at ``address``.

        Args:
            address: A protected resource, or an issuer.
            client_id: The client; else the one that is configured, described or registered.
            client_secret: Its secret.
            scopes: Instead of those that the resource asks for.
            via: The transport to use; it decides which endpoints are needed.
            redirect_uri: Instead of the usual loopback address.
            issuer: Which of several servers.
            challenge: What the resource answered to a token: the login asks for what it asked for
                before, and for this.
            account: Whose login is continued by a challenge.
            resource_only: Whether an address that is no resource is refused.
            wishes: What this login asks for; what is registered and chosen follows them.
            say: Called with a line for each thing that was found out.
            warn: Called with what the user should know before signing in.

        Raises:
            ConfigInvalid: It is no address, or a setting cannot be used.
            ConfigMissing: There is no client and no way to register one.
            ProviderError: It is neither a resource nor an issuer, or may not be trusted.
            NetworkError: Something could not be reached.
            StorageError: A registration could not be kept.
        """
        http = BoundedHttp(self._http, address)
        try:
            found = find_resource(
                http,
                address,
                challenge,
                may_be_issuer=client_id is not None
                or self._signed_in(address, account) is not None,
            )
            server = self._server(http, found, issuer, account, say, warn) if found else None
        except (NetworkError, ProviderError) as error:
            self.clients.note_refused(address, error)
            error.hint = error.hint or Hint.note(_ITS_OPERATOR)
            raise
        if found is None or server is None:
            if resource_only:
                raise ProviderError(
                    f"what is at {address} asks for no token and publishes no resource metadata"
                    " (RFC 9728)",
                    hint=Hint("login", address, "--client-id", "ID"),
                )
            before = self._signed_in(address, account)
            return self._issuer(
                address,
                before,
                client_id,
                client_secret,
                scopes,
                via=via,
                redirect_uri=redirect_uri,
            )
        before, metadata = server
        if challenge is not None and before is not None and before.config.issuer == metadata.issuer:
            granted = before.tokens.scopes if before.tokens else ()
            more: Sequence[str] = step_up(before.config.scopes, challenge, granted)
        else:
            more = ()
        wanted = scopes_for(found, metadata, more) if scopes is None else tuple(scopes)
        config = OAuthConfig(
            service_name=found.address,
            redirect_uri=redirect_uri or DEFAULT_REDIRECT_URI,
            issuer=metadata.issuer,
            scopes=wanted,
            resources=(found.resource,),
        )
        client = self.clients.choose(
            metadata,
            http=http,
            dpop=cast("Wanted", (wishes or {}).get("dpop") or "auto"),
            address=found.address,
            redirect_uris=addresses_to_register(config),
            scopes=wanted,
            client_id=client_id,
            client_secret=client_secret,
            document=self._document,
        )
        say(f"client: {client.how}")
        changed = dict(client.settings)
        if redirect_uri is not None:
            changed |= {"redirect_uri": redirect_uri, "redirect_per_issuer": False}
        config = replace(
            config,
            client_id=client.client_id,
            client_secret=client.client_secret,
            token_endpoint_auth_method=client.auth_method,
            **changed,
        )
        # the wishes first: which of its ways the server has to offer hangs on what the client has
        return apply_metadata(wishing(config, wishes or {}), metadata)

    def once_more(
        self,
        config: OAuthConfig,
        configure: Callable[[], OAuthConfig],
        sign_in: Callable[[OAuthConfig], T],
    ) -> T:
        """What ``sign_in`` gives; once more with a new client, if the server has forgotten ours.

        A login that ends because a registered client is not known any more costs its user another
        look at the server, and no other command. There is no third try.

        Args:
            config: The configuration of the login.
            configure: Makes another; it registers a client where none serves.
            sign_in: Signs in with it.
        """
        try:
            return sign_in(config)
        except (AuthFailed, ProviderError):
            if not self.clients.was_refused(config):
                raise
        return sign_in(configure())

    def _server(
        self,
        http: Http,
        found: FoundResource,
        issuer: str | None,
        account: str,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> tuple[Login | None, ServerMetadata]:
        """The present login of the resource, and the metadata of the server to sign in at.

        Raises:
            ConfigInvalid, NetworkError, ProviderError: As for :meth:`config`.
        """
        before = self.login(found.address, account)
        chosen = choose_issuer(found, issuer, self._known(found, before))
        _tell(say, warn, found, chosen)
        return before, server_of(
            lambda one: self._metadata.discover(one, inserted_first=True, http=http), found, chosen
        )

    def _signed_in(self, address: str, account: str) -> Login | None:
        """The login at the issuer ``address``: that of ``account``, else the default one."""
        for name in dict.fromkeys((account, DEFAULT_ACCOUNT)):
            with suppress(AuthRequired, Damaged):
                login = self._find(address, name)
                if login.config.issuer == address:
                    return login
        return None

    def _known(self, found: FoundResource, before: Login | None) -> list[str]:
        """The servers at which the user has a login or a client already."""
        known = [before.config.issuer] if before is not None and before.config.issuer else []
        if len(found.issuers) > 1:
            known += self.clients.issuers()
        return known

    def login(self, address: str, account: str = DEFAULT_ACCOUNT) -> Login | None:
        """The finished login to ``address``, if there is one."""
        try:
            return self._find(canonical_resource(address), account)
        except (AuthRequired, Damaged):
            return None

    def _issuer(
        self,
        address: str,
        before: Login | None,
        client_id: str | None,
        client_secret: str | None,
        scopes: Sequence[str] | None,
        *,
        via: str,
        redirect_uri: str | None,
    ) -> OAuthConfig:
        """The configuration of a login to the issuer at ``address``, whose name is all of it.

        The client of an earlier login serves again, so that signing in anew needs no option.
        """
        method: ClientAuthentication = "auto"
        if not client_id:
            if before is None:
                raise ConfigMissing(
                    "an issuer needs a client that is registered there",
                    hint=Hint("login", address, "--client-id", "ID"),
                )
            client_id = before.config.client_id
            client_secret = client_secret or before.config.client_secret
            method = before.config.token_endpoint_auth_method
        config = OAuthConfig(
            service_name=address,  # all of it: two realms of one host are two providers
            issuer=address,
            redirect_uri=redirect_uri or DEFAULT_REDIRECT_URI,
            client_id=client_id,
            client_secret=client_secret,
            token_endpoint_auth_method=method,
            scopes=("openid",) if scopes is None else tuple(scopes),
        )
        return self._discovered(config, via)


def _tell(
    say: Callable[[str], None], warn: Callable[[str], None], found: FoundResource, issuer: str
) -> None:
    if found.told_by is None:
        warn(f"{found.address} publishes no resource metadata; its own origin is asked instead")
    elif found.resource != found.address:
        warn(f"its metadata are of {found.resource}, and the tokens will be for all of that")
    others = [one for one in found.issuers if one != issuer]
    say(f"authorization server: {issuer}" + (f" (also: {', '.join(others)})" if others else ""))
