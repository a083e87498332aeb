"""How far a vault had come, noted beside its key: shows a whole vault that was put back.

Every row of an old copy opens, and its integrity record fits. What tells it from the present one is kept
elsewhere: a small file in the configuration directory, which never goes back.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import StorageError
from ..host import SystemClock
from ..private_file import ensure_directory, open_private, read_private

if TYPE_CHECKING:
    from ..keys.sealing import Keys

_OFTEN_ENOUGH: Final = 60.0  # seconds between two notes of one process
_OCTETS: Final = 8
_LIMIT: Final = 64
_clock: Final = SystemClock()


class RollbackMarker:
    """The note of one vault."""

    def __init__(self, config_dir: str) -> None:
        """Keep it in ``config_dir``."""
        self._config_dir = config_dir
        self._noted_at = -_OFTEN_ENOUGH
        self._compared = False

    def behind(self, keys: Keys, generation: int) -> bool:
        """Whether the vault, at ``generation``, was further once; asked once per process."""
        if self._compared:
            return False
        self._compared = True
        noted = self._read(keys)
        if noted is None or noted <= generation:
            return False
        self._write(keys, generation)  # it has been said; the log has it from now on
        return True

    def note(self, keys: Keys, generation: int) -> None:
        """The vault has come to ``generation``; a note that cannot be written is written later."""
        now = _clock.monotonic()
        if now - self._noted_at < _OFTEN_ENOUGH:
            return
        self._noted_at = now
        noted = self._read(keys)
        if noted is None or noted < generation:
            self._write(keys, generation)

    def _path(self, keys: Keys) -> str:
        return os.path.join(self._config_dir, f"vault-{keys.store[:4].hex()}.generation")

    def _read(self, keys: Keys) -> int | None:
        try:
            data = read_private(self._path(keys), _LIMIT)
        except (OSError, StorageError):
            return None
        number, seal = data[:_OCTETS], data[_OCTETS:]
        # of another root key, or another's hand: it tells nothing
        return int.from_bytes(number, "big") if seal == keys.marker_mac(number) else None

    def _write(self, keys: Keys, generation: int) -> None:
        number = generation.to_bytes(_OCTETS, "big")
        # no waiting for the disk: after a power cut an older note is merely a weaker one
        with suppress(OSError, StorageError):
            ensure_directory(self._config_dir)
            descriptor = open_private(self._path(keys), create=True)
            try:
                os.write(descriptor, number + keys.marker_mac(number))
            finally:
                os.close(descriptor)
