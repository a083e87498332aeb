"""Ids of logins: 26 characters of Crockford's base 32. A person needs the first four."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .errors import NotFound
from .hints import Hint
from .summary import DEFAULT_ACCOUNT, SHORT_ID

if TYPE_CHECKING:
    from .ports import Randomness
    from .summary import Summary

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32. It has no I, L, O or U, so that a person can read an id to another."""

# 128 random bits: ids of all hosts never collide. 26 characters hold 130 bits, so the first character
# is one of eight.
_OCTETS: Final = 16
_LENGTH: Final = 26
_LOOKALIKES: Final = str.maketrans("ILO", "110")


def new_login_id(randomness: Randomness, taken: Collection[str] = ()) -> str:
    """A new id whose short form differs from those of ``taken``.

    Args:
        randomness: The source of the octets.
        taken: The ids of the open logins, with which a person could confuse it.
    """
    # People use the first four characters. Two open logins must differ in them, and finished ones
    # need not: there may be more of them than short forms.
    short = {login_id[:SHORT_ID] for login_id in taken}
    while True:
        number = int.from_bytes(randomness.octets(_OCTETS), "big")
        login_id = "".join(
            ALPHABET[number >> 5 * (_LENGTH - 1 - place) & 31] for place in range(_LENGTH)
        )
        if login_id[:SHORT_ID] not in short:
            return login_id


def lease_name(what: str) -> str:
    """The name of a lease that is of no login: something else that one process does at a time.

    No id begins with its first letter.
    """
    from hashlib import sha256  # noqa: PLC0415  it loads OpenSSL, and few need it

    return "X" + sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[: _LENGTH - 1].upper()


def normalise(text: object) -> str:
    """``text`` in the spelling of ids: upper case, no hyphens, ``1`` and ``0`` for lookalikes."""
    if not isinstance(text, str):
        return "~"  # begins no id
    return text.strip().replace("-", "").upper().translate(_LOOKALIKES)


def is_full(normalised: str) -> bool:
    """Whether ``normalised`` is a whole id, not only its beginning."""
    return len(normalised) == _LENGTH and set(normalised) <= set(ALPHABET)


def no_login(typed: object) -> NotFound:
    """The error that no login has the id ``typed``."""
    shown = str(typed).partition("?")[0][:40]  # a pasted callback has a code behind it
    return NotFound(f"there is no login {shown!r}", hint=Hint("list"))


def choose(logins: Iterable[Summary], typed: str | None) -> Summary:
    """The login that a person means.

    Args:
        logins: The logins to choose from, in any order.
        typed: The beginning of an id; ``None`` for the only pending login.

    Raises:
        NotFound: No login matches, or several do.
    """
    candidates = list(logins)
    if typed is None:
        chosen = [login for login in candidates if login.pending]
        if not chosen:
            msg = "no login is waiting for you"
            raise NotFound(msg, hint=Hint("status"))
    else:
        beginning = normalise(typed)
        chosen = [login for login in candidates if beginning and login.id.startswith(beginning)]
        # finished logins keep their ids for years; a person means the one that is open
        if len(chosen) > 1:
            chosen = [login for login in chosen if login.pending] or chosen
        if not chosen:
            raise no_login(typed)
    if len(chosen) > 1:
        names = ", ".join(f"{login.short_id} ({_known(login)})" for login in chosen[:5])
        msg = f"several logins {'wait for you' if typed is None else 'match'}: {names}"
        raise NotFound(msg, hint=Hint("list"))
    return chosen[0]


def _known(login: Summary) -> str:
    """The provider of ``login`` and whom a person knows it to be."""
    who = login.identity.label if login.identity else login.account
    return login.provider if who == DEFAULT_ACCOUNT else f"{login.provider}, {who}"


def interrupted_login(stop: KeyboardInterrupt) -> str | None:
    """The full id of the login that ``stop`` came in; ``None`` if it came in no login."""
    login_id: str | None = vars(stop).get("login_id")
    return login_id


@contextmanager
def naming(login_id: str) -> Generator[None]:
    """Let a KeyboardInterrupt say in which login it came."""
    try:
        yield
    except KeyboardInterrupt as stop:
        vars(stop)["login_id"] = login_id
        raise
