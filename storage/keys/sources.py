"""The places where the key of a vault can be kept: makes slots, opens them, and removes old keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import ConfigInvalid, StorageError
from ...engine.hints import Hint
from ..paths import program_of
from ..vault.header import Slot
from .keyring import KeyringKey, item_of
from .outside import KEY_COMMAND
from .sealing import expand
from .slots import (
    COMMAND,
    CREDENTIALS,
    KEYFILE,
    KEYRING,
    PASSPHRASE,
    key_file_path,
    new_keyfile_slot,
    new_passphrase_slot,
    outside_key,
    passphrase_key,
    unlock,
)

if TYPE_CHECKING:
    from ..vault.header import Header

KINDS: Final = (KEYRING, PASSPHRASE, KEYFILE, CREDENTIALS, COMMAND)
"""The kinds of slots, as ``store rekey --to`` names them."""

_OUTSIDE: Final = (CREDENTIALS, COMMAND)
_SECRETS: Final = {
    PASSPHRASE: "passphrase",
    CREDENTIALS: "systemd credential",
    COMMAND: f"output of {KEY_COMMAND}",
}
_SAME_SECRET: Final = "the {} is the secret that opened the former key, so whoever has that secret opens the new key, too"


class KeySources:
    """Where this user can keep a key: the keyring, a key file, a passphrase, a command.

    Attributes:
        config_dir: Where key files are.
        keyring: The system keyring.
        notice: What the user should know of the last move to another key; empty if nothing.
    """

    def __init__(
        self,
        config_dir: str,
        passphrase: Callable[[], str | None],
        keyring: KeyringKey,
        environ: Mapping[str, str],
    ) -> None:
        """Nothing is read before it is needed."""
        self.config_dir = config_dir
        self.keyring = keyring
        self.notice = ""
        self._passphrase = passphrase
        self._environ = environ

    def root_of(self, header: Header) -> bytes:
        """The root key of the vault of ``header``.

        Raises:
            StorageError: No slot opens here.
        """
        return unlock(
            header,
            config_dir=self.config_dir,
            passphrase=self._passphrase,
            keyring=self.keyring.read,
            environ=self._environ,
        )

    def new_slot(self, kind: str, store: bytes, root: bytes) -> Slot:
        """A slot of that kind for ``root``; its key is kept where that kind keeps keys.

        Raises:
            StorageError: The key cannot be kept there, or does not come back from there.
            ConfigInvalid: There is no such kind, or no passphrase for it.
        """
        if kind == KEYRING:
            item = item_of(program_of(self._environ), os.urandom(4).hex())
            key = self.keyring.create(store, item)
            return Slot.wrap(kind, {"item": item}, expand(key, "keyring", store), root, store)
        if kind == KEYFILE:
            return new_keyfile_slot(self.config_dir, store, root)
        if kind == PASSPHRASE:
            given = self._passphrase()
            if not given:
                raise ConfigInvalid("there is no passphrase", hint="export STAYFAST_PASSPHRASE=…")
            return new_passphrase_slot(given, store, root)
        if kind in {CREDENTIALS, COMMAND}:
            key = expand(outside_key(kind, self._environ), kind, store)
            return Slot.wrap(kind, {}, key, root, store)
        raise ConfigInvalid(f"there is no kind of key {kind!r}", hint=f"--to {'|'.join(KINDS)}")

    def moving_to(
        self, kind: str, passphrase: str | None = None
    ) -> Callable[[Header, bytes], Header]:
        """How a vault moves to a key of that kind.

        Args:
            kind: One of :data:`KINDS`.
            passphrase: The new one, where that is the kind.
        """

        def move(header: Header, root: bytes) -> Header:
            if passphrase is not None:
                self._passphrase = lambda: passphrase
            slot = self.new_slot(kind, header.store, root)
            after = header.amended(
                slots=[slot],
                kind="keyring" if kind == KEYRING else "file",
                reason=self.reason_for(kind),
                epoch=header.epoch + 1,
            )
            # once the rows are sealed under a key that does not come back, they are lost
            if self.root_of(after) != root:
                raise StorageError(
                    f"the new key did not come back from the {kind}", hint=Hint("store info")
                )
            same = any(self._opens(kind, slot, one, header.store) for one in header.slots)
            self.notice = _SAME_SECRET.format(_SECRETS[kind]) if same else ""
            return after

        return move

    def _opens(self, kind: str, fresh: Slot, slot: Slot, store: bytes) -> bool:
        """Whether the secret that opens ``fresh``, of that kind, opens the former ``slot`` as well."""
        if kind == PASSPHRASE and slot.kind == PASSPHRASE:
            key = passphrase_key(self._passphrase() or "", slot)
        elif kind in _OUTSIDE and slot.kind in _OUTSIDE:
            # a command ran when the new slot was tried; its answer is kept
            secret = outside_key(kind, self._environ, known_by=fresh.commitment)
            key = expand(secret, slot.kind, store)
        else:
            return False
        return slot.unwrap(key, store) is not None

    def reason_for(self, kind: str, why: str = "") -> str:
        """One line for the user: where the key of the vault is, and why."""
        where = {
            KEYRING: f"with a key in {self.keyring.name}",
            PASSPHRASE: "under your passphrase",
            KEYFILE: f"with a key file in {self.config_dir}",
            CREDENTIALS: "with a systemd credential",
            COMMAND: f"with the output of {KEY_COMMAND}",
        }[kind]
        return f"logins are sealed {where}" + (f" ({why})" if why else "")

    def tidy(self, before: Header, header: Header) -> None:
        """Remove the keys that open nothing any more, as far as possible.

        Args:
            before: The header whose slots have gone.
            header: The present one.
        """
        from .window import forget_key  # noqa: PLC0415  only where the key changes

        for slot in before.slots:
            forget_key(slot.commitment)
            if slot.kind == KEYRING:
                with suppress(StorageError):
                    self.keyring.delete(header.store, str(slot.params.get("item", "key")))
        kept = {
            key_file_path(self.config_dir, header.store, slot.params.get("name"))
            for slot in header.slots
            if slot.kind == KEYFILE
        }
        import glob  # noqa: PLC0415  as above

        # not only the old header's: an interrupted change of keys leaves a file that no header names
        ours = os.path.join(glob.escape(self.config_dir), f"vault-{header.store[:4].hex()}*.key")
        for path in set(glob.glob(ours)) - kept:
            with suppress(OSError):
                os.unlink(path)
