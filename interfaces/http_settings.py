"""The proxies and certificate authorities that the environment names.

A value that cannot work is an error that names its variable and never quotes it: the address of a
proxy may hold a password.
"""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from ..engine.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CERTIFICATES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
PROXY_VARIABLES: Final = tuple(
    spelling
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for spelling in (name, name.upper())
)
"""The variables that name proxies, and what goes without one."""
_SOCKS: Final = frozenset({"socks4", "socks4a", "socks5", "socks5h"})
_SYSTEM: Final = "the system's settings"


class Proxy(NamedTuple):
    """The proxy on the way to a provider.

    Attributes:
        variable: Where it is configured.
        address: Its address, which was checked.
    """

    variable: str
    address: str


class Trust(NamedTuple):
    """The file or directory of certificate authorities that replaces the usual ones.

    Attributes:
        variable: Where it is configured; ``None`` if a program named it.
        path: The file or directory.
    """

    variable: str | None
    path: str

    def problem(self) -> NetworkError | None:
        """The problem with it; ``None`` if there is no problem."""
        why = _unusable(self.path)
        if why is None:
            return None
        named = f"{self.variable} names" if self.variable else "the settings name"
        return NetworkError(
            f"{named} a file of trusted certificates that {why}: {self.path}",
            hint=f"unset {self.variable or ' '.join(_CERTIFICATES)}",
        )


def trust_of(environ: Mapping[str, str], certificates: str | None = None) -> Trust | None:
    """The certificates that ``certificates`` or ``environ`` name; ``None`` for the usual ones."""
    if certificates:
        return Trust(None, certificates)
    named = (Trust(name, path) for name in _CERTIFICATES if (path := environ.get(name)))
    return next(named, None)


def proxy_for(url: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy that the environment, or the system, names for ``url``.

    Args:
        url: Where a request is to go.
        environ: Instead of the environment of the process. The system's settings count only where
            both name the same proxies.

    Raises:
        NetworkError: The proxy cannot be used; nothing has been sent.
    """
    env = os.environ if environ is None else environ
    same = all(env.get(name) == os.environ.get(name) for name in PROXY_VARIABLES)
    address = _proxy_of_the_process(url) if same else _proxy_in(env, url)
    if not address:
        return None
    variable = _variable_of(address, urlsplit(url).scheme, env)
    why, hint = _unfit(address.strip())
    if why is not None:
        raise NetworkError(
            f"the proxy in {variable} cannot be used: {why}",
            hint=hint or f"export {variable}=http://…",
        )
    return Proxy(variable, address.strip())


def _proxy_of_the_process(url: str) -> str | None:
    from requests.utils import (  # noqa: PLC0415  90 ms that a cached token does not need
        get_environ_proxies,
        select_proxy,
    )

    return select_proxy(url, dict(get_environ_proxies(url)))


def _proxy_in(environ: Mapping[str, str], url: str) -> str | None:
    """As requests and Python choose one, from variables that are not those of the process.

    What both have for it reads the environment of the process, or changes it meanwhile.
    """
    parts = urlsplit(url)
    address = _value(environ, f"{parts.scheme}_proxy") or _value(environ, "all_proxy")
    if not address or _goes_without(parts.hostname or "", parts.port, _value(environ, "no_proxy")):
        return None
    return address


def _value(environ: Mapping[str, str], name: str) -> str:
    """The variable ``name``, or else its spelling in capitals."""
    return environ.get(name, environ.get(name.upper(), ""))


def _goes_without(host: str, port: int | None, exempt: str) -> bool:
    """Whether ``no_proxy``, with the value ``exempt``, has a name, a domain or a network of ``host``."""
    for entry in exempt.replace(" ", "").lower().split(","):
        name = entry.lstrip(".")
        ends = (f".{name}", f".{name.removesuffix(f':{port}')}")
        if entry == "*" or (name and f".{host}".endswith(ends)):
            return True
        with suppress(ValueError):  # a name, or no network
            if ip_address(host) in ip_network(entry, strict=False):
                return True
    return False


def _variable_of(address: str, scheme: str, environ: Mapping[str, str]) -> str:
    """The variable that holds ``address``, by the order in which Python reads them."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for spelling in (name, name.upper()):
            if environ.get(spelling) == address:
                return spelling
    return _SYSTEM


def _unfit(address: str) -> tuple[str | None, str | None]:
    """Why ``address`` cannot be the address of a proxy, or ``None``; with a hint where it helps."""
    scheme = address.partition("://")[0].lower() if "://" in address else "http"
    if scheme in _SOCKS:
        try:
            importlib.import_module("socks")
        except ImportError:
            return "SOCKS needs the package PySocks", "pip install PySocks"
    elif scheme not in {"http", "https"}:
        return "its kind is not known; http, https and socks5 are", None
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:  # of the port, of brackets, of a label that is too long
        return "it is malformed", None
    if not host or port == 0 or not address.isprintable() or " " in parts.netloc:
        return "it is malformed", None
    return None, None


def _unusable(path: str) -> str | None:
    """Why no certificate can be read from ``path``; ``None`` if one can."""
    if not os.path.exists(path):
        return "does not exist"
    if os.path.isdir(path):
        return None if os.access(path, os.R_OK | os.X_OK) else "cannot be read"
    import ssl  # noqa: PLC0415  only where something failed

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "holds no usable certificate"
    except (OSError, ValueError):
        return "cannot be read"
    return None
