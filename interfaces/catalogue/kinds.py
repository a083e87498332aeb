"""The catalogue for programs: which providers it knows, and each as a provider of theirs.

A program that lets its user choose shows these, asks for the blanks of the one that is chosen, and gives
what comes of it to its service, as ``stayfast provider add`` does for the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...engine.errors import ConfigInvalid, ConfigMissing
from ...engine.hints import Hint
from .entry import entry, index
from .lookup import settings_of_kind
from .shipped import made_provider

if TYPE_CHECKING:
    from ...engine.oauth.provider import OAuthProvider
    from .entry import About, Template


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKind:
    """A provider that the catalogue knows, or a kind of them, whose addresses have blanks.

    Attributes:
        name: Its name in the catalogue, such as ``okta``.
        title: What a person reads.
        group: What it is listed under, such as ``generic``.
        asks: The blanks to be filled in, in the order in which to ask; none of a whole provider.
        impossible: Why nobody can sign in to it from a command line; empty where that can be done.
    """

    name: str
    title: str
    group: str
    asks: tuple[str, ...] = ()
    impossible: str = ""

    @property
    def blanks(self) -> Mapping[str, Template]:
        """What to ask for each blank: ``question``, ``example``, ``default``; by its name, and in order.

        ``checked(value)`` of each raises :class:`ConfigInvalid` for a value that does not fit.
        """
        return dict(entry(self.name).templates)

    @property
    def about(self) -> About:
        """How a client is registered there, and the ways to sign in, the source and date of all this."""
        return entry(self.name).about

    def provider(self, service_name: str | None = None, /, **blanks: str) -> OAuthProvider:
        """The provider with ``blanks`` filled in, as a service takes it.

        Its ``to_config(client_id)`` adds the client. Where it has an issuer alone, a login looks its
        endpoints up::

            okta = stayfast.provider_kinds()["okta"].provider(domain="acme.okta.com")
            service = stayfast.OAuthService(app="acme", providers={"okta": okta.to_config("0oa1…")})

        Args:
            service_name: What the program calls it; by default as its kind is called.
            blanks: The value of each of :attr:`asks`; one that has a default may be left out.

        Raises:
            ConfigMissing: A value is missing.
            ConfigInvalid: A value does not fit, there is no such blank, or nobody can sign in there
                from a command line.
        """
        try:
            for name, value in blanks.items():
                if not isinstance(value, str):  # type: ignore[redundant-expr, unused-ignore]
                    raise ConfigInvalid(f"{name} is not a text")
            settings = settings_of_kind(self.name, blanks)
        except (ConfigMissing, ConfigInvalid) as error:
            if not self.impossible:  # its hint is for the command
                wanted = ", ".join(f"{one}=…" for one in self.asks)
                error.hint = Hint.note(f"provider({wanted})")
            raise
        return made_provider(service_name or self.name, settings)


def provider_kinds() -> dict[str, ProviderKind]:
    """All entries of the catalogue by name, also those that nobody can sign in to; no entry is read."""
    return {
        name: ProviderKind(
            name=name,
            title=line["title"],
            group=line["group"],
            asks=tuple(line.get("asks", ())),
            impossible=line.get("impossible", ""),
        )
        for name, line in index().items()
    }
