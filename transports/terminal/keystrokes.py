"""What a terminal sends, sorted: lines, keys, the end of the input.

Arrow keys and other escape sequences are dropped, typed or pasted. Between the marks of a
bracketed paste (``ESC [ 200 ~`` and ``ESC [ 201 ~``) no key has a meaning and a line break does
not end the line: terminals that wrap an address put line breaks into what is copied from them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from ...engine.secret import Secret

LIMIT: Final = 64 * 1024
"""Characters a line may have; what is beyond is dropped."""
_ESCAPE: Final = 0x1B
_BELL: Final = 0x07
_END_OF_FILE: Final = 0x04
_ERASE: Final = frozenset({0x08, 0x7F})
_ERASE_LINE: Final = frozenset({0x15, 0x17})  # Ctrl-U, Ctrl-W: an address is one word
_STRINGS: Final = frozenset(b"]PX^_")  # OSC, DCS and their like, which run to a terminator


@dataclass(frozen=True, slots=True)
class TypedLine:
    """A line of input, complete."""

    text: Secret


@dataclass(frozen=True, slots=True)
class Key:
    """A key pressed by itself that has a meaning of its own."""

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
    """Sorts octets; remembers a line, and a sequence, that has not ended yet."""

    def __init__(self, keys: Collection[str] = ()) -> None:
        """Take ``keys``, one character each, for keys where they arrive alone."""
        self._keys = frozenset(keys)
        self._line = bytearray()
        self._within = _Within.NOTHING
        self._sequence = bytearray()
        self._pasting = False

    @property
    def length(self) -> int:
        """How many characters of a line have been taken."""
        return len(self._line.decode("utf-8", "replace"))

    def may_be_key(self, octets: bytes) -> bool:
        """Whether ``octets`` are a key if nothing follows them at once."""
        alone = not self._line and not self._pasting and self._within is _Within.NOTHING
        return alone and octets.decode("utf-8", "replace") in self._keys

    def pause(self) -> None:
        """Nothing came for a while: an escape sequence that has not gone on was the key Esc.

        In the middle of a paste it was the mark of its end, the rest of which got lost.
        """
        if self._within is not _Within.NOTHING:
            self._within = _Within.NOTHING
            self._pasting = False

    def feed(self, octets: bytes) -> Iterator[TypedLine | Key | End]:
        """What ``octets``, which arrived together, amount to."""
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
        """Take ``octet``; whether it ends the line."""
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
        """Take the last character away, all octets of it."""
        while self._line and self._line.pop() & 0xC0 == 0x80:
            pass

    def _escape(self, octet: int) -> bool:
        """Follow an escape sequence; whether ``octet`` ends a paste that ended its line."""
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
        """Heed the marks of a paste; whether one ended that had a line break at its end."""
        if sequence == b"200~":
            self._pasting = True
        elif sequence == b"201~" and self._pasting:
            self._pasting = False
            return self._line.endswith(b"\n")
        return False
