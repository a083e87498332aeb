"""Makes and unlocks one vault: chooses the kind of its key, and finds the slot that opens here."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypedDict

from ...engine.errors import Damaged, StorageError
from ...engine.hints import Hint
from ..audit.keys import read_audit_keys
from ..host import CLOCK
from ..keys.keyring import KeyringKey
from ..keys.outside import KEY_COMMAND
from ..keys.sealing import KEY_OCTETS, Keys
from ..keys.slots import COMMAND, KEYFILE, KEYRING, PASSPHRASE, KeyMissing, known_passphrase
from ..keys.sources import KeySources
from ..paths import absolute
from ..paths import config_dir as default_config_dir
from ..paths import state_dir as default_state_dir
from ..private_file import CONFIG_VARIABLE, check_directory, refuse_network_fs
from .file import headers
from .header import Header, keys_of
from .integrity import read_head

if TYPE_CHECKING:
    from ...engine.audit.events import Recorded
    from .header import Slot
    from .set_aside import Unlock

Announce = Callable[[str], None]
"""Is called with one line for the user."""


class VaultArguments(TypedDict):
    """The arguments of :class:`stayfast.storage.vault.vault.Vault` by name."""

    unlock: Unlock
    create: Callable[[], Recorded]
    describe: Callable[[Header | None], str]
    key_sources: KeySources
    announce: Announce
    environ: Mapping[str, str]


class VaultOpener:
    """Makes and unlocks one vault.

    Attributes:
        state_dir: Where it is.
        key_sources: Where its key may be.
        announce: Called with one line when it is made: what was chosen, and why.
    """

    def __init__(
        self,
        choice: str,
        *,
        state_dir: str | None = None,
        config_dir: str | None = None,
        passphrase: Callable[[], str | None] | None = None,
        interactive: bool = False,
        announce: Announce | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """As for :func:`stayfast.storage.opening.open_storage`."""
        env = os.environ if environ is None else environ
        self.state_dir = absolute(state_dir, env) if state_dir else default_state_dir(env)
        self._choice = choice
        self._passphrase = passphrase or (lambda: env.get("STAYFAST_PASSPHRASE") or None)
        self._keyring = KeyringKey(interactive=interactive, environ=env)
        self._environ = env
        place = (
            absolute(config_dir, env, CONFIG_VARIABLE) if config_dir else default_config_dir(env)
        )
        self.key_sources = KeySources(place, self._passphrase, self._keyring, env)
        self.announce = announce or _say_nothing
        self._allow_network = env.get("STAYFAST_ALLOW_NETWORK_FS") == "1"

    def unlock(
        self, connection: sqlite3.Connection, directory: str | None = None
    ) -> tuple[Header, Keys]:
        """The header of the vault, and its keys.

        A header is believed only if its seal is right: the copy beside the database as well. The
        copy of another vault does not count.

        Args:
            connection: Its database.
            directory: Where that is; by default the state directory.

        Raises:
            KeyMissing: Its key is not where it was looked for.
            StorageError: Its key cannot be had.
            Damaged: Its key is lost, or no header is as it was written.
        """
        self._refuse_network_fs()  # a home may have moved since
        place = directory or self.state_dir
        tried: dict[bytes, Keys | StorageError] = {}
        problem: StorageError | None = None
        store: bytes | None = None
        for header, seal in headers(connection, place):
            store = store or header.store
            if header.body not in tried:
                tried[header.body] = self._found(header)
            found = tried[header.body]
            if isinstance(found, StorageError):
                problem = problem or found
            elif header.store != store and not _is_of(connection, found):
                continue  # these keys would show every row of this vault as damaged
            elif seal == found.header_mac(header.body):
                read_audit_keys(connection, found)
                return header, found
            else:
                problem = problem or Damaged("the header of the vault was changed", hint=_MEND)
        again, _ = next(headers(connection, place))
        if again.body not in tried:  # it got another key meanwhile
            return self.unlock(connection, directory)
        if directory is None and isinstance(problem, KeyMissing):
            from .set_aside import sound_vault_aside  # noqa: PLC0415  hardly ever

            aside = sound_vault_aside(place, self.unlock)
            if aside is not None:
                raise KeyMissing(
                    f"{problem.message}; the vault in {aside.place} opens", hint=_MEND
                ) from problem
        raise problem or Damaged("the header of the vault cannot be read", hint=_MEND)

    def _found(self, header: Header) -> Keys | StorageError:
        """The keys of the vault of ``header``, or why they cannot be had."""
        if self._choice not in {"auto", header.kind}:
            return StorageError(
                f"the vault in {self.state_dir} has its key in a {header.kind}, "
                f"and STAYFAST_STORE asks for {self._choice}",
                hint="unset STAYFAST_STORE",
            )
        try:
            return self.keys(header)
        except StorageError as error:
            return error

    def arguments(self) -> VaultArguments:
        """The arguments of :class:`~stayfast.storage.vault.vault.Vault`, besides its directory."""
        return {
            "unlock": self.unlock,
            "create": self.create,
            "describe": self.describe,
            "key_sources": self.key_sources,
            "announce": self.announce,
            "environ": self._environ,
        }

    def keys(self, header: Header) -> Keys:
        """The keys of the vault of ``header``, from the first of its slots that opens here.

        Raises:
            StorageError: None does.
        """
        return keys_of(header, self.key_sources.root_of(header))

    def create(self) -> Recorded:
        """Make the vault, and give the first record of its log.

        Its directory exists, and the caller holds the lock of its making.
        """
        check_directory(self.state_dir)
        self._refuse_network_fs()
        header, keys = self.new_header()
        from .making import create_database  # noqa: PLC0415  once in the life of a vault

        created = create_database(self.state_dir, header, keys)
        self.announce(header.reason)
        return created

    def new_header(self) -> tuple[Header, Keys]:
        """The header of a new vault, with a slot of the chosen kind, and its keys.

        Raises:
            StorageError: No key could be made.
        """
        store, root = os.urandom(16), os.urandom(KEY_OCTETS)
        kind, slot, reason = self._choose(store, root)
        header = Header(
            store=store, kind=kind, reason=reason, epoch=1, created_at=CLOCK.now(), slots=[slot]
        )
        return header, keys_of(header, root)

    def _refuse_network_fs(self) -> None:
        if not self._allow_network:
            refuse_network_fs(self.state_dir)

    def _choose(self, store: bytes, root: bytes) -> tuple[str, Slot, str]:
        why = "STAYFAST_STORE=file"
        if self._choice in {"auto", "keyring"}:
            try:
                slot = self.key_sources.new_slot(KEYRING, store, root)
            except StorageError as error:
                if self._choice == "keyring":
                    raise
                why = error.message
            else:
                return "keyring", slot, self.key_sources.reason_for(KEYRING)
        kind = PASSPHRASE if known_passphrase(self._passphrase) else KEYFILE
        if self._environ.get(KEY_COMMAND):
            kind = COMMAND
        slot = self.key_sources.new_slot(kind, store, root)
        return "file", slot, self.key_sources.reason_for(kind, why)

    def describe(self, header: Header | None) -> str:
        """Kind and place of the key, such as ``keyring:SecretService``."""
        if header is None:
            return "vault"
        kinds = [slot.kind for slot in header.slots]
        if KEYRING in kinds:
            return f"keyring:{self._keyring.name}"
        return f"file:{_SAID.get(kinds[0], kinds[0])}" if kinds else "file"


_MEND: Final = Hint("store mend")
_SAID: Final = {KEYFILE: "key file"}


def _is_of(connection: sqlite3.Connection, keys: Keys) -> bool:
    """Whether the database was written with ``keys``, by its integrity record."""
    try:
        read_head(connection, keys)
    except (Damaged, sqlite3.Error):
        return False
    return True


def _say_nothing(line: str) -> None:
    del line
