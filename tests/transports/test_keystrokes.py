"""What a terminal sends, sorted into lines, keys and the end, however it is cut into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stayfast.transports.terminal.keystrokes import End, Key, Keystrokes, TypedLine

BEGIN, END = b"\x1b[200~", b"\x1b[201~"
NOISE = [
    b"\x1b[A", b"\x1b[1;5D", b"\x1bOP", b"\x1b[3~", b"\x1bx", b"\x1b]11;rgb:0/0/0\x07",
    b"\x1b]11;rgb:0/0/0\x1b\\", b"\x1bP1$r0m\x1b\\", b"\x07", b"\t", b"\x1b\x1b[B",
]  # fmt: skip


def typed(strokes: Keystrokes, *pieces: bytes) -> list[str]:
    """What the pieces amount to, in words."""
    events = []
    for piece in pieces:
        for event in strokes.feed(piece):
            if isinstance(event, TypedLine):
                events.append(f"line {event.text.reveal()}")
            elif isinstance(event, Key):
                events.append(f"key {event.name}")
            else:
                assert isinstance(event, End)
                events.append("end")
    return events


@given(
    words=st.lists(st.text("abc?=&#é漢", min_size=1, max_size=6), min_size=1, max_size=6),
    noise=st.lists(st.sampled_from(NOISE), min_size=6, max_size=6),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=8),
    pasted=st.booleans(),
)
def test_escape_sequences_never_get_into_a_line(
    words: list[str], noise: list[bytes], cuts: list[int], pasted: bool
) -> None:
    """Arrow keys and their like vanish from between the letters, wherever the pieces are cut."""
    octets = b"".join(word.encode() + one for word, one in zip(words, noise, strict=False))
    whole = (BEGIN + octets + END if pasted else octets) + b"\r"
    pieces, at, turn = [], 0, 0
    while at < len(whole):
        pieces.append(whole[at : at + cuts[turn % len(cuts)]])
        at, turn = at + cuts[turn % len(cuts)], turn + 1
    assert typed(Keystrokes(), *pieces) == [f"line {''.join(words)}"]


def test_a_key_in_a_paste_is_a_letter() -> None:
    """Between the marks, and before the line is ended, no key means anything."""
    strokes = Keystrokes("cd")
    assert typed(strokes, b"c") == ["key c"]
    assert typed(strokes, BEGIN, b"d", END, b"c", b"\r") == ["line dc"]
    assert typed(strokes, b"d") == ["key d"]


def test_line_breaks_in_a_paste_do_not_end_it() -> None:
    """An address that a narrow terminal broke comes in one piece; a last line break ends it."""
    strokes = Keystrokes()
    assert typed(strokes, BEGIN + b"http://127.0.0.1/cb?co\r\nde=a&sta\nte=b" + END) == []
    assert typed(strokes, b"\r") == ["line http://127.0.0.1/cb?co\n\nde=a&sta\nte=b"]
    assert typed(strokes, BEGIN + b"?code=a&state=b\n" + END) == ["line ?code=a&state=b"]


@pytest.mark.parametrize("erase", [b"\x7f", b"\x08"])
def test_a_character_is_erased_whole(erase: bytes) -> None:
    """Erasing takes a character, not an octet; erasing nothing is nothing."""
    strokes = Keystrokes()
    assert typed(strokes, erase + "aé漢".encode() + erase + erase + b"b\r") == ["line ab"]


def test_the_end_is_the_end_only_on_an_empty_line() -> None:
    """Ctrl-D in a line or a paste is nothing; Ctrl-U and Ctrl-W clear the line for it."""
    strokes = Keystrokes()
    assert typed(strokes, b"a\x04", BEGIN + b"\x04" + END) == []
    assert typed(strokes, b"\x15\x04") == ["end"]
    assert typed(strokes, b"ab\x17\x04") == ["end"]


def test_the_key_esc_swallows_nothing_that_comes_later() -> None:
    """After a pause, an escape that began nothing was the key; what is pasted then is whole."""
    strokes = Keystrokes()
    assert typed(strokes, b"\x1b") == []
    strokes.pause()
    assert typed(strokes, b"http\r") == ["line http"]


def test_a_paste_whose_end_is_torn_can_be_ended() -> None:
    """A mark that is cut off for good does not leave a line that no key can end."""
    strokes = Keystrokes()
    assert typed(strokes, BEGIN + b"http" + END[:3]) == []
    strokes.pause()
    assert typed(strokes, b"\r") == ["line http"]
    assert typed(strokes, BEGIN + b"ht", b"tp" + END) == []
    strokes.pause()  # a slow line: nothing is torn
    assert typed(strokes, b"\r") == ["line http"]
