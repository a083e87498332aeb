"""What a provider's name means: a shipped one, one that a program adds, or one of the user's own file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple, cast

from ...engine.errors import ConfigInvalid, ConfigMissing, NotFound
from ...engine.hints import Hint
from ...engine.oauth.authorization_request import client_variable, require_client
from ...engine.oauth.provider import OAuthConfig, OAuthProvider
from ...storage.paths import THE_COMMAND, program_of
from ...storage.program import COMMANDS_PREFIX
from ..client_files import secret_of
from ..provider_file import check_table
from ..settings_files import provider_tables
from .entry import entry, index
from .shipped import FIELDS, OAUTH_PROVIDERS, SHIPPED, Providers, made_provider

_PATHS: Final = (
    *("client_key_file", "client_certificate_file"),
    *("subject_token_file", "actor_token_file"),
)


def require_providers(providers: Mapping[str, OAuthProvider]) -> None:
    """Make sure that a program gave providers, and nothing else.

    Raises:
        ConfigInvalid: One of them is something else.
    """
    for name, provider in cast("Mapping[str, object]", providers).items():
        if not isinstance(provider, OAuthProvider):
            raise ConfigInvalid(
                f"the provider {name!r} is no OAuthProvider or OAuthConfig",
                hint=Hint.note("give OAuthConfig(service_name=…, issuer=…, client_id=…)"),
            )


_FILE: Final = "your file"
_DEVICE: Final = "_for_device"
"""What the names of the device flow's own client end with."""


class _Source(NamedTuple):
    """One place a client may come from, and what its id and its secret are there called."""

    client_id: str | None
    secret: Callable[[], str | None]
    named: tuple[str, str] = ("the program", "the program")


class Catalogue:
    """Looks a provider's name up. The user's file is read anew each time, because people edit it."""

    def __init__(
        self,
        directory: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        providers: Mapping[str, OAuthProvider] | None = None,
        own: Mapping[str, OAuthProvider] | None = None,
    ) -> None:
        """Look names up.

        Args:
            directory: The configuration directory; ``None`` for no user's file.
            environ: Where client ids and secrets are looked for; the process's by default.
            providers: Instead of :data:`OAUTH_PROVIDERS`.
            own: The program's own. Each is taken as it is: the user's file changes nothing in it,
                and a client of the environment is used only where it has none.
        """
        self._directory = directory
        self._environ = os.environ if environ is None else environ
        self._providers = OAUTH_PROVIDERS if providers is None else providers
        self._own: Mapping[str, OAuthProvider] = {} if own is None else own

    def names(self) -> list[str]:
        """Every name that is known, in order.

        Raises:
            ConfigInvalid: The user's file cannot be read.
        """
        return sorted({*self._providers, *self._own, *self._tables()})

    def of_issuer(self, issuer: str) -> list[str]:
        """The names of the providers that may have ``issuer``, in order; a shipped one is not read for it.

        Raises:
            ConfigInvalid: The user's file cannot be read.
        """
        known = self._providers
        others = known.of_issuer(issuer) if isinstance(known, Providers) else [*known]
        return sorted({*others, *self._own, *self._tables()})

    def title(self, name: str) -> str:
        """What a person reads of the provider ``name``; a shipped one is not read for it.

        Raises:
            NotFound, ConfigInvalid: As of :meth:`provider`.
        """
        shipped = isinstance(self._providers, Providers) and name in self._providers
        if shipped and name not in self._own and name not in self._tables():
            return cast("Providers", self._providers).title(name)
        return self.provider(name).title

    def known_to_command(self, name: str) -> bool:
        """Whether the command has a provider of that name, and means the same by it.

        Raises:
            ConfigInvalid: The user's file cannot be read.
        """
        return name not in self._own and (name in SHIPPED or name in self._tables())

    def require(self, name: str) -> None:
        """Make sure that ``name`` is known, even if its settings are not valid.

        Raises:
            NotFound: ``name`` is not known; the hint names a similar one.
            ConfigInvalid: The user's file cannot be read.
        """
        known = self.names()
        if name not in known:
            raise _unknown(name, known)

    def provider(self, name: str) -> OAuthProvider:
        """The provider of that name, without a client.

        Raises:
            NotFound: There is no such provider; the hint names a similar one.
            ConfigInvalid: The user's file cannot be read, or a setting in it is not valid.
        """
        return self._merged(name, self._tables())

    def origins(self, name: str) -> dict[str, str]:
        """Where each setting of a provider comes from, but for those that have their default.

        Raises:
            NotFound: There is no such provider.
            ConfigInvalid: The user's file cannot be read, or a setting in it is not valid.
        """
        table, made = self._tables().get(name, {}), self.provider(name).to_config("").to_dict()
        found = {
            member: _FILE if member in table else "as shipped"
            for member in made
            if member not in {"service_name", "client_id"}
        }
        for flow in ("", _DEVICE):
            sources = self._sources(name, table, None, None, flow=flow)
            client, secret = _origins_of_client(name, sources)
            found |= {f"client_id{flow}": client} if client else {}
            found |= {f"client_secret{flow}": secret} if secret else {}
        return found

    def lookup(
        self, name: str, *, client_id: str | None = None, client_secret: str | None = None
    ) -> OAuthConfig:
        """The provider of that name with its client.

        The client is taken from the arguments, else from ``<NAME>_CLIENT_ID`` and
        ``<NAME>_CLIENT_SECRET``, else from the user's file, else from what a program registered.
        A secret from another source than the client id is not used: it belongs to another client.
        The device flow may have a client of its own: ``<NAME>_DEVICE_CLIENT_ID``, or
        ``client_id_for_device`` of the file.

        Raises:
            NotFound: There is no such provider.
            ConfigMissing: There is no client id, or the file of its secret is not there.
            ConfigInvalid: The user's file cannot be read, or a setting in it is not valid.
        """
        tables = self._tables()
        provider = self._merged(name, tables)
        sources = self._sources(name, tables.get(name, {}), client_id, client_secret)
        chosen, secret = _client(name, sources)
        config = provider.to_config(chosen or "", secret)
        if not client_id:  # a client that is named for this login is meant for its every way
            of_device = self._sources(name, tables.get(name, {}), None, None, flow=_DEVICE)
            chosen, secret = _client(name, of_device)
            if (chosen, secret) != (config.client_id_for_device, config.client_secret_for_device):
                config = replace(
                    config, client_id_for_device=chosen, client_secret_for_device=secret
                )
        registered = self._providers.get(name)
        if isinstance(registered, OAuthConfig) and registered.client_id == config.client_id:
            config = replace(config, client_key=registered.client_key)
        try:
            if not config.registration_url:  # there a login registers one
                require_client(config.of_device_flow() if config.device_url else config)
        except ConfigMissing as error:
            if self._prefix:
                variable = self._prefix + client_variable(name)
                raise ConfigMissing(error.message, hint=f"export {variable}=…") from None
            raise
        paths: dict[str, Any] = {
            member: self._path(named) for member in _PATHS if (named := getattr(config, member))
        }
        return replace(config, **paths) if paths else config  # a copy is judged anew, each setting

    def has_client(self, name: str) -> bool:
        """Whether a client id is configured for the provider ``name``, wherever that is.

        Raises:
            ConfigInvalid: The user's file cannot be read, or a client id cannot be one.
        """
        table = self._tables().get(name, {})
        return any(
            _clean(source.client_id, f"the client id of {name}")
            for source in self._sources(name, table, None, None)
        )

    def _tables(self) -> dict[str, Any]:
        return provider_tables(self._directory) if self._directory is not None else {}

    def _merged(self, name: str, tables: Mapping[str, Any]) -> OAuthProvider:
        base, table = self._registered(name), tables.get(name)
        if name in self._own:
            table = None
        if base is None and table is None:
            raise _unknown(name, {*self._providers, *self._own, *tables})
        if table is not None:
            check_table(name, table)
        members = {field: getattr(base, field) for field in FIELDS} if base else {}
        try:
            if table is not None and "kind" in table:
                members = settings_of_kind(table["kind"], table.get("template", {}))
            return made_provider(name, {**members, **(table or {})})
        except (ConfigInvalid, ConfigMissing) as error:  # a blank may be missing in the file
            raise ConfigInvalid(
                f"{error.message} (provider {name[:40]!r})",
                hint=Hint("provider edit", name, "--help"),
            ) from error

    def _registered(self, name: str) -> OAuthProvider | None:
        """The provider that the program has, or that is shipped."""
        return self._own.get(name) or self._providers.get(name)

    @property
    def _prefix(self) -> str:
        """What the program's own variables of clients begin with; nothing, of the command's."""
        return "" if program_of(self._environ) == THE_COMMAND else COMMANDS_PREFIX

    def _sources(
        self,
        name: str,
        table: Mapping[str, Any],
        client_id: str | None,
        client_secret: str | None,
        *,
        flow: str = "",
    ) -> Sequence[_Source]:
        """The sources of the client, or of that of a ``flow``, the most specific first."""
        registered = self._registered(name)
        program = registered if isinstance(registered, OAuthConfig) else None
        given = _Source(client_id, lambda: client_secret)
        outside = self._variables(name, "", flow)
        of_program = _Source(
            getattr(program, "client_id" + flow, None),
            lambda: getattr(program, "client_secret" + flow, None),
        )
        if name in self._own or self._prefix:
            # a variable that other programs read too must not add its secret to our client
            others = [outside] if outside.client_id else []
            ours = [self._variables(name, self._prefix, flow)] if self._prefix else []
            return (given, of_program, *ours, *others)
        kept = partial(self._kept_secret, name, table, flow)
        file = _Source(table.get("client_id" + flow), kept, (_FILE, _FILE))
        return (given, outside, file, of_program)

    def _variables(self, name: str, prefix: str, flow: str) -> _Source:
        """The client that the environment has for the provider ``name``."""
        environ, kind = self._environ, "DEVICE_" if flow == _DEVICE else ""
        client, secret = (
            prefix + client_variable(name, f"{kind}CLIENT_{what}") for what in ("ID", "SECRET")
        )
        return _Source(environ.get(client), lambda: environ.get(secret), (client, secret))

    def _kept_secret(self, name: str, table: Mapping[str, Any], flow: str) -> str | None:
        """The secret of the user's file, or of the file that one names."""
        named = table.get(f"client_secret{flow}_file")
        if named is None:
            inline = table.get("client_secret" + flow)
            return inline if isinstance(inline, str) else None
        return secret_of(
            self._path(str(named)),
            "client secret",
            hint=Hint("provider edit", name, "--client-secret-file", "FILE"),
        )

    def _path(self, named: str) -> str:
        """A path of the user's file: it is relative to the configuration directory."""
        from pathlib import Path  # noqa: PLC0415  for files that are named

        return str((Path(self._directory or ".") / Path(named).expanduser()).absolute())


def _client(name: str, sources: Sequence[_Source]) -> tuple[str | None, str | None]:
    """The client of the first source that has one, and its secret."""
    chosen, _ = next(iter(_clients(name, sources)), (None, ""))
    secret, _ = next(_secrets(name, sources, chosen), (None, ""))
    return chosen, secret


def _origins_of_client(name: str, sources: Sequence[_Source]) -> tuple[str, str]:
    """What :func:`_client` took the client and its secret from; empty where there is none.

    Raises:
        ConfigInvalid: A client id cannot be one.
    """
    chosen, origin = next(iter(_clients(name, sources)), (None, ""))
    try:
        _, of_secret = next(_secrets(name, sources, chosen), (None, ""))
    except (ConfigInvalid, ConfigMissing):  # the file of a secret; who looks the client up says so
        of_secret = ""
    return origin, of_secret


def _clients(name: str, sources: Sequence[_Source]) -> list[tuple[str, str]]:
    """The client ids there are, each with its origin; every one is judged."""
    found = [(_clean(one.client_id, f"the client id of {name}"), one.named[0]) for one in sources]
    return [(client, origin) for client, origin in found if client]


def _secrets(
    name: str, sources: Sequence[_Source], chosen: str | None
) -> Iterator[tuple[str, str]]:
    """The secrets that may be those of the client ``chosen``, each with its origin."""
    for source in sources:
        client = _clean(source.client_id, f"the client id of {name}")
        if client not in {None, chosen}:  # it belongs to another client
            continue
        secret = _clean(source.secret(), f"the client secret of {name}")
        if secret:
            yield secret, source.named[1]


def _clean(value: str | None, what: str) -> str | None:
    """``value`` without the blanks and line ends of the file it was read from; ``None`` if it is empty.

    Raises:
        ConfigInvalid: There are control characters in it (RFC 6749 appendix A.1 and A.2).
    """
    kept = (value or "").strip()
    if not kept.isprintable():
        raise ConfigInvalid(
            f"{what} has characters that it cannot have", hint=Hint("help environment")
        )
    return kept or None


def settings_of_kind(kind: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a provider that was added by its ``kind``, with ``values`` in its blanks.

    Raises:
        ConfigInvalid: There is no such kind, a value is missing or does not fit, or nobody can sign
            in to it from a command line.
    """
    line = index().get(kind)
    if line is None:
        raise ConfigInvalid(
            f"there is no kind of provider {kind[:40]!r}", hint=Hint("provider list")
        )
    _require_possible(kind)
    return entry(kind).filled(values)


def _require_possible(name: str) -> None:
    line = index().get(name)
    if line is not None and "impossible" in line:
        raise ConfigInvalid(
            f"nobody can sign in to {line['title']} from a command line: {line['impossible']}",
            hint=Hint("provider list"),
        )


def _unknown(name: str, known: Collection[str]) -> NotFound:
    _require_possible(name)
    line = index().get(name)
    if line is not None and line.get("asks"):
        return NotFound(
            f"{name} is a kind of provider: say first which server is meant",
            hint=Hint("provider add", name),
        )
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    similar = get_close_matches(name.lower(), known, n=1)
    return NotFound(
        f"there is no provider {name[:40]!r}",
        hint=Hint.meant(similar[0]) if similar else Hint("provider list"),
    )
