"""The place and the root key of a storage, for a child process that works on it too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...engine.errors import StorageError
from ...engine.hints import Hint
from ..keys.keyring import KeyringKey
from ..keys.sources import KeySources

if TYPE_CHECKING:
    from ..keys.sealing import Keys
    from .header import Header


@dataclass(frozen=True, slots=True)
class Handover:
    """One storage and its root key.

    It goes through a private socket and nowhere else: other processes could read an argument or a
    variable.

    Attributes:
        directory: The state directory.
        config_dir: Where key files are, and where the rollback marker of the storage is.
        store: The storage's own random name.
        epoch: Which root key this is.
        root: The root key.
        database: The address of the database and how it is used, by the names of the arguments of
            :class:`stayfast.storage.postgres.PostgresStorage`; empty of a vault.
        variables: The environment variables of libpq, among them a password.
    """

    directory: str
    config_dir: str
    store: bytes
    epoch: int
    root: bytes = field(repr=False)
    database: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    variables: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def from_keys(cls, directory: str, config_dir: str, keys: Keys) -> Handover:
        """The storage in ``directory``, which is open with ``keys``."""
        return cls(directory, config_dir, keys.store, keys.epoch, keys.root)

    def members(self) -> dict[str, Any]:
        """All of it, for CBOR."""
        return {
            "directory": os.path.abspath(self.directory),
            "config_dir": os.path.abspath(self.config_dir),
            "store": self.store,
            "epoch": self.epoch,
            "root": self.root,
            "database": dict(self.database),
            "variables": dict(self.variables),
        }

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Handover:
        """What :meth:`members` wrote."""
        return cls(**members)


class HandedSources(KeySources):
    """The key sources of a process that got the root key from its parent."""

    def __init__(self, handover: Handover, environ: Mapping[str, str]) -> None:
        """Prefer the root key of ``handover``."""
        super().__init__(
            handover.config_dir,
            lambda: None,
            KeyringKey(interactive=False, environ=environ),
            environ,
        )
        self._handover = handover

    def root_of(self, header: Header) -> bytes:
        """The root key of the parent; after a rekey, the newer one from its own place.

        Raises:
            StorageError: It is another storage, or no slot of its new key opens here.
        """
        if header.store != self._handover.store:
            raise StorageError("this is another storage than before", hint=Hint("status"))
        if header.epoch == self._handover.epoch:
            return self._handover.root
        return super().root_of(header)
