"""The challenges of a resource server (RFC 9110 §11.6.1), and what a Bearer challenge asks for.

Servers write the header with and without quotes, with and without commas, and beside challenges of
other schemes. So the reader is lenient about the form, and strict about the values that are used.
It is linear in the length of the header, and what is longer than :data:`LONGEST` is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from ..ports import HttpResponse

LONGEST: Final = 16 * 1024
"""Characters of a header that are read at most; a real one has a few hundred."""
_MOST: Final = 32  # challenges of a header, and parameters of a challenge
_VALUE: Final = (
    2048  # characters of a value without quotes: each is split anew, and there may be many
)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_EQUALS: Final = re.compile(r"[ \t]*=[ \t]*(?!=)")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|$)', re.DOTALL)
_BARE: Final = re.compile(r"[^,]*")
_TOKEN68: Final = re.compile(r"[ \t]+([A-Za-z0-9\-._~+/]+=*)[ \t]*(?=,|$)")
_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # NQCHAR (RFC 6749 §3.3)
_SCOPES: Final = 100  # of one challenge
_PLAIN: Final = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")  # what quotes hold as it is
_AGE: Final = re.compile(r"[0-9]{1,9}")

INSUFFICIENT_SCOPE: Final = "insufficient_scope"
"""The token lacks a scope (RFC 6750 §3.1)."""
INSUFFICIENT_AUTHENTICATION: Final = "insufficient_user_authentication"
"""The user must sign in anew, or in a stronger way (RFC 9470 §3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthChallenge:
    """One challenge.

    Attributes:
        scheme: The authentication scheme, in lower case.
        parameters: The parameters by lower-case name; of two with one name the first.
        token68: The other form of a challenge's data, which ``Negotiate`` has.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    token68: str | None = None

    @property
    def resource_metadata(self) -> str | None:
        """Where the resource describes itself (RFC 9728 §5.1)."""
        return self.parameters.get("resource_metadata") or None

    @property
    def error(self) -> str | None:
        """The error code (RFC 6750 §3)."""
        return self.parameters.get("error") or None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the request needs (RFC 6750 §3), without what no scope can be."""
        return known_scopes(self.parameters.get("scope", "").split())

    @property
    def acr_values(self) -> tuple[str, ...]:
        """The ways of signing in that the resource accepts (RFC 9470 §3), the best first."""
        return known_scopes(self.parameters.get("acr_values", "").split())

    @property
    def max_age(self) -> int | None:
        """Seconds since the user has signed in, at most (RFC 9470 §3)."""
        given = self.parameters.get("max_age", "")
        return int(given) if _AGE.fullmatch(given) else None

    def header(self) -> str:
        """A header that says the same, of those parameters alone that a login reads.

        What a server wrote besides stays out of command lines and terminals.
        """
        age = self.max_age
        read = {
            "error": self.error or "",
            "scope": " ".join(self.scopes),
            "acr_values": " ".join(self.acr_values),
            "max_age": "" if age is None else str(age),
            "resource_metadata": self.resource_metadata or "",
        }
        fine = [
            f'{name}="{value}"' for name, value in read.items() if value and _PLAIN.fullmatch(value)
        ]
        return f"{self.scheme.capitalize() if self.scheme != 'dpop' else 'DPoP'} {', '.join(fine)}"


def known_scopes(given: object) -> tuple[str, ...]:
    """The texts in ``given`` that can be scopes, each once, in their order."""
    texts = cast("Iterable[object]", given) if isinstance(given, list | tuple) else ()
    fine = (one for one in texts if isinstance(one, str) and _SCOPE.fullmatch(one))
    return tuple(dict.fromkeys(fine))[:_SCOPES]


def read_challenges(header: str) -> list[AuthChallenge]:
    """The challenges in ``header``, which may be several headers, joined by commas.

    What cannot be read is left out; a header that is too long has none.
    """
    if len(header) > LONGEST:
        return []
    found: list[AuthChallenge] = []
    for scheme, token68, parameters in _challenges(header):
        if len(found) == _MOST:
            break
        found.append(AuthChallenge(scheme=scheme, token68=token68, parameters=parameters))
    return found


def _challenges(header: str) -> Iterator[tuple[str, str | None, dict[str, str]]]:
    scheme: str | None = None
    token68: str | None = None
    parameters: dict[str, str] = {}
    place = 0
    while place < len(header):
        word = _TOKEN.match(header, place)
        if word is None:  # a comma, a blank, or a character that belongs nowhere
            place += 1
            continue
        place = word.end()
        equals = _EQUALS.match(header, place)
        if equals is not None:
            value, place = _value(header, equals.end())
            if scheme is not None and len(parameters) < _MOST:
                parameters.setdefault(word[0].lower(), value)
            continue
        if scheme is not None:
            yield scheme, token68, parameters
        scheme, token68, parameters = word[0].lower(), None, {}
        data = _TOKEN68.match(header, place)
        if data is not None:
            token68, place = data[1], data.end()
    if scheme is not None:
        yield scheme, token68, parameters


def _value(header: str, place: int) -> tuple[str, int]:
    """The value at ``place``, and where it ends.

    A value without quotes ends at a comma, or before the name of the next parameter. So it may hold
    what only quotes allow: the characters of an address, or the blanks between scopes.
    """
    quoted = _QUOTED.match(header, place)
    if quoted is not None:
        return _PAIR.sub(r"\1", quoted[1]), quoted.end()
    bare = _BARE.match(header, place)
    words = bare[0][:_VALUE].split() if bare else []
    kept = words[:1]
    for word in words[1:]:
        if "=" in word:
            break
        kept.append(word)
    end = place
    for word in kept:
        end = header.index(word, end) + len(word)
    return " ".join(kept), max(end, place)


def bearer_challenge(response: HttpResponse) -> AuthChallenge | None:
    """The challenge of ``response`` that an access token answers; ``None`` if there is none."""
    return challenge_for_token(response.headers.get("www-authenticate", ""))


def challenge_for_token(header: str) -> AuthChallenge | None:
    """The challenge in ``header`` that an access token answers; ``None`` if there is none.

    ``DPoP`` counts (RFC 9449 §7.1). Of several, one that says where the metadata are.
    """
    challenges = [one for one in read_challenges(header) if one.scheme in {"bearer", "dpop"}]
    return next((one for one in challenges if one.resource_metadata), next(iter(challenges), None))
