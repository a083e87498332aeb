"""The rollback marker: shows that a whole older copy of a vault was put back.

Every row of an old copy opens, and its integrity record fits. Only the number of the last commit
shows its age. So that number is also kept elsewhere: in a small file beside the key.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import StorageError
from ..host import CLOCK
from ..private_file import CONFIG_VARIABLE, ensure_directory, open_private
from .file import MARKER_OCTETS, marker_path, noted_generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..keys.sealing import Keys

_OFTEN_ENOUGH: Final = 60.0  # seconds between two notes of one process: each costs a file write
ROLLED_BACK: Final = (
    "this vault was further once: an older copy was put back, and a refresh token in it may be "
    "refused by its provider, which then asks for a new sign-in"
)


class RollbackMarker:
    """The note of one vault, or of one database on this host.

    Each process compares it once, and writes it after a commit. So it is never ahead of what is
    durable, and a process that holds the write lock finds it ahead only after a rollback.
    """

    def __init__(self, config_dir: str, announce: Callable[[str], None]) -> None:
        """Keep it in ``config_dir``; ``announce`` is called if an older copy was put back."""
        self._config_dir = config_dir
        self._announce = announce
        self._noted_at = -_OFTEN_ENOUGH
        self._behind: bool | None = None
        self._looked = False
        self._noted: int | None = None

    def look(self, keys: Keys) -> None:
        """Read the note, once a process.

        A reader does this before it reads the vault. After that, the note of a later commit would
        make it believe that the vault it read was put back.
        """
        if not self._looked:
            self._noted = noted_generation(self._config_dir, keys)
            self._looked = True

    def behind(self, keys: Keys, generation: int) -> bool:
        """Whether the vault was once beyond ``generation``.

        If so, one line announces it, and the answer stays yes until a commit has recorded it.
        """
        if self._behind is None:
            self.look(keys)
            self._behind = self._noted is not None and self._noted > generation
            if self._behind:
                self._announce(ROLLED_BACK)
        return self._behind

    def note(self, keys: Keys, generation: int) -> None:
        """Note that the vault is at ``generation``. If that fails, the next commit tries again."""
        if self._behind:  # the log has it from now on
            self._behind = False
            self._write(keys, generation)
            return
        now = CLOCK.monotonic()
        if now - self._noted_at < _OFTEN_ENOUGH:
            return
        self._noted_at = now
        noted = noted_generation(self._config_dir, keys)
        if noted is None or noted < generation:
            self._write(keys, generation)

    def _write(self, keys: Keys, generation: int) -> None:
        number = generation.to_bytes(MARKER_OCTETS, "big")
        # no fsync: after a power cut an older note detects less, and never accuses a genuine vault
        with suppress(OSError, StorageError):
            ensure_directory(self._config_dir, CONFIG_VARIABLE)
            descriptor = open_private(marker_path(self._config_dir, keys), create=True)
            try:
                os.write(descriptor, number + keys.marker_mac(number))
            finally:
                os.close(descriptor)
