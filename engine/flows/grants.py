"""Logins without a user: what they ask with, and when they ask again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ..errors import AuthRequired, ConfigInvalid
from ..hints import Hint
from ..oauth.grant_request import signs_assertion, token_type_urn
from ..oauth.id_token import claims_of, is_time
from ..oauth.tokens import printable
from ..record import Exchange
from ..secret import Secret
from ..summary import DEFAULT_ACCOUNT

if TYPE_CHECKING:
    from ..oauth.provider import OAuthConfig
    from ..record import Login
    from .dependencies import Dependencies


class OtherLogins(Protocol):
    """Where other logins come from: :class:`~.refresh.Refresh`."""

    def find(self, provider: str, account: str) -> Login:
        """The finished login of ``account`` at ``provider``."""
        ...

    def valid(self, provider: str, account: str, *, force: bool = False) -> Login:
        """The same with a token that serves."""
        ...


class GrantSources:
    """Finds the tokens that a grant is about: in files, or in other logins, which are refreshed."""

    def __init__(self, dependencies: Dependencies, refresh: OtherLogins) -> None:
        """Read files by ``dependencies``, and other logins by ``refresh``."""
        self._dependencies = dependencies
        self._refresh = refresh

    def exchange(self, config: OAuthConfig, account: str) -> Exchange:
        """What the next request by the grant of ``config`` sends, for ``account``.

        Raises:
            AuthRequired: The other login is not there, or has no such token.
            ConfigMissing, ConfigInvalid: A file cannot be used, or the logins ask each other.
            StayfastError: The other login cannot be refreshed.
        """
        subject = actor = None
        self._require_no_circle(config, account)
        if config.grant == "token-exchange" or (
            config.grant == "jwt-bearer" and not signs_assertion(config)
        ):
            subject = self._token(
                given=config.subject_token,
                login=config.subject_login,
                file=config.subject_token_file,
                kind=config.subject_token_type,
            )
        if config.grant == "token-exchange":
            actor = self._token(
                given=config.actor_token,
                login=config.actor_login,
                file=config.actor_token_file,
                kind=config.actor_token_type,
            )
        now = self._dependencies.clock.now()
        return Exchange(kind="grant", started_at=now, subject=subject, actor=actor)

    def _token(
        self,
        *,
        given: str | None,
        login: str | None,
        file: str | None,
        kind: str | None,
    ) -> Secret | None:
        if given:
            token = given
        elif file:
            token = self._dependencies.read_token(file)
        elif login:
            token = self._of_login(login, kind)
        else:
            return None
        if not token or not printable(token):
            raise ConfigInvalid(
                f"{file or login or 'what was given'} holds no token: it has characters that no token"
                " may have",
                hint=Hint("help providers"),
            )
        return Secret(token)

    def _of_login(self, named: str, kind: str | None) -> str:
        provider, account = source_of(named)
        token = _fitting(self._refresh.valid(provider, account), kind)
        if kind is not None and token_type_urn(kind) == token_type_urn("id_token"):
            if token is None or self._is_over(token):  # an access token may outlive it
                token = _fitting(self._refresh.valid(provider, account, force=True), kind)
            if token is not None and self._is_over(token):
                token = None
        if token is None:
            raise AuthRequired(
                f"the login of {provider} has no {kind} to ask with",
                hint=Hint("login", provider, "--new", account=account),
            )
        return token

    def _require_no_circle(self, config: OAuthConfig, account: str) -> None:
        """Refuse logins that ask each other: each would wait for the other's lease.

        Raises:
            ConfigInvalid: They do.
        """
        asker = (config.service_name, account)
        ahead = _sources_of(config)
        seen: set[tuple[str, str]] = set()
        while ahead:
            one = ahead.pop()
            if one == asker:
                raise ConfigInvalid(
                    f"the login of {config.service_name} would have to ask itself for a token",
                    hint=Hint("provider show", config.service_name),
                )
            if one not in seen:
                seen.add(one)
                with suppress(AuthRequired):
                    ahead += _sources_of(self._refresh.find(*one).config)

    def _is_over(self, token: str) -> bool:
        end = claims_of(token).get("exp")
        return is_time(end) and end <= self._dependencies.clock.now()


def source_of(named: str) -> tuple[str, str]:
    """The provider and account that ``PROVIDER`` or ``PROVIDER/ACCOUNT`` names."""
    if "://" in named:  # an address has slashes of its own; its account is the usual one
        return named, DEFAULT_ACCOUNT
    provider, _, account = named.partition("/")
    return provider, account or DEFAULT_ACCOUNT


def _sources_of(config: OAuthConfig) -> list[tuple[str, str]]:
    """The logins that the grant of ``config`` asks."""
    named = (config.subject_login, config.actor_login) if config.needs_no_user else ()
    return [source_of(one) for one in named if one]


def _fitting(login: Login, kind: str | None) -> str | None:
    """The token of ``login`` that is of type ``kind``; its access token where none is said."""
    tokens = login.tokens
    if tokens is None:
        return None
    urn = token_type_urn(kind or "access_token")
    if urn == token_type_urn("id_token") and tokens.id_token:
        return tokens.id_token
    if urn == token_type_urn("refresh_token") and tokens.refresh_token:
        return tokens.refresh_token
    issued = tokens.extra.get("issued_token_type")
    other = urn in {token_type_urn("id_token"), token_type_urn("refresh_token")}
    return None if other and issued != urn else tokens.access_token
