"""The redirect address as it was registered, the ports it leaves open, and what a provider takes.

Scheme, host and path are sent exactly as registered: providers compare them as text. Only the port
may differ, and only for a loopback address (RFC 8252 §7.3). Providers have rules of their own: any
port, the exact one or those of a range, one spelling of this machine, ``https`` alone. They choose the
address where the user has chosen none, and say what is to be registered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from ...engine.errors import ConfigInvalid, TransportUnavailable
from ...engine.hints import Hint
from ...engine.oauth.addresses import loopback_host
from ...engine.oauth.setting_types import DEFAULT_REDIRECT_URI, PROGRAMS_REDIRECT_URI
from ...engine.oauth.settings_check import RESPONSE_PARAMETERS

if TYPE_CHECKING:
    from ...engine.oauth.provider import OAuthConfig, OAuthProvider

OUT_OF_BAND: Final = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect address of those whose own page shows the code (RFC 8252 appendix B.1 knows no better)."""
_OWN_PART: Final = 12
_DEFAULTS: Final = frozenset({DEFAULT_REDIRECT_URI, PROGRAMS_REDIRECT_URI})
_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect address in its parts.

    Attributes:
        scheme: ``http`` for this machine, anything for a program's own address.
        host: As registered: ``127.0.0.1``, ``localhost``, ``::1``, or another machine's name.
        path: Exactly as registered; empty if the address has none.
        ports: The ports to try, in order; 0 means any free port.
        query: The registered address's own query.
        names_port: Whether the port was registered: then it is sent even if it is the usual one.
    """

    scheme: str
    host: str
    path: str
    ports: tuple[int, ...]
    query: str = ""
    names_port: bool = False

    def address(self, port: int) -> str:
        """The redirect address with ``port`` in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}.get(self.scheme.lower())
        # a browser leaves the default port out of the Host header, and so must the address
        where = host if port == default and not self.names_port else f"{host}:{port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{where}{self.path}{query}"

    def hosts(self, port: int) -> frozenset[str]:
        """The ``Host`` headers a browser may send to that address, in lower case."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = host.lower()
        return frozenset({f"{host}:{port}"} | ({host} if port == 80 else set()))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The local addresses to bind; empty if the host is another machine.

        ``localhost`` may resolve to either family, so a listener for it needs both (RFC 8252
        §8.3 advises against that name; some providers accept no other).
        """
        return {
            "127.0.0.1": ("127.0.0.1",),
            "::1": ("::1",),
            "localhost": ("127.0.0.1", "::1"),
        }.get(self.host.lower(), ())


def redirect_of(config: OAuthConfig) -> Redirect:
    """The redirect address of ``config``.

    Raises:
        ConfigInvalid: The configured value is not a redirect address, or no answer can come to it.
    """
    ports = (0,) if config.redirect_port == "any" else tuple(config.ports)
    redirect = parse_redirect(registered_address(config), ports)
    _require_usable(redirect)
    if config.redirect_https_only and redirect.scheme.lower() != "https":
        raise ConfigInvalid(
            f"{config.title} takes https redirect addresses only, and none is configured",
            hint=Hint("provider edit", config.service_name, "--redirect-uri", "https://…"),
        )
    return redirect


def require_redirect(provider: OAuthProvider) -> None:
    """Make sure that the redirect address of ``provider`` can be used.

    Raises:
        ConfigInvalid: It is not a redirect address, or no answer can come to it.
    """
    if not comes_back(provider):
        if not provider.shows_code:
            raise ConfigInvalid(
                "redirect_uri is no address, which needs a provider that shows the code (shows_code)",
                hint=Hint("help providers"),
            )
        return
    _require_usable(parse_redirect(provider.redirect_uri, ()))


def comes_back(provider: OAuthProvider) -> bool:
    """Whether a browser is sent on to an address: else the provider's own page shows the code."""
    return provider.redirect_uri not in {"", OUT_OF_BAND}


def local_redirect(provider: OAuthProvider) -> bool:
    """Whether a listener on this machine can be the redirect address of ``provider``."""
    if not comes_back(provider) or provider.redirect_https_only:
        return False
    try:
        redirect = parse_redirect(provider.redirect_uri, ())
    except ConfigInvalid:
        return True  # whoever binds it says what is wrong
    return bool(redirect.addresses) and redirect.scheme.lower() == "http"


def _require_usable(redirect: Redirect) -> None:
    """Refuse a redirect address to which no answer can come, or only in the sight of others.

    Raises:
        ConfigInvalid: It is plain ``http`` to another machine (RFC 8252 §8.3, RFC 9700 §2.6), or
            its query has a parameter of the answer.
    """
    # another spelling of a loopback address is not the address that a listener has
    here = redirect.addresses or (":" not in redirect.host and loopback_host(redirect.host))
    if redirect.scheme.lower() == "http" and not here:
        raise ConfigInvalid(
            f"redirect_uri is plain http to {redirect.host}, which is not this machine",
            hint="use http://127.0.0.1/callback, or https",
        )
    for name, _ in parse_qsl(redirect.query, keep_blank_values=True):
        if name.strip().lower() in RESPONSE_PARAMETERS:
            raise ConfigInvalid(
                f"redirect_uri has {name[:40]!r} in its query, a parameter of the provider's answer",
                hint=Hint("help providers"),
            )


def registered_address(config: OAuthProvider) -> str:
    """The redirect address to register for ``config``, its issuer's own part included."""
    address = _chosen(config)
    if not config.redirect_per_issuer or not comes_back(config):
        return address
    path, mark, query = address.partition("?")
    from hashlib import sha256  # noqa: PLC0415  OpenSSL's, for an address of its own

    own = sha256((config.issuer or config.auth_url).encode("utf-8", "replace")).hexdigest()
    return f"{path.rstrip('/')}/{own[:_OWN_PART]}{mark}{query}"


def addresses_to_register(config: OAuthProvider) -> tuple[str, ...]:
    """Every redirect address that a login of ``config`` may use, for a registration (RFC 7591 §2).

    A loopback address stands there without a port, for servers that let the port vary (RFC 8252
    §7.3), and with each port that is tried, for those that compare to the letter.

    Raises:
        ConfigInvalid: The configured value is not a redirect address.
    """
    address = registered_address(config)
    if not comes_back(config):
        return (address,) if address else ()
    redirect = parse_redirect(address, tuple(config.ports))
    if not redirect.addresses:
        return (address,)
    with_ports = [redirect.address(port) for port in redirect.ports if port]
    to_the_letter = config.redirect_port in {"exact", "range"} and with_ports
    bare = [] if redirect.names_port or to_the_letter else [_without_port(address)]
    if config.redirect_port == "any":
        return tuple(bare or with_ports)
    return tuple(dict.fromkeys((*bare, *with_ports)))


def _without_port(address: str) -> str:
    """``address`` as it is registered where any port will do: without the port 0."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.removesuffix(':0')}{slash}{path}"


def registration_note(config: OAuthProvider) -> str:
    """What a person has to know about the ports of the addresses to register; empty if nothing.

    Raises:
        ConfigInvalid: The configured value is not a redirect address.
    """
    if not comes_back(config):
        return ""
    redirect = parse_redirect(registered_address(config), tuple(config.ports))
    tried = [port for port in redirect.ports if port]
    if not redirect.addresses or redirect.names_port:
        return ""
    if config.redirect_port == "any" or not tried:
        return "with any port"
    if config.redirect_port in {"exact", "range"}:
        return "all of them: the first is used whose port is free" if len(tried) > 1 else ""
    named = " and ".join(filter(None, [", ".join(map(str, tried[:-1])), str(tried[-1])]))
    return f"with any port if it allows that, else with {'ports' if tried[1:] else 'port'} {named}"


def broken_rule(config: OAuthProvider) -> str | None:
    """Which rule of the provider its redirect address breaks, in a sentence; ``None`` if it keeps them.

    Whoever configured the address may know better: the sentence explains, and forbids nothing.
    """
    if not comes_back(config):
        return None
    try:
        redirect = parse_redirect(registered_address(config), tuple(config.ports))
    except ConfigInvalid:
        return None
    host = redirect.host.lower()
    if config.redirect_https_only and redirect.scheme.lower() != "https":
        return f"{config.title} takes https redirect addresses only"
    if config.redirect_hosts and host in _HOSTS and host not in config.redirect_hosts:
        taken = " or ".join(config.redirect_hosts)
        return (
            f"{config.title} takes {taken} as the host of a redirect address, not {redirect.host}"
        )
    outside = [port for port in redirect.ports if port and port not in config.ports]
    if config.redirect_port == "range" and outside:
        return f"{config.title} takes ports {min(config.ports)} to {max(config.ports)} only"
    return None


def _chosen(config: OAuthProvider) -> str:
    """The redirect address of ``config``; one that nobody chose gets a host that the provider takes."""
    address = config.redirect_uri
    host = urlsplit(address).hostname if address in _DEFAULTS else None
    if host is None or not config.redirect_hosts or host in config.redirect_hosts:
        return address
    other = config.redirect_hosts[0]
    return address.replace(host, f"[{other}]" if ":" in other else other, 1)


def address_without_listener(config: OAuthConfig) -> str:
    """The redirect address of ``config`` for a login without a listener: its first port is used.

    The browser ends on an error page there, and its user copies the address.

    Raises:
        ConfigInvalid: The configured value is not a redirect address.
    """
    if not comes_back(config):
        return registered_address(config)
    redirect = redirect_of(config)
    if not redirect.addresses:
        return registered_address(config)
    return redirect.address(next((port for port in redirect.ports if port), 8080))


def parse_redirect(address: str, ports: tuple[int, ...]) -> Redirect:
    """The parts of ``address``; if it names no port, ``ports`` are to be tried.

    Raises:
        ConfigInvalid: ``address`` is not a redirect address.
    """
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
        parts = urlsplit("")
    # the parts as they are written: urlsplit turns scheme and host into lower case
    scheme, _, rest = address.partition("://")
    written = parts.netloc if port is None else parts.netloc.removesuffix(f":{port}")
    bare = written.strip("[]")
    odd = not address.isprintable() or set(address) & set(" \\@#") or rest.endswith("?")
    if not host or not parts.scheme or odd or bare.lower() != host:
        raise ConfigInvalid(f"{address!r} is not a redirect address", hint=Hint("help providers"))
    redirect = Redirect(scheme, bare, parts.path, (), parts.query, bool(port))
    if port is not None:
        tried: tuple[int, ...] = (port,)
    elif redirect.addresses:
        tried = ports or (0,)
    else:
        tried = ({"http": 80, "https": 443}.get(parts.scheme, 443),)
    return replace(redirect, ports=tried)


def require_local(redirect: Redirect) -> None:
    """Make sure that ``redirect`` is an address of this machine.

    Raises:
        TransportUnavailable: A listener here would never be called.
    """
    if redirect.scheme.lower() != "http" or not redirect.addresses:
        raise TransportUnavailable(
            f"the redirect address is at {redirect.host}, not on this machine",
            hint="choose with --via manual",
        )
