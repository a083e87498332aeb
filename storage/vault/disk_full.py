"""Tokens that found no room on the disk, kept sealed in memory until there is some.

The runtime directory of a session lives in memory and ends with the machine. What is put there is
committed by whoever next takes the lease of its login.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ...engine import cbor
from ...engine.codec import decode_login, encode_login
from ...engine.errors import Damaged, StorageError
from ..private_file import ensure_directory, open_private, read_private, write_private

if TYPE_CHECKING:
    from ...engine.ports import Change
    from ...engine.record import Login
    from ..keys.sealing import Keys


_LIMIT: Final = 1024 * 1024


class Spill:
    """One user's spilled logins."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Use the runtime directory that ``environ`` names; without one nothing can be kept."""
        above = environ.get("XDG_RUNTIME_DIR")
        self.directory = os.path.join(above, "stayfast") if above else None

    def keep(self, keys: Keys, changes: Sequence[Change], texts: Sequence[bytes]) -> str | None:
        """Keep ``changes`` with the texts of their events; gives the place, if there is one."""
        if self.directory is None:
            return None
        last = changes[-1].login
        told: list[cbor.Plain] = [
            {"login": encode_login(change.login)[1], "fence": change.fence, "event": text}
            for change, text in zip(changes, texts, strict=True)
        ]
        plain = cbor.encode({"changes": told})
        sealed = keys.seal_row("spill", last.id, 0, "", plain)
        try:
            ensure_directory(self.directory)
            write_private(self._path(keys, last.id), sealed)
        except (StorageError, OSError):
            return None
        return self.directory

    def kept(self, keys: Keys, login_id: str) -> list[tuple[Login, int, bytes]]:
        """What is kept of a login: records, fences and the texts of their events."""
        path = self._path(keys, login_id)
        if self.directory is None or not os.path.lexists(path):
            return []
        try:
            plain = keys.open_row("spill", login_id, 0, "", read_private(path, _LIMIT))
            members: dict[str, Any] = dict(cbor.decode_map(plain))
            return [
                (decode_login(one["login"]), one["fence"], one["event"])
                for one in members["changes"]
            ]
        except (StorageError, Damaged, OSError, cbor.CborError, KeyError, TypeError):
            return []

    def forget(self, keys: Keys, login_id: str) -> None:
        """It is in the vault now, or something newer is."""
        with suppress(OSError):
            os.unlink(self._path(keys, login_id))

    def _path(self, keys: Keys, login_id: str) -> str:
        name = f"{keys.name}-{login_id}.sealed"
        return os.path.join(self.directory or "", name)


# Room kept free for what cannot be had again: tokens that arrive when the disk is full.

RESERVE: Final = "vault.reserve"
_OCTETS: Final = 64 * 1024  # a commit with its journal takes about half


class Reserve:
    """A file that is given up when nothing else has room."""

    def __init__(self, directory: str) -> None:
        """Keep it in ``directory``, beside the vault."""
        self._path = os.path.join(directory, RESERVE)

    def ensure(self) -> None:
        """Have the room, if there is any; called while there is time to have none."""
        with suppress(OSError, StorageError):
            descriptor = open_private(self._path, create=True)
            try:
                missing = _OCTETS - os.fstat(descriptor).st_size
                if missing > 0:
                    os.lseek(descriptor, 0, os.SEEK_END)
                    os.write(descriptor, os.urandom(missing))  # no file system makes it smaller
            finally:
                os.close(descriptor)

    def release(self) -> bool:
        """Give the room up; whether there was any."""
        try:
            descriptor = open_private(self._path)
        except (OSError, StorageError):
            return False
        try:
            had = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return had > 0
