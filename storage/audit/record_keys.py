"""The keys of the audit log, prepared for many records."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from ...engine.errors import Damaged
from ..keys.sealing import Aead, expand, hmac
from .forward_keys import step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..keys.sealing import Keys

_NUMBER: Final = struct.Struct(">Q").pack
_NONCE: Final = 12


class LogKeys:
    """Opens and links the records of one vault.

    The ciphers of a series of records are set up once. For a log of a million records, that takes a
    fraction of the time of a set-up for each.
    """

    def __init__(self, keys: Keys, forward: int = 0, first: bytes | None = None) -> None:
        """Prepare the keys.

        Args:
            keys: The keys of the vault.
            forward: The first record whose key was erased; 0 if there is none.
            first: The key of that record, from which all later ones are derived.
        """
        self._forward = forward or 1 << 64
        self._start = first
        self._at, self._erased = forward, first
        self._store = keys.store
        self._later = [entry for entry in keys.audit_keys if entry[0] > 0]
        self._first, self._end = 0, 0  # the range of records that the present ciphers are for
        self._decrypt = Aead(bytes(32)).decrypt
        self._chain = HMAC(bytes(32), SHA256())

    def open(self, seq: int, sealed: Any) -> bytes:
        """The text of record ``seq``.

        Raises:
            Damaged: ``sealed`` is not that record.
        """
        if not self._first <= seq < self._end:
            self._turn_to(seq)
        try:
            nonce, body = sealed[:_NONCE], sealed[_NONCE:]
            return self._decrypt(nonce, body, self._store + _NUMBER(seq))
        # InvalidTag, or an error of another type: somebody may have put a number into the column
        except Exception as error:
            raise Damaged("a record of the audit log does not open") from error

    def link(self, before: bytes, seq: int, text: bytes) -> bytes | None:
        """The link of record ``seq`` to the one before; ``None`` if its key was erased."""
        if seq >= self._forward:
            key = self.erased(seq)
            return None if key is None else hmac(key, before + _NUMBER(seq) + text)
        if not self._first <= seq < self._end:
            self._turn_to(seq)
        mac = self._chain.copy()  # takes a third of the time of a new HMAC with the same key
        mac.update(before + _NUMBER(seq) + text)
        return mac.finalize()

    def texts(self, before: bytes, rows: Sequence[tuple[int, Any, Any]]) -> Sequence[bytes] | None:
        """The texts of ``rows``, if each opens, and follows the one before with the right link.

        It is what :meth:`open` and :meth:`link` say of each, in three quarters of the time. ``None``
        says that one of the rows has to be looked at, or that their keys are not the same.

        Args:
            before: The link of the record before the first row.
            rows: Numbers, sealed texts and links.
        """
        first, last = rows[0][0], rows[-1][0]
        try:
            if not self._first <= first < self._end:
                self._turn_to(first)
            if last >= min(self._end, self._forward):
                return None
            decrypt, fresh, store, number_of = self._decrypt, self._chain.copy, self._store, _NUMBER
            texts: list[bytes] = []
            for seq, (found, sealed, mac) in enumerate(rows, first):
                number = number_of(seq)
                text = decrypt(sealed[:_NONCE], sealed[_NONCE:], store + number)
                link = fresh()
                link.update(before + number + text)
                if found != seq or link.finalize() != mac:
                    return None
                texts.append(text)
                before = mac
        except Exception:  # noqa: BLE001  as for open: whoever looks at each finds which it is
            return None
        return texts

    def erased(self, seq: int) -> bytes | None:
        """The erased key of record ``seq``, derived again; ``None`` without the first key.

        Records are read in order, so each key is one step from the last one. A step back begins at
        the first key again.
        """
        if seq < self._at:
            self._at, self._erased = self._forward, self._start
        key = self._erased
        if key is not None:
            for _ in range(seq - self._at):
                key = step(key)
            self._at, self._erased = seq, key
        return key

    def _turn_to(self, seq: int) -> None:
        """Prepare the ciphers for the range of records that ``seq`` is in."""
        end = 1 << 64
        for first, key in reversed(self._later):
            if first <= seq:
                self._first, self._end = first, end
                self._decrypt = Aead(expand(key, "event")).decrypt
                self._chain = HMAC(key, SHA256())
                return
            end = first
        raise Damaged(f"there is no key for record {seq} of the audit log")
