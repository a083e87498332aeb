"""Which addresses a secret may be sent to, and a person be sent to."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

_LABEL: Final = 63  # octets between two dots of a name (RFC 1035 §2.3.4)
_NUMBER: Final = re.compile(
    r"(0x[0-9a-f]*|[0-9]+)"
)  # a part of an IPv4 address, as resolvers read it
_INSIDE: Final = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa")
"""The last parts of names that mean something only within a machine or a network (RFC 6761, 8375)."""


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


def private_host(host: str) -> bool:
    """Whether ``host`` is this machine, or names one of a private network by its form.

    Every spelling of an IP address that a resolver takes counts (``127.1``, ``0x7f000001``,
    ``::ffff:10.0.0.1``). The address that a name leads to is not looked up here.
    """
    name = host.lower().removesuffix(".").partition("%")[0]
    address = _address_of(name)
    if address is not None:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        inner = _embedded(address) if isinstance(address, IPv6Address) else None
        return any(
            not one.is_global or one.is_multicast
            for one in (mapped or address, inner or mapped or address)
        )
    if _NUMBER.fullmatch(name.rpartition(".")[2]):  # it ends in a number, and is no address
        return True
    return "." not in name or any(name == end or name.endswith(f".{end}") for end in _INSIDE)


def _address_of(name: str) -> IPv4Address | IPv6Address | None:
    """The IP address that ``name`` is, in any of its spellings."""
    try:
        return ip_address(name)
    except ValueError:
        parts = name.split(".")
    if not 0 < len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = [_number(part) for part in parts]
        room = 256 ** (4 - len(first))
        if any(part > 255 for part in first) or last >= room:
            return None
        value = sum(part << (24 - 8 * place) for place, part in enumerate(first)) + last
        return IPv4Address(value)
    except ValueError:
        return None


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return (
        int(part, 8 if part.startswith("0") and part != "0" else 10) if len(part) < 20 else 1 << 40
    )


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside one of NAT64 (RFC 6052) or 6to4 (RFC 3056)."""
    if address.sixtofour is not None:
        return address.sixtofour
    value = int(address)
    return IPv4Address(value & 0xFFFFFFFF) if value >> 32 == 0x0064FF9B << 64 else None
