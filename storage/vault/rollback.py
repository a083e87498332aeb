"""The rollback marker: shows that a whole older copy of a vault was put back.

Every row of an old copy opens, and its integrity record fits. Only the number of the last commit
shows its age. So that number is also kept elsewhere: in a small file beside the key.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ...engine.errors import Damaged, StorageError
from ...engine.hints import Hint
from ..host import CLOCK
from ..private_file import CONFIG_VARIABLE, ensure_directory, open_private
from .file import MARKER_OCTETS, marker_path, noted_generation

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.audit.verifier import Verification
    from ..keys.sealing import Keys

_OFTEN_ENOUGH: Final = 60.0  # seconds between two notes of one process: each costs a file write
ROLLED_BACK: Final = (
    "this vault was further once: an older copy was put back, and a refresh token in it may be "
    "refused by its provider, which then asks for a new sign-in"
)

_FOUND: Final = "an older copy of the logins was put back"
_PROBLEM: Final = f"{_FOUND}, and no commit has recorded that yet"


class RollbackMarker:
    """The note of one vault, or of one database on this host.

    Each process compares it once: at its first read, whatever it reads, or at its first commit. It
    writes the note after a commit. So the note is never ahead of what is durable, and a process that
    holds the write lock finds it ahead only after a rollback.
    """

    def __init__(self, config_dir: str, announce: Callable[[str], None]) -> None:
        """Keep it in ``config_dir``; ``announce`` is called if an older copy was put back."""
        self._config_dir = config_dir
        self._announce = announce
        self._noted_at = -_OFTEN_ENOUGH
        self._behind: bool | None = None
        self._found = False

    @property
    def damage(self) -> Damaged | None:
        """That an older copy was put back, if this process found it; its own commits keep it."""
        return Damaged(_FOUND, hint=Hint("store mend")) if self._found else None

    def compare(self, keys: Keys, generation: Callable[[], int]) -> None:
        """Compare the note with what a reader finds, if this process has not compared it yet.

        Args:
            keys: The keys of the vault.
            generation: Reads the generation. It is called after the note was read: the note of a
                commit in between would show an older copy where there is none. If it raises
                :class:`Damaged`, nothing is compared: the damage itself is reported elsewhere.
        """
        if self._behind is None:
            noted = noted_generation(self._config_dir, keys)
            with suppress(Damaged):
                self._judge(noted, generation())

    def behind(self, keys: Keys, generation: int) -> bool:
        """Whether the vault was once beyond ``generation``; for the holder of the write lock.

        If so, one line announces it, and the answer stays yes until a commit has recorded it.
        """
        if self._behind is None:
            self._judge(noted_generation(self._config_dir, keys), generation)
        return bool(self._behind)

    def _judge(self, noted: int | None, generation: int) -> None:
        self._behind = noted is not None and noted > generation
        if self._behind:
            self._found = True
            self._announce(ROLLED_BACK)

    @property
    def problems(self) -> list[str]:
        """One sentence if an older copy was put back and no commit has recorded it."""
        return [_PROBLEM] if self._behind else []

    def forget(self) -> None:
        """Report it no more: its user knows, and the log has it."""
        self._found = False

    def judged(self, found: Verification) -> Verification:
        """``found``, with one more finding if an older copy was put back."""
        if not self._behind:
            return found
        from ...engine.audit.findings import Finding, FindingCode  # noqa: PLC0415  for who checks the log

        finding = Finding(code=FindingCode.ROLLED_BACK, message=ROLLED_BACK)
        from dataclasses import replace  # noqa: PLC0415  for who checks the log

        return replace(found, findings=[*found.findings, finding])

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
