"""The user's own providers: the tables ``[providers.NAME]`` of ``config.toml``.

Reading takes the standard library. Editing keeps the user's comments and order, which takes
tomlkit, and replaces the file as a whole or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, cast

from ..engine.errors import ConfigInvalid, NotFound
from ..engine.hints import Hint
from ..engine.oauth.addresses import secure_address
from ..engine.oauth.provider import OAuthConfig
from ..engine.oauth.setting_types import ENDPOINTS
from ..engine.oauth.settings_check import require_sendable
from ..storage.private_file import (
    CONFIG_VARIABLE,
    ensure_directory,
    write_private,
)
from ..transports.loopback.redirect import require_redirect
from .settings_files import FILE_NAME, parse_toml, provider_tables, read_settings, text_of

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

CLIENT_MEMBERS: Final = frozenset(
    {"client_id", "client_secret", "client_secret_file"}
    | {"client_id_for_device", "client_secret_for_device", "client_secret_for_device_file"}
)
"""The client that a table may hold besides the fields of a provider."""
FILE_MEMBERS: Final = CLIENT_MEMBERS | {"kind", "template"}
"""What a table may hold besides the fields of a provider: its client, and the kind that it is one of."""
_ADDRESSES: Final = (*ENDPOINTS, "issuer")
"""The members that must be https addresses."""
_SERVES_ONCE: Final = frozenset({"subject_token", "actor_token"})
"""Tokens that a login is given as it begins; a file of settings names their file instead."""
KNOWN: Final = (frozenset(f.name for f in fields(OAuthConfig)) - _SERVES_ONCE) | FILE_MEMBERS
"""All that a table may hold."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_LOCK_SECONDS: Final = 10.0


class ProviderFile:
    """Adds, edits and removes providers of the user's file; one process at a time."""

    def __init__(self, directory: str) -> None:
        """Work on the file in the configuration directory ``directory``."""
        self._directory = directory

    @property
    def path(self) -> str:
        """Where the file is."""
        return os.path.join(self._directory, FILE_NAME)

    def names(self) -> list[str]:
        """The providers in the file, in its order.

        Raises:
            ConfigInvalid: It cannot be read.
        """
        return list(provider_tables(self._directory))

    def members(self, name: str) -> dict[str, Any]:
        """The members of a provider as they stand in the file, secrets included.

        Raises:
            NotFound: It is not in the file.
            ConfigInvalid: The file cannot be read.
        """
        table = provider_tables(self._directory).get(name)
        if table is None:
            raise self._absent(name)
        return check_table(name, table)

    def written(self, name: str) -> dict[str, Any]:
        """The members of a provider as they stand in the file, whatever they are; none if it is absent.

        Raises:
            ConfigInvalid: The file cannot be read.
        """
        table = provider_tables(self._directory).get(name)
        return cast("dict[str, Any]", table) if isinstance(table, dict) else {}

    def add(self, name: str, members: Mapping[str, object]) -> None:
        """Add a provider.

        Raises:
            ConfigInvalid: The name is taken or not valid, or a member is not valid.
            LoginBusy, StorageError: The file could not be written; it is as it was.
        """

        def add(tables: dict[str, Any]) -> None:
            if name in tables:
                raise ConfigInvalid(
                    f"there is a provider {name!r} already", hint=Hint("provider show", name)
                )
            tables[name] = _checked(name, members)

        self._change(name, add)

    def edit(self, name: str, changes: Mapping[str, object]) -> None:
        """Change members of a provider; ``None`` takes one out.

        A provider that is not in the file yet gets a table with the ``changes`` alone: that is how
        single members of a shipped one are overridden.

        Raises:
            ConfigInvalid: A member is unknown or not valid.
            LoginBusy, StorageError: The file could not be written; it is as it was.
        """

        def edit(tables: dict[str, Any]) -> None:
            checked = _checked(name, {k: v for k, v in changes.items() if v is not None})
            table = tables.setdefault(name, {})
            for member in changes:
                if member in checked:
                    table[member] = checked[member]
                else:
                    table.pop(member, None)

        self._change(name, edit)

    def remove(self, name: str) -> None:
        """Remove a provider. A shipped one of that name gets its shipped settings back.

        Raises:
            NotFound: It is not in the file.
            LoginBusy, StorageError: The file could not be written; it is as it was.
        """

        def remove(tables: dict[str, Any]) -> None:
            if name not in tables:
                raise self._absent(name)
            del tables[name]

        self._change(name, remove)

    def _change(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        if not _NAME.match(name):
            raise ConfigInvalid(
                f"{name[:40]!r} cannot be the name of a provider",
                hint="use letters, digits, dots and dashes",
            )
        from ..storage.locks import locked  # noqa: PLC0415  for who writes

        ensure_directory(self._directory, CONFIG_VARIABLE)
        with locked(f"{self.path}.lock", wait=_LOCK_SECONDS, what=FILE_NAME):
            provider_tables(self._directory)  # a file that cannot be read is not edited
            document = _document(read_settings(self.path) or b"")
            if "providers" not in document:
                document["providers"] = _super_table()
            change(cast("dict[str, Any]", document["providers"]))
            text = document.as_string().encode("utf-8")
            parse_toml(text)  # never write a file that we could not read again
            # replace the target of a link, not the link: people keep such files in a repository
            write_private(os.path.realpath(self.path), text)

    def _absent(self, name: str) -> NotFound:
        return NotFound(f"provider {name[:40]!r} is not in {self.path}", hint=Hint("provider list"))


def _document(text: bytes) -> TOMLDocument:
    import tomlkit  # noqa: PLC0415  only editing needs it

    return tomlkit.parse(text_of(text))


def _super_table() -> object:
    """``[providers.x]`` without a bare ``[providers]`` above it."""
    import tomlkit  # noqa: PLC0415  as above

    return tomlkit.table(is_super_table=True)


def _checked(name: str, members: Mapping[str, object]) -> dict[str, object]:
    """``members`` as plain data, once they are known to make a provider."""
    plain: dict[str, object] = {
        member: list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
        for member, value in members.items()
    }
    _check_members(name, plain)
    own = FILE_MEMBERS - {f.name for f in fields(OAuthConfig)}
    kept = {k: v for k, v in plain.items() if k not in own}
    config = OAuthConfig.from_dict({**kept, "service_name": name})
    require_sendable(config)
    require_redirect(config)
    for member in _ADDRESSES:
        none = member in ENDPOINTS and plain.get(member) == ""  # instead of one that is shipped
        if member in plain and not none and not secure_address(plain[member]):
            raise ConfigInvalid(
                f"{member} of provider {name!r} is not an https address",
                hint=Hint("provider edit", name, f"--{member.replace('_', '-')}", "https://…"),
            )
    return plain


def check_table(name: str, table: object) -> dict[str, Any]:
    """``table`` of the provider ``name``, once its members are known to exist.

    Raises:
        ConfigInvalid: It is not a table, or it has an unknown member.
    """
    if not isinstance(table, dict):
        raise ConfigInvalid(f"provider {name[:40]!r} is not a table", hint=f"edit {FILE_NAME}")
    members = cast("dict[str, Any]", table)
    _check_members(name, members)
    return members


def _check_members(name: str, table: Mapping[str, object]) -> None:
    for member in table:
        if member not in KNOWN or member == "service_name":
            raise ConfigInvalid(
                f"provider {name[:40]!r} has no setting {member[:40]!r}",
                hint=Hint("help providers"),
            )
    for member in (CLIENT_MEMBERS | {"kind"}) & table.keys():
        if not isinstance(table[member], str):
            raise ConfigInvalid(
                f"{member} of provider {name[:40]!r} is not a text", hint=Hint("help providers")
            )
    values: Any = table.get("template", {})
    if not isinstance(values, dict) or not all(
        isinstance(one, str) for one in cast("dict[str, Any]", values).values()
    ):
        raise ConfigInvalid(
            f"template of provider {name[:40]!r} is not a table of texts",
            hint=Hint("help providers"),
        )
