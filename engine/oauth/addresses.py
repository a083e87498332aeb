"""Which addresses a secret may be sent to, and a person be sent to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_LABEL: Final = 63  # octets between two dots of a name (RFC 1035 §2.3.4)


def loopback_host(host: str | None) -> bool:
    """Whether ``host`` is this machine: the only place plain ``http`` may go to."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def secure_address(address: object) -> bool:
    """Whether ``address`` is ``https``, or ``http`` to this machine.

    What two parsers might read differently (a backslash, a user name, white space) is refused:
    the address that is checked must be the address that is used.
    """
    if not isinstance(address, str) or not address.isprintable() or set(address) & set("\\ "):
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    if not all(0 < len(label) <= _LABEL for label in host.removesuffix(".").split(".")):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback_host(host))
