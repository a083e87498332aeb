"""Room on the disk kept free for tokens that arrive when it is full."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from ...engine.errors import StorageError
from ..private_file import open_private

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
