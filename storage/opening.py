"""Opens the storage that a user or a program names.

The choice is made once, with the vault, and its header keeps it with the reason. Later it is only
compared: a keyring that is missing today must not lead to a second, empty vault.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from ..engine.errors import ConfigInvalid, StorageError
from ..engine.hints import Hint
from .postgres.driver import is_address
from .vault.opener import Announce, VaultOpener
from .vault.vault import Vault

if TYPE_CHECKING:
    from ..engine.ports import Storage
    from .postgres import PostgresStorage
    from .vault.handover import Handover


CHOICES: Final = ("auto", "keyring", "file", "memory")
"""The values of ``STAYFAST_STORE``, besides the address of a PostgreSQL database."""


def open_storage(
    choice: str | None = None,
    *,
    state_dir: str | None = None,
    config_dir: str | None = None,
    passphrase: Callable[[], str | None] | None = None,
    interactive: bool = False,
    announce: Announce | None = None,
    environ: Mapping[str, str] | None = None,
) -> Storage:
    """The storage of this user.

    ``choice`` matters when the vault is made. An existing vault is opened as it was made.

    Args:
        choice: ``auto`` (a keyring if one answers, else a file), ``keyring``, ``file``,
            ``memory``, or the address of a PostgreSQL database (``postgresql://…``); from
            ``STAYFAST_STORE`` if not given.
        state_dir: Where the vault is; the user's state directory if not given.
        config_dir: Where its key file is; the user's configuration directory if not given.
        passphrase: Returns the passphrase, where one is needed; from ``STAYFAST_PASSPHRASE`` if not
            given.
        interactive: Whether a user can answer a prompt of the keyring.
        announce: Called with one line when a vault is made: what was chosen, and why.
        environ: The environment.

    Raises:
        ConfigInvalid: There is no such choice, or no such address.
        StorageError: No home directory is known.
        ConfigMissing: The driver of PostgreSQL is not installed.
    """
    env = os.environ if environ is None else environ
    chosen = choice or env.get("STAYFAST_STORE") or "auto"
    if is_address(chosen):
        from .postgres import PostgresStorage  # noqa: PLC0415  only those who have one need it

        return PostgresStorage(
            chosen,
            state_dir=state_dir,
            config_dir=config_dir,
            passphrase=passphrase,
            interactive=interactive,
            announce=announce,
            environ=env,
        )
    if chosen not in CHOICES:
        raise _no_storage(chosen.partition(":")[0])
    if chosen == "memory":
        from .memory import MemoryStorage  # noqa: PLC0415  few want it

        return MemoryStorage()
    opener = VaultOpener(
        chosen,
        state_dir=state_dir,
        config_dir=config_dir,
        passphrase=passphrase,
        interactive=interactive,
        announce=announce,
        environ=env,
    )
    return Vault(opener.state_dir, **opener.arguments())


def _no_storage(chosen: str) -> ConfigInvalid:
    """The error of a choice that is none; its hint leads to the choice that was meant."""
    from difflib import get_close_matches  # noqa: PLC0415  for a mistake alone

    from .keys.sources import KINDS  # noqa: PLC0415  as above

    if chosen in KINDS and chosen not in CHOICES:
        secret = " STAYFAST_PASSPHRASE=…" if chosen == "passphrase" else ""
        return ConfigInvalid(
            f"{chosen!r} is no storage, but a kind of key for the storage 'file'",
            hint=f"export STAYFAST_STORE=file{secret}",
            why=f"stayfast store rekey --to {chosen} gives such a key to a vault that is there",
        )
    similar = get_close_matches(chosen.lower(), CHOICES, n=1)
    return ConfigInvalid(
        f"there is no storage {chosen!r}; one of {', '.join(CHOICES)}, postgresql://…",
        hint=f"export STAYFAST_STORE={similar[0]}" if similar else "unset STAYFAST_STORE",
    )


def open_handed_over(handover: Handover, environ: Mapping[str, str]) -> Vault | PostgresStorage:
    """The storage of ``handover``, in the process that got it; this process never makes one.

    Args:
        handover: Where it is, and its root key.
        environ: The environment.
    """
    if handover.database:
        from .postgres import PostgresStorage  # noqa: PLC0415  only those who have one need it

        return PostgresStorage.handed_over(handover, environ)
    opener = VaultOpener(
        "auto",
        state_dir=handover.directory,
        config_dir=handover.config_dir,
        passphrase=lambda: None,
        environ=environ,
    )
    from .vault.handover import HandedSources  # noqa: PLC0415  for a process that got one

    opener.key_sources = HandedSources(handover, environ)
    arguments = opener.arguments()
    arguments["create"] = _never_made
    return Vault(handover.directory, **arguments)


def _never_made() -> NoReturn:
    raise StorageError("the vault has gone", hint=Hint("status"))


class KeyringStorage(Vault):
    """A vault whose key is in the system keyring; an error where no keyring answers."""

    def __init__(
        self,
        directory: str | None = None,
        *,
        interactive: bool = False,
        announce: Announce | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """A vault in ``directory``, or in the user's state directory.

        Args:
            directory: Where it is.
            interactive: Whether a user can answer a prompt of the keyring.
            announce: Called with one line when the vault is made.
            environ: The environment.
        """
        opener = VaultOpener(
            "keyring",
            state_dir=directory,
            interactive=interactive,
            announce=announce,
            environ=environ,
        )
        super().__init__(opener.state_dir, **opener.arguments())


class EncryptedFileStorage(Vault):
    """A vault whose key comes from a passphrase, or else from a key file."""

    def __init__(
        self,
        directory: str | None = None,
        *,
        config_dir: str | None = None,
        passphrase: Callable[[], str | None] | None = None,
        announce: Announce | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """A vault in ``directory``, or in the user's state directory.

        Args:
            directory: Where it is.
            config_dir: Where its key file is, if it has one.
            passphrase: Returns the passphrase; without one, a new vault gets a key file.
            announce: Called with one line when the vault is made.
            environ: The environment.
        """
        opener = VaultOpener(
            "file",
            state_dir=directory,
            config_dir=config_dir,
            passphrase=passphrase,
            announce=announce,
            environ=environ,
        )
        super().__init__(opener.state_dir, **opener.arguments())
