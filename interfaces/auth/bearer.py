"""The rules of an auth object that every HTTP library shares: which token, for which request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import urlsplit

from ...engine.errors import AuthFailed, ConfigInvalid, StayfastError, TokenExpired
from ...engine.oauth.addresses import loopback_host
from ...engine.record import DEFAULT_ACCOUNT
from ...engine.result import Failure

if TYPE_CHECKING:
    from ...engine.oauth.tokens import OAuthTokens
    from ...engine.result import Result

T = TypeVar("T")

_PORTS: Final = {"http": 80, "https": 443}


class TokenSource(Protocol):
    """What an auth object needs of :class:`stayfast.OAuthService`."""

    def get_bearer_token(self, service: str, *, account: str = ...) -> Result[str]:
        """An access token that is good now."""
        ...

    def refresh_tokens(
        self, service: str, *, account: str = ..., rejected: str | OAuthTokens | None = ...
    ) -> Result[OAuthTokens]:
        """Tokens other than those that were rejected."""
        ...


class Origin(NamedTuple):
    """Where a request goes (RFC 6454 §4).

    Attributes:
        scheme: In lower case.
        host: In lower case; an international name in its ASCII form.
        port: As connected to.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, address: str) -> Origin:
        """The origin of an absolute address.

        Raises:
            ConfigInvalid: It has no host, or a port that is no number.
        """
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if not parts.hostname:
            raise ConfigInvalid(
                "a request without a host gets no token", hint="write https://HOST/…"
            )
        return cls(parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme, 0))


@dataclass(frozen=True, slots=True)
class AllowedHost:
    """One of the hosts that a token is for; a part that is ``None`` may be anything.

    Attributes:
        scheme: ``https`` or ``http``.
        host: In lower case.
        port: Its port.
    """

    scheme: str | None
    host: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> AllowedHost:
        """The host that ``text`` names: ``HOST``, ``HOST:PORT`` or ``SCHEME://HOST[:PORT]``.

        Raises:
            ConfigInvalid: It is none of these.
        """
        scheme, mark, rest = text.strip().rpartition("://")
        try:
            parts = urlsplit(f"//{rest}")
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        bare = rest.removesuffix("/") == parts.netloc and "@" not in rest and text.isascii()
        if not host or not bare or not text.isprintable() or (mark and scheme not in _PORTS):
            raise ConfigInvalid(
                f"{text[:80]!r} is not a host that a token can be for",
                hint="write api.example.com, or https://api.example.com:8443",
            )
        if mark and port is None:
            port = _PORTS[scheme]
        return cls(scheme or None, host, port)

    def covers(self, origin: Origin) -> bool:
        """Whether a request to ``origin`` goes to this host."""
        return (
            self.host == origin.host
            and self.port in {None, origin.port}
            and self.scheme in {None, origin.scheme}
        )


@dataclass(repr=False)
class Bearer:
    """Chooses the token of each request, for any number of threads.

    Attributes:
        source: Hands out tokens.
        provider: Whose tokens.
        account: Which of several accounts.
        hosts: The hosts that may get a token; empty for every host.
    """

    source: TokenSource
    provider: str
    account: str = DEFAULT_ACCOUNT
    hosts: tuple[AllowedHost, ...] = ()
    _refused_fresh: dict[Origin, str] = field(default_factory=dict[Origin, str])

    @classmethod
    def for_hosts(
        cls, source: TokenSource, provider: str, account: str, hosts: str | Sequence[str]
    ) -> Bearer:
        """Tokens of ``provider`` for ``hosts``; one text is split at its blanks.

        Raises:
            ConfigInvalid: One of ``hosts`` is not a host.
        """
        names = hosts.split() if isinstance(hosts, str) else hosts
        return cls(source, provider, account, tuple(AllowedHost.of(name) for name in names))

    def token(self, origin: Origin) -> str | None:
        """The access token for a request to ``origin``; ``None`` if no token is for that host.

        Raises:
            ConfigInvalid: The request would carry the token over plain ``http`` to another machine.
            StayfastError: As :meth:`stayfast.OAuthService.get_bearer_token` fails.
        """
        named = [host for host in self.hosts if host.covers(origin)]
        if self.hosts and not named:
            return None
        plain = origin.scheme != "https" and not loopback_host(origin.host)
        if plain and not any(host.scheme for host in named):
            raise ConfigInvalid(
                f"a token is not sent over plain http to {origin.host}",
                hint=f"use https, or name http://{origin.host} among the hosts of the auth object",
            )
        return _given(self.source.get_bearer_token(self.provider, account=self.account))

    def another(self, refused: str, origin: Origin) -> str | None:
        """A token other than ``refused``, which ``origin`` answered with 401.

        ``None`` if there is none, or if refreshing is known not to help there.

        Raises:
            StayfastError: As :meth:`stayfast.OAuthService.refresh_tokens` fails, but for a login
                without a refresh token.
        """
        if self._refused_fresh.get(origin) == refused:
            return None
        try:
            tokens = _given(
                self.source.refresh_tokens(self.provider, account=self.account, rejected=refused)
            )
        except TokenExpired:
            return None
        return None if tokens.access_token == refused else tokens.access_token

    def refused_again(self, fresh: str, origin: Origin) -> None:
        """Note that ``origin`` refused ``fresh`` too, the answer of :meth:`another`."""
        self._refused_fresh[origin] = fresh


def header(token: str) -> str:
    """The value of the ``Authorization`` header (RFC 6750 §2.1)."""
    return f"Bearer {token}"


def token_in(value: str | None) -> str | None:
    """The token in an ``Authorization`` header that :func:`header` wrote."""
    scheme, _, token = (value or "").partition(" ")
    return token if scheme == "Bearer" and token else None


def _given(result: Result[T]) -> T:
    if isinstance(result, Failure):
        error: StayfastError = result.cause or AuthFailed(result.error, hint=result.hint)
        raise error
    return result.value
