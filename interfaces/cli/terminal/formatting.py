"""Values as people, terminals and shells read them: times, lengths, lines."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from shlex import quote
from typing import TYPE_CHECKING, Final

from ....engine.lifetime import LONGEST, clock_error

if TYPE_CHECKING:
    from datetime import datetime

    from ....engine.record import Login


def _bounded(seconds: float) -> float:
    """``seconds``, but a century at most either way, and 0 for NaN: words for people go no further."""
    return min(max(seconds, -LONGEST), LONGEST) if seconds == seconds else 0.0  # noqa: PLR0124


def span(seconds: float) -> str:
    """A length of time, in its largest fitting unit."""
    seconds = abs(_bounded(seconds))
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def more(seconds: float) -> str:
    """A length of time that is left: ``8 more minutes``."""
    seconds = _bounded(seconds)
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.0f} more {name}s"
    return f"{max(seconds, 0):.0f} more seconds"


def countdown(seconds: float) -> str:
    """Minutes and seconds, as a clock shows them."""
    whole = max(0, int(_bounded(seconds)))
    return f"{whole // 60}:{whole % 60:02d}"


def number_of(number: int, what: str) -> str:
    """A number of things for people: ``1 login``, ``2,000 logins``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def day_of(moment: datetime) -> str:
    """A day for people: ``4 Mar 2026``."""
    return f"{moment.day} {moment:%b %Y}"


def clock_time(seconds: float, now: float) -> str:
    """A moment for people: their own clock, and the day unless it is that of ``now``."""
    from ....engine.moments import local_of  # noqa: PLC0415  few answers name a time

    moment, today = local_of(seconds), local_of(now)
    clock = f"{moment:%H:%M:%S}"
    return clock if moment.date() == today.date() else f"{day_of(moment)}, {clock}"


def masked(token: str) -> str:
    """Enough of a token to recognise it, and too little to use it."""
    return f"{token[:4]}…{token[-2:]} ({len(token)} characters)" if len(token) > 12 else "…"


def clock_said(login: Login) -> str | None:
    """How far this machine's clock was off when the tokens of ``login`` came, if worth a word."""
    tokens = login.tokens
    off = clock_error(tokens.issued_at, tokens.server_date) if tokens else None
    if off is None:
        return None
    from urllib.parse import urlsplit  # noqa: PLC0415  for clocks that are wrong

    host = login.provider
    with suppress(ValueError):  # an address of an old record, which nobody judged
        host = urlsplit(login.config.token_url or "").hostname or host
    return f"{span(abs(off))} {'ahead of' if off > 0 else 'behind'} {host}"


_SEALED: Final = {
    "keyring": "with the key in the system keyring ({place})",
    "file:key file": "with a key file",
    "file:passphrase": "under your passphrase",
    "file:credentials": "with a systemd credential",
    "file:command": "with the output of your command",
    "memory": "nowhere: it is gone with this process",
}


def sealed(description: str) -> str:
    """What a storage is, in words; ``keyring:SecretService`` says kind and place of its key."""
    kind, _, place = description.partition(":")
    words = _SEALED.get(description) or _SEALED.get(kind)
    return words.format(place=place) if words else description


def with_tilde(text: str) -> str:
    """``text`` with ``~`` for the home directory in every path."""
    home = os.path.expanduser("~")
    return (
        re.sub(rf"(?<![\w/]){re.escape(home)}(?![^/\s),;:])", "~", text) if len(home) > 1 else text
    )


def word_of_path(path: str) -> str:
    """``path`` as a word for a POSIX shell; one in the home directory by its variable."""
    short = with_tilde(path)
    inside = short.removeprefix("~/")
    plain = inside != short and not set(inside) & set('"$`\\!')
    return f'"$HOME/{inside}"' if plain else quote(path)


def sentence(message: str) -> str:
    """A message of ours as sentences: it has a capital letter and a full stop."""
    clauses = [f"{clause[:1].upper()}{clause[1:]}" for clause in message.split("; ")]
    return ". ".join(clauses) + "."


_OURS: Final = dict.fromkeys(map(ord, "✓✗…→·•▮"))
"""The symbols of ours that are no ASCII; each takes one column."""


def columns_of(text: str) -> int:
    """How many columns of a terminal the printable ``text`` takes."""
    if text.translate(_OURS).isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  few texts need rich for that

    return cell_len(text)


NARROWEST: Final = 10
"""Columns that a text is not folded below."""


def broken(line: str, width: int, hang: int) -> list[str]:
    """``line`` as lines of at most ``width`` columns, broken between words.

    Args:
        line: What is to be shown; spaces inside it are kept.
        width: Columns; a longer word stands out.
        hang: Columns that are left free before every line but the first.
    """
    if len(line) <= width:
        return [line]
    import textwrap  # noqa: PLC0415  for long lines alone

    return textwrap.wrap(
        line,
        max(width, hang + NARROWEST),
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [line]


def command_lines(command: str, width: int, before: str) -> list[str]:
    """``command`` behind ``before``, in lines of ``width`` columns that a shell reads as one.

    So it can be copied as it stands. No word is torn apart, nor what stands in quotes.

    Args:
        command: A line for a POSIX shell.
        width: Columns; a longer word stands out.
        before: What stands before the first line; the others have as many blanks.
    """
    if len(before) + len(command) <= width:
        return [before + command]
    lines = [before]
    for word in re.findall(_WORD, command):
        if lines[-1].strip() and lines[-1] != before and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(" " * len(before) + word)
        else:
            lines[-1] += word if lines[-1] == before else f" {word}"
    return lines


_WORD: Final = r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\]|['"\\])+"""


def flowed(parts: Sequence[str], width: int, indent: str, between: str) -> list[str]:
    """``parts`` in as few lines of ``width`` columns as they need, none of them torn apart."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines += broken(indent + part, width, len(indent))
    return lines
