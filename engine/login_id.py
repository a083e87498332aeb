"""Names of logins: 26 Crockford base-32 characters, of which a person needs the first four."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from .errors import NotFound
from .record import SHORT_ID

if TYPE_CHECKING:
    from .ports import Randomness
    from .record import Summary

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O or U, so that an id survives being read aloud."""

_OCTETS: Final = 16
_LENGTH: Final = 26
_LOOKALIKES: Final = str.maketrans("ILO", "110")


def new_login_id(randomness: Randomness, taken: Collection[str] = ()) -> str:
    """A fresh id whose short form differs from those of ``taken``.

    Args:
        randomness: Where the octets come from.
        taken: The ids a person might confuse it with: those of the open logins.
    """
    short = {login_id[:SHORT_ID] for login_id in taken}
    while True:
        number = int.from_bytes(randomness.octets(_OCTETS), "big")
        login_id = "".join(
            ALPHABET[number >> 5 * (_LENGTH - 1 - place) & 31] for place in range(_LENGTH)
        )
        if login_id[:SHORT_ID] not in short:
            return login_id


def normalise(text: str) -> str:
    """What a person typed, as ids are spelt: upper case, without hyphens, lookalikes mended."""
    return text.strip().replace("-", "").upper().translate(_LOOKALIKES)


def choose(logins: Iterable[Summary], typed: str | None) -> Summary:
    """The login a person means.

    Args:
        logins: Those to choose from, any order.
        typed: Any unambiguous beginning of an id; ``None`` for the only pending one.

    Raises:
        NotFound: None or several match; the hint says how to tell them apart.
    """
    candidates = list(logins)
    if typed is None:
        chosen = [login for login in candidates if login.pending]
        if not chosen:
            msg = "no login is waiting to be resumed"
            raise NotFound(msg, hint="stayfast login")
    else:
        beginning = normalise(typed)
        chosen = [login for login in candidates if beginning and login.id.startswith(beginning)]
        if len(chosen) > 1:  # an open login is what people mean; old ones keep their ids
            chosen = [login for login in chosen if login.pending] or chosen
        if not chosen:
            msg = f"there is no login {typed[:40]!r}"
            raise NotFound(msg, hint="stayfast list")
    if len(chosen) > 1:
        names = ", ".join(f"{login.short_id} ({login.provider})" for login in chosen[:5])
        msg = f"several logins match: {names}"
        raise NotFound(msg, hint="stayfast list")
    return chosen[0]
