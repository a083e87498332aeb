"""What a registered redirect address leaves open: its host and path are fixed, its port may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...engine.errors import ConfigInvalid, TransportUnavailable

if TYPE_CHECKING:
    from ...engine.oauth.provider import OAuthConfig


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect address, taken apart.

    Attributes:
        scheme: ``http`` for this machine, anything for a program's own address.
        host: As registered: ``127.0.0.1``, ``localhost``, ``::1``, or another machine's name.
        path: Exact.
        ports: The ports to try, in order; 0 stands for any free one.
        query: What the registered address carries itself.
    """

    scheme: str
    host: str
    path: str
    ports: tuple[int, ...]
    query: str = ""

    def address(self, port: int) -> str:
        """The redirect address with ``port`` in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}.get(self.scheme)
        where = host if port == default else f"{host}:{port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{where}{self.path}{query}"

    def hosts(self, port: int) -> frozenset[str]:
        """The ``Host`` headers a browser may send to that address, in lower case."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return frozenset({f"{host}:{port}"} | ({host} if port == 80 else set()))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The families it can be bound in on this machine; empty if it is not this machine's.

        ``localhost`` may resolve to either family, so a listener for it needs both (RFC 8252
        §8.3 advises against that name; some providers accept no other).
        """
        return {
            "127.0.0.1": ("127.0.0.1",),
            "::1": ("::1",),
            "localhost": ("127.0.0.1", "::1"),
        }.get(self.host, ())


def redirect_of(config: OAuthConfig) -> Redirect:
    """The redirect address of ``config``.

    Raises:
        ConfigInvalid: It is no address.
    """
    return parse_redirect(config.redirect_uri, tuple(config.ports))


def address_without_listener(config: OAuthConfig) -> str:
    """The redirect address of ``config`` where nobody will listen: with the first port it names.

    Raises:
        ConfigInvalid: It is no address.
    """
    redirect = redirect_of(config)
    if not redirect.addresses:
        return config.redirect_uri
    return redirect.address(next((port for port in redirect.ports if port), 8080))


def parse_redirect(address: str, ports: tuple[int, ...]) -> Redirect:
    """``address`` taken apart; ``ports`` are tried where it names none.

    Raises:
        ConfigInvalid: It is no address.
    """
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
        parts = urlsplit("")
    if not host or not parts.scheme or parts.fragment:
        raise ConfigInvalid(
            f"{address!r} is not a redirect address", hint="stayfast help providers"
        )
    redirect = Redirect(parts.scheme, host, parts.path or "/", (), parts.query)
    if port is not None:
        tried: tuple[int, ...] = (port,)
    elif redirect.addresses:
        tried = ports or (0,)
    else:
        tried = ({"http": 80, "https": 443}.get(parts.scheme, 443),)
    return Redirect(parts.scheme, host, parts.path or "/", tried, parts.query)


def require_local(redirect: Redirect) -> None:
    """Make sure that ``redirect`` is an address of this machine.

    Raises:
        TransportUnavailable: A listener here would never be called.
    """
    if redirect.scheme != "http" or not redirect.addresses:
        raise TransportUnavailable(
            f"the redirect address is at {redirect.host}, not on this machine",
            hint="choose with --via manual",
        )
