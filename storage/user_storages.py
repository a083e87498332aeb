"""The two storages a user can name: one vault, with its key in the keyring or in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .opening import Announce, VaultOpener
from .vault import Vault


class KeyringStorage(Vault):
    """A vault whose key is in the system keyring; refused where no keyring answers."""

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
            interactive: Whether somebody is there to answer a keyring's prompt.
            announce: Told in one line what was chosen, when the vault is made.
            environ: The environment.
        """
        opener = VaultOpener(
            "keyring",
            state_dir=directory,
            interactive=interactive,
            announce=announce,
            environ=environ,
        )
        super().__init__(opener.state_dir, **opener.parts())


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
            passphrase: Gives the passphrase; with none, a new vault gets a key file.
            announce: Told in one line what was chosen, when the vault is made.
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
        super().__init__(opener.state_dir, **opener.parts())
