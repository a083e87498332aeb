"""The providers that can be signed in to as they are shipped, and those that a program adds to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import fields
from typing import Any, Final

from ...engine.oauth.provider import OAuthConfig, OAuthProvider
from ...engine.oauth.settings_check import require_sendable
from ...transports.loopback.redirect import require_redirect
from ..provider_file import FILE_MEMBERS
from .entry import entry, index

FIELDS: Final = tuple(f.name for f in fields(OAuthProvider))


def made_provider(name: str, members: Mapping[str, Any]) -> OAuthProvider:
    """The provider of ``members``, all of them known and of the right type.

    Raises:
        ConfigInvalid: A member cannot be right.
    """
    # None means the default, and defaults need no check
    kept = {k: v for k, v in members.items() if k not in FILE_MEMBERS and v is not None}
    config = OAuthConfig.from_dict({**kept, "service_name": name})
    require_sendable(config)
    require_redirect(config)
    return OAuthProvider(**{field: getattr(config, field) for field in FIELDS})


class Providers(MutableMapping[str, OAuthProvider]):
    """The shipped providers, and those a program adds; one is read when it is first asked for.

    A kind of provider, whose address has a blank, is none of them: nobody can sign in to it before
    the blank is filled in.
    """

    def __init__(self) -> None:
        """Read nothing yet."""
        self._changed: dict[str, OAuthProvider | None] = {}
        self._read: dict[str, OAuthProvider] = {}

    def __getitem__(self, name: str) -> OAuthProvider:
        if name in self._changed:
            changed = self._changed[name]
            if changed is None:
                raise KeyError(name)
            return changed
        if name not in self._read:
            if not _is_whole(name):
                raise KeyError(name)
            self._read[name] = made_provider(name, entry(name).settings)
        return self._read[name]

    def __setitem__(self, name: str, provider: OAuthProvider) -> None:
        self._changed[name] = provider

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._changed[name] = None

    def __contains__(self, name: object) -> bool:
        if name in self._changed:
            return self._changed[str(name)] is not None
        return isinstance(name, str) and _is_whole(name)

    def __iter__(self) -> Iterator[str]:
        shipped = [name for name in index() if _is_whole(name) and name not in self._changed]
        yield from shipped
        yield from [name for name, one in self._changed.items() if one is not None]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<providers: {', '.join(self)}>"

    def title(self, name: str) -> str:
        """What a person reads of the provider ``name``; nothing is read of a shipped one.

        Raises:
            KeyError: There is none.
        """
        changed = self._changed.get(name)
        return changed.title if changed is not None else index()[name]["title"]

    def of_issuer(self, issuer: str) -> list[str]:
        """The providers that have ``issuer``; of the shipped ones, no others are read."""
        return [
            name
            for name in self
            if (changed.issuer if (changed := self._changed.get(name)) else _issuer(name)) == issuer
        ]


def _is_whole(name: str) -> bool:
    """Whether ``name`` is a shipped provider that somebody can sign in to as it is."""
    line = index().get(name)
    return line is not None and not line.get("asks") and "impossible" not in line


def _issuer(name: str) -> str | None:
    return index()[name].get("issuer")


OAUTH_PROVIDERS: Final[MutableMapping[str, OAuthProvider]] = Providers()
"""Providers by name. A program may add its own or replace one; the catalogues of the command see it.

A program whose libraries must not see each other's gives them to its service instead
(:class:`stayfast.OAuthService`).
"""

SHIPPED: Final[Mapping[str, OAuthProvider]] = Providers()
"""The shipped providers, which nobody changes."""
