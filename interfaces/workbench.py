"""The parts put together: which storage, which providers, which HTTP, which conductor.

The command and :class:`holdfast.OAuthService` both start here, so that a default is chosen once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..engine.conductor import Conductor
from ..engine.errors import ConfigMissing
from ..engine.ledger import Ledger
from ..engine.metadata import apply_metadata, discover
from ..engine.parts import Parts
from .catalogue import Catalogue
from .courier import InlineCourier
from .http import RequestsHttp
from ..storage.host import SystemClock, SystemRandomness, origin

if TYPE_CHECKING:
    from ..engine.ports import (
        Answers,
        Browser,
        Clock,
        Conversation,
        Courier,
        Http,
        Observer,
        Storage,
        Transport,
    )
    from ..engine.provider import OAuthConfig
    from ..engine.record import Summary


class Workbench:
    """One storage, one set of providers, and the conductor that works with them.

    Attributes:
        storage: Where logins are kept.
        catalogue: The providers known here.
        http: What speaks to them.
        clock: What time it is.
        conductor: What takes logins through the table.
    """

    def __init__(
        self,
        storage: Storage,
        catalogue: Catalogue,
        *,
        http: Http | None = None,
        clock: Clock | None = None,
        courier: Courier | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        """Put the parts together; what is not given is the real thing."""
        self.storage = storage
        self.catalogue = catalogue
        self.http: Http = http or RequestsHttp()
        self.clock: Clock = clock or SystemClock()
        self.conductor = Conductor(
            Parts(
                storage=storage,
                ledger=Ledger(storage, self.clock, origin(), observers),
                http=self.http,
                clock=self.clock,
                randomness=SystemRandomness(),
                courier=courier or InlineCourier(),
            )
        )

    def config(
        self,
        provider: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] | None = None,
        via: str = "auto",
    ) -> OAuthConfig:
        """The provider of that name with its client, endpoints discovered where they are missing.

        Args:
            provider: A name of the catalogue or of the user's file.
            client_id: Instead of the configured one.
            client_secret: Instead of the configured one.
            scopes: Instead of the configured ones.
            via: The transport that is meant to be used, which decides the endpoints needed.

        Raises:
            NotFound: No provider has that name.
            ConfigMissing: No client id, or no endpoint and no issuer to ask for it.
            NetworkError, ProviderError: The issuer's metadata could not be had.
        """
        config = self.catalogue.lookup(provider, client_id=client_id, client_secret=client_secret)
        if scopes is not None:
            config = replace(config, scopes=tuple(scopes))
        return self.discovered(config, via=via)

    def discovered(self, config: OAuthConfig, *, via: str = "auto") -> OAuthConfig:
        """``config`` with the endpoints its issuer publishes, where it names none itself.

        Raises:
            ConfigMissing: An endpoint is missing and there is no issuer to ask.
            NetworkError, ProviderError: The metadata could not be had.
        """
        asked = config.device_url if via == "device" else config.auth_url
        if config.token_url and asked:
            return config
        if config.issuer:
            config = apply_metadata(config, discover(self.http, config.issuer))
        if not config.token_url:
            msg = f"the token endpoint of {config.title} is not known"
            raise ConfigMissing(msg, hint=f"holdfast provider edit {config.service_name}")
        return config

    def open_logins(self) -> list[Summary]:
        """The logins that wait for their user or their tokens."""
        return [login for login in self.storage.summaries() if login.pending]
