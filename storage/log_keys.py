"""The keys of an audit log, held ready for many records at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..engine.errors import Damaged

if TYPE_CHECKING:
    from .sealing import Keys


class LogKeys:
    """Opens and links the records of one vault."""

    def __init__(self, keys: Keys) -> None:
        """Derive what every record needs."""
        self._keys = keys

    def open(self, seq: int, sealed: Any) -> bytes:
        """The text of record ``seq``.

        Raises:
            Damaged: It is not that one.
        """
        try:
            return self._keys.open_event(seq, sealed)
        except TypeError as error:  # SQLite keeps any type in any column
            raise Damaged("a record of the audit log does not open") from error

    def link(self, before: bytes, seq: int, text: bytes) -> bytes:
        """The link of record ``seq`` to all before it."""
        return self._keys.chain(before, seq, text)
