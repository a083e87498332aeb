"""Whose tokens these are: the ID token of a response, checked (OpenID Connect Core §3.1.3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from .errors import NetworkError
from .id_token import UnknownKey, judge_id_token, judge_keys, keys_request

if TYPE_CHECKING:
    from .ports import Clock, Http
    from .provider import OAuthConfig
    from .record import Identity, Login
    from .tokens import OAuthTokens

Keys: TypeAlias = "Mapping[str, object]"


class Identification:
    """Checks ID tokens against the provider's published keys, which it fetches and remembers."""

    def __init__(self, http: Http, clock: Clock) -> None:
        """Fetch keys with ``http``; judge expiry by ``clock``."""
        self._http = http
        self._clock = clock
        self._fetched: dict[str, Keys] = {}

    def keys(self, config: OAuthConfig, *, anew: bool = False) -> Keys | None:
        """The provider's keys, or ``None`` where no ID token is asked for or none can be checked.

        Raises:
            NetworkError: They could not be fetched.
            ProviderError: What was fetched are no keys.
        """
        if "openid" not in config.scopes or not config.jwks_url or not config.issuer:
            return None
        if anew or config.jwks_url not in self._fetched:
            response = self._http.send(keys_request(config))
            self._fetched[config.jwks_url] = judge_keys(response)
        return self._fetched[config.jwks_url]

    def identify(
        self, login: Login, tokens: OAuthTokens, keys: Keys | None
    ) -> tuple[OAuthTokens, Identity | None]:
        """Whose ``tokens`` are, if a checkable ID token says so; and the tokens worth keeping.

        An ID token that fails a check is an error. One that cannot be checked, because no keys
        are published or the new ones are out of reach, says nothing and is not kept: the access
        token that came with it is good, and must not be lost for it.

        Raises:
            ProviderError: The ID token does not hold.
        """
        if tokens.id_token is None:
            return tokens, None
        try:
            identity = self._judge(login, tokens, keys)
        except NetworkError:
            identity = None
        return (tokens if identity else replace(tokens, id_token=None)), identity

    def _judge(self, login: Login, tokens: OAuthTokens, keys: Keys | None) -> Identity | None:
        if keys is None or tokens.id_token is None:
            return None
        polls = login.presentation is not None and login.presentation.device is not None
        nonce = login.challenge.nonce if login.challenge and not polls else None
        judge = partial(
            judge_id_token,
            login.config,
            tokens.id_token,
            nonce=nonce,
            access_token=tokens.access_token,
            # its own clock, as of the same answer: a wrong one here must not cost a login
            now=tokens.server_date or self._clock.now(),
        )
        try:
            return judge(keys=keys)
        except UnknownKey:  # the provider has rotated its keys since
            return judge(keys=self.keys(login.config, anew=True) or {})
