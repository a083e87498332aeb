"""The ``hosts.yml`` of ``gh``: hosts, their users, and the token of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...engine.errors import ConfigInvalid
from ...engine.hints import Hint
from ..extras import require
from .found import Found, text, tokens_from


def is_hosts(octets: bytes) -> bool:
    """Whether ``octets`` may be such a file; no library is needed to say no."""
    return any(word in octets for word in (b"oauth_token", b"user:", b"users:"))


def parse_hosts(octets: bytes) -> object:
    """What the YAML in ``octets`` says; ``None`` if it is no YAML.

    Raises:
        ConfigMissing: PyYAML is not installed.
    """
    require("yaml", "gh")
    import yaml  # noqa: PLC0415  optional

    try:
        parsed: object = yaml.safe_load(octets)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return parsed


def read(hosts: Mapping[str, Any]) -> list[Found]:
    """The tokens in ``hosts``, those of the active users first.

    Since 2.40 each host has ``users``; the active one's name and token stand beside them, too.

    Raises:
        ConfigInvalid: There are users, and ``gh`` keeps their tokens elsewhere; or no host at all.
    """
    found: dict[tuple[str, str], Found] = {}
    without: list[str] = []
    for host, entry in hosts.items():
        for user, members in _users(_mapping(entry)):
            if not text(members, "oauth_token"):
                without.append(user)
            elif (host, user) not in found:
                tokens = tokens_from({"access_token": members["oauth_token"]})
                found[host, user] = Found(user=user, tokens=tokens, host=str(host).lower())
    if not found and without:
        raise ConfigInvalid(
            f"gh keeps the token of {without[0] or 'this user'} in the keyring, not in this file",
            hint=Hint.note('import {"access_token": …} with what gh auth token prints'),
        )
    return list(found.values())


def _users(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Users and their members; the active one first."""
    active = text(entry, "user") or ""
    if active or "oauth_token" in entry:
        yield active, entry
    for user, members in _mapping(entry.get("users")).items():
        yield str(user), _mapping(members)


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
