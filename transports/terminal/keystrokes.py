"""Octets from a terminal, as lines, keys and the end of the input.

Escape sequences (arrow keys, and what a hostile page may put on the clipboard) are dropped. Between
the marks of a bracketed paste (``ESC [ 200 ~`` and ``ESC [ 201 ~``) no key has a meaning, and a line
break does not end the line: where a terminal wraps an address, what is copied has line breaks in it.

Reads end anywhere, so a sequence or a character may arrive in two pieces; the state between two
calls says where the last octet was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ...engine.secret import Secret

LIMIT: Final = 64 * 1024
"""Octets that a line may have. Further ones are dropped: a paste of megabytes must not fill memory."""
_ESCAPE: Final = 0x1B
_BELL: Final = 0x07
_END_OF_FILE: Final = 0x04
_ERASE: Final = frozenset({0x08, 0x7F})
_ERASE_LINE: Final = frozenset({0x15, 0x17})  # Ctrl-U, Ctrl-W: an address is one word
# OSC, DCS, SOS, PM and APC: sequences that contain text and run to a terminator. The answer of a
# terminal to a query has this form, and is not a line.
_STRINGS: Final = frozenset(b"]PX^_")


@dataclass(frozen=True, slots=True)
class TypedLine:
    """A complete line of input."""

    text: Secret


@dataclass(frozen=True, slots=True)
class Key:
    """A single key that has a meaning of its own."""

    name: str


class End:
    """The input has ended: Ctrl-D on an empty line."""


class _Within(Enum):
    """Where in an escape sequence the last octet was."""

    NOTHING = auto()
    ESCAPE = auto()
    CONTROL = auto()  # CSI
    SHIFT = auto()  # SS3: one more octet
    STRING = auto()
    STRING_ESCAPE = auto()


class Keystrokes:
    """Reads octets, and keeps the line and the escape sequence that have not ended yet."""

    def __init__(self, keys: Collection[str] = ()) -> None:
        """Treat each character of ``keys`` as a key if it arrives alone on an empty line."""
        self._keys = frozenset(keys)
        self._line = bytearray()
        self._within = _Within.NOTHING
        self._sequence = bytearray()
        self._pasting = False

    @property
    def length(self) -> int:
        """The number of characters in the line so far."""
        return len(self._line.decode("utf-8", "replace"))

    def may_be_key(self, octets: bytes) -> bool:
        """Whether ``octets`` are a key, provided that nothing follows them at once."""
        alone = not self._line and not self._pasting and self._within is _Within.NOTHING
        return alone and octets.decode("utf-8", "replace") in self._keys

    def pause(self) -> None:
        """Give up an escape sequence that did not go on: it was the key Esc.

        In the middle of a paste it was the beginning of the end mark, and the rest was lost. Then
        the paste has ended; else every later line would be part of it.
        """
        if self._within is not _Within.NOTHING:
            self._within = _Within.NOTHING
            self._pasting = False

    def feed(self, octets: bytes) -> Iterator[TypedLine | Key | End]:
        """The lines, keys and the end in ``octets``, which arrived together."""
        if self.may_be_key(octets):
            yield Key(octets.decode())
            return
        for octet in octets:
            if self._within is not _Within.NOTHING or octet == _ESCAPE:
                ended = self._escape(octet)
            else:
                ended = self._plain(octet)
            if ended and self._line.strip():
                yield TypedLine(Secret(self._taken()))
            elif octet == _END_OF_FILE and not self._line and not self._pasting:
                yield End()

    def _taken(self) -> str:
        line, self._line = bytes(self._line), bytearray()
        return line.decode("utf-8", "replace").strip()

    def _plain(self, octet: int) -> bool:
        """Add ``octet`` to the line. True if it ends the line."""
        if octet in b"\r\n":
            if not self._pasting:
                return True
            self._line.append(0x0A)
        elif octet in _ERASE:
            self._erase()
        elif octet in _ERASE_LINE:
            self._line.clear()
        elif octet >= 0x20 and len(self._line) < LIMIT:
            self._line.append(octet)
        return False

    def _erase(self) -> None:
        """Remove the last character with all its octets (UTF-8)."""
        while self._line and self._line.pop() & 0xC0 == 0x80:
            pass

    def _escape(self, octet: int) -> bool:
        """Follow an escape sequence. True if ``octet`` ends a paste with a line break at its end."""
        here, self._within = self._within, _Within.NOTHING
        if here is _Within.NOTHING or octet == _ESCAPE:
            string = here in {_Within.STRING, _Within.STRING_ESCAPE}
            self._within = _Within.STRING_ESCAPE if string else _Within.ESCAPE
        elif here is _Within.ESCAPE:
            self._sequence.clear()
            if octet in b"[":
                self._within = _Within.CONTROL
            elif octet in b"O":
                self._within = _Within.SHIFT
            elif octet in _STRINGS:
                self._within = _Within.STRING
        elif here is _Within.CONTROL:
            self._sequence.append(octet)
            if not 0x40 <= octet <= 0x7E and len(self._sequence) < LIMIT:
                self._within = _Within.CONTROL
            else:
                return self._mark(bytes(self._sequence))
        elif here is _Within.STRING and octet != _BELL:
            self._within = _Within.STRING
        return False

    def _mark(self, sequence: bytes) -> bool:
        """Begin or end a paste. True if the paste that ends has a line break at its end."""
        if sequence == b"200~":
            self._pasting = True
        elif sequence == b"201~" and self._pasting:
            self._pasting = False
            return self._line.endswith(b"\n")
        return False
