"""Disk space kept in reserve for tokens that arrive when the disk is full.

A provider that rotates refresh tokens has already revoked the old one when the new one arrives. If
the disk is full then, the login is lost. So a file takes up the space of one commit, and is emptied
when a commit finds the disk full. What is kept for the lists of a large vault (:mod:`.kept_list`) goes then, too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from ...engine.errors import StorageError
from ..private_file import open_private
from .file import LIST

RESERVE: Final = "vault.reserve"
_OCTETS: Final = 64 * 1024  # a commit with its journal takes about half


class Reserve:
    """The file that is emptied when a commit finds the disk full."""

    def __init__(self, directory: str) -> None:
        """Keep it in ``directory``, beside the vault."""
        self._directory = directory
        self._path = os.path.join(directory, RESERVE)

    def ensure(self) -> None:
        """Take the space, if the disk has it; called before the user is sent to the browser."""
        with suppress(OSError):
            if os.lstat(self._path).st_size == _OCTETS:
                return
        with suppress(OSError, StorageError):
            descriptor = open_private(self._path, create=True)
            try:
                missing = _OCTETS - os.fstat(descriptor).st_size
                if missing > 0:
                    os.lseek(descriptor, 0, os.SEEK_END)
                    # random: a file system cannot compress it, or store it as a hole
                    os.write(descriptor, os.urandom(missing))
            finally:
                os.close(descriptor)

    def release(self) -> bool:
        """Free the space; whether there was any."""
        remove_list(self._directory)
        try:
            descriptor = open_private(self._path)
        except (OSError, StorageError):
            return False
        try:
            had = os.fstat(descriptor).st_size
            # truncated, not removed: on a full disk some file systems cannot even write the directory
            os.ftruncate(descriptor, 0)
            os.fsync(descriptor)
        except OSError:
            return False
        finally:
            os.close(descriptor)
        return had > 0


def remove_list(directory: str, *, unfinished: bool = False) -> None:
    """Remove what is kept for lists of the vault in ``directory``.

    A process that is just writing it fails to, and its next list tries again.

    Args:
        directory: Where the vault is.
        unfinished: Only what processes that were killed have left of it.
    """
    with suppress(OSError):
        for name in os.listdir(directory):
            if name.startswith(f"{LIST}.") or (name == LIST and not unfinished):
                with suppress(OSError):
                    os.unlink(os.path.join(directory, name))
